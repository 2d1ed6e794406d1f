package batch

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// play answers whatever the batch asks until nothing more comes, or until has come.
func (r *rig) play(until time.Time, answer func(e Effect) Observation) {
	r.t.Helper()
	for r.now.Before(until) {
		wake := r.pump()
		for len(r.flying) > 0 {
			e := r.flying[0]
			r.flying = r.flying[1:]
			r.answer(e, answer(e))
			wake = r.pump()
		}
		if wake.IsZero() {
			return
		}
		r.now = wake
	}
}

// One task that the provider will not tell of says nothing of the others: they are
// followed, in this run and in the next.
func TestOneTaskThatIsNotToldOf(t *testing.T) {
	r := newRig(t, 3, exclusive(ExclusiveAll))
	r.baseline()
	_, secret := r.submit()
	r.submit()
	r.submit()
	for run := range 4 {
		looked := map[string]int{}
		r.play(r.now.Add(time.Hour), func(e Effect) Observation {
			looked[e.Task]++
			switch {
			case e.Op == OpList:
				return Observation{Result: Listed, Complete: true, Pages: 1, Rows: r.mine()[1:]}
			case e.Task == secret:
				return Observation{Result: Failed, Class: ClassConfig, Code: "InvalidParameter", Message: "task_id is invalid"}
			}
			return Observation{Result: Looked, Status: StatusRunning}
		})
		if v := r.b.View(); v.Stop != StopNone || v.Live != 3 || looked["task-2"] < 10 {
			t.Errorf("run %d: stop %s %s, %d tasks live, looks %v", run, v.Stop, v.StopCode, v.Live, looked)
		}
		r.crash(5 * time.Minute)
	}
}

// One that is refused for ever is lost when the provider has surely forgotten its id,
// by the provider's clock, and no day sooner.
func TestATaskThatIsNeverToldOf(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	from := r.now
	never := func(e Effect) Observation {
		if e.Op == OpList {
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
		}
		return Observation{Result: Failed, Class: ClassInput, Code: "TaskNotFound"}
	}
	r.play(from.Add(2*r.lane.TaskLife), never)
	r.wantState("j0", StateQueued)
	r.play(from.Add(3*r.lane.TaskLife), never)
	r.wantState("j0", StateLost)
}

// Our clock may be days ahead: a result is gone by the provider's.
func TestAClockAheadLosesNoResult(t *testing.T) {
	r := newRig(t, 1)
	r.now = r.now.Add(48 * time.Hour)
	r.open()
	truly := func() time.Time { return r.now.Add(-48 * time.Hour) }
	for range 2 {
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: truly()})
	}
	r.submit()
	expires := truly().Add(24 * time.Hour)
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = expires })
	at := r.now
	r.answer(r.await(OpFetch), Observation{Result: Forbidden, Expires: expires})
	r.answer(r.await(OpFetch), Observation{Result: Forbidden, Expires: expires})
	if s := r.state("j0"); s != StateFetching {
		t.Errorf("%s %v after it ended, by our clock; the provider's says %v to go", s, r.now.Sub(at), expires.Sub(truly()))
	}
}

// A URL may promise centuries: the provider that has forgotten the task knows better.
func TestAURLThatPromisesTooMuch(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	far := time.Unix(9999999999, 0).UTC()
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = far })
	from := r.now
	for n := 0; r.state("j0") == StateFetching && r.now.Sub(from) < 60*24*time.Hour; n++ {
		e := r.await(OpFetch)
		if r.now.Sub(from) < 24*time.Hour {
			r.answer(e, Observation{Result: Forbidden, Expires: far})
		} else {
			r.answer(e, Observation{Result: Forbidden, Code: CodeUnknownTask})
		}
	}
	if s := r.state("j0"); s != StateLost {
		t.Errorf("still %s after %v", s, r.now.Sub(from))
	}
}

// A task that failed and tells of usage all the same may have been billed.
func TestFailedWithUsage(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusFailed, func(o *Observation) {
		o.Class, o.Code = ClassRetry, "InternalError.Upload"
		o.Usage = decimal.NewNullDecimal(money("5"))
	})
	v := r.b.View()
	if !v.Possible.IsPositive() && !v.Spent.IsPositive() {
		t.Errorf("the provider names 5 s of usage, and spent, held, possible are %s %s %s", v.Spent, v.Held, v.Possible)
	}
}
