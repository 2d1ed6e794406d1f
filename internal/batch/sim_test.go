package batch

import (
	"flag"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The simulator: one thread, a clock of its own, a provider with every fault
// that a seed chose, and a driver that dies at any step. What must hold is
// checked after every step against the provider's meter.
//
//	sim_test.go           the seeds, what they must reach between them, and the totals
//	sim_world_test.go     a world: what can go wrong in it, and when
//	sim_driver_test.go    lives of the program in it: the driver's loop, crashes, a person
//	sim_worker_test.go    effects on their way to the provider and back
//	sim_provider_test.go  the provider and its meter
//	sim_upload_test.go    local inputs and where they are uploaded to
//	sim_oracle_test.go    what must be true
//	sim_diary_test.go     what happened, and a hash of it
//	store_test.go         the real journal on a model disk, below some of the worlds

var (
	seedFlag  = flag.Int64("seed", -1, "simulate this seed alone")
	seedsFlag = flag.Int("seeds", 2000, "simulate this many seeds")
	fromFlag  = flag.Int("from", 0, "begin with this seed")
)

func TestSimulate(t *testing.T) {
	if *seedFlag >= 0 {
		s := newSim(uint64(*seedFlag))
		if err := s.play(); err != nil {
			t.Fatalf("%v\n%s", err, s.story(100))
		}
		t.Logf("%d jobs, %d runs, %d steps, %v simulated, hash %x, %v", s.jobs, s.run, s.steps, s.now.Sub(epoch), s.hash, s.reach)
		return
	}
	seeds := *seedsFlag
	if testing.Short() || raceEnabled {
		seeds = min(seeds, 100) // one thread has no races; the table below needs the rest
	}
	// Seeds share nothing, so there are as many threads of them as processors. What
	// they leave behind is garbage at once: it is collected less often than usual.
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	all := totals{reach: map[string]int{}, faults: map[string]int{}, began: time.Now()}
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for n := next.Add(1); n <= int64(seeds) && !t.Failed(); n = next.Add(1) {
				seed := *fromFlag + int(n) - 1
				s := newSim(uint64(seed))
				if err := s.play(); err != nil {
					t.Errorf("go test ./internal/batch -run 'TestSimulate$' -seed=%d\n%v\n%s", seed, err, s.story(25))
				}
				all.add(s)
			}
		})
	}
	group.Wait()
	all.print(t)
	if !t.Failed() && seeds >= 2000 {
		all.check(t)
	}
}

func TestSimulationIsDeterministic(t *testing.T) {
	for seed := range uint64(40) {
		a, b := newSim(seed), newSim(seed)
		if err := a.play(); err != nil {
			t.Fatal(err)
		}
		if err := b.play(); err != nil || a.hash != b.hash {
			t.Fatalf("two runs of seed %d differ: %x and %x, %v", seed, a.hash, b.hash, err)
		}
	}
}

// totals are what many seeds had between them.
type totals struct {
	sync.Mutex
	began         time.Time
	seeds         int
	steps, events int
	hours         time.Duration
	longest       time.Duration
	jobs, hits    []int          // of each seed: jobs, and faults
	reach         map[string]int // seeds that met a situation
	faults        map[string]int // how often a fault happened
	doubts        [3]doubts      // by promise
	graham        []float64      // makespan / the bound, of the seeds without faults
}

func (a *totals) add(s *sim) {
	a.Lock()
	defer a.Unlock()
	a.seeds++
	a.steps += s.steps
	a.events += len(s.events)
	a.hours += s.now.Sub(epoch)
	a.longest = max(a.longest, s.now.Sub(epoch))
	a.jobs = append(a.jobs, s.jobs)
	hits := 0
	for k, n := range s.reach {
		a.reach[k]++
		if isFault[k] {
			a.faults[k] += n
			hits += n
		}
	}
	a.hits = append(a.hits, hits)
	for i := range s.doubts {
		a.doubts[i].add(s.doubts[i])
	}
	if s.graham > 0 {
		a.graham = append(a.graham, s.graham)
	}
}

func median(ns []int) int {
	slices.Sort(ns)
	return ns[len(ns)/2]
}

func (a *totals) print(t *testing.T) {
	took := time.Since(a.began)
	t.Logf("%d seeds in %.1f s: %.0f seeds/s, %.0f virtual hours (the longest %.1f), %d steps, %d events",
		a.seeds, took.Seconds(), float64(a.seeds)/took.Seconds(), a.hours.Hours(), a.longest.Hours(), a.steps, a.events)
	t.Logf("median %d jobs and %d faults a seed", median(a.jobs), median(a.hits))
	for i, promise := range promises {
		d := a.doubts[i]
		t.Logf("exclusive %-5s  %d doubts: %d settled by themselves, %d too old for a list, %d left to a person: %.2f%%; within %v where nothing else went wrong",
			string(promise)+":", d.all, d.settled, d.outlived, d.all-d.settled-d.outlived, 100*d.share(), d.slowest.Round(time.Second))
	}
	if len(a.graham) > 0 {
		t.Logf("%d seeds without faults or strangers: makespan at most %.3f of Graham's bound", len(a.graham), slices.Max(a.graham))
	}
	for _, k := range reachable {
		if isFault[k] {
			t.Logf("%6d seeds  %s (%d times)", a.reach[k], k, a.faults[k])
		} else {
			t.Logf("%6d seeds  %s", a.reach[k], k)
		}
	}
}

// check holds that the worlds were no toys and that the seeds met everything.
func (a *totals) check(t *testing.T) {
	for _, k := range reachable {
		if a.reach[k] == 0 {
			t.Errorf("no seed reaches: %s", k)
		}
	}
	for k := range a.reach {
		if !slices.Contains(reachable, k) {
			t.Errorf("%q is not in the table of reachable situations", k)
		}
	}
	if jobs, faults := median(a.jobs), median(a.hits); jobs < 20 || faults < 5 {
		t.Errorf("toy worlds: a median of %d jobs and %d faults, want 20 and 5", jobs, faults)
	}
	if most := slices.Max(a.jobs); most < 190 || a.longest < 60*time.Hour {
		t.Errorf("small worlds: at most %d jobs and %v", most, a.longest)
	}
	exclusive := a.doubts[slices.Index(promises, ExclusiveAll)]
	if exclusive.all < a.seeds/2 || exclusive.share() < 0.999 {
		t.Errorf("%.3f%% of %d doubts on exclusive lanes settled by themselves, want 99.9%%", 100*exclusive.share(), exclusive.all)
	}
	if exclusive.slowest > testLane().Settle+time.Minute {
		t.Errorf("a doubt took %v to settle although lists worked", exclusive.slowest)
	}
	if len(a.graham) < a.seeds/20 {
		t.Errorf("only %d seeds were measured against Graham's bound", len(a.graham))
	}
}

// The rare situations that the seeds must meet between them: faults, and what
// comes of them.
var (
	faultNames = []string{
		"create: request lost", "create: reply lost", "create: delivered late", "create: no room for the intent",
		"refused: input", "refused: config", "refused: throttle", "refused: burst", "refused: quota", "refused: retry", "refused: none", "refused: account", "refused: key",
		"task: fails", "task: no usage", "task: billed above hold",
		"look: unknown flap", "look: backwards", "look: failed", "list: incomplete", "list: row missed", "list: shows nothing", "look: refused for this task alone", "list: late row",
		"crash: before the record", "crash: in the middle of the record", "crash: between intent and create", "crash: after the effect",
		"stop: interrupted", "cancel: just started", "cancel: reply lost", "cancel: failed",
		"fetch: forbidden early", "fetch: failed", "fetch: disk full",
		"outage", "full disk", "account in arrears", "setting refused", "key refused", "slots fall", "jam", "run: long pause",
		"upload: failed", "upload: file changed", "machine sleeps", "clock: jumps between runs",
	}
	rareNames = []string{
		"absent", "adopted", "quarantined: " + byShared, "quarantined: " + byAge, "quarantined: " + byKeyless,
		"refused: over the slots", "task: failed for good", "task: failed and retried", "list: asked while a create is open",
		"crash: the cut record is there", "crash: create under way", "crash: during recovery",
		"stop: budget", "stop: account", "stop: key", "stop: setup", "stop: disk",
		"withdrawn", "canceled and submitted again", "cancel: too late", "lost", "foreign", "ceiling",
		"person: adopted", "person: again", "person: abandoned", "person: retries failed jobs", "person: settles a doubt",
		"uploaded", "upload: again, before the old one ends", "spoiled", "reused", "new price under a task", "stop: deadline", "clock: behind the journal",
		"several running", "looks by list", "more than 24 hours", "all done",
	}
	reachable = slices.Concat(faultNames, rareNames)
	isFault   = func() map[string]bool {
		is := map[string]bool{}
		for _, k := range faultNames {
			is[k] = true
		}
		return is
	}()
)

// promises are those of lanes, in the order in which doubts are counted.
var promises = []Exclusive{Shared, ExclusiveKey, ExclusiveAll}

// doubts counts creates without an answer, and what became of them.
type doubts struct {
	all      int
	settled  int           // absent or adopted, by the core alone
	outlived int           // quarantined because no list could show the task any more
	slowest  time.Duration // from doubt to settlement, where neither lists nor processes failed between
}

func (d *doubts) add(o doubts) {
	d.all += o.all
	d.settled += o.settled
	d.outlived += o.outlived
	d.slowest = max(d.slowest, o.slowest)
}

// share is the part that settled by itself of the doubts that lists could show.
func (d *doubts) share() float64 { return float64(d.settled) / float64(max(d.all-d.outlived, 1)) }
