package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"go.uber.org/goleak"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testKey must never turn up in anything that is written or told.
const testKey = "sk-canary-7f3a9c51e2"

// rig is a provider whose clock runs fast, and a folder to work in.
type rig struct {
	t        *testing.T
	provider *emulator.Server
	server   *httptest.Server
	dir      string
	speed    float64
	events   []pipeline.Event
}

// newRig starts a provider. Its clock, and that of runs, is speed times as fast
// as the wall clock, so that limits, run times and settling keep their proportion.
func newRig(t *testing.T, speed float64, opt emulator.Options, faults ...string) *rig {
	t.Helper()
	start := time.Now()
	opt.Now = func() time.Time { return start.Add(time.Duration(float64(time.Since(start)) * speed)) }
	if opt.Seed == 0 {
		opt.Seed = 1
	}
	if opt.RunTime == nil {
		opt.RunTime = func(string, float64) time.Duration { return 20 * time.Second }
	}
	for _, f := range faults {
		fault, err := emulator.ParseFault(f)
		if err != nil {
			t.Fatal(err)
		}
		opt.Faults = append(opt.Faults, fault)
	}
	r := &rig{t: t, provider: emulator.New(opt), dir: t.TempDir(), speed: speed}
	r.server = httptest.NewServer(r.provider)
	t.Cleanup(func() { r.server.Close(); r.provider.Close() })
	return r
}

// media are real files of this repository, by their length in seconds.
var media = struct{ image, video string }{"characters/alice.png", "dances/jump.mov"}

// plan makes a plan of n pairs that differ, on a lane with the given promise.
func (r *rig) plan(n int, exclusive string, edit ...func(*pipeline.Manifest)) *pipeline.Plan {
	r.t.Helper()
	repo, err := filepath.Abs("../manifests/media")
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: test\nlane: {region: singapore, exclusive: %s}\npairs:\n", exclusive)
	for i := range n {
		image := r.variant(filepath.Join(repo, media.image), i)
		fmt.Fprintf(&b, "  - {id: job-%03d, image: %s, video: %s}\n", i, image, filepath.Join(repo, media.video))
	}
	m, err := pipeline.ReadManifest(strings.NewReader(b.String()), filepath.Join(r.dir, "test.yaml"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range edit {
		e(m)
	}
	p, err := pipeline.NewPlan(r.t.Context(), m, pipeline.PlanOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

// variant writes a medium that differs from the given one in what no reader of
// media minds, its end, and returns its path.
func (r *rig) variant(of string, i int) string {
	r.t.Helper()
	bytes, err := os.ReadFile(of)
	if err != nil {
		r.t.Fatal(err)
	}
	name, ext := filepath.Base(filepath.Dir(of)), filepath.Ext(of)
	path := filepath.Join(r.dir, "in", fmt.Sprintf("%s%03d%s", name, i, ext))
	free := []byte{0, 0, 0, 12, 'f', 'r', 'e', 'e', 0, 0, 0, byte(i)}
	err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, append(bytes, free...), 0o644))
	if err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *rig) config() pipeline.Config {
	return pipeline.Config{Output: filepath.Join(r.dir, "out"), State: filepath.Join(r.dir, "state"), APIKey: testKey,
		Endpoint: r.server.URL, Speed: r.speed, OnEvent: func(e pipeline.Event) { r.events = append(r.events, e) }}
}

func (r *rig) folder() string { return filepath.Join(r.dir, "out", "test") }

// run runs the plan and fails the test on an error.
func (r *rig) run(p *pipeline.Plan, edit ...func(*pipeline.Config)) *pipeline.Report {
	r.t.Helper()
	report, err := r.try(r.t.Context(), p, edit...)
	if err != nil {
		r.t.Fatalf("run: %v\n%s", err, r.trail())
	}
	return report
}

func (r *rig) try(ctx context.Context, p *pipeline.Plan, edit ...func(*pipeline.Config)) (*pipeline.Report, error) {
	cfg := r.config()
	for _, e := range edit {
		e(&cfg)
	}
	return pipeline.Run(ctx, p, cfg)
}

// trail is what happened, for a failing test's log.
func (r *rig) trail() string {
	var b strings.Builder
	for _, e := range r.events[max(0, len(r.events)-40):] {
		fmt.Fprintf(&b, "%s %s %s %d %s %s %s\n", e.Time.Format("15:04:05"), e.Kind, e.Job, e.Attempt, e.Code, e.Message, e.By)
	}
	return b.String()
}

// settled checks that a batch ended as it should: every job done or quarantined,
// every file there, the meter at one live task per pair and in agreement with
// the bill.
func (r *rig) settled(report *pipeline.Report, jobs int) {
	r.t.Helper()
	tot, meter := report.Totals, r.provider.Meter()
	if tot.Jobs != jobs || tot.Done != jobs || !report.Complete {
		r.t.Errorf("%d of %d jobs done, complete %v\n%s", tot.Done, jobs, report.Complete, r.trail())
	}
	if n := meter.MaxLivePerPair; n > 1 {
		r.t.Errorf("a pair has %d live tasks", n)
	}
	for kind, n := range meter.OverLimit {
		if n > 0 {
			r.t.Errorf("%d %s calls over the limit", n, kind)
		}
	}
	if meter.NeverFetched > 0 || meter.IdempotencyHeaders > 0 || meter.AuthAtResults > 0 {
		r.t.Errorf("meter: %d results never fetched, %d idempotency headers, %d keys at results",
			meter.NeverFetched, meter.IdempotencyHeaders, meter.AuthAtResults)
	}
	if want := decimal.RequireFromString(meter.BilledSeconds); !tot.BilledSeconds.Equal(want) {
		r.t.Errorf("report bills %s s, the meter %s s", tot.BilledSeconds, want)
	}
	for _, j := range report.Jobs {
		if j.File == nil {
			continue
		}
		info, err := os.Stat(filepath.Join(r.folder(), j.File.Path))
		if err != nil || info.Size() != j.File.Bytes {
			r.t.Errorf("file of %s: %v", j.ID, err)
		}
		if j.Usage != nil && !j.File.Duration.Equal(j.Usage.VideoDuration) {
			r.t.Errorf("%s plays %s s and is billed %s s", j.ID, j.File.Duration, j.Usage.VideoDuration)
		}
	}
}
