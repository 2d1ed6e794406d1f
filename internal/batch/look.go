package batch

import (
	"slices"
	"time"
)

// This file decides when to look at which task. No money depends on it: a look
// that comes late costs time, never a payment.
//
// Only a task that can be running can end, so only the oldest `running` tasks of
// a lane are watched. Looks get closer as the expected end comes near and wider
// again after it, between poll_min and poll_max. What to expect is learned from
// the run times that the provider reports.

// watch is what is known of one live task.
type watch struct {
	since  time.Time     // when it can have begun to run, by our clock; zero: not its turn
	next   time.Time     // next look; zero: none planned
	slept  time.Duration // Batch.slept when its create was sent
	seen   Status        // last answer
	seenAt time.Time

	busy     bool // a query or a cancel is under way
	single   bool // a list said that it ended, or missed it: ask for it alone
	glimpsed bool // a list showed it running, so one that misses it says that it ended
	fails    int  // looks without an answer, in a row
	unknowns int  // UNKNOWN answers, in a row
	refusals int  // refusals that are about this task alone, in a row

	tooLate     bool // the provider no longer cancels it
	cancelAfter time.Time
	cancelState cancelState // in a run that cancels
}

// fetch is what is known of one download.
type fetch struct {
	busy     bool
	next     time.Time
	fails    int
	refused  time.Time // when the newest URL that was refused ends; zero: none
	unknowns int       // UNKNOWN in place of a URL, in a row
	left     bool      // the bucket refused it: the next run asks again
}

// paceUnit is the unit of learned ratios.
const paceUnit = 1000

// Run times before anything was learned, from what was seen of the service: a
// fixed part and a part per second of video. A length that is unknown counts as
// priorLength.
const (
	priorFixed   = 15 * time.Second
	priorStd     = 20 * time.Second
	priorPro     = 34 * time.Second
	priorLength  = 10 * time.Second
	priorSpread  = paceUnit / 5
	modePro      = "wan-pro"
	learnWeight  = 4 // a new run time counts for a quarter
	lookDivisor  = 6 // a look every sixth of the distance to the expected end
	spreadFactor = 10
	listFrom     = 10 // tasks that can be running, above which they are looked at by list
	alarmsMost   = 10 // tasks missed by lists though they ran on, before lists are not believed
)

// runBase is the prior for a job's run time, in milliseconds.
func runBase(p Plan) int64 {
	length := priorLength.Milliseconds()
	if p.Length.Valid {
		length = p.Length.Decimal.Shift(3).IntPart()
	}
	per := priorStd
	if p.Mode == modePro {
		per = priorPro
	}
	return priorFixed.Milliseconds() + per.Milliseconds()*length/1000
}

// expect is the run time to expect of a job now.
func (l *lane) expect(j *job) time.Duration {
	return time.Duration(j.runBase*l.pace/paceUnit) * time.Millisecond
}

// learn takes in a run time. Both ends are the provider's own, so its clock
// need not agree with ours.
func (l *lane) learn(j *job, end End) {
	run := end.Ended.Sub(end.Scheduled)
	if end.Scheduled.IsZero() || end.Ended.IsZero() || run <= 0 || run > l.TaskLife {
		return
	}
	ratio := max(1, run.Milliseconds()*paceUnit/j.runBase)
	if l.spread == 0 {
		l.pace, l.spread = ratio, priorSpread*ratio/paceUnit
		return
	}
	off := ratio - l.pace
	l.pace = max(1, l.pace+off/learnWeight)
	l.spread = max(1, l.spread+(max(off, -off)-l.spread)/learnWeight)
}

// watchNew takes up a task that was just created or adopted.
func (l *lane) watchNew(j *job, at time.Time) {
	j.watch = watch{slept: l.slept}
	i := len(l.live)
	for i > 0 && l.live[i-1].attempt().At.After(j.attempt().At) {
		i-- // a person may adopt a task that is older than others
	}
	l.live = slices.Insert(l.live, i, j)
	l.promote(at)
}

// forget drops a task that is live no more; the next one can begin to run.
func (l *lane) forget(j *job, at time.Time) {
	j.watch = watch{busy: j.watch.busy, slept: j.watch.slept}
	l.live = slices.DeleteFunc(l.live, func(o *job) bool { return o == j })
	l.promote(at)
}

// promote begins to watch the tasks whose turn it can be. One that the provider
// does not know, or will not tell of, takes nobody's turn.
func (l *lane) promote(at time.Time) {
	turns := l.Running
	for _, j := range l.live {
		if turns == 0 {
			return
		}
		if j.watch.unknowns == 0 && j.watch.refusals == 0 {
			turns--
		}
		if j.watch.since.IsZero() {
			j.watch.since = at
			j.watch.next = l.schedule(j, at)
		}
	}
}

// schedule is when to look at a task next.
func (l *lane) schedule(j *job, now time.Time) time.Time {
	away := j.watch.since.Add(l.expect(j)).Sub(now).Abs()
	spread := l.spread
	if spread == 0 {
		spread = priorSpread
	}
	floor := time.Duration(j.runBase*spread/paceUnit) * time.Millisecond / spreadFactor
	floor = min(max(floor, l.PollMin), l.PollMax)
	return now.Add(min(max(away/lookDivisor, floor), l.PollMax))
}

// look asks for one due task, or for the list where that is cheaper.
func (b *Batch) look(l *lane, now time.Time) (Step, bool) {
	if l.wantClock && !l.listing {
		if step, ok := b.list(l, now); ok {
			l.ask.forClock = true
			return step, true
		}
	}
	byList := l.looksByList(now)
	if byList && !l.listing {
		at := later(l.listPoll.at.Add(l.PollMin*time.Duration(max(l.listPoll.pages, 1))), l.lookAfter)
		if !at.After(now) {
			l.listing = true
			l.listPoll.at = now
			return Step{Effect: &Effect{Op: OpList, Lane: l.index, Status: StatusRunning}}, true
		}
		b.wakeAt(at)
	}
	var first *job
	due := 0
	for _, j := range l.live {
		w := &j.watch
		if w.busy || w.next.IsZero() {
			continue
		}
		next := w.next
		if byList && !w.single {
			if w.glimpsed {
				continue
			}
			next = later(next, later(w.since, w.seenAt).Add(l.PollMax)) // it may never be seen running
		}
		if next.After(now) {
			b.wakeAt(next)
			continue
		}
		if !w.single {
			due++
		}
		if first == nil || w.single && !first.watch.single {
			first = j
		}
	}
	if first == nil {
		return Step{}, false
	}
	if l.lookAfter.After(now) {
		b.wakeAt(l.lookAfter)
		return Step{}, false
	}
	if due > 2*max(l.pages, 1) && !l.listing && !l.listAfter.After(now) {
		return b.list(l, now)
	}
	if l.listing && !byList && !first.watch.single || b.looks >= MaxLooks {
		return Step{}, false // an answer is under way
	}
	first.watch.busy = true
	b.looks++
	return Step{Effect: b.about(first, OpQuery)}, true
}

// looksByList reports whether so many tasks can be running that lists of those that
// run, as often as poll_min allows, tell sooner and cost less than looks at single
// tasks. Where lists fail, or miss tasks that run, single looks go on.
func (l *lane) looksByList(now time.Time) bool {
	return min(len(l.live), l.Running) > listFrom && l.listFails == 0 &&
		l.listPoll.alarms < alarmsMost && !l.listPoll.after.After(now)
}

// judgeListPoll takes in a list of the tasks that run. It tells which are to be asked
// for alone, and nothing else: what a provider leaves out of it is no evidence.
func (b *Batch) judgeListPoll(l *lane, o Observation, now time.Time) {
	g := &l.listPoll
	if o.Result != Listed || !o.Complete { // whatever refuses it, single looks tell more
		g.fails++
		g.after = now.Add(backoff(g.fails, o.RetryAfter))
		return
	}
	l.refusalsWithoutCode, g.fails, g.pages = 0, 0, o.Pages
	listed := make(map[string]bool, len(o.Rows))
	for _, r := range o.Rows {
		listed[r.Task] = true
		if j, ours := b.byTask[r.Task]; ours {
			l.applyRow(j, r, now)
		}
	}
	for _, j := range l.live {
		if w := &j.watch; w.glimpsed && !w.busy && !listed[j.task()] {
			w.single = true
			if w.fails == 0 && w.unknowns == 0 {
				w.next = now
			}
		}
	}
}

// looked takes in an answered query and returns how many UNKNOWN came in a row.
func (l *lane) looked(j *job, s Status, now time.Time) (unknowns int) {
	w := &j.watch
	if w.single && w.glimpsed {
		l.listPoll.alarms = max(0, l.listPoll.alarms+alarm(s))
	}
	w.fails, w.refusals, w.single = 0, 0, false
	if s == StatusUnknown {
		w.unknowns++
		w.next = now.Add(l.PollMax)
		l.promote(now)
		return w.unknowns
	}
	w.unknowns = 0
	l.noteStatus(j, s, now)
	return 0
}

// alarm is 1 if a task that a list missed runs on.
func alarm(s Status) int {
	if s == StatusRunning {
		return 1
	}
	return -1
}

// noteStatus keeps a status and plans the next look. A task that is still PENDING has
// not begun to run.
func (l *lane) noteStatus(j *job, s Status, now time.Time) {
	w := &j.watch
	w.seen, w.seenAt = s, now
	if w.since.IsZero() && s != StatusRunning {
		w.next = time.Time{}
		return
	}
	if w.since.IsZero() || s == StatusPending {
		w.since = now
	}
	w.next = l.schedule(j, now)
}

// lookFailed backs off after a query without an answer.
func (l *lane) lookFailed(j *job, o Observation, now time.Time) {
	j.watch.fails++
	j.watch.next = now.Add(backoff(j.watch.fails, o.RetryAfter))
	if o.aboutTask() {
		j.watch.refusals++
		l.promote(now)
	}
	switch o.Class {
	case ClassThrottle, ClassBurst, ClassQuota:
		l.lookAfter = later(l.lookAfter, j.watch.next)
	}
}

// applyRow takes what a list says of one of our tasks. A list holds no result, so
// a task that ended is asked for alone at once.
func (l *lane) applyRow(j *job, r Row, now time.Time) {
	if !j.state.live() || j.task() != r.Task || j.watch.busy {
		return
	}
	switch r.Status {
	case StatusPending, StatusRunning:
		j.watch.glimpsed = r.Status == StatusRunning
		l.noteStatus(j, r.Status, now)
	default:
		j.watch.next, j.watch.single = now, true
	}
}

// unlisted marks watched tasks that a list missed: they are asked for alone.
func (l *lane) unlisted(listed map[string]bool) {
	for _, j := range l.live {
		if !listed[j.task()] {
			j.watch.single = true
		}
	}
}
