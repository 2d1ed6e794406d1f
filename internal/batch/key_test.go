package batch

import (
	"testing"
	"time"
)

// changeKey ends the process, and a new one goes on with another API key.
func (r *rig) changeKey(key string) {
	r.t.Helper()
	r.b = replay(r.t, r.settings, []LaneSettings{r.lane}, r.events)
	r.flying = nil
	r.now = r.now.Add(time.Minute)
	r.apply(Event{Kind: Opened, Run: &Run{ID: "run2", Key: key}})
	r.now = r.now.Add(time.Millisecond)
}

// Nothing is paid for with a key that may be of another account: first it has to show
// that it knows a task that lives.
func TestNothingIsCreatedWithAKeyOfAnotherAccount(t *testing.T) {
	r := newRig(t, 3)
	r.baseline()
	r.submit()
	r.changeKey("k2")
	for range unknownTries {
		r.look(StatusUnknown)
	}
	r.list() // the provider's clock says that the task is young
	r.look(StatusUnknown)
	if r.count(Intended) != 1 || r.b.View().Stop != StopSetup {
		t.Errorf("%d creates, stop %q", r.count(Intended)-1, r.b.View().Stop)
	}
	r.changeKey("k1") // and with the right one all goes on
	r.look(StatusRunning)
	r.baseline(r.mine()...)
	r.await(OpCreate)
}

// A key that knows it is of the same account.
func TestAnotherKeyOfTheAccount(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.changeKey("k2")
	r.look(StatusRunning)
	r.baseline(r.mine()...)
	r.await(OpCreate)
}

// What this key's lists showed, they must still show.
func TestBlindListsAfterANewKey(t *testing.T) {
	for _, e := range []Exclusive{Shared, ExclusiveAll} {
		r := newRig(t, 2, exclusive(e), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		_, task := r.submit()
		made := r.now
		r.deliver()
		r.refuseCreate(ClassThrottle, time.Hour)
		r.changeKey("k2")
		r.baseline(Row{Task: task, Model: "move", Status: StatusSucceeded, Made: made})
		r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
		r.list()
		r.list()
		if r.count(Absent) != 0 {
			t.Errorf("%s: absent by lists that hide our task, which they showed", e)
		}
	}
}

// A doubt whose key is gone can be settled by a person, or nothing would ever settle it.
func TestRevokedKeyOfADoubt(t *testing.T) {
	for _, k := range []Kind{Abandoned, Again, Adopted} {
		for _, crash := range []bool{false, true} {
			r := newRig(t, 2)
			r.baseline()
			r.submit()
			if e := r.await(OpCreate); crash {
				r.b = replay(t, r.settings, []LaneSettings{r.lane}, r.events) // as resolve reads it: no run began since
			} else {
				r.answer(e, Observation{Result: Unknown})
			}
			task := ""
			if k == Adopted {
				task = "theirs"
			}
			if _, err := r.b.Resolve("j1", k, task, r.now.Add(50*time.Minute)); err == nil {
				t.Errorf("%s: settled before the first lists of any run show its task", k)
			}
			r.now = r.now.Add(time.Hour)
			r.resolve("j1", k, task)
			if v := r.b.View(); len(v.InDoubt) != 0 || v.Held.Add(v.Possible).String() != "1.2" {
				t.Errorf("%s: in doubt %v, held %s, possible %s", k, v.InDoubt, v.Held, v.Possible)
			}
			r.changeKey("k2")
			r.look(StatusRunning)
		}
	}
}

// A task that expired while the program was down is known to no key: the provider's
// clock tells that, where ours was set back.
func TestAnotherKeyAndATaskThatExpired(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.changeKey("k2") // 30 h later in truth
	r.b.Slept(100 * 365 * 24 * time.Hour)
	for range unknownTries {
		r.look(StatusUnknown)
	}
	r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(30 * time.Hour)})
	r.look(StatusUnknown)
	r.wantState("j0", StateLost)
	r.list()
	r.await(OpCreate)
}

// A result that waits to be fetched is one to be known, too.
func TestAnotherKeyAndAResult(t *testing.T) {
	for _, known := range []bool{true, false} {
		r := newRig(t, 2, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		r.submit()
		r.look(StatusRunning)
		r.look(StatusSucceeded)
		r.refuseCreate(ClassThrottle, time.Second)
		intents := r.count(Intended)
		r.changeKey("k2")
		if known {
			r.store()
			r.baseline()
			r.await(OpCreate)
			continue
		}
		for range unknownTries {
			r.answer(r.await(OpFetch), Observation{Result: Forbidden, Code: CodeUnknownTask})
		}
		r.list()
		r.answer(r.await(OpFetch), Observation{Result: Forbidden, Code: CodeUnknownTask})
		if r.count(Intended) != intents || r.b.View().Stop != StopSetup {
			t.Errorf("%d creates, stop %q", r.count(Intended)-intents, r.b.View().Stop)
		}
	}
}
