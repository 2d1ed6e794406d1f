package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// work is a plan of pairs given as id=picture: equal pictures are the same work.
func (r *rig) work(name string, pairs ...string) *pipeline.Plan {
	r.t.Helper()
	m := r.plan(1, "true").Manifest
	m.Name = name
	video, picture := m.Pairs[0].Video, must(os.ReadFile(m.Pairs[0].Image))
	m.Pairs = nil
	for _, pair := range pairs {
		id, what, _ := strings.Cut(pair, "=")
		image := filepath.Join(r.dir, "picture-"+what+".png")
		if err := os.WriteFile(image, append(bytes.Clone(picture), what...), 0o666); err != nil {
			r.t.Fatal(err)
		}
		m.Pairs = append(m.Pairs, pipeline.Pair{ID: id, Image: image, Video: video})
	}
	p, err := pipeline.NewPlan(r.t.Context(), &m, pipeline.PlanOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func reusing(sources ...string) func(*pipeline.Config) {
	return func(c *pipeline.Config) { c.Reuse = sources }
}

func (r *rig) in(name string) string { return filepath.Join(r.dir, "out", name) }

func (r *rig) wantCreates(n int) {
	r.t.Helper()
	if got := r.provider.Meter().Creates; got != n {
		r.t.Errorf("%d creates, want %d\n%s", got, n, r.trail())
	}
}

func (r *rig) wantProven(name string) {
	r.t.Helper()
	if found, err := pipeline.Audit(r.in(name)); err != nil || !found.Proven() {
		r.t.Errorf("audit of %s: %+v, %v", name, found, err)
	}
}

// What another batch has done is not paid for again: whatever the jobs are called,
// wherever the sources are named, and also at second hand.
func TestReuse(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.run(r.work("spring", "a=1", "b=2"))
	r.wantCreates(2)

	report := r.run(r.work("summer", "x=2", "y=3", "z=1", "again=2"), reusing(r.in("spring")))
	r.wantCreates(3)
	if tot := report.Totals; tot.Done != 4 || tot.Reused.Jobs != 3 || tot.Reused.Seconds.String() != "9.6" || tot.Reused.Saved.String() != "1.152" ||
		!tot.Billed.Equal(decimal.RequireFromString("0.384")) || !tot.BilledMax.Equal(tot.Billed) {
		t.Errorf("totals %+v", tot)
	}
	from := map[string]string{"x": "spring/b", "z": "spring/a", "again": "spring/b"}
	for _, j := range report.Jobs {
		got := ""
		if j.ReusedFrom != nil {
			got = *j.ReusedFrom
		}
		if want := from[j.ID]; got != want && got != want+" at "+r.server.URL {
			t.Errorf("%s is reused from %q, want %q", j.ID, got, want)
		}
		if from[j.ID] != "" && (!j.Billed.Valid || !j.Billed.Decimal.IsZero() || len(j.Attempts) > 0) {
			t.Errorf("%s is billed %v, after %d attempts", j.ID, j.Billed, len(j.Attempts))
		}
	}
	if !bytes.Equal(must(os.ReadFile(r.in("summer/videos/z.mp4"))), must(os.ReadFile(r.in("spring/videos/a.mp4")))) {
		t.Error("a reused video has other bytes")
	}
	r.wantProven("summer")

	// All of it, by a report and without a key; then a journal that has it from there.
	autumn := r.run(r.work("autumn", "p=1", "q=3"), reusing(r.in("summer/report.json")), func(c *pipeline.Config) { c.APIKey = "" })
	winter := r.run(r.work("winter", "w=1"), reusing(r.in("autumn/journal.jsonl")))
	r.wantCreates(3)
	if !autumn.Complete || !winter.Complete || *winter.Jobs[0].ReusedFrom != "spring/a at "+r.server.URL {
		t.Errorf("autumn %+v, winter from %s", autumn.Totals, *winter.Jobs[0].ReusedFrom)
	}
	r.wantProven("autumn")

	// A finished batch again costs nothing, whether its sources are named or not.
	r.run(r.work("summer", "x=2", "y=3", "z=1", "again=2"))
	r.run(r.work("summer", "x=2", "y=3", "z=1", "again=2"), reusing(r.in("spring")))
	r.wantCreates(3)
}

// Only what this run would submit is reused.
func TestReuseHeedsTheChoice(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.run(r.work("spring", "a=1", "b=2"))
	report := r.run(r.work("summer", "x=1", "y=2"), reusing(r.in("spring")), func(c *pipeline.Config) { c.Limit = 1 })
	if report.Totals.Done != 1 || report.Totals.Pending != 1 {
		t.Errorf("totals %+v", report.Totals)
	}
}

// A job that failed is reused when it would be submitted again, not before.
func TestReuseForRetry(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-input:1")
	r.run(r.work("summer", "x=1"))
	r.run(r.work("spring", "a=1"))
	r.wantCreates(2)
	if report := r.run(r.work("summer", "x=1"), reusing(r.in("spring"))); report.Totals.Failed != 1 {
		t.Errorf("totals %+v", report.Totals)
	}
	report := r.run(r.work("summer", "x=1"), reusing(r.in("spring")), func(c *pipeline.Config) { c.RetryFailed = true })
	r.wantCreates(2)
	if report.Totals.Done != 1 || report.Totals.Reused.Jobs != 1 {
		t.Errorf("totals %+v", report.Totals)
	}
	r.wantProven("summer")
}

// A job whose retry was not decided before its run ended is reused, not paid for.
func TestReuseForARetryThatIsDue(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-algo:1")
	stop := make(chan struct{})
	_, err := r.try(t.Context(), r.work("summer", "x=1"), func(c *pipeline.Config) {
		c.Stop = stop
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "ended" {
				close(stop)
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatal(err)
	}
	r.run(r.work("spring", "a=1"))
	report := r.run(r.work("summer", "x=1"), reusing(r.in("spring")))
	r.wantCreates(2)
	if report.Totals.Done != 1 || report.Totals.Reused.Jobs != 1 {
		t.Errorf("totals %+v", report.Totals)
	}
	r.wantProven("summer")
}

// A file that is not what was verified is never taken for it. Where that shows at
// once the job is paid for, and a warning says so; bytes that changed under the
// same length end the run before anything is spent.
func TestReuseVerifies(t *testing.T) {
	tests := []struct {
		name    string
		spoil   func(file string) error
		warning string // "": the run refuses
	}{
		{"removed", os.Remove, "the file is missing"},
		{"cut", func(file string) error { return os.Truncate(file, 100) }, "it has 100 bytes, not "},
		{"a link", func(file string) error {
			return errors.Join(os.Rename(file, file+".other"), os.Symlink(file+".other", file))
		}, "it is not a regular file"},
		{"one bit", func(file string) error {
			data := must(os.ReadFile(file))
			data[len(data)/2] ^= 1
			return os.WriteFile(file, data, 0o666)
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{})
			r.run(r.work("spring", "a=1"))
			if err := tt.spoil(r.in("spring/videos/a.mp4")); err != nil {
				t.Fatal(err)
			}
			plan := r.work("summer", "x=1", "y=2")
			cfg := r.config()
			cfg.Reuse = []string{r.in("spring")}
			bound, err := plan.Under(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(bound.Warnings(), "\n"); tt.warning != "" && !strings.Contains(got, "x is not reused from "+r.in("spring/videos/a.mp4")+": "+tt.warning) {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
			_, err = r.try(t.Context(), bound, reusing(r.in("spring")))
			if tt.warning == "" {
				if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "job x was to be reused from spring/a") {
					t.Errorf("error %v", err)
				}
				r.wantCreates(1)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r.wantCreates(3)
		})
	}
}

// What one emulator made is a test card: it is worth nothing at another endpoint.
func TestReuseTakesNoTestCards(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.run(r.work("spring", "a=1"))
	cfg := r.config()
	cfg.Endpoint, cfg.Reuse = "https://dashscope-intl.aliyuncs.com/api/v1", []string{r.in("spring")}
	bound, err := r.work("summer", "x=1").Under(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for j := range bound.Jobs() {
		if j.ReusedFrom != "" {
			t.Errorf("%s would be reused from %s", j.ID, j.ReusedFrom)
		}
	}
	if got := strings.Join(bound.Warnings(), "\n"); !strings.Contains(got, "it was made at "+r.server.URL+", which is not the provider") {
		t.Errorf("warnings %q", got)
	}
}

func TestReuseRefusesWhatIsNoBatch(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.run(r.work("spring", "a=1"))
	journal := filepath.Join(r.in("spring"), "journal.jsonl")
	text := must(os.ReadFile(journal))
	damaged := filepath.Join(r.dir, "damaged.jsonl")
	if err := os.WriteFile(damaged, bytes.Replace(text, []byte(`"wan-std"`), []byte(`"wan-pro"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		r.dir:                      "it is no batch folder",
		filepath.Join(r.dir, "no"): "it is no batch folder",
		damaged:                    "damaged.jsonl: ",
	} {
		_, err := r.try(t.Context(), r.work("summer", "x=1"), reusing(source))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("reuse %s: %v, want %q", source, err, want)
		}
	}
	r.wantCreates(1)
}

// A plan that was approved with reused work is no longer that plan without it.
func TestReuseIsPartOfThePlan(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.run(r.work("spring", "a=1"))
	cfg := r.config()
	cfg.Reuse = []string{r.in("spring")}
	plan := r.work("summer", "x=1")
	saved, err := pipeline.ReadPlan(bytes.NewReader(save(t, must(plan.Under(cfg)))))
	if err != nil {
		t.Fatal(err)
	}
	diff := func(cfg pipeline.Config) string { return fmt.Sprint(must(saved.Diff(must(plan.Under(cfg))))) }
	if got := diff(cfg); got != "[]" {
		t.Errorf("the same plan differs: %s", got)
	}
	cfg.Reuse = nil
	if got := diff(cfg); !strings.Contains(got, "jobs.x.reused_from: is gone") || !strings.Contains(got, "run.reuse: was") {
		t.Errorf("differences %s", got)
	}
	cfg.Reuse = []string{r.in("spring")}
	if err := os.Remove(r.in("spring/videos/a.mp4")); err != nil {
		t.Fatal(err)
	}
	if got := diff(cfg); got != "[jobs.x.reused_from: is gone]" {
		t.Errorf("differences %s", got)
	}
}
