package emulator

import "time"

// A lane is the queue of one account and model: tasks wait in order of arrival for one of a
// fixed number of slots.
type lane struct {
	opt      *Options
	slots    []slot
	waiting  []*task // PENDING, in order of arrival
	creates  window
	policies window
}

// A slot holds a RUNNING task, or is free since an instant.
type slot struct {
	task  *task
	since time.Time
}

func newLane(opt *Options) *lane {
	return &lane{opt: opt, slots: make([]slot, opt.Running)}
}

// live counts tasks that are PENDING or RUNNING.
func (l *lane) live() int {
	n := len(l.waiting)
	for _, s := range l.slots {
		if s.task != nil {
			n++
		}
	}
	return n
}

// advance plays what happened up to now: tasks ended when they were due, and the head of the
// queue took the slot that was free first, at the instant both were ready. The outcome is the
// same however often it is called in between, but for a task whose inputs are not probed yet:
// that one holds its slot.
func (l *lane) advance(now time.Time) {
	for {
		for i := range l.slots {
			s := &l.slots[i]
			if s.task == nil {
				continue
			}
			if end, known := s.task.due(l.opt); known && !end.After(now) {
				s.task.finish(end, l.opt)
				*s = slot{since: end}
			}
		}
		if !l.startHead(now) {
			return
		}
	}
}

// startHead starts the first waiting task if it was due to start by now.
func (l *lane) startHead(now time.Time) bool {
	free := l.freeSlot()
	if free == nil || len(l.waiting) == 0 {
		return false
	}
	head := l.waiting[0]
	at := head.submitted.Add(l.opt.faster(l.opt.StartDelay))
	if free.since.After(at) {
		at = free.since
	}
	if at.After(now) {
		return false
	}
	l.waiting = l.waiting[1:]
	head.status, head.scheduled = statusRunning, at
	free.task = head
	return true
}

// freeSlot is the slot that has been free longest, nil when all are taken.
func (l *lane) freeSlot() *slot {
	var best *slot
	for i := range l.slots {
		s := &l.slots[i]
		if s.task == nil && (best == nil || s.since.Before(best.since)) {
			best = s
		}
	}
	return best
}

// withdraw takes a PENDING task out of the queue.
func (l *lane) withdraw(t *task) {
	for i, w := range l.waiting {
		if w == t {
			l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
			return
		}
	}
}
