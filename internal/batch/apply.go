package batch

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"
)

// Apply folds one durable event. It decides nothing, so replaying a journal
// under a later policy gives the state that the journal recorded. An event that
// does not follow from the ones before it is an error: the journal was not
// written by this program, or there is a bug. The batch is then unusable.
func (b *Batch) Apply(e Event) error {
	if e.At.After(b.last) {
		b.last = e.At
	}
	switch e.Kind {
	case Begun:
		if b.begin != nil || e.Begin == nil {
			return fmt.Errorf("apply %s: a batch begins once", e.Kind)
		}
		b.begin = e.Begin
		return nil
	case Planned:
		return b.applyPlanned(e)
	case Opened:
		return b.applyOpened(e)
	case Foreign:
		return b.applyForeign(e)
	case Uploaded:
		if e.Source == "" || e.Address == "" {
			return fmt.Errorf("apply %s: no content or no address", e.Kind)
		}
		b.applyUploaded(e)
		return nil
	case Closed:
		end := e // only this event is kept
		b.closed = &end
		return nil
	}
	j, ok := b.byID[e.Job]
	if !ok {
		return fmt.Errorf("apply %s: no job %q was planned", e.Kind, e.Job)
	}
	if e.Kind == Removed {
		j.removed = true
		return nil
	}
	if from := allowed[e.Kind]; !slices.Contains(from, j.state) {
		return fmt.Errorf("apply %s: job %s is %s", e.Kind, j.id, j.state)
	}
	switch e.Kind {
	case Intended:
		return b.applyIntended(j, e)
	case Spoiled:
		b.unqueue(j)
		j.spoil = &Spoil{Code: e.Code, Message: e.Message}
		b.move(j, StateFailed)
		return nil
	case Reused:
		if e.Artifact == nil {
			return fmt.Errorf("apply %s: job %s: no artifact", e.Kind, j.id)
		}
		b.unqueue(j)
		j.artifact, j.storedAt, j.origin = e.Artifact, e.At, e.Origin
		b.move(j, StateDone)
		return nil
	}
	if len(j.attempts) == 0 || e.Attempt != j.attempt().N {
		return fmt.Errorf("apply %s: job %s has no open attempt %d", e.Kind, j.id, e.Attempt)
	}
	_, owned := b.byTask[e.Task]
	switch {
	case e.Kind == Ended && e.End == nil:
		return fmt.Errorf("apply %s: job %s: no end", e.Kind, j.id)
	case (e.Kind == Accepted || e.Kind == Adopted) && (e.Task == "" || owned):
		return fmt.Errorf("apply %s: job %s: task %q is no new task", e.Kind, j.id, e.Task)
	}
	b.applyAttempt(j, e)
	return nil
}

// allowed lists the states in which each event about a job can be applied: the
// table of the package comment, in the other direction.
var allowed = map[Kind][]State{
	Intended:    {StatePending},
	Spoiled:     {StatePending},
	Reused:      {StatePending},
	Accepted:    {StateSubmitting},
	Refused:     {StateSubmitting},
	Unanswered:  {StateSubmitting},
	Absent:      {StateInDoubt},
	Adopted:     {StateInDoubt, StateQuarantined},
	Quarantined: {StateSubmitting, StateInDoubt, StateQueued},
	Running:     {StateQueued},
	Withdrawn:   {StateQueued},
	Ended:       {StateQueued, StateRunning},
	Again:       {StateFailed, StateLost, StateQuarantined},
	Stored:      {StateFetching},
	Lost:        {StateQueued, StateRunning, StateFetching},
	Abandoned:   {StateQuarantined},
}

// applyPlanned takes a job into the queue. A job that is planned again comes
// back with its new content if it was at rest, and with its old attempts: what
// they cost stays on the bill. While a task of it is under way only its prices may
// change, and they count from its next attempt on.
func (b *Batch) applyPlanned(e Event) error {
	if e.Plan == nil || e.Job == "" {
		return fmt.Errorf("apply %s: no plan for job %q", e.Kind, e.Job)
	}
	j, ok := b.byID[e.Job]
	if !ok {
		j = &job{index: len(b.jobs), id: e.Job}
		b.jobs = append(b.jobs, j)
		b.byID[j.id] = j
		j.plan, j.runBase = *e.Plan, runBase(*e.Plan)
		b.move(j, StatePending)
		return nil
	}
	changed := j.plan.Key != e.Plan.Key
	if settled := j.state.AtRest() && j.state != StateQuarantined || j.state == StatePending; changed && !settled {
		return fmt.Errorf("apply %s: job %s is %s; its content cannot change now", e.Kind, j.id, j.state)
	}
	b.fresh = min(b.fresh, j.index)
	j.plan, j.runBase, j.removed = *e.Plan, runBase(*e.Plan), false
	if (changed || j.spoil != nil) && j.state != StatePending {
		b.requeue(j)
		j.artifact, j.origin, j.tries = nil, "", 0
	}
	return nil
}

// applyOpened starts a run: an intent without outcome is now in doubt, and old
// evidence about it is worth nothing.
func (b *Batch) applyOpened(e Event) error {
	if e.Run == nil {
		return fmt.Errorf("apply %s: no run", e.Kind)
	}
	if !e.Run.sameAccount(b.lastRun) {
		b.forgetUploads()
	}
	b.lastRun, b.closed = e.Run, nil
	if b.settings.Fetches == 0 { // it is only read: judge as that run did
		b.settings.Tries = e.Run.Tries
	}
	b.volatile = volatile{inbox: b.inbox} // the operator may have interrupted already
	for _, s := range b.supplies {
		s.supplyRun = supplyRun{}
	}
	for _, l := range b.lanes {
		l.laneRun = laneRun{}
		l.newest.past = true
		if l.unsettled == nil {
			continue
		}
		l.fromEarlierRun = true
		if l.unsettled.state == StateSubmitting {
			l.unsettled.attempt().Outcome = Unanswered
			b.move(l.unsettled, StateInDoubt)
		}
		l.doubtAt = e.At
	}
	return nil
}

func (b *Batch) applyForeign(e Event) error {
	l := b.laneNamed(e.Lane)
	for _, id := range e.Tasks {
		l.excluded[id] = true
	}
	l.othersSeen = l.othersSeen || e.Mid
	return nil
}

func (b *Batch) applyIntended(j *job, e Event) error {
	l := b.laneNamed(e.Lane)
	if l.unsettled != nil || e.Attempt != len(j.attempts)+1 {
		return fmt.Errorf("apply %s: job %s attempt %d: lane %q is not free for it", e.Kind, j.id, e.Attempt, e.Lane)
	}
	j.attempts = append(j.attempts, Attempt{N: e.Attempt, Lane: e.Lane, Key: b.key(), Mode: j.plan.Mode, Labels: j.plan.Labels, Clock: e.Clock,
		Outcome: Intended, At: e.At, Hold: e.Hold, Price: j.plan.UnitPrice, Length: j.plan.Length})
	b.money.hold(j.attempt())
	l.unsettled, l.slept, l.promiseAtIntent, l.clock = j, b.slept, "", e.Clock
	l.before, l.shown, l.fromEarlierRun = l.newest, e.Shown, false
	if b.lastRun != nil {
		l.promiseAtIntent = b.lastRun.Exclusive
	}
	if !b.lastRun.sameAccount(l.before.run) { // its lists need not show what was made there
		l.before = referenceTask{}
	}
	l.creates++
	j.withdrawn, j.canceled = false, false
	b.unqueue(j)
	b.move(j, StateSubmitting)
	return nil
}

// applyAttempt folds an event about the newest attempt of a job.
func (b *Batch) applyAttempt(j *job, e Event) {
	a, l := j.attempt(), b.laneOf(j)
	switch e.Kind {
	case Accepted, Adopted:
		a.Outcome, a.Task, a.Request = e.Kind, e.Task, e.Request
		a.ByHand = e.By == ByOperator
		b.byTask[e.Task] = j
		if e.Kind == Accepted || e.By == byOnlyOne {
			l.newest = referenceTask{task: e.Task, run: b.lastRun, at: a.At, slept: l.slept, clock: l.clock, past: e.Kind == Adopted && l.fromEarlierRun}
		}
		l.settled(j)
		b.move(j, StateQueued)
		l.watchNew(j, e.At)
	case Refused:
		a.Outcome, a.Class, a.Code, a.Message = e.Kind, e.Class, e.Code, e.Message
		b.money.free(a)
		l.settled(j)
		if rules[e.Class].countsTry && e.Code != "" { // without a code it was the network
			j.tries++
		}
		if e.Class == ClassInput { // a fact of the journal's language, not a policy
			b.move(j, StateFailed)
		} else {
			b.requeue(j)
		}
	case Unanswered:
		a.Outcome, a.Message = e.Kind, e.Message
		l.doubtAt = e.At
		b.move(j, StateInDoubt)
	case Absent:
		a.Outcome = e.Kind
		b.money.free(a)
		l.settled(j)
		b.requeue(j)
	case Quarantined:
		if j.state == StateQueued { // a person takes an adoption back: the task is somebody else's
			delete(b.byTask, a.Task)
			j.withdrawn, j.canceled = false, false
			l.forget(j, e.At)
			a.Task = ""
		}
		a.Outcome, a.Candidates = e.Kind, e.Tasks
		for _, id := range e.Tasks {
			l.excluded[id] = true
		}
		l.othersSeen = l.othersSeen || e.By == bySeveral || len(e.Tasks) >= mostNamed // one create makes one task
		l.settled(j)
		b.move(j, StateQuarantined)
	case Running:
		b.move(j, StateRunning)
	case Withdrawn: // the newest wish counts: one that never arrived binds no later run
		j.canceled = e.By == ByOperator
		j.withdrawn = !j.canceled
	case Ended:
		b.applyEnded(j, a, l, e)
	case Again:
		j.reason, j.after = e.By, e.After
		if e.By == ByOperator {
			b.money.keep(a)
			j.tries = 0
		}
		b.requeue(j)
	case Stored:
		j.artifact, j.storedAt = e.Artifact, e.At
		if e.Artifact != nil {
			a.Length = decimal.NewNullDecimal(e.Artifact.Duration)
		}
		b.move(j, StateDone)
	case Lost:
		j.reason = e.By
		b.money.keep(a)
		l.forget(j, e.At)
		b.move(j, StateLost)
	case Abandoned:
		j.reason = e.By
		b.money.keep(a)
		b.move(j, StateFailed)
	}
}

// applyEnded closes a task. Failed and canceled tasks are free (the provider
// bills seconds of output) unless they tell of usage all the same; a success without
// usage may have cost its hold.
func (b *Batch) applyEnded(j *job, a *Attempt, l *lane, e Event) {
	a.End, a.Class, a.Code, a.Message = e.End, e.Class, e.Code, e.Message
	l.forget(j, e.At)
	withdrawn := j.withdrawn
	j.withdrawn = false
	if e.End.Status == StatusSucceeded {
		if e.End.Billed.Valid {
			b.money.bill(a, e.End.Billed.Decimal)
		} else {
			b.money.keep(a)
		}
		l.learn(j, *e.End)
		b.move(j, StateFetching)
		return
	}
	if e.End.Usage.Valid {
		b.money.keep(a)
	} else {
		b.money.free(a)
	}
	b.move(j, StateFailed)
	switch {
	case e.End.Status == StatusCanceled && !withdrawn: // somebody's decision: only a person takes it back
	case e.End.Usage.Valid: // perhaps billed: only a person pays again
	case e.End.Status == StatusCanceled:
		b.failed = append(b.failed, j)
	case rules[e.Class].retryTask:
		b.dropUploads(j)
		j.tries++
		b.failed = append(b.failed, j)
	}
}

// move changes a job's state and keeps the counts and the queues of states.
func (b *Batch) move(j *job, s State) {
	if j.state != "" {
		b.counts[j.state]--
	}
	same := func(o *job) bool { return o == j }
	switch j.state {
	case StateFetching:
		b.fetching = slices.DeleteFunc(b.fetching, same)
	case StateFailed:
		b.failed = slices.DeleteFunc(b.failed, same)
	}
	j.state = s
	b.counts[s]++
	if s == StateFetching {
		i, _ := slices.BinarySearchFunc(b.fetching, j, byExpiry)
		b.fetching = slices.Insert(b.fetching, i, j)
	}
}

// unqueue takes a pending job out of the queue.
func (b *Batch) unqueue(j *job) {
	b.returned = slices.DeleteFunc(b.returned, func(o *job) bool { return o == j })
}

// requeue returns a job that was submitted before to the queue.
func (b *Batch) requeue(j *job) {
	j.spoil = nil
	b.move(j, StatePending)
	i, found := slices.BinarySearchFunc(b.returned, j.index, func(o *job, i int) int { return o.index - i })
	if !found {
		b.returned = slices.Insert(b.returned, i, j)
	}
}

// byExpiry orders results by the end of their URL's life, then by the manifest.
func byExpiry(a, b *job) int {
	if c := a.attempt().End.Expires.Compare(b.attempt().End.Expires); c != 0 {
		return c
	}
	return a.index - b.index
}
