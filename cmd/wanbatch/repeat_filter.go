package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/wanbatch/wanbatch/pipeline"
)

// repeatFilter keeps a trouble that goes on from being told at every try. It is told at
// first, now and then while it lasts, and when it is over; one that comes and goes is
// not told again for a while.
type repeatFilter map[trouble]*streak

// trouble is what a call met, without the ids and numbers that differ each time.
type trouble struct{ op, what string }

// streak is what became of a trouble.
type streak struct {
	began time.Time // by the batch's clock
	told  time.Time
	tries int // since it began; 0: it is over
}

func (c *streak) soFar(now time.Time) string {
	return fmt.Sprintf("%d tries in %s", c.tries, short(now.Sub(c.began)))
}

// tellAgain is how long a trouble is not told again, and mostTroubles how many are
// remembered.
const (
	tellAgain    = 10 * time.Minute
	mostTroubles = 1000
)

var varying = regexp.MustCompile(`https?://\S+|[0-9a-fA-F-]{6,}|[0-9]+`)

func troubleOf(e pipeline.Event) trouble {
	return trouble{e.By, varying.ReplaceAllString(e.Message, "#")}
}

// shouldLog reports whether an event is worth telling. What is over it tells itself.
func (r repeatFilter) shouldLog(log zerolog.Logger, e pipeline.Event) bool {
	if e.Kind != pipeline.EventTrouble {
		r.settle(log, e)
		return true
	}
	if len(r) >= mostTroubles {
		clear(r)
	}
	t := troubleOf(e)
	c, known := r[t]
	if !known {
		c = &streak{}
		r[t] = c
	}
	if c.tries++; c.tries == 1 {
		c.began = e.Time
	}
	if known && e.Time.Sub(c.told) < tellAgain {
		return false
	}
	c.told = e.Time
	if c.tries > 1 {
		logEventAs(log, zerolog.WarnLevel, fmt.Sprintf("still failing after %s, retrying: %s", c.soFar(e.Time), e.Message),
			pipeline.Event{Time: e.Time, By: t.op})
		return false
	}
	return true
}

// settle takes in what an event proves to be over.
func (r repeatFilter) settle(log zerolog.Logger, e pipeline.Event) {
	over := proves(e.Kind)
	for t, c := range r {
		if c.tries == 0 || !slices.Contains(over, t.op) {
			continue
		}
		if c.tries > 1 && e.Time.Sub(c.began) > time.Minute {
			logEventAs(log, zerolog.InfoLevel, "works again after "+c.soFar(e.Time), pipeline.Event{Time: e.Time, By: t.op})
		}
		c.tries = 0
	}
}

// proves lists the calls that work again when an event of this kind is seen.
func proves(kind pipeline.EventKind) []string {
	switch kind {
	case pipeline.EventAccepted:
		return []string{"create"}
	case pipeline.EventRunning, pipeline.EventEnded:
		return []string{"query", "list"}
	case pipeline.EventUploaded:
		return []string{"upload"}
	case pipeline.EventStored:
		return []string{"fetch"}
	}
	return nil
}
