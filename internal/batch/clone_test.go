package batch

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"
)

// clone returns a batch that shares nothing that changes with b.
func clone(b *Batch) *Batch {
	c := *b
	to := make(map[*job]*job, len(b.jobs))
	move := func(js []*job) (out []*job) {
		for _, j := range js {
			out = append(out, to[j])
		}
		return out
	}
	for _, j := range b.jobs {
		k := *j
		k.attempts = slices.Clone(j.attempts)
		to[j] = &k
	}
	c.jobs, c.returned, c.failed, c.fetching = move(b.jobs), move(b.returned), move(b.failed), move(b.fetching)
	c.byID, c.byTask = make(map[string]*job, len(b.byID)), make(map[string]*job, len(b.byTask))
	for id, j := range b.byID {
		c.byID[id] = to[j]
	}
	for id, j := range b.byTask {
		c.byTask[id] = to[j]
	}
	c.counts = maps.Clone(b.counts)
	c.supplies = make(map[string]*supply, len(b.supplies))
	for sum, s := range b.supplies {
		k := *s
		c.supplies[sum] = &k
	}
	c.inbox, c.flying = slices.Clone(b.inbox), slices.Clone(b.flying)
	c.lanes = nil
	for _, l := range b.lanes {
		m := *l
		m.unsettled, m.live, m.excluded = to[l.unsettled], move(l.live), maps.Clone(l.excluded)
		m.acceptedModes = maps.Clone(l.acceptedModes)
		m.baseline.rows, m.evidence.rows = slices.Clone(l.baseline.rows), slices.Clone(l.evidence.rows)
		c.lanes = append(c.lanes, &m)
	}
	return &c
}

// appendKey appends what decides about the future of a batch, as long as no look
// is due: two batches with the same key behave the same. Times are relative to
// now and clamped where more makes no difference.
func appendKey(k []byte, b *Batch, now time.Time) []byte {
	word := func(s string) { k = append(append(k, s...), 0) }
	num := func(n int64) { k = binary.AppendVarint(k, n) }
	flag := func(v bool) {
		if v {
			k = append(k, 1)
		} else {
			k = append(k, 0)
		}
	}
	ago := func(t time.Time) { // in seconds; the past in detail only as far as settling goes
		num(int64(max(now.Sub(t), -time.Minute).Truncate(time.Second).Seconds()))
	}
	rows := func(e evidence) {
		num(int64(e.lists))
		ids := taskIDs(e.rows)
		slices.Sort(ids)
		num(int64(len(ids)))
		for _, id := range ids {
			word(id)
		}
	}
	for _, j := range b.jobs {
		word(string(j.state))
		num(int64(j.tries))
		num(int64(len(j.attempts)))
		for _, a := range j.attempts {
			word(string(a.Outcome))
			word(a.Task)
		}
	}
	for _, j := range b.returned {
		num(int64(j.index))
	}
	word(string(b.stop))
	for _, l := range b.lanes {
		flag(l.unsettled != nil)
		if l.unsettled != nil {
			num(int64(l.unsettled.index))
			// Of the doubt and the list only this counts: how long until settled,
			// and whether the list was asked after that.
			settled := l.doubtAt.Add(l.Settle)
			ago(later(now, settled))
			flag(l.ask.at.Before(settled))
		}
		known := slices.Sorted(maps.Keys(l.excluded))
		num(int64(len(known)))
		for _, id := range known {
			word(id)
		}
		flag(l.othersSeen)
		flag(l.listing)
		flag(l.baselined)
		if l.listing {
			flag(l.ask.clean)
			flag(l.ask.creates == l.creates)
		}
		flag(l.fromEarlierRun)
		word(l.before.task)
		flag(l.before.past)
		word(l.newest.task)
		flag(l.newest.past)
		flag(l.evidence.reaches)
		rows(l.baseline)
		rows(l.evidence)
		num(int64(l.othersLive))
		num(int64(l.ceiling))
		num(int64(l.throttles))
		ago(later(now, l.nextCreate))
		ago(later(now, l.listAfter))
	}
	return k
}
