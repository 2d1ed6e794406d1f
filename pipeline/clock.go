package pipeline

import (
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// clock is the core's time: it starts at the wall clock, but never before the
// newest event, and goes on by the monotonic clock. So a wall clock that jumps
// moves no deadline.
type clock struct {
	base  time.Time // core time at start
	start time.Time // for its monotonic reading
	speed float64

	wall   func() time.Time // the wall clock
	opened time.Time        // its reading at start
	behind bool             // it was well behind the newest event
}

func newClock(core *batch.Batch, speed float64, wall func() time.Time) clock {
	opened := wall()
	return clock{base: coreTime(core, opened), start: time.Now(), speed: speed,
		wall: wall, opened: opened, behind: speed == 1 && core.Last().Sub(opened) > time.Minute}
}

func (c clock) now() time.Time {
	return c.base.Add(time.Duration(float64(time.Since(c.start)) * c.speed))
}

// coreTime is the time of the wall clock as a batch takes it: never before its
// newest event.
func coreTime(core *batch.Batch, wall time.Time) time.Time {
	wall = wall.UTC().Round(0)
	if last := core.Last(); last.After(wall) {
		return last
	}
	return wall
}

// lag is how far now lags behind the wall clock: the monotonic clock stands still
// while the machine sleeps. A wall clock that was behind the journal at opening
// cannot tell how much time has passed since, so then any may have.
func (c clock) lag() time.Duration {
	slept := c.wall().Sub(c.opened) - time.Since(c.start)
	lag := max(0, time.Duration(float64(slept)*c.speed))
	if c.behind {
		return unknownLag + lag
	}
	return lag
}

// unknownLag is longer than any task lives.
const unknownLag = 100 * 365 * 24 * time.Hour

// until is how long to wait, by the wall clock, until core time t.
func (c clock) until(t time.Time) time.Duration {
	return time.Duration(float64(t.Sub(c.now())) / c.speed)
}
