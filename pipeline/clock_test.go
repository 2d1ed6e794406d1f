package pipeline

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// The core's time starts at the wall clock or the newest event, whichever is later,
// and goes on with the time that passes. So a journal from an hour ahead (a clock
// was put back since) neither stands still for an hour nor goes backwards.
func TestClockGoesOnFromTheNewestEvent(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, 0, time.Hour} {
		for _, speed := range []float64{1, 60} {
			synctest.Test(t, func(t *testing.T) {
				core := batch.New(batch.Settings{}, nil)
				if err := core.Apply(batch.Event{Kind: batch.Closed, At: time.Now().Add(ahead)}); err != nil {
					t.Fatal(err)
				}
				start := time.Now().Add(max(ahead, 0))
				c := newClock(core, speed, testHooks{}.wall)
				if got := c.now(); !got.Equal(start) {
					t.Errorf("newest event %v ahead: starts at %v, want %v", ahead, got, start)
				}
				later := start.Add(time.Duration(speed) * 5 * time.Minute)
				if got := c.until(later); got != 5*time.Minute {
					t.Errorf("newest event %v ahead, speed %v: %v until then, want 5m", ahead, speed, got)
				}
				time.Sleep(5 * time.Minute) // of the bubble's time
				if got := c.now(); !got.Equal(later) {
					t.Errorf("newest event %v ahead, speed %v: after 5m it is %v, want %v", ahead, speed, got, later)
				}
			})
		}
	}
}

// A wall clock that is put forward or back while a run goes on moves no deadline.
func TestWallClockMayJump(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		wrong := time.Duration(0)
		c := newClock(batch.New(batch.Settings{}, nil), 1, testHooks{wrong: func() time.Duration { return wrong }}.wall)
		wrong = jump
		if passed := c.now().Sub(c.base); passed < 0 || passed > time.Minute {
			t.Errorf("the wall clock jumped by %v, and the core's time by %v", jump, passed)
		}
		if lag := c.lag() - max(0, jump); lag < -time.Minute || lag > time.Minute {
			t.Errorf("the wall clock jumped by %v, which is taken for a sleep of %v", jump, c.lag())
		}
	}
}

// Also a run whose wall clock was behind the journal when it began notices that the
// machine sleeps.
func TestSleepOfARunThatBeganBehind(t *testing.T) {
	wrong := time.Duration(0)
	core := batch.New(batch.Settings{}, nil)
	if err := core.Apply(batch.Event{Kind: batch.Closed, At: time.Now().Add(2 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	c := newClock(core, 1, testHooks{wrong: func() time.Duration { return wrong }}.wall)
	before := c.lag()
	wrong = 30 * time.Hour // the machine sleeps: the wall clock goes on, the monotonic one does not
	if grown := c.lag() - before; grown < 29*time.Hour {
		t.Errorf("30 h of sleep are taken for %v", grown)
	}
}

// A wall clock that is put back by an hour at any point of a run changes nothing of
// what comes of it. One that was an hour ahead until the process died, and is right
// when the next one starts, cannot tell how old things are: then a doubt may be
// quarantined, and no more than that.
func TestClockGoesBackAnHour(t *testing.T) {
	subjects := []string{"three jobs", "reply lost: adopted", "request lost: absent", "failed then retried", "shared lane", "kept in a bucket alone"}
	for i, s := range scenarios() {
		if !slices.Contains(subjects, s.name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			x := &explorer{scenario: s}
			x.plan, x.early = s.plans(t)
			whole := x.play(t, nil, 0, nil)
			right := x.setBack(t, 1, false).at
			step := 5
			if testing.Short() || raceEnabled {
				step = 25
			}
			shared := s
			shared.lane = "false" // what is in doubt may be quarantined
			for tick := 1 + i%step; tick <= whole.ticks; tick += step {
				if l := x.setBack(t, tick, false); l.outcome != whole.outcome || l.at.Sub(right) > 20*time.Minute {
					t.Errorf("set back before number %d of a run, which then takes %v longer: want\n%sgot\n%s", tick, l.at.Sub(right), whole.outcome, l.outcome)
				}
				if l := x.setBack(t, tick, true); !shared.agrees(l, whole.outcome) {
					t.Errorf("set back while the machine was down, dead before number %d, doubts %v: want\n%sgot\n%s", tick, l.doubts, whole.outcome, l.outcome)
				}
			}
		})
	}
}

// setBack tells the story with a clock that is an hour ahead up to a tick: of a life
// that ends there, or goes on.
func (x *explorer) setBack(t *testing.T, tick int, dies bool) (l life) {
	synctest.Test(t, func(t *testing.T) {
		w := x.newWorld(t, x.plan)
		defer w.provider.Close()
		w.early, w.ahead = x.early, time.Hour
		var files []map[string][]byte
		if dies {
			w.dieAt = tick
			_ = x.tell(w, x.plan) // whatever the dead say
			if w.epitaph == "" {
				t.Fatalf("alive after %d ticks", w.ticks)
			}
			w.disk, w.ahead = w.disk.Kill(), 0
			core, report := w.read()
			l.doubts = core.View().InDoubt
			w.wantTrueBill("after the death", report)
			files = append(files, w.artifacts())
			time.Sleep(time.Minute)
		} else {
			w.rightAt = tick
		}
		x.finish(w, x.plan, &l, files)
		l.at = time.Now()
		if w.ahead != 0 {
			t.Errorf("the clock was not set back in %d ticks", l.ticks)
		}
	})
	return l
}
