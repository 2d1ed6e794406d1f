package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/pipeline"
)

func TestExitCode(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("%w: more words", err) }
	caused := fmt.Errorf("%w: %w", pipeline.ErrLocked, errors.New("some file is locked"))
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"unknown", errors.New("disk on fire"), 1},
		{"usage of ours", usagef("no"), 2},
		{"usage of the pipeline", wrapped(pipeline.ErrUsage), 2},
		{"manifest", wrapped(&pipeline.ManifestError{Problems: []pipeline.Problem{{Message: "m"}}}), 2},
		{"failed", errFailed, 3},
		{"quarantined", errQuarantined, 4},
		{"budget", wrapped(pipeline.ErrBudget), 5},
		{"account", wrapped(pipeline.ErrAccount), 6},
		{"locked", wrapped(pipeline.ErrLocked), 7},
		{"locked with its cause", caused, 7},
		{"interrupted", wrapped(pipeline.ErrInterrupted), 130},
		{"context", wrapped(context.Canceled), 130},

		{"2 before 7", errors.Join(pipeline.ErrLocked, pipeline.ErrUsage), 2},
		{"7 before 1", errors.Join(errors.New("x"), caused), 7},
		{"1 before 130", errors.Join(pipeline.ErrInterrupted, errors.New("cannot write the report")), 1},
		{"130 before 6", errors.Join(pipeline.ErrAccount, pipeline.ErrInterrupted), 130},
		{"6 before 5", errors.Join(pipeline.ErrBudget, pipeline.ErrAccount), 6},
		{"5 before 4", errors.Join(errQuarantined, pipeline.ErrBudget), 5},
		{"4 before 3", errors.Join(errFailed, errQuarantined), 4},
		{"joins of joins", errors.Join(errFailed, errors.Join(pipeline.ErrBudget, errors.New("x"))), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}

func TestEveryCodeHasItsPlaceInThePrecedence(t *testing.T) {
	rank := map[int]bool{}
	for _, code := range precedence() {
		rank[code] = true
	}
	for _, e := range exits() {
		if !rank[e.code] {
			t.Errorf("code %d can never be returned", e.code)
		}
		delete(rank, e.code)
	}
	for code := range rank {
		t.Errorf("code %d is not in the table", code)
	}
}

func TestVerdict(t *testing.T) {
	totals := func(failed, lost, quarantined int) *pipeline.Report {
		return &pipeline.Report{Totals: pipeline.Totals{Failed: failed, Lost: lost, Quarantined: quarantined}}
	}
	tests := []struct {
		report *pipeline.Report
		want   int
	}{
		{nil, 0}, {totals(0, 0, 0), 0}, {totals(1, 0, 0), 3}, {totals(0, 1, 0), 3}, {totals(1, 1, 1), 4},
	}
	for _, tt := range tests {
		if got := exitCode(verdict(tt.report)); got != tt.want {
			t.Errorf("verdict of %+v exits %d, want %d", tt.report, got, tt.want)
		}
	}
}

// The manual shows the same table as the help.
func TestManualHasTheTable(t *testing.T) {
	manual, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range exits() {
		if row := fmt.Sprintf("//\t%-4d %s\n", e.code, e.meaning); !strings.Contains(string(manual), row) {
			t.Errorf("doc.go lacks %q", row)
		}
	}
}

// full is a disk without space.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestResultThatCannotBeWrittenIsAnError(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"version"}, strings.NewReader(""), full{}, &stderr, func(string) string { return "" })
	if code != 1 || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("exit code %d with %q, want 1 and the reason", code, stderr.String())
	}
}

func TestJoinedErrorsAreToldOneByOne(t *testing.T) {
	var stderr bytes.Buffer
	p := &program{err: &printer{w: &stderr}}
	manifest := &pipeline.ManifestError{Problems: []pipeline.Problem{{File: "m.yaml", Line: 3, Column: 1, Message: "bad"}}}
	p.printError(errors.Join(manifest, errFailed, usagef("no \x1b[31mcolour")))
	if got, want := stderr.String(), "m.yaml:3:1: bad\nwanbatch: no [31mcolour\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
