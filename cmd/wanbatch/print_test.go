package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b]0;title\a", "a\nb", "\u009b31m", "\u202egnp.exe", "\xff", "舞踊"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		if !utf8.ValidString(got) {
			t.Errorf("clean(%q) = %q is not UTF-8", text, got)
		}
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e {
				t.Errorf("clean(%q) keeps %U", text, r)
			}
		}
		if short := cut(got, 10); columns(short) > 10 {
			t.Errorf("cut(%q, 10) = %q takes %d columns", got, short, columns(short))
		}
	})
}

func TestDurations(t *testing.T) {
	tests := []struct {
		d            time.Duration
		short, plain string
	}{
		{-time.Second, "0s", "-1s"},
		{50 * time.Millisecond, "0s", "50ms"},
		{59600 * time.Millisecond, "1m00s", "59.6s"},
		{2 * time.Minute, "2m00s", "2m"},
		{90 * time.Second, "1m30s", "1m30s"},
		{24 * time.Hour, "1d00h", "24h"},
		{11*time.Hour + 5*time.Minute, "11h05m", "11h5m"},
	}
	for _, tt := range tests {
		if got := short(tt.d); got != tt.short {
			t.Errorf("short(%v) = %q, want %q", tt.d, got, tt.short)
		}
		if got := plain(tt.d); got != tt.plain {
			t.Errorf("plain(%v) = %q, want %q", tt.d, got, tt.plain)
		}
	}
}

func TestDates(t *testing.T) {
	start := time.Date(2026, 11, 23, 23, 0, 30, 0, time.UTC)
	for after, want := range map[time.Duration]string{
		10 * time.Second: "2026-11-23 23:00",
		10 * time.Minute: "2026-11-23 23:00 to 23:10",
		2 * time.Hour:    "2026-11-23 23:00 to 2026-11-24 01:00",
	} {
		if got := dates(start, start.Add(after)); got != want {
			t.Errorf("dates over %v = %q, want %q", after, got, want)
		}
	}
}

func TestLabeledFits(t *testing.T) {
	var b bytes.Buffer
	p := &printer{w: &b}
	p.labeled("prices", strings.Repeat("word ", 40)+strings.Repeat("x", 100))
	for i, line := range strings.Split(strings.TrimRight(b.String(), "\n"), "\n") {
		if columns(line) > 80 && !strings.Contains(line, "xxx") {
			t.Errorf("line %d has %d columns: %q", i, columns(line), line)
		}
	}
	if got := strings.Count(b.String(), "word"); got != 40 {
		t.Errorf("%d of 40 words are left", got)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	(&printer{w: &b}).table([][]string{{"mode", "jobs", "USD"}, {"wan-std", "5", "2.328"}, {"舞", "10", "0.9"}})
	want := "  mode      jobs     USD\n  wan-std      5   2.328\n  舞          10     0.9\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestParseMoney(t *testing.T) {
	tests := []struct{ text, want string }{
		{"40", "40"}, {"40.50", "40.5"}, {"0.1", "0.1"}, {"40 USD", "40"}, {"40usd", "40"},
		{"9007199254740993.000000001", "9007199254740993.000000001"},
		{"-1", "error"}, {"1e3", "error"}, {".5", "error"}, {"5.", "error"}, {"40 EUR", "error"}, {"$40", "error"}, {"40  USD", "error"},
	}
	for _, tt := range tests {
		got, err := parseMoney(tt.text, "USD")
		text := got.Decimal.String()
		if err != nil {
			text = "error"
		}
		if text != tt.want || err == nil != got.Valid {
			t.Errorf("parseMoney(%q) = %s (%v), want %s", tt.text, text, err, tt.want)
		}
	}
}

// A command is never broken: it is there to be pasted.
func TestCommandLines(t *testing.T) {
	var b bytes.Buffer
	p := &printer{w: &b}
	p.command("continue", "wanbatch run a.yaml", "goes on")
	long := "wanbatch run \"" + strings.Repeat("long  name ", 9) + "\""
	p.command("continue", long, "goes on")
	p.command("", long, "")
	want := "  continue  wanbatch run a.yaml goes on\n  continue  " + long + "\n            goes on\n            " + long + "\n"
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
}

// Why nobody works on a batch is told, also where nothing could be recorded.
func TestPresence(t *testing.T) {
	ran := pipeline.Report{Lane: pipeline.ReportLane{Endpoint: "http://127.0.0.1:1"}}
	limited, finished, stopped, interrupted := ran, ran, ran, ran
	interrupted.Stopped = &pipeline.RunEnd{Reason: "interrupted", Message: "interrupted; run again to continue"}
	rehearsed := interrupted
	rehearsed.Batch, rehearsed.Lane.KeyFingerprint = "a-rehearsal", "568059cc"
	limited.Stopped = &pipeline.RunEnd{Reason: "finished"}
	finished.Complete = true
	stopped.Stopped = &pipeline.RunEnd{Reason: "key", Message: "stopped by the account: InvalidApiKey"}
	for _, tt := range []struct {
		name   string
		report pipeline.Report
		holder *pipeline.Holder
		want   string
	}{
		{"held", finished, &pipeline.Holder{PID: 42, Host: "here"}, "process 42 on here works on it"},
		{"killed", ran, nil, "killed"},
		{"stopped", stopped, nil, ", by the account: InvalidApiKey"},
		{"limited", limited, nil, "not finished\n  continue  wanbatch run a.yaml goes on with the jobs that are left\n"},
		{"never run", pipeline.Report{}, nil, "not finished\n  continue  wanbatch run a.yaml "},
		{"interrupted", interrupted, nil, ", interrupted\n  continue  wanbatch run a.yaml (with the same flags)\n"},
		{"rehearsed", rehearsed, nil, ", interrupted\n  again     wanbatch rehearse a.yaml\n"},
	} {
		var b bytes.Buffer
		(&printer{w: &b}).presence(&tt.report, tt.holder, func(flags ...string) string { return tt.report.Again("a.yaml", flags...) })
		if !strings.Contains(b.String(), tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, b.String(), tt.want)
		}
	}
	var b bytes.Buffer
	if (&printer{w: &b}).presence(&finished, nil, nil); b.Len() > 0 {
		t.Errorf("finished: %q", b.String())
	}
}

// Large sums make long sentences.
func TestBillKeepsTo80Columns(t *testing.T) {
	r := &pipeline.Report{Batch: "a", Currency: "USD"}
	r.Totals.BilledMax = decimal.RequireFromString("12345.678")
	bill, err := pipeline.NewBill([]*pipeline.Report{r}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	(&printer{w: &b}).bill(bill)
	if !strings.Contains(b.String(), "  at most 12345.678 USD: ") {
		t.Errorf("no maximum in:\n%s", b.String())
	}
	for line := range strings.Lines(b.String()) {
		if n := columns(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// A create in doubt under a key that is refused can be settled by hand, and only there
// that is said: else a run settles it.
func TestDoubtsByHand(t *testing.T) {
	at := time.Date(2026, 10, 1, 12, 0, 0, 0, time.Local)
	r := &pipeline.Report{Stopped: &pipeline.RunEnd{Reason: "key"}, Jobs: []pipeline.Result{
		{ID: "zero", State: pipeline.StateQueued, Attempts: []pipeline.Attempt{{At: at}}},
		{ID: "one", State: pipeline.StateInDoubt, Attempts: []pipeline.Attempt{{At: at.Add(-time.Hour)}, {At: at}}},
		{ID: "two", State: pipeline.StatePending},
	}}
	var b bytes.Buffer
	(&printer{w: &b}).summary(r, "output/the batch", true)
	want := "  one in_doubt: a run with the key of its create may settle it; if that key is gone, settle it from 2026-10-01 13:00:00 on by one of these, of which --resubmit may pay twice\n" +
		"    wanbatch resolve \"output/the batch\" one --adopt TASK\n" +
		"    wanbatch resolve \"output/the batch\" one --resubmit\n" +
		"    wanbatch resolve \"output/the batch\" one --abandon\n"
	if b.String() != want {
		t.Errorf("got:\n%swant:\n%s", b.String(), want)
	}
	for _, other := range []*pipeline.RunEnd{nil, {Reason: "interrupted"}, {Reason: "account"}} {
		b.Reset()
		r.Stopped = other
		if (&printer{w: &b}).summary(r, "output/the batch", true); b.Len() > 0 {
			t.Errorf("%+v: %s", other, b.String())
		}
	}
}
