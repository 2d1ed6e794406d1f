package batch

import (
	"time"
)

// lane is one independent quota at the provider. It owns the create barrier:
// while open is set, a create is unanswered and the lane creates nothing.
type lane struct {
	index int
	LaneSettings

	// Folded from events.
	unsettled       *job            // its create is submitting or in doubt
	doubtAt         time.Time       // when this run first knew of the doubt
	slept           time.Duration   // Batch.slept at its intent
	clock           time.Time       // the provider's clock at its intent; zero if it told none
	promiseAtIntent Exclusive       // the promise of the run that made the intent
	before          referenceTask   // our newest task that is older than its intent
	newest          referenceTask   // our newest task
	shown           *Shown          // the youngest task that lists showed before its intent
	fromEarlierRun  bool            // an earlier run made the intent
	live            []*job          // tasks that the provider has not ended, by submission
	excluded        map[string]bool // tasks that are not ours, and candidates of quarantines
	othersSeen      bool            // an exclusive lane on which a stranger was seen
	creates         int64           // intents so far
	pace            int64           // learned run time / expected run time, in thousandths
	spread          int64           // mean deviation of it, in thousandths

	laneRun
}

// laneRun is what a lane learns in one run.
type laneRun struct {
	nextCreate time.Time // pace and back-off
	throttles  int       // refusals in a row
	quotas     int       // quota refusals in a row
	ceiling    int       // slots learned from refusals; 0: none
	ceilingAt  time.Time

	clockAhead  time.Duration // of the provider, to core time, by its last list
	clockKnown  bool
	clockSlept  time.Duration // Batch.slept then
	clockAsked  bool          // a list was answered in this run: if servers tell the time, it is known
	wantClock   bool          // something waits for that
	listedSlept time.Duration // Batch.slept at the last complete list

	listing    bool
	ask        ask
	listFails  int
	misses     int // lists of this run that had every page and missed a task of ours
	blindLists int // lists in a row that were answered and missed something
	listAfter  time.Time
	listedAt   time.Time // last complete list
	pages      int       // calls that it took
	othersLive int       // live tasks of others in it
	youngest   *Shown    // the youngest task that any list showed
	listPoll   listPoll
	missed     map[string]time.Time // tasks of ours that a list missed while they lived, and by the provider's clock when they were made
	keyID      string               // the provider's id of our own API key
	keyKnows   map[string]bool      // fingerprints of keys that made a task of which this run's key was told

	baseline  evidence // lists before the first intent
	baselined bool
	evidence  evidence // lists about the open doubt

	lookAfter           time.Time // queries and lists back off
	refusalsWithoutCode int       // looks refused without a code, in a row
	taskRefusals        int       // looks refused with a code that may be about the task alone, in a row

	acceptedModes  map[string]bool // modes of which a create was accepted: their set-up was right
	configRefusals int             // creates refused as if the set-up were wrong, none accepted since
}

// referenceTask is a task of ours that the provider surely had at some moment: a list
// that shows it reaches back to everything that is younger.
type referenceTask struct {
	task  string
	run   *Run          // that made it
	at    time.Time     // of its intent, by core time
	slept time.Duration // Batch.slept then
	clock time.Time     // the provider's clock then; zero if it told none
	past  bool          // an earlier run made it
}

// ask is the moment at which a list was asked: a list proves nothing about what
// came later.
type ask struct {
	at      time.Time
	creates int64
	clean   bool // no create was unanswered

	forClock bool // it was asked for the provider's clock alone
}

// evidence is the union of lists: one of them can miss a row while pages shift, so
// unknown tasks of all count, also of those that miss something else.
type evidence struct {
	lists   int // of those whose silence counts
	rows    []Row
	reaches bool // one of them, asked for the doubt, shows the reference task before it
}

func (e *evidence) add(rows []Row) {
	had := make(map[string]bool, len(e.rows))
	for _, r := range e.rows {
		had[r.Task] = true
	}
	for _, r := range rows {
		if !had[r.Task] {
			had[r.Task] = true
			e.rows = append(e.rows, r)
		}
	}
}

// listPoll is what is known of looks at all running tasks at once.
type listPoll struct {
	at     time.Time // when the newest was asked
	pages  int       // calls that it took
	fails  int       // in a row
	after  time.Time // not before
	alarms int       // tasks that it missed though they ran on, less those that had ended
}

// promise is what may be assumed of other users of the lane.
func (l *lane) promise() Exclusive {
	if l.othersSeen {
		return Shared
	}
	return l.Exclusive
}

// promiseOfDoubt is what may be assumed about the open doubt: the weaker of the
// promises now and when the create was sent, since strangers may have come between.
func (l *lane) promiseOfDoubt() Exclusive {
	now := l.promise()
	for _, weak := range []Exclusive{Shared, ExclusiveKey} {
		if now == weak || l.promiseAtIntent == weak {
			return weak
		}
	}
	return now
}

// providerClock is the provider's clock at core time now, by its last list; zero if it told
// none. It went on while the machine slept.
func (b *Batch) providerClock(l *lane, now time.Time) time.Time {
	if !l.clockKnown {
		return time.Time{}
	}
	now = now.Add(l.clockAhead).UTC()
	if d := b.slept - l.clockSlept; d <= longestSleep {
		now = now.Add(d)
	}
	return now
}

// clockOrWall is the provider's clock where it is known, else ours.
func (b *Batch) clockOrWall(l *lane, now time.Time) time.Time {
	if theirs := b.providerClock(l, now); !theirs.IsZero() {
		return theirs
	}
	return b.wall(now)
}

// settled lifts the create barrier.
func (l *lane) settled(j *job) {
	if l.unsettled == j {
		l.unsettled, l.doubtAt, l.evidence = nil, time.Time{}, evidence{}
	}
}

// slots is how many of our tasks may be live now. Running tasks and a few queued
// ahead, less where the provider refused to queue; what was learned from a
// refusal fades, because limits change.
func (l *lane) slots(now time.Time) (n int, until time.Time) {
	n = l.Running + l.Ahead
	if l.ceiling == 0 {
		return n, time.Time{}
	}
	steps := int(now.Sub(l.ceilingAt) / ceilingStep)
	return min(n, l.ceiling+steps), l.ceilingAt.Add(time.Duration(steps+1) * ceilingStep)
}

// drain is how long it should take until everything that is live, so many tasks
// of strangers, and then one more job has run.
func (l *lane) drain(j *job, others int, now time.Time) time.Duration {
	total := l.expect(j) * time.Duration(1+others)
	for _, o := range l.live {
		left := l.expect(o)
		if !o.watch.since.IsZero() {
			left = max(0, left-now.Sub(o.watch.since))
		}
		total += left
	}
	return max(l.expect(j), total/time.Duration(l.Running))
}

// outlives reports whether one more task can finish and be fetched while its id
// lives, with everything before it in the provider's queue, strangers' tasks of
// the last list included. Half of the life is kept in reserve. A task that would
// run alone is always allowed: waiting would not make it finish sooner.
func (l *lane) outlives(j *job) bool {
	if len(l.live)+l.othersLive == 0 {
		return true
	}
	total := l.expect(j) * time.Duration(1+l.othersLive)
	for _, o := range l.live {
		total += l.expect(o)
	}
	return total/time.Duration(l.Running) <= l.TaskLife/2
}
