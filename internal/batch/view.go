package batch

import (
	"iter"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// View is a summary at one instant.
type View struct {
	Jobs       map[State]int
	Total      int
	Spent      decimal.Decimal // confirmed usage at list price
	Held       decimal.Decimal // in flight, in doubt, quarantined
	Possible   decimal.Decimal // may have been billed, never released
	Overruns   int             // tasks billed above their hold
	Left       int             // jobs that a run could still move by itself
	InDoubt    []string        // jobs whose create is unsettled
	Live       int             // tasks that the provider has not ended
	Stop       Stop
	StopCode   string
	StopNote   string
	Unselected int             // of those Left: jobs that this run was told to leave alone
	NextHold   decimal.Decimal // what the next job to submit would hold; zero if there is none
	LeftHold   decimal.Decimal // what all jobs would hold that this run may still submit
}

// View returns the summary. It is a fresh copy.
func (b *Batch) View() View {
	v := View{
		Jobs: make(map[State]int, len(b.counts)), Total: len(b.jobs),
		Spent: b.money.spent, Held: b.money.held, Possible: b.money.possible, Overruns: b.money.overruns,
		Stop: b.stop, StopCode: b.stopCode, StopNote: b.stopNote,
	}
	for s, n := range b.counts {
		if n > 0 {
			v.Jobs[s] = n
		}
	}
	for _, j := range b.jobs {
		switch {
		case j.removed && j.state == StatePending:
			v.Total--
			v.Jobs[StatePending]--
		case !j.state.AtRest() || slices.Contains(b.failed, j) && b.returns(j):
			v.Left++
			if b.leaves(j) {
				v.Unselected++
			} else if j.state == StatePending {
				v.LeftHold = v.LeftHold.Add(j.plan.Hold)
			}
		}
	}
	for _, l := range b.lanes {
		v.Live += len(l.live)
		if l.unsettled != nil {
			v.InDoubt = append(v.InDoubt, l.unsettled.id)
		}
	}
	j := b.nextPending(distant)
	if j == nil {
		return v
	}
	v.NextHold = j.plan.Hold
	if v.Stop == StopNone && v.Live == 0 && len(v.InDoubt) == 0 {
		switch { // nothing that is held can be released any more, nor ends anything in time
		case !b.fits(j):
			v.Stop = StopBudget
		case b.late:
			v.Stop = StopDeadline
		}
	}
	return v
}

// distant is later than any time at which a job may be due.
var distant = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Job is a read-only copy of one job: everything a report needs.
type Job struct {
	ID       string
	Plan     Plan
	State    State
	Attempts []Attempt // shared with the batch: do not change
	Artifact *Artifact
	StoredAt time.Time
	Reason   string
	Origin   string // of a reused artifact: the batch that made it
	Spoil    *Spoil // why its inputs cannot be sent; nil when nothing is known against them
	Removed  bool
	Skipped  bool
	Expected time.Duration // run time that the core expects for it now
	Since    time.Time     // when its task can have begun to run, by our clock; zero if unknown
}

// Jobs yields every job in manifest order, those that left the manifest included.
func (b *Batch) Jobs() iter.Seq[Job] {
	return func(yield func(Job) bool) {
		for _, j := range b.jobs {
			if !yield(b.export(j)) {
				return
			}
		}
	}
}

// Job returns one job by id.
func (b *Batch) Job(id string) (Job, bool) {
	j, ok := b.byID[id]
	if !ok {
		return Job{}, false
	}
	return b.export(j), true
}

func (b *Batch) export(j *job) Job {
	out := Job{ID: j.id, Plan: j.plan, State: j.state, Attempts: j.attempts, Artifact: j.artifact,
		StoredAt: j.storedAt, Reason: j.reason, Origin: j.origin, Spoil: j.spoil, Removed: j.removed, Skipped: j.notSelected, Since: j.watch.since}
	if l := b.laneOf(j); l != nil {
		out.Expected = l.expect(j)
	}
	return out
}

// Lane describes a lane as it stands.
type Lane struct {
	Name       string
	Exclusive  Exclusive // after what was seen: an exclusive lane with an intruder is Shared
	Live       int
	OthersLive int // live tasks of others in the last list
	Ceiling    int // slots learned from refusals; 0 if none
	Misses     int // lists of this run that had every page and missed a task of ours
}

// Lane returns the lane of index i.
func (b *Batch) Lane(i int) Lane {
	l := b.lanes[i]
	return Lane{Name: l.Name, Exclusive: l.promise(), Live: len(l.live), OthersLive: l.othersLive, Ceiling: l.ceiling, Misses: l.misses}
}

// Watched returns the jobs whose tasks can be running now, oldest first.
func (b *Batch) Watched() []Job {
	var jobs []Job
	for _, l := range b.lanes {
		for _, j := range l.live[:min(l.Running, len(l.live))] {
			jobs = append(jobs, b.export(j))
		}
	}
	return jobs
}

// Remaining is how long the jobs that this run may still submit and the tasks
// that are live should take, if no stranger uses the lanes. It is for people: no
// decision depends on it.
func (b *Batch) Remaining(now time.Time) time.Duration {
	var total time.Duration
	slots := 0
	for _, l := range b.lanes {
		slots += l.Running
		for _, j := range l.live {
			left := l.expect(j)
			if !j.watch.since.IsZero() {
				left = max(0, left-now.Sub(j.watch.since))
			}
			total += left
		}
	}
	if slots == 0 {
		return 0
	}
	for _, j := range b.jobs {
		if j.state == StatePending && !j.notSelected && !j.removed {
			total += b.lanes[0].expect(j)
		}
	}
	return total / time.Duration(slots)
}
