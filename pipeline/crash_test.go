package pipeline

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
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
	died    string  // what it was about to do then
	calls   int     // to the provider
	doubts  []string
	outcome string
	intents int
}

// play tells the story of a scenario with deaths in it, one after the other, each
// followed by a restart a minute later. With stop it ends at the last death.
func (x *explorer) play(t *testing.T, deaths []death, torn int, stop bool) (l life) {
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
			l.died, l.images, l.calls = w.epitaph, w.images(torn), w.calls
			if stop && i == len(deaths)-1 {
				return
			}
			w.disk = l.images[d.image].disk()
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
// from the one after this death: the same disk, and as much said to the provider.
func (x *explorer) isNew(end life, image int) bool {
	world := fmt.Sprintf("%d %s", end.calls, end.images[image].disk().Sum())
	was := x.seen[world]
	x.seen[world] = true
	return !was
}

// deaths returns every death that can follow those of a play with so many ticks in
// its last life. Images that were met before are counted but not returned.
func (x *explorer) deaths(before []death, ticks int) (found []death) {
	for tick := 1 + x.dice.IntN(x.effort.points); tick <= ticks; tick += x.effort.points {
		end := x.play(x.t, append(slices.Clip(before), death{tick, 0}), x.effort.torn, true)
		x.points++
		x.images += len(end.images)
		fresh := 0
		for _, i := range x.dice.Perm(len(end.images)) {
			if (x.effort.images == 0 || fresh < x.effort.images) && x.isNew(end, i) {
				fresh++
				found = append(found, death{tick, i})
			}
		}
		if x.t.Failed() {
			return nil
		}
	}
	return found
}

// try plays a list of deaths to the end and returns the ticks of its last life.
func (x *explorer) try(deaths []death) int {
	l := x.play(x.t, deaths, x.effort.torn, false)
	x.plays++
	if !x.agrees(l, x.want) {
		x.t.Errorf("the outcome differs; want\n%sgot\n%s", x.want, l.outcome)
	}
	if x.t.Failed() {
		last := deaths[len(deaths)-1]
		x.t.Fatalf("deaths %v; the last before %q, found %q; doubts %v", deaths, l.died, l.images[last.image].name, l.doubts)
	}
	return l.ticks
}

// Every scenario is told with a death before and after every change of the disk and
// every call to the provider, with every state that the disk may then be in, and
// with a second death during recovery from the first. The end is always the same:
// one live task per pair, whole files, a true bill, the same report. And whenever
// a create arrives, its intent is already certain to survive.
func TestEveryCrash(t *testing.T) {
	var points, images, plays atomic.Int64
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	t.Run("scenarios", func(t *testing.T) {
		for i, s := range scenarios() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				x := &explorer{scenario: s, t: t, effort: howMuch(), dice: rand.New(rand.NewPCG(uint64(i), 1)), seen: map[string]bool{}}
				x.plan, x.early = s.plans(t)
				x.explore()
				points.Add(int64(x.points))
				images.Add(int64(x.images))
				plays.Add(int64(x.plays))
				t.Logf("%d points, %d states of the disk, %d of them distinct and played to the end", x.points, x.images, x.plays)
			})
		}
	})
	t.Logf("in all %d points, %d states of the disk, %d of them distinct and played to the end", points.Load(), images.Load(), plays.Load())
}

func (x *explorer) explore() {
	whole := x.play(x.t, nil, 0, false)
	if x.want = whole.outcome; x.t.Failed() {
		x.t.Fatalf("without a death:\n%s", x.want)
	}
	if whole.intents == 0 {
		x.t.Fatal("nothing was created")
	}
	var recoveries []recovery
	for _, d := range x.deaths(nil, whole.ticks) {
		recoveries = append(recoveries, recovery{d, x.try([]death{d})})
	}
	x.twice(recoveries)
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
	second := death{tick, 0}
	end := x.play(x.t, []death{r.death, second}, x.effort.torn, true)
	x.points++
	x.images += len(end.images)
	second.image = x.dice.IntN(len(end.images))
	if x.dice.IntN(2) == 0 {
		second.image = x.dice.IntN(min(few, len(end.images)))
	}
	if x.isNew(end, second.image) {
		x.try([]death{r.death, second})
	}
}
