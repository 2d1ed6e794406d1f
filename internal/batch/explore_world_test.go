package batch

import (
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// world is the truth, and what is under way.
type world struct {
	now   int // seconds
	procs []proc
	tasks []xtask
	late  []lateCreate
	left  struct{ crashes, strangers, refusals, misses int }
}

// proc is one batch: its process and its journal.
type proc struct {
	b        *Batch
	events   []Event
	create   *Effect // on its way to the provider
	reply    string  // task that its reply will name, once the provider took it
	list     *Effect
	finished bool // it wants more attempts than the bounds allow
}

type xtask struct {
	owner string // batch/job, or empty
	age   int    // seconds, clamped at the lag
}

type lateCreate struct {
	owner string
	left  int // seconds in which it can still arrive
}

type move struct {
	label string
	w     *world
	err   error
}

func (bo bounds) settings() (Settings, []LaneSettings) {
	l := testLane()
	l.Exclusive, l.Settle = bo.exclusive, bo.settle
	l.Running, l.Ahead, l.CreateGap = 2, 2, 0
	l.PollMin, l.PollMax = time.Hour, time.Hour // looks are another story
	s := testSettings()
	s.Cap = decimal.NewNullDecimal(decimal.New(6*int64(bo.jobs*2), -1))
	return s, []LaneSettings{l}
}

func (w *world) time() time.Time { return epoch.Add(time.Duration(w.now) * time.Second) }

func begin(bo bounds) []move {
	w := &world{}
	w.left.crashes, w.left.strangers, w.left.refusals, w.left.misses = bo.crashes, bo.strangers, bo.refusals, bo.misses
	for range bo.batches {
		p := proc{b: New(bo.settings())}
		must(p.record(Event{Kind: Begun, At: epoch, Begin: &Begin{}}))
		for i := range bo.jobs {
			id := fmt.Sprintf("j%d", i)
			must(p.record(Event{Kind: Planned, At: epoch, Job: id, Plan: testPlan(id)}))
		}
		must(p.record(Event{Kind: Opened, At: epoch, Run: &Run{}}))
		w.procs = append(w.procs, p)
	}
	ms := w.settle(bo, 0, "begin")
	for i := 1; i < bo.batches; i++ {
		var all []move
		for _, m := range ms {
			all = append(all, m.w.settle(bo, i, "begin")...)
		}
		ms = all
	}
	return ms
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (p *proc) record(e Event) error {
	p.events = append(slices.Clip(p.events), e)
	return p.b.Apply(e)
}

func (w *world) clone() *world {
	c := *w
	c.procs, c.tasks, c.late = slices.Clone(w.procs), slices.Clone(w.tasks), slices.Clone(w.late)
	for i := range c.procs {
		c.procs[i].b = clone(w.procs[i].b)
	}
	return &c
}

// settle runs a process until it waits. It can die before each record is
// durable, and after it but before its effect: those are moves of their own.
func (w *world) settle(bo bounds, i int, label string) (ms []move) {
	w = w.clone()
	p := &w.procs[i]
	for {
		step, _, ok := p.b.Next(w.time())
		if !ok {
			return append(ms, move{label, w, w.violation()})
		}
		if e := step.Record; e != nil {
			if e.Kind == Intended && e.Attempt > bo.attempts {
				p.finished = true
				return append(ms, move{label + ", no attempts left", w, nil})
			}
			ms = append(ms, w.crash(bo, i, label+", dies before "+string(e.Kind))...)
			label += ", " + string(e.Kind) + " " + e.Job + " " + e.Task
			if err := w.owned(i, *e); err != nil {
				return append(ms, move{label, w, err})
			}
			must(p.record(*e))
			if step.Effect != nil {
				ms = append(ms, w.crash(bo, i, label+", dies before its "+string(step.Effect.Op))...)
			}
		}
		switch e := step.Effect; {
		case e == nil:
		case e.Op == OpCreate:
			p.create = e
		case e.Op == OpList:
			p.list = e
		default:
			return append(ms, move{label, w, fmt.Errorf("unexpected effect %v", *e)})
		}
	}
}

// owned checks that a task goes to the job that it was made for.
func (w *world) owned(i int, e Event) error {
	if e.Kind != Accepted && e.Kind != Adopted {
		return nil
	}
	var n int
	if _, err := fmt.Sscanf(e.Task, "t%d", &n); err != nil {
		return err
	}
	if got, want := w.tasks[n].owner, owner(i, e.Job); got != want {
		return fmt.Errorf("%s takes task %s of %q", want, e.Task, got)
	}
	return nil
}

func owner(i int, job string) string { return fmt.Sprintf("b%d/%s", i, job) }

// violation checks the promises at one instant.
func (w *world) violation() error {
	live := map[string]int{}
	for _, t := range w.tasks {
		if live[t.owner]++; t.owner != "" && live[t.owner] > 1 {
			return fmt.Errorf("%s has two live tasks", t.owner)
		}
	}
	for _, p := range w.procs {
		m := p.b.money
		if most := m.spent.Add(m.held).Add(m.possible); most.GreaterThan(p.b.settings.Cap.Decimal) {
			return fmt.Errorf("%s may be spent, above the cap", most)
		}
	}
	return nil
}

// stuck judges a state in which nothing can happen any more.
func (w *world) stuck() []move {
	for i, p := range w.procs {
		for _, j := range p.b.jobs {
			if !p.finished && j.state != StateQueued && j.state != StateQuarantined {
				return []move{{"nothing more can happen", w, fmt.Errorf("%s sleeps for ever as %s", owner(i, j.id), j.state)}}
			}
		}
	}
	return nil
}

// moves are all that can happen next.
func (w *world) moves(bo bounds) (ms []move) {
	for i := range w.procs {
		if p := &w.procs[i]; !p.finished {
			ms = append(ms, w.createMoves(bo, i)...)
			ms = append(ms, w.listMoves(bo, i)...)
			ms = append(ms, w.crash(bo, i, "dies")...)
		}
	}
	for i, l := range w.late {
		c := w.clone()
		c.late = slices.Delete(c.late, i, i+1)
		c.tasks = append(c.tasks, xtask{owner: l.owner})
		ms = append(ms, move{"late create of " + l.owner + " arrives", c, c.violation()})
	}
	if w.left.strangers > 0 {
		c := w.clone()
		c.left.strangers--
		c.tasks = append(c.tasks, xtask{})
		ms = append(ms, move{"a stranger creates a task", c, nil})
	}
	return append(ms, w.tick(bo)...)
}

// answer hands an observation to a process and lets it go on.
func (w *world) answer(bo bounds, i int, o Observation, label string) []move {
	w.procs[i].b.Observe(o)
	return w.settle(bo, i, label)
}

func (w *world) createMoves(bo bounds, i int) (ms []move) {
	p := &w.procs[i]
	if p.create == nil {
		return nil
	}
	e := *p.create
	lost := Observation{Effect: e, Result: Unknown}
	if bo.retry {
		lost = Observation{Effect: e, Result: Rejected, Class: ClassRetry}
	}
	if p.reply != "" {
		c := w.clone()
		c.procs[i].create, c.procs[i].reply = nil, ""
		d := c.clone()
		ms = c.answer(bo, i, Observation{Effect: e, Result: Created, Task: p.reply}, "reply to "+e.Job)
		return append(ms, d.answer(bo, i, lost, "reply to "+e.Job+" is lost")...)
	}
	c := w.clone()
	c.tasks = append(c.tasks, xtask{owner: owner(i, e.Job)})
	c.procs[i].reply = fmt.Sprintf("t%d", len(c.tasks)-1)
	ms = append(ms, move{"create of " + e.Job + " arrives", c, c.violation()})

	c = w.clone()
	c.procs[i].create = nil
	c.late = append(c.late, lateCreate{owner(i, e.Job), bo.late})
	ms = append(ms, c.answer(bo, i, lost, "create of "+e.Job+" times out")...)
	if w.left.refusals > 0 {
		c = w.clone()
		c.procs[i].create = nil
		c.left.refusals--
		ms = append(ms, c.answer(bo, i, Observation{Effect: e, Result: Rejected, Class: ClassRetry}, "create of "+e.Job+" is refused")...)
	}
	return ms
}

// listMoves answers a list: a young task may be missing, and once a row is.
func (w *world) listMoves(bo bounds, i int) (ms []move) {
	p := &w.procs[i]
	if p.list == nil {
		return nil
	}
	var young []int
	for n, t := range w.tasks {
		if t.age < bo.lag {
			young = append(young, n)
		}
	}
	reply := func(rows []Row, missed bool, label string) {
		c := w.clone()
		c.procs[i].list = nil
		if missed {
			c.left.misses--
		}
		ms = append(ms, c.answer(bo, i, Observation{Effect: *p.list, Result: Listed, Rows: rows, Complete: true, Pages: 1}, label)...)
	}
	for hidden := range 1 << len(young) {
		var rows []Row
		for n := range w.tasks {
			if at := slices.Index(young, n); at < 0 || hidden>>at&1 == 0 {
				rows = append(rows, Row{Task: fmt.Sprintf("t%d", n), Status: StatusPending})
			}
		}
		reply(rows, false, fmt.Sprintf("list shows %v", taskIDs(rows)))
		if w.left.misses == 0 || hidden > 0 {
			continue
		}
		for n := range rows {
			fewer := slices.Delete(slices.Clone(rows), n, n+1)
			reply(fewer, true, fmt.Sprintf("list shows %v and misses %s", taskIDs(fewer), rows[n].Task))
		}
	}
	return ms
}

// crash ends a process and starts the next one on its journal.
func (w *world) crash(bo bounds, i int, label string) []move {
	if w.left.crashes == 0 || w.procs[i].finished {
		return nil
	}
	w = w.clone()
	w.left.crashes--
	p := &w.procs[i]
	if p.create != nil && p.reply == "" {
		w.late = append(w.late, lateCreate{owner(i, p.create.Job), bo.late})
	}
	if last := p.events[len(p.events)-1]; bo.undurable && last.Kind == Intended {
		p.events = p.events[:len(p.events)-1]
	}
	p.create, p.reply, p.list = nil, "", nil
	p.b = New(bo.settings())
	for _, e := range p.events {
		must(p.b.Apply(e))
	}
	must(p.record(Event{Kind: Opened, At: w.time(), Run: &Run{}}))
	return w.settle(bo, i, label+"; a new process starts")
}

// tick lets a second pass, if anybody waits for it.
func (w *world) tick(bo bounds) (ms []move) {
	waits := len(w.late) > 0
	for _, t := range w.tasks {
		waits = waits || t.age < bo.lag
	}
	for _, p := range w.procs {
		if p.finished {
			continue
		}
		_, wake, _ := clone(p.b).Next(w.time())
		waits = waits || !wake.IsZero() && wake.Sub(w.time()) < time.Minute
	}
	if !waits {
		return nil
	}
	c := w.clone()
	c.now++
	for i := range c.tasks {
		c.tasks[i].age = min(c.tasks[i].age+1, bo.lag)
	}
	for i := range c.late {
		c.late[i].left--
	}
	c.late = slices.DeleteFunc(c.late, func(l lateCreate) bool { return l.left < 0 })
	ms = []move{{w: c}}
	for i := range c.procs {
		if c.procs[i].finished {
			continue
		}
		var all []move
		for _, m := range ms {
			all = append(all, m.w.settle(bo, i, "a second passes")...)
		}
		ms = all
	}
	if ms[0].label == "" {
		ms[0].label = "a second passes"
	}
	return ms
}

// key identifies a state.
func (w *world) key(k []byte, _ bounds) []byte {
	for _, p := range w.procs {
		k = appendKey(k, p.b, w.time())
		k = append(k, p.reply...)
		k = append(k, 0, 0)
		for _, v := range []bool{p.create != nil, p.list != nil, p.finished} {
			if v {
				k = append(k, 1)
			} else {
				k = append(k, 2)
			}
		}
	}
	for _, t := range w.tasks {
		k = append(append(k, t.owner...), byte(t.age), 0)
	}
	k = append(k, 0xff)
	for _, l := range w.late {
		k = append(append(k, l.owner...), byte(l.left), 0)
	}
	return append(k, 0xff, byte(w.left.crashes), byte(w.left.strangers), byte(w.left.refusals), byte(w.left.misses))
}
