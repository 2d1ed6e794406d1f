package pipeline

import (
	"fmt"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// BudgetState sets a batch's money against its cap. Amounts are the most that can come:
// as jobs are billed less than was held for them, more fits than it says.
type BudgetState struct {
	Cap       decimal.NullDecimal `json:"cap"`       // of the newest run; null if it has none
	Committed decimal.Decimal     `json:"committed"` // billed, held, and possibly billed
	LeftJobs  int                 `json:"left_jobs"` // that a run would still submit
	Next      decimal.Decimal     `json:"next"`      // that the next of them can cost
	Left      decimal.Decimal     `json:"left"`      // that all of them can cost
	Stopped   bool                `json:"stopped"`   // the next one does not fit, and nothing held can be released by waiting
}

// NeedNext is the least cap under which one more job is submitted.
func (b BudgetState) NeedNext() decimal.Decimal { return b.Committed.Add(b.Next) }

// NeedAll is a cap under which all jobs that are left are submitted.
func (b BudgetState) NeedAll() decimal.Decimal { return b.Committed.Add(b.Left) }

// String tells what the jobs that are left need, in one sentence without currency.
func (b BudgetState) String() string {
	if b.LeftJobs == 1 {
		return fmt.Sprintf("the last job needs up to %s; raise --max-cost to at least %s", b.Next, b.NeedNext())
	}
	return fmt.Sprintf("the next job needs up to %s, all %d left up to %s; raise --max-cost to at least %s, or to %s for all of them",
		b.Next, b.LeftJobs, b.Left, b.NeedNext(), b.NeedAll())
}

// newBudget counts the jobs that keep wants.
func newBudget(core *batch.Batch, limit decimal.NullDecimal, keep func(batch.Job) bool) BudgetState {
	v := core.View()
	b := BudgetState{Cap: limit, Committed: v.Spent.Add(v.Held).Add(v.Possible)}
	returned := false // jobs that come back go before the others, as the core takes them
	for job := range core.Jobs() {
		if job.State != batch.StatePending || job.Removed || !keep(job) {
			continue
		}
		comesBack := len(job.Attempts) > 0
		if b.LeftJobs == 0 || comesBack && !returned {
			b.Next, returned = job.Plan.Hold, comesBack
		}
		b.LeftJobs++
		b.Left = b.Left.Add(job.Plan.Hold)
	}
	b.Stopped = limit.Valid && b.LeftJobs > 0 && v.Live == 0 && len(v.InDoubt) == 0 && b.NeedNext().GreaterThan(limit.Decimal)
	return b
}

// budgetOf is the budget as the journal alone tells it.
func budgetOf(core *batch.Batch) BudgetState {
	var limit decimal.NullDecimal
	if run := core.LastRun(); run != nil {
		limit = run.Cap
	}
	return newBudget(core, limit, func(batch.Job) bool { return true })
}
