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
	queries  float64       // queries and lists per task
	delay    time.Duration // from the end of a task to our knowledge of it
}

// honest plays one seed without faults: lengths are known, and a task runs for
// about as long as the prior says, within a quarter.
func honest(seed uint64, jobs, running, ahead int) (f figures, err error) {
	s := newSim(seed)
	s.rnd = rand.New(rand.NewPCG(seed, 7))
	s.mix, s.calmAt, s.jobs, s.alone, s.honest, s.store = mix{}, epoch, jobs, true, false, nil
	s.set, s.lane = testSettings(), testLane()
	s.set.Fetches, s.set.Backlog = 4, 8
	s.lane.Running, s.lane.Ahead = running, ahead
	s.p = newProvider(s.rnd, epoch, s.lane.TaskLife)
	s.p.slots, s.p.runOf = running, map[string]time.Duration{}
	s.lengths = map[string]decimal.Decimal{}
	var sum, longest time.Duration
	for i := range jobs {
		id, tenths := fmt.Sprintf("j%d", i), 30+s.rnd.Int64N(90)
		s.lengths[id] = decimal.New(tenths, -1)
		run := time.Duration(float64(15*time.Second+2*time.Second*time.Duration(tenths)) * (0.75 + s.rnd.Float64()/2))
		s.p.runOf[id] = run
		sum += run
		longest = max(longest, run)
	}
	if err := s.play(); err != nil {
		return f, err
	}
	ends := map[string]time.Time{}
	var last time.Time
	for _, t := range s.p.tasks {
		if t.job != "" {
			ends[t.id] = t.ended
		}
	}
	for _, e := range s.events {
		switch e.Kind {
		case Ended:
			f.delay += e.At.Sub(ends[e.Task]) / time.Duration(jobs)
		case Stored:
			last = e.At
		}
	}
	ramp := s.lane.CreateGap * time.Duration(running*(running-1)/2) // slot j cannot start before j creates
	bound := max((sum+ramp)/time.Duration(running), longest)
	f.makespan = float64(last.Sub(epoch)) / float64(bound)
	f.queries = float64(s.calls[OpQuery]+s.calls[OpList]) / float64(jobs)
	return f, nil
}

// TestFigures prints how close a batch comes to what is possible, against a
// client that polls every task each 15 s.
func TestFigures(t *testing.T) {
	for _, c := range []struct {
		jobs, running, ahead int
		makespan             float64
	}{
		{50, 1, 2, 1.01}, {50, 5, 2, 1.02}, {50, 10, 2, 1.05},
		{500, 1, 2, 1.01}, {500, 5, 2, 1.02}, {500, 10, 2, 1.05}, {200, 40, 5, 0},
	} {
		const seeds = 3
		if testing.Short() && c.jobs > 50 {
			continue
		}
		var mean figures
		for seed := range uint64(seeds) {
			f, err := honest(seed, c.jobs, c.running, c.ahead)
			if err != nil {
				t.Fatal(err)
			}
			mean.makespan += f.makespan / seeds
			mean.queries += f.queries / seeds
			mean.delay += f.delay / seeds
		}
		t.Logf("%3d jobs, %2d running, %d ahead: makespan/bound %.4f (target %.2f), %5.1f queries a task, detected after %5.2f s (15 s polling: 7.50 s)",
			c.jobs, c.running, c.ahead, mean.makespan, c.makespan, mean.queries, mean.delay.Seconds())
	}
}
