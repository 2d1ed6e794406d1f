package batch

import (
	"cmp"
	"time"
)

// This file brings local inputs to where the provider can fetch them. An upload
// costs nothing and is never part of a create: the create is decided when its
// inputs lie there, and whatever happens to an upload, it is only the upload that
// is repeated.
//
// A content is uploaded once, however many jobs use it, when the next job to be
// submitted needs it, and again when the store is about to drop it or a task that
// used it failed. A crash here costs one upload.

// supply is one content on its way to the provider.
type supply struct {
	// Folded from events.
	store   string
	address string // "" until uploaded
	expires time.Time
	slept   time.Duration // Batch.slept when it began

	supplyRun
}

// supplyRun is what one run knows of an upload.
type supplyRun struct {
	busy  bool
	since time.Time     // when the newest upload began: the store keeps it from some moment after
	awake time.Duration // Batch.slept then
	fails int
	next  time.Time
	spoil *Spoil // the file is not what was planned, or not taken: for all jobs that use it
}

// sources returns the contents of a job that must be uploaded, image first.
func (p *Plan) sources() []string {
	var sums []string
	for _, sum := range []string{p.ImageSHA256, p.VideoSHA256} {
		if sum != "" {
			sums = append(sums, sum)
		}
	}
	return sums
}

func (b *Batch) supply(sum string) *supply {
	s, ok := b.supplies[sum]
	if !ok {
		s = new(supply)
		b.supplies[sum] = s
	}
	return s
}

// ready reports whether a content can be used by a create now: it lies in the
// store of this run, and stays there as long as the task may wait to be run.
func (b *Batch) ready(s *supply, l *lane, now time.Time) bool {
	return s.address != "" && s.store == b.settings.Store &&
		(s.expires.IsZero() || s.expires.Sub(now)-(b.slept-s.slept) > l.TaskLife)
}

// codeUploadRefused is why a file spoils its jobs that was refused without a code.
const codeUploadRefused = "UploadRefused"

// upload starts an upload that the next job needs, or records that its file is
// not what was planned, or is never taken. It runs one job ahead of the slots, so that a free slot
// need not wait for it.
func (b *Batch) upload(l *lane, now time.Time) (Step, bool) {
	if b.stop != StopNone {
		return Step{}, false
	}
	j := b.candidate(l, now)
	if j == nil || b.strangeKey(l, now) { // no picture goes to a strange account
		return Step{}, false
	}
	for _, sum := range j.plan.sources() {
		switch s := b.supply(sum); {
		case s.spoil != nil:
			return Step{Record: &Event{Kind: Spoiled, Job: j.id, Class: ClassInput, Code: s.spoil.Code, Message: s.spoil.Message}}, true
		case s.busy || b.ready(s, l, now):
		case s.next.After(now):
			b.wakeAt(s.next)
		case b.uploads < MaxUploads:
			s.busy, s.since, s.awake = true, now, b.slept
			b.uploads++
			return Step{Effect: &Effect{Op: OpUpload, Lane: l.index, Job: j.id, Source: sum}}, true
		}
	}
	return Step{}, false
}

// supplied reports whether everything that a job's create needs is uploaded.
func (b *Batch) supplied(j *job, l *lane, now time.Time) bool {
	for _, sum := range j.plan.sources() {
		if !b.ready(b.supply(sum), l, now) {
			return false
		}
	}
	return true
}

// address is what a create sends for an input; "" means the manifest's own URL.
func (b *Batch) address(sum string) string {
	if sum == "" {
		return ""
	}
	return b.supply(sum).address
}

// judgeUpload takes in the end of an upload.
func (b *Batch) judgeUpload(o Observation, now time.Time) *Event {
	s := b.supply(o.Effect.Source)
	b.uploads--
	s.busy = false
	switch o.Result {
	case Sent:
		s.fails = 0
		e := &Event{Kind: Uploaded, Source: o.Effect.Source, Store: o.Store, Address: o.Address}
		if o.Life > 0 {
			e.Expires = s.since.Add(o.Life)
		}
		return e
	case Changed:
		s.spoil = &Spoil{Code: o.Code, Message: o.Message}
		return nil
	}
	s.fails++
	s.next = now.Add(backoff(s.fails, o.RetryAfter))
	if r := rules[o.Class]; r.stop != StopNone && (o.Code != "" || s.fails >= refusalWithoutCodeTries) {
		b.halt(r.stop, o)
	}
	if o.Class == ClassInput && s.fails >= refusalWithoutCodeTries { // the store takes all but this file
		s.spoil = &Spoil{Code: cmp.Or(o.Code, codeUploadRefused), Message: o.Message}
	}
	return nil
}

// applyUploaded folds where a content lies.
func (b *Batch) applyUploaded(e Event) {
	s := b.supply(e.Source)
	s.store, s.address, s.expires, s.slept = e.Store, e.Address, e.Expires, s.awake
}

// dropUploads drops what is known of a job's uploads: a task that used them failed,
// and one of the reasons can be that the provider could not fetch them.
func (b *Batch) dropUploads(j *job) {
	for _, sum := range j.plan.sources() {
		b.supply(sum).address = ""
	}
}

// forgetUploads drops every address: another account or endpoint cannot use them.
func (b *Batch) forgetUploads() {
	for _, s := range b.supplies {
		s.address = ""
	}
}
