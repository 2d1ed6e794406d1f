package batch

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// rig drives one Batch by hand: the driver loop of the package comment with a
// clock that a test moves and workers that a test plays.
type rig struct {
	t        *testing.T
	b        *Batch
	settings Settings
	lane     LaneSettings
	now      time.Time
	events   []Event
	flying   []Effect
	tasks    int
}

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func testSettings() Settings { return Settings{Tries: 3, Fetches: 2, Backlog: 4} }

func testLane() LaneSettings {
	return LaneSettings{
		Name: "singapore", Model: "move", Running: 1, Ahead: 2, CreateGap: time.Second,
		PollMin: time.Second, PollMax: 15 * time.Second, Settle: 2 * time.Minute,
		TaskLife: 24 * time.Hour, BurstWait: time.Minute,
	}
}

func money(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func capOf(s string) decimal.NullDecimal { return decimal.NewNullDecimal(money(s)) }

// testPlan is a five second clip at 0.10 a second; an attempt costs 0.60 at most.
func testPlan(id string) *Plan {
	return &Plan{Key: "key-" + id, Mode: "wan-std", File: id + ".mp4",
		Length: decimal.NewNullDecimal(money("5")), UnitPrice: money("0.1"), Hold: money("0.6")}
}

// newRig opens a run over jobs j0, j1, ... on one lane.
func newRig(t *testing.T, jobs int, change ...func(*Settings, *LaneSettings)) *rig {
	t.Helper()
	r := &rig{t: t, settings: testSettings(), lane: testLane(), now: epoch}
	for _, f := range change {
		f(&r.settings, &r.lane)
	}
	r.b = New(r.settings, []LaneSettings{r.lane})
	r.apply(Event{Kind: Begun, Begin: &Begin{Batch: "test"}})
	for i := range jobs {
		id := fmt.Sprintf("j%d", i)
		r.apply(Event{Kind: Planned, Job: id, Plan: testPlan(id)})
	}
	r.open()
	return r
}

func (r *rig) open() {
	r.t.Helper()
	r.apply(Event{Kind: Opened, Run: &Run{ID: "run", Key: "k1"}})
	r.now = r.now.Add(time.Millisecond)
}

// apply makes an event durable, as if a command of the operator had.
func (r *rig) apply(e Event) {
	r.t.Helper()
	if e.At.IsZero() {
		e.At = r.now
	}
	if err := r.b.Apply(e); err != nil {
		r.t.Fatalf("after %d events: %v", len(r.events), err)
	}
	r.events = append(r.events, e)
}

// pump takes steps until the core wants to wait.
func (r *rig) pump() (wake time.Time) {
	r.t.Helper()
	for range 1000 {
		step, wake, ok := r.b.Next(r.now)
		if !ok {
			if !wake.IsZero() && !wake.After(r.now) {
				r.t.Fatalf("the core wants to be asked again at %v, but it is %v", wake, r.now)
			}
			return wake
		}
		if step.Record != nil {
			r.apply(*step.Record)
		}
		if step.Effect != nil {
			r.launch(*step.Effect)
		}
	}
	r.t.Fatalf("1000 steps without waiting: a hot loop; last effects %v", r.flying)
	return wake
}

// launch starts an effect, under the rules that hold for every effect.
func (r *rig) launch(e Effect) {
	r.t.Helper()
	for _, f := range r.flying {
		if f.Task != "" && f.Task == e.Task || f.Op == OpCreate && e.Op == OpCreate || f.Op == OpList && e.Op == OpList {
			r.t.Fatalf("%v starts while %v is under way", e, f)
		}
	}
	if last := r.events[len(r.events)-1]; e.Op == OpCreate && (last.Kind != Intended || last.Job != e.Job || last.Attempt != e.Attempt) {
		r.t.Fatalf("a create of %s without its durable intent; the last event is %v", e.Job, last)
	}
	r.flying = append(r.flying, e)
}

// await sleeps from wake to wake until an effect of this kind is under way, and
// takes it. Other effects stay unanswered.
func (r *rig) await(op Op) Effect {
	r.t.Helper()
	start := r.now
	for range 10_000 {
		wake := r.pump()
		if i := slices.IndexFunc(r.flying, func(e Effect) bool { return e.Op == op }); i >= 0 {
			e := r.flying[i]
			r.flying = slices.Delete(r.flying, i, i+1)
			return e
		}
		if op == OpCreate && r.b.lanes[0].baselined && r.countStrangers() {
			continue
		}
		if wake.IsZero() {
			r.t.Fatalf("no %s within %v, and no time to ask again; flying %v, view %+v", op, r.now.Sub(start), r.flying, r.b.View())
		}
		r.now = wake
	}
	r.t.Fatalf("no %s within %v", op, r.now.Sub(start))
	return Effect{}
}

// countStrangers answers a list that is under way with our own tasks; one of running
// tasks does not show them yet.
func (r *rig) countStrangers() bool {
	r.t.Helper()
	i := slices.IndexFunc(r.flying, func(e Effect) bool { return e.Op == OpList })
	if i < 0 {
		return false
	}
	e := r.flying[i]
	r.flying = slices.Delete(r.flying, i, i+1)
	rows := r.mine()
	if e.Status != "" {
		rows = nil
	}
	r.answer(e, Observation{Result: Listed, Complete: true, Pages: 1, Rows: rows})
	return true
}

// answer hands an answer to the core.
func (r *rig) answer(e Effect, o Observation) {
	r.t.Helper()
	o.Effect = e
	r.b.Observe(o)
	r.pump()
}

// pass lets time go by, waking the core when it asked for it.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	end := r.now.Add(d)
	for {
		wake := r.pump()
		if wake.IsZero() || wake.After(end) {
			break
		}
		r.now = wake
	}
	r.now = end
	r.pump()
}

// list answers the next list that the core asks for.
func (r *rig) list(rows ...Row) {
	r.t.Helper()
	r.answer(r.await(OpList), Observation{Result: Listed, Rows: rows, Complete: true, Pages: 1, Clock: r.now})
}

// clockless answers a list whose answer has no date.
func (r *rig) clockless(rows ...Row) {
	r.t.Helper()
	r.answer(r.await(OpList), Observation{Result: Listed, Rows: rows, Complete: true, Pages: 1})
}

// baseline answers the two lists before the first intent of a run.
func (r *rig) baseline(rows ...Row) {
	r.t.Helper()
	r.list(rows...)
	r.list(rows...)
}

// submit waits for the next create and has it accepted as a new task.
func (r *rig) submit() (job, task string) {
	r.t.Helper()
	e := r.await(OpCreate)
	r.tasks++
	task = fmt.Sprintf("task-%d", r.tasks)
	r.answer(e, Observation{Result: Created, Task: task, Request: "req"})
	return e.Job, task
}

// look answers the next query.
func (r *rig) look(s Status, change ...func(*Observation)) Effect {
	r.t.Helper()
	o := Observation{Result: Looked, Status: s}
	if s == StatusSucceeded {
		o.Usage = decimal.NewNullDecimal(money("5"))
		o.Times.Expires = r.now.Add(24 * time.Hour)
	}
	for _, f := range change {
		f(&o)
	}
	e := r.await(OpQuery)
	r.answer(e, o)
	return e
}

// store answers the next download.
func (r *rig) store() {
	r.t.Helper()
	r.answer(r.await(OpFetch), Observation{Result: Fetched, Artifact: &Artifact{Path: "x.mp4", Bytes: 1}})
}

// deliver sees the newest task run, end and be stored.
func (r *rig) deliver() {
	r.t.Helper()
	r.look(StatusRunning)
	r.look(StatusSucceeded)
	r.store()
}

// crash ends the process: answers under way are lost, and a new one replays the
// journal and opens a run.
func (r *rig) crash(down time.Duration) {
	r.t.Helper()
	before := durable(r.b)
	r.b = replay(r.t, r.settings, []LaneSettings{r.lane}, r.events)
	if d := cmp.Diff(before, durable(r.b)); d != "" {
		r.t.Fatalf("the replayed batch differs from the live one (-live +replayed):\n%s", d)
	}
	r.flying = nil
	r.now = r.now.Add(down)
	r.open()
}

func (r *rig) state(id string) State {
	r.t.Helper()
	j, ok := r.b.Job(id)
	if !ok {
		r.t.Fatalf("no job %s", id)
	}
	return j.State
}

func (r *rig) wantState(id string, want State) {
	r.t.Helper()
	if got := r.state(id); got != want {
		r.t.Fatalf("job %s is %s, want %s", id, got, want)
	}
}

// kinds returns the events about a job since the run was opened.
func (r *rig) count(k Kind) (n int) {
	for _, e := range r.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// last returns the newest event of a kind.
func (r *rig) last(k Kind) Event {
	r.t.Helper()
	for _, e := range slices.Backward(r.events) {
		if e.Kind == k {
			return e
		}
	}
	r.t.Fatalf("no event %s", k)
	return Event{}
}

// wantMoney compares spent, held and possible.
func (r *rig) wantMoney(spent, held, possible string) {
	r.t.Helper()
	v := r.b.View()
	got := v.Spent.String() + " " + v.Held.String() + " " + v.Possible.String()
	if want := spent + " " + held + " " + possible; got != want {
		r.t.Fatalf("spent, held, possible are %s, want %s", got, want)
	}
}

// refuseCreate answers the next create with a refusal.
func (r *rig) refuseCreate(c Class, wish time.Duration) Effect {
	r.t.Helper()
	e := r.await(OpCreate)
	r.answer(e, Observation{Result: Rejected, Class: c, Code: "Code." + string(c), RetryAfter: wish})
	return e
}

// noCreate asserts that the core sends no create for a while. Lists and queries
// are answered with nothing new.
func (r *rig) noCreate(d time.Duration) {
	r.t.Helper()
	end := r.now.Add(d)
	for {
		wake := r.pump()
		for len(r.flying) > 0 {
			e := r.flying[0]
			r.flying = r.flying[1:]
			switch e.Op {
			case OpCreate:
				r.t.Fatalf("a create of %s at %v", e.Job, r.now.Sub(epoch))
			case OpList:
				r.answer(e, Observation{Result: Listed, Complete: true, Pages: 1, Rows: r.mine()})
			case OpQuery:
				r.answer(e, Observation{Result: Looked, Status: StatusRunning})
			default:
				r.answer(e, Observation{Result: Failed, Class: ClassRetry})
			}
			wake = r.pump()
		}
		if wake.IsZero() || wake.After(end) {
			r.now = end
			return
		}
		r.now = wake
	}
}

// mine lists our live tasks as the provider would.
func (r *rig) mine() (rows []Row) {
	for _, j := range r.b.jobs {
		if j.state.live() {
			rows = append(rows, Row{Task: j.task(), Model: r.lane.Model, Status: StatusRunning, KeyID: "1"})
		}
	}
	return rows
}

func replay(t *testing.T, s Settings, lanes []LaneSettings, events []Event) *Batch {
	t.Helper()
	b := New(s, lanes)
	for i, e := range events {
		if err := b.Apply(e); err != nil {
			t.Fatalf("replay of event %d: %v", i, err)
		}
	}
	return b
}

// image is everything of a Batch that comes from events.
type image struct {
	Jobs               []Job
	Returned, Fetching []string
	Failed             []string
	Counts             map[State]int
	Money              string
	Lanes              []laneImage
	Owners             map[string]string
	Uploads            map[string]string
}

type laneImage struct {
	Open         string
	DoubtAt      time.Time
	Live, Known  []string
	Intruded     bool
	Creates      int64
	Pace, Spread int64
}

// durable returns the part of a batch that a replay must give back.
func durable(b *Batch) image {
	im := image{Counts: map[State]int{}, Owners: map[string]string{}}
	for j := range b.Jobs() {
		j.Since, j.Skipped = time.Time{}, false
		j.Attempts = slices.Clone(j.Attempts)
		im.Jobs = append(im.Jobs, j)
	}
	im.Returned, im.Fetching = ids(b.returned), ids(b.fetching)
	for _, j := range b.failed {
		if j.tries < b.settings.Tries || j.attempt().End.Status == StatusCanceled { // the others failed for good
			im.Failed = append(im.Failed, j.id)
		}
	}
	for s, n := range b.counts {
		if n != 0 {
			im.Counts[s] = n
		}
	}
	for task, j := range b.byTask {
		im.Owners[task] = j.id
	}
	im.Uploads = map[string]string{}
	for sum, s := range b.supplies {
		if s.address != "" {
			im.Uploads[sum] = fmt.Sprint(s.store, " ", s.address, " ", s.expires)
		}
	}
	im.Money = fmt.Sprint(b.money.spent, b.money.held, b.money.possible, b.money.overruns)
	for _, l := range b.lanes {
		li := laneImage{DoubtAt: l.doubtAt, Live: ids(l.live), Intruded: l.othersSeen, Creates: l.creates, Pace: l.pace, Spread: l.spread}
		if l.unsettled != nil {
			li.Open = l.unsettled.id
		}
		for id := range l.excluded {
			li.Known = append(li.Known, id)
		}
		slices.Sort(li.Known)
		im.Lanes = append(im.Lanes, li)
	}
	return im
}

func ids(jobs []*job) (out []string) {
	for _, j := range jobs {
		out = append(out, j.id)
	}
	return out
}

func stranger(id string) Row { return Row{Task: id, Model: "move", Status: StatusRunning, KeyID: "9"} }

func exclusive(e Exclusive) func(*Settings, *LaneSettings) {
	return func(_ *Settings, l *LaneSettings) { l.Exclusive = e }
}

func capped(amount string) func(*Settings, *LaneSettings) {
	return func(s *Settings, _ *LaneSettings) { s.Cap = capOf(amount) }
}
