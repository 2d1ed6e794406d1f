package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

// busy is a batch in the middle of everything.
func busy() pipeline.Progress {
	return pipeline.Progress{
		Jobs:   120,
		States: map[pipeline.State]int{"done": 46, "running": 1, "queued": 2, "pending": 68, "failed": 2, "quarantined": 1},
		Billed: decimal.RequireFromString("27.0384"), Held: decimal.RequireFromString("1.92"),
		MaxCost: decimal.NewNullDecimal(decimal.NewFromInt(300)), Currency: "USD",
		Running:  []pipeline.RunningTask{{Job: "alice-salsa", State: "running", Age: 65 * time.Second, Expected: 95 * time.Second}},
		Fetching: []pipeline.Download{{Job: "bo-jump", Bytes: 3 << 20, Total: 12 << 20}},
		Left:     pipeline.TimeRange{Low: 2 * time.Hour, High: 4 * time.Hour},
	}
}

// failed is an event of a task that failed.
func failed(job, reason string, p pipeline.Progress) pipeline.Event {
	return pipeline.Event{Kind: "ended", Status: "FAILED", Job: job, Code: "InvalidVideo.NoHuman", Message: reason, Progress: p}
}

// onScreen runs a live view on a screen, in virtual time, with UTC on the clock.
func onScreen(t *testing.T, s *screen, speed float64, do func(*live)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLive(panel{w: s, size: s.size}, speed, true, nil)
		l.zone = time.UTC
		do(l)
		l.close()
	})
	if s.odd+s.part != "" {
		t.Errorf("the terminal was sent %q, and %q to no end", s.odd, s.part)
	}
}

// tick lets time pass until everything is drawn.
func tick(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestLive(t *testing.T) {
	s := newScreen(80, 24)
	fmt.Fprintln(s, "$ wanbatch run spring.yaml\r")
	onScreen(t, s, 1, func(l *live) {
		fmt.Fprintln(l, "before")
		l.show(pipeline.Event{Kind: "running", Progress: busy()})
		l.show(failed("carl-salsa", "The input video has no human body.", busy()))
		tick(10 * time.Second)
		p := busy()
		p.Fetching[0].Bytes += 4 << 20
		l.show(pipeline.Event{Kind: "fetching", Progress: p})
		fmt.Fprintln(l, "a long line of a log that does not fit into the eighty columns of this terminal is broken")
		tick(2 * time.Second)
		seen, _ := s.text()
		want := `$ wanbatch run spring.yaml
before
a long line of a log that does not fit into the eighty columns of this terminal
    is broken
[###########################!?>..........................................]  38%
# 46 done  ! 2 failed  ? 1 quarantined  > 3 under way  . 68 waiting
billed 27.04   held 1.92   cap 300.00 USD
eta 1h59m to 3h59m, 02:00 to 04:00   started 12s ago
tasks (1 of 3, 2 waiting their turn)
  alice-salsa   running   1m07s   ends in 28s, 00:00:40
downloads
  bo-jump       7.3 MB of 13 MB   58%   350 kB/s
problems
  12s ago  carl-salsa  failed, not charged: InvalidVideo.NoHuman: The input
    video has no human body.`
		if seen != want {
			t.Errorf("on the screen:\n%s\nwant:\n%s", seen, want)
		}
	})
	seen, kept := s.text()
	want := `$ wanbatch run spring.yaml
before
a long line of a log that does not fit into the eighty columns of this terminal
    is broken`
	if seen != want || kept != "" {
		t.Errorf("afterwards:\n%s\nkept: %q\nwant:\n%s", seen, kept, want)
	}
}

// Time passes on the screen by the batch's clock, and a task that takes too long
// is said to.
func TestLiveAges(t *testing.T) {
	s := newScreen(80, 24)
	onScreen(t, s, 10, func(l *live) {
		l.show(pipeline.Event{Kind: "running", Progress: busy()})
		for _, step := range []struct {
			passes time.Duration
			want   []string
		}{
			{time.Second, []string{"running   1m15s   ends in 20s\n", "eta 1h59m to 3h59m "}},
			{3 * time.Second, []string{"running   1m45s   10s late\n"}},
			{30 * time.Minute, []string{"eta: later than expected"}},
		} {
			tick(step.passes)
			seen, _ := s.text()
			for _, want := range step.want {
				if !strings.Contains(seen, want) {
					t.Errorf("after %v more there is no %q in:\n%s", step.passes, want, seen)
				}
			}
		}
	})
}

// Whatever happens to its size, the terminal shows one panel, and what scrolls by
// above it is whole.
func TestLiveResized(t *testing.T) {
	s := newScreen(100, 30)
	const logged = 12
	onScreen(t, s, 1, func(l *live) {
		l.show(failed("carl-salsa", strings.Repeat("word ", 30), busy()))
		for i, size := range [][2]int{{100, 30}, {60, 30}, {45, 30}, {80, 30}, {200, 50}, {90, 50}} {
			fmt.Fprintf(l, "log line %d\nand more\n", i)
			tick(time.Second)
			s.resize(size[0], size[1])
			tick(time.Second)
			seen, kept := s.text()
			all := kept + "\n" + seen
			if n := strings.Count(all, "]  38%"); n != 1 {
				t.Fatalf("%d panels at %v:\n%s", n, size, all)
			}
			if n := strings.Count(all, "problems\n"); n != 1 {
				t.Fatalf("remains of a panel at %v:\n%s", size, all)
			}
		}
	})
	seen, kept := s.text()
	lines := strings.Fields(strings.NewReplacer("log line", "", "and more", "x").Replace(kept + "\n" + seen))
	if len(lines) != logged {
		t.Errorf("%d lines are left, want the %d that were logged:\n%s\n%s", len(lines), logged, kept, seen)
	}
}

// A panel that starts in the first row, is as tall as the terminal and shrinks
// leaves nothing behind.
func TestLiveFull(t *testing.T) {
	s := newScreen(60, 12)
	onScreen(t, s, 1, func(l *live) {
		p := busy()
		for i := range 40 {
			p.Running = append(p.Running, pipeline.RunningTask{Job: fmt.Sprintf("job-%02d", i), State: "queued", Expected: time.Minute})
		}
		for i := range 5 {
			p.Running = p.Running[:len(p.Running)-i]
			l.show(failed("x", "y", p))
			tick(time.Second)
			seen, kept := s.text()
			if kept != "" || strings.Count(seen, "\n") != 10 || !strings.Contains(seen, " of 4") && !strings.Contains(seen, " of 3") {
				t.Fatalf("kept %q, seen:\n%s", kept, seen)
			}
		}
		p.Running, p.Fetching = nil, nil
		l.show(pipeline.Event{Kind: "stored", Job: "x", Progress: p})
		tick(time.Second)
		if seen, kept := s.text(); kept != "" || strings.Count(seen, "\n") != 3 {
			t.Errorf("kept %q, seen:\n%s", kept, seen)
		}
	})
	if seen, kept := s.text(); seen+kept != "" {
		t.Errorf("afterwards: %q, %q", seen, kept)
	}
}

// A terminal that was stopped with Ctrl-S stops nobody, and shows everything when
// it goes on.
func TestLiveStopped(t *testing.T) {
	s := newScreen(80, 24)
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		l := newLive(panel{w: slow{s, goOn}, size: s.size}, 1, false, nil)
		l.show(pipeline.Event{Kind: "running", Progress: busy()})
		synctest.Wait() // it hangs in its first write
		for i := range 100 {
			l.show(pipeline.Event{Kind: "running", Progress: busy()})
			fmt.Fprintf(l, "line %d\n", i)
		}
		close(goOn)
		l.close()
	})
	seen, kept := s.text()
	for i := range 100 {
		if !strings.Contains("\n"+kept+"\n"+seen+"\n", fmt.Sprintf("\nline %d\n", i)) {
			t.Errorf("line %d is missing", i)
		}
	}
}

// slow is a terminal that takes nothing until it is told to go on.
type slow struct {
	to   io.Writer
	goOn <-chan struct{}
}

func (s slow) Write(b []byte) (int, error) {
	<-s.goOn
	return s.to.Write(b)
}

// At every size a frame fits, and says what matters most.
func TestFrameFits(t *testing.T) {
	p := busy()
	for i := range 40 {
		p.Running = append(p.Running, pipeline.RunningTask{Job: strings.Repeat("舞", i%20), State: "queued"})
	}
	sc := frameState{Progress: p, rates: rates{}, color: true, clock: time.Unix(0, 0).UTC()}
	for i := range 5 {
		sc.problems.take(failed(fmt.Sprint(i), strings.Repeat("reason \x1b[2J", 20), p), sc.clock)
	}
	for wide := 0; wide < 220; wide += 1 + wide/10 {
		for high := 0; high < 60; high += 1 + high/10 {
			lines := sc.frame(wide, high)
			if len(lines) > high {
				t.Fatalf("%d lines in %d rows", len(lines), high)
			}
			text := strings.Join(lines, "\n")
			if wide >= 12 && high >= 1 && !strings.Contains(text, "46") {
				t.Fatalf("%dx%d does not tell how much is done:\n%s", wide, high, text)
			}
			for _, line := range lines {
				if visible(line) > wide || strings.Contains(line, "\x1b[2J") {
					t.Fatalf("%d columns in %d: %q", visible(line), wide, line)
				}
			}
		}
	}
	if text := strings.Join(sc.frame(80, 50), "\n"); !strings.Contains(text, "tasks (37 of 41)") {
		t.Errorf("a long list is not cut:\n%s", text)
	}
}

// Every task at the provider is shown or counted.
func TestFrameCountsTasks(t *testing.T) {
	for _, size := range []struct{ wide, high int }{{79, 23}, {39, 11}} {
		for running := 1; running <= 12; running++ {
			for ahead := range 3 {
				for _, with := range []pipeline.Progress{{}, busy()} {
					p := pipeline.Progress{Jobs: 120, States: map[pipeline.State]int{"running": 1, "queued": running - 1 + ahead, "fetching": len(with.Fetching)}, Fetching: with.Fetching}
					for i := range running {
						p.Running = append(p.Running, pipeline.RunningTask{Job: fmt.Sprintf("job-%02d", i), State: "running", Expected: time.Minute})
					}
					text := strings.Join(frameState{Progress: p, rates: rates{}}.frame(size.wide, size.high), "\n")
					shown, want := strings.Count(text, "\n  job-"), "\ntasks\n"
					if all := running + ahead; shown < all {
						want = fmt.Sprintf("\ntasks (%d of %d%s)\n", shown, all, some(ahead, "waiting their turn"))
					}
					if shown == 0 || size.high > 20 && shown < running || !strings.Contains(text, want) {
						t.Errorf("%d running, %d ahead: %d shown, want %q in:\n%s", running, ahead, shown, want, text)
					}
				}
			}
		}
	}
}

// On a small terminal each line keeps what matters, and none says it twice.
func TestFrameSmall(t *testing.T) {
	p := busy()
	p.Fetching[0].Bytes = 1
	got := strings.Join(frameState{Progress: p, fast: true, rates: rates{}}.frame(39, 11), "\n")
	want := `[############!?>.................]  38%
46/120 done, 2 failed, 1 quarantined
billed 27.04 + held 1.92 of 300 USD
eta 2h00m to 4h00m   started 0s ago
tasks (1 of 3, 2 waiting their turn)
  alice-salsa   ends in 30s
downloads
  bo-jump       1 byte of 13 MB   0%`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestBar(t *testing.T) {
	for _, tt := range []struct {
		states map[pipeline.State]int
		want   string
	}{
		{map[pipeline.State]int{"pending": 4}, "[....................]   0%"},
		{map[pipeline.State]int{"done": 2, "running": 1, "pending": 1}, "[##########>>>>>.....]  50%"},
		{map[pipeline.State]int{"done": 9999, "lost": 1}, "[###################!]  99%"},
		{map[pipeline.State]int{"pending": 9999, "in_doubt": 1}, "[>...................]   0%"},
		{map[pipeline.State]int{"done": 4}, "[####################] 100%"},
		{nil, "[....................]   0%"},
	} {
		jobs := 0
		for _, n := range tt.states {
			jobs += n
		}
		if got := (frameState{Progress: pipeline.Progress{Jobs: jobs, States: tt.states}}).bar(27); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.states, got, tt.want)
		}
	}
}

// The newest problems stand first; one that is over is gone.
func TestProblems(t *testing.T) {
	var p problems
	var now time.Time
	for _, e := range []pipeline.Event{
		failed("a", "one", pipeline.Progress{}),
		{Kind: "trouble", By: "query", Job: "b", Message: "query https://host/1: no route"},
		{Kind: "unanswered", Job: "c", Message: "create https://host/api: EOF"},
		{Kind: "trouble", By: "query", Job: "c", Message: "query https://host/2: no route"},
		{Kind: "trouble", By: "fetch", Job: "a", Message: "disk full"},
		failed("b", "two\x1b[31m", pipeline.Progress{}),
	} {
		p.take(e, now)
	}
	var got []string
	for _, one := range p {
		got = append(got, fmt.Sprint(one.job, one.times, one.text))
	}
	want := []string{
		"b1failed, not charged: InvalidVideo.NoHuman: two[31m", "a1disk full",
		"c1create in doubt, checking the provider's task lists: create EOF", "a1failed, not charged: InvalidVideo.NoHuman: one",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, e := range []pipeline.Event{{Kind: "adopted", Job: "c"}, {Kind: "stored", Job: "a"}} {
		p.take(e, now)
	}
	if len(p) != 1 || p[0].job != "b" {
		t.Errorf("left: %v", p)
	}
}

// A batch that was stopped promises no end of what it will not do.
func TestLiveHalted(t *testing.T) {
	s := newScreen(80, 24)
	onScreen(t, s, 1, func(l *live) {
		l.show(pipeline.Event{Kind: "running", Progress: busy()})
		l.halt()
		tick(time.Second)
		if seen, _ := s.text(); !strings.Contains(seen, "cap 300.00 USD   no new tasks: interrupted\n") || strings.Contains(seen, "eta") {
			t.Error(seen)
		}
	})
	p := busy()
	p.Stop = "interrupted"
	if line := (frameState{Progress: p}).line(200); strings.Contains(line, "eta") {
		t.Error(line)
	}
}

// A person who drags the edge of a terminal makes it rearrange its rows again and
// again, a while before it tells its size: nothing is drawn over the wrong rows.
func TestLiveDragged(t *testing.T) {
	s := newScreen(100, 30)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		wide, high := s.size()
		told := func() (int, int) {
			mu.Lock()
			defer mu.Unlock()
			return wide, high
		}
		l := newLive(panel{w: s, size: told}, 1, false, nil)
		l.show(failed("carl-salsa", strings.Repeat("word ", 30), busy()))
		fmt.Fprintln(l, "a log line")
		tick(time.Second)
		for i := range 30 {
			s.resize(98-2*i, 30-i/3)
			if i%3 == 0 {
				mu.Lock()
				wide, high = s.size()
				mu.Unlock()
			}
			tick(80 * time.Millisecond)
			fmt.Fprintln(l, "log line", i)
		}
		mu.Lock()
		wide, high = s.size()
		mu.Unlock()
		tick(time.Second)
		seen, kept := s.text()
		all := kept + "\n" + seen
		if n := strings.Count(all, "]  38%\n"); n != 1 || strings.Count(all, "problems\n") != 1 {
			t.Errorf("%d panels:\n%s", n, all)
		}
		if n := strings.Count(all, "log line"); n != 31 {
			t.Errorf("%d log lines of 31:\n%s", n, all)
		}
		l.close()
	})
}

// A terminal that gets shorter than the panel keeps no row of it in sight.
func TestLiveShorter(t *testing.T) {
	for high := 19; high > 5; high-- {
		s := newScreen(100, 20)
		onScreen(t, s, 1, func(l *live) {
			p := busy()
			for i := range 40 {
				p.Running = append(p.Running, pipeline.RunningTask{Job: fmt.Sprintf("job-%02d", i), State: "queued", Expected: time.Minute})
			}
			l.show(pipeline.Event{Kind: "running", Progress: p})
			fmt.Fprintln(l, "one\ntwo\nthree")
			tick(time.Second)
			s.resize(100, high)
			tick(time.Second)
			if seen, _ := s.text(); strings.Count(seen, "tasks (") != 1 || strings.Count(seen, "#") != strings.Count(seen[:strings.Index(seen, "tasks")], "#") || strings.Count(seen, "]  38%\n") != 1 {
				t.Errorf("in %d rows:\n%s", high, seen)
			}
		})
	}
}
