package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// live is one line at the bottom of a terminal that tells how the batch is
// doing. It is redrawn in place, at every step and every second; log lines written
// to it appear above. It is safe for concurrent use.
type live struct {
	w     io.Writer
	width func() int
	speed float64 // of the batch's clock

	mu    sync.Mutex // guards what follows, keeps writes whole
	known bool       // progress was set once
	last  pipeline.Progress
	at    time.Time // of last, wall clock

	quit, done chan struct{}
}

// clearLine returns to the first column and empties the line.
const clearLine = "\r\x1b[K"

// newLive starts a line on w; close ends it.
func newLive(w io.Writer, width func() int, speed float64) *live {
	l := &live{w: w, width: width, speed: speed, quit: make(chan struct{}), done: make(chan struct{})}
	go l.tick()
	return l
}

// tick lets the running task grow older on the screen.
func (l *live) tick() {
	defer close(l.done)
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-second.C:
			l.mu.Lock()
			l.draw()
			l.mu.Unlock()
		case <-l.quit:
			return
		}
	}
}

// show takes the newest progress.
func (l *live) show(p pipeline.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.last, l.at = true, p, time.Now()
	l.draw()
}

// Write prints whole lines above the live one.
func (l *live) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := fmt.Fprintf(l.w, "%s%s", clearLine, text)
	l.draw()
	return len(text), err
}

// close stops redrawing and leaves the line as it is, finished.
func (l *live) close() {
	close(l.quit)
	<-l.done
	if l.known {
		_, _ = io.WriteString(l.w, "\n")
	}
}

// draw shows the line again. The lock is held. One column stays free: some
// terminals wrap when the last one is filled.
func (l *live) draw() {
	if !l.known {
		return
	}
	since := time.Duration(float64(time.Since(l.at)) * l.speed)
	_, _ = io.WriteString(l.w, clearLine+liveLine(l.last, since, l.width()-1))
}

// liveLine is the summary of a progress that was true some time ago, in at most
// so many columns. The less room, the fewer words.
func liveLine(p pipeline.Progress, since time.Duration, room int) string {
	done := fmt.Sprintf("%d/%d done", p.States["done"], p.Jobs)
	long, brief, wrong := states(p), moving(p)+bad(p), bad(p)
	task, age := watched(p, since)
	cash := cashOf(p)
	left := ""
	if p.Left > 0 {
		left = "eta " + short(p.Left-since)
	}
	var line string
	for _, parts := range [][]string{
		{done + long, task, cash, left},
		{done + brief, task, cash, left},
		{done + brief, age, cash, left},
		{done + wrong, cash, left},
		{done + wrong, cash},
	} {
		line = clean(strings.Join(present(parts), "  "))
		if columns(line) <= room {
			return line
		}
	}
	return cut(line, room)
}

// states lists every state that some job is in, apart from done.
func states(p pipeline.Progress) string {
	var b strings.Builder
	for _, state := range stateNames() {
		if n := p.States[state]; n > 0 && state != "done" {
			fmt.Fprintf(&b, ", %d %s", n, strings.ReplaceAll(state, "_", " "))
		}
	}
	return b.String()
}

// moving sums up what runs and what waits.
func moving(p pipeline.Progress) string {
	s := p.States
	return some(s["running"], "run") +
		some(s["pending"]+s["submitting"]+s["in_doubt"]+s["queued"]+s["fetching"], "wait")
}

// bad sums up what went wrong.
func bad(p pipeline.Progress) string {
	s := p.States
	return some(s["failed"]+s["lost"], "failed") + some(s["quarantined"], "quarantined")
}

func some(n int, what string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %d %s", n, what)
}

// watched tells of the task that runs longest, with and without its name.
func watched(p pipeline.Progress, since time.Duration) (task, age string) {
	if len(p.Running) == 0 {
		return "", ""
	}
	oldest := p.Running[0]
	for _, w := range p.Running {
		if w.Age > oldest.Age {
			oldest = w
		}
	}
	age = short(oldest.Age+since) + "/" + short(oldest.Expected)
	return cut(clean(oldest.Job), 24) + " " + age, age
}

// cashOf is the batch's money, rounded to cents: billed, held, and the cap if
// there is one.
func cashOf(p pipeline.Progress) string {
	text := "billed " + p.Spent.Round(2).String() + " held " + p.Held.Round(2).String()
	if p.Cap.Valid {
		text += "/" + p.Cap.Decimal.Round(2).String()
	}
	return text + " " + p.Currency
}

// stateNames lists the states of a job in the order of its life.
func stateNames() []string {
	return []string{"pending", "submitting", "in_doubt", "queued", "running", "fetching", "done", "failed", "quarantined", "lost"}
}

func present(parts []string) []string {
	var kept []string
	for _, part := range parts {
		if part != "" {
			kept = append(kept, part)
		}
	}
	return kept
}
