package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/wanbatch/wanbatch/pipeline"
)

// live shows on a terminal how a batch is doing: a [panel] that is drawn again as
// things happen and as time passes, and log lines above it. It is safe for
// concurrent use, and nobody who calls it waits for the terminal, which a person
// may have stopped with Ctrl-S: one goroutine does all the drawing.
type live struct {
	panel panel
	speed float64 // of the batch's clock
	color bool
	zone  *time.Location // of times of day

	mu      sync.Mutex // guards what follows
	known   bool       // something was shown
	halted  bool       // a person has stopped the batch
	now     frameState
	at      time.Time // of now.Progress, by the wall clock
	pending []byte    // text that is to appear above

	resumed    <-chan os.Signal
	wake       chan struct{} // something is worth drawing at once
	quit, done chan struct{}

	// The drawing goroutine's own.
	columns, rows int       // of the terminal when it was looked at last
	turned        time.Time // when they changed
	writeErr      error     // first failure to write: nothing more is drawn
}

// drawGap is how often the panel is looked after. It is drawn only if it changed.
const drawGap = 200 * time.Millisecond

// resizeSettle is how long a terminal keeps its size before it is drawn on again. While a
// person drags its edge, tmux has rearranged the rows up to 250 ms before it says so:
// what is drawn meanwhile is drawn over the wrong ones.
const resizeSettle = 300 * time.Millisecond

// problemsKept is how many problems are remembered.
const problemsKept = 20

// newLive starts drawing; close ends it. resumed tells that others may have written
// to the terminal; it may be nil.
func newLive(p panel, speed float64, color bool, resumed <-chan os.Signal) *live {
	l := &live{panel: p, speed: speed, color: color, resumed: resumed, zone: time.Local, now: frameState{rates: rates{}},
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// show takes in what an event says of the batch.
func (l *live) show(e pipeline.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known {
		l.known = true
		l.now.began = time.Now()
		l.requestDraw()
	}
	l.now.Progress, l.at = e.Progress, time.Now()
	l.now.rates.sample(e.Progress.Fetching, l.at)
	l.now.problems.take(e, l.at)
}

// halt tells that a person has stopped the batch, which the next event says only
// when there is one.
func (l *live) halt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.halted = true
	l.requestDraw()
}

// Write makes whole lines appear above the panel.
func (l *live) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = append(l.pending, text...)
	l.requestDraw()
	return len(text), nil
}

// requestDraw makes the goroutine draw at once. The lock is held.
func (l *live) requestDraw() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// close clears the panel away, so that what follows stands below the log lines.
func (l *live) close() {
	close(l.quit)
	<-l.done
}

func (l *live) run() {
	defer close(l.done)
	l.columns, l.rows = l.panel.size()
	restore := l.panel.hold()
	defer func() { restore() }()
	ticker := time.NewTicker(drawGap)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-l.wake:
		case <-l.resumed:
			l.panel.forget() // a shell has written below it meanwhile
			restore()
			restore = l.panel.hold()
		case <-l.quit:
			l.draw(true)
			return
		}
		l.draw(false)
	}
}

// draw brings the terminal up to date.
func (l *live) draw(last bool) {
	columns, rows := l.panel.size()
	if columns != l.columns || rows != l.rows {
		l.columns, l.rows, l.turned = columns, rows, time.Now()
	}
	if !last && time.Since(l.turned) < resizeSettle {
		return
	}
	above, lines := l.compose(columns, rows)
	if last {
		lines = nil
	}
	if l.writeErr == nil {
		l.writeErr = l.panel.draw(above, lines)
	}
}

// compose composes what is to be drawn. It alone needs the lock; writing does not.
func (l *live) compose(columns, rows int) (above, lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) > 0 {
		for line := range strings.SplitSeq(strings.TrimSuffix(string(l.pending), "\n"), "\n") {
			above = append(above, wrap(line, columns-1)...)
		}
		l.pending = nil
	}
	if !l.known {
		return above, nil
	}
	now := time.Now()
	s := l.now
	if l.halted && s.Stop == "" {
		s.Stop = "interrupted"
	}
	s.past = time.Duration(float64(now.Sub(l.at)) * l.speed)
	s.clock, s.fast, s.color = now.In(l.zone), l.speed != 1, l.color
	return above, s.frame(columns-1, rows-1)
}

// problem is something that went wrong with a job, or a trouble that goes on.
type problem struct {
	kind      pipeline.EventKind
	op        string // of a trouble, the call that met it
	job, text string
	times     int
	at        time.Time // the last time, by the wall clock
}

// problems are the latest ones, newest first. Of each call's troubles there is one,
// as long as it lasts.
type problems []problem

// take adds what an event tells, and drops what it proves to be over.
func (p *problems) take(e pipeline.Event, now time.Time) {
	over, settled := proves(e.Kind), e.Kind == pipeline.EventAbsent || e.Kind == pipeline.EventAdopted || e.Kind == pipeline.EventQuarantined
	*p = slices.DeleteFunc(*p, func(old problem) bool {
		return slices.Contains(over, old.op) ||
			old.job == clean(e.Job) && (e.Kind == pipeline.EventStored || settled && old.kind == pipeline.EventUnanswered)
	})
	level, text := describe(e)
	if level < zerolog.WarnLevel {
		return
	}
	n := problem{kind: e.Kind, job: e.Job, text: text, times: 1, at: now}
	switch e.Kind {
	case pipeline.EventTrouble:
		n.op, n.text = e.By, e.Message
		if i := slices.IndexFunc(*p, func(old problem) bool { return old.op == n.op }); i >= 0 {
			n.times += (*p)[i].times
			*p = slices.Delete(*p, i, i+1)
		}
	case pipeline.EventEnded:
		n.text = joinWords("failed, not charged", joinWords(e.Code, e.Message))
	case pipeline.EventRefused:
		n.text = joinWords("create refused", joinWords(e.Code, e.Message))
	}
	n.job, n.text = clean(n.job), clean(address.ReplaceAllString(n.text, ""))
	*p = slices.Insert(*p, 0, n)
	*p = (*p)[:min(len(*p), problemsKept)]
}

// address finds the URL in a message: it takes a line and helps nobody there.
var address = regexp.MustCompile(`https?://\S+ `)

// rates tells how fast downloads are, by what came within the last seconds.
type rates map[string][]sample

type sample struct {
	at    time.Time
	bytes int64
}

// rateWindow is what "the last seconds" are.
const rateWindow = 5 * time.Second

// sample takes in how far the downloads are, and forgets those that are over.
func (r rates) sample(downloads []pipeline.Download, now time.Time) {
	over := make(map[string]bool, len(r))
	for job := range r {
		over[job] = true
	}
	for _, d := range downloads {
		delete(over, d.Job)
		s := r[d.Job]
		if n := len(s); n == 0 || s[n-1].bytes != d.Bytes {
			r[d.Job] = append(s, sample{now, d.Bytes})
		}
	}
	for job := range over {
		delete(r, job)
	}
}

// of returns bytes per second, 0 if unknown or none came lately.
func (r rates) of(job string, now time.Time) float64 {
	s := r[job]
	for len(s) > 1 && now.Sub(s[1].at) > rateWindow {
		s = s[1:]
	}
	if len(s) == 0 {
		return 0
	}
	r[job] = s
	first, last := s[0], s[len(s)-1]
	if passed := now.Sub(first.at).Seconds(); passed > 0.1 {
		return float64(last.bytes-first.bytes) / passed
	}
	return 0
}
