package batch

import (
	"slices"
	"time"
)

// Rules by which a doubt is settled; they stand in the journal as Event.By.
const (
	byAbsence   = "in neither of two complete lists"
	byOnlyOne   = "the only unknown task on an exclusive lane"
	byShared    = "unknown tasks on a shared lane"
	bySeveral   = "several unknown tasks"
	byAge       = "older than the list can show"
	byKeyless   = "tasks of an unknown key"
	byNoAnswer  = "UNKNOWN past the life of its id"
	byForbidden = "the result is gone at the provider"

	byWithdrawal = "withdrawn"
)

// settle works on the lane's open doubt: wait until a list can show what the
// create made, then ask twice.
func (b *Batch) settle(l *lane, now time.Time) (Step, bool) {
	if l.open == nil || l.open.state != StateInDoubt {
		return Step{}, false
	}
	if l.listFails >= oldTries && b.tooOld(l, now) { // what is not to be had would prove little
		candidates, keyless := b.candidates(l)
		return Step{Record: l.quarantine(append(candidates, keyless...), byAge)}, true
	}
	if from := l.doubtAt.Add(l.Settle); from.After(now) {
		b.wakeAt(from)
		return Step{}, false
	}
	return b.list(l, now)
}

// tooOld reports whether a list may no longer show what the open doubt made: by core
// time, by the wall clock where it says that more time has passed, or by the
// provider's own clock, which is one for all runs while ours may have been set.
func (b *Batch) tooOld(l *lane, now time.Time) bool {
	age := now.Sub(l.open.attempt().At) + b.slept - l.slept
	if theirs := l.theirs(now); !theirs.IsZero() && !l.clock.IsZero() {
		age = max(age, theirs.Sub(l.clock))
	}
	return age > l.TaskLife-l.Settle
}

// list asks for every task of the lane, unless that is under way or backing off.
func (b *Batch) list(l *lane, now time.Time) (Step, bool) {
	if l.listing {
		return Step{}, false
	}
	if after := later(l.listAfter, l.lookAfter); after.After(now) {
		b.wakeAt(after)
		return Step{}, false
	}
	l.listing = true
	l.ask = ask{at: now, creates: l.creates, clean: l.open == nil}
	return Step{Effect: &Effect{Op: OpList, Lane: l.index}}, true
}

// judgeList takes in a list. It is evidence only by when it was asked: about a
// doubt if asked after settling, about strangers if no create was unanswered
// from asking to answer (or it may show our own task).
func (b *Batch) judgeList(o Observation, now time.Time) *Event {
	l := b.lanes[o.Effect.Lane]
	l.listing = false
	if o.Effect.Status != "" {
		b.judgeGlance(l, o, now)
		return nil
	}
	unknown, seeing := b.sift(l, o, now)
	decides := l.open != nil && l.open.state == StateInDoubt && !l.ask.at.Before(l.doubtAt.Add(l.Settle))
	clean := l.ask.clean && l.open == nil && l.ask.creates == l.creates
	switch { // what it shows counts, even if it misses something else
	case decides:
		l.evidence.add(unknown)
	case clean && !l.baselined:
		l.baseline.add(unknown)
	}
	if !seeing {
		b.listFailed(l, o, now)
		return nil
	}
	l.blanks = 0
	l.listFails, l.listedAt, l.pages = 0, now, o.Pages
	l.listedSlept, l.clockAhead, l.clockKnown = b.slept, o.Clock.Sub(now), !o.Clock.IsZero()
	switch {
	case decides:
		l.evidence.reaches = l.evidence.reaches ||
			slices.ContainsFunc(o.Rows, func(r Row) bool { return r.Task == l.before.task })
		if l.evidence.lists++; l.evidence.lists < 2 {
			return nil
		}
		return b.verdict(l, now)
	case !clean:
		return nil
	case !l.baselined:
		if l.baseline.lists++; l.baseline.lists < 2 {
			return nil
		}
		l.baselined = true
		return l.foreign(l.baseline.rows, false)
	}
	return l.foreign(unknown, l.intruders(unknown))
}

// listFailed backs off after a list that tells nothing.
func (b *Batch) listFailed(l *lane, o Observation, now time.Time) {
	l.listFails++
	l.listAfter = now.Add(backoff(l.listFails, o.RetryAfter))
	b.refusedLook(l, o)
}

// sift takes what the list says of our tasks, counts the live tasks of others,
// and returns the rows that are neither ours nor known to be someone else's. The
// silence of a list proves something only if it sees: if no page is missing, and it
// shows what it must show.
func (b *Batch) sift(l *lane, o Observation, now time.Time) (unknown []Row, seeing bool) {
	listed := make(map[string]bool, len(o.Rows))
	strangers := 0
	for _, r := range o.Rows {
		if r.Model != "" && r.Model != l.Model || listed[r.Task] {
			continue
		}
		listed[r.Task] = true
		if j, ours := b.byTask[r.Task]; ours {
			if r.KeyID != "" && b.underThisKey(j, r.Task) {
				l.keyID = r.KeyID
			}
			l.heard(j, r, now)
			continue
		}
		if r.Status == StatusPending || r.Status == StatusRunning {
			strangers++
		}
		if !l.known[r.Task] {
			unknown = append(unknown, r)
		}
	}
	if o.Result != Listed || !o.Complete {
		return unknown, false
	}
	seeing = !b.blind(l, listed, now)
	l.unlisted(listed)
	l.strangers = strangers
	return unknown, seeing
}

// underThisKey reports whether the task was surely made with the API key of this
// run. An operator may change the key between runs; the old tasks would then
// teach us a key that is no longer ours.
func (b *Batch) underThisKey(j *job, task string) bool {
	a := j.attempt()
	return a.Task == task && a.Outcome == Accepted && a.At.After(b.keySince)
}

// blind reports whether a list misses a task of ours that the provider surely
// has: old enough to be listed when the list was asked, young enough to be kept,
// and seen alive.
func (b *Batch) blind(l *lane, listed map[string]bool, now time.Time) bool {
	for _, j := range l.live {
		at, seen := j.attempt().At, j.watch.seen
		if !listed[j.task()] && (seen == StatusPending || seen == StatusRunning) &&
			at.Add(l.Settle).Before(l.ask.at) && now.Sub(at)+b.asleep(j) < l.TaskLife-l.Settle {
			return true
		}
	}
	return false
}

// verdict settles the open doubt by two complete lists. Evidence that they can no
// longer give (24 hours is their window) is never replaced by a guess; what they
// show may still be the task, where only the clock says that it is too old.
func (b *Batch) verdict(l *lane, now time.Time) *Event {
	candidates, keyless := b.candidates(l)
	j := l.open
	switch {
	case b.tooOld(l, now):
		return l.quarantine(append(candidates, keyless...), byAge)
	case len(keyless) > 0:
		return l.quarantine(append(candidates, keyless...), byKeyless)
	case len(candidates) == 0 && l.outOfReach():
		return l.quarantine(nil, byAge)
	case len(candidates) == 0:
		return &Event{Kind: Absent, Job: j.id, Attempt: j.attempt().N, By: byAbsence}
	case l.promiseOfDoubt() == Shared:
		return l.quarantine(candidates, byShared)
	case len(candidates) > 1:
		return l.quarantine(candidates, bySeveral)
	}
	return &Event{Kind: Adopted, Job: j.id, Attempt: j.attempt().N, Task: candidates[0].Task, By: byOnlyOne}
}

// candidates are the listed tasks that the open doubt may have made, and those of
// which an unknown key keeps us from telling.
func (b *Batch) candidates(l *lane) (candidates, keyless []Row) {
	for _, r := range l.evidence.rows {
		_, ours := b.byTask[r.Task]
		switch {
		case ours || l.known[r.Task]:
		case l.promiseOfDoubt() == ExclusiveKey && (l.keyID == "" || r.KeyID == ""):
			keyless = append(keyless, r)
		case l.promiseOfDoubt() == ExclusiveKey && r.KeyID != l.keyID:
		default:
			candidates = append(candidates, r)
		}
	}
	return candidates, keyless
}

// outOfReach reports whether the lists about a doubt of an earlier run may end
// before it, whatever the clocks say: two runs' clocks may differ by days, and a
// doubt that looks young be too old to be listed. A task that was made in that run
// not long before it must still be listed if the doubt would be.
func (l *lane) outOfReach() bool {
	p := l.before
	return l.old && !l.evidence.reaches && p.task != "" && !p.past &&
		l.open.attempt().At.Sub(p.at) < l.TaskLife/2
}

// quarantine parks the open doubt for a person, with its candidates.
func (l *lane) quarantine(candidates []Row, by string) *Event {
	j := l.open
	return &Event{Kind: Quarantined, Job: j.id, Attempt: j.attempt().N, Tasks: taskIDs(candidates), By: by}
}

// foreign records tasks of others, so that no later doubt takes one for ours.
func (l *lane) foreign(rows []Row, mid bool) *Event {
	if len(rows) == 0 {
		return nil
	}
	return &Event{Kind: Foreign, Lane: l.Name, Tasks: taskIDs(rows), Mid: mid}
}

// intruders reports whether unknown tasks, met while we work, break the promise
// that the lane is exclusive.
func (l *lane) intruders(rows []Row) bool {
	switch l.promise() {
	case ExclusiveAll:
		return len(rows) > 0
	case ExclusiveKey:
		for _, r := range rows {
			if l.keyID != "" && r.KeyID == l.keyID {
				return true
			}
		}
	}
	return false
}

func taskIDs(rows []Row) []string {
	ids := make([]string, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.Task)
	}
	return ids
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
