package pipeline_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// slowRig is a rig whose tasks run for ever until release is called.
func slowRig(t *testing.T, faults ...string) (r *rig, release func()) {
	t.Helper()
	var fast atomic.Bool
	r = newRig(t, 600, emulator.Options{Timeout: 1000 * time.Hour, RunTime: func(string, float64) time.Duration {
		if fast.Load() {
			return 20 * time.Second
		}
		return 999 * time.Hour
	}}, faults...)
	return r, func() { fast.Store(true) }
}

// leave runs the plan and kills the run as soon as enough has happened.
func (r *rig) leave(p *pipeline.Plan, enough func(pipeline.Event) bool) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	_, err := r.try(ctx, p, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if enough(e) {
				cancel()
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		r.t.Fatalf("the run was not left: %v", err)
	}
}

func (r *rig) cancel(edit ...func(*pipeline.Config)) *pipeline.Report {
	r.t.Helper()
	report, err := r.tryCancel(r.t.Context(), edit...)
	if err != nil {
		r.t.Fatalf("cancel: %v\n%s", err, r.trail())
	}
	return report
}

func (r *rig) tryCancel(ctx context.Context, edit ...func(*pipeline.Config)) (*pipeline.Report, error) {
	cfg := r.config()
	cfg.Endpoint = "" // the journal knows
	for _, e := range edit {
		e(&cfg)
	}
	return pipeline.Cancel(ctx, r.folder(), cfg)
}

// wantStates compares the states of all jobs, in the manifest's order.
func (r *rig) wantStates(report *pipeline.Report, want ...pipeline.State) {
	r.t.Helper()
	var got []pipeline.State
	for _, j := range report.Jobs {
		got = append(got, j.State)
	}
	if d := cmp.Diff(want, got); d != "" {
		r.t.Fatalf("states (-want +got):\n%s\n%s", d, r.trail())
	}
}

// onAccepted is enough once n tasks were accepted.
func onAccepted(n int) func(pipeline.Event) bool {
	return func(e pipeline.Event) bool {
		if e.Kind == "accepted" {
			n--
		}
		return n <= 0
	}
}

// onRunning is enough once n tasks were accepted and one of them was seen running.
func onRunning(n int) func(pipeline.Event) bool {
	accepted, running := onAccepted(n), false
	return func(e pipeline.Event) bool {
		running = running || e.Kind == "running"
		return accepted(e) && running
	}
}

func TestCancel(t *testing.T) {
	r, release := slowRig(t)
	plan := r.plan(5, "true")
	r.leave(plan, onRunning(3))

	report := r.cancel()
	r.wantStates(report, "running", "failed", "failed", "pending", "pending")
	for _, j := range report.Jobs[1:3] {
		if e := j.Error; e == nil || e.Code != "Canceled" || e.Charged == nil || *e.Charged {
			t.Errorf("%s: error %+v", j.ID, e)
		}
	}
	if !report.Totals.Billed.IsZero() || report.Complete {
		t.Errorf("billed %s, complete %v", report.Totals.Billed, report.Complete)
	}
	if m := r.provider.Meter(); m.Creates != 3 || m.Requests["cancel"] != 2 || m.Requests["result"] != 0 {
		t.Errorf("%d creates, %v", m.Creates, m.Requests)
	}

	release() // the next run follows what ran, and leaves what a person canceled
	r.wantStates(r.run(plan), "done", "failed", "failed", "done", "done")
	r.settled(r.run(plan, func(c *pipeline.Config) { c.RetryFailed = true }), 5)
	if n := r.provider.Meter().Creates; n != 7 {
		t.Errorf("%d creates for 5 pairs, of which 2 were canceled once", n)
	}
}

// A task that began to run, or ended, before the cancel came is left to the next
// run, whatever the journal last knew of it.
func TestCancelTooLate(t *testing.T) {
	known := map[pipeline.State]func(int) func(pipeline.Event) bool{"queued": onAccepted, "running": onRunning}
	for _, ended := range []bool{false, true} {
		for last, enough := range known {
			r, release := slowRig(t)
			plan := r.plan(2, "true")
			r.leave(plan, enough(2))
			want := "RUNNING"
			if ended {
				release()
				want = "SUCCEEDED"
			}
			for r.provider.Meter().Tasks[0].Status != want || ended && r.provider.Meter().Tasks[1].Status != want {
				runtime.Gosched() // the provider's own clock
			}
			before, err := pipeline.Status(r.folder())
			if err != nil {
				t.Fatal(err)
			}
			first := before.Jobs[0].State // a slow machine may have seen it run before the second was accepted
			if last == "running" && first != last {
				t.Fatalf("the first job is %s", first)
			}
			report := r.cancel()
			if !ended {
				r.wantStates(report, "running", "failed")
				release()
				r.wantStates(r.run(plan), "done", "failed")
				continue
			}
			if first == "queued" { // what is known to run is not looked at
				first = "fetching"
			}
			r.wantStates(report, first, "fetching")
			r.settled(r.run(plan), 2)
		}
	}
}

// Killed between a cancel that the provider carried out and the look at it, the
// next cancel, and the next run too, find the task canceled and leave it so.
func TestCancelKilled(t *testing.T) {
	for _, next := range []string{"cancel", "run"} {
		t.Run(next, func(t *testing.T) {
			r, release := slowRig(t)
			plan := r.plan(2, "true")
			r.leave(plan, onRunning(2))

			ctx, kill := context.WithCancel(t.Context())
			defer kill()
			wire := &http.Transport{}
			defer wire.CloseIdleConnections()
			_, err := r.tryCancel(ctx, func(c *pipeline.Config) { c.Transport = killer{wire, kill} })
			if !errors.Is(err, pipeline.ErrInterrupted) {
				t.Fatalf("error %v", err)
			}
			status, err := pipeline.Status(r.folder())
			if err != nil {
				t.Fatal(err)
			}
			r.wantStates(status, "running", "queued")
			if got := r.provider.Meter().Tasks[1].Status; got != "CANCELED" {
				t.Fatalf("the provider says %s", got)
			}
			if next == "cancel" {
				r.wantStates(r.cancel(), "running", "failed")
			}
			release()
			report := r.run(plan)
			r.wantStates(report, "done", "failed")
			if code := report.Jobs[1].Error.Code; code != "Canceled" {
				t.Errorf("code %q", code)
			}
			if n := r.provider.Meter().Creates; n != 2 {
				t.Errorf("%d creates", n)
			}
		})
	}
}

// killer ends the process, as far as a context can, once a cancel was answered.
type killer struct {
	wire http.RoundTripper
	kill func()
}

func (k killer) RoundTrip(req *http.Request) (*http.Response, error) {
	answer, err := k.wire.RoundTrip(req)
	if strings.HasSuffix(req.URL.Path, "/cancel") {
		k.kill()
	}
	return answer, err
}

// Trouble at the provider delays a cancel and changes nothing else.
func TestCancelInTrouble(t *testing.T) {
	for _, fault := range []string{"query-429:50%", "query-500:50%", "query-reset:50%", "unknown-flap:10%", "drop-all:50%"} {
		t.Run(strings.SplitN(fault, ":", 2)[0], func(t *testing.T) {
			t.Parallel()
			r, release := slowRig(t, fault)
			plan := r.plan(3, "true")
			r.leave(plan, onRunning(1))
			report := r.cancel()
			for _, j := range report.Jobs[1:] {
				if j.State == "pending" || j.State == "in_doubt" {
					continue // not accepted before the run was left
				}
				if j.State != "failed" || j.Error.Code != "Canceled" {
					t.Errorf("%s is %s\n%s", j.ID, j.State, r.trail())
				}
			}
			release()
			r.settled(r.run(plan, func(c *pipeline.Config) { c.RetryFailed = true }), 3)
		})
	}
}

// A cancel of a batch that has nothing waiting needs no key and calls nobody; one
// that cannot be meant is refused before anything is sent.
func TestCancelRefusals(t *testing.T) {
	r, release := slowRig(t)
	if _, err := r.tryCancel(t.Context()); !errors.Is(err, pipeline.ErrUsage) {
		t.Errorf("no batch: %v", err)
	}
	plan := r.plan(2, "true")
	r.leave(plan, onAccepted(2))
	before := r.provider.Meter().Requests
	for what, edit := range map[string]func(*pipeline.Config){
		"another key":      func(c *pipeline.Config) { c.APIKey = "sk-another" },
		"no key":           func(c *pipeline.Config) { c.APIKey = "" },
		"another endpoint": func(c *pipeline.Config) { c.Endpoint = "https://dashscope-intl.aliyuncs.com" },
		"another region":   func(c *pipeline.Config) { c.Endpoint = "https://dashscope.aliyuncs.com" },
	} {
		if _, err := r.tryCancel(t.Context(), edit); !errors.Is(err, pipeline.ErrUsage) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if d := cmp.Diff(before, r.provider.Meter().Requests); d != "" {
		t.Errorf("refused, but sent (-before +after):\n%s", d)
	}
	release()
	r.settled(r.run(plan), 2)
	before = r.provider.Meter().Requests
	r.wantStates(r.cancel(func(c *pipeline.Config) { c.APIKey = "" }), "done", "done")
	if d := cmp.Diff(before, r.provider.Meter().Requests); d != "" {
		t.Errorf("nothing waits, but sent (-before +after):\n%s", d)
	}
}

// A cancel beside a run, and beside another batch on the lane, waits its turn.
func TestCancelIsLockedOut(t *testing.T) {
	r, _ := slowRig(t)
	plan := r.plan(3, "true")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told error
	_, err := r.try(ctx, plan, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "running" {
				_, told = r.tryCancel(t.Context())
				cancel()
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) || !errors.Is(told, pipeline.ErrLocked) {
		t.Errorf("run: %v; cancel beside it: %v", err, told)
	}
}

// The settings of the newest run are those that a cancel works under.
func TestCancelRemembersSettings(t *testing.T) {
	r, _ := slowRig(t)
	plan := r.plan(2, "key", func(m *pipeline.Manifest) { m.Limits.QueryPerSecond, m.Limits.PollMax = 2.5, 7*time.Second })
	r.leave(plan, onAccepted(2))
	settings := func() string {
		journal := read(t, r.folder(), "journal.jsonl")
		_, after, _ := strings.Cut(journal[strings.LastIndex(journal, `"settings":`):], "{")
		text, _, _ := strings.Cut(after, "}")
		return text
	}
	before := settings()
	r.cancel()
	if d := cmp.Diff(before, settings()); d != "" {
		t.Errorf("settings (-run +cancel):\n%s", d)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A run with a mistyped key made none of the tasks: the right one cancels them.
func TestCancelAfterAMistypedKey(t *testing.T) {
	t.Parallel()
	r, _ := slowRig(t)
	plan := r.plan(3, "true")
	accepted := 0
	r.leave(plan, func(e pipeline.Event) bool {
		if e.Kind == pipeline.EventAccepted {
			accepted++
		}
		return accepted == 3
	})
	_, err := r.try(t.Context(), plan, func(c *pipeline.Config) {
		c.APIKey = "sk-mistyped"
		c.Transport = network(func(req *http.Request) (*http.Response, error) {
			const no = `{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"x"}`
			return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(no)), Request: req}, nil
		})
	})
	if !errors.Is(err, pipeline.ErrAccount) {
		t.Fatalf("with a mistyped key: %v", err)
	}
	if _, err := r.tryCancel(t.Context(), func(c *pipeline.Config) { c.APIKey = "sk-other" }); !errors.Is(err, pipeline.ErrUsage) {
		t.Errorf("a key that no run used cancels: %v", err)
	}
	if report := r.cancel(); report.Totals.Failed == 0 {
		t.Errorf("nothing was canceled: %+v", report.Totals)
	}
}

// The key was changed, and the run with the new one created nothing, since no slot was
// free. The old one is revoked: the new one cancels.
func TestCancelAfterANewKey(t *testing.T) {
	t.Parallel()
	r, _ := slowRig(t)
	plan := r.plan(6, "true")
	r.leave(plan, onAccepted(3))
	changed := func(c *pipeline.Config) { c.APIKey = "sk-changed" }
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := r.try(ctx, plan, changed, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "started" {
				stop()
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatal(err)
	}
	if report, err := r.tryCancel(t.Context(), changed); err != nil || report.Totals.Failed != 2 {
		t.Errorf("the new key cancels %d tasks: %v", report.Totals.Failed, err)
	}
}
