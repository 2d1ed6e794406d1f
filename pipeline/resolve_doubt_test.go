package pipeline

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// oldDoubt is a batch of two jobs on a provider that swallowed the answer to the first
// create, some time ago, under a key that is revoked since.
type oldDoubt struct {
	t        *testing.T
	plan     *Plan
	cfg      Config // of a run with another key of the account
	folder   string
	provider *emulator.Server
}

func newOldDoubt(t *testing.T, ago time.Duration) *oldDoubt {
	lost, err := emulator.ParseFault("lost-reply:1")
	if err != nil {
		t.Fatal(err)
	}
	const speed = 30
	start := time.Now()
	var back atomic.Int64
	back.Store(int64(ago))
	provider := emulator.New(emulator.Options{Seed: 1, Faults: []emulator.Fault{lost}, RunTime: func(string, float64) time.Duration { return 20 * time.Second },
		Now: func() time.Time { return start.Add(time.Since(start)*speed - time.Duration(back.Load())) }})
	server := httptest.NewServer(provider)
	t.Cleanup(func() { server.Close(); provider.Close() })
	dir := t.TempDir()
	d := &oldDoubt{t: t, plan: worldPlan(t, dir, 2, "false"), provider: provider, folder: filepath.Join(dir, "out", "test"),
		cfg: Config{Output: filepath.Join(dir, "out"), State: filepath.Join(dir, "state"), APIKey: "sk-old", Endpoint: server.URL, Speed: speed}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := d.cfg
	first.testHooks.wrong = func() time.Duration { return -ago }
	first.OnEvent = func(e Event) {
		if e.Kind == "unanswered" {
			cancel()
		}
	}
	if _, err := Run(ctx, d.plan, first); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	back.Store(0) // that much later
	d.cfg.APIKey = "sk-new"
	return d
}

// wantAgreed checks that journal, report.json and videos tell the same.
func (d *oldDoubt) wantAgreed() {
	d.t.Helper()
	var now strings.Builder
	r, err := Status(d.folder)
	if err != nil || r.JSON(&now) != nil {
		d.t.Fatal(err)
	}
	if file, _ := os.ReadFile(filepath.Join(d.folder, reportJSON)); string(file) != now.String() {
		d.t.Error("report.json differs from the journal")
	}
	if f, err := Audit(d.folder); err != nil || !f.Proven() {
		d.t.Errorf("audit: %v, %+v", err, f)
	}
}

// A create in doubt whose key is gone is a person's to settle once it is an hour old. Each
// verdict holds, keeps its money held, and lets a run with another key go on.
func TestResolveOldDoubt(t *testing.T) {
	tests := []struct {
		verdict               Verdict
		state                 State
		done, failed, creates int
		held                  bool // when all is done
	}{
		{Adopt, StateQueued, 2, 0, 2, false},
		{Resubmit, StatePending, 2, 0, 3, true},
		{Abandon, StateFailed, 1, 1, 2, true},
	}
	for _, tt := range tests {
		t.Run(string(tt.verdict), func(t *testing.T) {
			d := newOldDoubt(t, 2*time.Hour)
			before, err := Status(d.folder)
			if err != nil || before.Jobs[0].State != StateInDoubt || before.Complete {
				t.Fatalf("%v, %+v", err, before)
			}
			if _, err := Run(t.Context(), d.plan, d.cfg); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "wanbatch resolve "+d.folder+" job-0") {
				t.Fatalf("a run with another key: %v", err)
			}
			task, hold := "", before.Totals.BilledMax
			if tt.verdict == Adopt {
				task = d.provider.Meter().Tasks[0].ID
			}
			r, err := Resolve(d.folder, "job-0", tt.verdict, task)
			if err != nil {
				t.Fatal(err)
			}
			if r.Jobs[0].State != tt.state || !r.Totals.BilledMax.Equal(hold) || !r.Totals.Billed.IsZero() {
				t.Errorf("%s, billed %s, at most %s; want %s, 0, %s", r.Jobs[0].State, r.Totals.Billed, r.Totals.BilledMax, tt.state, hold)
			}
			if tt.verdict != Adopt { // which can be taken back
				if _, err := Resolve(d.folder, "job-0", Abandon, ""); !errors.Is(err, ErrUsage) {
					t.Errorf("resolved twice: %v", err)
				}
			}
			d.wantAgreed()

			r, err = Run(t.Context(), d.plan, d.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if n := d.provider.Meter().Creates; r.Totals.Done != tt.done || r.Totals.Failed != tt.failed || n != tt.creates {
				t.Errorf("%d done, %d failed, %d creates; want %d, %d, %d", r.Totals.Done, r.Totals.Failed, n, tt.done, tt.failed, tt.creates)
			}
			if possible := r.Totals.BilledMax.Sub(r.Totals.Billed); tt.held && !possible.Equal(hold) || !tt.held && !possible.IsZero() {
				t.Errorf("%s may have been billed besides, the hold was %s", possible, hold)
			}
			if tt.failed > 0 && r.Jobs[0].Error.Code != "Abandoned" {
				t.Errorf("failed with %+v", r.Jobs[0].Error)
			}
			if tt.verdict == Adopt && r.Totals.BilledSeconds.String() != d.provider.Meter().BilledSeconds {
				t.Errorf("billed %s s, the meter %s s", r.Totals.BilledSeconds, d.provider.Meter().BilledSeconds)
			}
			d.wantAgreed()
		})
	}
}
