package batch

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
)

// Store is a journal as bytes on a disk that survives the process. It stands in
// for the list of events, so that simulated crashes meet the real journal.
type Store interface {
	Append(Event) error        // durable on return
	Tear(Event)                // the process dies somewhere inside Append
	Reopen(crashed bool) error // the next process: it reads what was appended, and perhaps what was torn
	Torn() bool                // whether that included what was torn
}

// NewStore makes the store of a simulated batch; nil simulates without one. The
// journal imports this package, so a test outside it fills this in.
var NewStore func(*rand.Rand) Store

// storeEvery is one in how many seeds writes the real journal.
const storeEvery = 4

const mostRuns = 400

// play runs the batch, over as many processes as it takes, until every job is at
// rest or the cap ends it.
func (s *sim) play() (err error) {
	s.crowd()
	s.b = New(s.set, []LaneSettings{s.lane})
	s.record(Event{Kind: Begun, Begin: &Begin{Batch: "sim"}})
	for i := range s.jobs {
		id := fmt.Sprintf("j%d", i)
		plan := testPlan(id)
		if length, known := s.lengths[id]; known {
			plan.Length = decimal.NewNullDecimal(length)
		}
		plan.ImageSHA256, plan.VideoSHA256 = s.input(s.images, "image"), s.input(s.videos, "video")
		s.record(Event{Kind: Planned, Job: id, Plan: plan})
	}
	s.reuse()
	for s.run = 1; s.run < mostRuns; s.run++ {
		finished, err := s.process()
		if err != nil || finished {
			return err
		}
		pause := time.Duration(1+s.rnd.IntN(300)) * time.Second
		if s.chance(100) {
			s.hit("run: long pause")
			pause = time.Duration(s.rnd.IntN(5)) * time.Hour
			if s.chance(200) && !s.calm() {
				pause = 30 * time.Hour
			}
		}
		s.hinder(s.now, s.now.Add(pause))
		s.sleep(s.now.Add(pause))
		if err := s.restart(); err != nil {
			return err
		}
	}
	return fmt.Errorf("the batch did not come to rest in %d runs: %+v", mostRuns, s.b.View())
}

// restart replays the journal into a new process.
func (s *sim) restart() error {
	before := s.b
	if err := s.reread(); err != nil {
		return err
	}
	s.b = New(s.set, []LaneSettings{s.lane})
	for i, e := range s.events {
		if err := s.b.Apply(e); err != nil {
			return fmt.Errorf("replay of event %d: %w", i, err)
		}
	}
	if s.torn == nil && (s.run <= 2 || s.rnd.IntN(4) == 0) { // comparing is slow
		if want, got := durable(before), durable(s.b); !reflect.DeepEqual(want, got) {
			if d := cmp.Diff(want, got); d != "" {
				return fmt.Errorf("the replayed batch differs (-live +replayed):\n%s", d)
			}
		}
	}
	clear(s.busy)
	s.torn, s.dead = nil, false
	s.setClock()
	s.reprice()
	s.person()
	return nil
}

// reread reads the journal back after the process died. It must hold exactly what
// was made durable; only a record whose append was cut may be there or not.
func (s *sim) reread() error {
	if s.store == nil {
		return nil
	}
	if err := s.store.Reopen(s.dead); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if s.torn != nil && s.store.Torn() {
		s.hit("crash: the cut record is there")
		s.count(*s.torn)
		s.note(*s.torn)
	}
	return nil
}

// reuse takes the work of another batch for some jobs, as the shell does.
func (s *sim) reuse() {
	if s.honest || s.rnd.IntN(8) != 0 {
		return
	}
	for _, j := range s.b.jobs {
		if s.chance(200) {
			s.hit("reused")
			s.record(Event{Kind: Reused, Job: j.id, Origin: "other", Artifact: &Artifact{Path: j.id + ".mp4", Bytes: 1}})
		}
	}
}

// reprice changes the prices of jobs between two runs, as the shell does. The
// provider bills a task at what it cost when it was made.
func (s *sim) reprice() {
	if s.honest || !s.chance(100) {
		return
	}
	for _, j := range s.b.jobs {
		if j.state == StateDone || j.removed {
			continue
		}
		if j.state == StateQueued || j.state == StateRunning {
			s.hit("new price under a task")
		}
		plan := j.plan
		plan.UnitPrice = decimal.New(5+s.rnd.Int64N(15), -2)
		plan.Hold = plan.UnitPrice.Mul(money("6"))
		s.record(Event{Kind: Planned, Job: j.id, Plan: &plan})
	}
}

// person settles quarantines, retries failures and settles doubts, now and then. It knows the
// truth, as a person who looks at the provider's console would.
func (s *sim) person() {
	for _, j := range s.b.jobs {
		doubt := j.state == StateSubmitting || j.state == StateInDoubt
		switch {
		case doubt && s.now.Sub(s.sent) > 10*time.Minute && s.chance(600): // the key is gone, say; nothing is on the wire any more
		case j.state != StateQuarantined, s.chance(700):
			continue
		}
		kind, task := Again, ""
		for _, t := range s.p.tasks {
			if _, owned := s.b.byTask[t.id]; t.job == j.id && t.attempt == j.attempt().N && !owned {
				kind, task = Adopted, t.id
			}
		}
		if task != "" && s.chance(300) && s.p.byID[task].status != StatusRunning && s.p.byID[task].status != StatusPending {
			kind = Abandoned
		}
		events, err := s.b.Resolve(j.id, kind, task, s.core(), s.now.Add(s.wrong))
		if err != nil {
			continue
		}
		if kind == Again {
			s.again[j.id]++
		}
		s.hit("person: " + string(kind))
		if doubt {
			s.hit("person: settles a doubt")
		}
		for _, e := range events {
			s.record(e)
		}
	}
	if s.chance(100) {
		for _, e := range s.b.RetryFailed(s.core()) {
			if s.p.live[e.Job] == 0 {
				s.hit("person: retries failed jobs")
				s.again[e.Job]++
				s.record(e)
			}
		}
	}
}

// process is one life of the program: the driver loop until it ends or dies.
func (s *sim) process() (finished bool, err error) {
	s.record(Event{Kind: Opened, Run: &Run{ID: "run", Key: "k"}})
	s.deadline = time.Time{}
	for {
		if s.fault(s.mix.interrupt, "stop: interrupted") {
			s.b.Observe(Observation{Result: Interrupt})
		}
		s.b.Slept(s.slept)
		step, wake, ok := s.b.Next(s.core())
		if err := s.check(ok, wake); err != nil {
			return false, err
		}
		switch {
		case ok:
			if err := s.take(step); err != nil {
				return false, err
			}
			if s.dead {
				return false, nil
			}
		case wake.IsZero() && s.b.Outstanding() == 0:
			return s.end()
		default:
			s.recovers = false
			s.sleepUntilWork(wake)
		}
	}
}

// end is a run that ended on purpose.
func (s *sim) end() (finished bool, err error) {
	v := s.b.View()
	if v.Stop != StopNone && v.Stop != StopInterrupted {
		s.hit("stop: " + string(v.Stop))
	}
	s.record(Event{Kind: Closed, By: string(v.Stop)})
	if err := s.checkEnd(v); err != nil {
		return false, err
	}
	switch {
	case v.Left == 0:
		if v.Jobs[StateDone] == s.jobs {
			s.hit("all done")
		}
		if s.now.Sub(epoch) > 24*time.Hour {
			s.hit("more than 24 hours")
		}
		return v.Jobs[StateQuarantined] == 0 || s.calm(), nil
	case v.Stop == StopBudget || v.Stop == StopDeadline && s.calm():
		return true, nil
	}
	return false, nil
}

// record makes an event durable and folds it.
func (s *sim) record(e Event) {
	if e.At.IsZero() {
		e.At = s.core()
	}
	s.tell(string(e.Kind), e.Attempt, e.Job, e.Task, string(e.Class), e.By)
	s.count(e)
	if err := s.b.Apply(e); err != nil {
		panic(err) // the core made it
	}
	if s.store != nil {
		if err := s.store.Append(e); err != nil {
			panic(err) // nothing is wrong with this disk
		}
	}
	s.note(e)
}

// note keeps a durable event.
func (s *sim) note(e Event) {
	s.events = append(s.events, e)
	s.moved = true
	switch e.Kind {
	case Uploaded:
		s.keep(e)
	case Ended:
		s.distrust(e)
	case Intended:
		s.open, s.sent = e.Job, s.now
		s.p.price[e.Job] = s.b.byID[e.Job].plan.UnitPrice
	case Accepted, Refused, Absent, Adopted, Quarantined:
		if e.By != ByOperator || e.Kind == Quarantined {
			s.open = ""
		}
		if e.Task != "" {
			s.at[e.Task] = s.now
		}
	}
}

// take does what a driver does with a step, or dies on the way.
func (s *sim) take(step Step) error {
	crash, odds := -1, s.mix.crash
	if step.Record != nil {
		odds *= 5 // looks are many, and to die in one of them is dull
	}
	if s.fault(odds, "") {
		crash = s.rnd.IntN(3)
		if s.recovers {
			s.hit("crash: during recovery")
		}
		s.recovers = true
	}
	if e := step.Record; e != nil {
		if crash == 0 {
			s.hit("crash: before the record")
			if s.store != nil && s.chance(500) && s.judge(*e) == nil {
				s.hit("crash: in the middle of the record")
				s.torn = e
				s.store.Tear(*e)
			}
			s.die()
			return nil
		}
		if e.Kind == Intended && s.now.Before(s.diskAt) {
			s.hit("create: no room for the intent")
			s.b.Observe(Observation{Effect: *step.Effect, Result: DiskFull, Message: "no space left"})
			return nil
		}
		if err := s.judge(*e); err != nil {
			return err
		}
		s.record(*e)
	}
	if crash == 1 {
		if e := step.Effect; e != nil && e.Op == OpCreate {
			s.hit("crash: between intent and create")
		}
		s.die()
		return nil
	}
	if step.Effect == nil {
		return nil
	}
	if err := s.start(*step.Effect); err != nil {
		return err
	}
	if crash == 2 {
		s.hit("crash: after the effect")
		s.die()
	}
	return nil
}

func (s *sim) die() {
	if s.open != "" && s.b.lanes[0].unsettled.state == StateSubmitting {
		s.hit("crash: create under way")
	}
	s.tell("crash", 0)
	s.dead = true
}
