package pipeline

import (
	"errors"
	"fmt"
)

// Errors that a caller may test for. Each comes wrapped in a sentence that says
// what happened and what to do next. A [*ManifestError] is the one other error
// with a meaning of its own.
var (
	// ErrUsage: a setting, a flag or a folder does not fit; nothing was spent.
	ErrUsage = errors.New("cannot run like this")
	// ErrLocked: another run holds the batch or the lane; nothing was spent.
	ErrLocked = errors.New("held by another run")
	// ErrBudget: the next job does not fit under the cap. What was done is kept.
	ErrBudget = errors.New("stopped by the budget")
	// ErrAccount: the account, the key or the setup is refused by the provider.
	ErrAccount = errors.New("stopped by the account")
	// ErrInterrupted: the caller asked. Running again continues.
	ErrInterrupted = errors.New("interrupted")
)

// plainUsage is an [ErrUsage] whose sentence needs no introduction: nobody wanted
// to run anything.
type plainUsage struct {
	text  string
	cause error // nil if there is none that a caller may test for; the text does not tell it
}

func (e plainUsage) Error() string        { return e.text }
func (e plainUsage) Is(target error) bool { return target == ErrUsage }
func (e plainUsage) Unwrap() error        { return e.cause }

func plainUsagef(format string, args ...any) error {
	return plainUsage{text: fmt.Sprintf(format, args...)}
}
