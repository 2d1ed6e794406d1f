package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// short writes a duration with its two largest units: 45s, 1m05s, 3h12m, 2d04h.
func short(d time.Duration) string {
	s := int64(max(d, 0).Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 60*60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 24*60*60:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// plain writes a setting's duration as a manifest may: 50ms, 15s, 2m, 24h.
func plain(d time.Duration) string {
	text := d.String()
	for _, unit := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, unit) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// shortRange writes a range of time, once if both ends look the same.
func shortRange(r pipeline.TimeRange) string {
	low, high := short(r.Low), short(r.High)
	if low == high {
		return low
	}
	return low + " to " + high
}

// dates writes when something is expected to end, to the minute, in local time.
func dates(from, to time.Time) string {
	const minute = "2006-01-02 15:04"
	a, b := from.Format(minute), to.Format(minute)
	switch {
	case a == b:
		return a
	case from.Format(time.DateOnly) == to.Format(time.DateOnly):
		return a + " to " + to.Format("15:04")
	}
	return a + " to " + b
}

// clockRange writes the time of day that lies so far ahead, with the day if it is
// another: 18:40, 18:40 to 20:00, Fri 23:50 to Sat 02:10, 2026-12-24 03:00.
func clockRange(now time.Time, low, high time.Duration) string {
	a, b := now.Add(low), now.Add(high)
	layout := "15:04"
	switch {
	case b.Sub(now) > 6*24*time.Hour:
		layout = "2006-01-02 15:04"
	case b.Format(time.DateOnly) != now.Format(time.DateOnly):
		layout = "Mon 15:04"
	}
	from, to := a.Format(layout), b.Format(layout)
	if from == to {
		return from
	}
	return from + " to " + to
}
