package pipeline

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// The real runner, with all its goroutines, locks and report files, dies at sampled
// points of sampled scenarios, up to twice in a row. Its goroutines may do things
// in another order each time; the end is the same.
func TestCrashesOfTheRunner(t *testing.T) {
	const samples = 512
	n := samples
	if testing.Short() || raceEnabled {
		n = samples / 8
	}
	dice := rand.New(rand.NewPCG(1, 2))
	var subjects []*explorer
	for _, s := range scenarios() {
		x := &explorer{scenario: s}
		x.plan, x.early = s.plans(t)
		whole := x.play(t, nil, 0, nil)
		x.want, x.ticks = whole.outcome, whole.ticks
		subjects = append(subjects, x)
	}
	deaths := 0
	for i := range n {
		x := subjects[i%len(subjects)]
		deaths += x.playThreads(t, dice, realFolder(t))
		if t.Failed() {
			t.Fatalf("sample %d: %s", i, x.name)
		}
	}
	t.Logf("%d deaths in %d samples", deaths, n)
	if deaths < n {
		t.Errorf("only %d deaths in %d samples", deaths, n)
	}
}

// realFolder is a folder in memory if the system has such a thing: its syncs are
// not what is tested.
func realFolder(t *testing.T) string {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "wanbatch-crash-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "output")
}

// playThreads tells the story with one or two deaths and returns how many it came to.
func (x *explorer) playThreads(t *testing.T, dice *rand.Rand, output string) (deaths int) {
	synctest.Test(t, func(t *testing.T) {
		w := x.newWorld(t, x.plan)
		defer w.provider.Close()
		w.early, w.threads = x.early, output
		var l life
		var files []map[string][]byte
		for range 1 + dice.IntN(2) {
			w.ticks, w.dieAt, w.epitaph = 0, 1+dice.IntN(x.ticks), ""
			_ = x.tell(w, x.plan) // whatever the dead say
			if w.epitaph == "" {
				break // recoveries are shorter
			}
			deaths++
			images := w.images(4)
			w.disk = images[dice.IntN(len(images))].disk()
			core, report := w.read()
			l.doubts = append(l.doubts, core.View().InDoubt...)
			w.wantTrueBill(w.epitaph, report)
			files = append(files, w.artifacts())
			time.Sleep(time.Minute)
		}
		x.finish(w, x.plan, &l, files)
		w.wantTidy()
		if !x.agrees(l, x.want) {
			t.Errorf("died before %q with doubts %v; want\n%sgot\n%s", w.epitaph, l.doubts, x.want, l.outcome)
		}
	})
	return deaths
}
