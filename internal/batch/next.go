package batch

import (
	"cmp"
	"time"
)

// Next returns the next thing to do. When there is nothing to do now it returns
// ok false and the time at which to ask again, zero if only an observation can
// bring more work. now must not go backwards, nor start before [Batch.Last].
//
// The caller makes step.Record durable and applies it, then starts step.Effect,
// and only then calls Next again.
func (b *Batch) Next(now time.Time) (step Step, wake time.Time, ok bool) {
	b.wake = time.Time{}
	for len(b.inbox) > 0 {
		o := b.inbox[0]
		b.inbox = b.inbox[1:]
		if e := b.judge(o, now); e != nil {
			e.At = now
			return Step{Record: e}, time.Time{}, true
		}
	}
	if b.resting() {
		return Step{}, time.Time{}, false
	}
	if b.canceling {
		return b.nextCancel(now)
	}
	for _, decide := range []func(time.Time) (Step, bool){b.retry, b.nextFetch} {
		if step, ok := decide(now); ok {
			return b.stamp(step, now), time.Time{}, true
		}
	}
	for _, l := range b.lanes {
		for _, decide := range []func(*lane, time.Time) (Step, bool){b.settle, b.upload, b.submit, b.withdraw, b.look} {
			if step, ok := decide(l, now); ok {
				return b.stamp(step, now), time.Time{}, true
			}
		}
	}
	return Step{}, b.wake, false
}

// resting reports whether the run only waits for answers that are under way.
func (b *Batch) resting() bool {
	return b.stop == StopInterrupted || b.stop == StopDisk || b.dead
}

// stamp completes a step: the record's time, the effect's number.
func (b *Batch) stamp(s Step, now time.Time) Step {
	if s.Record != nil {
		s.Record.At = now
	}
	if s.Effect != nil {
		b.seq++
		s.Effect.Seq = b.seq
		b.flying = append(b.flying, *s.Effect)
	}
	return s
}

// wakeAt asks to be asked again at t, if nothing asked for an earlier time.
func (b *Batch) wakeAt(t time.Time) {
	if b.wake.IsZero() || t.Before(b.wake) {
		b.wake = t
	}
}

// retry decides for each job that failed retryably whether it is paid for again:
// those are free, so this spends no more than one success.
func (b *Batch) retry(now time.Time) (Step, bool) {
	for len(b.failed) > 0 {
		if j := b.failed[0]; b.returns(j) {
			return Step{Record: b.again(j, now)}, true
		}
		b.failed = b.failed[1:] // for good
	}
	return Step{}, false
}

// again is the event that returns a job which failed retryably.
func (b *Batch) again(j *job, now time.Time) *Event {
	a := j.attempt()
	if a.End.Status == StatusCanceled {
		return &Event{Kind: Again, Job: j.id, Attempt: a.N, By: byWithdrawal, After: now}
	}
	return &Event{Kind: Again, Job: j.id, Attempt: a.N, By: string(a.Class), After: now.Add(backoff(j.tries, 0))}
}

// Returning returns the events by which a run would begin: they put the jobs back
// into the queue whose retry the last run did not come to decide. A caller that has
// other work for such a job makes them durable and applies them itself.
func (b *Batch) Returning(now time.Time) []Event {
	var events []Event
	for _, j := range b.failed {
		if b.returns(j) {
			e := *b.again(j, now)
			e.At = now
			events = append(events, e)
		}
	}
	return events
}

// returns reports whether a job whose retry is not decided yet goes back into the
// queue.
func (b *Batch) returns(j *job) bool {
	return j.attempt().End.Status == StatusCanceled || j.tries < b.settings.Tries
}

// nextFetch starts the download whose URL dies first. Full disks hold them all
// back, and creates with them (submit).
func (b *Batch) nextFetch(now time.Time) (Step, bool) {
	if b.diskAt.After(now) {
		b.wakeAt(b.diskAt)
		return Step{}, false
	}
	for _, j := range b.fetching {
		if b.fetches >= b.settings.Fetches {
			break
		}
		switch {
		case j.fetch.busy || j.fetch.left:
		case j.fetch.next.After(now):
			b.wakeAt(j.fetch.next)
		default:
			j.fetch.busy = true
			b.fetches++
			step := Step{Effect: b.about(j, OpFetch)}
			step.Effect.Anew = b.expired(j, now)
			return step, true
		}
	}
	return Step{}, false
}

// expired reports whether the URL of a result that could not be had has ended: the worker
// may hold it still, where a new one, or none, tells more. Where only our clock says so,
// it is kept while lists may tell the provider's.
func (b *Batch) expired(j *job, now time.Time) bool {
	l := b.laneOf(j)
	return j.fetch.fails > 0 && b.clockOrWall(l, now).After(j.attempt().End.Expires) &&
		(!b.wantsClock(l) || l.listFails >= oldTries)
}

// about makes an effect on the newest task of a job.
func (b *Batch) about(j *job, op Op) *Effect {
	a := j.attempt()
	return &Effect{Op: op, Lane: b.laneOf(j).index, Job: j.id, Attempt: a.N, Task: a.Task}
}

// submit is the only place that spends money. It makes the intent, with its
// hold, the record of the step whose effect is the one create.
func (b *Batch) submit(l *lane, now time.Time) (Step, bool) {
	if b.stop != StopNone || l.unsettled != nil {
		return Step{}, false
	}
	if !b.room(l, now) {
		return Step{}, false
	}
	j := b.candidate(l, now)
	if j == nil {
		return Step{}, false
	}
	if !l.baselined || now.Sub(l.listedAt)+b.slept-l.listedSlept > listEvery {
		return b.list(l, now)
	}
	if b.strangeKey(l, now) {
		return Step{}, false // looks go on, until the key is proved or the run ends
	}
	if !l.outlives(j) || !b.inTime(l.drain(j, l.othersLive, now), now) {
		b.wakeAt(l.listedAt.Add(listEvery + 1))
		return Step{}, false
	}
	if !b.supplied(j, l, now) {
		return Step{}, false
	}
	if l.nextCreate.After(now) {
		b.wakeAt(l.nextCreate)
		return Step{}, false
	}
	n := len(j.attempts) + 1
	return Step{
		Record: &Event{Kind: Intended, Job: j.id, Attempt: n, Lane: l.Name, Hold: j.plan.Hold, Clock: b.providerClock(l, now), Shown: l.youngest},
		Effect: &Effect{Op: OpCreate, Lane: l.index, Job: j.id, Attempt: n,
			Image: b.address(j.plan.ImageSHA256), Video: b.address(j.plan.VideoSHA256)},
	}, true
}

// inTime reports whether tasks that need so long should be finished and fetched by
// the deadline, with a quarter of that time in reserve. The deadline is the wall
// clock's, which a machine that slept finds further on.
func (b *Batch) inTime(need time.Duration, now time.Time) bool {
	if b.settings.Deadline.IsZero() {
		return true
	}
	return !b.wall(now).Add(need + need/4 + fetchTime).After(b.settings.Deadline)
}

// candidate returns the job to submit next if the money and the time are there.
func (b *Batch) candidate(l *lane, now time.Time) *job {
	j := b.nextPending(now)
	if j == nil || !b.fits(j) {
		return nil
	}
	if b.late = !b.inTime(l.drain(j, 0, now), now); b.late {
		return nil
	}
	return j
}

// room reports whether one more task may exist: a free slot, no pile of results
// that nobody fetched, and a disk that takes them.
func (b *Batch) room(l *lane, now time.Time) bool {
	slots, until := l.slots(now)
	if len(l.live) >= slots {
		if !until.IsZero() {
			b.wakeAt(until)
		}
		return false
	}
	if b.diskFails > 0 && len(b.fetching) > 0 {
		return false // a download tells first whether the disk takes anything again
	}
	return len(b.fetching) <= b.settings.Backlog && !b.diskAt.After(now)
}

// nextPending returns the job to submit next: those that come back first, then
// the others in manifest order, but for the last few. One that was refused as if
// the set-up were wrong comes after all others: they tell whether it is.
func (b *Batch) nextPending(now time.Time) *job {
	var last *job
	for _, j := range b.returned {
		switch {
		case j.removed || j.notSelected:
		case j.after.After(now):
			b.wakeAt(j.after)
		case j.tryLast:
			last = cmp.Or(last, j)
		default:
			return j
		}
	}
	for b.fresh < len(b.jobs) && !b.jobs[b.fresh].isFresh() {
		b.fresh++
	}
	if b.fresh == len(b.jobs) {
		return last
	}
	return b.longestOfTail(b.jobs[b.fresh])
}

// longestOfTail returns the job that should run the longest if first begins the
// last few, and first otherwise. Where several tasks run at once a long one that
// begins last would run alone. Which jobs are paid for does not depend on it:
// unless all of them fit under the cap they are taken in order.
func (b *Batch) longestOfTail(first *job) *job {
	running := 0
	for _, l := range b.lanes {
		running += l.Running
	}
	if running <= 1 {
		return first
	}
	few := tailFactor * running
	longest, need := first, first.plan.Hold
	for _, j := range b.jobs[first.index+1:] {
		if !j.isFresh() {
			continue
		}
		if few--; few == 0 {
			return first
		}
		need = need.Add(j.plan.Hold)
		if j.runBase > longest.runBase {
			longest = j
		}
	}
	if !b.affords(need) {
		return first
	}
	return longest
}

// withdraw takes back what cannot finish: a task that is still PENDING at three
// quarters of its id's life could expire unseen and be billed. The intent to
// cancel is durable first, so that CANCELED is later read as "submit again".
func (b *Batch) withdraw(l *lane, now time.Time) (Step, bool) {
	for _, j := range l.live {
		w := &j.watch
		age := max(b.age(j, now), now.Sub(j.attempt().At)+b.asleep(j)) // a cancel is free: either clock will do
		late := now.Add(l.TaskLife/4*3 - age)
		if j.state != StateQueued || w.busy || w.tooLate {
			continue
		}
		if late.After(now) {
			if w.seen == StatusPending {
				b.wantsClock(l) // ours may have been set back since it was made
			}
			b.wakeAt(late)
			continue
		}
		if w.cancelAfter.After(now) {
			b.wakeAt(w.cancelAfter)
			continue
		}
		if !w.next.IsZero() && !w.next.After(now) {
			continue // a look that is due tells more than another cancel
		}
		if w.seen != StatusPending || w.seenAt.Before(late) {
			if w.next.IsZero() { // look first; a look that is planned anyway will do
				w.next = later(now, w.seenAt.Add(l.PollMax))
			}
			continue
		}
		if b.looks >= MaxLooks {
			return Step{}, false // an answer is under way
		}
		b.looks++
		w.busy = true
		w.cancelAfter = now.Add(backoffMax)
		step := Step{Effect: b.about(j, OpCancel)}
		if !j.withdrawn {
			step.Record = &Event{Kind: Withdrawn, Job: j.id, Attempt: j.attempt().N, Task: j.task()}
		}
		return step, true
	}
	return Step{}, false
}
