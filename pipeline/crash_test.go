package pipeline

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// fullDepth makes the crash tests exhaustive where they otherwise take samples.
var fullDepth = flag.Bool("crash.full", false, "tear every write at every byte, and die a second time at every point of every recovery")

// effort says how much of what is possible a crash test tries.
type effort struct {
	torn   int // ways to tear one write, besides almost whole
	points int // one point in so many is tried
	images int // states of the disk that are played to the end, per point; 0: all
	twice  int // samples of two deaths, per scenario; 0: one of each pair of points
}

func howMuch() effort {
	switch {
	case *fullDepth:
		return effort{torn: 1 << 10, points: 1} // every byte of a record, and as many of larger writes
	case testing.Short() || raceEnabled:
		return effort{torn: 1, points: 12, images: 1, twice: 1}
	}
	return effort{torn: 1, points: 1, twice: 16}
}

// A life is what one play of a scenario came to.
type life struct {
	ticks   int     // of its last life
	images  []image // after its last death
	image   int     // that was found then; negative: the play ended there
	died    string  // what it was about to do then
	at      time.Time
	calls   int // to the provider
	doubts  []string
	outcome string
	intents int
}

// play tells the story of a scenario with deaths in it, one after the other, each
// followed by a restart a minute later. Of the images after the last death pick
// chooses the one that is found; a negative number ends the play there.
func (x *explorer) play(t *testing.T, deaths []death, torn int, pick func(life) int) (l life) {
	synctest.Test(t, func(t *testing.T) {
		w := x.newWorld(t, x.plan)
		w.early = x.early
		defer w.provider.Close()
		var files []map[string][]byte // that stood under their final names after each death
		for i, d := range deaths {
			w.ticks, w.dieAt, w.epitaph = 0, d.tick, ""
			_ = x.tell(w, x.plan) // whatever the dead say
			if w.epitaph == "" {
				t.Fatalf("%s: alive after %d ticks, but it should have died before number %d", x.name, w.ticks, d.tick)
			}
			l.died, l.at, l.images, l.calls, l.image = w.epitaph, time.Now(), w.images(torn), w.calls, d.image
			if i == len(deaths)-1 {
				if l.image = pick(l); l.image < 0 {
					return
				}
			}
			w.disk = l.images[l.image].disk()
			core, report := w.read()
			l.doubts = append(l.doubts, core.View().InDoubt...)
			w.wantTrueBill("after the death", report)
			w.wantKept("after the death", report)
			files = append(files, w.artifacts())
			time.Sleep(time.Minute)
		}
		x.finish(w, x.plan, &l, files)
		w.wantTidy()
	})
	return l
}

// finish tells the story to its end and checks all that must hold then.
func (s scenario) finish(w *world, p *Plan, l *life, files []map[string][]byte) {
	w.ticks, w.dieAt, w.epitaph = 0, 0, ""
	if err := s.tell(w, p); err != nil {
		w.t.Errorf("the story ends with: %v", err)
	}
	l.ticks, l.intents = w.ticks, w.intents
	_, report := w.read()
	if report == nil {
		w.t.Fatal("the story ends without a batch")
	}
	l.outcome = canonical(report)
	w.wantTrueBill("at the end", report)
	w.wantKept("at the end", report)
	for _, found := range append(files, w.artifacts()) {
		w.wantArtifacts("at the end", report, found)
	}
	if sins := w.disk.Sins(); sins != nil {
		w.t.Errorf("the disk complains: %v", sins)
	}
	calls := w.calls
	if err := w.run(p); err != nil || w.calls != calls {
		w.t.Errorf("running the finished batch again: %d calls, %v", w.calls-calls, err)
	}
}

// agrees tells whether a play came to the outcome of the uninterrupted one. Where
// others may use the lane, a job whose create was in doubt at a death may be
// quarantined instead: nobody can know whose an unknown task is.
func (s scenario) agrees(l life, want string) bool {
	if l.outcome == want {
		return true
	}
	got, wanted := strings.Split(l.outcome, "\n")[1:], strings.Split(want, "\n")[1:]
	if s.lane != "false" || len(got) != len(wanted) {
		return false
	}
	for i := range got {
		job, _, _ := strings.Cut(got[i], " ")
		quarantined := got[i] == job+" "+string(batch.StateQuarantined)+" "+codeQuarantined
		if got[i] != wanted[i] && !(quarantined && slices.Contains(l.doubts, job)) {
			return false
		}
	}
	return true
}

// explorer tries deaths of one scenario and counts them.
type explorer struct {
	scenario
	t      *testing.T
	plan   *Plan
	early  *Plan
	want   string // the outcome without a death
	ticks  int    // and its length
	effort effort
	dice   *rand.Rand
	seen   map[string]bool // worlds from which the story was played to its end

	points, images, plays int
}

// isNew tells whether nothing was played yet from a world that nobody could tell
// from the one after this death: the same disk, as much said to the provider, the
// same time.
// Disks that differ only in what opening the journal mends are one.
func (x *explorer) isNew(end life, image int) bool {
	found := end.images[image]
	for _, world := range []string{found.disk().Sum(), x.opened(found)} {
		world = fmt.Sprintf("%d %d %s", end.calls, end.at.UnixNano(), world)
		if x.seen[world] {
			return false
		}
		x.seen[world] = true
	}
	return true
}

// opened tells apart what a restart makes of disks: by the report on what was found,
// and by the disk after the journal was opened, mended and appended to. What follows
// depends on nothing else.
func (x *explorer) opened(found image) string {
	d := found.disk()
	data, _ := d.Bytes(journalName)
	core, again := batch.New(batch.Settings{}, nil), batch.New(batch.Settings{}, nil)
	head, _, err := journal.Replay(bytes.NewReader(data), replayInto(core))
	if err != nil {
		x.t.Errorf("%s: the journal: %v", found.name, err)
		return ""
	}
	told := []byte("no batch")
	if core.Begin() != nil {
		report, err := newReport(core, head, "batch")
		if err == nil {
			told, err = json.Marshal(report)
		}
		if err != nil {
			x.t.Errorf("%s: the report: %v", found.name, err)
		}
	}
	f := &folder{path: "batch", disk: d, core: again}
	if err := f.replay(true); err != nil {
		return fmt.Sprintf("%v %s", err, d.Sum()) // as on a full disk
	}
	err = f.record(batch.Event{Kind: batch.Closed, At: again.Last()})
	return fmt.Sprintf("%v %s %s", err, told, d.Sum())
}

// deaths plays to the end, from every image, every death that can follow on a play
// with so many ticks. Images that were met before are counted and not played.
func (x *explorer) deaths(ticks int) (found []recovery) {
	for tick := 1 + x.dice.IntN(x.effort.points); tick <= ticks; tick += x.effort.points {
		x.points++
		var order []int // of the images that are left to be tried
		fresh := 0
		next := func(l life) int {
			if order == nil {
				x.images += len(l.images)
				order = x.dice.Perm(len(l.images))
			}
			for len(order) > 0 && (x.effort.images == 0 || fresh < x.effort.images) {
				i := order[0]
				order = order[1:]
				if x.isNew(l, i) {
					fresh++
					return i
				}
			}
			return -1
		}
		for {
			l := x.try([]death{{tick: tick}}, next)
			if l.image < 0 {
				break
			}
			found = append(found, recovery{death{tick, l.image}, l.ticks})
			if len(order) == 0 {
				break
			}
		}
	}
	return found
}

// try plays deaths, the last one with an image that pick chooses, and wants the
// story to end as it does without them.
func (x *explorer) try(deaths []death, pick func(life) int) life {
	l := x.play(x.t, deaths, x.effort.torn, pick)
	if l.image >= 0 {
		x.plays++
		if !x.agrees(l, x.want) {
			x.t.Errorf("the outcome differs; want\n%sgot\n%s", x.want, l.outcome)
		}
	}
	if x.t.Failed() {
		image := "no image"
		if l.image >= 0 {
			image = l.images[l.image].name
		}
		x.t.Fatalf("deaths %v; the last before %q, found number %d, %s; doubts %v", deaths, l.died, l.image, image, l.doubts)
	}
	return l
}

// Every scenario is told with a death before and after every change of the disk and
// every call to the provider, with every state that the disk may then be in, and
// with a second death during recovery from the first. The end is always the same:
// one live task per pair, whole files, a true bill, the same report. And whenever
// a create arrives, its intent is already certain to survive.
func TestEveryCrash(t *testing.T) {
	var points, images, plays atomic.Int64
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	t.Setenv("TMPDIR", filepath.Dir(realFolder(t))) // where the emulator keeps uploads
	t.Run("scenarios", func(t *testing.T) {
		for i, s := range scenarios() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				x := &explorer{scenario: s, t: t, effort: howMuch(), dice: rand.New(rand.NewPCG(uint64(i), 1)), seen: map[string]bool{}}
				x.plan, x.early = s.plans(t)
				began := time.Now()
				x.explore()
				points.Add(int64(x.points))
				images.Add(int64(x.images))
				plays.Add(int64(x.plays))
				t.Logf("%d points, %d states of the disk, %d played to the end, %.0f s", x.points, x.images, x.plays, time.Since(began).Seconds())
			})
		}
	})
	t.Logf("in all %d points, %d states of the disk, %d played to the end", points.Load(), images.Load(), plays.Load())
}

func (x *explorer) explore() {
	whole := x.play(x.t, nil, 0, nil)
	if x.want = whole.outcome; x.t.Failed() {
		x.t.Fatalf("without a death:\n%s", x.want)
	}
	if whole.intents == 0 {
		x.t.Fatal("nothing was created")
	}
	x.twice(x.deaths(whole.ticks))
}

// A recovery is a life after one death.
type recovery struct {
	death
	ticks int
}

// twice lets the machine die during recoveries, too: at every point of one recovery
// from each point, or at as many as the effort allows.
func (x *explorer) twice(recoveries []recovery) {
	for range x.effort.twice {
		r := recoveries[x.dice.IntN(len(recoveries))]
		x.again(r, 1+x.dice.IntN(r.ticks))
	}
	if x.effort.twice > 0 {
		return
	}
	of := map[int][]recovery{} // by the point of the first death
	for _, r := range recoveries {
		of[r.tick] = append(of[r.tick], r)
	}
	for _, tick := range slices.Sorted(maps.Keys(of)) {
		r := of[tick][x.dice.IntN(len(of[tick]))]
		for second := 1; second <= r.ticks; second++ {
			x.again(r, second)
		}
	}
}

// again lets the machine die at a point of a recovery, and find one of the disks
// that this may leave.
func (x *explorer) again(r recovery, tick int) {
	const few = 12 // the first images are the various ones: behind them stand torn writes, byte by byte
	x.points++
	x.try([]death{r.death, {tick: tick}}, func(l life) int {
		x.images += len(l.images)
		i := x.dice.IntN(len(l.images))
		if x.dice.IntN(2) == 0 {
			i = x.dice.IntN(min(few, len(l.images)))
		}
		if !x.isNew(l, i) {
			return -1
		}
		return i
	})
}
