package pipeline_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// A run that ends by an error of this machine says so in the journal: without a record
// of its end it would pass for one that was killed.
func TestRunRecordsTheErrorThatEndsIt(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	plan := r.plan(3, "true")
	_, err := r.try(t.Context(), plan, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind != "accepted" {
				return
			}
			if err := os.RemoveAll(filepath.Join(r.dir, "state")); err != nil {
				t.Error(err)
			}
		}
	})
	if err == nil || errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatalf("without a folder of locks: %v", err)
	}
	report, statusErr := pipeline.Status(r.folder())
	if statusErr != nil {
		t.Fatal(statusErr)
	}
	end := report.Stopped
	if end == nil || end.Reason != "error" || end.Message == "" || !strings.Contains(err.Error(), end.Message) || strings.Contains(end.Message, testKey) {
		t.Errorf("the run ended with: %v\nrecorded: %+v", err, end)
	}
	r.settled(r.run(plan), 3)
}
