package pipeline

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// A task that did not succeed and tells of usage may have been billed: the report says
// so, and that no run pays for it again by itself.
func TestFailureWithUsage(t *testing.T) {
	for _, status := range []batch.Status{batch.StatusFailed, batch.StatusCanceled} {
		job := batch.Job{ID: "a", State: batch.StateFailed, Attempts: []batch.Attempt{{N: 1, Outcome: batch.Accepted, Task: "t",
			Money: batch.MoneyPossible, Class: batch.ClassRetry,
			End: &batch.End{Status: status, Usage: decimal.NewNullDecimal(decimal.New(5, 0))}}}}
		f := newFailure(job, "out/b")
		if !strings.Contains(f.Hint, "5 s of output may have been billed") || !strings.Contains(f.Hint, "--retry-failed") ||
			strings.Contains(f.Message, "before it ran") || f.Charged != nil {
			t.Errorf("%s: %+v", status, *f)
		}
	}
}
