package batch

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"
)

// judge takes in one observation on the state of this instant and returns the
// event that it proves, if any. What an observation changes otherwise (back-off,
// looks, stop reasons) is volatile.
func (b *Batch) judge(o Observation, now time.Time) *Event {
	if o.Result == Interrupt {
		b.halt(StopInterrupted, o)
		return nil
	}
	i := slices.Index(b.flying, o.Effect)
	if i < 0 {
		return nil // answered before, or by another process
	}
	b.flying = slices.Delete(b.flying, i, i+1)
	switch o.Effect.Op {
	case OpCreate:
		return b.judgeCreate(o, now)
	case OpList:
		return b.judgeList(o, now)
	case OpUpload:
		return b.judgeUpload(o, now)
	}
	j := b.byID[o.Effect.Job]
	stale := o.Effect.Task != j.task()
	switch o.Effect.Op {
	case OpQuery:
		b.looks--
		j.watch.busy = false
		if !stale && j.state.live() {
			e := b.judgeQuery(j, o, now)
			b.judgeCancelStep(j, o, now)
			return e
		}
	case OpCancel:
		b.looks--
		j.watch.busy = false
		if !stale && j.state.live() {
			b.judgeCancel(j, o, now)
			b.judgeCancelStep(j, o, now)
		}
	case OpFetch:
		b.fetches--
		j.fetch.busy = false
		if !stale && j.state == StateFetching {
			return b.judgeFetch(j, o, now)
		}
	}
	return nil
}

// judgeCreate turns the answer to a create into its outcome. Three values: a task
// id, a proof that nothing was created, or doubt. A task id that is known
// already proves nothing.
func (b *Batch) judgeCreate(o Observation, now time.Time) *Event {
	l := b.lanes[o.Effect.Lane]
	if o.Result == DiskFull {
		b.diskFull(o, now) // there was no room for the intent, so nothing was sent
		l.nextCreate = now.Add(l.CreateGap)
		return nil
	}
	j := l.unsettled
	if j == nil || j.id != o.Effect.Job || j.state != StateSubmitting || j.attempt().N != o.Effect.Attempt {
		return nil
	}
	e := &Event{Job: j.id, Attempt: o.Effect.Attempt}
	l.nextCreate = now.Add(l.CreateGap)
	_, ours := b.byTask[o.Task]
	switch {
	case o.Result == Created && o.Task != "" && !ours && !l.excluded[o.Task]:
		l.accepting(j.plan.Mode)
		e.Kind, e.Task, e.Request = Accepted, o.Task, o.Request
	case o.Result == Rejected:
		if _, known := rules[o.Class]; !known {
			o.Class = ClassRetry // a code that nobody knows: slowly, and not for ever
		}
		e.Kind, e.Class, e.Code, e.Message = Refused, o.Class, o.Code, o.Message
		if rules[o.Class].countsTry && o.Code != "" && j.tries+1 >= b.settings.Tries {
			e.Class = ClassInput
		}
		if o.Class == ClassConfig {
			l.configRefusals++
		}
		switch {
		case o.Class != ClassConfig:
			b.refusedCreate(l, o, now)
		case l.acceptedModes[j.plan.Mode] && l.configRefusals < configRefusalTries: // the set-up was right, so it is this pair
			e.Class = ClassInput
		case !l.acceptedModes[j.plan.Mode] && l.configRefusals == 1:
			j.tryLast = true
		default: // too many in a row: the set-up is wrong
			b.refusedCreate(l, o, now)
		}
	default:
		e.Kind, e.Code, e.Message = Unanswered, o.Code, o.Message
		if o.Result == Created {
			e.Message = fmt.Sprintf("the answer names task %q, which is not a new one", o.Task)
		}
	}
	return e
}

// accepting takes in that a create of a mode was accepted.
func (l *lane) accepting(mode string) {
	l.throttles, l.quotas, l.configRefusals = 0, 0, 0
	if l.acceptedModes == nil {
		l.acceptedModes = make(map[string]bool)
	}
	l.acceptedModes[mode] = true
}

// refusedCreate takes the consequences of a refusal for the lane and the run.
func (b *Batch) refusedCreate(l *lane, o Observation, now time.Time) {
	r := rules[o.Class]
	if r.stop != StopNone {
		b.halt(r.stop, o)
	}
	if !r.pause {
		return
	}
	l.throttles++
	wait := backoff(l.throttles, o.RetryAfter)
	if o.Class == ClassBurst {
		wait = max(wait, l.BurstWait)
	}
	l.nextCreate = later(l.nextCreate, now.Add(wait))
	if n := len(l.live); n > 0 && o.Class != ClassRetry && o.Class != ClassBurst {
		l.ceiling, l.ceilingAt = n, now
	}
	switch {
	case o.Class != ClassQuota:
		l.quotas = 0
	case len(l.live) > 0: // it may only say that tasks run already
	default:
		l.quotas++
	}
	if l.quotas >= quotaTries {
		b.halt(StopAccount, o)
	}
}

// halt keeps the first reason to stop; an interrupt wins over all others.
func (b *Batch) halt(s Stop, o Observation) {
	if b.stop == StopNone || s == StopInterrupted {
		b.stop, b.stopCode, b.stopNote = s, o.Code, o.Message
	}
}

// refusedLook ends the run when even looking is refused: then live tasks cannot
// be followed, and nothing is gained by waiting. A refusal without a code may come
// from a proxy on the way, and one that names a task may be about that task alone:
// only several in a row, with no look answered between, are believed.
func (b *Batch) refusedLook(l *lane, o Observation) {
	s := rules[o.Class].stopLook
	switch {
	case o.aboutTask():
		if l.taskRefusals++; l.taskRefusals < taskRefusalTries {
			return
		}
		s = cmp.Or(s, StopSetup)
	case s == StopNone:
		return
	case o.Code == "":
		if l.refusalsWithoutCode++; l.refusalsWithoutCode < refusalWithoutCodeTries {
			return
		}
	}
	b.halt(s, o)
	b.dead = true
}

// aboutTask reports whether a refusal may be about the one task that was asked for.
func (o Observation) aboutTask() bool {
	return o.Result == Failed && o.Effect.Task != "" && o.Code != "" && o.Code != CodeStoreRefuses &&
		(o.Class == ClassInput || o.Class == ClassConfig || o.Class == ClassAccount)
}

// refusedForGood reports whether the provider has refused again and again to tell of
// one task, and has surely forgotten its id by now: by its own clock alone, since that
// it does not know the task is not what it says.
func (b *Batch) refusedForGood(j *job, o Observation, now time.Time) bool {
	if !o.aboutTask() {
		return false
	}
	l, life := b.laneOf(j), b.laneOf(j).TaskLife
	if j.watch.refusals < unknownTries || b.age(j, now) <= 2*life || b.wantsClock(l) {
		return false
	}
	return l.clockKnown && !j.attempt().Clock.IsZero()
}

// age is how old the newest task of a job is, by the provider's clock where that is
// known, else by ours, which may have been set meanwhile.
func (b *Batch) age(j *job, now time.Time) time.Duration {
	a := j.attempt()
	if theirs := b.providerClock(b.laneOf(j), now); !theirs.IsZero() && !a.Clock.IsZero() {
		return theirs.Sub(a.Clock)
	}
	return now.Sub(a.At) + b.asleep(j)
}

// wantsClock reports whether only our clock can say so far that a result is lost: then
// a list is asked, which tells the provider's. It is asked again after a sleep, which
// may be none: a wall clock that is set ahead looks the same. A run that only cancels
// asks none, and leaves it to the next.
func (b *Batch) wantsClock(l *lane) bool {
	l.wantClock = !l.clockAsked || b.slept-l.clockSlept > clockDrift
	return l.wantClock
}

// diskFull holds back creates and downloads until there may be room again.
func (b *Batch) diskFull(o Observation, now time.Time) {
	if now.Sub(b.diskAt) > diskMemory {
		b.diskFails = 0
	}
	b.diskFails++
	b.diskAt = now.Add(backoffMax / 2)
	if b.diskFails >= diskTries {
		b.halt(StopDisk, o)
	}
}

// judgeQuery turns a look at a live task into what it proves. Only a terminal
// status, or UNKNOWN well past the life of the id, ends the watch; a status that
// goes backwards proves nothing.
func (b *Batch) judgeQuery(j *job, o Observation, now time.Time) *Event {
	l, a := b.laneOf(j), j.attempt()
	if o.Result != Looked {
		l.lookFailed(j, o, now)
		b.refusedLook(l, o)
		if b.refusedForGood(j, o, now) {
			return &Event{Kind: Lost, Job: j.id, Attempt: a.N, Task: a.Task, By: byRefusal}
		}
		return nil
	}
	l.refusalsWithoutCode, l.taskRefusals = 0, 0
	if o.Status != StatusUnknown {
		b.provesKey(l, j, a.Task)
		if !a.ByHand { // it may be of another model, or whatever else lists do not show
			l.remember([]Row{{Task: a.Task, Made: cmp.Or(a.Clock, o.Times.Submitted)}}, b.providerClock(l, now), l.unsettled != nil)
		}
	}
	unknowns := l.looked(j, o.Status, now)
	e := &Event{Job: j.id, Attempt: a.N, Task: a.Task}
	switch o.Status {
	case StatusRunning:
		if j.state == StateRunning {
			return nil
		}
		e.Kind = Running
	case StatusSucceeded, StatusFailed, StatusCanceled:
		e.Kind, e.Class, e.Code, e.Message = Ended, o.Class, o.Code, o.Message
		e.End = j.end(o, later(b.wall(now), b.providerClock(l, now)), l.TaskLife)
	case StatusUnknown:
		if unknowns < unknownTries {
			return nil
		}
		if b.age(j, now) <= l.TaskLife {
			b.doubtKey(l, a)
			return nil
		}
		if b.wantsClock(l) {
			return nil
		}
		e.Kind, e.By = Lost, byNoAnswer
	default:
		return nil
	}
	return e
}

// end is the account of a task that is finished at now, by the later of our clock and
// the provider's. The amount is usage x unit price with
// no rounding; no usage, or none that can be true, means no amount, never zero.
func (j *job) end(o Observation, now time.Time, life time.Duration) *End {
	end := &End{Status: o.Status, Ratio: o.Ratio,
		Submitted: o.Times.Submitted, Scheduled: o.Times.Scheduled, Ended: o.Times.Ended, Expires: o.Times.Expires}
	used := o.Usage.Valid && o.Usage.Decimal.IsPositive()
	if used {
		end.Usage = o.Usage
	}
	if o.Status != StatusSucceeded {
		return end
	}
	if end.Expires.IsZero() {
		end.Expires = now.Add(life) // the latest reading: waiting longer loses nothing
	}
	if used {
		end.Billed = decimal.NewNullDecimal(o.Usage.Decimal.Mul(j.attempt().Price))
	}
	return end
}

// judgeCancel takes in the answer to a cancel. The task's own status is what
// counts, so in every case the next thing is a look.
func (b *Batch) judgeCancel(j *job, o Observation, now time.Time) {
	l := b.laneOf(j)
	j.watch.next = now
	switch o.Result {
	case Canceled:
		l.taskRefusals = 0
	case TooLate:
		l.taskRefusals = 0
		j.watch.tooLate = true
	case Failed:
		j.watch.next = now.Add(backoff(1, o.RetryAfter))
		b.refusedLook(l, o)
	}
}

// judgeFetch takes in the end of a download. A refusal is final only when the
// provider's own word proves that the result is gone.
func (b *Batch) judgeFetch(j *job, o Observation, now time.Time) *Event {
	a, f := j.attempt(), &j.fetch
	e := &Event{Job: j.id, Attempt: a.N, Task: a.Task}
	switch o.Result {
	case Fetched:
		b.diskFails = 0
		e.Kind, e.Artifact = Stored, o.Artifact
		return e
	case Forbidden:
		if b.gone(j, o, now) {
			e.Kind, e.By = Lost, byForbidden
			return e
		}
	case DiskFull:
		b.diskFull(o, now)
		return nil
	default:
		if o.Code == CodeStoreRefuses { // not the provider: what it holds is still followed and fetched
			b.halt(StopSetup, o)
			f.left = true
			return nil
		}
		b.refusedLook(b.laneOf(j), o)
		if o.aboutTask() {
			j.watch.refusals++
		}
		if b.refusedForGood(j, o, now) {
			e.Kind, e.By = Lost, byRefusal
			return e
		}
	}
	f.fails++
	f.next = now.Add(backoff(f.fails, o.RetryAfter))
	return nil
}

// gone reports whether a refused download proves that the result is gone. The URL
// that was refused is asked for anew: whether that buys more time is not
// documented, so it is gone only if the new one ends no later and that is over
// too. A task that the provider does not know has no URL; that is investigated as
// UNKNOWN is while a task runs; its word is final, whatever a URL promised, when an id
// has lived twice as long as ids do.
func (b *Batch) gone(j *job, o Observation, now time.Time) bool {
	a, f, l := j.attempt(), &j.fetch, b.laneOf(j)
	life := b.age(j, now)
	now = b.clockOrWall(l, now)
	if o.Code == CodeUnknownTask {
		if f.unknowns++; f.unknowns < unknownTries {
			return false
		}
		over := life > l.TaskLife && now.After(a.End.Expires) || life > 2*l.TaskLife
		if life <= l.TaskLife {
			b.doubtKey(l, a)
		}
		return over && !b.wantsClock(l)
	}
	f.unknowns = 0
	b.provesKey(l, j, a.Task)
	expires := o.Expires
	if expires.IsZero() {
		expires = a.End.Expires // the URL does not say
	}
	again := !f.refused.IsZero() && !expires.After(f.refused)
	f.refused = expires
	return again && now.After(expires) && !b.wantsClock(l)
}
