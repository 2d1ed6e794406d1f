package batch

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Promise 6: no paid result is lost; and the small print of selection, change
// and replay.

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

func TestWithdraw(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	_, first := r.submit()
	r.look(StatusPending)
	late := r.lane.TaskLife / 4 * 3
	r.now = r.now.Add(late - time.Minute)
	for r.now.Sub(epoch) < late {
		r.look(StatusPending)
	}
	cancel := r.await(OpCancel)
	if r.last(Withdrawn).At.Sub(r.last(Intended).At) < late {
		t.Fatal("withdrawn before three quarters of its life")
	}
	for _, e := range r.flying {
		t.Fatalf("%v while a cancel of the same task is under way", e)
	}
	if e := r.last(Withdrawn); e.Task != first || cancel.Task != first {
		t.Fatalf("withdrew %v, canceled %v", e, cancel)
	}
	r.answer(cancel, Observation{Result: Failed, Class: ClassRetry})
	r.crash(time.Minute) // the wish is durable, the cancel is sent again
	r.look(StatusPending)
	r.answer(r.await(OpCancel), Observation{Result: Canceled})
	r.look(StatusCanceled)
	r.wantState("j0", StatePending)
	r.wantMoney("0", "0", "0")
	if n := r.count(Withdrawn); n != 1 {
		t.Errorf("%d withdrawn events, want 1", n)
	}
	r.baseline()
	_, second := r.submit()
	if second == first {
		t.Fatal("not submitted again")
	}
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.store()
	r.wantState("j0", StateDone)
}

func TestWithdrawComesTooLate(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.now = r.now.Add(r.lane.TaskLife/4*3 + time.Second)
	r.look(StatusPending)
	r.answer(r.await(OpCancel), Observation{Result: TooLate})
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.wantState("j0", StateFetching)
	if r.count(Withdrawn) != 1 || r.count(Again) != 0 {
		t.Fatal("a task that ran was submitted again")
	}
}

// A task that a person cancels is not submitted again, also when an earlier task
// of the job was once withdrawn and then lost.
func TestCanceledByAPerson(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.now = r.now.Add(r.lane.TaskLife/4*3 + time.Second)
	r.look(StatusPending)
	r.answer(r.await(OpCancel), Observation{Result: Failed, Class: ClassRetry})
	r.now = r.now.Add(r.lane.TaskLife)
	for r.state("j0") != StateLost {
		if r.pump(); len(r.flying) == 0 {
			r.now = r.now.Add(time.Minute)
			continue
		}
		e := r.flying[0]
		r.flying = r.flying[1:]
		if e.Op == OpCancel {
			r.answer(e, Observation{Result: Failed, Class: ClassRetry})
		} else {
			r.answer(e, Observation{Result: Looked, Status: StatusUnknown})
		}
	}
	for _, e := range r.b.RetryFailed(r.now) {
		r.apply(e)
	}
	r.submit()
	r.look(StatusCanceled)
	r.noCreate(time.Hour)
	r.wantState("j0", StateFailed)
}

func TestARunningTaskIsNeverWithdrawn(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusRunning)
	for r.now.Sub(epoch) < 2*r.lane.TaskLife {
		r.now = r.now.Add(time.Hour)
		r.look(StatusPending) // a status that goes backwards
	}
	if r.count(Withdrawn) != 0 {
		t.Fatal("withdrew a task that was seen running")
	}
}

// More of strangers' tasks than can finish in half a life: nothing is created,
// and they are counted again until they are gone.
func TestHorizonCountsStrangersAndAsksAgain(t *testing.T) {
	var crowd []Row
	for i := range 2000 {
		crowd = append(crowd, stranger("x"+strings.Repeat("i", i)))
	}
	r := newRig(t, 2)
	r.baseline(crowd...)
	for range 5 {
		at := r.now
		wake := r.pump()
		if len(r.flying) != 0 || wake.IsZero() || wake.After(at.Add(11*time.Minute)) {
			t.Fatalf("with 2000 strangers: flying %v, wakes %v later", r.flying, wake.Sub(at))
		}
		r.now = wake
		r.list(crowd...)
	}
	r.now = r.pump()
	r.list()
	r.await(OpCreate)
}

// Our own tasks fill the horizon: with one running at a time and ten hours each,
// the second would be fetched after 20 hours.
func TestHorizonCountsOwnTasks(t *testing.T) {
	r := newRig(t, 9)
	r.baseline()
	r.submit()
	r.look(StatusSucceeded, func(o *Observation) {
		o.Times.Scheduled, o.Times.Ended = r.now, r.now.Add(7*time.Hour) // teaches that tasks take hours
	})
	live := 0
	for range 3 {
		r.now = r.now.Add(15 * time.Minute)
		r.pump()
		for r.countStrangers() {
		}
		for _, e := range r.flying {
			if e.Op == OpCreate {
				live++
			}
		}
		if live > 0 {
			break
		}
	}
	r.submit()
	r.noCreate(2 * time.Hour)
	if v := r.b.View(); v.Live != 1 {
		t.Fatalf("%d live tasks of seven hours each, want 1", v.Live)
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

func TestSelect(t *testing.T) {
	r := newRig(t, 4)
	r.b.Select(func(id string) bool { return id == "j2" })
	r.baseline()
	if job, _ := r.submit(); job != "j2" {
		t.Fatalf("submitted %s, want j2", job)
	}
	r.look(StatusSucceeded)
	r.store()
	if wake := r.pump(); !wake.IsZero() || len(r.flying) != 0 {
		t.Fatalf("goes on: wake %v, flying %v", wake, r.flying)
	}
	if v := r.b.View(); v.Left != 3 || v.Unselected != 3 || v.Stop != StopNone {
		t.Fatalf("%d left, %d unselected, stop %q", v.Left, v.Unselected, v.Stop)
	}
	r.b.Select(func(id string) bool { return id != "j1" })
	if job, _ := r.submit(); job != "j0" {
		t.Fatalf("submitted %s, want j0", job)
	}
}

func TestTasksOfUnselectedJobsAreFollowed(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.submit()
	r.await(OpCreate)
	r.crash(time.Minute)
	r.b.Select(func(string) bool { return false })
	r.look(StatusSucceeded)
	r.store()
	r.list()
	r.list()
	r.wantState("j0", StateDone)
	r.wantState("j1", StatePending) // its doubt is settled all the same
	r.noCreate(time.Hour)
}

func TestRemovedJobs(t *testing.T) {
	r := newRig(t, 3)
	r.apply(Event{Kind: Removed, Job: "j0"})
	r.baseline()
	if job, _ := r.submit(); job != "j1" {
		t.Fatalf("submitted %s, want j1", job)
	}
	if v := r.b.View(); v.Total != 2 || v.Jobs[StatePending] != 1 || v.Left != 2 {
		t.Fatalf("view %+v counts a removed job", v)
	}
	r.apply(Event{Kind: Planned, Job: "j0", Plan: testPlan("j0")}) // it came back
	r.flying = nil
	r.crash(time.Minute)
	if v := r.b.View(); v.Total != 3 {
		t.Fatalf("%d jobs, want 3", v.Total)
	}
}

func TestPlannedAgain(t *testing.T) {
	other := testPlan("other")
	t.Run("done, same content", func(t *testing.T) {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		r.look(StatusSucceeded)
		r.store()
		r.apply(Event{Kind: Planned, Job: "j0", Plan: testPlan("j0")})
		r.wantState("j0", StateDone)
		r.noCreate(time.Hour)
	})
	t.Run("done, other content", func(t *testing.T) {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		r.look(StatusSucceeded)
		r.store()
		r.apply(Event{Kind: Planned, Job: "j0", Plan: other})
		r.wantState("j0", StatePending)
		j, _ := r.b.Job("j0")
		if j.Artifact != nil || j.Plan.Key != other.Key || len(j.Attempts) != 1 {
			t.Fatalf("job %+v", j)
		}
		r.submit()
		r.wantMoney("0.5", "0.6", "0") // the old task stays on the bill
		r.crash(time.Minute)
	})
	t.Run("pending, other content", func(t *testing.T) {
		r := newRig(t, 2)
		r.apply(Event{Kind: Planned, Job: "j0", Plan: other})
		r.baseline()
		if job, _ := r.submit(); job != "j0" {
			t.Fatalf("submitted %s", job)
		}
	})
	t.Run("failed, other content", func(t *testing.T) {
		r := newRig(t, 1)
		r.baseline()
		r.submit()
		r.look(StatusFailed, func(o *Observation) { o.Class = ClassInput })
		r.apply(Event{Kind: Planned, Job: "j0", Plan: other})
		r.submit()
		r.crash(time.Minute)
	})
	for name, do := range map[string]func(r *rig){
		"submitting": func(r *rig) { r.await(OpCreate) },
		"in doubt":   func(r *rig) { r.answer(r.await(OpCreate), Observation{Result: Unknown}) },
		"queued":     func(r *rig) { r.submit() },
		"fetching":   func(r *rig) { r.submit(); r.look(StatusSucceeded) },
		"quarantined": func(r *rig) {
			r.answer(r.await(OpCreate), Observation{Result: Unknown})
			r.list(stranger("q"))
			r.list()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			r.baseline()
			do(r)
			if err := r.b.Apply(Event{Kind: Planned, At: r.now, Job: "j0", Plan: other}); err == nil {
				t.Fatal("the content changed under a task that may exist")
			}
		})
	}
}

// A batch reads its own journal whatever the settings of the next run are.
func TestReplayUnderOtherSettings(t *testing.T) {
	r := newRig(t, 2)
	r.baseline()
	r.refuseCreate(ClassRetry, 0)
	r.refuseCreate(ClassRetry, 0)
	r.submit()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
	want := durable(r.b)
	for name, s := range map[string]Settings{"none": {}, "one try": {Tries: 1}, "many": {Tries: 99}} {
		b := New(s, nil)
		for i, e := range r.events {
			if err := b.Apply(e); err != nil {
				t.Fatalf("%s: event %d: %v", name, i, err)
			}
		}
		if got := durable(b); got.Money != want.Money || !cmp.Equal(got.Counts, want.Counts) {
			t.Errorf("%s: %v %v, want %v %v", name, got.Money, got.Counts, want.Money, want.Counts)
		}
	}
}

// Every prefix of a journal that has everything in it folds to the state that
// the live batch had at that point.
func TestReplayOfEveryPrefix(t *testing.T) {
	r := newRig(t, 8, exclusive(ExclusiveAll), capped("9"))
	images := map[int]image{}
	snap := func() { images[len(r.events)] = durable(r.b) }
	r.baseline(stranger("s"))
	r.submit()
	snap()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	snap()
	r.list(Row{Task: "task-1", Status: StatusRunning}, Row{Task: "mine"})
	r.list(Row{Task: "task-1", Status: StatusRunning})
	snap()
	r.look(StatusRunning)
	snap()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
	snap()
	r.look(StatusSucceeded, func(o *Observation) { o.Times.Scheduled, o.Times.Ended = r.now, r.now.Add(time.Minute) })
	snap()
	r.store()
	snap()
	r.refuseCreate(ClassInput, 0)
	snap()
	r.submit()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassInput }) // after a retry of its own: not retried
	snap()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(Row{Task: "a"}, Row{Task: "b"})
	r.list()
	snap()
	for id := range images {
		if d := cmp.Diff(images[id], durable(replay(t, r.settings, []LaneSettings{r.lane}, r.events[:id]))); d != "" {
			t.Errorf("after %d events (-live +replayed):\n%s", id, d)
		}
	}
}

// A job that failed once and was retried, and then fails for good, is not
// retried because a replay forgot that the first failure was dealt with.
func TestRetryIsDecidedOnce(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassRetry })
	r.submit()
	r.crash(time.Minute)
	r.look(StatusFailed, func(o *Observation) { o.Class = ClassInput })
	r.wantState("j0", StateFailed)
	r.noCreate(time.Hour)
	r.wantState("j0", StateFailed)
}

func TestApplyRefusesWhatDoesNotFollow(t *testing.T) {
	for name, e := range map[string]Event{
		"begun twice":        {Kind: Begun, Begin: &Begin{}},
		"no plan":            {Kind: Planned, Job: "new"},
		"no job id":          {Kind: Planned, Plan: testPlan("")},
		"no run":             {Kind: Opened},
		"unknown job":        {Kind: Accepted, Job: "nobody"},
		"unknown kind":       {Kind: "rewound", Job: "j0", Attempt: 1},
		"accepted twice":     {Kind: Accepted, Job: "j0", Attempt: 1, Task: "t"},
		"wrong attempt":      {Kind: Ended, Job: "j0", Attempt: 2, End: &End{Status: StatusFailed}},
		"ended without end":  {Kind: Ended, Job: "j0", Attempt: 1},
		"attempt skipped":    {Kind: Intended, Job: "j1", Attempt: 2, Lane: "singapore"},
		"another's task":     {Kind: Accepted, Job: "j2", Attempt: 1, Task: "task-1"},
		"a task without id":  {Kind: Accepted, Job: "j2", Attempt: 1},
		"stored before done": {Kind: Stored, Job: "j0", Attempt: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 3)
			r.baseline()
			r.submit()
			if e.Job == "j2" {
				r.refuseCreate(ClassInput, 0)
				r.await(OpCreate)
			}
			if err := r.b.Apply(e); err == nil {
				t.Fatalf("applied %+v", e)
			}
		})
	}
}
