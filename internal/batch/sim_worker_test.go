package batch

import (
	"cmp"
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// The workers of the simulator: each starts an effect, has it reach the provider
// after a while, or not, and brings the answer back, or not.

func (s *sim) start(e Effect) error {
	s.tell("  ->", 0, string(e.Op), e.Job, e.Task)
	if err := s.mayStart(e); err != nil {
		return err
	}
	there := time.Duration(10+s.rnd.IntN(200)) * time.Millisecond
	back := there + time.Duration(10+s.rnd.IntN(200))*time.Millisecond
	if e.Op == OpCreate {
		s.startCreate(e, there, back)
		return nil
	}
	if (e.Op == OpFetch || e.Op == OpUpload) && !s.alone {
		back += time.Duration(s.rnd.IntN(20)) * time.Second
	}
	s.after(back, s.run, func() { s.answer(e, s.ask(e)) })
	return nil
}

// mayStart holds the rules of every effect: one at a time for a task, no create
// without its durable intent, no storm of calls.
func (s *sim) mayStart(e Effect) error {
	key := e.subject()
	if op, taken := s.busy[key]; taken {
		return fmt.Errorf("%s of %q while a %s of it is under way", e.Op, key, op)
	}
	s.busy[key] = e.Op
	s.calls[e.Op]++
	s.call(e, s.now.Sub(epoch), s.b.lanes[0].pages, s.b.lanes[0].listPoll.pages)
	if last := s.events[len(s.events)-1]; e.Op == OpCreate && (last.Kind != Intended || last.Job != e.Job || last.Attempt != e.Attempt) {
		return fmt.Errorf("a create of %s without its durable intent", e.Job)
	}
	switch e.Op {
	case OpCreate:
		if err := s.mayUse(e); err != nil {
			return err
		}
	case OpUpload:
		if err := s.mayUpload(e); err != nil {
			return err
		}
	}
	if e.Op == OpList && s.open != "" && s.b.lanes[0].unsettled.state == StateSubmitting {
		s.hit("list: asked while a create is open")
	}
	if e.Op == OpList && e.Status != "" {
		s.hit("looks by list")
	}
	if s.now.Sub(s.minute) >= time.Minute {
		s.minute, s.inMinute = s.now, 0
	}
	if s.inMinute++; s.inMinute > 60+60*s.lane.Running {
		return fmt.Errorf("%d calls within a minute", s.inMinute)
	}
	return nil
}

// subject is what only one effect at a time may be about.
func (e Effect) subject() string { return cmp.Or(e.Task, e.Source, string(e.Op)) }

func (s *sim) answer(e Effect, o Observation) {
	delete(s.busy, e.subject())
	o.Effect = e
	s.tell("  <-", len(o.Rows), string(e.Op), e.Task, string(o.Result), string(o.Status)+string(o.Class))
	s.b.Observe(o)
	if s.chance(20) {
		s.b.Observe(o) // some transports say everything twice
	}
}

// startCreate decides the fate of a create on its way there and back.
func (s *sim) startCreate(e Effect, there, back time.Duration) {
	const patience = 30 * time.Second
	unknown := func() { s.answer(e, Observation{Result: Unknown, Message: "lost"}) }
	arrive := func() Observation { return s.serve(e) }
	switch {
	case s.fault(s.mix.lostRequest, "create: request lost"):
		s.after(patience, s.run, unknown)
	case s.fault(s.mix.late, "create: delivered late"):
		s.after(patience+time.Duration(s.rnd.Int64N(int64(s.lane.Settle)/2)), 0, func() { arrive() })
		s.after(patience, s.run, unknown)
	case s.fault(s.mix.lostReply, "create: reply lost"):
		s.after(there, 0, func() { arrive() })
		s.after(patience, s.run, unknown)
	default:
		var o Observation
		s.after(there, 0, func() { o = arrive() }) // on the wire: a crash does not stop it
		s.after(back, s.run, func() { s.answer(e, o) })
	}
}

// serve is the provider's side of a create.
func (s *sim) serve(e Effect) Observation {
	refuse := func(c Class) Observation {
		s.hit("refused: " + string(c))
		return Observation{Result: Rejected, Class: c, Code: "Refused." + string(c), RetryAfter: time.Duration(s.rnd.IntN(2)*s.rnd.IntN(90)) * time.Second}
	}
	switch {
	case s.now.Before(s.keyDead):
		return refuse(ClassKey)
	case s.now.Before(s.outage):
		if s.rnd.IntN(2) == 0 {
			return Observation{Result: Unknown, Message: "503"}
		}
		return refuse(ClassRetry) // no connection
	case s.now.Before(s.broke):
		return refuse(ClassAccount)
	case s.now.Before(s.misfit):
		return refuse(ClassConfig)
	case s.p.full():
		s.hit("refused: over the slots")
		return refuse(ClassThrottle)
	case s.calm():
	case s.chance(s.mix.refuse):
		return refuse([]Class{ClassThrottle, ClassThrottle, ClassBurst, ClassRetry, "none"}[s.rnd.IntN(5)])
	case s.chance(s.mix.quota):
		return refuse(ClassQuota)
	case s.chance(s.mix.input):
		return refuse(ClassInput)
	case s.chance(s.mix.config):
		return refuse(ClassConfig)
	}
	t := s.p.create(e.Job, "1", s.lag())
	t.attempt = e.Attempt
	if s.p.slots > 1 && len(s.p.running) > 1 {
		s.hit("several running")
	}
	if s.fault(s.mix.fail, "task: fails") {
		t.fails, t.class = true, []Class{ClassRetry, ClassInput, "", ClassThrottle}[s.rnd.IntN(4)]
	}
	t.withoutUsage = s.fault(s.mix.noUsage, "task: no usage")
	if s.fault(s.mix.overrun, "task: billed above hold") {
		t.usage = decimal.New(20, 0)
	}
	return Observation{Result: Created, Task: t.id, Request: "r-" + t.id}
}

// ask is the provider's side, and the network's, of everything but creates.
func (s *sim) ask(e Effect) Observation {
	wish := time.Duration(s.rnd.IntN(2)*s.rnd.IntN(60)) * time.Second
	switch {
	case s.now.Before(s.keyDead):
		return Observation{Result: Failed, Class: ClassKey, Code: "InvalidApiKey"}
	case s.now.Before(s.outage):
		return Observation{Result: Failed, Class: ClassRetry}
	case e.Op != OpFetch && e.Op != OpUpload && s.fault(s.mix.lookFail, "look: failed"):
		return Observation{Result: Failed, Class: []Class{ClassRetry, ClassThrottle, "none"}[s.rnd.IntN(3)], RetryAfter: wish}
	}
	switch e.Op {
	case OpList:
		return s.askList(e)
	case OpQuery:
		return s.askQuery(e)
	case OpCancel:
		return s.askCancel(e)
	case OpUpload:
		return s.askUpload(e)
	}
	return s.askFetch(e)
}

func (s *sim) askList(e Effect) Observation {
	if s.fault(s.mix.incomplete, "list: incomplete") {
		return Observation{Result: Listed, Rows: []Row{}, Complete: false, Pages: 1}
	}
	o := s.p.list(e.Status, !s.calm() && s.chance(s.mix.drift))
	if !s.mix.untold {
		o.Clock = s.now.Truncate(time.Second)
	}
	if s.p.missed != "" {
		s.hit("list: row missed")
	}
	if s.hides() {
		o.Rows = nil
	}
	return o
}

// hides reports whether lists show nothing, whole as they look. That can be told from
// an empty account only by a task that must be there, so there is one: made not long
// before the open doubt, by the provider's clock, or shown before it.
func (s *sim) hides() bool {
	l := s.b.lanes[0]
	told := l.unsettled != nil && l.before.task != "" && !l.before.clock.IsZero() && !l.clock.IsZero() && l.clock.Sub(l.before.clock) < 11*time.Hour
	told = told || l.unsettled != nil && l.shown != nil && !s.mix.untold && s.now.Sub(l.shown.Made) < 20*time.Hour
	if told && s.fault(s.mix.hide, "list: shows nothing") {
		s.hidden = s.now.Add(time.Duration(1+s.rnd.IntN(40)) * time.Minute)
	}
	return told && !s.calm() && s.now.Before(s.hidden)
}

func (s *sim) askQuery(e Effect) Observation {
	if s.p.flaps[e.Task] < 2 && s.fault(s.mix.flap, "look: unknown flap") {
		s.p.flaps[e.Task]++
		return Observation{Result: Looked, Status: StatusUnknown}
	}
	if s.poison == "" && s.fault(s.mix.poison, "") {
		s.poison, s.secret = e.Task, s.now.Add(time.Duration(1+s.rnd.IntN(60))*time.Minute)
	}
	if e.Task == s.poison && s.now.Before(s.secret) && !s.calm() {
		s.hit("look: refused for this task alone")
		return Observation{Result: Failed, Class: []Class{ClassConfig, ClassAccount, ClassInput}[s.serial%3], Code: "SimulatedRefusal"}
	}
	o := s.p.query(e.Task)
	if o.Status != StatusUnknown {
		s.p.flaps[e.Task] = 0
	}
	if o.Status != StatusPending && o.Status != StatusUnknown && s.fault(s.mix.backwards, "look: backwards") {
		return Observation{Result: Looked, Status: []Status{StatusPending, StatusRunning, "SUSPENDED"}[s.rnd.IntN(3)]}
	}
	return o
}

func (s *sim) askCancel(e Effect) Observation {
	if s.mix.cancelFail && s.fault(350, "cancel: failed") {
		return Observation{Result: Failed, Class: ClassRetry}
	}
	if s.mix.cancelFail && s.fault(350, "cancel: just started") {
		s.p.startNow(s.p.byID[e.Task])
	}
	result := s.p.cancel(e.Task)
	if result == TooLate {
		s.hit("cancel: too late")
	}
	if s.mix.cancelFail && s.fault(350, "cancel: reply lost") {
		return Observation{Result: Failed, Class: ClassRetry}
	}
	return Observation{Result: result}
}

func (s *sim) askFetch(e Effect) Observation {
	t := s.p.byID[e.Task]
	switch {
	case s.p.expired(t) && s.p.forgets:
		return Observation{Result: Forbidden, Code: CodeUnknownTask}
	case s.p.expired(t):
		return Observation{Result: Forbidden, Expires: s.p.dies(t)}
	case s.now.Before(s.diskAt):
		s.hit("fetch: disk full")
		return Observation{Result: DiskFull, Message: "no space left"}
	case (!s.mix.clock || s.p.flaps[e.Task] < 1) && s.fault(s.mix.forbidden, "fetch: forbidden early"):
		s.p.flaps[e.Task]++ // to tell early from late takes a clock that is right
		return []Observation{{Result: Forbidden}, {Result: Forbidden, Expires: s.p.dies(t)}, {Result: Forbidden, Code: CodeUnknownTask}}[s.rnd.IntN(3)]
	case s.fault(s.mix.fetchFail, "fetch: failed"):
		return Observation{Result: Failed, Class: ClassRetry}
	}
	t.fetched = true
	return Observation{Result: Fetched, Artifact: &Artifact{Path: e.Job + ".mp4", Bytes: 1}}
}
