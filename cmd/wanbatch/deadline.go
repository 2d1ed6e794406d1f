package main

import "time"

// parseDeadline reads an instant (RFC 3339), a time of day, which is the next such
// one by the clock of this machine, or how long from now. "" is none.
func parseDeadline(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if !at.After(now) {
			return time.Time{}, usagef("--deadline %s has passed", text)
		}
		return at, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		if d <= 0 {
			return time.Time{}, usagef("--deadline %s is not in the future", text)
		}
		return now.Add(d), nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if clock, err := time.Parse(layout, text); err == nil {
			at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
			if !at.After(now) {
				at = time.Date(now.Year(), now.Month(), now.Day()+1, clock.Hour(), clock.Minute(), clock.Second(), 0, now.Location())
			}
			return at, nil
		}
	}
	return time.Time{}, usagef("--deadline %q is neither a time like 06:00 or 2006-01-02T06:00:00+08:00, nor a duration like 8h", text)
}
