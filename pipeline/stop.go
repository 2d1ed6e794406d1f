package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/store"
)

// stopError is why a run ended before all its jobs were at rest, nil if it did not.
func stopError(core *batch.Batch, limit decimal.NullDecimal) error {
	switch v := core.View(); v.Stop {
	case batch.StopNone:
		return nil
	case batch.StopInterrupted:
		return fmt.Errorf("%w; run again to continue", ErrInterrupted)
	case batch.StopBudget:
		b := newBudget(core, limit, func(j batch.Job) bool { return !j.Skipped })
		b.Next = v.NextHold
		return fmt.Errorf("%w: %s (%s %s is the cap, %s billed, %s held)", ErrBudget, b,
			limit.Decimal, core.Begin().Currency, v.Spent, v.Held.Add(v.Possible))
	case batch.StopDeadline:
		return fmt.Errorf("%w by the deadline: the next job would not be finished in time; run again to continue", ErrInterrupted)
	case batch.StopDisk:
		return fmt.Errorf("the results cannot be written: %s; free some space and run again", v.StopNote)
	default:
		return fmt.Errorf("%w: %s: %s; %s", ErrAccount, orNone(v.StopCode),
			strings.TrimRight(v.StopNote, "."), hint(v.StopCode, v.StopNote))
	}
}

// hint tells a person what to do about a code of the provider.
func hint(code, message string) string {
	if code == batch.CodeStoreRefuses {
		if claimedByText(message) {
			return claimHint
		}
		return bucketHint(store.CodeIn(message)) // of a record only the text is left
	}
	return dashscope.Classify(200, code, message).Hint(code)
}

func orNone(code string) string {
	if code == "" {
		return "no code"
	}
	return code
}

// failure is what an observation needs of a failed call.
func failure(err error) batch.Observation {
	if errors.Is(err, store.ErrSetup) {
		return batch.Observation{Class: batch.ClassConfig, Code: batch.CodeStoreRefuses, Message: err.Error()}
	}
	var call *dashscope.Error
	if !errors.As(err, &call) {
		return batch.Observation{Class: batch.ClassRetry, Message: err.Error()}
	}
	message := call.Message
	if message == "" {
		message = call.Error()
	}
	return batch.Observation{Class: batch.Class(call.Class().String()), Code: call.Code, Message: message, RetryAfter: call.RetryAfter}
}
