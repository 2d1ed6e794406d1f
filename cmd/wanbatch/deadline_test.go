package main

import (
	"testing"
	"time"
)

func TestParseDeadline(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err) // a machine without time zones
	}
	now := time.Date(2026, 10, 24, 22, 30, 0, 0, berlin) // the clock is put back at night
	for text, want := range map[string]string{
		"06:00":                     "2026-10-25T06:00:00+01:00",
		"22:29:59":                  "2026-10-25T22:29:59+01:00",
		"22:30":                     "2026-10-25T22:30:00+01:00",
		"22:31":                     "2026-10-24T22:31:00+02:00",
		"6:05":                      "2026-10-25T06:05:00+01:00",
		"8h":                        "2026-10-25T05:30:00+01:00",
		"90m":                       "2026-10-25T00:00:00+02:00",
		"2026-10-25T08:00:00+08:00": "2026-10-25T01:00:00+01:00",
		"2026-10-25T00:00:00Z":      "2026-10-25T01:00:00+01:00",
	} {
		at, err := parseDeadline(text, now)
		if err != nil || !at.Equal(mustTime(t, want)) {
			t.Errorf("%s is %v, want %s (%v)", text, at.In(berlin), want, err)
		}
	}
	for _, text := range []string{"soon", "24:00", "6", "0s", "-1h", "2026-10-24T22:30:00+02:00", "2020-01-01T00:00:00Z", "2026-10-25", "06:00 UTC", "1d"} {
		if at, err := parseDeadline(text, now); err == nil || exitCode(err) != 2 {
			t.Errorf("%q is %v: %v", text, at, err)
		}
	}
	if at, err := parseDeadline("", now); !at.IsZero() || err != nil {
		t.Errorf("none is %v: %v", at, err)
	}
}

func mustTime(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
