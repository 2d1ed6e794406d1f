package batch

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// mix is what can go wrong in one seed, each in permille of its occasions.
type mix struct {
	lostRequest, lostReply, late, refuse, input, config, quota int
	account, key, setup                                        bool
	lag, drift, incomplete, lookFail, flap, backwards          int
	fail, noUsage, overrun                                     int
	forbidden, fetchFail, diskFull                             int
	crash, interrupt, outage, strangers                        int
	cancelFail, slotsFall, jam                                 bool
	uploadFail, changed                                        int
	clock, untold                                              bool
	hide, poison                                               int
}

// sim is one world, and the program in it.
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

	run     int
	calmAt  time.Time // from here on nothing goes wrong any more
	outage  time.Time // the service is out until then
	keyDead time.Time
	broke   time.Time // the account may not create until then
	misfit  time.Time // the provider refuses a setting until then
	hidden  time.Time // lists show nothing until then
	poison  string    // the one task that the provider will not tell of
	secret  time.Time // until then
	diskAt  time.Time // the disk is full until then
	honest  bool      // nothing goes wrong at all, and nobody else is there
	alone   bool      // no strangers, and downloads take no time
	lengths map[string]decimal.Decimal

	// Three clocks: now is the truth and the provider's; the wall clock may be wrong;
	// core time starts at the wall clock and stands still while the machine sleeps.
	wrong time.Duration // wall clock - now
	ahead time.Duration // core time - now
	slept time.Duration // how far core time lags behind the wall clock

	bucket // inputs that were uploaded

	busy     map[string]Op
	open     string // job whose intent has no outcome in the journal
	store    Store  // the journal, as bytes
	torn     *Event // its append was cut by a crash: it is durable, or it is not
	recovers bool   // the process started after a crash and did not idle yet
	dead     bool
	calls    map[Op]int

	oracle
	diary
	trace
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
	s := &sim{rnd: rnd, now: epoch, set: testSettings(), lane: testLane(), busy: map[string]Op{}, calls: map[Op]int{},
		oracle: oracle{again: map[string]int{}, at: map[string]time.Time{}}, bucket: newBucket(), diary: diary{reach: map[string]int{}, hash: fnvBasis}}
	s.p = newProvider(rnd, epoch, s.lane.TaskLife)
	if NewStore != nil && seed%storeEvery == 0 {
		s.store = NewStore(rnd)
	}
	s.choose()
	return s
}

// choose draws a world: each fault is on in about half of the seeds.
func (s *sim) choose() {
	flip := func(one int) bool { return s.rnd.IntN(one) == 0 }
	s.jobs = 1 + s.rnd.IntN(70)
	switch {
	case flip(6):
		s.jobs = 1 + s.rnd.IntN(8)
	case flip(8):
		s.jobs = 1 + s.rnd.IntN(200)
	}
	s.lane.Running, s.lane.Ahead = 1+s.rnd.IntN(5)*s.rnd.IntN(2), s.rnd.IntN(4)
	if flip(16) {
		s.lane.Running = 11 + s.rnd.IntN(20) // so many are looked at by lists
	}
	s.set.Tries, s.set.Fetches, s.set.Backlog = 1+s.rnd.IntN(3), 1+s.rnd.IntN(3), s.rnd.IntN(6)
	s.lane.Exclusive = []Exclusive{Shared, ExclusiveAll, ExclusiveAll, ExclusiveKey}[s.rnd.IntN(4)]
	if flip(4) {
		s.set.Cap = decimal.NewNullDecimal(decimal.New(int64(6+s.rnd.IntN(s.jobs*6)), -1))
	}
	s.p.slots = 1 + s.rnd.IntN(s.lane.Running)
	s.p.reject, s.p.fromEnd, s.p.forgets = flip(4), flip(4), flip(2)
	s.p.mean = time.Duration(20+s.rnd.IntN(400)) * time.Second
	s.p.spread = float64(s.rnd.IntN(9)) / 10
	if flip(3) {
		s.chooseInputs(flip)
	}
	if s.honest = flip(8); s.honest {
		s.alone, s.calmAt, s.set.Cap = true, epoch, decimal.NullDecimal{}
		return
	}
	s.chooseFaults(flip)
}

func (s *sim) chooseFaults(flip func(int) bool) {
	on := func(most int) int {
		if s.rnd.IntN(2) == 0 {
			return 0
		}
		return 1 + s.rnd.IntN(most)
	}
	s.mix = mix{lostRequest: on(80), lostReply: on(80), late: on(60), refuse: on(150), input: on(60), quota: on(40),
		lag: on(1000), drift: on(300), incomplete: on(200), lookFail: on(200), flap: on(100), backwards: on(100),
		fail: on(150), noUsage: on(150), forbidden: on(200), fetchFail: on(200), diskFull: on(6),
		uploadFail: on(250), changed: on(20), clock: flip(8), untold: flip(4),
		crash: on(15), outage: on(4), interrupt: on(3), account: flip(10), key: flip(20), setup: flip(20), cancelFail: flip(2), slotsFall: flip(6), jam: flip(12)}
	s.mix.hide, s.mix.poison = on(60), on(30)
	if s.jobs > 40 { // as many processes as in a smaller world, each of them longer
		s.mix.crash, s.mix.interrupt = (s.mix.crash*40+s.jobs-1)/s.jobs, (s.mix.interrupt*40+s.jobs-1)/s.jobs
	}
	if flip(10) {
		s.mix.config = 5
	}
	if flip(12) {
		s.set.Deadline = epoch.Add(time.Duration(1+s.rnd.IntN(24*60)) * time.Minute)
	}
	if flip(20) {
		s.mix.overrun = 50
	}
	if s.mix.jam {
		s.jobs = 2 + s.rnd.IntN(4)
	}
	if s.lane.Exclusive != ExclusiveAll {
		s.mix.strangers = on(3)
	}
	s.calmAt = epoch.Add(time.Duration(1+s.rnd.IntN(48)) * time.Hour)
	if s.mix.jam {
		s.calmAt = s.calmAt.Add(24 * time.Hour)
	}
}

func (s *sim) chance(permille int) bool { return permille > 0 && s.rnd.IntN(1000) < permille }
func (s *sim) calm() bool               { return !s.now.Before(s.calmAt) }

// fault is a chance that the calm ends.
func (s *sim) fault(permille int, name string) bool {
	if permille == 0 || s.calm() || !s.chance(permille) {
		return false
	}
	if name != "" {
		s.hit(name)
	}
	return true
}

func (s *sim) after(d time.Duration, run int, do func()) {
	s.serial++
	h := happening{s.now.Add(d), s.serial, run, do}
	i := len(s.queue)
	for i > 0 && s.queue[i-1].at.After(h.at) {
		i--
	}
	s.queue = slices.Insert(s.queue, i, h)
}

// core is core time.
func (s *sim) core() time.Time { return s.now.Add(s.ahead) }

// setClock starts the clock of a new process, as the local runner does. It may be
// wrong by days.
func (s *sim) setClock() {
	if s.mix.clock && !s.calm() && s.chance(200) {
		s.hit("clock: jumps between runs")
		s.jumped = true
		s.wrong = time.Duration(s.rnd.Int64N(int64(time.Minute)) - int64(30*time.Second))
		switch s.rnd.IntN(4) {
		case 0:
			s.wrong *= 120 // up to an hour
		case 1:
			s.wrong *= 3000 // up to a day
			if !s.mix.untold {
				s.wrong *= 4 // the provider's own clock tells
			}
		}
	}
	wall := s.now.Add(s.wrong)
	s.ahead, s.slept = later(wall, s.b.Last()).Sub(s.now), 0
	if s.b.Last().Sub(wall) > time.Minute {
		s.hit("clock: behind the journal")
		s.slept = 100 * 365 * 24 * time.Hour // nobody knows how much time has passed
	}
}

// suspend lets the machine sleep: answers come when it is awake again, and its
// clocks disagree.
func (s *sim) suspend() {
	if !s.mix.clock || s.calm() || !s.chance(3) {
		return
	}
	s.hit("machine sleeps")
	d := time.Duration(1 + s.rnd.Int64N(int64(time.Hour)))
	if s.chance(200) {
		d *= 30
	}
	var mine []happening
	s.queue = slices.DeleteFunc(s.queue, func(h happening) bool {
		if h.run == s.run {
			mine = append(mine, h)
		}
		return h.run == s.run
	})
	s.hinder(s.now, s.now.Add(d))
	s.sleep(s.now.Add(d))
	s.ahead -= d
	s.slept += d
	for _, h := range mine {
		s.after(h.at.Sub(s.now.Add(-d)), h.run, h.do)
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
	if s.mix.lag == 0 || s.calm() || !s.chance(s.mix.lag) {
		return 0
	}
	s.hit("list: late row")
	return time.Duration(s.rnd.Int64N(int64(s.lane.Settle) / 3))
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
	s.suspend()
	until := wake
	if !wake.IsZero() {
		until = wake.Add(-s.ahead)
	}
	for i := range s.queue {
		if h := &s.queue[i]; h.run == s.run {
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
		return
	}
	begin := func(end *time.Time, permille int, name string, most time.Duration) {
		if permille == 0 || !s.chance(permille) || s.now.Before(*end) {
			return
		}
		s.hit(name)
		*end = s.now.Add(time.Duration(s.rnd.Int64N(int64(most))))
		if end.After(s.calmAt) {
			*end = s.calmAt
		}
		if end != &s.broke && end != &s.misfit {
			s.hinder(s.now, *end)
		}
	}
	odds := func(on bool, permille int) int {
		if on {
			return permille
		}
		return 0
	}
	begin(&s.outage, s.mix.outage, "outage", 4*time.Hour)
	begin(&s.diskAt, s.mix.diskFull, "full disk", 15*time.Minute)
	begin(&s.broke, odds(s.mix.account, 4), "account in arrears", time.Hour)
	begin(&s.misfit, odds(s.mix.setup, 4), "setting refused", time.Hour)
	begin(&s.keyDead, odds(s.mix.key, 2), "key refused", time.Hour)
}
