package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
)

// Verdict is a person's decision about a quarantined job.
type Verdict string

// The three ways to settle a quarantined job. None of them frees the money held
// for the create in doubt: only the provider's bill can tell what it cost.
const (
	Adopt    Verdict = "adopt"    // the task is the job's own: follow it
	Resubmit Verdict = "resubmit" // submit again, at the risk of paying twice
	Abandon  Verdict = "abandon"  // give the job up
)

// ResolveAfter is how old a create in doubt must be before a person can settle it.
const ResolveAfter = batch.DoubtRipe

// Resolve records a person's decision about a quarantined job of a batch folder, about
// one whose create has been in doubt for [ResolveAfter], or about one whose task a person
// adopted and no run has seen running, durably, and writes the report anew. task is the task to adopt and empty otherwise. It calls nobody: the next [Run]
// acts on it. Errors match [ErrUsage] if the decision does not fit and [ErrLocked] while
// a run holds the folder.
func Resolve(folder, job string, v Verdict, task string) (*Report, error) {
	kind, ok := map[Verdict]batch.Kind{Adopt: batch.Adopted, Resubmit: batch.Again, Abandon: batch.Abandoned}[v]
	if !ok || (v == Adopt) != (task != "") {
		return nil, fmt.Errorf("%w: resolve needs one of adopt with a task id, resubmit, abandon", ErrUsage)
	}
	if v == Adopt && !dashscope.ValidTaskID(task) {
		return nil, plainUsagef("%q is no task id: it has to be 1 to 64 letters, digits and dashes", task)
	}
	if _, err := Status(folder); err != nil {
		return nil, err // before a lock is left where there is no batch
	}
	core := batch.New(batch.Settings{}, nil)
	f, err := openFolder(context.Background(), folder, core, false, Config{})
	if err != nil {
		return nil, err
	}
	report, err := resolveIn(f, job, kind, task)
	return report, errors.Join(err, f.close())
}

func resolveIn(f *folder, job string, kind batch.Kind, task string) (*Report, error) {
	events, err := f.core.Resolve(job, kind, task, coreTime(f.core, time.Now()), time.Now())
	if err != nil {
		return nil, plainUsagef("%v", err)
	}
	if err := f.record(events...); err != nil {
		return nil, err
	}
	return writeReports(context.Background(), f)
}
