package batch

import (
	"strings"
	"testing"
	"time"
)

// What cannot finish while its id lives is taken back, and what could not is not
// begun.

func TestWithdraw(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	_, first := r.submit()
	r.look(StatusPending)
	late := r.lane.TaskLife / 4 * 3
	r.now = r.now.Add(late - time.Minute)
	for r.now.Sub(epoch) < late {
		r.look(StatusPending)
	}
	cancel := r.await(OpCancel)
	if r.last(Withdrawn).At.Sub(r.last(Intended).At) < late {
		t.Fatal("withdrawn before three quarters of its life")
	}
	for _, e := range r.flying {
		t.Fatalf("%v while a cancel of the same task is under way", e)
	}
	if e := r.last(Withdrawn); e.Task != first || cancel.Task != first {
		t.Fatalf("withdrew %v, canceled %v", e, cancel)
	}
	r.answer(cancel, Observation{Result: Failed, Class: ClassRetry})
	r.crash(time.Minute) // the wish is durable, the cancel is sent again
	r.look(StatusPending)
	r.answer(r.await(OpCancel), Observation{Result: Canceled})
	r.look(StatusCanceled)
	r.wantState("j0", StatePending)
	r.wantMoney("0", "0", "0")
	if n := r.count(Withdrawn); n != 1 {
		t.Errorf("%d withdrawn events, want 1", n)
	}
	r.baseline()
	_, second := r.submit()
	if second == first {
		t.Fatal("not submitted again")
	}
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.store()
	r.wantState("j0", StateDone)
}

func TestWithdrawComesTooLate(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.now = r.now.Add(r.lane.TaskLife/4*3 + time.Second)
	r.look(StatusPending)
	r.answer(r.await(OpCancel), Observation{Result: TooLate})
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.wantState("j0", StateFetching)
	if r.count(Withdrawn) != 1 || r.count(Again) != 0 {
		t.Fatal("a task that ran was submitted again")
	}
}

// A task that a person cancels is not submitted again, also when an earlier task
// of the job was once withdrawn and then lost.
func TestCanceledByAPerson(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.now = r.now.Add(r.lane.TaskLife/4*3 + time.Second)
	r.look(StatusPending)
	r.answer(r.await(OpCancel), Observation{Result: Failed, Class: ClassRetry})
	r.now = r.now.Add(r.lane.TaskLife)
	for r.state("j0") != StateLost {
		if r.pump(); len(r.flying) == 0 {
			r.now = r.now.Add(time.Minute)
			continue
		}
		e := r.flying[0]
		r.flying = r.flying[1:]
		if e.Op == OpCancel {
			r.answer(e, Observation{Result: Failed, Class: ClassRetry})
		} else {
			r.answer(e, Observation{Result: Looked, Status: StatusUnknown})
		}
	}
	for _, e := range r.b.RetryFailed(r.now) {
		r.apply(e)
	}
	r.submit()
	r.look(StatusCanceled)
	r.noCreate(time.Hour)
	r.wantState("j0", StateFailed)
}

func TestARunningTaskIsNeverWithdrawn(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	for r.now.Sub(epoch) < 2*r.lane.TaskLife {
		r.now = r.now.Add(time.Hour)
		r.look(StatusPending) // a status that goes backwards
	}
	if r.count(Withdrawn) != 0 {
		t.Fatal("withdrew a task that was seen running")
	}
}

// More of strangers' tasks than can finish in half a life: nothing is created,
// and they are counted again until they are gone.
func TestHorizonCountsStrangersAndAsksAgain(t *testing.T) {
	var crowd []Row
	for i := range 2000 {
		crowd = append(crowd, stranger("x"+strings.Repeat("i", i)))
	}
	r := newRig(t, 2)
	r.baseline(crowd...)
	for range 5 {
		at := r.now
		wake := r.pump()
		if len(r.flying) != 0 || wake.IsZero() || wake.After(at.Add(11*time.Minute)) {
			t.Fatalf("with 2000 strangers: flying %v, wakes %v later", r.flying, wake.Sub(at))
		}
		r.now = wake
		r.list(crowd...)
	}
	r.now = r.pump()
	r.list()
	r.await(OpCreate)
}

// Our own tasks fill the horizon: with one running at a time and ten hours each,
// the second would be fetched after 20 hours.
func TestHorizonCountsOwnTasks(t *testing.T) {
	r := newRig(t, 9)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded, func(o *Observation) {
		o.Times.Scheduled, o.Times.Ended = r.now, r.now.Add(7*time.Hour) // teaches that tasks take hours
	})
	live := 0
	for range 3 {
		r.now = r.now.Add(15 * time.Minute)
		r.pump()
		for r.countStrangers() {
		}
		for _, e := range r.flying {
			if e.Op == OpCreate {
				live++
			}
		}
		if live > 0 {
			break
		}
	}
	r.submit()
	r.noCreate(2 * time.Hour)
	if v := r.b.View(); v.Live != 1 {
		t.Fatalf("%d live tasks of seven hours each, want 1", v.Live)
	}
}

// How old a task is, the provider's clock tells better than ours, which may have been
// set back between two runs.
func TestWithdrawByTheProvidersClock(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	_, task := r.submit()
	r.look(StatusPending)
	r.crash(time.Minute)
	r.look(StatusPending)
	row := Row{Task: task, Model: "move", Status: StatusPending}
	r.answer(r.await(OpList), Observation{Result: Listed, Rows: []Row{row}, Complete: true, Pages: 1, Clock: r.now.Add(19 * time.Hour)})
	if e := r.await(OpCancel); e.Task != task || r.now.Sub(epoch) > time.Hour {
		t.Errorf("canceled %s %v after its create by our clock", e.Task, r.now.Sub(epoch))
	}
}

// One wrong date when a task was created, or now, does not keep it from being taken
// back by our own clock.
func TestWithdrawUnderAWrongDate(t *testing.T) {
	r := newRig(t, 1)
	for range 2 {
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(20 * time.Hour)})
	}
	r.submit()
	r.look(StatusPending)
	r.crash(time.Minute)
	r.look(StatusPending)
	r.list(Row{Task: "task-1", Model: "move", Status: StatusPending}) // the date is right again
	r.now = r.now.Add(r.lane.TaskLife / 4 * 3)
	r.look(StatusPending)
	r.await(OpCancel)
}

// A list that is asked for the provider's clock alone, and refused, ends no run that
// follows a task.
func TestARefusedListEndsNoRunThatFollows(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.crash(time.Minute)
	r.look(StatusPending)
	began := r.now
	r.play(r.now.Add(time.Hour), func(e Effect) Observation {
		switch {
		case e.Op == OpFetch:
			return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
		case e.Op != OpQuery:
			return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
		case r.now.Sub(began) < 10*time.Minute:
			return Observation{Result: Looked, Status: StatusPending}
		}
		return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
	})
	r.wantState("j0", StateDone)
}
