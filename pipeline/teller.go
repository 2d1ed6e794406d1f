package pipeline

import (
	"sync"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// teller turns what happens into events for the caller, one at a time. Records
// come from the loop, which owns the core; troubles come from workers and carry
// the progress of the newest record.
type teller struct {
	core *batch.Batch
	cfg  Config
	cap  decimal.NullDecimal
	now  func() time.Time // core time

	mu       sync.Mutex // serialises OnEvent, guards progress
	progress Progress
}

func (t *teller) send(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Progress = t.progress
	t.cfg.OnEvent(e)
}

// trouble tells of a call that went wrong. The message is free of secrets.
func (t *teller) trouble(op, job, message string) {
	t.send(Event{Time: t.now(), Kind: "trouble", Job: job, By: op, Message: message})
}

func (t *teller) started(open batch.Event, w *workers) {
	t.update(open.At)
	m := w.plan.Manifest
	t.send(Event{Time: open.At, Kind: "started", Message: m.Model + " in " + m.Lane.Region + " at " + open.Run.Endpoint + ", key " + open.Run.Key})
}

func (t *teller) finished(at time.Time, err error) {
	t.update(at)
	e := Event{Time: at, Kind: "finished"}
	if err != nil {
		e.Message = err.Error()
	}
	t.send(e)
}

// recorded tells of a record that is durable.
func (t *teller) recorded(r batch.Event) {
	t.update(r.At)
	e := Event{Time: r.At, Kind: string(r.Kind), Job: r.Job, Attempt: r.Attempt, Task: r.Task, Request: r.Request,
		Class: string(r.Class), Code: r.Code, Message: r.Message, By: r.By, Tasks: r.Tasks}
	if (r.Code != "" || r.Class != "") && (r.End == nil || r.End.Status != batch.StatusCanceled) {
		e.Hint = hint(r.Code, r.Message)
	}
	if r.End != nil {
		e.Status, e.Seconds, e.Billed = string(r.End.Status), r.End.Usage, r.End.Billed
	}
	if r.Artifact != nil {
		e.File, e.Bytes = r.Artifact.Path, r.Artifact.Bytes
	}
	t.send(e)
}

// update takes the batch's state as it is now.
func (t *teller) update(now time.Time) {
	v := t.core.View()
	p := Progress{Jobs: v.Total, States: make(map[string]int, len(v.Jobs)), Spent: v.Spent,
		Held: v.Held.Add(v.Possible), Cap: t.cap, Currency: t.core.Begin().Currency}
	for s, n := range v.Jobs {
		p.States[string(s)] = n
	}
	for _, j := range t.core.Watched() {
		p.Running = append(p.Running, Watched{Job: j.ID, Age: now.Sub(j.Since), Expected: j.Expected})
	}
	p.Left = t.core.Remaining(now)
	t.mu.Lock()
	t.progress = p
	t.mu.Unlock()
}
