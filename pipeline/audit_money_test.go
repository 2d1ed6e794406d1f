package pipeline

import (
	"strings"
	"testing"

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
