package batch

import (
	"slices"
	"time"
)

// A twin is a client as people write them: it keeps so many tasks in flight, asks
// for each of them in a loop of its own, and creates the next one when it notices
// that one has ended.
type twin struct {
	inFlight int
	interval func(n int) time.Duration // before the n-th look at a task, from 0
}

// sdkWait is the loop of the provider's own SDK.
func sdkWait(n int) time.Duration {
	seconds := []int{1, 1, 2, 2, 2, 4, 4, 4, 5}
	return time.Duration(seconds[min(n, len(seconds)-1)]) * time.Second
}

func each15s(int) time.Duration { return 15 * time.Second }

// roundTrip is that of a twin's calls: the mean of the simulator's.
const roundTrip = 220 * time.Millisecond

// play runs the tasks of a batch, in order, at a provider that runs so many at once.
func (c twin) play(runs []time.Duration, slots int) (f figures) {
	free := make([]time.Duration, slots)        // when each slot is free
	client := make([]time.Duration, c.inFlight) // when each loop can create
	var looks []time.Duration
	var last time.Duration
	for _, run := range runs {
		loop := slices.Index(client, slices.Min(client))
		made := client[loop] + roundTrip
		slot := slices.Index(free, slices.Min(free))
		end := max(made, free[slot]) + run
		free[slot] = end
		seen := made
		for n := 0; seen < end; n++ {
			seen += c.interval(n)
			looks = append(looks, seen)
		}
		seen += roundTrip / 2
		f.delay += (seen - end) / time.Duration(len(runs))
		client[loop] = seen
		last = max(last, seen)
	}
	f.queries = float64(len(looks)) / float64(len(runs))
	f.makespan = float64(last) / float64(lowerBound(runs, slots))
	f.over = overLimit(looks, limitLooks)
	return f
}

// limitLooks is how many queries, lists and cancels the provider allows in a second.
const limitLooks = 20

// overLimit counts calls that are not among the first so many of a second.
func overLimit(at []time.Duration, limit int) (over int) {
	slices.Sort(at)
	for i := limit; i < len(at); i++ {
		if at[i]-at[i-limit] < time.Second {
			over++
		}
	}
	return over
}

// lowerBound is what no client can beat: all slots busy from the instant at which
// they can be, one create a second, and the longest task.
func lowerBound(runs []time.Duration, slots int) time.Duration {
	var sum time.Duration
	for _, run := range runs {
		sum += run
	}
	ramp := testLane().CreateGap * time.Duration(slots*(slots-1)/2) // slot j cannot start before j creates
	return max((sum+ramp)/time.Duration(slots), slices.Max(runs))
}
