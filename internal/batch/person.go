package batch

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file turns a person's decisions into events. They are the only events about
// money that Next does not decide; the shell makes them durable and applies them.

// RetryFailed returns the events that put every failed or lost job that is selected
// back into the queue because a person asked for it. The caller makes them durable and applies
// them.
func (b *Batch) RetryFailed(now time.Time) []Event {
	var events []Event
	for _, j := range b.jobs {
		if (j.state == StateFailed || j.state == StateLost) && len(j.attempts) > 0 && !j.removed && !j.notSelected {
			events = append(events, Event{Kind: Again, At: now, Job: j.id, Attempt: j.attempt().N, By: ByOperator})
		}
	}
	return events
}

// Resolve returns the events by which a person settles a quarantined job: Adopted
// (with the task that is its own), Again or Abandoned. A job whose create is in doubt
// is quarantined first: no run can settle that, say, if its key was revoked. So is one
// whose task a person adopted and nobody saw running: its id may have been mistyped. The
// hold of the old attempt is never freed by it: only the provider could say that it cost
// nothing.
//
// now is core time, wall the wall clock: by that a doubt gets old, also while the
// machine sleeps or the journal is ahead of it.
func (b *Batch) Resolve(id string, kind Kind, task string, now, wall time.Time) ([]Event, error) {
	j, ok := b.byID[id]
	if !ok {
		return nil, fmt.Errorf("no job %q in this batch", id)
	}
	var events []Event
	switch {
	case j.state == StateQuarantined:
	case j.state == StateQueued && j.attempt().ByHand:
		events = []Event{{Kind: Quarantined, At: now, Job: id, Attempt: j.attempt().N, Tasks: j.attempt().Candidates, By: ByOperator}}
	case j.state == StateSubmitting || j.state == StateInDoubt:
		made := j.attempt().At
		if theirs := j.attempt().Clock; made.Sub(wall) > listWindow || !theirs.IsZero() && made.After(wall) {
			made = theirs // the journal is ahead of a clock that was put right: where nobody tells when, it is old
		} else {
			made = later(made, theirs)
		}
		if from := made.Add(DoubtRipe); wall.Before(from) {
			return nil, fmt.Errorf("job %s is in doubt; a run may settle it by itself; by hand it can be from %s on, when its task would be known to everyone",
				id, from.Format(time.RFC3339))
		}
		events = []Event{{Kind: Quarantined, At: now, Job: id, Attempt: j.attempt().N, By: ByOperator}}
	default:
		return nil, fmt.Errorf("job %s is %s; only jobs that are quarantined, in doubt, or queued with a task adopted by hand can be resolved", id, j.state)
	}
	owner, taken := b.byTask[task]
	switch {
	case kind != Adopted && kind != Again && kind != Abandoned:
		return nil, fmt.Errorf("job %s cannot be settled as %s", id, kind)
	case kind != Adopted:
		task = ""
	case task == "":
		return nil, fmt.Errorf("job %s cannot adopt a task without its id", id)
	case taken && owner == j:
		return nil, fmt.Errorf("job %s has adopted task %s already", id, task)
	case taken:
		return nil, fmt.Errorf("task %s belongs to job %s already", task, owner.id)
	case len(j.attempt().Candidates) > 0 && !slices.Contains(j.attempt().Candidates, task):
		return nil, fmt.Errorf("task %s is no candidate for job %s; the candidates are %s",
			task, id, strings.Join(j.attempt().Candidates, ", "))
	}
	return append(events, Event{Kind: kind, At: now, Job: id, Attempt: j.attempt().N, Task: task, By: ByOperator}), nil
}
