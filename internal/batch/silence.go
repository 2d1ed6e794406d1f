package batch

import "time"

// This file tells when the silence of a list counts: only if it shows what it must show.
// A filter, a permission or an index that lags can make a list look whole and empty, and
// to believe it would be to pay again.

// blind reports whether a list misses a task of ours that the provider surely
// has: old enough to be listed when the list was asked, young enough to be kept,
// and seen alive. Lists must show it from then on, also when it has ended.
func (b *Batch) blind(l *lane, listed map[string]bool, now time.Time) (blind bool) {
	for _, j := range l.live {
		at, seen := j.attempt().At, j.watch.seen
		if !listed[j.task()] && (seen == StatusPending || seen == StatusRunning) &&
			at.Add(l.Settle).Before(l.ask.at) && now.Sub(at)+b.asleep(j) < l.listed()-l.Settle {
			if l.missed == nil {
				l.missed = make(map[string]time.Time)
			}
			l.missed[j.task()] = j.attempt().Clock
			blind = true
		}
	}
	return blind
}

// hidesReference reports whether a list about the open doubt misses the task of ours
// that was made before it, ended or not, though the provider surely lists it still: it
// is young enough by a clock that can tell.
func (b *Batch) hidesReference(l *lane, listed map[string]bool, now time.Time) bool {
	p, theirs := l.before, b.providerClock(l, now)
	if p.task == "" || listed[p.task] {
		return false
	}
	age := now.Sub(p.at) + b.slept - p.slept
	switch {
	case !theirs.IsZero() && !p.clock.IsZero():
		age = theirs.Sub(p.clock)
	case l.fromEarlierRun || p.past: // the clocks of two runs may differ by days
		return false
	}
	return age < l.listed()-l.Settle
}

// hidesShown reports whether a list misses a task, anyone's, that the provider told of
// before, or one that lists missed once, though by the provider's clock it is young
// enough to be listed still; by ours where that is unknown.
func (b *Batch) hidesShown(l *lane, listed map[string]bool, now time.Time) bool {
	theirs := b.clockOrWall(l, now)
	for task, made := range l.missed {
		if !listed[task] && (made.IsZero() || theirs.Sub(made) < l.listed()-l.Settle) {
			return true
		}
	}
	for _, s := range []*Shown{l.shown, l.youngest} {
		if s != nil && !listed[s.Task] && theirs.Sub(s.Made) < l.listed()-l.Settle {
			return true
		}
	}
	return false
}

// remember keeps the youngest task that the provider told of. One that is made later than
// its own clock tells nothing, nor while a doubt is settled one that the next list may
// not show yet; without that clock, none does then.
func (l *lane) remember(rows []Row, theirs time.Time, unsettled bool) {
	last := theirs
	if unsettled {
		last = last.Add(-l.Settle)
	}
	for _, r := range rows {
		old := !r.Made.After(last) || theirs.IsZero() && !unsettled
		if old && l.isModel(r.Model) && !r.Made.IsZero() && (l.youngest == nil || r.Made.After(l.youngest.Made)) {
			l.youngest = &Shown{Task: r.Task, Made: r.Made}
		}
	}
}
