package pipeline_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/internal/journal"
	"github.com/wanbatch/wanbatch/pipeline"
)

var prove = flag.Bool("prove", false, "audit every flipped bit and every truncation of a journal, not a sample")

// Every flipped bit and every truncation of a journal is found, with its report
// beside it. A sample of them in every run, all of them with -prove.
func TestAuditFindsEveryDamage(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.settled(r.run(r.plan(2, "true")), 2)
	text := []byte(read(t, r.folder(), "journal.jsonl"))
	if len(text) < 4<<10 || len(text) > 10<<10 {
		t.Errorf("the journal has %d bytes; the proof is meant for some 8 KiB", len(text))
	}
	step := 389 // a prime: every bit of a byte gets its turn
	if *prove {
		step = 1
	}
	name := filepath.Join(r.folder(), "journal.jsonl")
	for bit := 0; bit < 8*len(text); bit += step {
		damaged := bytes.Clone(text)
		damaged[bit/8] ^= 1 << (bit % 8)
		wantFound(t, name, damaged, fmt.Sprintf("bit %d of byte %d flipped", bit%8, bit/8))
	}
	for size := 0; size < len(text); size += max(1, step/8) {
		wantFound(t, name, text[:size], fmt.Sprintf("cut to %d bytes", size))
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	wantProven(t, r.folder())
}

func wantFound(t *testing.T, name string, text []byte, what string) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := audit(t, filepath.Dir(name)); f.Proven() {
		t.Errorf("%s, and proven", what)
	}
}

// A chain that holds proves nothing of what its records say.
func TestAuditOfTheRecords(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	one := decimal.RequireFromString
	bill := func(usage, billed string) batch.Event {
		return batch.Event{Kind: batch.Ended, Job: "a", Attempt: 1, Task: "t", End: &batch.End{Status: batch.StatusSucceeded,
			Usage: decimal.NewNullDecimal(one(usage)), Billed: decimal.NewNullDecimal(one(billed))}}
	}
	failed := bill("5.2", "0.624")
	failed.End.Status = batch.StatusFailed
	unbilled := bill("5.2", "0")
	unbilled.End.Billed = decimal.NullDecimal{}
	tests := []struct {
		name        string
		last        batch.Event
		where, word string
	}{
		{"right", bill("5.2", "0.624"), "", ""},
		{"rounded", bill("5.2", "0.62"), "journal.jsonl:7", "0.624"},
		{"billed though it failed", failed, "journal.jsonl:7", "FAILED"},
		{"usage without bill", unbilled, "journal.jsonl:7", "without a bill"},
		{"no such job", batch.Event{Kind: batch.Running, Job: "b", Attempt: 1}, "journal.jsonl:7", "does not follow"},
		{"not its turn", batch.Event{Kind: batch.Accepted, Job: "a", Attempt: 1, Task: "u"}, "journal.jsonl:7", "does not follow"},
		{"no such kind", batch.Event{Kind: "guessed", Job: "a", Attempt: 1}, "journal.jsonl:7", "does not follow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			chain(t, dir, []batch.Event{
				{Kind: batch.Begun, Begin: &batch.Begin{Batch: "x", Region: "singapore", Currency: "USD"}},
				{Kind: batch.Planned, Job: "a", Plan: &batch.Plan{UnitPrice: one("0.12"), Hold: one("1"), File: "a.mp4"}},
				{Kind: batch.Opened, Run: &batch.Run{}},
				{Kind: batch.Intended, Job: "a", Attempt: 1, Lane: "singapore", Hold: one("1")},
				{Kind: batch.Accepted, Job: "a", Attempt: 1, Task: "t"},
				tt.last,
			}, at)
			if tt.where == "" {
				if _, err := pipeline.WriteReport(dir); err != nil {
					t.Fatal(err)
				}
				wantProven(t, dir)
				return
			}
			wantAmong(t, dir, tt.where, tt.word)
		})
	}
}

func chain(t *testing.T, dir string, events []batch.Event, at time.Time) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	log, err := journal.Create(disk.Dir(root), "journal.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		e.At = at
		if err := log.Append(journal.Encode(e)); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
}

// A journal of a newer program is neither damaged nor proven.
func TestAuditOfAJournalFromTheFuture(t *testing.T) {
	dir := t.TempDir()
	text := read(t, "../internal/journal/testdata", "v2.jsonl")
	write(t, dir, "journal.jsonl", text)
	wantProblem(t, dir, "journal.jsonl:1", "newer")
}

// A batch may change its endpoint between two runs, and a refused create made nothing.
func TestMadeAt(t *testing.T) {
	dir, hold := t.TempDir(), decimal.NewFromInt(1)
	chain(t, dir, []batch.Event{
		{Kind: batch.Opened, Run: &batch.Run{Endpoint: "https://a"}},
		{Kind: batch.Intended, Job: "x", Attempt: 1, Hold: hold},
		{Kind: batch.Refused, Job: "x", Attempt: 1},
		{Kind: batch.Opened, Run: &batch.Run{Endpoint: "https://c"}},
		{Kind: batch.Intended, Job: "x", Attempt: 2, Hold: hold},
		{Kind: batch.Intended, Job: "y", Attempt: 1, Hold: hold},
		{Kind: batch.Opened, Run: &batch.Run{Endpoint: "https://b"}},
		{Kind: batch.Intended, Job: "z", Attempt: 1, Hold: hold},
		{Kind: batch.Opened, Run: &batch.Run{Endpoint: "https://d"}},
	}, time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC))
	got, err := pipeline.Endpoints(dir)
	if err != nil || !slices.Equal(got, []string{"https://b", "https://c"}) {
		t.Errorf("made at %q, %v", got, err)
	}
}
