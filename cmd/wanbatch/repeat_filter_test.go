package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

// A trouble that lasts is told at first and now and then, its end too, and one that
// comes and goes is not told each time.
func TestRepeats(t *testing.T) {
	var b bytes.Buffer
	log := zerolog.New(zerolog.ConsoleWriter{Out: &b, NoColor: true, PartsExclude: []string{"time"}, FieldsExclude: []string{"by"}})
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	r := repeatFilter{}
	send := func(e pipeline.Event) {
		now = now.Add(30 * time.Second)
		if e.Time = now; r.shouldLog(log, e) {
			logEvent(log, e)
		}
	}
	for range 30 {
		send(pipeline.Event{Kind: "trouble", By: "create", Message: "no space left on device"})
	}
	send(pipeline.Event{Kind: "accepted", Job: "a"})
	for i := range 10 {
		send(pipeline.Event{Kind: "trouble", By: "query", Job: "a", Message: fmt.Sprintf("query http://host/%d: HTTP 429 (request %d)", i, i)})
		send(pipeline.Event{Kind: "running", Job: "b"})
	}
	now = now.Add(time.Hour)
	send(pipeline.Event{Kind: "trouble", By: "create", Message: "no space left on device"})
	want := `WRN failed, will retry: no space left on device
WRN still failing after 21 tries in 10m00s, retrying: no space left on device
INF works again after 30 tries in 15m00s
INF task accepted job=a
WRN failed, will retry: query http://host/0: HTTP 429 (request 0) job=a
` + strings.Repeat("INF task running job=b\n", 10) + `WRN failed, will retry: no space left on device
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

// Wrapped text fits, and is the same text.
func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := clean(rapid.StringMatching(`[a-z 舞\x1b]{0,60}`).Draw(t, "text"))
		red := rapid.Bool().Draw(t, "red")
		painted := text
		if red {
			painted = "\x1b[31m" + text + "\x1b[0m"
		}
		room := rapid.IntRange(4, 30).Draw(t, "room")
		lines := wrap(painted, room)
		var b strings.Builder
		for _, line := range lines {
			if n := visible(line); n > room {
				t.Fatalf("%d columns in %d: %q", n, room, line)
			}
			b.WriteString(line)
		}
		bare := func(s string) string {
			return strings.NewReplacer(" ", "", "\x1b[31m", "", "\x1b[0m", "").Replace(s)
		}
		if bare(b.String()) != bare(text) {
			t.Fatalf("%q became %q", text, lines)
		}
	})
}

func TestWrapAt(t *testing.T) {
	for _, tt := range []struct {
		text string
		room int
		want string
	}{
		{"one two three", 20, "one two three"},
		{"one two three", 8, "one two|    thre|    e"},
		{"  in front of it", 9, "  in|    front|    of it"},
		{"abcdefghijklmnop", 8, "abcdefgh|    ijkl|    mnop"},
		{"", 8, ""},
	} {
		if got := strings.Join(wrap(tt.text, tt.room), "|"); got != tt.want {
			t.Errorf("%q at %d: %q, want %q", tt.text, tt.room, got, tt.want)
		}
	}
}

func TestClockRange(t *testing.T) {
	now := time.Date(2026, 11, 26, 18, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		low, high time.Duration
		want      string
	}{
		{time.Minute, time.Minute, "18:01"},
		{time.Hour, 2 * time.Hour, "19:00 to 20:00"},
		{time.Hour, 8 * time.Hour, "Thu 19:00 to Fri 02:00"},
		{200 * time.Hour, 200 * time.Hour, "2026-12-05 02:00"},
	} {
		if got := clockRange(now, tt.low, tt.high); got != tt.want {
			t.Errorf("%v to %v: %q, want %q", tt.low, tt.high, got, tt.want)
		}
	}
}
