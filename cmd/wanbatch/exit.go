package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wanbatch/wanbatch/pipeline"
)

// Ways to end that are no failure of the program itself: the summary has told
// about them, so nothing more is printed.
var (
	// errReported matches both of the others.
	errReported    = errors.New("told in the summary")
	errFailed      = fmt.Errorf("some jobs failed or were lost: %w", errReported)
	errQuarantined = fmt.Errorf("some jobs are quarantined: %w", errReported)
)

// errDeclined is a person's no to the question of a run.
var errDeclined = errors.New("nothing was submitted")

// exit is one row of the table of exit codes, which never changes.
type exit struct {
	code    int
	meaning string
	causes  []error // any of them, by errors.Is
}

// exits is the table in numerical order. Code 1 is for every error that no row names.
func exits() []exit {
	return []exit{
		{0, "every job done (also: nothing left to do)", nil},
		{1, "could not run (I/O, bug)", nil},
		{2, "usage, or manifest/media invalid", []error{pipeline.ErrUsage}},
		{3, "finished, some jobs failed or lost", []error{errFailed}},
		{4, "finished, some jobs quarantined: a person must decide", []error{errQuarantined}},
		{5, "stopped by the budget", []error{pipeline.ErrBudget}},
		{6, "stopped by the account or its setup", []error{pipeline.ErrAccount}},
		{7, "another run holds this batch or this lane", []error{pipeline.ErrLocked}},
		{130, "interrupted; run again to continue", []error{pipeline.ErrInterrupted, context.Canceled, errDeclined}},
	}
}

// precedence is the order in which codes count when several hold.
func precedence() []int { return []int{2, 7, 1, 130, 6, 5, 4, 3, 0} }

// exitHelp is the table as text.
func exitHelp() string {
	var b strings.Builder
	for _, e := range exits() {
		fmt.Fprintf(&b, "  %-4d %s\n", e.code, e.meaning)
	}
	return b.String()
}

// exitCode judges how the program ended. Errors that were joined count each for
// itself.
func exitCode(err error) int {
	holds := map[int]bool{}
	judge(err, holds)
	for _, code := range precedence() {
		if holds[code] {
			return code
		}
	}
	return 0
}

func judge(err error, holds map[int]bool) {
	if err == nil {
		holds[0] = true
		return
	}
	if parts := joined(err); parts != nil {
		for _, part := range parts {
			judge(part, holds)
		}
		return
	}
	var manifest *pipeline.ManifestError
	known := errors.As(err, &manifest)
	holds[2] = holds[2] || known
	for _, e := range exits() {
		for _, cause := range e.causes {
			if errors.Is(err, cause) {
				holds[e.code], known = true, true
			}
		}
	}
	holds[1] = holds[1] || !known
}

// joined returns the parts of an error made by errors.Join, nil for all others. A
// join says nothing of its own; an error that wraps several does.
func joined(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	parts := several.Unwrap()
	if err.Error() != errors.Join(parts...).Error() {
		return nil
	}
	return parts
}

// verdict is what a finished run's jobs say about its end.
func verdict(r *pipeline.Report) error {
	switch {
	case r == nil:
		return nil
	case r.Totals.Quarantined > 0:
		return errQuarantined
	case r.Totals.Failed+r.Totals.Lost > 0:
		return errFailed
	}
	return nil
}
