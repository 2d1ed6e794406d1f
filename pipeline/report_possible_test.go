package pipeline

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// What a task may have cost stays what it was, whatever becomes of its job later, and
// is what the provider tells of it, if anything.
func TestBilledMax(t *testing.T) {
	d := decimal.RequireFromString
	plan := func(key, length string) batch.Event {
		return batch.Event{Kind: batch.Planned, Job: "a", Plan: &batch.Plan{Key: key, Mode: "wan-std", File: "a.mp4",
			Length: decimal.NewNullDecimal(d(length)), UnitPrice: d("0.1"), Hold: d("0.3")}}
	}
	begin := []batch.Event{
		{Kind: batch.Begun, Begin: &batch.Begin{Batch: "b", Region: "singapore", Currency: "CNY"}},
		plan("k1", "2"),
		{Kind: batch.Opened, Run: &batch.Run{ID: "1", Tries: 3}},
		{Kind: batch.Intended, Job: "a", Attempt: 1, Lane: "singapore", Hold: d("0.3")},
		{Kind: batch.Accepted, Job: "a", Attempt: 1, Task: "t1"},
	}
	ended := func(s batch.Status, usage decimal.NullDecimal) batch.Event {
		return batch.Event{Kind: batch.Ended, Job: "a", Attempt: 1, Task: "t1", End: &batch.End{Status: s, Usage: usage}}
	}
	stored := batch.Event{Kind: batch.Stored, Job: "a", Attempt: 1, Task: "t1",
		Artifact: &batch.Artifact{Path: "videos/a.mp4", Bytes: 1, Duration: d("2.5")}}
	var unknown decimal.NullDecimal
	for _, test := range []struct {
		name, want string
		events     []batch.Event
	}{
		{"not known yet", "0.3", nil},
		{"no usage", "0.2", []batch.Event{ended(batch.StatusSucceeded, unknown)}},
		{"no usage, the file tells", "0.25", []batch.Event{ended(batch.StatusSucceeded, unknown), stored}},
		{"other content", "0.25", []batch.Event{ended(batch.StatusSucceeded, unknown), stored, plan("k2", "30")}},
		{"other content, whose work another batch had done", "0.25", []batch.Event{ended(batch.StatusSucceeded, unknown), stored, plan("k2", "30"),
			{Kind: batch.Reused, Job: "a", Origin: "c", Artifact: &batch.Artifact{Path: "videos/a.mp4", Bytes: 1, Duration: d("30")}}}},
		{"failed with usage", "3", []batch.Event{ended(batch.StatusFailed, decimal.NewNullDecimal(d("30")))}},
	} {
		core, books := batch.New(batch.Settings{}, nil), newBooks()
		for i, e := range append(begin[:len(begin):len(begin)], test.events...) {
			e.At = time.Date(2026, 3, 1, 8, i, 0, 0, time.UTC)
			if err := core.Apply(e); err != nil {
				t.Fatal(test.name, err)
			}
			if wrong := books.enter(e); len(wrong) > 0 {
				t.Errorf("%s: %v", test.name, wrong)
			}
		}
		if v := core.View(); !v.Possible.Equal(books.possible) {
			t.Errorf("%s: possible is %s, and %s by the books of an audit", test.name, v.Possible, books.possible)
		}
		r, err := newReport(core, journal.Head{}, "")
		if err != nil {
			t.Fatal(test.name, err)
		}
		if got := r.Totals.BilledMax; !got.Equal(d(test.want)) {
			t.Errorf("%s: billed_max %s, want %s", test.name, got, test.want)
		}
	}
}
