package pipeline

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// books is double entry: the batch's money by the records alone. It knows no
// states and shares no code with the core, so that both can hardly be wrong
// together.
type books struct {
	spent, held, possible decimal.Decimal

	next map[string]decimal.Decimal // price per second by job, of its newest plan
	unit map[string]decimal.Decimal // likewise, when its newest attempt was made
	open map[string]decimal.Decimal // hold by job, of its newest attempt, while it is held
}

func newBooks() *books {
	return &books{next: map[string]decimal.Decimal{}, unit: map[string]decimal.Decimal{}, open: map[string]decimal.Decimal{}}
}

// enter takes in one record and returns what is wrong with its amounts.
func (b *books) enter(e batch.Event) (wrong []string) {
	switch e.Kind {
	case batch.Planned:
		b.next[e.Job] = e.Plan.UnitPrice
	case batch.Intended:
		b.unit[e.Job] = b.next[e.Job]
		b.open[e.Job] = e.Hold
		b.held = b.held.Add(e.Hold)
	case batch.Refused, batch.Absent:
		b.release(e.Job)
	case batch.Ended:
		hold := b.release(e.Job)
		switch {
		case e.End.Billed.Valid:
			b.spent = b.spent.Add(e.End.Billed.Decimal)
		case e.End.Status == batch.StatusSucceeded || e.End.Usage.Valid:
			b.possible = b.possible.Add(decimal.Max(hold, e.End.Usage.Decimal.Mul(b.unit[e.Job])))
		}
		wrong = b.checkBill(e.Job, *e.End)
	case batch.Lost, batch.Abandoned:
		b.possible = b.possible.Add(b.release(e.Job))
	case batch.Again:
		if e.By == batch.ByOperator {
			b.possible = b.possible.Add(b.release(e.Job))
		}
	}
	return wrong
}

// release takes a job's hold back and returns it; zero if nothing is held.
func (b *books) release(job string) decimal.Decimal {
	hold := b.open[job]
	delete(b.open, job)
	b.held = b.held.Sub(hold)
	return hold
}

// checkBill compares an amount with what it is made of, exactly.
func (b *books) checkBill(job string, end batch.End) []string {
	unit := b.unit[job]
	switch {
	case end.Billed.Valid && end.Status != batch.StatusSucceeded:
		return []string{fmt.Sprintf("job %s is billed %s for a task that ended %s", job, end.Billed.Decimal, end.Status)}
	case end.Billed.Valid != (end.Usage.Valid && end.Status == batch.StatusSucceeded):
		return []string{fmt.Sprintf("job %s has a usage without a bill, or a bill without a usage", job)}
	case end.Billed.Valid && !end.Billed.Decimal.Equal(end.Usage.Decimal.Mul(unit)):
		return []string{fmt.Sprintf("job %s is billed %s, but %s s at %s are %s",
			job, end.Billed.Decimal, end.Usage.Decimal, unit, end.Usage.Decimal.Mul(unit))}
	}
	return nil
}

// auditMoney compares the books with the core, and with the sums of the report
// that the core gives.
func (a *auditor) auditMoney() {
	v := a.core.View()
	sums := []struct {
		name        string
		books, core decimal.Decimal
	}{
		{"billed", a.books.spent, v.Spent},
		{"held", a.books.held, v.Held},
		{"possibly billed", a.books.possible, v.Possible},
	}
	if r, err := newReport(a.core, journal.Head{}, a.path); err == nil {
		sums = append(sums, struct {
			name        string
			books, core decimal.Decimal
		}{"billed in the report", a.books.spent, r.Totals.Billed})
	}
	for _, s := range sums {
		if !s.books.Equal(s.core) {
			a.problem(journalName, "this is a bug; please report it with the journal",
				"%s is %s by the records and %s by the program", s.name, s.books, s.core)
		}
	}
}
