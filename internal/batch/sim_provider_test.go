package batch

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// provider is a model of the service with a meter of its own. It knows what is
// true; the batch only knows what it is told.
type provider struct {
	rnd   *rand.Rand
	now   time.Time
	model string
	life  time.Duration

	slots     int  // tasks that run at once
	reject    bool // refuse beyond the slots instead of queueing
	fromEnd   bool // ids live from completion instead of from submission
	forgets   bool // a task that died is UNKNOWN; else its URL is given, and refused
	spread    float64
	mean      time.Duration
	seq       int
	tasks     []*simTask
	byID      map[string]*simTask
	running   []*simTask
	pending   []*simTask
	price     map[string]decimal.Decimal // per second, by job
	live      map[string]int             // our live tasks, by job
	paid      map[string]int             // our succeeded tasks, by job
	cost      decimal.Decimal
	meter     int    // moves whenever cost does
	missed    string // the row that the last complete list left out
	flaps     map[string]int
	violation string
	runOf     map[string]time.Duration // run times fixed beforehand, by job
}

type simTask struct {
	attempt           int    // of the job, that made it
	id, job, key      string // job is empty for a stranger's task
	made, visible     time.Time
	scheduled, ended  time.Time
	run               time.Duration
	status            Status
	fails             bool
	class             Class
	usage, price      decimal.Decimal
	withoutUsage      bool
	reported, fetched bool
}

func newProvider(rnd *rand.Rand, now time.Time, life time.Duration) *provider {
	return &provider{rnd: rnd, now: now, model: "move", life: life, slots: 1, mean: 3 * time.Minute, spread: 0.3,
		byID: map[string]*simTask{}, price: map[string]decimal.Decimal{}, live: map[string]int{}, paid: map[string]int{}, flaps: map[string]int{}}
}

// advance lets tasks start and end up to now, in the order of time.
func (p *provider) advance(now time.Time) {
	for {
		p.start()
		var first *simTask
		for _, t := range p.running {
			if end := t.scheduled.Add(t.run); !end.After(now) && (first == nil || end.Before(first.scheduled.Add(first.run))) {
				first = t
			}
		}
		if first == nil {
			p.now = now
			return
		}
		p.now = first.scheduled.Add(first.run)
		p.finish(first)
	}
}

func (p *provider) start() {
	for len(p.running) < p.slots && len(p.pending) > 0 {
		t := p.pending[0]
		p.pending = p.pending[1:]
		t.status, t.scheduled = StatusRunning, p.now
		p.running = append(p.running, t)
	}
}

// startNow starts a task out of turn.
func (p *provider) startNow(t *simTask) {
	if t.status == StatusPending {
		p.pending = slices.DeleteFunc(p.pending, func(o *simTask) bool { return o == t })
		t.status, t.scheduled = StatusRunning, p.now
		p.running = append(p.running, t)
	}
}

func (p *provider) finish(t *simTask) {
	p.running = slices.DeleteFunc(p.running, func(o *simTask) bool { return o == t })
	t.ended, t.status = p.now, StatusSucceeded
	if t.fails {
		t.status = StatusFailed
	}
	p.leave(t)
}

// leave books a task of ours that is live no more.
func (p *provider) leave(t *simTask) {
	if t.job == "" {
		return
	}
	p.live[t.job]--
	if t.status == StatusSucceeded {
		p.paid[t.job]++
		p.cost = p.cost.Add(t.usage.Mul(t.price))
		p.meter++
	}
}

// create makes a task, for a job of ours or for a stranger.
func (p *provider) create(job, key string, lag time.Duration) *simTask {
	p.seq++
	t := &simTask{id: fmt.Sprintf("t%d", p.seq), job: job, key: key, made: p.now, visible: p.now.Add(lag), status: StatusPending, price: p.price[job]}
	factor := 1 + p.spread*(2*p.rnd.Float64()-1)
	t.run = max(time.Second, time.Duration(float64(p.mean)*factor).Truncate(time.Millisecond))
	if run, fixed := p.runOf[job]; fixed {
		t.run = run
	}
	t.usage = decimal.New(30+p.rnd.Int64N(30), -1) // 3.0 to 5.9 s: never above the hold of 0.6
	p.tasks = append(p.tasks, t)
	p.byID[t.id] = t
	p.pending = append(p.pending, t)
	if job != "" {
		if p.live[job]++; p.live[job] > 1 {
			p.violation = fmt.Sprintf("job %s has %d live tasks at the provider", job, p.live[job])
		}
	}
	p.start()
	return t
}

// full reports whether a provider in reject mode takes no more.
func (p *provider) full() bool { return p.reject && len(p.running)+len(p.pending) >= p.slots }

// dies is when the provider forgets a task; a task that did not end may live for
// ever.
func (p *provider) dies(t *simTask) time.Time {
	switch {
	case !p.fromEnd:
		return t.made.Add(p.life)
	case t.ended.IsZero():
		return distant
	}
	return t.ended.Add(p.life)
}

// expired reports whether the provider has forgotten a task.
func (p *provider) expired(t *simTask) bool { return p.now.After(p.dies(t)) }

// holds reports whether the provider still works on a task or gives its result.
func (p *provider) holds(id string) bool {
	t := p.byID[id]
	return t != nil && !p.expired(t) && t.status != StatusFailed && t.status != StatusCanceled
}

func (p *provider) cancel(id string) Result {
	t := p.byID[id]
	if t.status != StatusPending || p.expired(t) {
		return TooLate
	}
	p.pending = slices.DeleteFunc(p.pending, func(o *simTask) bool { return o == t })
	t.status, t.ended = StatusCanceled, p.now
	p.leave(t)
	return Canceled
}

// query answers what the service would say of a task.
func (p *provider) query(id string) Observation {
	t := p.byID[id]
	if t == nil || p.expired(t) {
		return Observation{Result: Looked, Status: StatusUnknown}
	}
	o := Observation{Result: Looked, Status: t.status}
	o.Times = Times{Submitted: t.made, Scheduled: t.scheduled, Ended: t.ended}
	switch t.status {
	case StatusSucceeded:
		o.Times.Expires = t.ended.Add(p.life)
		if !p.fromEnd {
			o.Times.Expires = t.made.Add(p.life)
		}
		if !t.withoutUsage {
			o.Usage = decimal.NewNullDecimal(t.usage)
		}
		t.reported = true
	case StatusFailed:
		o.Class, o.Code = t.class, "SimulatedFailure"
	}
	return o
}

// list answers a complete list, of all tasks or of those in one status, in which
// drift may hide one row; never the same one twice in a row, or no list could prove
// anything.
func (p *provider) list(only Status, drift bool) Observation {
	o := Observation{Result: Listed, Complete: true, Pages: 1}
	for _, t := range p.tasks {
		if !t.visible.After(p.now) && p.now.Sub(t.made) < p.life && (only == "" || only == t.status) {
			o.Rows = append(o.Rows, Row{Task: t.id, Model: p.model, Status: t.status, KeyID: t.key, Made: t.made})
		}
	}
	before := p.missed
	if only == "" {
		p.missed = ""
	}
	if drift && len(o.Rows) > 0 {
		i := p.rnd.IntN(len(o.Rows))
		switch task := o.Rows[i].Task; {
		case only != "":
			o.Rows = slices.Delete(o.Rows, i, i+1)
		case task != before:
			p.missed = task
			o.Rows = slices.Delete(o.Rows, i, i+1)
		}
	}
	o.Pages = max(1, (len(o.Rows)+99)/100)
	return o
}
