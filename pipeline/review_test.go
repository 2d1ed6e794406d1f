package pipeline_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// A new job never writes over the paid video of an old one.
func TestFilesOfTheBatchAreKept(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	byImage := func(m *pipeline.Manifest) { m.Output.File = "{image}.mp4" }
	r.run(r.plan(1, "true", byImage))
	renamed := r.plan(1, "true", byImage, func(m *pipeline.Manifest) { m.Pairs[0].ID = "renamed" })
	if _, err := r.try(t.Context(), renamed); !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "job-000") {
		t.Errorf("another job with the same file: %v", err)
	}
	if n := r.provider.Meter().Creates; n != 1 {
		t.Errorf("%d creates", n)
	}
}

// Only the jobs that this run selects are retried, and a run that is refused
// retries nothing.
func TestRetryFailedIsSelective(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-input:1", "failed-input:2")
	plan := r.plan(2, "true")
	if report := r.run(plan); report.Totals.Failed != 2 {
		t.Fatalf("totals %+v", report.Totals)
	}
	again := func(c *pipeline.Config) { c.RetryFailed, c.Only = true, []string{"job-001"} }
	if _, err := r.try(t.Context(), plan, again, func(c *pipeline.Config) { c.APIKey = "" }); !errors.Is(err, pipeline.ErrUsage) {
		t.Fatalf("without a key: %v", err)
	}
	if report, err := pipeline.Status(r.folder()); err != nil || report.Totals.Failed != 2 {
		t.Fatalf("a refused run changed the batch: %+v, %v", report.Totals, err)
	}
	report := r.run(plan, again)
	if report.Totals.Done != 1 || report.Totals.Failed != 1 || report.Jobs[1].State != "done" {
		t.Errorf("totals %+v", report.Totals)
	}
}
