package journal

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
)

// kibibytes64 is a journal of that length, of events as a batch writes them.
func kibibytes64(t *testing.T) []byte {
	t.Helper()
	d := disktest.New()
	log, err := Create(d, "journal.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	text := func() []byte { data, _ := d.Bytes("journal.jsonl"); return data }
	for i := 0; len(text()) < 64<<10; i++ {
		job, task := fmt.Sprintf("job-%d", i), fmt.Sprintf("%032x", i*i)
		at = at.Add(time.Second)
		for _, e := range []batch.Event{
			{Kind: batch.Intended, At: at, Job: job, Attempt: 1, Lane: "singapore", Hold: decimal.New(72, -2)},
			{Kind: batch.Accepted, At: at, Job: job, Attempt: 1, Task: task, Request: task[8:]},
			{Kind: batch.Ended, At: at, Job: job, Attempt: 1, Task: task, End: &batch.End{Status: batch.StatusSucceeded,
				Usage: decimal.NewNullDecimal(decimal.New(52, -1)), Billed: decimal.NewNullDecimal(decimal.New(624, -3)), Ended: at}},
		} {
			if err := log.Append(Encode(e)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return text()
}

// TestEveryFlippedBitOf64KiB flips each of more than half a million bits. A line is
// read only with what stands before it, so reading begins at the damage, with what
// was known there. A flip may also make the last record look torn; then the head,
// which a report keeps, is another.
func TestEveryFlippedBitOf64KiB(t *testing.T) {
	t.Parallel()
	whole := kibibytes64(t)
	step := 1
	if testing.Short() || raceEnabled {
		step = 61 // a prime: every bit of a byte gets its turn
	}
	end := replayed{}
	if err := end.read(bytes.NewReader(whole), nil); err != nil || end.torn {
		t.Fatalf("torn %v, %v", end.torn, err)
	}
	damaged := bytes.Clone(whole)
	before, flips := replayed{}, 0
	for rest := whole; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n') + 1
		first := len(whole) - len(rest)
		for bit := range 8 * n {
			if (8*first+bit)%step != 0 {
				continue
			}
			at := first + bit/8
			damaged[at] ^= 1 << (bit % 8)
			s := before
			if err := s.read(bytes.NewReader(damaged[first:]), nil); err == nil && s.head == end.head {
				t.Fatalf("bit %d of byte %d is flipped, and nothing tells", bit%8, at)
			}
			damaged[at] = whole[at]
			flips++
		}
		if err := before.read(bytes.NewReader(rest[:n]), nil); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if want := 8 * len(whole) / step; flips < want || step == 1 && flips < 524_288 {
		t.Errorf("%d bits were flipped, want %d", flips, want)
	}
	t.Logf("%d bits flipped, each noticed", flips)
}

// TestEveryTruncationOf64KiB cuts the journal at each byte: no head is like that of
// the whole.
func TestEveryTruncationOf64KiB(t *testing.T) {
	t.Parallel()
	whole := kibibytes64(t)
	end := replayed{}
	if err := end.read(bytes.NewReader(whole), nil); err != nil {
		t.Fatal(err)
	}
	before := replayed{}
	for rest := whole; len(rest) > 0; {
		n := bytes.IndexByte(rest, '\n') + 1
		for cut := range n {
			s := before
			if err := s.read(bytes.NewReader(rest[:cut]), nil); err == nil && (s.head == end.head || s.torn != (cut > 0)) {
				t.Fatalf("cut to %d bytes, and nothing tells", len(whole)-len(rest)+cut)
			}
		}
		if err := before.read(bytes.NewReader(rest[:n]), nil); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
}
