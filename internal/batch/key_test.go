package batch

import (
	"fmt"
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

// Nothing is paid for with a key that may be of another account: first it has to be
// told of a task that another key made.
func TestNothingIsCreatedWithAKeyOfAnotherAccount(t *testing.T) {
	r := newRig(t, 3)
	r.baseline()
	r.submit()
	r.changeKey("k2")
	r.baseline()
	for range unknownTries {
		r.look(StatusUnknown)
	}
	if r.count(Intended) != 1 || r.b.View().Stop != StopSetup {
		t.Errorf("%d creates, stop %q", r.count(Intended)-1, r.b.View().Stop)
	}
	r.changeKey("k1") // and with the right one all goes on
	r.baseline(r.mine()...)
	r.await(OpCreate)
}

// A key that is told of it is of the same account, by a look or a list.
func TestAnotherKeyOfTheAccount(t *testing.T) {
	for _, listed := range []bool{true, false} {
		r := newRig(t, 2)
		r.baseline()
		_, task := r.submit()
		r.changeKey("k2")
		if listed {
			r.baseline(Row{Task: task, Model: "move", Status: StatusRunning})
		} else {
			r.baseline()
			r.look(StatusRunning)
		}
		r.await(OpCreate)
	}
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
			if _, err := r.b.Resolve("j1", k, task, r.now, r.now.Add(50*time.Minute)); err == nil {
				t.Errorf("%s: settled before the first lists of any run show its task", k)
			}
			r.now = r.now.Add(time.Hour)
			r.resolve("j1", k, task)
			if v := r.b.View(); len(v.InDoubt) != 0 || v.Held.Add(v.Possible).String() != "1.2" {
				t.Errorf("%s: in doubt %v, held %s, possible %s", k, v.InDoubt, v.Held, v.Possible)
			}
			r.changeKey("k2")
			if k == Again { // it is created again, so lists come first
				r.baseline(r.mine()...)
			}
			r.look(StatusRunning)
		}
	}
}

// A task that expired while the program was down is known to no key: the provider's
// clock tells that, where ours was set back.
func TestAnotherKeyAndATaskThatExpired(t *testing.T) {
	for _, jobs := range []int{1, 2} { // with one, nothing else asks for a list
		r := newRig(t, jobs)
		r.baseline()
		r.submit()
		r.changeKey("k2") // 30 h later in truth
		r.b.Slept(100 * 365 * 24 * time.Hour)
		r.play(r.now.Add(time.Minute), func(e Effect) Observation {
			if e.Op == OpList {
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(30 * time.Hour)}
			}
			return Observation{Result: Looked, Status: StatusUnknown}
		})
		if r.wantState("j0", StateLost); jobs == 2 && r.count(Intended) != 2 {
			t.Error("nothing is created, though no task lives any more")
		}
	}
}

// A result that waits to be fetched is one to be told of, too.
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
		r.play(r.now.Add(time.Hour), func(e Effect) Observation {
			switch {
			case e.Op == OpList:
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
			case known: // it says so, and the URL is refused
				return Observation{Result: Forbidden}
			}
			return Observation{Result: Forbidden, Code: CodeUnknownTask}
		})
		if created := r.count(Intended) > intents; created != known || !known && r.b.View().Stop != StopSetup {
			t.Errorf("known %v: created %v, stop %q", known, created, r.b.View().Stop)
		}
	}
}

// A video that was on disk already says nothing of the key.
func TestAnotherKeyAndAVideoOnDisk(t *testing.T) {
	r := newRig(t, 3, func(_ *Settings, l *LaneSettings) { l.Running, l.Ahead = 2, 0 })
	r.baseline()
	r.submit()
	r.submit()
	r.look(StatusSucceeded)
	r.refuseCreate(ClassThrottle, time.Second)
	intents := r.count(Intended)
	r.changeKey("k2")
	r.store()
	r.play(r.now.Add(time.Minute), func(e Effect) Observation {
		if e.Op == OpList {
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
		}
		return Observation{Result: Looked, Status: StatusUnknown}
	})
	if n := r.count(Intended) - intents; n != 0 {
		t.Errorf("%d creates with a key that was told of no task of ours; stop %q", n, r.b.View().Stop)
	}
}

// A key that told of a success is the right one, though its video cannot be fetched.
func TestAnotherKeyAndAVideoThatCannotBeFetched(t *testing.T) {
	r := newRig(t, 3, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.changeKey("k2")
	r.play(r.now.Add(time.Hour), func(e Effect) Observation {
		switch e.Op {
		case OpQuery:
			return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
		case OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
		}
		return Observation{Result: Failed, Class: ClassRetry}
	})
	if r.count(Intended) < 2 {
		t.Error("nothing is created")
	}
}

// Where lists are refused for good, a run that is told of nothing ends.
func TestListsRefusedForGood(t *testing.T) {
	for _, key := range []string{"k1", "k2"} {
		for _, jobs := range []int{1, 2} {
			for _, down := range []time.Duration{time.Minute, 72 * time.Hour} {
				r := newRig(t, jobs)
				r.baseline()
				r.submit()
				r.changeKey(key)
				r.now = r.now.Add(down)
				r.play(r.now.Add(30*24*time.Hour), func(e Effect) Observation {
					switch e.Op {
					case OpQuery:
						return Observation{Result: Looked, Status: StatusUnknown}
					case OpList:
						return Observation{Result: Failed, Class: ClassAccount, Code: "AccessDenied"}
					}
					return Observation{Result: Failed, Class: ClassRetry}
				})
				if v := r.b.View(); v.Stop == StopNone && v.Live > 0 {
					t.Errorf("%s, %d jobs, down for %v: 30 days on, the run still asks", key, jobs, down)
				}
			}
		}
	}
}

// A run that only cancels asks no list for the time, and says so of its key all the same.
func TestCancelWithAStrangeKey(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.changeKey("k2")
	r.b.CancelQueued()
	r.play(r.now.Add(24*time.Hour), func(e Effect) Observation {
		if e.Op == OpQuery {
			return Observation{Result: Looked, Status: StatusUnknown}
		}
		return Observation{Result: Failed, Class: ClassInput, Code: "InvalidParameter"}
	})
	if v := r.b.View(); v.Stop != StopSetup {
		t.Errorf("stop %q, %d live", v.Stop, v.Live)
	}
}

// A doubt grows old by the wall clock, and where it is known by the provider's: the
// times of a journal lag behind after a sleep, and run ahead once a clock was put right.
func TestADoubtIsAPersonsByTheWallClock(t *testing.T) {
	for _, wrong := range []time.Duration{2 * time.Hour, -24 * 365 * time.Hour} {
		r := newRig(t, 1, exclusive(ExclusiveAll))
		for range 2 {
			r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(wrong)})
		}
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		wall := r.now.Add(wrong)
		if _, err := r.b.Resolve("j0", Abandoned, "", r.now, wall.Add(time.Minute)); err == nil {
			t.Errorf("%v: settled by hand a minute after its create", wrong)
		}
		if _, err := r.b.Resolve("j0", Abandoned, "", r.now, wall.Add(2*time.Hour)); err != nil {
			t.Errorf("%v: 2 h later: %v", wrong, err)
		}
	}
}

// Nor is it one a moment after its create because our clock is ahead of the provider's.
func TestADoubtUnderAFastClock(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	for range 2 {
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now.Add(-2 * time.Hour)})
	}
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	if _, err := r.b.Resolve("j0", Abandoned, "", r.now, r.now.Add(time.Minute)); err == nil {
		t.Error("settled by hand a minute after its create")
	}
}

// No key is told of a result whose id is dead. That ends no run: not one whose key was
// proved by another task, nor one in which nothing else can prove it.
func TestAnotherKeyAndAResultWhoseIDIsDead(t *testing.T) {
	for _, live := range []bool{true, false} {
		r := newRig(t, 3, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
		r.baseline()
		_, first := r.submit()
		made := r.now
		r.look(StatusRunning)
		r.b.Observe(Observation{Result: Interrupt})
		r.pump()
		r.crash(20 * time.Hour)
		r.look(StatusSucceeded, func(o *Observation) { o.Times.Expires = time.Time{} }) // its URL ends 24 h from now
		second := ""
		if live {
			r.baseline(Row{Task: first, Model: "move", Status: StatusSucceeded, Made: made})
			_, second = r.submit()
		}
		r.changeKey("k2")
		r.now = made.Add(26 * time.Hour)
		fetched, created := false, false
		r.play(r.now.Add(2*time.Hour), func(e Effect) Observation {
			switch {
			case e.Op == OpList && live:
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: []Row{{Task: second, Model: "move", Status: StatusRunning, Made: made.Add(20 * time.Hour)}}}
			case e.Op == OpList:
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
			case e.Op == OpQuery && e.Task == second:
				return Observation{Result: Looked, Status: StatusSucceeded}
			case e.Op == OpFetch && e.Task == first:
				return Observation{Result: Forbidden, Code: CodeUnknownTask}
			case e.Op == OpFetch:
				fetched = true
				return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
			case e.Op == OpCreate:
				created = true
			}
			return Observation{Result: Failed, Class: ClassRetry}
		})
		if v := r.b.View(); v.Stop != StopNone || fetched != live || !created {
			t.Errorf("live %v: stop %q, fetched %v, created %v", live, v.Stop, fetched, created)
		}
	}
}

// A key that was told of one task is the right one, though it knows nothing of another.
func TestAProvedKeyEndsNoRun(t *testing.T) {
	r := newRig(t, 2, func(_ *Settings, l *LaneSettings) { l.Running = 2 })
	r.baseline()
	r.submit()
	r.submit()
	r.changeKey("k2")
	start := r.now
	r.play(r.now.Add(time.Hour), func(e Effect) Observation {
		switch {
		case e.Op == OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: r.mine()}
		case e.Op == OpFetch:
			return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
		case e.Task == "task-2":
			return Observation{Result: Looked, Status: StatusUnknown}
		case r.now.Sub(start) < 30*time.Minute:
			return Observation{Result: Looked, Status: StatusRunning}
		}
		return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
	})
	r.wantState("j0", StateDone)
}

// A key that made a task of this batch itself, before another account's was used, is
// not proved by its own old task.
func TestOwnOldTaskProvesNoOtherKey(t *testing.T) {
	r := newRig(t, 3, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	_, onB := r.submit() // with key k1, of account B
	made := r.now
	r.deliver()
	r.refuseCreate(ClassThrottle, time.Second)
	r.changeKey("kA") // of account A: nothing is live, so it may
	r.baseline()
	_, onA := r.submit()
	intents := r.count(Intended)
	r.changeKey("k1") // account B again: it cannot be told of task-2
	r.play(r.now.Add(26*time.Hour), func(e Effect) Observation {
		switch {
		case e.Op == OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now,
				Rows: []Row{{Task: onB, Model: "move", Status: StatusSucceeded, Made: made}}}
		case e.Op == OpQuery && e.Task == onA:
			return Observation{Result: Looked, Status: StatusUnknown}
		}
		return Observation{Result: Failed, Class: ClassRetry}
	})
	if v := r.b.View(); v.Stop != StopSetup || r.count(Intended) != intents || r.count(Lost) != 0 {
		t.Errorf("stop %q, %d creates, %d lost; states %v", v.Stop, r.count(Intended)-intents, r.count(Lost), v.Jobs)
	}
}

// twoAccounts is a batch with one task on each of two: j0's, which a person adopted, on
// that of the key k1, and j1's on that of kB, whose run it is.
func twoAccounts(t *testing.T, jobs int) (r *rig, onA Row, onB string) {
	t.Helper()
	r = newRig(t, jobs, func(_ *Settings, l *LaneSettings) { l.Ahead, l.Running = 0, 2 })
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	onA = Row{Task: "t0", Model: "move", Status: StatusRunning, Made: r.now}
	r.list(onA)
	r.list(onA)
	r.wantState("j0", StateQuarantined)
	r.refuseCreate(ClassThrottle, time.Hour)
	r.changeKey("kB")
	r.baseline()
	_, onB = r.submit()
	r.resolve("j0", Adopted, "t0")
	return r, onA, onB
}

// Two accounts at once after an adoption by hand: a key that is told of the one task
// says nothing of the other.
func TestAdoptedTaskProvesOnlyItsOwnKey(t *testing.T) {
	r, _, onB := twoAccounts(t, 3)
	intents := r.count(Intended)
	r.changeKey("k1")
	r.play(r.now.Add(26*time.Hour), func(e Effect) Observation {
		switch {
		case e.Op == OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
		case e.Op == OpQuery && e.Task == onB:
			return Observation{Result: Looked, Status: StatusUnknown}
		case e.Op == OpQuery:
			return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
		case e.Op == OpFetch:
			return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
		}
		return Observation{Result: Rejected, Class: ClassThrottle, Code: "Throttling"}
	})
	if r.count(Lost) != 0 {
		t.Errorf("stop %q, %d creates, lost: %v", r.b.View().Stop, r.count(Intended)-intents, r.last(Lost).Job)
	}
}

// After a run with a mistyped key, the right one is no other than before.
func TestSameKeyAfterADetour(t *testing.T) {
	for _, detour := range []bool{false, true} {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		if detour {
			r.changeKey("mistyped")
		}
		r.changeKey("k1")
		n := 0
		r.play(r.now.Add(2*time.Hour), func(e Effect) Observation {
			switch e.Op {
			case OpList:
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
			case OpQuery:
				if n++; n <= 2*unknownTries {
					return Observation{Result: Looked, Status: StatusUnknown}
				}
				return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
			case OpFetch:
				return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
			}
			return Observation{Result: Failed, Class: ClassRetry}
		})
		if v := r.b.View(); v.Stop != StopNone || r.state("j0") != StateDone {
			t.Errorf("detour %v: stop %s %q; j0 is %s", detour, v.Stop, v.StopNote, r.state("j0"))
		}
	}
}

// Another account's strangers do not make our exclusive lane shared.
func TestStrangersOfAWrongAccountBreakNothing(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.submit()
	r.changeKey("kB")
	n := 0
	r.play(r.now.Add(30*time.Minute), func(e Effect) Observation {
		if e.Op == OpList {
			n++
			rows := []Row{stranger("b1")}
			if n > 2 {
				rows = append(rows, stranger("b2"))
			}
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: rows}
		}
		return Observation{Result: Failed, Class: ClassRetry}
	})
	if got := r.b.Lane(0).Exclusive; got != ExclusiveAll {
		t.Errorf("the lane is %s, by tasks that a key saw which was told of no task of ours", got)
	}
}

// No picture goes to the account of a key that was told of no task of ours.
func TestInputsGoToNoStrangeAccount(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	p := testPlan("local")
	p.ImageSHA256 = "abc"
	r.apply(Event{Kind: Planned, Job: "local", Plan: p})
	r.changeKey("kB")
	r.play(r.now.Add(time.Hour), func(e Effect) Observation {
		switch e.Op {
		case OpUpload:
			t.Errorf("%s is uploaded with a key that was told of no task of ours", e.Source)
			return Observation{Result: Sent, Address: "oss://x", Life: 48 * time.Hour}
		case OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
		}
		return Observation{Result: Looked, Status: StatusUnknown}
	})
}

// A person adopts a task by a mistyped id under a new key. Creating waits for a proof of
// the key; the person takes the adoption back, and it goes on.
func TestMistypedAdoptionIsTakenBack(t *testing.T) {
	for _, verdict := range []Kind{Adopted, Again, Abandoned} {
		r := newRig(t, 2)
		r.baseline()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		hold := r.last(Intended).Hold
		r.now = r.now.Add(2 * time.Hour)
		r.resolve("j0", Adopted, "slip")
		r.changeKey("k2")
		r.play(r.now.Add(50*time.Minute), func(e Effect) Observation {
			if e.Op == OpList {
				return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
			}
			return Observation{Result: Looked, Status: StatusUnknown}
		})
		if r.count(Intended) != 1 || r.b.View().StopCode != CodeUnknownTask {
			t.Fatalf("%d creates under a key that knows nothing of ours; stop %q", r.count(Intended), r.b.View().StopCode)
		}
		task := ""
		if verdict == Adopted {
			if _, err := r.b.Resolve("j0", Adopted, "slip", r.now, r.now); err == nil {
				t.Error("the same id is taken again")
			}
			task = "right"
		}
		r.resolve("j0", verdict, task)
		if j, _ := r.b.Job("j0"); j.Attempts[0].Task != task {
			t.Errorf("%s: the task is %q, want %q", verdict, j.Attempts[0].Task, task)
		}
		if v := r.b.View(); verdict == Adopted && !v.Held.Equal(hold) || verdict != Adopted && !v.Possible.Equal(hold) {
			t.Errorf("%s: held %s, possible %s; the hold was %s", verdict, v.Held, v.Possible, hold)
		}
		r.changeKey("k2")
		r.baseline()
		if verdict == Adopted {
			r.look(StatusRunning)
			if _, err := r.b.Resolve("j0", Abandoned, "", r.now, r.now); err == nil {
				t.Error("a task that runs is taken back")
			}
		}
		r.await(OpCreate)
	}
}

// With a key of another account, lists need not show what the one before made: a doubt
// is settled as ever.
func TestAnotherAccountsListsNeedNotShowOurTask(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.deliver()
	r.refuseCreate(ClassThrottle, time.Hour)
	r.changeKey("k2")
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list()
	r.list()
	if r.count(Absent) != 1 {
		t.Errorf("the doubt is not settled by two lists without a task of another key: %s", r.state("j1"))
	}
}

// A person adopts a stranger's task by mistake, on a lane where nothing else uses our key.
// That teaches no key: a create in doubt is not proved absent because its task is of another.
func TestAnAdoptionByHandTeachesNoKey(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveKey))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	theirs := stranger("theirs")
	r.list(theirs)
	r.list(theirs)
	r.resolve("j0", Adopted, "theirs")
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made "orphan"
	orphan := Row{Task: "orphan", Model: "move", Status: StatusPending, KeyID: "1"}
	r.list(theirs, orphan)
	r.list(theirs, orphan)
	r.wantState("j1", StateQuarantined)
}

// Nor does a task of the run before, with an older key, whose job has a newer one.
func TestAnOldTaskTeachesNoKey(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveKey))
	r.baseline()
	_, old := r.submit()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
	r.changeKey("k2")
	failed := Row{Task: old, Model: "move", Status: StatusFailed, KeyID: "1"}
	r.baseline(failed)
	_, task := r.submit()
	r.apply(Event{Kind: Planned, Job: "j1", Plan: testPlan("j1")})
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // it made "orphan"
	rows := []Row{{Task: task, Model: "move", Status: StatusRunning, KeyID: "2"},
		{Task: "orphan", Model: "move", Status: StatusPending, KeyID: "2"}, failed}
	r.list(rows...)
	r.list(rows...)
	if r.count(Adopted) != 1 {
		t.Errorf("the task of j1, made with this run's key, is not adopted: %s", r.state("j1"))
	}
}

// More unknown tasks than one event can name, one of which may be ours, make an exclusive
// lane shared: those without a name are never adopted for a later doubt.
func TestMoreCandidatesThanCanBeNamed(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveKey))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	rows := make([]Row, mostNamed+1)
	for i := range rows {
		rows[i] = stranger(fmt.Sprint("s", i))
	}
	r.list(rows...)
	r.list(rows...)
	r.wantState("j0", StateQuarantined)
	if got := r.b.Lane(0).Exclusive; got != Shared {
		t.Errorf("the lane is %s", got)
	}
}

// A person adopts for one job by mistake the task of another's open doubt, and takes it
// back: the doubt may still be settled by it.
func TestTaskTakenBackMayBeADoubts(t *testing.T) {
	for _, mistake := range []bool{false, true} {
		r := newRig(t, 2, exclusive(ExclusiveAll))
		r.baseline()
		r.answer(r.await(OpCreate), Observation{Result: Unknown})
		r.crash(25 * time.Hour)
		r.baseline()
		r.wantState("j0", StateQuarantined)
		r.baseline()
		c := r.await(OpCreate)
		if c.Job != "j1" {
			t.Fatal(c)
		}
		r.answer(c, Observation{Result: Unknown}) // it made t1
		made := r.now
		if mistake {
			r.resolve("j0", Adopted, "t1") // beside the run's crash: the console shows t1
			r.resolve("j0", Abandoned, "") // taken back: it is not j0's
		}
		r.crash(time.Minute)
		row := Row{Task: "t1", Model: "move", Status: StatusRunning, Made: made}
		r.list(row)
		r.list(row)
		if r.count(Absent) != 0 || r.state("j1") == StatePending || r.state("j1") == StateSubmitting {
			t.Errorf("mistake %v: j1 is %s, absent %d: t1 is live and j1 is paid for again", mistake, r.state("j1"), r.count(Absent))
		}
	}
}

// What was withdrawn was the mistyped task, not the one adopted after it.
func TestWithdrawalOfATaskTakenBack(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.now = r.now.Add(2 * time.Hour)
	r.resolve("j0", Adopted, "slip") // a stranger's, that waits
	r.crash(17 * time.Hour)
	r.play(r.now.Add(10*time.Minute), func(e Effect) Observation {
		switch e.Op {
		case OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
		case OpCancel:
			return Observation{Result: Failed, Class: ClassRetry}
		}
		return Observation{Result: Looked, Status: StatusPending}
	})
	if r.count(Withdrawn) != 1 {
		t.Fatal("not withdrawn")
	}
	r.resolve("j0", Adopted, "right")
	r.crash(time.Minute)
	r.play(r.now.Add(10*time.Minute), func(e Effect) Observation {
		switch e.Op {
		case OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now}
		case OpCancel:
			return Observation{Result: TooLate}
		case OpCreate:
			return Observation{Result: Unknown}
		}
		return Observation{Result: Looked, Status: StatusCanceled} // somebody canceled it in the console
	})
	if r.count(Again) != 0 || r.count(Intended) != 1 {
		t.Errorf("submitted again by itself: %d again by %q, %d intents", r.count(Again), r.last(Again).By, r.count(Intended))
	}
}

// A task that this key knows is followed to its file beside one that it does not.
func TestStrangeTaskEndsNotTheOthers(t *testing.T) {
	r, row, onB := twoAccounts(t, 2)
	r.changeKey("k1")
	start := r.now
	r.play(r.now.Add(2*time.Hour), func(e Effect) Observation {
		switch {
		case e.Op == OpList:
			return Observation{Result: Listed, Complete: true, Pages: 1, Clock: r.now, Rows: []Row{row}}
		case e.Op == OpQuery && e.Task == onB:
			return Observation{Result: Looked, Status: StatusUnknown}
		case e.Op == OpQuery && r.now.Sub(start) < 20*time.Minute:
			return Observation{Result: Looked, Status: StatusRunning}
		case e.Op == OpQuery:
			return Observation{Result: Looked, Status: StatusSucceeded, Times: Times{Expires: r.now.Add(24 * time.Hour)}}
		case e.Op == OpFetch:
			return Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}}
		}
		return Observation{Result: Rejected, Class: ClassThrottle, Code: "Throttling"}
	})
	if r.state("j0") != StateDone {
		t.Errorf("j0 is %s, its run ended after %v: %s", r.state("j0"), r.now.Sub(start), r.b.View().StopNote)
	}
}

// A run that only cancels, with the key of one of two accounts, goes on with the tasks
// of that.
func TestCancelBesideAStrangeTask(t *testing.T) {
	r, _, onB := twoAccounts(t, 2)
	r.b = replay(t, r.settings, []LaneSettings{r.lane}, r.events)
	r.b.CancelQueued()
	r.flying = nil
	r.apply(Event{Kind: Opened, Run: &Run{ID: "c", Key: "kB"}})
	n := 0
	r.play(r.now.Add(time.Hour), func(e Effect) Observation {
		switch {
		case e.Task != onB && e.Op == OpCancel:
			return Observation{Result: Failed, Class: ClassInput, Code: "InvalidParameter"}
		case e.Task != onB:
			return Observation{Result: Looked, Status: StatusUnknown}
		case e.Op == OpCancel:
			if n++; n == 1 {
				return Observation{Result: Failed, Class: ClassThrottle, RetryAfter: time.Minute}
			}
			return Observation{Result: Canceled}
		}
		return Observation{Result: Looked, Status: StatusCanceled}
	})
	if r.state("j1") != StateFailed {
		t.Errorf("j1 is %s after %d cancels; %s", r.state("j1"), n, r.b.View().StopNote)
	}
}

// A list row that names no key tells nothing of keys: it neither breaks the promise that
// nothing else uses ours, nor takes back what another list told of it.
func TestARowWithoutAKey(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveKey))
	r.baseline()
	_, task := r.submit()
	r.refuseCreate(ClassBurst, 20*time.Minute)
	r.list(Row{Task: "theirs", Model: "move", Status: StatusRunning})
	if got := r.b.Lane(0).Exclusive; got != ExclusiveKey {
		t.Errorf("the lane is %q", got)
	}
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	orphan := Row{Task: "orphan", Model: "move", Status: StatusPending, KeyID: "1"}
	r.list(orphan, Row{Task: task, Model: "move", Status: StatusRunning, KeyID: "1"})
	r.list(orphan, Row{Task: task, Model: "move", Status: StatusRunning})
	r.wantState("j1", StateQueued)
}

// Our clock was 90 minutes ahead and was put right: 70 minutes after its create by the
// provider's clock a doubt is a person's, though the journal is ahead still.
func TestADoubtIsAPersonsByTheProvidersClock(t *testing.T) {
	r := newRig(t, 1)
	truly := func() time.Time { return r.now.Add(-90 * time.Minute) }
	for range 2 {
		r.answer(r.await(OpList), Observation{Result: Listed, Complete: true, Pages: 1, Clock: truly()})
	}
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	if _, err := r.b.Resolve("j0", Abandoned, "", r.now, truly().Add(70*time.Minute)); err != nil {
		t.Error(err)
	}
}
