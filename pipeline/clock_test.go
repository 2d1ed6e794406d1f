package pipeline

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

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
				c := newClock(core, speed)
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

// A wall clock that is put forward or back while a run goes on moves no deadline. A
// [time.Time] of which the two readings disagree is what such a run sees; short of
// setting the machine's clock, only writing into it can make one.
func TestWallClockMayJump(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 24 * 365 * time.Hour} {
		c := newClock(batch.New(batch.Settings{}, nil), 1)
		before := c.start
		wall := (*uint64)(unsafe.Pointer(&c.start)) // the seconds stand above 30 bits of nanoseconds
		*wall -= uint64(int64(jump/time.Second) << 30)
		if got := before.Round(0).Sub(c.start.Round(0)); got != jump || c.start.Sub(before) != 0 {
			t.Fatalf("the wall clock jumped by %v, want %v: time.Time has another layout now", got, jump)
		}
		if passed := c.now().Sub(c.base); passed < 0 || passed > time.Minute {
			t.Errorf("the wall clock jumped by %v, and the core's time by %v", jump, passed)
		}
	}
}
