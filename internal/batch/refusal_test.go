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
	for r.state("j0") == StateQueued && r.now.Sub(from) < 4*r.lane.TaskLife {
		r.play(r.now.Add(time.Hour), never)
		if v := r.b.View(); v.Live > 0 && v.Stop != StopSetup {
			t.Fatalf("a run that has nothing else to look at goes on: %+v", v)
		}
		r.crash(r.lane.TaskLife / 4)
	}
	r.wantState("j0", StateLost)
	if age := r.last(Lost).At.Sub(from); age < 2*r.lane.TaskLife {
		t.Errorf("lost at the age of %v", age)
	}
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

// The tasks behind one that is not told of have their turn.
func TestARefusedTaskTakesNoTurn(t *testing.T) {
	r := newRig(t, 3, exclusive(ExclusiveAll))
	r.baseline()
	_, secret := r.submit()
	r.submit()
	r.submit()
	start := r.now
	ended := start.Add(10 * time.Minute)
	r.play(start.Add(23*time.Hour), func(e Effect) Observation {
		switch {
		case e.Op == OpList:
			var rows []Row
			for i, row := range r.mine() {
				row.Status = StatusPending
				if r.now.After(ended) {
					row.Status = StatusSucceeded
				} else if i == 0 {
					row.Status = StatusRunning
				}
				rows = append(rows, row)
			}
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: rows}
		case e.Op == OpFetch:
			return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
		case e.Task == secret:
			return Observation{Result: Failed, Class: ClassConfig, Code: "InvalidParameter"}
		case r.now.Before(ended):
			return Observation{Result: Looked, Status: StatusPending}
		}
		o := Observation{Result: Looked, Status: StatusSucceeded}
		o.Times.Expires = ended.Add(24 * time.Hour)
		return o
	})
	for _, id := range []string{"j1", "j2"} {
		j, _ := r.b.Job(id)
		if j.State != StateDone || j.StoredAt.Sub(ended) > 2*time.Hour {
			t.Errorf("%s late", id)
		}
	}
}

// A run that only cancels ends when that is refused again and again.
func TestACancelThatIsRefusedEnds(t *testing.T) {
	for _, c := range []Class{ClassAccount, ClassConfig} {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		r.recall(time.Second)
		n := 0
		end := r.now.Add(30 * 24 * time.Hour)
		r.play(end, func(e Effect) Observation {
			n++
			if n > 5000 {
				t.Fatalf("%s: %d calls in %v, no end; stop %q", c, n, r.now.Sub(epoch), r.b.View().Stop)
			}
			return Observation{Result: Failed, Class: c, Code: "AccessDenied"}
		})
	}
}

// Where every look at a task is refused, answered lists change nothing: the run ends.
func TestAllLooksRefused(t *testing.T) {
	for _, running := range []int{1, 3} {
		r := newRig(t, 6, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Running, l.Ahead = running, 3-running })
		r.baseline()
		r.submit()
		r.submit()
		r.submit()
		from := r.now
		r.play(from.Add(60*time.Hour), func(e Effect) Observation {
			if e.Op == OpList {
				rows := r.mine()
				for i := range rows {
					if r.now.Sub(from) > 10*time.Minute {
						rows[i].Status = StatusSucceeded
					}
				}
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: rows}
			}
			return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
		})
		v := r.b.View()
		if v.Stop == StopNone {
			t.Errorf("running %d: stop %q after %v; jobs %v", running, v.Stop, r.now.Sub(from), v.Jobs)
		}
	}
}

// Only a person pays again for what may have been billed.
func TestFailedWithUsageIsNotPaidAgain(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	for n := range 3 {
		if n > 0 && r.count(Again) == 0 {
			return
		}
		r.submit()
		r.look(StatusFailed, func(o *Observation) {
			o.Class, o.Code = ClassRetry, "InternalError.Upload"
			o.Usage = decimal.NewNullDecimal(money("5"))
		})
		r.pump()
		if c := r.count(Again); c != 0 {
			v := r.b.View()
			t.Errorf("task %d told of 5 s of usage; possible %s, and the job is queued again", n+1, v.Possible)
		}
	}
}

// Before our own clock says that a result is lost, a list is asked for the provider's:
// where a task is UNKNOWN that ended,
func TestClockAheadAtAnUnknownResult(t *testing.T) {
	r := newRig(t, 2, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	expires := r.now.Add(24 * time.Hour)
	r.crash(49 * time.Hour) // in truth: one minute
	truly := func() time.Time { return r.now.Add(-49 * time.Hour).Add(time.Minute) }
	n := 0
	r.play(r.now.Add(2*time.Minute), func(e Effect) Observation {
		if e.Op == OpList {
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: truly(), Rows: []Row{{Task: "task-1", Model: "move", Status: StatusSucceeded}}}
		}
		if e.Op == OpFetch {
			n++
			return Observation{Result: Forbidden, Code: CodeUnknownTask}
		}
		return Observation{Result: Unknown}
	})
	if s := r.state("j0"); s == StateLost {
		t.Errorf("lost after %d UNKNOWN; the provider's clock has %v to go, and its list shows it", n, expires.Sub(truly()))
	}
}

// where a URL is refused in a run that has nothing to create,
func TestClockAheadWithNothingToCreate(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	expires := r.now.Add(24 * time.Hour)
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = expires })
	r.crash(49 * time.Hour) // in truth: one minute
	lists := 0
	r.play(r.now.Add(2*time.Minute), func(e Effect) Observation {
		if e.Op == OpList {
			lists++
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: epoch.Add(5 * time.Minute)}
		}
		return Observation{Result: Forbidden, Expires: expires}
	})
	if s := r.state("j0"); s == StateLost {
		t.Errorf("lost by our clock, %d lists", lists)
	}
}

// and where a task is UNKNOWN that ran.
func TestClockAheadAtAnUnknownTask(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.crash(25 * time.Hour) // in truth: one minute
	from := r.now
	lists := 0
	r.play(r.now.Add(5*time.Minute), func(e Effect) Observation {
		if e.Op == OpList {
			lists++
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(-25 * time.Hour), Rows: r.mine()}
		}
		return Observation{Result: Looked, Status: StatusUnknown}
	})
	if s := r.state("j0"); s == StateLost {
		t.Errorf("lost %v after the run began, by our clock alone; %d lists", r.last(Lost).At.Sub(from), lists)
	}
}

// A run that only cancels asks no list: it leaves such a task to the next run.
func TestClockAheadWhileCanceling(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.recall(25 * time.Hour) // in truth: one minute
	r.play(r.now.Add(time.Hour), func(e Effect) Observation {
		if e.Op == OpCancel {
			return Observation{Result: Canceled}
		}
		return Observation{Result: Looked, Status: StatusUnknown}
	})
	r.wantState("j0", StateQueued)
	r.idle()
}

// Lists that are refused for good, beside a task that looks tell of: its result is
// fetched all the same.
func TestRefusedListsLoseNoResult(t *testing.T) {
	for _, key := range []string{"k1", "k2"} {
		for _, jobs := range []int{1, 2} { // with one, no list is asked for
			r := newRig(t, jobs)
			r.baseline()
			r.submit()
			if jobs == 2 {
				r.refuseCreate(ClassThrottle, time.Hour)
			}
			r.look(StatusRunning)
			made := r.now
			for range 20 { // a cron job, once an hour
				r.changeKey(key)
				r.play(r.now.Add(50*time.Minute), func(e Effect) Observation {
					switch e.Op {
					case OpQuery:
						return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: made.Add(24 * time.Hour)}}
					case OpFetch:
						return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
					case OpList:
						return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
					}
					return Observation{Result: Failed, Class: ClassRetry}
				})
				r.now = r.now.Add(time.Hour)
			}
			if s := r.state("j0"); s != StateDone {
				t.Errorf("key %s, %d jobs: after 20 runs in %v j0 is %s, though every look would tell of its result", key, jobs, r.now.Sub(made), s)
			}
		}
	}
}

// The same in the middle of a run, and by lists that a gateway no longer has.
func TestListsRefusedInTheMiddleOfARun(t *testing.T) {
	for _, c := range []Class{ClassAccount, ClassConfig} {
		r := newRig(t, 3, func(_ *Settings, l *LaneSettings) { l.Ahead = 1 })
		r.baseline()
		r.submit()
		r.refuseCreate(ClassThrottle, 11*time.Minute)
		r.play(r.now.Add(time.Hour), func(e Effect) Observation {
			switch e.Op {
			case OpQuery:
				if r.now.Sub(epoch) < 20*time.Minute {
					return Observation{Result: Looked, Status: StatusRunning}
				}
				return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
			case OpFetch:
				return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
			}
			return Observation{Result: Failed, Class: c, Code: "Refused"}
		})
		if s := r.state("j0"); s != StateDone {
			t.Errorf("%s: the run ended with %q while j0 is %s", c, r.b.View().Stop, s)
		}
	}
}

// Lists that fail for good end a run that waits for nothing but their clock.
func TestListsThatFailForGood(t *testing.T) {
	for _, key := range []string{"k1", "k2"} {
		for _, down := range []time.Duration{time.Minute, 72 * time.Hour} {
			r := newRig(t, 1)
			r.baseline()
			r.submit()
			r.changeKey(key)
			r.now = r.now.Add(down)
			r.play(r.now.Add(30*24*time.Hour), func(e Effect) Observation {
				switch e.Op {
				case OpQuery:
					return Observation{Result: Looked, Status: StatusUnknown}
				}
				return Observation{Result: Failed, Class: ClassRetry, Code: "InternalError"}
			})
			if v := r.b.View(); v.Stop == StopNone && v.Live > 0 {
				t.Errorf("key %s, down for %v: 30 days on, the run still asks", key, down)
			}
		}
	}
}

// A result whose URL is refused, or which the provider does not know any more, is none of
// which it tells: where lists are refused as well, the run ends.
func TestListsRefusedBesideAResultThatIsRefused(t *testing.T) {
	for _, code := range []string{"", CodeUnknownTask} {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		r.look(StatusSucceeded)
		r.crash(48 * time.Hour)
		r.play(r.now.Add(24*time.Hour), func(e Effect) Observation {
			if e.Op == OpFetch {
				return Observation{Result: Forbidden, Code: code}
			}
			return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
		})
		if r.b.View().Stop != StopAccount {
			t.Errorf("code %q: a day on, the run still asks", code)
		}
	}
}

// A task that is refused for ever is not lost by our clock, which may be days ahead: not
// where no server tells the time in this run, nor where none did when it was made.
func TestARefusedTaskIsNotLostByOurClock(t *testing.T) {
	for _, dated := range []bool{true, false} { // when it was made
		r := newRig(t, 1)
		first, answer := r.clockless, Observation{Result: Listed, Complete: true, Pages: 1, Clock: epoch.Add(time.Minute)}
		if dated {
			first, answer.Clock = r.list, time.Time{}
		}
		first()
		first()
		r.submit()
		r.crash(50 * time.Hour) // in truth: one minute
		r.play(r.now.Add(time.Hour), func(e Effect) Observation {
			if e.Op == OpList {
				return answer
			}
			return Observation{Result: Failed, Class: ClassInput, Code: "TaskNotFound"}
		})
		if s := r.state("j0"); s != StateQueued {
			t.Errorf("dated when it was made %v: %s", dated, s)
		}
	}
}

// One list that fails beside a task that runs, or is refused by a proxy without a code,
// is no reason to stop, nor one to be reported at the end.
func TestOneListThatFailsBesideATask(t *testing.T) {
	for _, o := range []Observation{{Result: Failed, Class: ClassAccount}, {Result: Failed, Class: ClassRetry, Code: "InternalError"}} {
		r := newRig(t, 2)
		r.baseline()
		r.submit()
		r.look(StatusRunning)
		r.refuseCreate(ClassBurst, 20*time.Minute) // then strangers are counted first
		r.answer(r.await(OpList), o)
		if v := r.b.View(); v.Stop != StopNone || v.StopCode != "" {
			t.Errorf("%s: stop %q, code %q", o.Class, v.Stop, v.StopCode)
		}
	}
}

// Lists are asked for the provider's clock alone, after a sleep, and refused for hours:
// looks tell of the task all the same, and the run goes on.
func TestListsRefusedThatWereAskedForTheClock(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusPending)
	r.b.Slept(time.Hour)
	r.play(r.now.Add(3*time.Hour), func(e Effect) Observation {
		if e.Op == OpList {
			return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
		}
		return Observation{Result: Looked, Status: StatusPending}
	})
	if v := r.b.View(); v.Stop != StopNone {
		t.Errorf("stop %q %s beside a task that waits", v.Stop, v.StopCode)
	}
}

// One list that fails ends no run which wants the provider's clock: the next tells it.
func TestOneListThatFailsForTheClock(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.crash(72 * time.Hour)
	for range unknownTries {
		r.look(StatusUnknown)
	}
	r.answer(r.await(OpList), Observation{Result: Failed, Class: ClassRetry})
	r.list()
	r.look(StatusUnknown)
	r.wantState("j0", StateLost)
}

// A network that is down for hours ends no run, though there is nothing else to do.
func TestANetworkThatIsDown(t *testing.T) {
	r := newRig(t, 1)
	r.play(r.now.Add(3*time.Hour), func(Effect) Observation {
		return Observation{Result: Failed, Class: ClassRetry}
	})
	if v := r.b.View(); v.Stop != StopNone {
		t.Fatalf("stop %q %s", v.Stop, v.StopCode)
	}
	r.baseline()
	r.submit()
}

// Nor do lists that miss pages for hours beside a task that runs, or a create in doubt.
func TestListsThatAreNeverWholeBesideATask(t *testing.T) {
	for _, doubt := range []bool{false, true} {
		r := newRig(t, 2)
		r.baseline()
		if doubt {
			r.answer(r.await(OpCreate), Observation{Result: Unknown})
		} else {
			r.submit()
			r.refuseCreate(ClassBurst, 20*time.Minute)
		}
		r.play(r.now.Add(3*time.Hour), func(e Effect) Observation {
			if e.Op == OpList {
				return Observation{Result: Listed, Rows: r.mine()}
			}
			return Observation{Result: Looked, Status: StatusRunning}
		})
		if v, n := r.b.View(), r.b.Lane(0).Misses; v.Stop != StopNone || n != 0 {
			t.Errorf("in doubt %v: stop %q %s, %d lists are said to miss a task of ours", doubt, v.Stop, v.StopCode, n)
		}
	}
}

// A result that the bucket refused is followed by nobody: refused lists end the run.
func TestRefusedListsBesideALeftResult(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	_, first := r.submit()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	start := r.now
	r.play(r.now.Add(30*time.Hour), func(e Effect) Observation {
		switch {
		case e.Op == OpList:
			return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
		case e.Op == OpQuery && e.Task == first:
			return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
		case e.Op == OpFetch:
			return Observation{Result: Failed, Class: ClassConfig, Code: CodeStoreRefuses}
		}
		return Observation{Result: Failed, Class: ClassRetry}
	})
	if d := r.now.Sub(start); d > time.Hour {
		t.Errorf("the run goes on for %v, and can do nothing: stop %q", d, r.b.View().Stop)
	}
}

// Lists are refused: a result that cannot be reached is asked for anew all the same.
func TestDeadURLBesideRefusedLists(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.crash(time.Minute)
	start, last, anew := r.now, r.now, 0
	r.play(r.now.Add(100*time.Hour), func(e Effect) Observation {
		last = r.now
		if e.Op == OpList {
			return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
		}
		if e.Anew {
			anew++
			return Observation{Result: Forbidden, Code: CodeUnknownTask}
		}
		return Observation{Result: Failed, Class: ClassRetry} // the host cannot be reached
	})
	if last.Sub(start) > 60*time.Hour {
		t.Errorf("after %v it is still asked for, %d times anew; j0 is %s", last.Sub(start), anew, r.state("j0"))
	}
}

// A task that is too old to be known is lost after several refusals in a row, not after
// the first: that may have been a flap.
func TestAnOldTaskIsNotLostByOneRefusal(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.now = r.now.Add(50 * time.Hour)
	for range unknownTries {
		r.wantState("j0", StateQueued)
		r.answer(r.await(OpQuery), Observation{Result: Failed, Class: ClassInput, Code: "TaskNotFound"})
	}
	r.wantState("j0", StateLost)
}

// A task that ran for 20 hours is not known any more after 25, but its URL was promised
// for a day: until then the result is asked for.
func TestAResultWhoseURLOutlivesItsTask(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.now = r.now.Add(20 * time.Hour)
	r.look(StatusSucceeded)
	r.now = r.now.Add(5 * time.Hour)
	for range 2 * unknownTries {
		r.answer(r.await(OpFetch), Observation{Result: Forbidden, Code: CodeUnknownTask})
	}
	r.wantState("j0", StateFetching)
}
