package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// The books are worth something only if a difference is told: here the core
// knows of no attempt, and the books of one.
func TestBooksAreCompared(t *testing.T) {
	tests := map[string]func(b *books, amount decimal.Decimal){
		"billed is":               func(b *books, amount decimal.Decimal) { b.spent = amount },
		"held is":                 func(b *books, amount decimal.Decimal) { b.held = amount },
		"possibly billed is":      func(b *books, amount decimal.Decimal) { b.possible = amount },
		"billed in the report is": func(b *books, amount decimal.Decimal) { b.spent = amount },
	}
	for name, change := range tests {
		core := batch.New(batch.Settings{}, nil)
		if err := core.Apply(batch.Event{Kind: batch.Begun, Begin: &batch.Begin{Batch: "x"}}); err != nil {
			t.Fatal(err)
		}
		a := &auditor{core: core, books: newBooks(), found: &Findings{}}
		if a.auditMoney(); !a.found.Proven() {
			t.Fatalf("equal books: %+v", a.found.Problems)
		}
		change(a.books, decimal.RequireFromString("0.01"))
		a.auditMoney()
		told := false
		for _, p := range a.found.Problems {
			told = told || strings.HasPrefix(p.Message, name+" 0.01 by the records and 0 ")
		}
		if !told {
			t.Errorf("%s: problems %+v", name, a.found.Problems)
		}
	}
}

// An honest journal of a failed task that told of usage proves itself.
func TestAuditOfAFailedTaskWithUsage(t *testing.T) {
	core := batch.New(batch.Settings{}, nil)
	a := &auditor{core: core, books: newBooks(), found: &Findings{}}
	amount := decimal.RequireFromString("0.6")
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for _, e := range []batch.Event{
		{Kind: batch.Begun, Begin: &batch.Begin{Batch: "x", Currency: "USD"}},
		{Kind: batch.Planned, Job: "a", Plan: &batch.Plan{Key: "k", UnitPrice: decimal.RequireFromString("0.1"), Hold: amount}},
		{Kind: batch.Opened, Run: &batch.Run{ID: "r", Key: "k1", Tries: 1}},
		{Kind: batch.Intended, Job: "a", Attempt: 1, Lane: "l", Hold: amount},
		{Kind: batch.Accepted, Job: "a", Attempt: 1, Task: "t1"},
		{Kind: batch.Ended, Job: "a", Attempt: 1, Task: "t1", Class: batch.ClassRetry, Code: "InternalError",
			End: &batch.End{Status: batch.StatusFailed, Usage: decimal.NewNullDecimal(decimal.RequireFromString("5"))}},
	} {
		e.At = at
		if err := core.Apply(e); err != nil {
			t.Fatal(err)
		}
		if wrong := a.books.enter(e); len(wrong) > 0 {
			t.Errorf("%s: %v", e.Kind, wrong)
		}
	}
	a.auditMoney()
	for _, p := range a.found.Problems {
		t.Error(p.Message)
	}
}
