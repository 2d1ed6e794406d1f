package batch

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// figures are what an honest provider and our looking at it make of a batch.
type figures struct {
	makespan float64       // over the lower bound
	queries  float64       // calls about tasks, per task; a list counts for its pages
	delay    time.Duration // from the end of a task to our knowledge of it
	over     int           // calls beyond a limit of the provider

	runs  []time.Duration // the tasks that it was measured with
	steps int
}

// honest plays one seed without faults: lengths are known, and a task runs for
// about as long as the prior says, within a quarter.
func honest(seed uint64, jobs, running, ahead int) (f figures, err error) {
	s := newSim(seed)
	s.rnd = rand.New(rand.NewPCG(seed, 7))
	s.mix, s.calmAt, s.jobs, s.alone, s.honest, s.store, s.bucket = mix{}, epoch, jobs, true, true, nil, newBucket()
	s.set, s.lane = testSettings(), testLane()
	s.set.Fetches, s.set.Backlog = 4, 8
	s.lane.Running, s.lane.Ahead = running, ahead
	s.p = newProvider(s.rnd, epoch, s.lane.TaskLife)
	s.p.slots, s.p.runOf = running, map[string]time.Duration{}
	s.lengths = map[string]decimal.Decimal{}
	s.traced = true
	for i := range jobs {
		id, tenths := fmt.Sprintf("j%d", i), 30+s.rnd.Int64N(90)
		s.lengths[id] = decimal.New(tenths, -1)
		run := time.Duration(float64(15*time.Second+2*time.Second*time.Duration(tenths)) * (0.75 + s.rnd.Float64()/2))
		s.p.runOf[id] = run
		f.runs = append(f.runs, run)
	}
	if err := s.play(); err != nil {
		return f, err
	}
	var last time.Time
	for _, e := range s.events {
		switch e.Kind {
		case Ended:
			f.delay += e.At.Sub(s.p.byID[e.Task].ended) / time.Duration(jobs)
		case Stored:
			last = e.At
		}
	}
	f.makespan = float64(last.Sub(epoch)) / float64(lowerBound(f.runs, running))
	f.queries = float64(len(s.looksAt)) / float64(jobs)
	f.over = overLimit(s.looksAt, limitLooks) + overLimit(s.createsAt, limitCreates)
	f.steps = s.steps
	return f, nil
}

// limitCreates is how many creates the provider allows in a second.
const limitCreates = 5

// trace is when calls were made, where somebody wants to know.
type trace struct {
	traced             bool
	looksAt, createsAt []time.Duration
}

// call takes in one effect; a list is as many calls as the last one had pages.
func (t *trace) call(e Effect, at time.Duration, pages, glancePages int) {
	if e.Status != "" {
		pages = glancePages
	}
	switch {
	case !t.traced || e.Op == OpFetch || e.Op == OpUpload:
	case e.Op == OpCreate:
		t.createsAt = append(t.createsAt, at)
	case e.Op == OpList:
		for i := range max(pages, 1) { // one after the other
			t.looksAt = append(t.looksAt, at+time.Duration(i)*roundTrip)
		}
	default:
		t.looksAt = append(t.looksAt, at)
	}
}

// shapes are the batches that figures are taken of, and what they must reach; 0 is
// no target.
var shapes = []struct {
	jobs, running, ahead    int
	makespan                float64 // at most, over the lower bound
	queriesToSDK, delayTo15 float64 // at most, as parts of the twins'
}{
	{50, 1, 2, 1.01, 1. / 3, 1. / 3},
	{500, 1, 2, 1.01, 1. / 3, 1. / 3},
	{50, 5, 2, 1.02, 0, 1. / 3},
	{500, 5, 2, 1.02, 0, 1. / 3},
	{50, 10, 2, 1.05, 0, 1. / 3},
	{500, 10, 2, 1.05, 0, 1. / 3},
	{400, 10, 90, 0, 1. / 10, 1. / 3},
	{200, 40, 5, 0, 0, 1. / 10}, // looks by list
	{400, 100, 0, 0, 1. / 10, 1. / 10},
}

// BenchmarkBatch prints how close a batch comes to what is possible, beside the
// twins, as ratios: they are the simulator's, so they do not depend on the machine.
// Nothing fails here for being slow; TestSpeed holds what is counted.
func BenchmarkBatch(b *testing.B) {
	for _, c := range shapes {
		b.Run(fmt.Sprintf("%d_jobs/%d_running/%d_ahead", c.jobs, c.running, c.ahead), func(b *testing.B) {
			var sum, sdk, slow figures
			for n := range b.N {
				f, err := honest(uint64(n%3), c.jobs, c.running, c.ahead)
				if err != nil {
					b.Fatal(err)
				}
				sum.add(f)
				sdk.add(twin{c.running + c.ahead, sdkWait}.play(f.runs, c.running))
				slow.add(twin{c.running + c.ahead, each15s}.play(f.runs, c.running))
			}
			part := func(x float64) float64 { return x / float64(b.N) }
			b.ReportMetric(part(sum.makespan), "makespan/bound")
			b.ReportMetric(part(sdk.makespan), "sdk-makespan/bound")
			b.ReportMetric(part(sum.queries), "queries/task")
			b.ReportMetric(sum.queries/sdk.queries, "queries/sdk")
			b.ReportMetric(part(sum.delay.Seconds()), "s-delay")
			b.ReportMetric(sum.delay.Seconds()/slow.delay.Seconds(), "delay/15s-polling")
			b.ReportMetric(sum.delay.Seconds()/sdk.delay.Seconds(), "delay/sdk")
			b.ReportMetric(float64(sum.over), "over-limit")
			b.ReportMetric(part(float64(sdk.over)), "sdk-over-limit")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sum.steps), "ns/step")
		})
	}
}

// BenchmarkNext is what one decision costs in the middle of a batch: a look falls
// due, is answered, and the core wants to wait again.
func BenchmarkNext(b *testing.B) {
	for _, jobs := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprintf("%d_jobs", jobs), func(b *testing.B) {
			core, now := New(testSettings(), []LaneSettings{testLane()}), epoch
			apply := func(e Event) {
				if e.At = now; core.Apply(e) != nil {
					b.Fatal(e)
				}
			}
			apply(Event{Kind: Begun, Begin: &Begin{}})
			for i := range jobs {
				id := fmt.Sprint(i)
				apply(Event{Kind: Planned, Job: id, Plan: testPlan(id)})
			}
			apply(Event{Kind: Opened, Run: &Run{}})
			for i := range min(jobs, 3) {
				id := fmt.Sprint(i)
				apply(Event{Kind: Intended, Job: id, Attempt: 1, Lane: testLane().Name, Hold: money("0.6")})
				apply(Event{Kind: Accepted, Job: id, Attempt: 1, Task: "t" + id})
			}
			decisions := 0
			for b.Loop() {
				step, wake, ok := core.Next(now)
				decisions++
				switch {
				case !ok:
					now = wake
				case step.Record != nil:
					apply(*step.Record)
				default:
					core.Observe(Observation{Effect: *step.Effect, Result: Looked, Status: StatusRunning})
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(decisions), "ns/decision")
		})
	}
}

func (f *figures) add(o figures) {
	f.makespan += o.makespan
	f.queries += o.queries
	f.delay += o.delay
	f.over += o.over
	f.steps += o.steps
}

// TestSpeed holds the targets: they are counted in virtual time, so no machine is
// too slow for them.
func TestSpeed(t *testing.T) {
	for _, c := range shapes {
		const seeds = 3
		if testing.Short() && c.jobs > 50 {
			continue
		}
		var sum, sdk, slow figures
		for seed := range uint64(seeds) {
			f, err := honest(seed, c.jobs, c.running, c.ahead)
			if err != nil {
				t.Fatal(err)
			}
			sum.add(f)
			sdk.add(twin{c.running + c.ahead, sdkWait}.play(f.runs, c.running))
			slow.add(twin{c.running + c.ahead, each15s}.play(f.runs, c.running))
		}
		queries, delay := sum.queries/sdk.queries, sum.delay.Seconds()/slow.delay.Seconds()
		t.Logf("%3d jobs, %3d running, %2d ahead: makespan/bound %.4f (sdk %.4f), queries a task %.1f = %.3f of the sdk's, delay %.2f s = %.3f of 15 s polling's, %d calls over a limit (sdk %d)",
			c.jobs, c.running, c.ahead, sum.makespan/seeds, sdk.makespan/seeds, sum.queries/seeds, queries, sum.delay.Seconds()/seeds, delay, sum.over, sdk.over/seeds)
		if c.makespan > 0 && sum.makespan/seeds > c.makespan {
			t.Errorf("makespan %.4f of the bound, want %.2f", sum.makespan/seeds, c.makespan)
		}
		if c.queriesToSDK > 0 && queries > c.queriesToSDK {
			t.Errorf("%.3f of the SDK's queries, want %.3f", queries, c.queriesToSDK)
		}
		if c.delayTo15 > 0 && delay > c.delayTo15 {
			t.Errorf("%.3f of the delay of 15 s polling, want %.3f", delay, c.delayTo15)
		}
		if sum.over > 0 {
			t.Errorf("%d calls over a limit", sum.over)
		}
	}
}
