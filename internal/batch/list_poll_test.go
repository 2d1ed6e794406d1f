package batch

import (
	"testing"
	"time"
)

// Many running tasks are looked at by lists of those that run.

// crowded opens a run with so many running tasks, which no list has shown yet.
func crowded(t *testing.T, jobs, tasks int) *rig {
	t.Helper()
	r := newRig(t, jobs, func(s *Settings, l *LaneSettings) { l.Running, l.Ahead = tasks, 1 })
	r.baseline()
	for range tasks {
		r.submit()
	}
	return r
}

// serve answers lists and queries for a while: a list poll shows what shown says, and
// every task runs on.
func (r *rig) serve(d time.Duration, shown func(glance int) []Row) (glances, queries int) {
	r.t.Helper()
	for end := r.now.Add(d); r.now.Before(end); {
		wake := r.pump()
		for len(r.flying) > 0 {
			e := r.flying[0]
			r.flying = r.flying[1:]
			switch {
			case e.Op == OpQuery:
				queries++
				r.answer(e, Observation{Result: Looked, Status: StatusRunning})
			case e.Status != "":
				glances++
				r.answer(e, Observation{Result: Listed, Rows: shown(glances), Complete: true, Pages: 1})
			default:
				r.answer(e, Observation{Result: Listed, Rows: r.mine(), Complete: true, Pages: 1})
			}
			wake = r.pump()
		}
		r.now = wake
	}
	return glances, queries
}

func TestGlanceSparesQueries(t *testing.T) {
	r := crowded(t, 12, 12)
	glances, queries := r.serve(10*time.Minute, func(int) []Row { return r.mine() })
	if glances < 100 || queries > 12 {
		t.Errorf("%d lists and %d queries in 10 minutes of 12 tasks that run on", glances, queries)
	}
}

func TestGlanceThatMissesATaskHasItAskedFor(t *testing.T) {
	r := crowded(t, 12, 12)
	r.serve(time.Minute, func(int) []Row { return r.mine() })
	rows := r.mine()
	e := r.await(OpList)
	if e.Status != StatusRunning {
		t.Fatalf("a list of %q, want of %s", e.Status, StatusRunning)
	}
	r.answer(e, Observation{Result: Listed, Rows: rows[1:], Complete: true, Pages: 1})
	at := r.now
	if q := r.await(OpQuery); q.Task != rows[0].Task || r.now != at {
		t.Errorf("asked for %s after %v, want %s at once", q.Task, r.now.Sub(at), rows[0].Task)
	}
}

// A provider whose filter shows nothing must not turn every list into a storm of
// queries.
func TestGlancesThatMissRunningTasksAreGivenUp(t *testing.T) {
	r := crowded(t, 12, 12)
	shown := func(glance int) []Row {
		if glance == 1 {
			return r.mine()
		}
		return nil
	}
	r.serve(time.Minute, shown)
	if glances, queries := r.serve(10*time.Minute, shown); glances > 0 || queries == 0 {
		t.Errorf("still %d lists that show nothing, and %d queries", glances, queries)
	}
}

func TestTaskThatNoGlanceShowsIsAskedForAlone(t *testing.T) {
	r := crowded(t, 12, 12)
	glances, queries := r.serve(10*time.Minute, func(int) []Row { return nil })
	each := int(10 * time.Minute / r.lane.PollMax)
	if glances < 100 || queries < 12*(each-2) || queries > 12*(each+2) {
		t.Errorf("%d lists and %d queries in 10 minutes, want about %d queries", glances, queries, 12*each)
	}
}

// What a list of running tasks leaves out proves nothing about a create, whose task
// may still wait.
func TestGlanceIsNoEvidence(t *testing.T) {
	r := crowded(t, 13, 12)
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	settled := r.now.Add(r.lane.Settle)
	glances := 0
	for whole := 0; whole < 2; {
		if r.count(Absent) > 0 {
			t.Fatalf("absent by %d lists of all tasks and %d of those that run", whole, glances)
		}
		e := r.await(OpList)
		switch {
		case e.Status != "":
			glances++
		case !r.now.Before(settled):
			whole++
		}
		r.answer(e, Observation{Result: Listed, Rows: r.mine(), Complete: true, Pages: 1})
	}
	if glances == 0 || r.count(Absent) != 1 {
		t.Errorf("%d lists of running tasks, %d doubts settled; want some, and one", glances, r.count(Absent))
	}
}

// A provider that refuses the filter of a list poll must not end the run: the tasks can
// still be followed one by one.
func TestRefusedGlanceEndsNoRun(t *testing.T) {
	r := crowded(t, 12, 12)
	e := r.await(OpList)
	if e.Status == "" {
		t.Fatal("no glance")
	}
	r.answer(e, Observation{Result: Failed, Class: ClassConfig, Code: "InvalidParameter", Message: "status"})
	if v := r.b.View(); v.Stop != StopNone || r.b.dead {
		t.Errorf("stop %q %q, dead %v, %d live tasks are not followed", v.Stop, v.StopCode, r.b.dead, v.Live)
	}
}

// A look that failed, or said UNKNOWN, is not repeated sooner because a list poll misses
// the task again.
func TestGlanceKeepsBackoff(t *testing.T) {
	for _, answer := range []Observation{
		{Result: Failed, Class: ClassRetry, RetryAfter: 2 * time.Minute},
		{Result: Looked, Status: StatusUnknown},
	} {
		r := crowded(t, 12, 12)
		r.serve(time.Minute, func(int) []Row { return r.mine() })
		missing := r.mine()[0].Task
		n := 0
		start := r.now
		for end := r.now.Add(time.Minute); r.now.Before(end); {
			wake := r.pump()
			for len(r.flying) > 0 {
				e := r.flying[0]
				r.flying = r.flying[1:]
				switch {
				case e.Op == OpQuery && e.Task == missing:
					n++
					r.answer(e, answer)
				case e.Op == OpQuery:
					r.answer(e, Observation{Result: Looked, Status: StatusRunning})
				default:
					r.answer(e, Observation{Result: Listed, Rows: r.mine()[1:], Complete: true, Pages: 1})
				}
				wake = r.pump()
			}
			r.now = wake
		}
		if most := int(r.now.Sub(start)/r.lane.PollMax) + 2; n > most {
			t.Errorf("%s %s: %d queries of one task in a minute, want at most %d", answer.Result, answer.Status, n, most)
		}
	}
}

// Lists that take longer than poll_min must not keep the looks at single tasks from
// being made: a task that ended before a list showed it running is found by them alone.
func TestSlowGlancesStarveNoLook(t *testing.T) {
	r := crowded(t, 12, 12)
	quick := r.mine()[0].Task // it waited, then ran between two list polls
	begin := r.now
	glances := 0
	for r.now.Before(begin.Add(time.Hour)) && r.state("j0") != StateFetching {
		wake := r.pump()
		for i := 0; i < len(r.flying); {
			e := r.flying[i]
			if e.Op != OpQuery {
				i++
				continue
			}
			r.flying = append(r.flying[:i:i], r.flying[i+1:]...)
			if e.Task == quick {
				r.answer(e, Observation{Result: Looked, Status: StatusSucceeded})
			} else {
				r.answer(e, Observation{Result: Looked, Status: StatusRunning})
			}
		}
		if len(r.flying) > 0 { // a list poll, which takes a little more than poll_min
			glances++
			e := r.flying[0]
			r.flying = nil
			r.now = r.now.Add(r.lane.PollMin + 100*time.Millisecond)
			r.answer(e, Observation{Result: Listed, Rows: r.mine()[1:], Complete: true, Pages: 1})
			continue
		}
		r.now = wake
	}
	if r.state("j0") != StateFetching {
		t.Errorf("after %v and %d glances nobody has asked for %s", r.now.Sub(begin), glances, quick)
	}
}
