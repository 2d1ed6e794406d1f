package batch

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"
)

// The simulator: one thread, a clock of its own, a provider with every fault
// that a seed chose, and a driver that dies at any step. What must hold is
// checked after every step against the provider's meter.

var (
	seedFlag  = flag.Int64("seed", -1, "simulate this seed alone")
	seedsFlag = flag.Int("seeds", 2000, "simulate this many seeds")
	fromFlag  = flag.Int("from", 0, "begin with this seed")
)

func TestSimulate(t *testing.T) {
	if *seedFlag >= 0 {
		s := newSim(uint64(*seedFlag))
		if err := s.play(); err != nil {
			t.Fatalf("%v\n%s", err, s.story(60))
		}
		t.Logf("%d steps, %v simulated, hash %x, %v", s.steps, s.now.Sub(epoch), s.hash.Sum64(), s.reach)
		return
	}
	seeds := *seedsFlag
	if testing.Short() || raceEnabled {
		seeds = 100
	}
	var mu sync.Mutex
	reach, hours := map[string]int{}, time.Duration(0)
	t.Run("seeds", func(t *testing.T) {
		for part := range 2 {
			t.Run(fmt.Sprint(part), func(t *testing.T) {
				t.Parallel()
				for seed := *fromFlag + part; seed < *fromFlag+seeds; seed += 2 {
					s := newSim(uint64(seed))
					if err := s.play(); err != nil {
						t.Fatalf("go test ./internal/batch -run TestSimulate -seed=%d\n%v\n%s", seed, err, s.story(25))
					}
					mu.Lock()
					for k, n := range s.reach {
						reach[k] += min(n, 1)
					}
					hours += s.now.Sub(epoch)
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d seeds, %.0f virtual hours", seeds, hours.Hours())
	for _, k := range slices.Sorted(slices.Values(reachable)) {
		t.Logf("%6d seeds  %s", reach[k], k)
		if reach[k] == 0 && seeds >= 2000 && !t.Failed() {
			t.Errorf("no seed reaches: %s", k)
		}
	}
	for k := range reach {
		if !slices.Contains(reachable, k) {
			t.Errorf("%q is not in the table of reachable situations", k)
		}
	}
}

func TestSimulationIsDeterministic(t *testing.T) {
	for seed := range uint64(20) {
		a, b := newSim(seed), newSim(seed)
		if err := a.play(); err != nil {
			t.Fatal(err)
		}
		if err := b.play(); err != nil || a.hash.Sum64() != b.hash.Sum64() {
			t.Fatalf("two runs of seed %d differ: %x and %x, %v", seed, a.hash.Sum64(), b.hash.Sum64(), err)
		}
	}
}

// reachable are the rare situations that the seeds must meet between them.
var reachable = []string{
	"absent", "adopted", "quarantined: " + byShared, "quarantined: " + byAge, "quarantined: " + byKeyless,
	"create: request lost", "create: reply lost", "create: delivered late", "create: no room for the intent",
	"refused: input", "refused: config", "refused: throttle", "refused: burst", "refused: quota", "refused: retry", "refused: none", "refused: account", "refused: key",
	"refused: over the slots", "task: failed for good", "task: failed and retried", "task: no usage", "task: billed above hold",
	"look: unknown flap", "look: backwards", "look: failed", "list: incomplete", "list: row missed", "list: asked while a create is open",
	"crash: before the record", "crash: in the middle of the record", "crash: the cut record is there", "crash: between intent and create", "crash: after the effect", "crash: create under way", "crash: during recovery", "run: long pause",
	"stop: budget", "stop: account", "stop: key", "stop: setup", "stop: disk", "stop: interrupted",
	"withdrawn", "canceled and submitted again", "cancel: too late", "cancel: just started", "cancel: reply lost", "cancel: failed",
	"fetch: forbidden early", "fetch: failed", "fetch: disk full", "lost", "foreign", "ceiling",
	"person: adopted", "person: again", "person: abandoned", "person: retries failed jobs",
	"slots fall", "jam", "several running", "all done",
}

// mix is what can go wrong in one seed, each in permille of its occasions.
type mix struct {
	lostRequest, lostReply, late, refuse, input, config, quota int
	account, key                                               bool
	lag, drift, incomplete, lookFail, flap, backwards          int
	fail, noUsage, overrun                                     int
	forbidden, fetchFail, diskFull                             int
	crash, interrupt, outage, strangers                        int
	cancelFail, slotsFall, jam                                 bool
}

// Store is a journal as bytes on a disk that survives the process. It stands in
// for the list of events, so that simulated crashes meet the real journal.
type Store interface {
	Append(Event) error                   // durable on return
	Tear(Event)                           // the process dies somewhere inside Append
	Reopen(crashed bool) ([]Event, error) // what the next process reads
}

// NewStore makes the store of a simulated batch; nil simulates without one. The
// journal imports this package, so a test outside it fills this in.
var NewStore func(*rand.Rand) Store

type sim struct {
	rnd    *rand.Rand
	p      *provider
	b      *Batch
	mix    mix
	set    Settings
	lane   LaneSettings
	jobs   int
	now    time.Time
	events []Event
	queue  []happening // by time
	serial int

	run       int
	calmAt    time.Time // from here on nothing goes wrong any more
	outage    time.Time // the service is out until then
	keyDead   time.Time
	broke     time.Time // the account may not create until then
	diskAt    time.Time // the disk is full until then
	busy      map[string]Op
	again     map[string]int  // a person's resubmissions, by job
	waited    map[string]bool // jobs whose task waited, perhaps too long, for a person or for the program to run
	open      string          // job whose intent has no outcome in the journal
	store     Store           // the journal, as bytes
	torn      *Event          // its append was cut by a crash: it is durable, or it is not
	recovers  bool            // the process started after a crash and did not idle yet
	steps     int
	instant   time.Time
	atInstant int
	minute    time.Time
	inMinute  int
	dead      bool
	away      bool // a pause longer than the life of a task id
	alone     bool // no strangers at all
	reach     map[string]int
	calls     map[Op]int
	lengths   map[string]decimal.Decimal
	hash      interface {
		Write([]byte) (int, error)
		Sum64() uint64
	}
	log []string
}

// happening is something that the world does at a time. Answers die with the
// process that waits for them; what is on the wire does not.
type happening struct {
	at     time.Time
	serial int
	run    int // 0: happens whatever process lives
	do     func()
}

func newSim(seed uint64) *sim {
	rnd := rand.New(rand.NewPCG(seed, 42))
	s := &sim{rnd: rnd, now: epoch, set: testSettings(), lane: testLane(), busy: map[string]Op{},
		again: map[string]int{}, waited: map[string]bool{}, calls: map[Op]int{}, reach: map[string]int{}, hash: fnv.New64a()}
	s.p = newProvider(rnd, epoch, s.lane.TaskLife)
	if NewStore != nil && seed%16 == 0 { // the real journal is slow to simulate
		s.store = NewStore(rnd)
	}
	s.choose()
	return s
}

// choose draws a world: each fault is on in about half of the seeds.
func (s *sim) choose() {
	on := func(most int) int {
		if s.rnd.IntN(2) == 0 {
			return 0
		}
		return 1 + s.rnd.IntN(most)
	}
	flip := func(one int) bool { return s.rnd.IntN(one) == 0 }
	s.mix = mix{lostRequest: on(80), lostReply: on(80), late: on(60), refuse: on(150), input: on(60), quota: on(40),
		lag: on(1000), drift: on(300), incomplete: on(200), lookFail: on(200), flap: on(100), backwards: on(100),
		fail: on(150), noUsage: on(150), forbidden: on(200), fetchFail: on(200), diskFull: on(6),
		crash: on(30), outage: on(4), interrupt: on(3), account: flip(10), key: flip(20), cancelFail: flip(2), slotsFall: flip(6), jam: flip(15)}
	if flip(10) {
		s.mix.config = 5
	}
	if flip(20) {
		s.mix.overrun = 50
	}
	s.jobs = 1 + s.rnd.IntN(60)
	if flip(2) {
		s.jobs = 1 + s.rnd.IntN(8)
	}
	if s.mix.jam {
		s.jobs = 2 + s.rnd.IntN(4)
	}
	s.lane.Running, s.lane.Ahead = 1+s.rnd.IntN(5)*s.rnd.IntN(2), s.rnd.IntN(4)
	s.set.Tries, s.set.Fetches, s.set.Backlog = 1+s.rnd.IntN(3), 1+s.rnd.IntN(3), s.rnd.IntN(6)
	s.lane.Exclusive = []Exclusive{Shared, ExclusiveAll, ExclusiveAll, ExclusiveKey}[s.rnd.IntN(4)]
	if flip(3) {
		s.set.Cap = decimal.NewNullDecimal(decimal.New(int64(6+s.rnd.IntN(s.jobs*6)), -1))
	}
	s.p.slots = 1 + s.rnd.IntN(s.lane.Running)
	s.p.reject, s.p.fromEnd = flip(4), flip(4)
	s.p.mean = time.Duration(20+s.rnd.IntN(400)) * time.Second
	s.p.spread = float64(s.rnd.IntN(9)) / 10
	if s.lane.Exclusive != ExclusiveAll {
		s.mix.strangers = on(3)
	}
	s.calmAt = epoch.Add(time.Duration(1+s.rnd.IntN(30)) * time.Hour)
	if s.mix.jam {
		s.calmAt = s.calmAt.Add(30 * time.Hour)
	}
}

func (s *sim) chance(permille int) bool { return permille > 0 && s.rnd.IntN(1000) < permille }
func (s *sim) calm() bool               { return !s.now.Before(s.calmAt) }

// fault is a chance that the calm ends.
func (s *sim) fault(permille int, name string) bool {
	if s.calm() || !s.chance(permille) {
		return false
	}
	if name != "" {
		s.hit(name)
	}
	return true
}

func (s *sim) hit(name string) { s.reach[name]++ }

func (s *sim) tell(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	s.hash.Write([]byte(line))
	s.log = append(s.log, fmt.Sprintf("%12.3f  %s", s.now.Sub(epoch).Seconds(), line))
	if len(s.log) > 400 {
		s.log = append(s.log[:0], s.log[200:]...)
	}
}

func (s *sim) story(n int) string { return strings.Join(s.log[max(0, len(s.log)-n):], "\n") }

func (s *sim) after(d time.Duration, run int, do func()) {
	s.serial++
	h := happening{s.now.Add(d), s.serial, run, do}
	i, _ := slices.BinarySearchFunc(s.queue, h, func(a, b happening) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.serial - b.serial
	})
	s.queue = slices.Insert(s.queue, i, h)
}

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
		s.record(Event{Kind: Planned, Job: id, Plan: plan})
	}
	for s.run = 1; s.run < 400; s.run++ {
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
				s.away = true
			}
		}
		s.miss(pause)
		s.sleep(s.now.Add(pause))
		if err := s.restart(); err != nil {
			return err
		}
	}
	return fmt.Errorf("the batch did not come to rest in 400 runs: %+v", s.b.View())
}

// miss notes the jobs whose task may die while the program is not running: no
// program can fetch those, as a pause can follow an outage.
func (s *sim) miss(pause time.Duration) {
	for _, t := range s.p.tasks {
		dies := t.made.Add(s.lane.TaskLife)
		if t.job != "" && s.now.Before(dies) && !s.now.Add(pause).Before(dies) {
			s.waited[t.job] = true
		}
	}
}

// crowd lets strangers work before us, and while we work where that was not
// ruled out.
func (s *sim) crowd() {
	for range s.rnd.IntN(4) {
		if !s.alone {
			s.p.create("", "9", 0)
		}
	}
	var arrive func()
	arrive = func() {
		if s.calm() {
			return
		}
		for range s.mix.strangers * s.mix.strangers {
			key := "9"
			if s.chance(20) {
				key = "" // a list that names no key proves less
			}
			s.p.create("", key, s.lag())
		}
		s.after(time.Duration(1+s.rnd.IntN(3600))*time.Second, 0, arrive)
	}
	if s.mix.strangers > 0 {
		s.after(time.Minute, 0, arrive)
	}
	if s.mix.jam {
		s.jam()
	}
	if s.mix.slotsFall {
		s.after(time.Duration(s.rnd.IntN(3600))*time.Second, 0, func() {
			if s.p.slots > 1 {
				s.hit("slots fall")
				s.p.slots = 1
			}
		})
	}
}

// jam makes the provider start nothing for most of a day, so that queued tasks
// come near the end of their ids' life.
func (s *sim) jam() {
	slots := s.p.slots
	s.after(time.Duration(s.rnd.IntN(10))*time.Minute, 0, func() { slots, s.p.slots = s.p.slots, 0 })
	s.after(time.Duration(17*60+s.rnd.IntN(6*60))*time.Minute, 0, func() { s.hit("jam"); s.p.slots = slots })
}

func (s *sim) lag() time.Duration {
	if s.calm() || !s.chance(s.mix.lag) {
		return 0
	}
	return time.Duration(s.rnd.Int64N(int64(s.lane.Settle) / 3))
}

// restart replays the journal into a new process.
func (s *sim) restart() error {
	before := durable(s.b)
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
		if d := cmp.Diff(before, durable(s.b)); d != "" {
			return fmt.Errorf("the replayed batch differs (-live +replayed):\n%s", d)
		}
	}
	s.busy, s.torn = map[string]Op{}, nil
	s.dead = false
	s.person()
	return nil
}

// reread reads the journal back after the process died. It must hold exactly what
// was made durable; only a record whose append was cut may be there or not.
func (s *sim) reread() error {
	if s.store == nil {
		return nil
	}
	got, err := s.store.Reopen(s.dead)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	want := s.events
	if s.torn != nil && len(got) == len(want)+1 {
		s.hit("crash: the cut record is there")
		want = append(want, *s.torn)
		s.note(*s.torn)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		return fmt.Errorf("the journal differs (-written +read):\n%s", d)
	}
	return nil
}

// person settles quarantines and retries failures, now and then. It knows the
// truth, as a person who looks at the provider's console would.
func (s *sim) person() {
	for _, j := range s.b.jobs {
		if j.state != StateQuarantined || s.chance(700) {
			continue
		}
		kind, task := Again, ""
		for _, t := range s.p.tasks {
			if _, owned := s.b.byTask[t.id]; t.job == j.id && !owned {
				kind, task = Adopted, t.id
			}
		}
		switch {
		case task != "" && s.chance(300) && s.p.byID[task].status != StatusRunning && s.p.byID[task].status != StatusPending:
			kind = Abandoned
		case kind == Adopted:
			s.waited[j.id] = true
		case kind == Again:
			s.again[j.id]++
		}
		e, err := s.b.Resolve(j.id, kind, task, s.now)
		if err != nil {
			continue
		}
		s.hit("person: " + string(kind))
		s.record(e)
	}
	if s.chance(100) {
		for _, e := range s.b.RetryFailed(s.now) {
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
	s.record(Event{Kind: Opened, Run: &Run{ID: fmt.Sprint(s.run), Key: "k"}})
	for {
		if s.fault(s.mix.interrupt, "stop: interrupted") {
			s.b.Observe(Observation{Result: Interrupt})
		}
		step, wake, ok := s.b.Next(s.now)
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
	if v.Stop != StopNone {
		s.hit("stop: " + string(v.Stop))
	}
	s.record(Event{Kind: Closed, By: string(v.Stop)})
	for id, n := range s.p.paid {
		if n > 1+s.again[id] {
			return false, fmt.Errorf("job %s was paid %d times, and a person asked for it %d times", id, n, s.again[id])
		}
	}
	switch {
	case v.Left == 0:
		if v.Jobs[StateDone] == s.jobs {
			s.hit("all done")
		}
		return v.Jobs[StateQuarantined] == 0 || s.calm(), nil
	case v.Stop == StopNone:
		return false, fmt.Errorf("%d jobs are left, and nothing will ever wake the batch: %+v", v.Left, v)
	case v.Stop == StopBudget:
		return true, nil
	case s.calm() && s.now.Sub(s.calmAt) > 60*time.Hour+time.Duration(s.jobs)*time.Hour:
		return false, fmt.Errorf("%v after the last fault, %d jobs are still moving", s.now.Sub(s.calmAt), v.Left)
	}
	return false, nil
}

// record makes an event durable and folds it.
func (s *sim) record(e Event) {
	if e.At.IsZero() {
		e.At = s.now
	}
	s.tell("%s %s %d %s %s %s", e.Kind, e.Job, e.Attempt, e.Task, e.Class, e.By)
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
	switch e.Kind {
	case Intended:
		s.open = e.Job
	case Accepted, Refused, Absent, Adopted, Quarantined:
		if e.By != ByOperator {
			s.open = ""
		}
	}
}

// take does what a driver does with a step, or dies on the way.
func (s *sim) take(step Step) error {
	crash := -1
	if !s.calm() && s.chance(s.mix.crash) {
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
	if s.open != "" && s.b.lanes[0].open.state == StateSubmitting {
		s.hit("crash: create under way")
	}
	s.tell("crash")
	s.dead = true
}

// judge checks an event against the truth before it becomes durable.
func (s *sim) judge(e Event) error {
	switch e.Kind {
	case Intended:
		if s.open != "" {
			return fmt.Errorf("an intent of %s while that of %s has no outcome", e.Job, s.open)
		}
		if s.b.Lane(0).Ceiling > 0 {
			s.hit("ceiling")
		}
	case Accepted, Adopted:
		if t := s.p.byID[e.Task]; t == nil || t.job != e.Job {
			return fmt.Errorf("%s takes task %s, which belongs to %+v", e.Job, e.Task, t)
		}
		if e.Kind == Adopted {
			s.hit("adopted")
		}
	case Absent:
		s.hit("absent")
	case Quarantined:
		s.hit("quarantined: " + e.By)
	case Foreign:
		s.hit("foreign")
		for _, id := range e.Tasks {
			if t := s.p.byID[id]; t.job != "" {
				return fmt.Errorf("task %s of %s is taken for a stranger's", id, t.job)
			}
		}
		if e.Mid {
			return fmt.Errorf("an intruder %v where there was none", e.Tasks)
		}
	case Lost:
		s.hit("lost")
		if s.p.holds(e.Task) {
			return fmt.Errorf("%s gives up task %s, which the provider still has", e.Job, e.Task)
		}
		if !s.away && !s.waited[e.Job] {
			return fmt.Errorf("%s lost task %+v, although the program was never away for long", e.Job, s.p.byID[e.Task])
		}
	case Withdrawn:
		s.hit("withdrawn")
	case Again:
		if e.By == byWithdrawal {
			s.hit("canceled and submitted again")
		} else {
			s.hit("task: failed and retried")
		}
	case Ended:
		t := s.p.byID[e.Task]
		if t.status != e.End.Status {
			return fmt.Errorf("%s records %s for task %s, which is %s", e.Job, e.End.Status, e.Task, t.status)
		}
		if t.status == StatusFailed && e.Class == "" {
			s.hit("task: failed for good")
		}
	}
	return nil
}

// check holds what must be true at every instant.
func (s *sim) check(ok bool, wake time.Time) error {
	s.steps++
	if !s.instant.Equal(s.now) {
		s.instant, s.atInstant = s.now, 0
	}
	if s.atInstant++; s.atInstant > 100+4*s.jobs {
		return fmt.Errorf("%d steps at one instant: a hot loop", s.atInstant)
	}
	if !ok && !wake.IsZero() && !wake.After(s.now) {
		return fmt.Errorf("the core wants to be asked again at once")
	}
	s.p.advance(s.now)
	if s.p.violation != "" {
		return fmt.Errorf("%s", s.p.violation)
	}
	m := s.b.money
	if s.mix.overrun == 0 {
		most := m.spent.Add(m.held).Add(m.possible)
		if s.set.Cap.Valid && most.GreaterThan(s.set.Cap.Decimal) {
			return fmt.Errorf("%s may be spent, above the cap of %s", most, s.set.Cap.Decimal)
		}
		if s.p.cost.GreaterThan(most) {
			return fmt.Errorf("the meter says %s, above confirmed, held and possible %s", s.p.cost, most)
		}
	}
	if m.spent.GreaterThan(s.p.cost) {
		return fmt.Errorf("%s confirmed, but the meter says %s", m.spent, s.p.cost)
	}
	if s.now.Sub(s.calmAt) > 90*time.Hour+3*time.Duration(s.jobs)*time.Hour {
		return fmt.Errorf("%v after the last fault the batch still runs: %+v", s.now.Sub(s.calmAt), s.b.View())
	}
	return nil
}

// sleep moves the world to a time.
func (s *sim) sleep(until time.Time) {
	for len(s.queue) > 0 && !s.queue[0].at.After(until) {
		h := s.queue[0]
		s.queue = s.queue[1:]
		s.now = h.at
		s.p.advance(s.now)
		if h.run == 0 || h.run == s.run && !s.dead {
			h.do()
		}
	}
	s.now = until
	s.p.advance(s.now)
}

// sleepUntilWork waits as a driver does: for an answer or for the wake time.
func (s *sim) sleepUntilWork(wake time.Time) {
	until := wake
	for _, h := range s.queue {
		if h.run == s.run {
			if until.IsZero() || h.at.Before(until) {
				until = h.at
			}
			break
		}
	}
	s.weather()
	s.sleep(until)
}

// weather starts outages, full disks and trouble with the account.
func (s *sim) weather() {
	if s.calm() {
		s.outage, s.keyDead, s.broke, s.diskAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		return
	}
	span := func(most time.Duration) time.Time { return s.now.Add(time.Duration(s.rnd.Int64N(int64(most)))) }
	if s.chance(s.mix.outage) && s.outage.Before(s.now) {
		s.outage = span(4 * time.Hour)
	}
	if s.chance(s.mix.diskFull) && s.diskAt.Before(s.now) {
		s.diskAt = span(15 * time.Minute)
	}
	if s.mix.account && s.chance(4) {
		s.broke = span(time.Hour)
	}
	if s.mix.key && s.chance(2) {
		s.keyDead = span(time.Hour)
	}
}
