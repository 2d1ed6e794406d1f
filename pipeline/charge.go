package pipeline

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// A charge is one task that the provider billed: what bills are made of.
type charge struct {
	report  *Report
	job     *Result
	attempt *Attempt
	day     time.Time // in the zone in which the provider bills; its first instant
}

// billingZone is where the provider's days and months begin.
func billingZone() *time.Location { return time.FixedZone("UTC+8", 8*60*60) }

// charges lists the billed tasks of some batches, in the order of the reports, of
// their jobs and of the attempts. A task that is in two of them is an error: one
// is a copy of the other, and its money would be counted twice.
func charges(reports []*Report) ([]charge, error) {
	var all []charge
	owner := map[string]string{}
	for n, r := range reports {
		here := fmt.Sprintf("batch %s (number %d)", r.Batch, n+1)
		for _, c := range r.charges() {
			task := *c.attempt.TaskID
			if other, twice := owner[task]; twice {
				return nil, fmt.Errorf("%w: task %s is in %s and in %s; give every batch once, and no copy of it", ErrUsage, task, other, here)
			}
			owner[task] = here
			all = append(all, c)
		}
	}
	return all, nil
}

func (r *Report) charges() (found []charge) {
	for i := range r.Jobs {
		job := &r.Jobs[i]
		for k := range job.Attempts {
			try := &job.Attempts[k]
			if try.TaskID != nil && try.Seconds.Valid && try.Billed.Valid && text(try.Status) == string(batch.StatusSucceeded) {
				found = append(found, charge{report: r, job: job, attempt: try, day: billedOn(try)})
			}
		}
	}
	return found
}

// billedOn is the day of the provider's bill. A task whose end the provider did not
// tell counts for the day on which it was created.
func billedOn(t *Attempt) time.Time {
	at := t.At.In(billingZone())
	if t.BillingDate != nil {
		if day, err := time.ParseInLocation(time.DateOnly, *t.BillingDate, billingZone()); err == nil {
			return day
		}
	}
	return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, billingZone())
}

// month is the first instant of the provider's month.
func (c charge) month() time.Time {
	return time.Date(c.day.Year(), c.day.Month(), 1, 0, 0, 0, 0, billingZone())
}

// unitPrice is the price that the task was billed at. It is not the job's if that
// was given another mode since.
func (c charge) unitPrice() decimal.Decimal {
	seconds, billed := c.attempt.Seconds.Decimal, c.attempt.Billed.Decimal
	if seconds.IsPositive() && !c.job.UnitPrice.Mul(seconds).Equal(billed) {
		if price := billed.Div(seconds); price.Mul(seconds).Equal(billed) {
			return price
		}
	}
	return c.job.UnitPrice
}
