package batch

import (
	"fmt"
	"slices"
	"time"
)

// oracle is what the simulator remembers in order to judge.
type oracle struct {
	steps     int
	instant   time.Time
	atInstant int
	minute    time.Time
	inMinute  int
	moved     bool // something was recorded since the money was last checked
	meter     int  // the provider's, when it was
	deadline  time.Time
	again     map[string]int       // a person's resubmissions, by job
	at        map[string]time.Time // when we learned of our tasks
	sent      time.Time            // when the newest intent was made
	jumped    bool                 // the wall clock did
	hindered  []span
	doubts    [3]doubts // by promise: shared, key, all
	graham    float64   // makespan / Graham's bound
}

// span is a time in which the program could not work: it did not run, the service
// was out, the key was refused or the disk was full.
type span struct{ from, to time.Time }

func (s *sim) hinder(from, to time.Time) { s.hindered = append(s.hindered, span{from, to}) }

// unhindered is how long the program could work between two instants.
func (s *sim) unhindered(from, to time.Time) time.Duration {
	if !to.After(from) {
		return 0
	}
	left, at := time.Duration(0), from
	spans := slices.SortedFunc(slices.Values(s.hindered), func(a, b span) int { return a.from.Compare(b.from) })
	for _, h := range append(spans, span{to, to}) {
		begin := h.from
		if begin.After(to) {
			begin = to
		}
		if begin.After(at) {
			left += begin.Sub(at)
		}
		at = later(at, h.to)
	}
	return left
}

// judge checks an event against the truth before it becomes durable.
func (s *sim) judge(e Event) error {
	switch e.Kind {
	case Intended:
		if s.open != "" {
			return fmt.Errorf("an intent of %s while that of %s has no outcome", e.Job, s.open)
		}
		if d := s.set.Deadline; !d.IsZero() && !s.jumped && s.now.Add(fetchTime).After(d) {
			return fmt.Errorf("an intent of %s at %v, and the deadline is %v", e.Job, s.now, d)
		}
		if s.b.Lane(0).Ceiling > 0 {
			s.hit("ceiling")
		}
	case Accepted, Adopted:
		if t := s.p.byID[e.Task]; t == nil || t.job != e.Job {
			return fmt.Errorf("%s takes task %s, which belongs to %+v", e.Job, e.Task, t)
		}
		if e.Kind == Adopted {
			s.hit("adopted")
		}
	case Absent:
		s.hit("absent")
	case Quarantined:
		s.hit("quarantined: " + e.By)
	case Foreign:
		s.hit("foreign")
		strange := false
		for _, id := range e.Tasks {
			t := s.p.byID[id]
			if t.job != "" && !s.agedOut(t.job) {
				return fmt.Errorf("task %s of %s is taken for a stranger's", id, t.job)
			}
			strange = strange || t.job == ""
		}
		if e.Mid && strange {
			return fmt.Errorf("an intruder %v where there was none", e.Tasks)
		}
	case Lost:
		s.hit("lost")
		return s.judgeLost(e)
	case Withdrawn:
		s.hit("withdrawn")
	case Spoiled:
		s.hit("spoiled")
		if !s.spoiled(e.Job) {
			return fmt.Errorf("%s is spoiled, though its files are as planned", e.Job)
		}
	case Again:
		if e.By == byWithdrawal {
			s.hit("canceled and submitted again")
		} else {
			s.hit("task: failed and retried")
		}
	case Ended:
		t := s.p.byID[e.Task]
		if t.status != e.End.Status {
			return fmt.Errorf("%s records %s for task %s, which is %s", e.Job, e.End.Status, e.Task, t.status)
		}
		if t.status == StatusFailed && e.Class == "" {
			s.hit("task: failed for good")
		}
	}
	return nil
}

// agedOut reports whether a job was quarantined without a look at any list. Then a
// list may still show its task, and no rule can tell whose that is: a person can.
func (s *sim) agedOut(id string) bool {
	return slices.ContainsFunc(s.b.byID[id].attempts, func(a Attempt) bool { return a.Outcome == Quarantined && len(a.Candidates) == 0 })
}

// fair is how long a program that can work needs at most to do what is urgent,
// whatever single calls fail meanwhile.
const fair = time.Hour

// judgeLost lets a task be lost only if nobody could have saved it: neither its
// result, while it was there, nor by a cancel, while it still waited late in its
// id's life.
func (s *sim) judgeLost(e Event) error {
	s.hit("lost")
	if s.p.holds(e.Task) {
		return fmt.Errorf("%s gives up task %s, which the provider still has", e.Job, e.Task)
	}
	t := s.p.byID[e.Task]
	ours, dies := s.at[e.Task], s.p.dies(t)
	if t.status == StatusSucceeded {
		if had := s.unhindered(later(ours, t.ended), dies); had >= fair {
			return fmt.Errorf("%s lost the result of task %+v, with %v to fetch it", e.Job, t, had)
		}
	}
	waited := dies
	if !t.scheduled.IsZero() && t.scheduled.Before(dies) {
		waited = t.scheduled
	}
	if had := s.unhindered(later(ours, t.made.Add(s.lane.TaskLife/4*3)), waited); had >= fair && !s.jumped { // a clock that was set back cannot tell
		return fmt.Errorf("%s lost task %+v, with %v to cancel it", e.Job, t, had)
	}
	return nil
}

// check holds what must be true at every instant.
func (s *sim) check(ok bool, wake time.Time) error {
	s.steps++
	if !s.instant.Equal(s.now) {
		s.instant, s.atInstant = s.now, 0
	}
	if s.atInstant++; s.atInstant > 100+4*s.jobs {
		return fmt.Errorf("%d steps at one instant: a hot loop", s.atInstant)
	}
	if !ok && !wake.IsZero() && !wake.After(s.core()) {
		return fmt.Errorf("the core wants to be asked again at once")
	}
	s.p.advance(s.now)
	if s.p.violation != "" {
		return fmt.Errorf("%s", s.p.violation)
	}
	if s.moved || s.meter != s.p.meter {
		s.moved, s.meter = false, s.p.meter
		if err := s.checkMoney(); err != nil {
			return err
		}
	}
	return s.checkLiveness()
}

// checkMoney compares the batch's ledger with the provider's meter and the cap.
func (s *sim) checkMoney() error {
	m := s.b.money
	if s.mix.overrun == 0 {
		most := m.spent.Add(m.held).Add(m.possible)
		if s.set.Cap.Valid && most.GreaterThan(s.set.Cap.Decimal) {
			return fmt.Errorf("%s may be spent, above the cap of %s", most, s.set.Cap.Decimal)
		}
		if s.p.cost.GreaterThan(most) {
			return fmt.Errorf("the meter says %s, above confirmed, held and possible %s", s.p.cost, most)
		}
	}
	if m.spent.GreaterThan(s.p.cost) {
		return fmt.Errorf("%s confirmed, but the meter says %s", m.spent, s.p.cost)
	}
	return nil
}

// checkLiveness wants a process that meets no more faults to come to its end in
// about the time that the work takes.
func (s *sim) checkLiveness() error {
	if !s.calm() {
		return nil
	}
	if s.deadline.IsZero() {
		s.deadline = s.now.Add(s.enough())
	}
	if s.now.After(s.deadline) {
		return fmt.Errorf("%v after the last fault the batch still runs: %+v", s.now.Sub(s.calmAt), s.b.View())
	}
	return nil
}

// enough is how long a calm world needs at most for what is left: the work of the
// provider, a failure that is coming for each job, reaction times, ceilings that
// fade, and cancels that wait for their time.
func (s *sim) enough() time.Duration {
	var work time.Duration
	for _, t := range slices.Concat(s.p.running, s.p.pending) {
		work += t.run
	}
	longest := time.Duration(float64(s.p.mean) * (1 + s.p.spread))
	left := 0
	for _, j := range s.b.jobs {
		if !j.state.AtRest() || j.state == StateFailed {
			left++
		}
	}
	work += longest * time.Duration(2*left)
	slack := 3 * time.Hour
	if s.slept > 0 || s.jumped {
		slack += 2 * s.lane.TaskLife // what nobody knows any more grows old by a clock that lags
	}
	return work*21/20/time.Duration(max(1, s.p.slots)) + 2*time.Minute*time.Duration(left) +
		ceilingStep*time.Duration(s.lane.Running) + slack
}

// checkEnd holds what must be true when a run ended on purpose.
func (s *sim) checkEnd(v View) error {
	for id, n := range s.p.paid {
		if n > 1+s.again[id] {
			return fmt.Errorf("job %s was paid %d times, and a person asked for it %d times", id, n, s.again[id])
		}
	}
	if v.Stop == StopNone && v.Left > 0 {
		return fmt.Errorf("%d jobs are left, and nothing will ever wake the batch: %+v", v.Left, v)
	}
	if !s.honest {
		return nil
	}
	if v.Left > 0 || v.Jobs[StateDone] != s.jobs {
		return fmt.Errorf("nothing went wrong, and yet %d of %d jobs are done: %+v", v.Jobs[StateDone], s.jobs, v)
	}
	return s.checkGraham()
}

// checkGraham holds the makespan against Graham's bound for a machine that is
// never idle while work waits:
//
//	T <= sum d / c + (1 - 1/c) max d
//
// where a task counts for the time that it runs, and besides for the time in which
// we can notice its end and create the next one, unless enough tasks wait at the
// provider to bridge that.
func (s *sim) checkGraham() error {
	var sum, longest time.Duration
	shortest := s.lane.TaskLife
	for _, t := range s.p.tasks {
		sum += t.run
		longest, shortest = max(longest, t.run), min(shortest, t.run)
	}
	c := s.p.slots
	reaction := s.lane.PollMax + 5*time.Second + 2*time.Second*time.Duration(c)
	perTask := reaction
	switch {
	case s.p.reject:
		perTask += backoffMax // the slots are found by refusals
	case s.lane.Running+s.lane.Ahead-c > int(reaction*time.Duration(c)/shortest)+1:
		perTask = 0
	}
	sum += perTask * time.Duration(s.jobs)
	last := (longest + perTask) * time.Duration(c-1)
	bound := (sum+last)/time.Duration(c) + 2*reaction
	took := s.now.Sub(epoch)
	if s.graham = float64(took) / float64(bound); took > bound {
		return fmt.Errorf("%d tasks, %d at once, took %v; Graham's bound is %v", s.jobs, c, took, bound)
	}
	return nil
}

// count takes an event about a doubt into the totals, before it is applied.
func (s *sim) count(e Event) {
	l := s.b.lanes[0]
	if e.Kind != Absent && e.Kind != Adopted && e.Kind != Quarantined || e.By == ByOperator || l.unsettled == nil {
		return
	}
	d := &s.doubts[slices.Index(promises, l.promiseOfDoubt())]
	d.all++
	took := s.core().Sub(l.doubtAt)
	switch {
	case e.Kind != Quarantined:
		d.settled++
		if s.mix.lookFail+s.mix.incomplete+s.mix.drift+s.mix.hide == 0 && s.unhindered(s.now.Add(-took), s.now) == took {
			d.slowest = max(d.slowest, took)
		}
	case e.By == byAge && (s.jumped || s.mix.untold || s.unhindered(s.sent, s.sent.Add(s.lane.TaskLife-s.lane.Settle)) < fair):
		d.outlived++
	}
}
