package pipeline

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// A job that is planned anew, in another mode and for another client, leaves what its
// tasks cost before with the mode and the client they were made for.
func TestMoneyStaysWhereItWasSpent(t *testing.T) {
	d := decimal.RequireFromString
	plan := func(key, mode, client, price string) *batch.Plan {
		return &batch.Plan{Key: key, Mode: mode, File: "hero.mp4", Labels: map[string]string{"client": client},
			UnitPrice: d(price), Hold: d("1"), Length: decimal.NewNullDecimal(d("5"))}
	}
	made := func(attempt int, billed string) []batch.Event {
		task := fmt.Sprintf("task-%d", attempt)
		end := &batch.End{Status: batch.StatusSucceeded, Usage: decimal.NewNullDecimal(d("5")), Billed: decimal.NewNullDecimal(d(billed))}
		return []batch.Event{
			{Kind: batch.Intended, Job: "hero", Attempt: attempt, Lane: "singapore", Hold: d("1")},
			{Kind: batch.Accepted, Job: "hero", Attempt: attempt, Task: task},
			{Kind: batch.Ended, Job: "hero", Attempt: attempt, Task: task, End: end},
			{Kind: batch.Stored, Job: "hero", Attempt: attempt, Task: task, Artifact: &batch.Artifact{Path: "videos/hero.mp4"}},
		}
	}
	events := slices.Concat([]batch.Event{
		{Kind: batch.Begun, Begin: &batch.Begin{Batch: "b", Currency: "USD", Region: "singapore", Model: ModelMove}},
		{Kind: batch.Planned, Job: "hero", Plan: plan("k1", "wan-std", "acme", "0.12")},
		{Kind: batch.Opened, Run: &batch.Run{}},
	}, made(1, "0.6"), []batch.Event{{Kind: batch.Planned, Job: "hero", Plan: plan("k2", "wan-pro", "zoo", "0.18")}}, made(2, "0.9"))
	core := batch.New(batch.Settings{}, nil)
	for i, e := range events {
		e.At = time.Date(2026, 10, 1, 0, 0, i, 0, time.UTC)
		if err := core.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	r, err := newReport(core, journal.Head{}, "b")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		what, want string
		part       Part
	}{
		{"wan-std", "0.6 of 0 jobs", r.Totals.ByMode["wan-std"]},
		{"wan-pro", "0.9 of 1 jobs", r.Totals.ByMode["wan-pro"]},
		{"acme", "0.6 of 0 jobs", r.Totals.ByLabel["client"]["acme"]},
		{"zoo", "0.9 of 1 jobs", r.Totals.ByLabel["client"]["zoo"]},
	} {
		if got := fmt.Sprintf("%s of %d jobs", tt.part.Billed, tt.part.Jobs); got != tt.want {
			t.Errorf("%s is billed %s, want %s", tt.what, got, tt.want)
		}
	}
	bill, err := NewBill([]*Report{r}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, l := range bill.Lines {
		lines = append(lines, fmt.Sprintf("%s %s %s", l.Labels["client"], l.Mode, l.Billed))
	}
	if got := strings.Join(lines, ", "); got != "acme wan-std 0.6, zoo wan-pro 0.9" {
		t.Errorf("bill: %s", got)
	}
	var focus bytes.Buffer
	if err := WriteFOCUS(&focus, "", r); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(focus.String(), "\n")
	for i, want := range [][]string{{"task-1", "/wan-std", "acme", `"0.12"`}, {"task-2", "/wan-pro", "zoo", `"0.18"`}} {
		for _, word := range want {
			if !strings.Contains(rows[i+1], word) {
				t.Errorf("FOCUS row %d has no %s: %s", i+1, word, rows[i+1])
			}
		}
	}
}
