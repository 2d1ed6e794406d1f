package batch

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// The bill is the sum of usage times price, to the last digit, at every price and
// every length: an oracle in rational numbers agrees after each task.
func TestBillIsExact(t *testing.T) {
	for _, price := range []string{"0.12", "0.18", "0.26", "0.4", "0.6", "0.9"} {
		r := newRig(t, 0)
		plan := testPlan("x")
		plan.UnitPrice = money(price)
		const lengths = 30
		for i := range lengths {
			r.apply(Event{Kind: Planned, Job: fmt.Sprintf("x%d", i), Plan: plan})
		}
		r.baseline()
		want := new(big.Rat)
		for i := range lengths {
			usage := decimal.New(int64(7+103*i), -2) // 0.07 to 29.94 s
			r.submit()
			r.look(StatusSucceeded, func(o *Observation) { o.Usage = decimal.NewNullDecimal(usage) })
			r.store()
			want.Add(want, new(big.Rat).Mul(usage.Rat(), money(price).Rat()))
			if got := r.b.View().Spent; got.Rat().Cmp(want) != 0 {
				t.Fatalf("price %s, after %s s: billed %s, want %s", price, usage, got, want.FloatString(8))
			}
		}
	}
}

// What failed or was lost is retried when a person asks for it. A quarantined job is
// none of those: its task may live, and only resolve decides about it.
func TestRetryFailedLeavesQuarantines(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(Row{Task: "a"})
	r.list(Row{Task: "a"})
	r.wantState("j0", StateQuarantined)
	r.refuseCreate(ClassInput, 0)
	r.wantState("j1", StateFailed)
	events := r.b.RetryFailed(r.now)
	if len(events) != 1 || events[0].Job != "j1" {
		t.Fatalf("retries %v, want j1 alone", events)
	}
}

// A task that a person adopts is older than those submitted since: it may have
// ended long ago, and is looked at though the slot is another's.
func TestAdoptedByHandIsLookedAt(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(Row{Task: "a"})
	r.list(Row{Task: "a"})
	r.wantState("j0", StateQuarantined)
	r.submit()
	r.resolve("j0", Adopted, "a")
	r.crash(time.Minute)
	for end := r.now.Add(10 * time.Minute); r.now.Before(end); {
		if e := r.look(StatusPending); e.Task == "a" {
			return
		}
	}
	t.Fatal("not looked at in ten minutes")
}
