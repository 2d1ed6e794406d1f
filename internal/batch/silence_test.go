package batch

import (
	"fmt"
	"testing"
	"time"
)

// A list that does not show our task which ended a minute ago is as blind as one
// that misses a task which runs: two of them prove nothing.
func TestListsThatHideAnEndedTask(t *testing.T) {
	for _, e := range []Exclusive{Shared, ExclusiveAll} {
		r := newRig(t, 2, exclusive(e), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		r.submit()
		r.deliver()
		r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
		r.list()                                                  // total 0: neither that, nor the one that ended just now
		r.list()
		if r.count(Absent) != 0 {
			t.Errorf("%s: absent by two lists that miss a task of this run, ended %v ago", e, r.now.Sub(r.last(Ended).At))
		}
	}
}

// Lists that were caught lagging by a task that ran are not believed once it has ended.
func TestListsThatWereCaughtLagging(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // made "orphan", listed in 15 min
	from := r.now
	for range 3 { // blind, and known to be
		r.list()
	}
	if r.count(Absent) != 0 {
		t.Fatal("absent while blind")
	}
	r.look(StatusSucceeded)
	r.store()
	r.list()
	r.list()
	if r.count(Absent) != 0 {
		t.Errorf("absent %v after the create, by lists that three times missed a live task", r.now.Sub(from))
	}
}

// A list that misses a task of ours takes the silence of the one before it back: what
// lists miss may be another thing each time.
func TestABlindListBetweenTwo(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	_, task := r.submit()
	mine := Row{Task: task, Status: StatusRunning}
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(mine)
	r.list()
	r.list(mine)
	if r.count(Absent) != 0 {
		t.Fatal("absent by two lists with a blind one between them")
	}
	if r.list(mine); r.count(Absent) != 1 {
		t.Error("not absent by two lists in a row")
	}
}

// The task before the doubt counts as well if an earlier run made it.
func TestListsThatHideATaskOfTheRunBefore(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	list := func() {
		t.Helper()
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now})
	}
	list()
	list()
	r.answer(r.await(OpCreate), Observation{Result: Created, Task: "mine"})
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.crash(time.Minute)
	r.deliver()
	list()
	list()
	if r.count(Absent) != 0 {
		t.Error("absent")
	}
}

// And where no server tells the time, by our own clock: a person is asked sooner than
// a list is believed that hides it.
func TestListsThatHideATaskWithoutAClock(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.clockless()
	r.clockless()
	r.answer(r.await(OpCreate), Observation{Result: Created, Task: "mine"})
	r.refuseCreate(ClassThrottle, time.Hour)
	r.deliver()
	r.crash(time.Minute)
	for range 2 {
		r.clockless() // does not show "mine"
	}
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.clockless()
	r.clockless()
	r.wantState("j1", StateQuarantined)
}

// A list shows 24 hours, however long ids live.
func TestIDsThatOutliveTheList(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.TaskLife = 36 * time.Hour })
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.crash(30 * time.Hour)
	r.list() // the window of 24 h has passed: the orphan is not in it
	r.list()
	r.wantState("j0", StateQuarantined)
}

// A dated snapshot of our model is our model; another model is not, whatever its name
// begins with.
func TestASnapshotOfOurModelIsOurs(t *testing.T) {
	for model, ours := range map[string]bool{"": true, "move": true, "move-2026-10-01": true, "move-plus": false, "mover": false, "mix": false} {
		r := newRig(t, 1, exclusive(ExclusiveAll))
		r.baseline()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		row := Row{Task: "orphan", Model: model, Status: StatusPending}
		r.list(row)
		r.list(row)
		if adopted := r.count(Adopted) == 1; adopted != ours {
			t.Errorf("a row of model %q: adopted %v, want %v", model, adopted, ours)
		}
	}
}

// Where no server tells the time in one of two runs, their clocks alone do not prove
// that a doubt with no task before it is young.
func TestAFirstDoubtWithoutTheProvidersClock(t *testing.T) {
	type list = func(*rig, ...Row)
	for name, lists := range map[string][2]list{
		"in neither run": {(*rig).clockless, (*rig).clockless},
		"in the first":   {(*rig).list, (*rig).clockless},
		"in the second":  {(*rig).clockless, (*rig).list},
	} {
		r := newRig(t, 1, exclusive(ExclusiveAll))
		lists[0](r)
		lists[0](r)
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		r.crash(6 * time.Hour) // 30 h in truth
		lists[1](r)
		lists[1](r)
		if r.state("j0") != StateQuarantined {
			t.Errorf("a clock %s: %s by clocks of two runs alone", name, r.state("j0"))
		}
	}
}

// A run that could only wait for lists which always miss something says so and ends.
func TestListsThatAreNeverWhole(t *testing.T) {
	r := newRig(t, 1)
	r.play(epoch.Add(7*24*time.Hour), func(Effect) Observation {
		return Observation{Result: Listed, Rows: []Row{stranger("s")}}
	})
	if v := r.b.View(); v.Stop != StopSetup || v.StopCode != CodeListsMiss {
		t.Errorf("stop %q %s after %v", v.Stop, v.StopCode, r.now.Sub(epoch))
	}
}

// The task before the doubt counts as long as the provider lists it.
func TestListsThatHideATaskOfYesterday(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r := newRig(t, 2, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		r.submit()
		r.deliver()
		if crash {
			r.refuseCreate(ClassThrottle, time.Hour)
			r.crash(13 * time.Hour)
			r.baseline(Row{Task: "task-1", Model: "move", Status: StatusSucceeded})
		} else {
			r.refuseCreate(ClassThrottle, 13*time.Hour)
			r.now = r.now.Add(13 * time.Hour)
			r.list(Row{Task: "task-1", Model: "move", Status: StatusSucceeded}) // 13 h later it is still listed
			r.pump()
		}
		e := r.await(OpCreate)
		r.answer(e, Observation{Result: Unknown}) // it made a task
		r.list()
		r.list()
		if r.count(Absent) != 0 {
			t.Errorf("crash %v: absent by two lists that hide our task of %v ago, which the provider lists for 24 h", crash, r.now.Sub(r.last(Ended).At))
		}
	}
}

// The first list of a run is held to the same.
func TestABlindListAtTheStart(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Created, Task: "mine"})
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.crash(time.Minute)
	r.deliver()
	r.list() // shows nothing at all: blind
	r.list(Row{Task: "mine", Model: "move", Status: StatusSucceeded})
	if r.count(Absent) != 0 {
		t.Error("absent by one list that sees and one that shows nothing at all")
	}
}

// A task that was adopted by evidence is a reference as well, also where no server
// tells the time: lists that miss it settle nothing.
func TestListsThatHideAnAdoptedTask(t *testing.T) {
	for _, list := range []func(*rig, ...Row){(*rig).list, (*rig).clockless} {
		r := newRig(t, 2, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		list(r)
		list(r)
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		row := Row{Task: "orphan", Model: "move", Status: StatusPending}
		list(r, row)
		list(r, row)
		r.wantState("j0", StateQueued)
		r.deliver()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		list(r)
		list(r)
		r.wantState("j1", StateInDoubt)
	}
}

// It is one also if it failed or was canceled: the provider lists these.
func TestAReferenceThatFailed(t *testing.T) {
	for _, s := range []Status{StatusFailed, StatusCanceled} {
		r := newRig(t, 2, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		r.submit()
		r.look(StatusRunning)
		r.look(s, func(o *Observation) { o.Class = ClassInput })
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		rows := []Row{{Task: "task-1", Model: "move", Status: s}}
		r.list(rows...)
		r.list(rows...)
		if r.count(Absent) != 1 {
			t.Errorf("%s: %v", s, r.b.View().Jobs)
		}
	}
}

// doubtBesideAStranger is a first create in doubt, on an exclusive lane whose lists
// showed a stranger's task of that age before it.
func doubtBesideAStranger(t *testing.T, age time.Duration) (*rig, Row) {
	t.Helper()
	r := newRig(t, 1, exclusive(ExclusiveAll))
	theirs := stranger("theirs")
	theirs.Made = r.now.Add(-age)
	r.baseline(theirs)
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	return r, theirs
}

// Where no task of ours came before the doubt, any task must still be there that lists
// showed: of a stranger, before the create was sent.
func TestListsThatHideWhatTheyShowed(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r, theirs := doubtBesideAStranger(t, time.Hour) // its create made a task
		if crash {
			r.crash(time.Minute)
		}
		for range 4 {
			r.list()
		}
		if r.count(Absent) != 0 {
			t.Errorf("crash %v: absent by lists that hide a task of 1 h ago which they showed", crash)
		}
		r.list(theirs)
		if r.list(theirs); r.count(Absent) != 1 {
			t.Errorf("crash %v: not absent by two lists that show it: %v", crash, r.b.View().Jobs)
		}
	}
}

// What is too old to be listed may be missing, and what was made later than the
// provider's clock says is no measure.
func TestListsThatNeedNotShowIt(t *testing.T) {
	for _, age := range []time.Duration{23*time.Hour + 57*time.Minute, -time.Minute} {
		r, _ := doubtBesideAStranger(t, age)
		r.list()
		if r.list(); r.count(Absent) != 1 {
			t.Errorf("a task of %v ago: %v", age, r.b.View().Jobs)
		}
	}
}

// Lists that lag less than the settle time miss only what is too young for them: they
// are no reason to go on asking.
func TestListsThatLag(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveKey))
	var rows []Row
	r.now = r.now.Add(10 * time.Minute)
	lists := 0
	show := func(lag time.Duration) {
		t.Helper()
		e := r.await(OpList)
		for len(rows) == 0 || rows[len(rows)-1].Made.Before(r.now) { // strangers create all the time
			rows = append(rows, Row{Task: fmt.Sprint("s", len(rows)), Model: "move", Status: StatusSucceeded, KeyID: "9",
				Made: epoch.Add(time.Duration(len(rows)) * 20 * time.Second)})
		}
		var listed []Row
		for _, row := range rows {
			if !row.Made.Add(lag).After(r.now) {
				listed = append(listed, row)
			}
		}
		lists++
		r.answer(e, Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: listed})
		r.now = r.now.Add(500 * time.Millisecond)
	}
	show(0)
	show(30 * time.Second)
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made nothing, and lists show no key of ours
	for r.state("j0") == StateInDoubt && lists < 10 {
		show(0)
		show(30 * time.Second)
	}
	r.wantState("j0", StateQuarantined)
}

// A list without a clock cannot say whether what it misses is too old for it.
func TestHidingListsWithoutAClock(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r, _ := doubtBesideAStranger(t, time.Hour) // its create made a task
		if crash {
			r.crash(time.Minute)
		}
		r.clockless()
		r.clockless()
		if r.count(Absent) != 0 {
			t.Errorf("crash %v: absent by lists that hide a task of 1 h ago which they showed", crash)
		}
	}
}

// Nor does a clock that is behind, or a younger task, excuse a list that hides what
// lists showed.
func TestHidingListsUnderAWrongClock(t *testing.T) {
	r, _ := doubtBesideAStranger(t, time.Hour) // its create made a task
	for range 2 {
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(-time.Hour)})
	}
	if r.count(Absent) != 0 {
		t.Error("absent by lists that hide a task of 1 h ago which they showed")
	}
}

func TestHidingListsBesideAYoungStranger(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveKey))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
	sent := r.now
	e := r.await(OpList)
	old, young := stranger("old"), stranger("young")
	old.Made, young.Made = sent.Add(-time.Second), r.now.Add(-time.Second)
	r.answer(e, Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: []Row{old, young}})
	r.list()
	r.wantState("j0", StateInDoubt) // not settled by a list that shows nothing, though a task from before the doubt was listed
}

// But not while a paid result waits to be fetched.
func TestListsThatAreNeverWholeBesideAResult(t *testing.T) {
	r := newRig(t, 2, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.refuseCreate(ClassThrottle, 20*time.Minute) // from then on strangers are counted first
	r.play(epoch.Add(20*time.Hour), func(e Effect) Observation {
		if e.Op == OpList {
			return Observation{Result: Listed, Rows: []Row{stranger("s")}}
		}
		return Observation{Result: Failed, Class: ClassRetry}
	})
	r.store()
	r.wantState("j0", StateDone)
}

// Nor is a task of another model a measure, which lists of this lane do not count.
func TestATaskOfAnotherModelIsNoMeasure(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	mix := Row{Task: "mix", Model: "mix", Status: StatusRunning, Made: r.now.Add(-time.Hour)}
	r.baseline(mix)
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(mix)
	if r.list(mix); r.count(Absent) != 1 {
		t.Errorf("not absent: %v", r.b.View().Jobs)
	}
}

// A run with a mistyped key between two with the right one: the next does not believe
// lists that miss the task made before.
func TestMistypedKeyForgetsNoReference(t *testing.T) {
	for _, mistyped := range []bool{false, true} {
		r := newRig(t, 2, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		_, task := r.submit()
		made := r.now
		r.deliver()
		r.refuseCreate(ClassThrottle, time.Hour)
		r.crash(time.Minute)
		r.baseline(Row{Task: task, Model: "move", Status: StatusSucceeded, Made: made}) // lists do show it, as yet
		r.refuseCreate(ClassThrottle, time.Hour)
		if mistyped {
			r.changeKey("mistyped")
			r.answer(r.await(OpList), Observation{Result: Failed, Class: ClassKey, Code: "InvalidApiKey"})
			if r.b.View().Stop != StopKey {
				t.Fatal("no stop")
			}
		}
		r.changeKey("k1")
		r.list() // blind: hides task-1, made a minute ago
		r.list()
		r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
		r.list()
		r.list()
		if r.count(Absent) != 0 {
			t.Errorf("mistyped %v: absent by lists that hide a task of this key of %v ago", mistyped, r.now.Sub(epoch))
		}
	}
}

// A new key of the same account, proved by a look: lists must show what looks told of.
func TestHidingListsAfterANewKey(t *testing.T) {
	for _, rotate := range []bool{false, true} {
		r := newRig(t, 2, exclusive(ExclusiveAll))
		theirs := stranger("theirs") // the account's lists do show tasks, as yet
		theirs.Made = r.now.Add(-time.Hour)
		r.baseline(theirs)
		r.submit() // task-1
		r.refuseCreate(ClassThrottle, time.Hour)
		if rotate {
			r.changeKey("k2")
		} else {
			r.crash(time.Minute)
		}
		r.list() // blind: task-1 is not in it
		r.list()
		r.look(StatusRunning)                                     // the new key is told of task-1: the same account
		r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
		r.list()
		r.list()
		r.look(StatusSucceeded)
		r.store()
		for range 4 {
			if r.count(Absent) == 0 {
				r.list() // still blind
			}
		}
		if r.count(Absent) != 0 {
			t.Errorf("rotate %v: absent by lists that hide a task that this very key was told of, created %v before", rotate, r.now.Sub(epoch))
		}
	}
}

// Lists must show a task that a person adopted and a look told of, also once it ended.
func TestHidingListsAfterAnAdoptionByHand(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // the account's lists do show tasks, as yet
	rows := []Row{{Task: "x", Model: "move", Status: StatusRunning, Made: r.now}, {Task: "y", Model: "move", Status: StatusRunning, Made: r.now}}
	r.list(rows...)
	r.list(rows...)
	r.wantState("j0", StateQuarantined)
	r.refuseCreate(ClassThrottle, time.Hour)
	r.resolve("j0", Adopted, "x")
	r.crash(time.Minute)
	r.list() // from here on lists are blind
	r.list()
	r.look(StatusRunning)
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
	r.list()
	r.list()
	r.wantState("j1", StateInDoubt) // caught: they miss x, which runs
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Submitted = epoch })
	r.store()
	for range 4 {
		if r.count(Absent) == 0 {
			r.list()
		}
	}
	if r.count(Absent) != 0 {
		t.Errorf("absent by lists that were caught missing a task that ran minutes ago")
	}
}

// Lists that missed one of two tasks are not believed when it has ended, though they
// show the newest, nor where no server told the time when it was made.
func TestListsThatMissedATaskMustShowIt(t *testing.T) {
	for _, list := range []func(*rig, ...Row){(*rig).list, (*rig).clockless} {
		r := newRig(t, 3, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Running, l.Ahead = 3, 0 })
		list(r)
		list(r)
		_, t1 := r.submit()
		_, t2 := r.submit()
		r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
		show := Row{Task: t2, Model: "move", Status: StatusRunning, Made: r.now}
		done := false
		lists := 0
		r.play(r.now.Add(20*time.Minute), func(e Effect) Observation {
			switch {
			case e.Op == OpList:
				lists++
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: []Row{show}} // never t1
			case e.Op == OpQuery && e.Task == t1 && lists > 3:
				done = true
				return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
			case e.Op == OpQuery:
				return Observation{Result: Looked, Status: StatusRunning}
			case e.Op == OpFetch:
				return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
			}
			return Observation{Result: Unknown}
		})
		if r.count(Absent) != 0 {
			t.Errorf("absent (%v) by lists that hide task-1, which they were caught hiding; lists %d, ended %v", r.now.Sub(epoch), lists, done)
		}
	}
}

// Servers without a date: lists must show what those of this run showed.
func TestHidingListsWithoutAnyClock(t *testing.T) {
	for _, e := range []Exclusive{Shared, ExclusiveAll} {
		r := newRig(t, 1, exclusive(e))
		theirs := stranger("theirs")
		theirs.Made = r.now.Add(-time.Hour)
		r.clockless(theirs)
		r.clockless(theirs)
		r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
		r.clockless()
		r.clockless()
		if r.count(Absent) != 0 {
			t.Errorf("%s: absent by lists that hide a task of 1 h ago which they showed minutes before", e)
		}
	}
}

// A person settled a doubt by hand; lists that do not show its task at the next start
// leave it unknown. A later doubt does not take it.
func TestTaskOfASettledDoubtIsNotAdopted(t *testing.T) {
	for _, k := range []Kind{Abandoned, Again} {
		r := newRig(t, 3, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		_, first := r.submit()
		made := r.now
		r.deliver()
		r.answer(r.await(OpCreate), Observation{Result: Unknown}) // j1: it made "orphan"
		orphanMade := r.now
		r.list() // blind: hides task-1
		r.list()
		r.wantState("j1", StateInDoubt)
		r.b = replay(t, r.settings, []LaneSettings{r.lane}, r.events)
		r.flying = nil
		r.now = r.now.Add(90 * time.Minute)
		r.resolve("j1", k, "")
		r.crash(time.Minute)
		r.list() // still blind
		r.list()
		c := r.await(OpCreate)
		r.answer(c, Observation{Result: Unknown}) // it made nothing
		rows := []Row{{Task: first, Model: "move", Status: StatusSucceeded, Made: made},
			{Task: "orphan", Model: "move", Status: StatusSucceeded, Made: orphanMade}}
		r.list(rows...)
		r.list(rows...)
		if r.count(Adopted) != 0 {
			t.Errorf("%s: %s adopts the task of j1, made %v before its own create", k, c.Job, r.last(Intended).At.Sub(orphanMade))
		}
	}
}

// The lists before the first intent may be blind; then a task of another batch of this
// lane is unknown, and was made before the create in doubt.
func TestTaskMadeBeforeADoubtIsNotAdopted(t *testing.T) {
	r := newRig(t, 3, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	_, first := r.submit()
	made := r.now
	r.deliver()
	r.refuseCreate(ClassThrottle, time.Second)
	other := r.now.Add(time.Minute) // another batch of wanbatch takes the lane for a while
	r.crash(30 * time.Minute)
	r.list() // blind: task-1, of 30 minutes ago, is not in it
	r.list()
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made nothing
	rows := []Row{{Task: first, Model: "move", Status: StatusSucceeded, Made: made},
		{Task: "other", Model: "move", Status: StatusSucceeded, Made: other}}
	r.list(rows...)
	r.list(rows...)
	if r.count(Adopted) != 0 {
		t.Errorf("%s adopts a task that was made %v before its create", r.last(Adopted).Job, r.last(Intended).At.Sub(other))
	}
}

// The same where no list was caught: the new key is told only that the task has ended.
func TestHidingListsAfterALook(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.submit()
	r.refuseCreate(ClassThrottle, time.Hour)
	r.changeKey("k2")
	r.list() // blind: task-1 is not in it
	r.list()
	r.look(StatusSucceeded)
	r.store()
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
	for range 4 {
		r.list() // still blind
	}
	r.wantState("j1", StateInDoubt)
}

// Lists of a doubt show a stranger's task of an hour ago, and the next does not: it lags,
// and two in a row must be whole.
func TestListsThatShowATaskAndHideIt(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	theirs := stranger("theirs")
	theirs.Made = r.now.Add(-time.Hour)
	r.baseline(theirs)
	r.refuseCreate(ClassThrottle, time.Hour)
	r.crash(time.Minute)
	r.baseline() // these lists lag, so this run knows of nothing
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(theirs)
	r.list()
	r.wantState("j0", StateInDoubt)
}

// Our task before the doubt is just leaving the lists, which missed it once while it
// lived: they need not show it any more, and it says nothing of a doubt of a day later.
func TestATaskThatLeavesTheLists(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.submit()
	made := r.last(Intended).At
	r.look(StatusRunning)
	r.refuseCreate(ClassThrottle, time.Hour)
	r.list() // misses it
	r.look(StatusSucceeded)
	r.store()
	r.now = made.Add(23*time.Hour + 57*time.Minute)
	r.list()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list()
	r.list()
	if age := r.now.Sub(made); r.count(Absent) != 1 || age >= 24*time.Hour {
		t.Errorf("the doubt is not settled by two lists that miss a task of %v ago: %s", age, r.state("j1"))
	}
}

// Nor need they show a task from before the machine slept for a day, where no server
// tells the time.
func TestATaskFromBeforeASleepLeftTheLists(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.clockless()
	r.clockless()
	r.submit()
	r.look(StatusRunning)
	r.b.Slept(24 * time.Hour)
	r.look(StatusSucceeded)
	r.clockless()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.clockless()
	r.clockless()
	if r.count(Absent) != 1 {
		t.Errorf("the doubt is not settled by two lists that miss a task of yesterday: %s", r.state("j1"))
	}
}

// Lists are not blind because they miss a task that runs still, but was made before the
// machine slept for a day.
func TestARunningTaskFromBeforeASleep(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	r.refuseCreate(ClassBurst, time.Hour)
	r.now = r.now.Add(5 * time.Minute)
	r.b.Slept(24 * time.Hour)
	r.slept()
	if n := r.b.Lane(0).Misses; n != 0 {
		t.Errorf("%d lists are said to miss a task that they show for 24 hours", n)
	}
}

// Nor are those of a run that begins a moment after a create, which may lag so much.
func TestARunningTaskTooYoungForALaggingList(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.crash(10 * time.Second)
	r.list()
	r.look(StatusRunning)
	r.list()
	if n := r.b.Lane(0).Misses; n != 0 {
		t.Errorf("%d lists are said to miss a task of %v ago", n, r.now.Sub(r.last(Accepted).At))
	}
}

// Where no server tells the time, a list of a doubt that lags hides only what is too young
// for it: that is no reason to go on asking.
func TestListsThatLagWithoutAClock(t *testing.T) {
	r := newRig(t, 1)
	r.clockless()
	r.clockless()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	e := r.await(OpList)
	young := stranger("young")
	young.Made = r.now.Add(-time.Second)
	r.answer(e, Observation{Result: Listed, Complete: true, Pages: 1, Rows: []Row{young}})
	r.clockless() // another server, a few seconds behind
	r.wantState("j0", StateQuarantined)
}

// A task that was made a few minutes before the create by the provider's clock may be
// its own, since that is known from a list minutes ago; one of an hour before is not.
func TestCandidatesByTheirAge(t *testing.T) {
	for before, want := range map[time.Duration]State{
		5 * time.Minute: StateQueued, -time.Second: StateQueued, time.Hour: StateQuarantined,
	} {
		r := newRig(t, 1, exclusive(ExclusiveAll))
		r.baseline()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		orphan := Row{Task: "orphan", Model: "move", Status: StatusPending, Made: r.now.Add(-before)}
		r.list(orphan)
		r.list(orphan)
		if got := r.state("j0"); got != want {
			t.Errorf("a task made %v before the create: %s, want %s", before, got, want)
		}
	}
}

// A mistyped id that a person adopted is no task that lists must show: the next doubt is
// settled as ever.
func TestListsNeedNotShowAMistypedAdoption(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.now = r.now.Add(2 * time.Hour)
	r.resolve("j0", Adopted, "slip")
	r.list()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list()
	r.list()
	if r.count(Absent) != 1 {
		t.Errorf("the doubt is not settled by two lists without a mistyped id: %s", r.state("j1"))
	}
}

// A nightly batch without dates: yesterday's task leaves the lists while a doubt is
// settled.
func TestYesterdaysTaskWithoutADate(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	old := Row{Task: "yesterday", Model: "move", Status: StatusSucceeded, Made: r.now.Add(-24*time.Hour + time.Minute)}
	r.clockless(old)
	r.clockless(old)
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // made nothing
	start := r.now
	lists := 0
	r.play(r.now.Add(30*time.Hour), func(e Effect) Observation {
		if e.Op == OpCreate {
			return Observation{Result: Created, Task: "t"}
		}
		if r.state("j0") == StateInDoubt {
			lists++
		}
		return Observation{Result: Listed, Complete: true, Pages: 1} // yesterday's task is older than 24 h
	})
	if r.state("j0") == StateQuarantined {
		t.Errorf("j0 is %s after %v and %d lists", r.state("j0"), r.last(Quarantined).At.Sub(start), lists)
	}
}

// A task made long before the create, beside the one that it made.
func TestOlderTaskBesideTheDoubts(t *testing.T) {
	r := newRig(t, 3, exclusive(ExclusiveAll))
	r.baseline() // lags: hides "old"
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	rows := []Row{{Task: "old", Model: "move", Status: StatusSucceeded, Made: epoch.Add(-2 * time.Hour)}, {Task: "own", Model: "move", Status: StatusRunning, Made: epoch.Add(5 * time.Second)}}
	r.list(rows...)
	r.list(rows...)
	if r.count(Adopted) != 1 {
		t.Errorf("j0 is %s by %q; lane %s", r.state("j0"), r.last(Quarantined).By, r.b.Lane(0).Exclusive)
	}
}

// A person adopted a task that lists never show (another model's). A later doubt is
// settled as ever.
func TestAdoptedTaskThatListsNeverShow(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.now = r.now.Add(2 * time.Hour)
	r.resolve("j0", Adopted, "mix-task")
	r.crash(time.Minute)
	r.baseline()
	r.look(StatusSucceeded)
	r.store()
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // made nothing
	start := r.now
	r.play(r.now.Add(30*time.Hour), func(e Effect) Observation {
		if e.Op == OpCreate {
			return Observation{Result: Created, Task: "t"}
		}
		return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: r.mine()}
	})
	for _, e := range r.events {
		if e.Job == "j1" && (e.Kind == Absent || e.Kind == Quarantined) && e.At.Sub(start) > time.Hour {
			t.Errorf("j1 is %s after %v", e.Kind, e.At.Sub(start))
		}
	}
}

// Servers that tell the time in one run only: lists that hide our task of a minute ago
// prove nothing. In the next run a person is asked, as its clock may be wrong.
func TestListsThatHideATaskAndTellTheTimeAtTimes(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r := newRig(t, 2, exclusive(ExclusiveAll))
		before, after, want := r.clockless, r.list, StateInDoubt
		if crash {
			before, after, want = r.list, r.clockless, StateQuarantined
		}
		before()
		before()
		r.submit()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		if crash {
			r.crash(time.Minute)
		}
		after()
		after()
		r.wantState("j1", want)
	}
}

// Our task was made when no server told the time, the create in doubt when they did: lists
// of a later run that show neither may both have forgotten, as our clocks may be wrong.
func TestListsThatReachNoTaskWithoutAClock(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.clockless()
	r.clockless()
	r.submit()
	r.refuseCreate(ClassBurst, 20*time.Minute)
	r.list()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.crash(6 * time.Hour)
	r.list()
	r.list()
	r.wantState("j1", StateQuarantined)
}

// The other way round, in one run: a task of a day before says nothing of the doubt.
func TestATaskOfYesterdayAndNoClockToday(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.now = r.now.Add(25 * time.Hour)
	for range unknownTries {
		r.look(StatusUnknown)
	}
	r.wantState("j0", StateLost)
	r.clockless()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.clockless()
	r.clockless()
	if r.count(Absent) != 1 {
		t.Errorf("the doubt is not settled by two lists: %s", r.state("j1"))
	}
}

// Of all tasks that lists showed they must show the youngest, wherever it stood in them.
func TestListsThatHideTheYoungest(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	young, old := stranger("young"), stranger("old")
	young.Made, old.Made = r.now.Add(-time.Hour), r.now.Add(-5*time.Hour)
	r.baseline(young, old)
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
	r.list(old)
	r.list(old)
	r.wantState("j0", StateInDoubt)
}

// A list that misses a task which waits is as blind as one that misses one which runs.
func TestAListThatMissesALiveTask(t *testing.T) {
	for _, s := range []Status{StatusPending, StatusRunning} {
		r := newRig(t, 2)
		r.baseline()
		r.submit()
		r.look(s)
		r.refuseCreate(ClassBurst, time.Hour) // strangers are counted meanwhile
		r.list()
		if n := r.b.Lane(0).Misses; n != 1 {
			t.Errorf("%s: %d lists are said to miss a task, want 1", s, n)
		}
	}
}

// Lists must show the task made before the doubt, also where no look told of it yet.
func TestListsThatHideATaskNotLookedAt(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.submit()
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made a task
	for range 4 {
		r.list()
	}
	r.wantState("j1", StateInDoubt)
}
