package batch

import (
	"slices"
	"time"
)

// This file tells whether the API key of a run is of the account that made a batch's
// tasks. An operator may change the key between runs, for another of the same account or
// by mistake for a stranger's; only what the provider tells of a task proves which.

// strangeKey reports whether tasks made with another key live, or wait to be fetched,
// and this one was told of none yet: it may be the key of another account, where
// nothing of this batch is to be paid for. No key is told of a result whose id is dead.
func (b *Batch) strangeKey(l *lane, now time.Time) bool {
	live := func(j *job) bool { return b.ofStrangeKey(l, j.attempt()) }
	result := func(j *job) bool { return live(j) && b.age(j, now) <= l.TaskLife }
	return slices.ContainsFunc(l.live, live) || slices.ContainsFunc(b.fetching, result)
}

// ofStrangeKey reports whether a task was made with another key than this run's, and
// this one was told of no task of that.
func (b *Batch) ofStrangeKey(l *lane, a *Attempt) bool {
	return a.Key != b.key() && !l.keyKnows[a.Key]
}

// provesKey takes in that this run's key was told of a task of a job.
func (b *Batch) provesKey(l *lane, j *job, task string) {
	for _, a := range j.attempts {
		if a.Task == task && a.Key != b.key() {
			if l.keyKnows == nil {
				l.keyKnows = make(map[string]bool)
			}
			l.keyKnows[a.Key] = true
		}
	}
}

// doubtKey ends the run when a task that another key made is not known under this
// one though it is young enough: it is the key of another account, and waiting would
// lose the result.
func (b *Batch) doubtKey(l *lane, a *Attempt) {
	if b.ofStrangeKey(l, a) && (b.canceling || !b.wantsClock(l)) {
		b.dead = !b.follows(l)
		b.halt(StopSetup, Observation{Code: CodeUnknownTask,
			Message: "task " + a.Task + ", made with another key, is not known under this one; run with a key of the same account"})
	}
}

// underThisKey reports whether the task was surely made with the API key of this run: an
// older one would teach us the id of a key that is no longer ours.
func (b *Batch) underThisKey(j *job, task string) bool {
	a := j.attempt()
	return a.Task == task && a.Outcome == Accepted && a.Key == b.key()
}
