package batch

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Promises 1 to 4: paying once. Each test is one rule of the submit protocol.

func TestIntentComesBeforeItsCreate(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	e := r.await(OpCreate) // launch checks that the intent is the newest durable event
	if e.Job != "j0" || e.Attempt != 1 {
		t.Fatalf("created %v, want attempt 1 of j0", e)
	}
	r.wantState("j0", StateSubmitting)
	r.wantMoney("0", "0.6", "0")
}

func TestBarrier(t *testing.T) {
	t.Run("while unanswered", func(t *testing.T) {
		r := newRig(t, 3)
		r.baseline()
		r.await(OpCreate)
		r.noCreate(time.Hour)
	})
	t.Run("while in doubt", func(t *testing.T) {
		r := newRig(t, 3)
		r.baseline()
		r.answer(r.await(OpCreate), Observation{Result: Unknown, Message: "reset"})
		r.wantState("j0", StateInDoubt)
		if wake := r.pump(); !wake.Equal(r.now.Add(r.lane.Settle)) {
			t.Fatalf("wakes at %v, want after the settle time", wake)
		}
		r.noCreate(r.lane.Settle - 1)
	})
	t.Run("other lanes go on", func(t *testing.T) {
		lanes := []LaneSettings{testLane(), testLane()}
		lanes[1].Name = "beijing"
		r := newRig(t, 3)
		r.b = replay(t, r.settings, lanes, r.events)
		creates := map[int]bool{}
		for range 200 {
			step, _, ok := r.b.Next(r.now)
			if !ok {
				r.now = r.now.Add(time.Second)
				continue
			}
			if step.Record != nil {
				r.apply(*step.Record)
			}
			switch e := step.Effect; {
			case e == nil:
			case e.Op == OpList:
				r.b.Observe(Observation{Effect: *e, Result: Listed, Complete: true})
			case e.Op == OpCreate && creates[e.Lane]:
				t.Fatalf("a second create on lane %d while its first is unanswered", e.Lane)
			case e.Op == OpCreate:
				creates[e.Lane] = true
			}
		}
		if len(creates) != 2 {
			t.Fatalf("created on lanes %v, want both", creates)
		}
	})
}

func TestBaseline(t *testing.T) {
	t.Run("two complete lists before the first intent", func(t *testing.T) {
		r := newRig(t, 1)
		r.list(stranger("x"))
		r.answer(r.await(OpList), Observation{Result: Listed, Rows: nil, Complete: false}) // a page is missing
		r.answer(r.await(OpList), Observation{Result: Failed, Class: ClassRetry})
		if r.count(Intended) != 0 {
			t.Fatal("an intent after one complete list")
		}
		r.list(stranger("y"))
		r.await(OpCreate)
		if got := r.last(Foreign).Tasks; !slices.Equal(got, []string{"x", "y"}) {
			t.Fatalf("foreign %v, want the union of both lists", got)
		}
		if i := slices.IndexFunc(r.events, func(e Event) bool { return e.Kind == Foreign }); r.events[i+1].Kind != Intended {
			t.Fatal("foreign must be durable before the first intent")
		}
	})
	t.Run("anew in each run", func(t *testing.T) {
		r := newRig(t, 2)
		r.baseline()
		r.submit()
		r.crash(time.Minute)
		r.list(append(r.mine(), stranger("z"))...)
		if r.count(Intended) != 1 {
			t.Fatal("an intent after one list of the second run")
		}
		r.list(r.mine()...)
		r.await(OpCreate)
		if got := r.last(Foreign); !slices.Equal(got.Tasks, []string{"z"}) || got.Mid {
			t.Fatalf("foreign %v, want z, not as an intruder", got)
		}
	})
	t.Run("after old doubts are settled", func(t *testing.T) {
		r := newRig(t, 2, exclusive(ExclusiveAll))
		r.baseline()
		r.await(OpCreate)
		r.crash(time.Minute)
		r.list(Row{Task: "mine", Status: StatusRunning})
		r.list(Row{Task: "mine", Status: StatusRunning})
		if got := r.last(Adopted); got.Task != "mine" || r.count(Foreign) != 0 {
			t.Fatalf("adopted %v with %d foreign, want the task of the first run", got, r.count(Foreign))
		}
		r.baseline(Row{Task: "mine", Status: StatusRunning})
		r.await(OpCreate)
	})
}

func TestListIsEvidenceOnlyByWhenItWasAsked(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	doubtful := r.await(OpCreate)
	r.answer(doubtful, Observation{Result: Unknown})
	r.pass(r.lane.Settle)
	first := r.await(OpList)
	r.crash(time.Second) // the settle time starts anew
	r.pump()
	if len(r.flying) != 0 {
		t.Fatalf("%v before the settle time of this run", r.flying)
	}
	r.b.Observe(Observation{Effect: first, Result: Listed, Complete: true}) // an answer to the dead process
	r.pass(r.lane.Settle - time.Second)
	if r.count(Absent) != 0 || len(r.flying) != 0 {
		t.Fatal("settled by a list that an earlier process asked for")
	}
	r.list()
	if r.count(Absent) != 0 {
		t.Fatal("settled by one list")
	}
	r.list()
	r.wantState("j0", StatePending)
	if got := r.last(Absent).By; got == "" {
		t.Fatal("absent names no rule")
	}
}

// A list that is on its way when the create fails was asked too early, however
// late its answer comes.
func TestListAskedBeforeDoubtSettlesNothing(t *testing.T) {
	r := newRig(t, 30, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Running, l.Ahead = 10, 10 })
	r.baseline()
	for range 10 {
		r.submit()
	}
	r.now = r.now.Add(11 * time.Minute) // strangers are counted again before the next create
	early := r.await(OpList)
	r.answer(early, Observation{Result: Listed, Complete: true, Rows: r.mine()})
	c := r.await(OpCreate)
	var asked Effect
	for range 50 { // many tasks are due: the core lists while the create is under way
		r.now = r.now.Add(15 * time.Second)
		r.pump()
		if i := slices.IndexFunc(r.flying, func(e Effect) bool { return e.Op == OpList }); i >= 0 {
			asked = r.flying[i]
			r.flying = slices.Delete(r.flying, i, i+1)
			break
		}
	}
	if asked.Op != OpList {
		t.Fatal("ten due tasks were never listed")
	}
	r.answer(c, Observation{Result: Unknown})
	r.now = r.now.Add(r.lane.Settle + time.Hour)
	r.b.Observe(Observation{Effect: asked, Result: Listed, Complete: true, Rows: append(r.mine(), Row{Task: "late"})})
	for range 2 {
		if r.count(Absent)+r.count(Adopted)+r.count(Quarantined)+r.count(Foreign) != 0 {
			t.Fatal("an early list settled the doubt")
		}
		r.list(append(r.mine(), Row{Task: "late"})...)
	}
	if r.last(Adopted).Task != "late" {
		t.Fatal("not adopted after two lists in time")
	}
}

func TestVerdict(t *testing.T) {
	own := Row{Task: "a", Model: "move", Status: StatusPending, KeyID: "1"}
	other := Row{Task: "b", Model: "move", Status: StatusRunning, KeyID: "2"}
	none := Row{Task: "c", Model: "move", Status: StatusRunning}
	wrongModel := Row{Task: "d", Model: "mix", Status: StatusRunning, KeyID: "1"}
	tests := []struct {
		name          string
		lane          Exclusive
		first, second []Row
		want          Kind
		tasks         []string
	}{
		{"exclusive, nothing", ExclusiveAll, nil, nil, Absent, nil},
		{"exclusive, one", ExclusiveAll, []Row{own}, []Row{own}, Adopted, []string{"a"}},
		{"exclusive, one, in the first list only", ExclusiveAll, []Row{own}, nil, Adopted, []string{"a"}},
		{"exclusive, one, in the second list only", ExclusiveAll, nil, []Row{own}, Adopted, []string{"a"}},
		{"exclusive, one in each", ExclusiveAll, []Row{own}, []Row{other}, Quarantined, []string{"a", "b"}},
		{"exclusive, ended already", ExclusiveAll, []Row{{Task: "a", Status: StatusSucceeded}}, nil, Adopted, []string{"a"}},
		{"exclusive, listed twice", ExclusiveAll, []Row{own, own}, nil, Adopted, []string{"a"}},
		{"exclusive, of another model", ExclusiveAll, []Row{wrongModel}, []Row{wrongModel}, Absent, nil},
		{"exclusive, known before", ExclusiveAll, []Row{{Task: "old"}}, []Row{{Task: "old"}}, Absent, nil},
		{"shared, nothing", Shared, nil, nil, Absent, nil},
		{"shared, one", Shared, []Row{own}, []Row{own}, Quarantined, []string{"a"}},
		{"shared, in one list only", Shared, nil, []Row{own}, Quarantined, []string{"a"}},
		{"unset means shared", "", []Row{own}, nil, Quarantined, []string{"a"}},
		{"key, one of ours", ExclusiveKey, []Row{own, other}, nil, Adopted, []string{"a"}},
		{"key, others only", ExclusiveKey, []Row{other}, []Row{other}, Absent, nil},
		{"key, without a key", ExclusiveKey, []Row{none}, nil, Quarantined, []string{"c"}},
		{"key, one of ours and one without", ExclusiveKey, []Row{own, none}, nil, Quarantined, []string{"a", "c"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, 2, exclusive(test.lane))
			r.baseline(Row{Task: "old", Status: StatusRunning, KeyID: "7"})
			_, task := r.submit() // teaches the lane its own key
			r.answer(r.await(OpCreate), Observation{Result: Unknown})
			ours := Row{Task: task, Model: "move", Status: StatusRunning, KeyID: "1"}
			r.list(append(slices.Clone(test.first), ours)...)
			r.list(append(slices.Clone(test.second), ours)...)
			e := r.last(test.want)
			if e.Job != "j1" || e.By == "" {
				t.Fatalf("%v, want it about j1 by a rule", e)
			}
			got := e.Tasks
			if test.want == Adopted {
				got = []string{e.Task}
			}
			if !slices.Equal(got, test.tasks) {
				t.Errorf("tasks %v, want %v", got, test.tasks)
			}
		})
	}
}

func TestKeyIsLearnedOnlyFromTasksOfThisKey(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveKey), func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	_, task := r.submit()
	r.lane.Ahead = 1
	r.b = replay(t, r.settings, []LaneSettings{r.lane}, r.events)
	r.flying = nil
	r.apply(Event{Kind: Opened, Run: &Run{ID: "two", Key: "k2"}}) // the operator changed the key
	old := Row{Task: task, Status: StatusRunning, KeyID: "1"}
	r.baseline(old)
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	mine := Row{Task: "mine", Status: StatusRunning, KeyID: "2"}
	r.list(old, mine)
	r.list(old, mine)
	r.wantState("j1", StateQuarantined) // not pending: that would pay twice
}

func TestDoubtOlderThanTheListIsQuarantined(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.crash(r.lane.TaskLife - r.lane.Settle + time.Second)
	r.baseline()
	r.wantState("j0", StateQuarantined)
	r.wantMoney("0", "0.6", "0")
}

func TestQuarantineCandidatesAreKnownLater(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	a, b := Row{Task: "a", Status: StatusRunning}, Row{Task: "b", Status: StatusRunning}
	r.list(a, b)
	r.list(a, b)
	r.wantState("j0", StateQuarantined)
	r.await(OpCreate)
	r.crash(time.Minute) // known over a replay, too
	r.list(a, b)
	r.list(a, b)
	if got := r.last(Absent).Job; got != "j1" {
		t.Fatalf("absent %s, want j1: an earlier candidate is no candidate", got)
	}
	r.baseline(a, b)
	if r.count(Foreign) != 0 {
		t.Fatal("candidates became strangers")
	}
	if r.b.Lane(0).Exclusive != Shared {
		t.Fatal("one create makes one task, so one of two unknown ones is a stranger's")
	}
}

func TestIntruderMakesAnExclusiveLaneSharedForGood(t *testing.T) {
	r := newRig(t, 4, exclusive(ExclusiveAll))
	r.baseline()
	_, first := r.submit()
	r.now = r.now.Add(11 * time.Minute) // strangers are counted before the next create
	ours := Row{Task: first, Status: StatusRunning, KeyID: "1"}
	r.list(ours, stranger("x"))
	if e := r.last(Foreign); !e.Mid || !slices.Equal(e.Tasks, []string{"x"}) {
		t.Fatalf("%v, want x as an intruder", e)
	}
	for range 2 {
		if got := r.b.Lane(0).Exclusive; got != Shared {
			t.Fatalf("the lane is %q, want shared", got)
		}
		r.await(OpCreate)
		r.crash(time.Second)
		r.list(ours, stranger("x"))
		r.list(ours, stranger("x"))
		r.baseline(ours, stranger("x"), stranger("w"+string(rune('a'+r.count(Opened))))) // more of them are no news
	}
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(ours, stranger("x"), Row{Task: "y"})
	r.list(ours, stranger("x"), Row{Task: "y"})
	r.wantState("j1", StateQuarantined)
}

func TestIntrudersByKey(t *testing.T) {
	for _, test := range []struct {
		key  string
		want Exclusive
	}{{"1", Shared}, {"2", ExclusiveKey}} {
		r := newRig(t, 2, exclusive(ExclusiveKey))
		r.baseline()
		_, task := r.submit()
		r.now = r.now.Add(11 * time.Minute)
		r.list(Row{Task: task, Status: StatusRunning, KeyID: "1"}, Row{Task: "x", KeyID: test.key})
		if got := r.b.Lane(0).Exclusive; got != test.want {
			t.Errorf("a stranger of key %s: lane is %q, want %q", test.key, got, test.want)
		}
	}
}

// A list asked while a create is unanswered can show that create's task: it must
// not become foreign, or the doubt would be settled as absent and paid twice.
// However many strangers there are, no record outgrows a line of the journal, and none
// of them is forgotten before a create is sent.
func TestVeryManyStrangers(t *testing.T) {
	r := newRig(t, 1, exclusive(ExclusiveKey))
	var rows []Row
	for i := range 25_000 {
		rows = append(rows, Row{Task: fmt.Sprintf("s%d", i), Model: "move", Status: StatusSucceeded, KeyID: "9"})
	}
	for range 6 {
		r.list(rows...)
	}
	r.await(OpCreate)
	named := 0
	for _, e := range r.events {
		if len(e.Tasks) > 10_000 {
			t.Fatalf("%s names %d tasks", e.Kind, len(e.Tasks))
		}
		named += len(e.Tasks)
	}
	if named != len(rows) {
		t.Errorf("%d of %d strangers are named before the first create", named, len(rows))
	}
}

// Where a quarantine has more candidates than a record holds, one that is not named is
// not adopted for another job.
func TestVeryManyCandidates(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown}) // made "ours"
	var rows []Row
	for i := range mostNamed {
		rows = append(rows, Row{Task: fmt.Sprintf("s%d", i), Model: "move", Status: StatusSucceeded})
	}
	rows = append(rows, Row{Task: "ours", Model: "move", Status: StatusSucceeded})
	r.list(rows...)
	r.list(rows...)
	r.wantState("j0", StateQuarantined)
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	r.list(rows...)
	r.list(rows...)
	r.wantState("j1", StateQuarantined)
}

func TestForeignOnlyFromCleanLists(t *testing.T) {
	r := newRig(t, 40, exclusive(ExclusiveAll), func(_ *Settings, l *LaneSettings) { l.Running, l.Ahead = 10, 10 })
	r.baseline()
	for range 10 {
		r.submit()
	}
	r.await(OpCreate)
	lists := 0
	for range 50 {
		r.now = r.now.Add(15 * time.Second)
		r.pump()
		if i := slices.IndexFunc(r.flying, func(e Effect) bool { return e.Op == OpList }); i >= 0 {
			e := r.flying[i]
			r.flying = slices.Delete(r.flying, i, i+1)
			r.answer(e, Observation{Result: Listed, Complete: true, Rows: append(r.mine(), Row{Task: "new", Status: StatusPending})})
			lists++
		}
	}
	if lists == 0 {
		t.Fatal("nothing was listed while the create was under way")
	}
	if r.count(Foreign) != 0 {
		t.Fatal("a task that may be our own became foreign")
	}
}

// A doubt that outlived the lists is given up with what they show: where only the
// clock says that it is too old, one of them is our own task, and no intruder's.
func TestOldDoubtKeepsItsCandidates(t *testing.T) {
	r := newRig(t, 2, exclusive(ExclusiveAll))
	r.baseline()
	r.answer(r.await(OpCreate), Observation{Result: Unknown})
	mine := Row{Task: "mine", Status: StatusRunning}
	asked := r.await(OpList)
	r.now = r.now.Add(r.lane.TaskLife)
	r.answer(asked, Observation{Result: Listed, Complete: true, Rows: []Row{mine}})
	r.list(mine)
	r.wantState("j0", StateQuarantined)
	if got := r.last(Quarantined).Tasks; !slices.Equal(got, []string{"mine"}) {
		t.Errorf("candidates are %q", got)
	}
	r.crash(time.Minute)
	r.baseline(append(r.mine(), mine)...)
	if r.count(Foreign) != 0 || r.b.Lane(0).Exclusive != ExclusiveAll {
		t.Fatal("our own task is taken for an intruder's")
	}
}

func TestOpenedTurnsAnIntentIntoDoubt(t *testing.T) {
	for _, answered := range []bool{false, true} {
		r := newRig(t, 1)
		r.baseline()
		if e := r.await(OpCreate); answered {
			r.answer(e, Observation{Result: Unknown})
		}
		r.crash(time.Hour)
		r.wantState("j0", StateInDoubt)
		if wake := r.pump(); !wake.Equal(r.last(Opened).At.Add(r.lane.Settle)) {
			t.Fatalf("answered %t: wakes at %v, want settle time after opening", answered, wake)
		}
	}
}

func TestAnAnswerThatProvesNothingIsDoubt(t *testing.T) {
	for name, o := range map[string]Observation{
		"no task id":        {Result: Created},
		"a stranger's task": {Result: Created, Task: "x"},
		"our own task":      {Result: Created, Task: "task-1"},
		"unknown":           {Result: Unknown},
		"nonsense":          {Result: Listed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 2)
			r.baseline(stranger("x"))
			r.submit()
			r.answer(r.await(OpCreate), o)
			r.wantState("j1", StateInDoubt)
		})
	}
}

func TestStaleAnswersAreIgnored(t *testing.T) {
	r := newRig(t, 3)
	r.baseline()
	create := r.await(OpCreate)
	r.answer(create, Observation{Result: Created, Task: "task-1"})
	query := r.look(StatusSucceeded)
	fetch := r.await(OpFetch)
	r.answer(fetch, Observation{Result: Fetched, Artifact: &Artifact{}})
	other := r.await(OpCreate)
	events, outstanding := len(r.events), r.b.Outstanding()
	for _, o := range []Observation{
		{Effect: create, Result: Created, Task: "task-9"},
		{Effect: create, Result: Unknown},
		{Effect: create, Result: Rejected, Class: ClassKey},
		{Effect: query, Result: Looked, Status: StatusPending},
		{Effect: query, Result: Looked, Status: StatusFailed},
		{Effect: query, Result: Failed, Class: ClassKey},
		{Effect: fetch, Result: Forbidden},
		{Effect: Effect{Op: OpQuery, Job: "nobody", Seq: 99}, Result: Looked},
		{Effect: Effect{Op: OpCreate, Job: "j1", Attempt: 7, Seq: 98}, Result: Created, Task: "t"},
	} {
		r.b.Observe(o)
	}
	r.pump()
	if len(r.events) != events || r.b.Outstanding() != outstanding || r.b.View().Stop != StopNone {
		t.Fatalf("stale answers had an effect: events %v, outstanding %d (was %d), stop %q",
			r.events[events:], r.b.Outstanding(), outstanding, r.b.View().Stop)
	}
	r.answer(other, Observation{Result: Created, Task: "task-2"})
	r.wantState("j1", StateQueued)
}

func TestStatusesThatGoBackwardsProveNothing(t *testing.T) {
	r := newRig(t, 1)
	r.baseline()
	r.submit()
	for _, s := range []Status{StatusPending, StatusRunning, StatusPending, StatusUnknown, StatusRunning, "SUSPENDED", StatusPending} {
		r.look(s)
	}
	r.wantState("j0", StateRunning)
	r.look(StatusSucceeded)
	r.wantState("j0", StateFetching)
	if n := r.count(Running); n != 1 {
		t.Fatalf("%d running events, want 1", n)
	}
}
