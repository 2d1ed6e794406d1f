package batch

import "time"

// This file is the other kind of run: one that only cancels. It creates
// nothing, fetches nothing and settles no doubt; whatever it leaves alone is
// the next ordinary run's. A cancel is free and moves no money by itself: the
// status that a look finds afterwards does, through the same events as ever.

// CancelQueued makes this process's runs cancel what still waits at the
// provider, and do nothing else. Each task that was not seen running is asked to
// be canceled and then looked at until its status is known. A canceled task's job
// fails, free of charge, until a person wants it again ([Batch.RetryFailed]); a
// task that the provider no longer cancels is left to the next ordinary run.
//
// That a person asked is durable before the cancel leaves, so that a run after a
// crash does not take CANCELED for a withdrawal and submit again.
func (b *Batch) CancelQueued() { b.canceling = true }

// cancelState is how far the cancellation of one task came.
type cancelState struct {
	after   time.Time // nothing is sent before
	fails   int       // calls in a row that brought it no further
	asked   bool      // the provider answered the cancel: what counts now is a look
	tooLate bool      // and its answer was no
	left    bool      // looked at since: the next run follows it
}

// nextCancel is what Next does in a run that cancels.
func (b *Batch) nextCancel(now time.Time) (step Step, wake time.Time, ok bool) {
	for _, l := range b.lanes {
		if step, ok := b.cancelOn(l, now); ok {
			return b.stamp(step, now), time.Time{}, true
		}
	}
	return Step{}, b.wake, false
}

// cancelOn returns the next call about a task of the lane that may still wait.
func (b *Batch) cancelOn(l *lane, now time.Time) (Step, bool) {
	for _, j := range l.live {
		if j.watch.busy || b.leaves(j) {
			continue
		}
		if due := later(j.watch.cancelState.after, l.lookAfter); due.After(now) {
			b.wakeAt(due)
			continue
		}
		if b.looks >= MaxLooks {
			return Step{}, false // an answer is under way
		}
		b.looks++
		j.watch.busy = true
		return b.cancelStep(j), true
	}
	return Step{}, false
}

// cancelStep asks for the cancellation, or for what became of it.
func (b *Batch) cancelStep(j *job) Step {
	if j.watch.cancelState.asked {
		return Step{Effect: b.about(j, OpQuery)}
	}
	step := Step{Effect: b.about(j, OpCancel)}
	if !j.canceled {
		step.Record = &Event{Kind: Withdrawn, Job: j.id, Attempt: j.attempt().N, Task: j.task(), By: ByOperator}
	}
	return step
}

// judgeCancelStep takes in the answer to a call about a task that is being canceled,
// after what it proves of the task itself was judged as ever.
func (b *Batch) judgeCancelStep(j *job, o Observation, now time.Time) {
	if !b.canceling {
		return
	}
	r := &j.watch.cancelState
	refused := o.Result == TooLate || o.Result == Failed && o.Class == ClassInput // for good
	switch {
	case o.Effect.Op == OpCancel && (o.Result == Canceled || refused):
		*r = cancelState{asked: true, tooLate: refused}
		return
	case o.Result == Looked && o.Status == StatusUnknown && j.watch.unknowns < unknownTries:
	case o.Result == Looked && (r.tooLate || o.Status == StatusUnknown):
		r.left = true
		return
	case o.Result == Looked:
		r.asked = false // it waits all the same: a cancel is free to repeat
	}
	r.fails++
	r.after = now.Add(backoff(r.fails, o.RetryAfter))
}

// leaves reports whether this run leaves a job alone that is not at rest.
func (b *Batch) leaves(j *job) bool {
	if b.canceling {
		return j.state != StateQueued || j.watch.cancelState.left
	}
	return j.state == StatePending && j.notSelected
}
