package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/journal"
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
		return fmt.Errorf("the results cannot be written: %s; %s", v.StopNote, diskHint(v.StopNote))
	default:
		class := map[batch.Stop]batch.Class{batch.StopKey: batch.ClassKey, batch.StopAccount: batch.ClassAccount, batch.StopSetup: batch.ClassConfig}[v.Stop]
		err := fmt.Errorf("%w: %s: %s; %s", ErrAccount, orNone(v.StopCode),
			strings.TrimRight(v.StopNote, "."), hint(class, v.StopCode, v.StopNote))
		if v.Stop == batch.StopKey && len(v.InDoubt) > 0 {
			err = fmt.Errorf("%w; the create of job %s is in doubt, and only this key's lists can settle it; if the key is gone, wanbatch resolve settles it by hand %s",
				err, v.InDoubt[0], whenByHand)
		}
		return err
	}
}

// whenByHand is from when on [Resolve] takes a create in doubt.
const whenByHand = "from an hour after that create on"

// diskHint tells a person what to do about a disk that does not take the results. Only
// the text is left of the error.
func diskHint(text string) string {
	for _, tt := range []struct {
		causes []error
		hint   string
	}{
		{[]error{syscall.ENOSPC, syscall.EDQUOT, journal.ErrFull}, "free some space and run again"},
		{[]error{errInTheWay, syscall.EEXIST, syscall.EISDIR, syscall.ENOTDIR}, "move what is there away and run again"},
		{[]error{syscall.EACCES, syscall.EPERM, syscall.EROFS}, "give this user the right to write there and run again"},
	} {
		for _, cause := range tt.causes {
			if strings.Contains(text, cause.Error()) {
				return tt.hint
			}
		}
	}
	return "mend that and run again"
}

// hint tells a person what to do about a code: one of the core's own, a bucket's, or the
// provider's. class is how the failure was judged, "" if it was not: of a code that is
// unknown or missing, only that tells.
func hint(class batch.Class, code, message string) string {
	switch code {
	case batch.CodeStoreRefuses:
		if claimedByText(message) {
			return claimHint
		}
		return bucketHint(store.CodeIn(message)) // of a record only the text is left
	case batch.CodeUnknownTask:
		return "if it was adopted by hand, it may be the wrong task: wanbatch resolve takes that back"
	case batch.CodeListsMiss:
		return "run again later; if lists stay incomplete, ask the provider's support why"
	}
	c := dashscope.Classify(200, code, message)
	if c == dashscope.ClassRetry { // which also stands for a code that is not known
		c = classOf(class, c)
	}
	return c.Hint(code)
}

// classOf returns the client's class of the core's name for it, otherwise if there is none.
func classOf(name batch.Class, otherwise dashscope.Class) dashscope.Class {
	for c := dashscope.ClassInput; c <= dashscope.ClassKey; c++ {
		if c.String() == string(name) {
			return c
		}
	}
	return otherwise
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
