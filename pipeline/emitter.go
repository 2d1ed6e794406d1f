package pipeline

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// emitter turns what happens into events for the caller, one at a time. Records
// come from the loop, which owns the core; troubles come from workers and carry
// the progress of the newest record.
type emitter struct {
	core  *batch.Batch
	cfg   Config
	cap   decimal.NullDecimal
	now   func() time.Time        // core time
	input func(sum string) string // what the manifest calls a local file

	etaSpread etaSpread // of the loop
	missed    int       // lists that were told of, by the loop

	mu          sync.Mutex // serialises OnEvent, guards what follows
	progress    Progress   // but for its downloads
	downloads   []*Download
	downloadsAt time.Time // when downloads were told last
}

// fetchingGap is the least time between two events that only tell of downloads.
const fetchingGap = 500 * time.Millisecond

func newEmitter(core *batch.Batch, cfg Config, limit decimal.NullDecimal, now func() time.Time) *emitter {
	return &emitter{core: core, cfg: cfg, cap: limit, now: now, etaSpread: newETASpread(core)}
}

func (t *emitter) send(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.emit(e)
}

// emit hands an event over, with the progress of the moment. The lock is held.
func (t *emitter) emit(e Event) {
	e.Progress = t.progress
	for _, d := range t.downloads {
		e.Progress.Fetching = append(e.Progress.Fetching, *d)
	}
	t.cfg.OnEvent(e)
}

// fetching takes up a download. Its worker calls report as bytes come, and end
// when it is over, however that went.
func (t *emitter) fetching(job string) (report func(done, total int64), end func()) {
	d := &Download{Job: job}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.downloads = append(t.downloads, d)
	report = func(done, total int64) {
		t.mu.Lock()
		defer t.mu.Unlock()
		d.Bytes, d.Total = done, total
		if time.Since(t.downloadsAt) >= fetchingGap {
			t.downloadsAt = time.Now()
			t.emit(Event{Time: t.now(), Kind: EventFetching})
		}
	}
	end = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.downloads = slices.DeleteFunc(t.downloads, func(o *Download) bool { return o == d })
	}
	return report, end
}

// misses tells of lists that do not show what must be there, each once.
func (t *emitter) misses() {
	if n := t.core.Lane(0).Misses; n > t.missed {
		t.missed = n
		t.trouble("list", "", "the list of tasks misses one of this batch; nothing is decided by it")
	}
}

// trouble tells of a call that went wrong. The message is free of secrets.
func (t *emitter) trouble(op, job, message string) {
	t.send(Event{Time: t.now(), Kind: EventTrouble, Job: job, By: op, Message: message})
}

func (t *emitter) started(open batch.Event, w *workers) {
	t.update(open.At)
	m := w.plan.Manifest
	t.send(Event{Time: open.At, Kind: EventStarted, Message: m.Model + " in " + m.Lane.Region + " at " + open.Run.Endpoint + ", key " + open.Run.Key})
}

func (t *emitter) finished(at time.Time, err error) {
	t.update(at)
	e := Event{Time: at, Kind: EventFinished}
	if err != nil {
		e.Message = err.Error()
	}
	t.send(e)
}

// recorded tells of a record that is durable.
func (t *emitter) recorded(r batch.Event) {
	if r.End != nil {
		if job, ok := t.core.Job(r.Job); ok {
			t.etaSpread.learn(job.Plan, *r.End)
		}
	}
	t.update(r.At)
	e := Event{Time: r.At, Kind: EventKind(r.Kind), Job: r.Job, Attempt: r.Attempt, Task: r.Task, Request: r.Request,
		Class: string(r.Class), Code: r.Code, Message: r.Message, By: r.By, Tasks: r.Tasks}
	if (r.Code != "" || r.Class != "") && (r.End == nil || r.End.Status != batch.StatusCanceled) {
		e.Hint = hint(r.Class, r.Code, r.Message)
	}
	if r.End != nil {
		e.Status, e.Seconds, e.Billed = string(r.End.Status), r.End.Usage, r.End.Billed
	}
	if r.Kind == batch.Reused {
		e.Message = r.Origin
	}
	if r.Kind == batch.Spoiled {
		e.Hint = hintOfSpoil(r.Code, r.Message)
	}
	if r.Source != "" {
		e.File = t.input(r.Source)
	}
	if r.Artifact != nil {
		e.File, e.Bytes = cmp.Or(r.Artifact.Path, r.Artifact.Address), r.Artifact.Bytes
	}
	t.send(e)
}

// update takes the batch's state as it is now.
func (t *emitter) update(now time.Time) {
	v := t.core.View()
	p := Progress{Jobs: v.Total, States: make(map[State]int, len(v.Jobs)), Billed: v.Spent,
		Held: v.Held.Add(v.Possible), MaxCost: t.cap, Currency: t.core.Begin().Currency}
	for s, n := range v.Jobs {
		p.States[State(s)] = n
	}
	left := t.core.Remaining(now)
	for _, j := range t.core.Watched() {
		w := RunningTask{Job: j.ID, State: State(j.State), Age: now.Sub(j.Since), Expected: j.Expected}
		if n := len(j.Attempts); n > 0 {
			w.Task = j.Attempts[n-1].Task
		}
		left = max(left, w.Expected-w.Age) // the last tasks leave slots empty
		p.Running = append(p.Running, w)
	}
	if p.Stop = string(v.Stop); v.Stop == batch.StopNone {
		p.Left = t.etaSpread.spread(left, v.Left-v.Unselected)
	}
	t.mu.Lock()
	t.progress = p
	t.mu.Unlock()
}
