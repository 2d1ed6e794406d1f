package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

// busy is a batch in full swing.
func busy() pipeline.Progress {
	return pipeline.Progress{
		Jobs:   120,
		States: map[string]int{"done": 46, "running": 1, "queued": 2, "pending": 68, "failed": 2, "quarantined": 1},
		Spent:  decimal.RequireFromString("27.0384"), Held: decimal.RequireFromString("1.92"),
		Cap: decimal.NewNullDecimal(decimal.NewFromInt(300)), Currency: "USD",
		Running: []pipeline.Watched{{Job: "alice-salsa", Age: 65 * time.Second, Expected: 95 * time.Second}},
		Left:    3*time.Hour + 12*time.Minute,
	}
}

func TestLiveLine(t *testing.T) {
	small := busy()
	small.Jobs, small.States = 6, map[string]int{"done": 2, "running": 1, "queued": 2, "pending": 1}
	wide := busy()
	wide.Running[0].Job = strings.Repeat("舞", 100)
	tests := []struct {
		name string
		p    pipeline.Progress
		room int
		want string
	}{
		{"all words", busy(), 200, "46/120 done, 68 pending, 2 queued, 1 running, 2 failed, 1 quarantined  alice-salsa 1m15s/1m35s  billed 27.04 held 1.92/300 USD  eta 3h11m"},
		{"80 columns", small, 79, "2/6 done 1 run 3 wait  1m15s/1m35s  billed 27.04 held 1.92/300 USD  eta 3h11m"},
		{"80 columns and trouble", busy(), 79, "46/120 done 2 failed 1 quarantined  billed 27.04 held 1.92/300 USD  eta 3h11m"},
		{"narrow", busy(), 20, "46/120 done 2 faile…"},
		{"wide letters", wide, 140, "46/120 done 1 run 70 wait 2 failed 1 quarantined  舞舞舞舞舞舞舞舞舞舞舞… 1m15s/1m35s  billed 27.04 held 1.92/300 USD  eta 3h11m"},
		{"nothing yet", pipeline.Progress{Jobs: 1, Currency: "CNY"}, 79, "0/1 done  billed 0 held 0 CNY"},
	}
	for _, tt := range tests {
		got := liveLine(tt.p, 10*time.Second, tt.room)
		if got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
		if columns(got) > tt.room {
			t.Errorf("%s: %d columns, want at most %d", tt.name, columns(got), tt.room)
		}
	}
}

// A log line stands above the live line, the task grows older by itself, and the
// line is left finished.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		l := newLive(&screen, func() int { return 80 }, 2)
		if _, err := l.Write([]byte("before\n")); err != nil {
			t.Fatal(err)
		}
		p := busy()
		p.States = map[string]int{"running": 1}
		l.show(p)
		if _, err := l.Write([]byte("above\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		l.close()

		var last string
		for _, drawn := range strings.Split(screen.String(), clearLine) {
			last = drawn
		}
		if !strings.HasPrefix(screen.String(), clearLine+"before\n"+clearLine+"0/120") {
			t.Errorf("starts with %q", screen.String()[:40])
		}
		if !strings.Contains(screen.String(), clearLine+"above\n"+clearLine+"0/120") {
			t.Error("the line is not drawn again below a log line")
		}
		if !strings.Contains(last, "1m09s/1m35s") || !strings.HasSuffix(last, "\n") {
			t.Errorf("the line ends as %q, want the age after 2 s at speed 2, and a newline", last)
		}
	})
}
