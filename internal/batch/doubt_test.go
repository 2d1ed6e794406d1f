package batch

import (
	"testing"
	"time"
)

// A machine that slept longer than the list can look back has no evidence, and
// neither has a run whose wall clock is behind the journal.
func TestSleepAgesADoubt(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r := newRig(t, 1, exclusive(ExclusiveAll))
		r.baseline()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		if crash {
			r.crash(time.Minute)
		}
		r.b.Slept(30 * time.Hour)
		r.baseline()
		r.wantState("j0", StateQuarantined)
	}
}

// What was slept before an intent does not age its doubt.
func TestSleepBeforeAnIntentDoesNotCount(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	r.b.Slept(30 * time.Hour)
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list()
	r.list()
	if r.count(Absent) != 1 {
		t.Fatalf("the doubt was not settled: %s", r.state("j0"))
	}
}

// A list that does not show our own live task is blind, and proves nothing.
func TestBlindListsProveNothing(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	_, task := r.submit()
	r.look(StatusRunning)
	ours := Row{Task: task, Model: "move", Status: StatusRunning}
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	for range 3 {
		r.list()
	}
	if r.count(Absent) != 0 {
		t.Fatal("a list without our own task settled the doubt")
	}
	r.list(ours)
	r.list(ours)
	if r.count(Absent) != 1 {
		t.Fatalf("two lists that see did not settle the doubt: %s", r.state("j1"))
	}
}

// What a list shows counts, though it misses something else: the two that see may
// both have missed that, while pages shifted.
func TestBlindListsStillShow(t *testing.T) {
	orphan := Row{Task: "orphan", Model: "move", Status: StatusPending}
	for _, partial := range []Observation{
		{Result: Listed, Complete: true, Rows: []Row{orphan}}, // without our own task
		{Result: Listed, Complete: false, Rows: []Row{orphan}},
		{Result: Failed, Class: ClassRetry, Rows: []Row{orphan}},
	} {
		r := newRig(t, 2, exclusive(ExclusiveAll))
		r.baseline()
		_, task := r.submit()
		r.look(StatusRunning)
		ours := Row{Task: task, Model: "move", Status: StatusRunning}
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		r.list(ours)
		r.answer(r.await(OpList), partial)
		r.list(ours)
		if partial.Complete { // a blind list takes back the silence of the one before
			r.list(ours)
		}
		if got := r.last(Adopted).Task; got != "orphan" {
			t.Errorf("%s, complete %v: adopted %q, want the task that one list showed", partial.Result, partial.Complete, got)
		}
	}
}

// The same before the first create: what was there is a stranger's.
func TestStrangersOfABrokenList(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	r.list()
	r.answer(r.await(OpList), Observation{Result: Listed, Rows: []Row{stranger("old")}})
	r.list()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(stranger("old"))
	r.list(stranger("old"))
	if r.count(Adopted) != 0 || r.count(Absent) != 1 {
		t.Errorf("a task that was there before is taken for ours: %s", r.state("j0"))
	}
}

// A doubt from a shared lane stays one of a shared lane, whatever the next run is
// promised: a stranger may have come meanwhile.
func TestDoubtKeepsItsPromise(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	r.apply(Event{Kind: Opened, Run: &Run{ID: "shared", Exclusive: Shared}})
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.apply(Event{Kind: Opened, Run: &Run{ID: "exclusive", Exclusive: ExclusiveAll}})
	stranger := Row{Task: "s", Model: "move", Status: StatusRunning}
	r.list(stranger)
	r.list(stranger)
	r.wantState("j0", StateQuarantined)
}

// Trouble on our own side of the network uses up no tries.
func TestNetworkTroubleFailsNoJob(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	for range 10 {
		r.answer(r.await(OpCreate), Observation{Result: Rejected, Class: ClassRetry, Message: "no route to host"})
	}
	r.wantState("j0", StatePending)
}

// A key that does not know the tasks of the one before is another account's: the
// run ends instead of waiting until the results are gone.
func TestKeyOfAnotherAccount(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.now = r.now.Add(time.Second)
	r.apply(Event{Kind: Opened, Run: &Run{ID: "other", Key: "other"}})
	for range unknownTries {
		r.look(StatusUnknown)
	}
	r.list() // nothing else asks for one
	r.look(StatusUnknown)
	if v := r.b.View(); v.Stop != StopSetup || v.StopCode != CodeUnknownTask {
		t.Fatalf("stop %q %q", v.Stop, v.StopCode)
	}
	r.wantState("j0", StateQueued)
}

// A machine that slept is as late for its tasks: what waits is taken back at three
// quarters of its id's life, and what nobody knows any more is lost after all of it.
func TestSleepAgesATask(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusPending)
	r.b.Slept(r.lane.TaskLife / 4 * 3)
	r.answer(r.await(OpCancel), Observation{Result: TooLate})
	r.b.Slept(r.lane.TaskLife)
	for range unknownTries {
		r.look(StatusUnknown)
		r.wantState("j0", StateQueued)
	}
	r.slept()
	r.look(StatusUnknown)
	r.wantState("j0", StateLost)
}

func TestSleepAgesAResult(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	r.answer(r.await(OpFetch), Observation{Result: Forbidden})
	r.b.Slept(r.lane.TaskLife)
	r.answer(r.await(OpFetch), Observation{Result: Forbidden})
	r.slept()
	r.answer(r.await(OpFetch), Observation{Result: Forbidden})
	r.wantState("j0", StateLost)
}

// slept answers a list by a provider whose clock confirms that the machine slept.
func (r *rig) slept() {
	r.t.Helper()
	r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(r.b.slept)})
}

// A clock that cannot tell how much time has passed ages no task.
func TestAnUnknownSleepAgesNoTask(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.crash(time.Minute)
	r.b.Slept(100 * 365 * 24 * time.Hour)
	for range 2 * unknownTries {
		r.look(StatusUnknown)
	}
	r.look(StatusPending)
	r.clockless(Row{Task: "task-1", Model: "move", Status: StatusPending}) // nor does the provider tell
	r.look(StatusPending)
	if r.count(Withdrawn) != 0 {
		t.Fatal("withdrawn by a clock that is wrong")
	}
	r.wantState("j0", StateQueued)
}

// A clock that was a day ahead when a create was sent, and right again in the next
// run, makes its doubt look a day younger than it is. The task before it tells: it
// would be listed if the doubt could be.
func TestADoubtThatOnlyLooksYoung(t *testing.T) {
	ahead := func(t *testing.T) *rig {
		r := newRig(t, 3, exclusive(ExclusiveAll))
		r.now = r.now.Add(24 * time.Hour)
		r.open()
		r.clockless()
		r.clockless()
		r.submit()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		r.crash(6 * time.Hour) // 30 hours later in truth: nothing of that day is listed any more
		return r
	}
	t.Run("the lists end before it", func(t *testing.T) {
		r := ahead(t)
		r.clockless()
		r.clockless()
		r.wantState("j1", StateQuarantined)
	})
	t.Run("the lists reach it", func(t *testing.T) {
		r := ahead(t)
		r.clockless(r.mine()...)
		r.clockless(r.mine()...)
		r.wantState("j1", StatePending)
	})
	t.Run("one of them reaches it", func(t *testing.T) {
		r := ahead(t)
		r.clockless()
		r.clockless(r.mine()...)
		r.wantState("j1", StatePending)
	})
}

// The first create of a batch has no task before it, but the provider's clock tells
// its age as well: it is one clock for both runs.
func TestAFirstDoubtThatOnlyLooksYoung(t *testing.T) {
	for _, test := range []struct {
		name  string
		apart time.Duration // by the provider's clock, from the intent to the lists
		want  State
	}{
		{"the lists end before it", 30 * time.Hour, StateQuarantined},
		{"the lists reach it", 6 * time.Hour, StatePending},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, 1, exclusive(ExclusiveAll))
			truly := r.now.Add(-24 * time.Hour) // ours is a day ahead
			list := func(at time.Time) {
				r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: at})
			}
			list(truly)
			list(truly)
			r.answer(r.await(OpCreate), Observation{Result: Unknown})
			r.crash(6 * time.Hour) // ours is right again
			list(truly.Add(test.apart))
			list(truly.Add(test.apart))
			r.wantState("j0", test.want)
		})
	}
}

// The reference task in a list that misses a page says nothing of lists hours later.
func TestABrokenListReachesNothing(t *testing.T) {
	r := newRig(t, 3, exclusive(ExclusiveAll))
	r.now = r.now.Add(24 * time.Hour)
	r.open()
	r.clockless()
	r.clockless()
	r.submit()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.crash(0)                                                                              // 24 h less a little later in truth; our clock was put back
	r.answer(r.await(OpList), Observation{Result: Listed, Complete: false, Rows: r.mine()}) // the page of the orphan is missing
	r.clockless()                                                                           // its window has passed
	r.clockless()
	r.wantState("j1", StateQuarantined)
}

// A doubt that is too old for any list must not wait for lists for ever.
func TestOldDoubtDoesNotWaitForLists(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.play(r.now.Add(14*24*time.Hour), func(Effect) Observation { return Observation{Result: Listed} })
	r.wantState("j0", StateQuarantined)
}

// What was slept before an intent does not age its doubt by the provider's clock
// either: a machine that wakes up lists again before it creates.
func TestSleepBeforeAnIntentByTheirClock(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	list := func(slept time.Duration) {
		t.Helper()
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Rows: r.mine(), Clock: r.now.Add(slept)})
	}
	list(0)
	list(0)
	r.submit()
	r.b.Slept(30 * time.Hour)
	list(30 * time.Hour)
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	list(30 * time.Hour)
	list(30 * time.Hour)
	if r.count(Absent) != 1 {
		t.Errorf("the doubt was not settled: %s, %q", r.state("j1"), r.last(Quarantined).By)
	}
}
