package batch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The small print of selection, of manifests that change, and of replay.

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
	first := Row{Task: "task-1", Model: "move", Status: StatusSucceeded}
	r.list(first)
	r.list(first)
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
