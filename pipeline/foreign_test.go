package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// videoAt is where the video of a job goes.
func (r *rig) videoAt(job int) string {
	return filepath.Join(r.folder(), "videos", fmt.Sprintf("job-%03d.mp4", job))
}

// put writes a file where somebody else might.
func (r *rig) put(path, text string) {
	r.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

// wantForeign checks that a run and its preview refuse a plan because of what lies at a
// path, and that nothing more is paid for.
func (r *rig) wantForeign(p *pipeline.Plan, path, job string, edit ...func(*pipeline.Config)) {
	r.t.Helper()
	creates := r.provider.Meter().Creates
	_, runErr := r.try(r.t.Context(), p, edit...)
	cfg := r.config()
	for _, e := range edit {
		e(&cfg)
	}
	_, previewErr := p.Preview(cfg)
	for what, err := range map[string]error{"run": runErr, "preview": previewErr} {
		if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), path+" exists, but no journal has a record of it; move it away, or give pair "+job+" another id") {
			r.t.Errorf("%s: %v", what, err)
		}
	}
	if n := r.provider.Meter().Creates; n != creates {
		r.t.Errorf("%d creates, before %d", n, creates)
	}
}

// What somebody put where the video of a job goes is not written over, in a new batch
// or in one that goes on: the run is refused before it is paid for.
func TestForeignFileIsNotReplaced(t *testing.T) {
	tests := []struct {
		name string
		make func(r *rig, at string) error
		new  bool // also refused in a folder without a journal, by the same words
	}{
		{"a file", func(r *rig, at string) error { r.put(at, "precious"); return nil }, false},
		{"a folder", func(r *rig, at string) error { r.put(filepath.Join(at, "in"), "precious"); return nil }, true},
		{"a link", func(r *rig, at string) error {
			r.put(filepath.Join(r.dir, "elsewhere"), "precious")
			return errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(filepath.Join(r.dir, "elsewhere"), at))
		}, true},
		{"a link to nothing", func(_ *rig, at string) error {
			return errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink("nowhere", at))
		}, true},
	}
	for _, tt := range tests {
		for _, begun := range []bool{true, false} {
			if !begun && !tt.new {
				continue
			}
			t.Run(fmt.Sprintf("%s begun %v", tt.name, begun), func(t *testing.T) {
				r := newRig(t, 3000, emulator.Options{})
				if begun {
					r.run(r.plan(1, "true"))
				}
				at := r.videoAt(1)
				if err := tt.make(r, at); err != nil {
					t.Skip(err)
				}
				was, err := os.Lstat(at)
				if err != nil {
					t.Fatal(err)
				}
				p := r.plan(2, "true")
				r.wantForeign(p, at, "job-001")
				if is, err := os.Lstat(at); err != nil || !os.SameFile(was, is) || is.Mode() != was.Mode() || is.Size() != was.Size() {
					t.Errorf("it is not what it was: %v, %v", is, err)
				}
				if err := os.Rename(at, at+"-away"); err != nil {
					t.Fatal(err)
				}
				r.settled(r.run(p), 2)
			})
		}
	}
}

// A job that was planned by an earlier run and not paid for has no file yet: one that
// lies there is foreign. It is nobody's business once the job left the manifest, or
// where a run is told of more than one.
func TestForeignFileOfPlannedJob(t *testing.T) {
	r := newRig(t, 3000, emulator.Options{})
	r.run(r.plan(3, "true"), func(c *pipeline.Config) { c.Limit = 1 })
	r.put(r.videoAt(1), "precious")
	r.put(r.videoAt(2), "precious")
	r.wantForeign(r.plan(3, "true"), r.videoAt(1)+" (the first of 2)", "job-001")
	r.settled(r.run(r.plan(1, "true")), 1)
}

// Files that the batch made itself, or may have, are in nobody's way.
func TestOwnFilesAreReplaced(t *testing.T) {
	changed := func(r *rig) func(*pipeline.Manifest) {
		return func(m *pipeline.Manifest) { m.Pairs[0].Image = r.variant(m.Pairs[0].Image, 99) }
	}
	accepted := func(c *pipeline.Config) { c.AcceptChanges = true }

	t.Run("of a crash before the record", func(t *testing.T) {
		r := newRig(t, 3000, emulator.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		_, err := r.try(ctx, r.plan(1, "true"), func(c *pipeline.Config) {
			c.OnEvent = func(e pipeline.Event) {
				if e.Kind == "accepted" {
					cancel()
				}
			}
		})
		if !errors.Is(err, pipeline.ErrInterrupted) {
			t.Fatal(err)
		}
		r.put(r.videoAt(0), "as renamed, not recorded")
		r.settled(r.run(r.plan(1, "true")), 1)
	})
	t.Run("of a job that failed", func(t *testing.T) {
		r := newRig(t, 3000, emulator.Options{}, "failed-input:1")
		r.run(r.plan(1, "true"))
		r.put(r.videoAt(0), "of an earlier attempt, as far as is known")
		r.settled(r.run(r.plan(1, "true"), func(c *pipeline.Config) { c.RetryFailed = true }), 1)
	})
	t.Run("of another plan", func(t *testing.T) {
		r := newRig(t, 3000, emulator.Options{})
		r.run(r.plan(1, "true"))
		report := r.run(r.plan(1, "true", changed(r)), accepted)
		if report.Totals.Done != 1 || r.provider.Meter().Creates != 2 {
			t.Errorf("%+v", report.Totals)
		}
	})
	t.Run("of a name that it had before", func(t *testing.T) {
		r := newRig(t, 3000, emulator.Options{})
		named := func(name string) func(*pipeline.Manifest) {
			return func(m *pipeline.Manifest) { m.Output.File = name }
		}
		r.run(r.plan(1, "true"))
		r.run(r.plan(1, "true", changed(r), named("{id}-2.mp4")), accepted)
		report := r.run(r.plan(1, "true"), accepted)
		if report.Totals.Done != 1 || r.provider.Meter().Creates != 3 {
			t.Errorf("%+v", report.Totals)
		}
		other := filepath.Join(r.folder(), "videos", "job-000-3.mp4")
		r.put(other, "precious")
		r.wantForeign(r.plan(1, "true", changed(r), named("{id}-3.mp4")), other, "job-000", accepted)
	})
}

// A copy of another batch's video that was made before a crash, and not recorded, is
// made again; anything else at its name is foreign.
func TestOwnCopyIsReplaced(t *testing.T) {
	r := newRig(t, 3000, emulator.Options{})
	r.run(r.plan(2, "true"))
	source := r.folder()
	video, err := os.ReadFile(r.videoAt(1))
	if err != nil {
		t.Fatal(err)
	}
	named := func(m *pipeline.Manifest) { m.Name = "other" }
	r.run(r.plan(2, "true", named), func(c *pipeline.Config) { c.Limit = 1 })
	reusing := func(c *pipeline.Config) { c.Reuse = []string{source} }
	at := filepath.Join(r.dir, "out", "other", "videos", "job-001.mp4")
	r.put(at, "precious")
	r.wantForeign(r.plan(2, "true", named), at, "job-001", reusing)
	r.put(at, string(video))
	r.wantForeign(r.plan(2, "true", named), at, "job-001") // nobody says whose it is
	report := r.run(r.plan(2, "true", named), reusing)
	if report.Totals.Done != 2 || r.provider.Meter().Creates != 3 || report.Totals.Reused.Jobs != 1 {
		t.Errorf("%+v, %d creates", report.Totals, r.provider.Meter().Creates)
	}
}

// A journal that was emptied or removed is refused by a run and, before it asks anybody,
// by its preview: what it knew is paid for already.
func TestEmptiedJournalIsNotBegunAnew(t *testing.T) {
	r := newRig(t, 3000, emulator.Options{})
	plan := r.plan(1, "true")
	r.run(plan)
	in := func(name string) string { return filepath.Join(r.folder(), name) }
	harms := []struct {
		do   func() error
		want string
	}{
		{func() error { return os.Truncate(in("journal.jsonl"), 0) }, "journal.jsonl is empty, but the report"},
		{func() error { return os.Remove(in("report.json")) }, "job-000.mp4 exists, but no journal"},
		{func() error { return os.Remove(in("journal.jsonl")) }, "job-000.mp4 exists, but no journal"},
	}
	for _, h := range harms {
		if err := h.do(); err != nil {
			t.Fatal(err)
		}
		_, previewErr := plan.Preview(r.config())
		_, runErr := r.try(t.Context(), plan)
		for _, err := range []error{previewErr, runErr} {
			if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), h.want) {
				t.Errorf("%v; want %q", err, h.want)
			}
		}
	}
	if n := r.provider.Meter().Creates; n != 1 {
		t.Errorf("paid for %d times", n)
	}
}
