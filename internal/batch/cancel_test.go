package batch

import (
	"testing"
	"time"
)

// recall ends the running process and starts one that only cancels.
func (r *rig) recall(down time.Duration) {
	r.t.Helper()
	r.crash(down)
	r.b.CancelQueued()
}

// idle asserts that the core waits for nothing: no answer, no time.
func (r *rig) idle() {
	r.t.Helper()
	if wake := r.pump(); !wake.IsZero() || r.b.Outstanding() != 0 || len(r.flying) != 0 {
		r.t.Fatalf("not at its end: wakes at %v, flying %v", wake, r.flying)
	}
	if v := r.b.View(); v.Left != v.Unselected {
		r.t.Fatalf("at its end with %d jobs left, %d of them on purpose", v.Left, v.Unselected)
	}
}

// threeLive submits three of five jobs; the first one is seen running.
func threeLive(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, 5)
	r.baseline()
	for range 3 {
		r.submit()
	}
	r.look(StatusRunning)
	return r
}

func TestCancelQueued(t *testing.T) {
	r := threeLive(t)
	r.recall(time.Second)
	if v := r.b.View(); v.Left != 5 || v.Unselected != 3 {
		t.Fatalf("%d left and %d left alone, want 5 and 3", v.Left, v.Unselected)
	}
	for _, job := range []string{"j1", "j2"} {
		e := r.await(OpCancel)
		if e.Job != job {
			t.Fatalf("cancels %s, want %s", e.Job, job)
		}
		r.answer(e, Observation{Result: Canceled})
		if e := r.look(StatusCanceled, func(o *Observation) { o.Class = ClassRetry }); e.Job != job {
			t.Fatalf("looks at %s, want %s", e.Job, job)
		}
		r.wantState(job, StateFailed)
	}
	r.idle()
	r.wantMoney("0", "0.6", "0")
	if n := r.count(Withdrawn); n != 2 {
		t.Errorf("%d cancels are on record, want 2", n)
	}

	// The next run submits what never was, and does not bring back what a person
	// canceled.
	r.crash(time.Second)
	r.baseline()
	for _, want := range []string{"j3", "j4"} {
		if job, _ := r.submit(); job != want {
			t.Fatalf("submits %s, want %s", job, want)
		}
	}
	r.noCreate(time.Hour)
	for _, e := range r.b.RetryFailed(r.now) {
		r.apply(e)
	}
	r.wantState("j1", StatePending)
	r.wantState("j2", StatePending)
	r.wantState("j0", StateRunning)
}

// A task that the provider no longer cancels is looked at once and then left,
// whatever it turned out to be.
func TestCancelComesTooLate(t *testing.T) {
	tests := []struct {
		status Status
		want   State
	}{
		{StatusRunning, StateRunning},
		{StatusSucceeded, StateFetching},
		{StatusFailed, StateFailed},
		{StatusCanceled, StateFailed}, // by the cancel of a process that was killed
		{StatusPending, StateQueued},
		{StatusUnknown, StateQueued},
	}
	for _, tt := range tests {
		t.Run(string(tt.status), func(t *testing.T) {
			r := newRig(t, 1)
			r.baseline()
			r.submit()
			r.recall(time.Second)
			r.answer(r.await(OpCancel), Observation{Result: TooLate})
			r.look(tt.status)
			for tt.status == StatusUnknown && r.now.Sub(epoch) < time.Minute && len(r.flying) == 0 && !r.pump().IsZero() {
				r.look(tt.status)
			}
			r.wantState("j0", tt.want)
			r.idle()
		})
	}
}

// A refusal that speaks of this task alone is not repeated for ever.
func TestCancelRefused(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.recall(time.Second)
	r.answer(r.await(OpCancel), Observation{Result: Failed, Class: ClassInput})
	r.look(StatusPending)
	r.idle()
}

// Trouble is met with back-off, for the cancel as for the look, and a task that
// waits after a confirmed cancel is canceled again.
func TestCancelIsRepeated(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.recall(time.Second)
	for n := range 4 {
		before := r.now
		r.answer(r.await(OpCancel), Observation{Result: Failed, Class: ClassThrottle})
		if wait := r.now.Sub(before); n > 0 && wait < backoff(n, 0) {
			t.Errorf("cancel %d after %v, want at least %v", n+1, wait, backoff(n, 0))
		}
	}
	r.answer(r.await(OpCancel), Observation{Result: Canceled})
	r.answer(r.await(OpQuery), Observation{Result: Failed, Class: ClassRetry, RetryAfter: time.Hour})
	before := r.now
	r.look(StatusPending)
	if wait := r.now.Sub(before); wait < time.Hour {
		t.Errorf("looked again after %v, the provider wished an hour", wait)
	}
	r.answer(r.await(OpCancel), Observation{Result: Canceled})
	r.look(StatusCanceled)
	r.wantState("j0", StateFailed)
	r.idle()
	if n := r.count(Withdrawn); n != 1 {
		t.Errorf("%d records of one wish", n)
	}
}

// A key that is refused ends the run, with nothing left hanging.
func TestCancelWithADeadKey(t *testing.T) {
	r := threeLive(t)
	r.recall(time.Second)
	r.answer(r.await(OpCancel), Observation{Result: Failed, Class: ClassKey, Code: "InvalidApiKey"})
	for len(r.flying) > 0 {
		e := r.flying[0]
		r.flying = r.flying[1:]
		r.answer(e, Observation{Result: Failed, Class: ClassKey})
	}
	if wake := r.pump(); !wake.IsZero() || r.b.View().Stop != StopKey {
		t.Fatalf("wakes at %v, stop %q", wake, r.b.View().Stop)
	}
}

// No more calls are outstanding than an ordinary run has.
func TestCancelBoundsItsCalls(t *testing.T) {
	r := newRig(t, 12, func(_ *Settings, l *LaneSettings) { l.Running, l.Ahead = 1, 11 })
	r.baseline()
	for range 12 {
		r.submit()
	}
	r.recall(time.Second)
	for range 12 {
		r.pump()
		if len(r.flying) > MaxLooks {
			t.Fatalf("%d calls at once", len(r.flying))
		}
		r.answer(r.await(OpCancel), Observation{Result: Canceled})
		r.look(StatusCanceled)
	}
	r.idle()
	r.wantMoney("0", "0", "0")
}

// A create in doubt stays in doubt: only an ordinary run asks for the evidence.
func TestCancelLeavesDoubt(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.recall(24 * time.Hour)
	r.answer(r.await(OpCancel), Observation{Result: Canceled})
	r.look(StatusCanceled)
	r.wantState("j1", StateInDoubt)
	r.idle()
	r.wantMoney("0", "0.6", "0")
}

// A crash between the cancel and its look, and a task that the policy had
// withdrawn before the person came, both end with the person's word.
func TestCancelOutlivesACrash(t *testing.T) {
	for _, withdrawn := range []bool{false, true} {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		if withdrawn {
			r.now = r.now.Add(r.lane.TaskLife/4*3 + time.Second)
			r.look(StatusPending)
			r.answer(r.await(OpCancel), Observation{Result: Failed, Class: ClassRetry})
		}
		r.recall(time.Second)
		r.answer(r.await(OpCancel), Observation{Result: Canceled})
		r.crash(time.Second)
		r.look(StatusCanceled)
		r.noCreate(time.Hour)
		r.wantState("j0", StateFailed)
	}
}

// A wish whose cancel never arrived does not bind a later run: what that run
// withdraws by itself is submitted again.
func TestAnOldWishDoesNotBind(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.recall(time.Second)
	r.answer(r.await(OpCancel), Observation{Result: Failed, Class: ClassRetry})
	r.crash(r.lane.TaskLife / 4 * 3)
	r.look(StatusPending)
	r.answer(r.await(OpCancel), Observation{Result: Canceled})
	r.look(StatusCanceled)
	r.wantState("j0", StatePending)
}

// An interrupt ends a run that cancels like any other.
func TestCancelIsInterrupted(t *testing.T) {
	r := threeLive(t)
	r.recall(time.Second)
	e := r.await(OpCancel)
	r.b.Observe(Observation{Result: Interrupt})
	r.answer(e, Observation{Result: Canceled})
	for len(r.flying) > 0 {
		e := r.flying[0]
		r.flying = r.flying[1:]
		r.answer(e, Observation{Result: TooLate})
	}
	if wake := r.pump(); !wake.IsZero() || r.b.Outstanding() != 0 || r.b.View().Stop != StopInterrupted {
		t.Fatalf("wakes at %v, %d outstanding", wake, r.b.Outstanding())
	}
}
