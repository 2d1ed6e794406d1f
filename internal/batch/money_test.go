package batch

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// Promise 5: the cap holds, and what may have been paid is never forgotten.

func TestHolds(t *testing.T) {
	usage := func(s string) func(*Observation) {
		return func(o *Observation) { o.Usage = decimal.NewNullDecimal(money(s)) }
	}
	doubt := func(r *rig, rows ...Row) {
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		r.list(rows...)
		r.list(rows...)
	}
	tests := []struct {
		name string
		do   func(r *rig)
		want string // spent held possible
	}{
		{"in flight", func(r *rig) { r.await(OpCreate) }, "0 0.6 0"},
		{"in doubt", func(r *rig) { r.answer(r.await(OpCreate), Observation{Result: Unknown}) }, "0 0.6 0"},
		{"accepted", func(r *rig) { r.submit() }, "0 0.6 0"},
		{"refused", func(r *rig) { r.refuseCreate(ClassInput, 0) }, "0 0 0"},
		{"quarantined", func(r *rig) { doubt(r, Row{Task: "a"}, Row{Task: "b"}) }, "0 0.6 0"},
		{"adopted by a person", func(r *rig) {
			doubt(r, Row{Task: "a"}, Row{Task: "b"})
			r.resolve("j0", Adopted, "a")
			r.look(StatusSucceeded, usage("4"))
		}, "0.4 0 0"},
		{"resubmitted by a person", func(r *rig) {
			doubt(r, Row{Task: "a"}, Row{Task: "b"})
			r.resolve("j0", Again, "")
			r.submit()
			r.look(StatusSucceeded, usage("4"))
		}, "0.4 0 0.6"},
		{"abandoned by a person", func(r *rig) {
			doubt(r, Row{Task: "a"}, Row{Task: "b"})
			r.resolve("j0", Abandoned, "")
		}, "0 0 0.6"},
		{"abandoned, then retried by a person", func(r *rig) {
			doubt(r, Row{Task: "a"}, Row{Task: "b"})
			r.resolve("j0", Abandoned, "")
			for _, e := range r.b.RetryFailed(r.now) {
				r.apply(e)
			}
			r.submit()
		}, "0 0.6 0.6"},
		{"succeeded", func(r *rig) { r.submit(); r.look(StatusSucceeded, usage("5.21")) }, "0.521 0 0"},
		{"succeeded without usage", func(r *rig) {
			r.submit()
			r.look(StatusSucceeded, func(o *Observation) { o.Usage = decimal.NullDecimal{} })
		}, "0 0 0.6"},
		{"succeeded with usage below zero", func(r *rig) { r.submit(); r.look(StatusSucceeded, usage("-5")) }, "0 0 0.6"},
		{"succeeded with usage zero", func(r *rig) { r.submit(); r.look(StatusSucceeded, usage("0")) }, "0 0 0.6"},
		{"failed", func(r *rig) {
			r.submit()
			r.look(StatusFailed, func(o *Observation) { o.Class = ClassInput })
		}, "0 0 0"},
		{"canceled", func(r *rig) { r.submit(); r.look(StatusCanceled) }, "0 0 0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, 1, exclusive(ExclusiveAll), capped("5"))
			r.baseline()
			test.do(r)
			v := r.b.View()
			if got := v.Spent.String() + " " + v.Held.String() + " " + v.Possible.String(); got != test.want {
				t.Errorf("spent, held, possible are %s, want %s", got, test.want)
			}
			r.crash(time.Second) // compares the money over a replay
		})
	}
}

func TestCapIsNeverPassed(t *testing.T) {
	r := newRig(t, 5, capped("1.3")) // two holds of 0.6 fit, three do not
	r.baseline()
	r.submit()
	r.submit()
	r.noCreate(time.Hour)
	if r.b.View().Stop != StopNone {
		t.Fatal("stopped by the budget while a hold can still be released")
	}
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassInput }) // free: its hold is released
	r.submit()
	r.noCreate(time.Hour)
	r.look(StatusSucceeded)
	r.store()
	r.look(StatusSucceeded)
	r.store()
	r.noCreate(time.Hour)
	v := r.b.View()
	if v.Stop != StopBudget || v.Left != 2 || !v.Spent.Equal(money("1")) {
		t.Fatalf("stop %q with %d left and %s spent, want the budget to stop it with 2 left after 1", v.Stop, v.Left, v.Spent)
	}
	r.crash(time.Hour)
	r.noCreate(time.Hour)
}

// A failed task was free, and what was held for it is free for others: its job must
// fit under the cap anew when its turn comes again.
func TestARetryFitsUnderTheCap(t *testing.T) {
	r := newRig(t, 2, capped("1"))
	r.baseline()
	r.submit()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
	if job, _ := r.submit(); job != "j1" { // while j0 backs off
		t.Fatalf("submitted %s", job)
	}
	r.noCreate(time.Hour)
	r.look(StatusSucceeded)
	r.store()
	r.noCreate(time.Hour)
	if v := r.b.View(); v.Stop != StopBudget || v.Left != 1 {
		t.Fatalf("stop %q with %d left, want the budget to stop it with j0 left", v.Stop, v.Left)
	}
}

// What a task is held and billed at is the price of the run that submits it.
func TestARetryIsHeldAtItsOwnPrice(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassInput })
	dearer := testPlan("j0")
	dearer.UnitPrice, dearer.Hold = money("0.5"), money("3")
	r.apply(Event{Kind: Planned, Job: "j0", Plan: dearer})
	for _, e := range r.b.RetryFailed(r.now) {
		r.apply(e)
	}
	r.crash(time.Minute)
	r.baseline(r.mine()...)
	r.submit()
	r.wantMoney("0", "3", "0")
	r.look(StatusSucceeded)
	r.wantMoney("2.5", "0", "0")
}

func TestQuarantineCountsAgainstTheCap(t *testing.T) {
	r := newRig(t, 3, capped("1.3"))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(Row{Task: "a"})
	r.list(Row{Task: "a"})
	r.wantState("j0", StateQuarantined)
	r.submit()
	r.noCreate(time.Hour)
	r.resolve("j0", Again, "")
	r.look(StatusSucceeded)
	r.noCreate(time.Hour)
	r.wantMoney("0.5", "0", "0.6")
	if r.b.View().Stop != StopBudget {
		t.Fatalf("stop %q, want budget: 0.6 of 1.3 may have been paid", r.b.View().Stop)
	}
}

// Jobs are taken in order: a cheap job behind one that does not fit waits.
func TestFirstThatDoesNotFitStopsCreation(t *testing.T) {
	r := newRig(t, 1, capped("1"))
	dear, cheap := testPlan("dear"), testPlan("cheap")
	dear.Hold, cheap.Hold = money("0.7"), money("0.1")
	r.apply(Event{Kind: Planned, Job: "dear", Plan: dear})
	r.apply(Event{Kind: Planned, Job: "cheap", Plan: cheap})
	r.baseline()
	r.submit()
	r.noCreate(time.Hour)
	r.look(StatusSucceeded)
	r.noCreate(time.Hour)
	if r.b.View().Stop != StopBudget {
		t.Fatalf("stop %q, want budget", r.b.View().Stop)
	}
}

func TestBilledAboveItsHoldIsCounted(t *testing.T) {
	r := newRig(t, 2, capped("1.1"))
	r.baseline()
	r.submit()
	r.look(StatusSucceeded, func(o *Observation) { o.Usage = decimal.NewNullDecimal(money("1e3")) })
	r.store()
	r.wantMoney("100", "0", "0")
	if v := r.b.View(); v.Overruns != 1 || v.Stop != StopBudget {
		t.Fatalf("%d overruns, stop %q; want one, stopped by the budget", v.Overruns, v.Stop)
	}
	r.noCreate(time.Hour)
}

// New prices reach a job while its task runs: that task is billed at the price it
// was made at, the next one is held and billed at the new.
func TestPricesChangeUnderATask(t *testing.T) {
	for _, fails := range []bool{false, true} {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		dear := testPlan("j0")
		dear.UnitPrice, dear.Hold = money("0.2"), money("1.2")
		r.apply(Event{Kind: Planned, Job: "j0", Plan: dear})
		r.wantMoney("0", "0.6", "0")
		if fails {
			r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
			r.submit()
			r.wantMoney("0", "1.2", "0")
		}
		r.look(StatusSucceeded)
		r.wantMoney(map[bool]string{false: "0.5", true: "1"}[fails], "0", "0")
		r.crash(time.Second)
	}
}

func TestContentCannotChangeUnderATask(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	other := testPlan("j0")
	other.Key = "another"
	if err := r.b.Apply(Event{Kind: Planned, Job: "j0", At: r.now, Plan: other}); err == nil {
		t.Error("the content of a job changed while its task runs")
	}
}

func TestResolveRefusesWhatCannotBe(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	_, task := r.submit()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(Row{Task: task}, Row{Task: "a"}, Row{Task: "b"})
	r.list(Row{Task: task})
	for _, test := range []struct {
		name, job string
		kind      Kind
		task      string
	}{
		{"no such job", "nobody", Again, ""},
		{"not quarantined", "j0", Again, ""},
		{"task of another job", "j1", Adopted, task},
		{"no task", "j1", Adopted, ""},
		{"not a settlement", "j1", Stored, ""},
	} {
		if e, err := r.b.Resolve(test.job, test.kind, test.task, r.now, r.now); err == nil {
			t.Errorf("%s: got %v, want an error", test.name, e)
		}
	}
	r.wantState("j1", StateQuarantined)
}

// resolve settles a quarantine as a person would.
func (r *rig) resolve(id string, k Kind, task string) {
	r.t.Helper()
	events, err := r.b.Resolve(id, k, task, r.now, r.now)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events {
		r.apply(e)
	}
}

// What a failed task tells of usage may be billed, also beyond its hold.
func TestAFailureWithMoreUsageThanItsHold(t *testing.T) {
	r := newRig(t, 2, capped("3.5"), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.look(StatusFailed, func(o *Observation) { o.Class, o.Usage = ClassInput, capOf("30") })
	r.wantMoney("0", "0", "3")
	if v := r.b.View(); v.Overruns != 1 || v.Stop != StopBudget {
		t.Errorf("%d overruns, stop %q", v.Overruns, v.Stop)
	}
	r.noCreate(time.Hour)
}
