package pipeline_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// What a preview says would be submitted is what the next run submits: somebody
// consents to the one and pays for the other.
func TestPreviewIsWhatARunDoes(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-input:1")
	plan := r.plan(4, "true")
	spoil := func(path string) (restore func()) {
		t.Helper()
		good, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, append(slices.Clone(good), 0), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.WriteFile(path, good, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	// next compares one preview with one run.
	next := func(step string, want pipeline.Preview, edit ...func(*pipeline.Config)) {
		t.Helper()
		cfg := r.config()
		var created []string
		cfg.OnEvent = func(e pipeline.Event) {
			if e.Kind == "accepted" {
				created = append(created, e.Job)
			}
		}
		for _, e := range edit {
			e(&cfg)
		}
		got, err := plan.Preview(cfg)
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		if !slices.Equal(got.Submit, want.Submit) || got.NotSelected != want.NotSelected || got.Done != want.Done || got.Rest != want.Rest || got.Follow != want.Follow {
			t.Errorf("%s: preview %+v, want %+v", step, *got, want)
		}
		for job, err := range plan.Jobs() {
			if err == nil && slices.Contains(want.Submit, job.ID) {
				want.Money.Low = want.Money.Low.Add(job.Estimated.Low)
			}
		}
		if !got.Money.Low.Equal(want.Money.Low) {
			t.Errorf("%s: for %s, want %s", step, got.Money.Low, want.Money.Low)
		}
		_, err = pipeline.Run(t.Context(), plan, cfg)
		if (got.Refusal == nil) != (err == nil) {
			t.Errorf("%s: the run ended with %v, the preview with %v", step, err, got.Refusal)
		}
		if got.Refusal != nil {
			want.Submit = nil
		}
		if !slices.Equal(created, want.Submit) {
			t.Errorf("%s: the run submitted %q, want %q", step, created, want.Submit)
		}
	}
	only := func(ids ...string) func(*pipeline.Config) {
		return func(c *pipeline.Config) { c.Only = ids }
	}
	retry := func(c *pipeline.Config) { c.RetryFailed = true }

	next("the first, which fails", pipeline.Preview{Submit: []string{"job-000"}, NotSelected: 3}, func(c *pipeline.Config) { c.Limit = 1 })
	restore := spoil(strings.TrimPrefix(plan.Manifest.Pairs[1].Image, "file://"))
	r.run(plan, only("job-001")) // its file has changed since it was planned: it fails and costs nothing
	restore()
	next("that file is back", pipeline.Preview{Submit: []string{"job-001"}, NotSelected: 2, Rest: 1}, only("job-001"))
	next("a retry of another than failed", pipeline.Preview{Submit: []string{"job-002"}, Done: 1, NotSelected: 2}, only("job-002"), retry)
	next("a retry", pipeline.Preview{Submit: []string{"job-000"}, Done: 2, NotSelected: 1}, only("job-000"), retry)
	stop, cancel := context.WithCancel(t.Context())
	_, err := r.try(stop, plan, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "accepted" {
				cancel()
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatal(err)
	}
	next("a task that runs already", pipeline.Preview{Done: 3, Follow: 1})
	plan = r.plan(5, "true", func(m *pipeline.Manifest) { m.Pairs[4].Mode = pipeline.ModePro; m.Pairs[3].Mode = pipeline.ModePro })
	next("one changed, one new", pipeline.Preview{Submit: []string{"job-004"}, Done: 3})
	next("one changed and accepted, one new", pipeline.Preview{Submit: []string{"job-003", "job-004"}, Done: 3}, func(c *pipeline.Config) { c.AcceptChanges = true })
	next("all is done", pipeline.Preview{Done: 5})
}
