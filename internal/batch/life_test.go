package batch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Promise 6: no paid result is lost. What the provider's words mean for a task
// and for its result.

func TestUnknownNeverLosesAYoungTask(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	for r.now.Sub(epoch) < r.lane.TaskLife-time.Hour {
		at := r.now
		r.look(StatusUnknown)
		r.now = r.now.Add(10 * time.Minute)
		if r.count(Lost) != 0 {
			t.Fatalf("lost after %v", at.Sub(epoch))
		}
	}
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.wantState("j0", StateFetching)
}

// A task that the provider does not know takes no slot, so the next one may run, and
// is looked at.
func TestUnknownHidesNoOtherTask(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	_, second := r.submit()
	for range 10 {
		if e := r.look(StatusUnknown); e.Task == second {
			return
		}
	}
	t.Fatal("the second task is never looked at")
}

func TestUnknownPastItsLifeLosesATask(t *testing.T) {
	r := newRig(t, 2, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.now = r.now.Add(r.lane.TaskLife + time.Minute)
	r.look(StatusUnknown)
	r.look(StatusUnknown)
	r.look(StatusRunning) // a flap: the count starts anew
	r.look(StatusUnknown)
	r.look(StatusUnknown)
	r.wantState("j0", StateRunning)
	r.look(StatusUnknown)
	r.wantState("j0", StateLost)
	r.wantMoney("0", "0", "0.6") // it may have been billed
	for _, e := range r.b.RetryFailed(r.now) {
		r.apply(e)
	}
	r.submit()
	r.wantMoney("0", "0.6", "0.6")
}

// In an outage, or with UNKNOWN flaps, a task past three quarters of its life is
// still looked at with back-off.
func TestNoHotLoopLateInLife(t *testing.T) {
	for name, o := range map[string]Observation{
		"outage":       {Result: Failed, Class: ClassRetry},
		"unknown":      {Result: Looked, Status: StatusUnknown},
		"unheard word": {Result: Looked, Status: "SUSPENDED"},
		"throttled":    {Result: Failed, Class: ClassThrottle, RetryAfter: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3)
			r.baseline()
			for range 3 {
				r.submit()
			}
			r.now = r.now.Add(r.lane.TaskLife*3/4 + time.Minute)
			looks := 0
			for end := r.now.Add(10 * time.Minute); r.now.Before(end); {
				wake := r.pump()
				for len(r.flying) > 0 {
					e := r.flying[0]
					r.flying = r.flying[1:]
					looks++
					r.answer(e, o)
					wake = r.pump()
					if looks > 1000 {
						t.Fatalf("%d looks within %v", looks, r.now.Sub(epoch))
					}
				}
				if wake.IsZero() {
					t.Fatal("nothing wakes the batch")
				}
				r.now = wake
			}
			if limit := 3 * 10 * 60 / 10; looks > limit {
				t.Errorf("%d looks in ten minutes, want at most %d", looks, limit)
			}
		})
	}
}

func TestForbiddenResult(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	expires := r.now.Add(24 * time.Hour)
	n := 0
	for r.state("j0") == StateFetching {
		fetch := r.await(OpFetch)
		if n++; n > 3000 {
			t.Fatal("asked for ever")
		}
		r.answer(fetch, Observation{Result: Forbidden})
		if r.state("j0") == StateLost && !r.now.After(expires) {
			t.Fatalf("lost %v before the result expires", expires.Sub(r.now))
		}
	}
	if n < 100 {
		t.Errorf("asked %d times in 24 hours", n)
	}
	r.wantState("j0", StateLost)
	r.wantMoney("0.5", "0", "0") // what was billed stays billed
}

// A provider that signs a URL anew at each query gives one that ends later: only
// the same end again means that nothing more can be had.
func TestForbiddenThenSignedAnew(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	expired := r.now.Add(-time.Hour)
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = expired })
	r.answer(r.await(OpFetch), Observation{Result: Forbidden, Expires: expired})
	anew := r.now.Add(-time.Second)
	r.answer(r.await(OpFetch), Observation{Result: Forbidden, Expires: anew})
	r.wantState("j0", StateFetching)
	r.answer(r.await(OpFetch), Observation{Result: Forbidden, Expires: anew})
	r.wantState("j0", StateLost)
	r.wantMoney("0.5", "0", "0")
}

func TestForbiddenThenGiven(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	r.answer(r.await(OpFetch), Observation{Result: Forbidden})
	r.store()
	r.wantState("j0", StateDone)
}

// UNKNOWN in place of a URL is investigated as it is of a task that runs: only
// past the life of the id, and more than once, does it mean that the result is gone.
func TestUnknownResult(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = r.now.Add(-time.Second) })
	refuse := func(o Observation) {
		o.Result = Forbidden
		r.answer(r.await(OpFetch), o)
	}
	unknown := Observation{Code: CodeUnknownTask}
	refuse(Observation{})
	for range 2 * unknownTries {
		refuse(unknown)
		r.wantState("j0", StateFetching)
	}
	refuse(Observation{Expires: r.now.Add(time.Minute)}) // the provider knows it after all
	r.now = r.now.Add(24 * time.Hour)
	for range unknownTries {
		r.wantState("j0", StateFetching)
		refuse(unknown)
	}
	r.wantState("j0", StateLost)
}

func TestEarliestExpiryIsFetchedFirst(t *testing.T) {
	r := newRig(t, 3, func(s *Settings, l *LaneSettings) { s.Fetches, l.Running = 1, 3 })
	r.baseline()
	for range 3 {
		r.submit()
	}
	for _, hours := range []int{0, 9, 3} { // the first holds the only download
		r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = r.now.Add(time.Duration(hours) * time.Hour) })
	}
	var order []string
	for range 3 {
		e := r.await(OpFetch)
		order = append(order, e.Job)
		r.answer(e, Observation{Result: Fetched, Artifact: &Artifact{}})
	}
	if want := []string{"j0", "j2", "j1"}; !cmp.Equal(order, want) {
		t.Fatalf("fetched %v, want %v", order, want)
	}
}

// A download that fails keeps the URL that the worker holds until that has ended by the
// provider's clock.
func TestURLThatEndedIsAskedForAnew(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = r.now.Add(time.Hour) })
	end := r.last(Ended).End.Expires
	fails := 0
	r.play(r.now.Add(2*time.Hour), func(e Effect) Observation {
		if e.Op == OpFetch {
			fails++
			if ended := r.now.After(end); e.Anew != ended {
				t.Fatalf("%v after the URL's end it is asked for anew: %v", r.now.Sub(end), e.Anew)
			}
		}
		return Observation{Result: Failed, Class: ClassRetry, Clock: r.now}
	})
	if fails < 10 {
		t.Errorf("%d downloads", fails)
	}
}
