package batch

import (
	"cmp"
	"testing"
	"time"
)

// What each class of failure does in each place where it can turn up.

var classes = []Class{ClassInput, ClassConfig, ClassThrottle, ClassBurst, ClassQuota, ClassRetry, ClassAccount, ClassKey}

func TestRefusedCreate(t *testing.T) {
	tests := map[Class]struct {
		state State
		stop  Stop
		next  time.Duration // until the next create; 0: none in an hour
	}{
		ClassInput:    {StateFailed, StopNone, time.Second},
		ClassConfig:   {StatePending, StopNone, time.Second},
		ClassThrottle: {StatePending, StopNone, time.Second},
		ClassBurst:    {StatePending, StopNone, time.Minute},
		ClassQuota:    {StatePending, StopNone, time.Second},
		ClassRetry:    {StatePending, StopNone, time.Second},
		ClassAccount:  {StatePending, StopAccount, 0},
		ClassKey:      {StatePending, StopKey, 0},
		"none":        {StatePending, StopNone, time.Second},
		"":            {StatePending, StopNone, time.Second},
	}
	for class, want := range tests {
		t.Run(string(class), func(t *testing.T) {
			r := newRig(t, 2)
			r.baseline()
			at := r.now
			r.refuseCreate(class, 0)
			if got := r.b.View().Stop; got != want.stop {
				t.Errorf("stop %q, want %q", got, want.stop)
			}
			r.wantState("j0", want.state)
			r.wantMoney("0", "0", "0")
			if want.next == 0 {
				r.noCreate(time.Hour)
				return
			}
			e := r.await(OpCreate)
			if got := r.now.Sub(at); got != want.next {
				t.Errorf("next create after %v, want %v", got, want.next)
			}
			// What may be the pair's own fault goes behind the others.
			if first := want.state == StatePending && class != ClassConfig; first != (e.Job == "j0") {
				t.Errorf("next create is of %s", e.Job)
			}
		})
	}
}

// A refusal that speaks of the set-up may be one pair's fault after all: only the
// other creates can tell.
func TestRefusedSetup(t *testing.T) {
	t.Run("the second in a row stops the run", func(t *testing.T) {
		r := newRig(t, 3)
		r.baseline()
		for _, want := range []string{"j0", "j1"} {
			if e := r.refuseCreate(ClassConfig, 0); e.Job != want {
				t.Fatalf("a create of %s, want %s", e.Job, want)
			}
		}
		r.noCreate(time.Hour)
		if v := r.b.View(); v.Stop != StopSetup || v.Jobs[StatePending] != 3 {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("a lone job is asked twice", func(t *testing.T) {
		r := newRig(t, 1)
		r.baseline()
		r.refuseCreate(ClassConfig, 0)
		r.refuseCreate(ClassConfig, 0)
		r.noCreate(time.Hour)
		if v := r.b.View(); v.Stop != StopSetup || v.Jobs[StatePending] != 1 {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("an accepted create of the mode puts it on the pair", func(t *testing.T) {
		r := newRig(t, 3)
		r.baseline()
		r.refuseCreate(ClassConfig, 0)
		r.submit()
		r.submit()
		if e := r.refuseCreate(ClassConfig, 0); e.Job != "j0" {
			t.Fatalf("a create of %s, want j0 after the others", e.Job)
		}
		r.wantState("j0", StateFailed)
		if r.b.View().Stop != StopNone {
			t.Fatal("the run stopped for one pair")
		}
		r.wantMoney("0", "1.2", "0")
	})
	t.Run("a set-up that breaks in the middle is believed", func(t *testing.T) {
		r := newRig(t, 2*configRefusalTries)
		r.baseline()
		r.submit()
		for range configRefusalTries {
			r.refuseCreate(ClassConfig, 0)
		}
		r.noCreate(time.Minute)
		v := r.b.View()
		if v.Stop != StopSetup || v.Jobs[StateFailed] != configRefusalTries-1 || v.Jobs[StatePending] != configRefusalTries {
			t.Fatalf("%+v", v)
		}
	})
	t.Run("another mode proves nothing", func(t *testing.T) {
		r := newRig(t, 2)
		pro := testPlan("pro")
		pro.Mode = "wan-pro"
		r.apply(Event{Kind: Planned, Job: "pro", Plan: pro})
		r.baseline()
		r.submit()
		r.submit()
		r.refuseCreate(ClassConfig, 0)
		r.refuseCreate(ClassConfig, 0)
		r.wantState("pro", StatePending)
		if r.b.View().Stop != StopSetup {
			t.Fatal("the set-up of a mode that never worked was not blamed")
		}
	})
}

// A proxy on the way may refuse a look or two; with a code it is the provider.
func TestRefusedLooksWithoutCode(t *testing.T) {
	refuse := func(r *rig, code string) {
		r.answer(r.await(OpQuery), Observation{Result: Failed, Class: ClassAccount, Code: code})
	}
	start := func(t *testing.T) *rig {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		return r
	}
	t.Run("some are nothing", func(t *testing.T) {
		r := start(t)
		for range 3 {
			for range refusalWithoutCodeTries - 1 {
				refuse(r, "")
			}
			r.look(StatusRunning)
		}
		if v := r.b.View(); v.Stop != StopNone {
			t.Fatalf("stopped: %+v", v)
		}
	})
	t.Run("many in a row are believed", func(t *testing.T) {
		r := start(t)
		for range refusalWithoutCodeTries {
			refuse(r, "")
		}
		if v := r.b.View(); v.Stop != StopAccount {
			t.Fatalf("not stopped: %+v", v)
		}
	})
	t.Run("many with a code in a row are believed", func(t *testing.T) {
		r := start(t)
		for range taskRefusalTries - 1 {
			refuse(r, "AccessDenied")
		}
		r.look(StatusRunning)
		for range taskRefusalTries - 1 {
			refuse(r, "AccessDenied")
		}
		if v := r.b.View(); v.Stop != StopNone {
			t.Fatalf("stopped by what may be about one task: %+v", v)
		}
		refuse(r, "AccessDenied")
		if v := r.b.View(); v.Stop != StopAccount {
			t.Fatalf("not stopped: %+v", v)
		}
	})
}

func TestRefusalsBackOff(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	var waits []time.Duration
	for range 8 {
		r.refuseCreate(ClassThrottle, 0)
		at := r.now
		e := r.await(OpCreate)
		waits = append(waits, r.now.Sub(at))
		r.flying = append(r.flying, e)
	}
	for i, w := range waits {
		want := min(time.Second<<i, time.Minute)
		if w != want {
			t.Fatalf("waits %v, want doubling from 1s to 1m", waits)
		}
	}
	at := r.now
	r.refuseCreate(ClassThrottle, 7*time.Minute)
	r.await(OpCreate)
	if got := r.now.Sub(at); got != 7*time.Minute {
		t.Fatalf("waited %v, want the provider's own wish", got)
	}
}

func TestTriesAreBounded(t *testing.T) {
	for name, class := range map[string]Class{"retry": ClassRetry, "a code that nobody knows": "none"} {
		t.Run("refused, "+name, func(t *testing.T) {
			r := newRig(t, 1)
			r.baseline()
			for range r.settings.Tries {
				r.refuseCreate(class, 0)
			}
			r.noCreate(time.Hour)
			r.wantState("j0", StateFailed)
			r.crash(time.Minute)
			r.noCreate(time.Hour)
			r.wantState("j0", StateFailed)
		})
	}
	t.Run("failed", func(t *testing.T) {
		r := newRig(t, 1)
		r.baseline()
		for range r.settings.Tries {
			r.submit()
			r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
		}
		r.noCreate(time.Hour)
		r.wantState("j0", StateFailed)
		for _, e := range r.b.RetryFailed(r.now) {
			r.apply(e)
		}
		r.submit() // a person's word starts the count anew
	})
	t.Run("throttled for ever", func(t *testing.T) {
		r := newRig(t, 1)
		r.baseline()
		for range 100 {
			r.refuseCreate(ClassThrottle, 0)
		}
		r.wantState("j0", StatePending)
	})
}

func TestFailedTask(t *testing.T) {
	retried := map[Class]bool{ClassThrottle: true, ClassBurst: true, ClassQuota: true, ClassRetry: true}
	for _, class := range append(classes, "", "none") {
		t.Run(string(class), func(t *testing.T) {
			r := newRig(t, 1)
			r.baseline()
			r.submit()
			r.look(StatusFailed, func(o *Observation) { o.Class = class })
			if stop := r.b.View().Stop; stop != StopNone {
				t.Errorf("stop %q: a task's failure stops nothing", stop)
			}
			if !retried[class] {
				r.wantState("j0", StateFailed)
				r.noCreate(time.Hour)
				return
			}
			r.wantState("j0", StatePending)
			at := r.now
			if r.submit(); r.now.Sub(at) < time.Second {
				t.Error("paid for again at once, without back-off")
			}
		})
	}
}

func TestRefusedLook(t *testing.T) {
	stops := map[Class]Stop{ClassConfig: StopSetup, ClassAccount: StopAccount, ClassKey: StopKey}
	for _, class := range append(classes, "none") {
		for _, op := range []Op{OpQuery, OpList} {
			t.Run(string(class)+" "+string(op), func(t *testing.T) {
				r := newRig(t, 1)
				if op == OpQuery {
					r.baseline()
					r.submit()
				}
				r.answer(r.await(op), Observation{Result: Failed, Class: class, Code: "Code"})
				want := stops[class]
				if op == OpQuery && (class == ClassConfig || class == ClassAccount || class == ClassInput) { // it may be about that task alone
					want = cmp.Or(want, StopSetup)
					for range taskRefusalTries - 1 {
						if v := r.b.View(); v.Stop != StopNone {
							t.Fatalf("stop %q by one task", v.Stop)
						}
						r.answer(r.await(op), Observation{Result: Failed, Class: class, Code: "Code"})
					}
				}
				v := r.b.View()
				if v.Stop != want {
					t.Fatalf("stop %q, want %q", v.Stop, want)
				}
				if v.Stop != StopNone {
					if wake := r.pump(); !wake.IsZero() || len(r.flying) != 0 {
						t.Fatalf("goes on: wake %v, flying %v", wake, r.flying)
					}
					return
				}
				at := r.now
				r.await(op)
				if wait := r.now.Sub(at); wait < time.Second {
					t.Errorf("asked again after %v, without back-off", wait)
				}
			})
		}
	}
}

func TestQuotaBecomesTheAccountsLimit(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	n := 0
	for r.b.View().Stop == StopNone {
		if n++; n > 50 {
			t.Fatal("fifty quota refusals in a row, and still creating")
		}
		r.refuseCreate(ClassQuota, 0)
	}
	if r.b.View().Stop != StopAccount || n < 3 {
		t.Fatalf("stop %q after %d refusals", r.b.View().Stop, n)
	}
	r.noCreate(time.Hour)
	r.crash(time.Minute) // another run tries again
	r.baseline()
	r.await(OpCreate)
}

func TestQuotaCountStartsAnewAfterASuccess(t *testing.T) {
	r := newRig(t, 40, func(_ *Settings, l *LaneSettings) { l.Ahead = 50 })
	r.baseline()
	for range 30 {
		r.refuseCreate(ClassQuota, 0)
		r.submit()
	}
	if r.b.View().Stop != StopNone {
		t.Fatalf("stop %q although creates succeed in between", r.b.View().Stop)
	}
}

// Reject mode: a throttled create with n tasks live lowers the slots to n, and
// they rise by one every ten minutes.
func TestCeiling(t *testing.T) {
	r := newRig(t, 10)
	r.baseline()
	r.submit()
	r.refuseCreate(ClassThrottle, 0)
	if got := r.b.Lane(0).Ceiling; got != 1 {
		t.Fatalf("ceiling %d, want 1", got)
	}
	at := r.now
	r.noCreate(ceilingStep - time.Second)
	r.now = at.Add(ceilingStep)
	r.pump()
	r.submit()
	if got := r.now.Sub(at); got < ceilingStep {
		t.Fatalf("a second task after %v, want 10m", got)
	}
	r.noCreate(ceilingStep - time.Minute)
}

func TestCeilingWakesTheBatch(t *testing.T) {
	r := newRig(t, 3)
	r.baseline()
	r.submit()
	r.refuseCreate(ClassThrottle, 0)
	e := r.await(OpQuery) // stays unanswered: only the rise of the ceiling can wake us
	wake := r.pump()
	if wake.IsZero() || wake.After(r.now.Add(ceilingStep)) {
		t.Fatalf("wakes at %v with %v under way, want the rise of the ceiling", wake, e)
	}
}

// A throttled create with no task live says nothing about slots.
func TestNoCeilingWithoutTasks(t *testing.T) {
	r := newRig(t, 3)
	r.baseline()
	r.refuseCreate(ClassThrottle, 0)
	if got := r.b.Lane(0).Ceiling; got != 0 {
		t.Fatalf("ceiling %d with nothing live", got)
	}
	r.submit()
}

func TestInterruptOnlyDrains(t *testing.T) {
	r := newRig(t, 4)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	fetch := r.await(OpFetch)
	create := r.await(OpCreate)
	r.b.Observe(Observation{Result: Interrupt})
	if wake := r.pump(); !wake.IsZero() || len(r.flying) != 0 {
		t.Fatalf("after an interrupt: wake %v, flying %v", wake, r.flying)
	}
	r.answer(fetch, Observation{Result: Fetched, Artifact: &Artifact{}})
	r.answer(create, Observation{Result: Created, Task: "task-2"})
	r.wantState("j0", StateDone)
	r.wantState("j1", StateQueued)
	if wake := r.pump(); !wake.IsZero() || len(r.flying) != 0 || r.b.Outstanding() != 0 {
		t.Fatalf("drained, but: wake %v, flying %v, outstanding %d", wake, r.flying, r.b.Outstanding())
	}
	if v := r.b.View(); v.Stop != StopInterrupted || v.Left != 3 {
		t.Fatalf("stop %q with %d left", v.Stop, v.Left)
	}
}

func TestInterruptBeforeTheRunIsOpened(t *testing.T) {
	r := newRig(t, 1)
	r.b.Observe(Observation{Result: Interrupt})
	r.open()
	if wake := r.pump(); !wake.IsZero() || len(r.flying) != 0 {
		t.Fatalf("the interrupt is forgotten: flying %v", r.flying)
	}
}

// A dead key ends the run; an account that may not create still follows its tasks.
func TestStopsOfCreating(t *testing.T) {
	r := newRig(t, 3)
	r.baseline()
	r.submit()
	r.refuseCreate(ClassAccount, 0)
	r.look(StatusSucceeded)
	r.store()
	r.wantState("j0", StateDone)
	r.noCreate(time.Hour)

	r = newRig(t, 3)
	r.baseline()
	r.submit()
	r.refuseCreate(ClassKey, 0)
	e := r.await(OpQuery)
	r.answer(e, Observation{Result: Failed, Class: ClassKey, Code: "InvalidApiKey"})
	if wake := r.pump(); !wake.IsZero() || len(r.flying) != 0 {
		t.Fatalf("the key is dead, but: wake %v, flying %v", wake, r.flying)
	}
}

func TestFullDiskBlocksCreatesAndThenStops(t *testing.T) {
	r := newRig(t, 5, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	query := r.await(OpQuery)
	r.answer(query, Observation{Result: Looked, Status: StatusSucceeded})
	n := 0
	for r.b.View().Stop == StopNone {
		fetch := r.await(OpFetch)
		if len(r.flying) > 0 && n > 0 {
			t.Fatalf("%v although the disk is full", r.flying)
		}
		r.flying = nil
		if n++; n > 100 {
			t.Fatal("the disk is full for ever, and the run goes on for ever")
		}
		r.answer(fetch, Observation{Result: DiskFull, Message: "no space"})
		if r.b.View().Stop == StopNone {
			if wake := r.pump(); wake.IsZero() {
				t.Fatal("the disk is full, and nothing wakes the batch")
			}
		}
	}
	if r.b.View().Stop != StopDisk {
		t.Fatalf("stop %q", r.b.View().Stop)
	}
	r.crash(time.Hour)
	r.answer(r.await(OpFetch), Observation{Result: Fetched, Artifact: &Artifact{}})
	r.wantState("j0", StateDone)
}

// There was no room for the intent: the driver did not apply it and sent nothing.
func TestNoRoomForTheIntent(t *testing.T) {
	r := newRig(t, 1)
	for range 2 {
		step, _, _ := r.b.Next(r.now)
		r.b.Observe(Observation{Effect: *step.Effect, Result: Listed, Complete: true})
	}
	for n := 0; r.b.View().Stop == StopNone; n++ {
		step, wake, ok := r.b.Next(r.now)
		if n > 100 {
			t.Fatal("for ever")
		}
		if !ok {
			if wake.IsZero() && r.b.View().Stop == StopNone {
				t.Fatal("nothing wakes the batch when there may be room again")
			}
			r.now = wake
			continue
		}
		if step.Record.Kind != Intended {
			t.Fatalf("%v", step.Record)
		}
		r.b.Observe(Observation{Effect: *step.Effect, Result: DiskFull, Message: "no space"})
	}
	r.wantState("j0", StatePending)
	r.wantMoney("0", "0", "0")
	if v := r.b.View(); v.Stop != StopDisk || r.b.Outstanding() != 0 {
		t.Fatalf("stop %q, %d outstanding", v.Stop, r.b.Outstanding())
	}
}

func TestBacklogOfResultsBlocksCreates(t *testing.T) {
	r := newRig(t, 20, func(s *Settings, l *LaneSettings) { s.Fetches, s.Backlog, l.Ahead = 1, 2, 0 })
	r.baseline()
	for range 3 {
		r.submit()
		r.look(StatusSucceeded)
	}
	r.await(OpFetch)
	for _, e := range r.flying {
		if e.Op == OpCreate {
			t.Fatal("creates with three results unfetched and a backlog of two")
		}
	}
	if wake := r.pump(); !wake.IsZero() {
		t.Fatalf("wakes at %v for nothing", wake)
	}
}

// A bucket that refuses a video ends the creating, not the following: what runs at
// the provider is paid, and would be gone before somebody comes to mend the bucket.
func TestARefusingBucketLosesNoResult(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.submit()
	refuse := func() {
		r.look(StatusSucceeded)
		r.answer(r.await(OpFetch), Observation{Result: Failed, Class: ClassConfig, Code: CodeStoreRefuses, Message: "HTTP 403"})
	}
	refuse()
	if v := r.b.View(); v.Stop != StopSetup || v.Live != 1 {
		t.Fatalf("%+v", v)
	}
	refuse() // the other one is followed, and fetched
	r.noCreate(time.Hour)
	if wake := r.pump(); !wake.IsZero() || len(r.flying) != 0 || r.b.View().StopCode != CodeStoreRefuses {
		t.Fatalf("goes on: wake %v, flying %v, %+v", wake, r.flying, r.b.View())
	}
	r.crash(time.Hour)
	r.store()
	r.store()
	r.wantState("j1", StateDone)
}
