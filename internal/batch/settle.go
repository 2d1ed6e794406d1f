package batch

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rules by which a doubt is settled; they stand in the journal as Event.By.
const (
	byAbsence   = "in neither of two complete lists"
	byOnlyOne   = "the only unknown task on an exclusive lane"
	byShared    = "unknown tasks on a shared lane"
	bySeveral   = "several unknown tasks"
	byEarlier   = "made before the create was sent"
	byAge       = "older than the list can show"
	byKeyless   = "tasks of an unknown key"
	byNoAnswer  = "UNKNOWN past the life of its id"
	byForbidden = "the result is gone at the provider"
	byRefusal   = "refused past twice the life of its id"

	byWithdrawal = "withdrawn"
)

// settle works on the lane's open doubt: wait until a list can show what the
// create made, then ask twice.
func (b *Batch) settle(l *lane, now time.Time) (Step, bool) {
	if l.unsettled == nil || l.unsettled.state != StateInDoubt {
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
	age := now.Sub(l.unsettled.attempt().At) + b.slept - l.slept
	if theirs := b.providerClock(l, now); !theirs.IsZero() && !l.clock.IsZero() {
		age = max(age, theirs.Sub(l.clock))
	}
	return age > l.listed()-l.Settle
}

// listed is how long a list shows a task after its create.
func (l *lane) listed() time.Duration { return min(l.TaskLife, listWindow) }

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
	l.ask = ask{at: now, creates: l.creates, clean: l.unsettled == nil}
	return Step{Effect: &Effect{Op: OpList, Lane: l.index}}, true
}

// judgeList takes in a list. It is evidence only by when it was asked: about a
// doubt if asked after settling, about strangers if no create was unanswered
// from asking to answer (or it may show our own task).
func (b *Batch) judgeList(o Observation, now time.Time) *Event {
	l := b.lanes[o.Effect.Lane]
	l.listing = false
	if o.Effect.Status != "" {
		b.judgeListPoll(l, o, now)
		return nil
	}
	if o.Result == Listed {
		l.wantClock, l.clockAsked = false, true
		l.clockSlept, l.clockAhead, l.clockKnown = b.slept, o.Clock.Sub(now), !o.Clock.IsZero()
	}
	decides := l.unsettled != nil && l.unsettled.state == StateInDoubt && !l.ask.at.Before(l.doubtAt.Add(l.Settle))
	unknown, seeing := b.splitRows(l, o, decides, now)
	l.remember(o.Rows, b.providerClock(l, now), decides)
	clean := l.ask.clean && l.unsettled == nil && l.ask.creates == l.creates
	switch { // what it shows counts, even if it misses something else
	case decides:
		l.evidence.add(unknown)
	case clean && !l.baselined:
		l.baseline.add(unknown)
	}
	if !seeing {
		if decides && o.Complete { // where lists miss one thing and another, two in a row must miss nothing
			l.evidence.lists = 0
		}
		b.listFailed(l, o, now)
		return nil
	}
	l.refusalsWithoutCode = 0
	l.listFails, l.blindLists, l.listedAt, l.pages = 0, 0, now, o.Pages
	l.listedSlept = b.slept
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
		rows := l.baseline.rows
		l.baselined, l.baseline = len(rows) <= mostNamed, evidence{}
		return l.foreign(rows, false)
	}
	return l.foreign(unknown, !b.strangeKey(l, now) && l.breaksExclusivity(unknown))
}

// listFailed backs off after a list that tells nothing. Where lists miss something or
// fail again and again, a run that has nothing else to do ends.
func (b *Batch) listFailed(l *lane, o Observation, now time.Time) {
	l.listFails++
	l.listAfter = now.Add(backoff(l.listFails, o.RetryAfter))
	switch s := rules[o.Class].stopLook; {
	case !b.follows(l):
		b.refusedLook(l, o)
	case s != StopNone && o.Code != "" && !l.ask.forClock: // what lists are refused of, looks may still tell
		b.halt(s, o)
	}
	if o.Result == Listed {
		l.blindLists++
	}
	if o.Result == Listed && o.Complete {
		l.misses++
	}
	var why string
	switch {
	case l.blindLists >= blindTries && l.unsettled == nil && len(l.live)+len(b.fetching) == 0:
		why = fmt.Sprintf("%d lists of tasks in a row were incomplete; without a whole one nothing may be created", l.blindLists)
	case l.listFails >= blindTries && l.wantClock && !b.follows(l):
		why = fmt.Sprintf("%d lists of tasks in a row failed; without one nobody can tell whether a result is lost", l.listFails)
	default:
		return
	}
	b.halt(StopSetup, Observation{Code: CodeListsMiss, Message: why})
	b.dead = true
}

// follows reports whether there is a task of ours of which the provider tells.
func (b *Batch) follows(l *lane) bool {
	return slices.ContainsFunc(l.live, func(j *job) bool { return j.watch.unknowns < unknownTries }) ||
		slices.ContainsFunc(b.fetching, func(j *job) bool { return !j.fetch.left && j.fetch.unknowns < unknownTries && j.fetch.refused.IsZero() })
}

// splitRows takes what the list says of our tasks, counts the live tasks of others,
// and returns the rows that are neither ours nor known to be someone else's. The
// silence of a list proves something only if it sees: if no page is missing, and it
// shows what it must show.
func (b *Batch) splitRows(l *lane, o Observation, decides bool, now time.Time) (unknown []Row, seeing bool) {
	listed := make(map[string]bool, len(o.Rows))
	others := 0
	for _, r := range o.Rows {
		if listed[r.Task] || !l.isModel(r.Model) {
			continue
		}
		listed[r.Task] = true
		delete(l.missed, r.Task)
		if j, ours := b.byTask[r.Task]; ours {
			b.provesKey(l, j, r.Task)
			if r.KeyID != "" && b.underThisKey(j, r.Task) {
				l.keyID = r.KeyID
			}
			l.applyRow(j, r, now)
			continue
		}
		if r.Status == StatusPending || r.Status == StatusRunning {
			others++
		}
		if !l.excluded[r.Task] {
			unknown = append(unknown, r)
		}
	}
	if o.Result != Listed || !o.Complete {
		return unknown, false
	}
	seeing = !b.blind(l, listed, now) && !(decides && (b.hidesReference(l, listed, now) || b.hidesShown(l, listed, now)))
	l.unlisted(listed)
	l.othersLive = others
	return unknown, seeing
}

// isModel reports whether a row is of this lane by the model that it names, if any. A
// dated snapshot of a model is that model.
func (l *lane) isModel(name string) bool {
	if name == "" || name == l.Model {
		return true
	}
	date, snapshot := strings.CutPrefix(name, l.Model+"-")
	return snapshot && strings.Trim(date, "-0123456789") == ""
}

// verdict settles the open doubt by two complete lists. Evidence that they can no
// longer give (24 hours is their window) is never replaced by a guess; what they
// show may still be the task, where only the clock says that it is too old.
func (b *Batch) verdict(l *lane, now time.Time) *Event {
	candidates, keyless := b.candidates(l)
	j := l.unsettled
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
	}
	younger := slices.DeleteFunc(slices.Clone(candidates), l.olderThanDoubt)
	switch {
	case len(younger) == 0:
		return l.quarantine(candidates, byEarlier)
	case len(younger) > 1:
		return l.quarantine(candidates, bySeveral)
	}
	return &Event{Kind: Adopted, Job: j.id, Attempt: j.attempt().N, Task: younger[0].Task, By: byOnlyOne}
}

// olderThanDoubt reports whether a task was made before the create in doubt was sent, by
// the provider's clock: so long before that no clock was merely read wrong.
func (l *lane) olderThanDoubt(r Row) bool {
	return !l.clock.IsZero() && !r.Made.IsZero() && l.clock.Sub(r.Made) > listEvery
}

// candidates are the listed tasks that the open doubt may have made, and those of
// which an unknown key keeps us from telling.
func (b *Batch) candidates(l *lane) (candidates, keyless []Row) {
	for _, r := range l.evidence.rows {
		_, ours := b.byTask[r.Task]
		switch {
		case ours || l.excluded[r.Task]:
		case l.promiseOfDoubt() == ExclusiveKey && (l.keyID == "" || r.KeyID == ""):
			keyless = append(keyless, r)
		case l.promiseOfDoubt() == ExclusiveKey && r.KeyID != l.keyID:
		default:
			candidates = append(candidates, r)
		}
	}
	return candidates, keyless
}

// outOfReach reports whether the lists about a doubt may end before it, whatever the
// clocks say: two runs' clocks may differ by days, and a doubt that looks young be too
// old to be listed. The task that was made not long before it must still be listed if
// the doubt's would be.
func (l *lane) outOfReach() bool {
	onlyOurs := l.fromEarlierRun && (l.clock.IsZero() || !l.clockKnown) // clocks tell its age
	return !l.evidence.reaches && (l.near() || onlyOurs)
}

// near reports whether the reference task was made so shortly before the open doubt
// that lists which show the doubt's task show it, too. The provider's clock tells best:
// those of two runs may differ by days.
func (l *lane) near() bool {
	p := l.before
	gap := l.unsettled.attempt().At.Sub(p.at) + l.slept - p.slept
	if !p.clock.IsZero() && !l.clock.IsZero() {
		gap = l.clock.Sub(p.clock)
	}
	return p.task != "" && gap < l.listed()/2
}

// quarantine parks the open doubt for a person, with its candidates.
func (l *lane) quarantine(candidates []Row, by string) *Event {
	j := l.unsettled
	return &Event{Kind: Quarantined, Job: j.id, Attempt: j.attempt().N, Tasks: taskIDs(candidates), By: by}
}

// foreign records tasks of others, so that no later doubt takes one for ours.
func (l *lane) foreign(rows []Row, mid bool) *Event {
	if len(rows) == 0 {
		return nil
	}
	return &Event{Kind: Foreign, Lane: l.Name, Tasks: taskIDs(rows), Mid: mid}
}

// breaksExclusivity reports whether unknown tasks, met while we work, break the promise
// that the lane is exclusive.
func (l *lane) breaksExclusivity(rows []Row) bool {
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

// taskIDs are the ids that one event can name. A stranger's that does not fit is unknown
// still, and named after the next lists.
func taskIDs(rows []Row) []string {
	rows = rows[:min(len(rows), mostNamed)]
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
