package batch

import (
	"testing"
	"time"
)

// A wall clock that is set ahead while a run goes on looks as if the machine slept. Only
// the provider's clock can tell whether that ended a task's life.
func TestClockSetAheadLosesNoTask(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.b.Slept(48 * time.Hour)
	for range unknownTries {
		r.look(StatusUnknown)
	}
	r.list(Row{Task: "task-1", Model: "move", Status: StatusRunning})
	for range unknownTries {
		r.look(StatusUnknown)
	}
	r.wantState("j0", StateRunning)
}

func TestClockSetAheadLosesNoResult(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	r.b.Slept(48 * time.Hour)
	for range 2 {
		r.answer(r.await(OpFetch), Observation{Result: Forbidden, Expires: r.last(Ended).End.Expires})
	}
	r.list(Row{Task: "task-1", Model: "move", Status: StatusSucceeded})
	r.answer(r.await(OpFetch), Observation{Result: Forbidden, Expires: r.last(Ended).End.Expires})
	r.wantState("j0", StateFetching)
}

// A URL that does not say when it ends lives by the provider's clock, not by ours.
func TestURLWithoutAnEndUnderASlowClock(t *testing.T) {
	r := newRig(t, 1)
	for range 2 {
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(72 * time.Hour)})
	}
	r.submit()
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = time.Time{} })
	for range 3 {
		r.answer(r.await(OpFetch), Observation{Result: Forbidden})
	}
	r.wantState("j0", StateFetching)
}

// A clock that cannot tell the time ends no run by its deadline.
func TestDeadlineUnderAClockThatCannotTell(t *testing.T) {
	r := newRig(t, 1, due(epoch.Add(1000*time.Hour)))
	r.b.Slept(100 * 365 * 24 * time.Hour)
	r.baseline()
	r.await(OpCreate)
}

// And where no server tells the time, by the wall clock, which is what judges it.
func TestURLWithoutAnEndAfterASleep(t *testing.T) {
	r := newRig(t, 1)
	r.b.Slept(30 * time.Hour)
	r.clockless()
	r.clockless()
	r.submit()
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = time.Time{} })
	for range 3 {
		r.answer(r.await(OpFetch), Observation{Result: Forbidden})
	}
	r.wantState("j0", StateFetching)
}

// A task that was made after a sleep is not as old as the sleep once it ended.
func TestSleepBeforeACreateLosesNoResult(t *testing.T) {
	for _, slept := range []time.Duration{0, 50 * time.Hour} {
		r := newRig(t, 1)
		r.clockless()
		r.b.Slept(slept)
		r.clockless()
		if slept > 0 {
			r.pump()
		}
		r.submit()
		r.look(StatusRunning)
		r.look(StatusSucceeded)
		for range unknownTries {
			if r.state("j0") == StateFetching {
				r.answer(r.await(OpFetch), Observation{Result: Forbidden, Code: CodeUnknownTask})
			}
		}
		if r.state("j0") != StateFetching {
			t.Errorf("slept %v before: j0 is %s %v after its create", slept, r.state("j0"), r.now.Sub(r.last(Intended).At))
		}
	}
}

// The journal is far ahead, no server tells the time: a person may settle its doubt.
func TestDoubtOfAFastClockIsAPersons(t *testing.T) {
	r := newRig(t, 1)
	r.clockless()
	r.clockless()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	wall := r.now.Add(-300 * 24 * time.Hour) // put right
	if _, err := r.b.Resolve("j0", Abandoned, "", r.now, wall.Add(48*time.Hour)); err != nil {
		t.Errorf("2 days later: %v", err)
	}
}

// A download that fails after a sleep keeps its URL until the provider's clock says that
// it has ended: ours may only have been set ahead.
func TestURLIsKeptUntilTheProviderSaysItEnded(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	fetch := func() (anew bool) {
		e := r.await(OpFetch)
		r.answer(e, Observation{Result: Failed, Class: ClassRetry})
		return e.Anew
	}
	fetch()
	r.b.Slept(25 * time.Hour)
	if fetch() {
		t.Error("asked for anew by our clock alone")
	}
	r.slept()
	if !fetch() {
		t.Error("not asked for anew, though it has ended by the provider's clock")
	}
}

// And one that nobody has tried yet is tried, whatever the clocks say.
func TestURLIsTriedThoughItEnded(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = r.now.Add(-time.Second) })
	if e := r.await(OpFetch); e.Anew {
		t.Error("another URL is asked for before this one is tried")
	}
}

// The journal is half an hour ahead, no server tells the time: its doubt is no person's
// a minute after its create.
func TestDoubtOfAClockThatIsLittleAhead(t *testing.T) {
	r := newRig(t, 1)
	r.clockless()
	r.clockless()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	wall := r.now.Add(-30 * time.Minute) // put right
	if _, err := r.b.Resolve("j0", Abandoned, "", r.now, wall.Add(time.Minute)); err == nil {
		t.Error("settled by hand a minute after its create")
	}
}

// The wall clock was set back by two hours right after the create; no server has a date.
func TestResolveUnderASlowClock(t *testing.T) {
	r := newRig(t, 1)
	r.clockless()
	r.clockless()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	if _, err := r.b.Resolve("j0", Again, "", r.now.Add(time.Minute), r.now.Add(-2*time.Hour)); err == nil {
		t.Error("a doubt of one minute ago is settled by hand")
	}
}
