package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

func TestRun(t *testing.T) {
	r := newRig(t, 300, emulator.Options{RunTime: nil})
	report := r.run(r.plan(5, "false"))
	r.settled(report, 5)
	if got := r.provider.Meter().Creates; got != 5 {
		t.Errorf("%d creates for 5 pairs", got)
	}
}

// Every fault ends with every pair done, one live task per pair, and a bill that
// equals the meter, on a lane that nothing else uses.
func TestFaults(t *testing.T) {
	tests := []string{
		"lost-reply:30%", "lost-request:30%", "create-500:30%", "create-502:30%", "create-504:30%", "truncated-reply:30%",
		"wrong-content-type:30%", "late-create:30%", "bad-task-id:20%",
		"create-429:40%", "create-429-retry-after:40%", "create-burst:20%", "create-quota:20%",
		"query-429:40%", "query-500:40%", "query-reset:40%", "query-html:40%", "unknown-flap:40%", "status-regress:40%",
		"failed-no-code:30%", "failed-algo:20%", "no-url:40%", "expired-url:40%",
		"list-500:40%", "list-429:40%", "list-drift:40%", "list-duplicates", "list-unfiltered",
		"flat-result", "list-result", "integer-duration", "http-result",
		"cut-download:50%", "cut-download-no-length:50%", "wrong-crc:50%", "no-crc", "corrupt-body:50%", "early-403:50%",
		"range-ignored", "etag-changed", "html-result:50%", "redirect-private:40%", "gzip-bomb:40%",
		"date-skew", "drop-all:20%",
	}
	for _, fault := range tests {
		t.Run(strings.SplitN(fault, ":", 2)[0], func(t *testing.T) {
			t.Parallel()
			opt := emulator.Options{PageSizeMax: 7} // so that lists have pages
			opt.SignOnQuery = fault == "expired-url:40%"
			r := newRig(t, 600, opt, fault)
			report := r.run(r.plan(20, "true", func(m *pipeline.Manifest) { m.Limits.Tries = 10 }))
			r.settled(report, 20)
		})
	}
}

// A success without usage is delivered, is never billed as zero, and its bound
// is what the file shows.
func TestMissingUsage(t *testing.T) {
	for _, fault := range []string{"missing-usage", "negative-usage", "huge-usage"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{}, fault)
			report := r.run(r.plan(2, "true"))
			meter := decimal.RequireFromString(r.provider.Meter().BilledSeconds)
			for _, j := range report.Jobs {
				if j.State != "done" || j.Usage != nil || j.Billed.Valid {
					t.Errorf("%s is %s, usage %v, billed %v", j.ID, j.State, j.Usage, j.Billed)
				}
			}
			if want := meter.Mul(report.Jobs[0].UnitPrice); !report.Totals.BilledMax.Equal(want) || !report.Totals.Billed.IsZero() {
				t.Errorf("billed %s, at most %s, want 0 and %s", report.Totals.Billed, report.Totals.BilledMax, want)
			}
		})
	}
}

// A deadline ends creating so early that what was created is fetched by then.
func TestDeadline(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	at := time.Now().Add(4 * time.Minute) // tasks run for 20 s each, but nobody knows before the first has ended
	report, err := r.try(t.Context(), r.plan(40, "true"), func(c *pipeline.Config) { c.Deadline = at })
	if !errors.Is(err, pipeline.ErrInterrupted) || !strings.Contains(err.Error(), "deadline") {
		t.Fatalf("%v", err)
	}
	if report.Totals.Done == 0 || report.Totals.Pending == 0 || report.Totals.Done+report.Totals.Pending != 40 {
		t.Errorf("totals %+v", report.Totals)
	}
	for _, j := range report.Jobs {
		if j.StoredAt != nil && j.StoredAt.After(at) {
			t.Errorf("%s was stored %v after the deadline", j.ID, j.StoredAt.Sub(at))
		}
	}
}

// What the provider says of a bad input fails that job alone, free of charge.
func TestInputFailure(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-input:2")
	report := r.run(r.plan(3, "true"))
	if report.Totals.Done != 2 || report.Totals.Failed != 1 || !report.Complete {
		t.Fatalf("totals %+v", report.Totals)
	}
	for _, j := range report.Jobs {
		if j.State != "failed" {
			continue
		}
		if e := j.Error; e == nil || e.Code != "InvalidVideo.NoHuman" || e.Hint == "" || e.Charged == nil || *e.Charged {
			t.Errorf("error %+v", j.Error)
		}
		if len(j.Attempts) != 1 {
			t.Errorf("%d attempts at an input that cannot succeed", len(j.Attempts))
		}
	}
}

// On a lane that others may use, a doubt with an unknown task is a person's to
// settle; nothing is submitted on a guess.
func TestSharedLaneQuarantine(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:2")
	report := r.run(r.plan(3, "false"))
	if report.Totals.Quarantined != 1 || report.Totals.Done != 2 {
		t.Fatalf("totals %+v\n%s", report.Totals, r.trail())
	}
	if n := r.provider.Meter().Creates; n != 3 {
		t.Errorf("%d creates", n)
	}
	var job pipeline.Result
	for _, j := range report.Jobs {
		if j.State == "quarantined" {
			job = j
		}
	}
	candidates := job.Attempts[0].Candidates
	if len(candidates) != 1 || !strings.Contains(job.Error.Hint, "resolve") || job.Error.Charged != nil {
		t.Fatalf("quarantined with %v, %+v", candidates, job.Error)
	}
	if !report.Totals.BilledMax.GreaterThan(report.Totals.Billed) {
		t.Errorf("billed %s, at most %s: the quarantined task may have cost something", report.Totals.Billed, report.Totals.BilledMax)
	}
	if _, err := pipeline.Resolve(r.folder(), job.ID, pipeline.Adopt, candidates[0]); err != nil {
		t.Fatal(err)
	}
	r.settled(r.run(r.plan(3, "false")), 3)
}

// Abandoning keeps the old hold on the bill's upper bound; submitting again too.
func TestResolve(t *testing.T) {
	for _, v := range []pipeline.Verdict{pipeline.Abandon, pipeline.Resubmit} {
		t.Run(string(v), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
			before := r.run(r.plan(1, "false"))
			if _, err := pipeline.Resolve(r.folder(), "job-000", v, ""); err != nil {
				t.Fatal(err)
			}
			after := r.run(r.plan(1, "false"))
			hold := before.Totals.BilledMax
			if got := after.Totals.BilledMax.Sub(after.Totals.Billed); !got.Equal(hold) {
				t.Errorf("possibly billed %s, want the old hold %s", got, hold)
			}
			if v == pipeline.Abandon && (after.Totals.Failed != 1 || after.Jobs[0].Error.Code != "Abandoned") {
				t.Errorf("totals %+v", after.Totals)
			}
			if v == pipeline.Resubmit && after.Totals.Done != 1 {
				t.Errorf("totals %+v", after.Totals)
			}
			if _, err := pipeline.Resolve(r.folder(), "job-000", pipeline.Abandon, ""); !errors.Is(err, pipeline.ErrUsage) {
				t.Errorf("resolving twice: %v", err)
			}
		})
	}
}

func TestAccountStops(t *testing.T) {
	for _, fault := range []string{"bad-key:2", "arrears:2", "not-purchased:2", "model-denied:2", "create-quota"} {
		t.Run(strings.SplitN(fault, ":", 2)[0], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{}, fault)
			report, err := r.try(t.Context(), r.plan(4, "true"))
			if !errors.Is(err, pipeline.ErrAccount) {
				t.Fatalf("error %v", err)
			}
			if strings.HasSuffix(err.Error(), "; ") || !strings.Contains(err.Error(), "; ") {
				t.Errorf("no sentence on what to do in %q", err)
			}
			if strings.HasSuffix(fault, ":2") && report.Totals.Done != 1 {
				t.Errorf("the task that was live was not followed to its file: %+v", report.Totals)
			}
			if n := r.provider.Meter().MaxLivePerPair; n > 1 {
				t.Errorf("%d live tasks for one pair", n)
			}
		})
	}
}

// The cap holds at every instant, what was done is kept, and a higher cap goes on.
func TestBudget(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	plan := r.plan(6, "true")
	limit := decimal.RequireFromString("1.30") // two holds of 0.60, or two bills of 0.384 and one hold
	report, err := r.try(t.Context(), plan, func(c *pipeline.Config) { c.MaxCost = decimal.NewNullDecimal(limit) })
	if !errors.Is(err, pipeline.ErrBudget) {
		t.Fatalf("error %v", err)
	}
	for _, e := range r.events {
		if e.Progress.Billed.Add(e.Progress.Held).GreaterThan(limit) {
			t.Errorf("%s: billed %s and held %s exceed %s", e.Kind, e.Progress.Billed, e.Progress.Held, limit)
		}
	}
	if report.Totals.Done != 2 || report.Complete {
		t.Errorf("totals %+v, complete %v", report.Totals, report.Complete)
	}
	if _, again := r.try(t.Context(), plan, func(c *pipeline.Config) { c.MaxCost = decimal.NewNullDecimal(limit) }); !errors.Is(again, pipeline.ErrBudget) {
		t.Errorf("the same cap again: %v", again)
	}
	if _, again := r.try(t.Context(), plan); !errors.Is(again, pipeline.ErrBudget) {
		t.Errorf("the cap was forgotten: %v", again)
	}
	r.settled(r.run(plan, func(c *pipeline.Config) { c.MaxCost = decimal.NewNullDecimal(decimal.NewFromInt(10)) }), 6)
}

// A finished batch run again asks for no key, calls nobody and says the same.
func TestFinishedAgain(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-input:1")
	plan := r.plan(2, "true")
	first := r.run(plan)
	before := r.provider.Meter().Requests
	second := r.run(plan, func(c *pipeline.Config) { c.APIKey = "" })
	if a, b := jsonOf(t, first), jsonOf(t, second); a != b {
		t.Errorf("the report changed:\n%s\n%s", a, b)
	}
	if after := r.provider.Meter().Requests; fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("requests before %v, after %v", before, after)
	}
	third := r.run(plan, func(c *pipeline.Config) { c.RetryFailed = true })
	r.settled(third, 2)
}

func jsonOf(t *testing.T, r *pipeline.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The report at the end, Status from the journal, and WriteReport are one thing.
func TestReportIsTheJournal(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-algo:30%", "lost-reply:20%")
	report := r.run(r.plan(6, "true"))
	folded, err := pipeline.Status(r.folder())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := jsonOf(t, report), jsonOf(t, folded); a != b {
		t.Errorf("run says\n%s\nstatus says\n%s", a, b)
	}
	onDisk, err := os.ReadFile(filepath.Join(r.folder(), "report.json"))
	if err != nil || string(onDisk) != jsonOf(t, report) {
		t.Errorf("report.json differs from the report: %v", err)
	}
}

// Stop drains: downloads finish, nothing new is created, and the next run goes on.
func TestInterrupt(t *testing.T) {
	for _, hard := range []bool{false, true} {
		t.Run(fmt.Sprintf("hard=%v", hard), func(t *testing.T) {
			r := newRig(t, 300, emulator.Options{})
			plan := r.plan(5, "true")
			stop := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := r.try(ctx, plan, func(c *pipeline.Config) {
				c.Stop = stop
				c.OnEvent = func(e pipeline.Event) {
					if e.Kind != "ended" || e.Job != "job-001" {
						return
					}
					if hard {
						cancel()
					} else {
						close(stop)
					}
				}
			})
			if !errors.Is(err, pipeline.ErrInterrupted) {
				t.Fatalf("error %v", err)
			}
			r.settled(r.run(plan), 5)
			if n := r.provider.Meter().Creates; n != 5 {
				t.Errorf("%d creates for 5 pairs", n)
			}
		})
	}
}

// What a create made is recorded although the run leaves at once: nothing else
// tells for sure, and on a lane that others use nothing else tells at all.
func TestLeavingKeepsAnswers(t *testing.T) {
	for name, leave := range map[string]func(http.RoundTripper, func()) http.RoundTripper{
		"arrived": func(to http.RoundTripper, cancel func()) http.RoundTripper {
			return network(func(r *http.Request) (*http.Response, error) {
				resp, err := to.RoundTrip(r)
				if err != nil || !isCreate(r) {
					return resp, err
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body = io.NopCloser(bytes.NewReader(body))
				cancel()
				return resp, err
			})
		},
		"on its way": func(to http.RoundTripper, cancel func()) http.RoundTripper {
			return network(func(r *http.Request) (*http.Response, error) {
				if isCreate(r) {
					cancel()
				}
				return to.RoundTrip(r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 300, emulator.Options{})
			plan := r.plan(2, "false")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			report, err := r.try(ctx, plan, func(c *pipeline.Config) { c.Transport = leave(http.DefaultTransport, cancel) })
			if !errors.Is(err, pipeline.ErrInterrupted) {
				t.Fatalf("error %v", err)
			}
			if j := report.Jobs[0]; j.TaskID == nil {
				t.Errorf("%s left %s, without the task that it made", j.ID, j.State)
			}
			r.settled(r.run(plan), 2)
		})
	}
}

// An answer that does not come holds nobody up.
func TestLeavingWaitsForNobody(t *testing.T) {
	r := newRig(t, 300, emulator.Options{}, "slow-reply:1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	report, err := r.try(ctx, r.plan(1, "true"), func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "intended" {
				cancel()
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) || report.Jobs[0].State != "in_doubt" {
		t.Fatalf("%s, error %v", report.Jobs[0].State, err)
	}
}

// Two runs of one batch, and two batches on one lane, exclude each other.
func TestLocks(t *testing.T) {
	r, release := slowRig(t) // or a slow machine finds the first run ended
	first, other := r.plan(3, "true"), r.plan(3, "true", func(m *pipeline.Manifest) { m.Name = "other" })
	busy := make(chan struct{})
	done := make(chan error)
	go func() {
		once := false
		cfg := r.config()
		cfg.OnEvent = func(e pipeline.Event) {
			if !once && e.Kind == "accepted" {
				once = true
				close(busy)
			}
		}
		_, err := pipeline.Run(context.Background(), first, cfg)
		done <- err
	}()
	<-busy
	soon, cancel := context.WithTimeout(t.Context(), time.Minute) // a run that is not refused would wait for release
	defer cancel()
	for _, p := range []*pipeline.Plan{first, other} {
		_, err := r.try(soon, p)
		if !errors.Is(err, pipeline.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			t.Errorf("%s beside a run: %v", p.Manifest.Name, err)
		}
	}
	release()
	report, err := r.try(t.Context(), other, func(c *pipeline.Config) { c.Wait = true })
	if err != nil || report.Totals.Done != 3 {
		t.Errorf("waiting for the lane: %v", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := r.provider.Meter().MaxRunning; n > 1 {
		t.Errorf("%d tasks ran at once", n)
	}
}

// A lane whose last batch died with a create in doubt is that batch's until it
// settled the doubt.
func TestReservedLane(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	plan := r.plan(2, "true")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := r.try(ctx, plan, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "unanswered" {
				cancel()
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatal(err)
	}
	other := r.plan(1, "true", func(m *pipeline.Manifest) { m.Name = "other" })
	for range 2 { // a refusal must not take the reservation away
		if _, err := r.try(t.Context(), other); !errors.Is(err, pipeline.ErrLocked) || !strings.Contains(err.Error(), "in doubt") {
			t.Fatalf("error %v", err)
		}
	}
	_, err = r.try(t.Context(), plan, func(c *pipeline.Config) { c.APIKey = "sk-another" })
	if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "from an hour after that create on with wanbatch resolve "+r.folder()+" job-000 --adopt TASK, or ") {
		t.Errorf("settling a doubt with another key: %v", err)
	}
	_, err = pipeline.Resolve(r.folder(), "job-000", pipeline.Abandon, "")
	if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "by hand it can be from") {
		t.Errorf("settling a doubt by hand at once: %v", err)
	}
	r.settled(r.run(plan), 2)
	r.run(other)
}

// Same id and same content stays done; other content is refused unless accepted.
func TestChangedManifest(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.run(r.plan(2, "true"))
	changed := r.plan(3, "true", func(m *pipeline.Manifest) { m.Pairs[1].Mode = pipeline.ModePro })
	_, err := r.try(t.Context(), changed)
	if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "job-001") || strings.Contains(err.Error(), "job-000") {
		t.Fatalf("error %v", err)
	}
	report := r.run(changed, func(c *pipeline.Config) { c.AcceptChanges = true })
	r.settled(report, 3)
	if n := r.provider.Meter().Creates; n != 4 {
		t.Errorf("%d creates, want 2 and then 2", n)
	}
	// What left the manifest stays in the report; what never ran does not.
	report = r.run(r.plan(1, "true"))
	if report.Totals.Jobs != 3 || report.Totals.Done != 3 {
		t.Errorf("totals %+v", report.Totals)
	}
}

func TestSelection(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	plan := r.plan(4, "true")
	report := r.run(plan, func(c *pipeline.Config) { c.Limit = 1 })
	if report.Totals.Done != 1 || report.Complete || report.Jobs[0].State != "done" {
		t.Errorf("limit 1: %+v", report.Totals)
	}
	report = r.run(plan, func(c *pipeline.Config) { c.Only = []string{"job-002"} })
	if report.Totals.Done != 2 || report.Jobs[2].State != "done" {
		t.Errorf("only job-002: %+v", report.Totals)
	}
	if _, err := r.try(t.Context(), plan, func(c *pipeline.Config) { c.Only = []string{"nobody"} }); !errors.Is(err, pipeline.ErrUsage) {
		t.Errorf("only nobody: %v", err)
	}
}

// Strangers' tasks in the account are never taken for ours, nor ours for theirs,
// also where the manifest promised that there are none.
func TestForeignTasks(t *testing.T) {
	for _, exclusive := range []string{"true", "key", "false"} {
		t.Run(exclusive, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{}, "foreign-task:20%")
			report := r.run(r.plan(10, exclusive))
			r.settled(report, 10)
		})
	}
}

// An intent keeps the youngest task that lists showed before it: lists that settle its
// doubt, in whatever process, must show that, too.
func TestIntentsKeepWhatListsShowed(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	newest := r.run(r.plan(1, "true")).Jobs[0]
	r.run(r.plan(2, "true"))
	journal, err := os.ReadFile(filepath.Join(r.folder(), "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(journal)) {
		var record struct {
			Data struct {
				Type, Job string
				Shown     struct {
					Task string
					Made time.Time
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		if d := record.Data; d.Type == "intended" && d.Job == "job-001" {
			if d.Shown.Task != *newest.TaskID || !d.Shown.Made.Equal(*newest.SubmittedAt) {
				t.Errorf("shown %+v, want %s of %v", d.Shown, *newest.TaskID, *newest.SubmittedAt)
			}
			return
		}
	}
	t.Error("no intent of job-001")
}

// Refusals beyond the running task do not lose or repeat anything.
func TestRejectingProvider(t *testing.T) {
	r := newRig(t, 600, emulator.Options{Reject: true})
	report := r.run(r.plan(6, "true"))
	if report.Totals.Done != 6 || r.provider.Meter().MaxLivePerPair > 1 {
		t.Errorf("totals %+v", report.Totals)
	}
}

// A URL that has expired is asked for anew. Where that brings the same one the
// result is lost, and says so; nothing is paid anew by itself.
func TestExpiredResult(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "expired-url")
	plan := r.plan(2, "true")
	for range 2 {
		report := r.run(plan)
		if report.Totals.Lost != 2 || !report.Complete {
			t.Fatalf("totals %+v", report.Totals)
		}
		if e := report.Jobs[0].Error; e.Code != "Lost" || e.Charged == nil || !*e.Charged || !strings.Contains(e.Hint, "--retry-failed") {
			t.Errorf("error %+v", e)
		}
		if m := r.provider.Meter(); m.Creates != 2 || !report.Totals.BilledSeconds.Equal(decimal.RequireFromString(m.BilledSeconds)) {
			t.Errorf("%d creates, %s s billed, the meter says %s", m.Creates, report.Totals.BilledSeconds, m.BilledSeconds)
		}
		b, err := pipeline.NewBill([]*pipeline.Report{report}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Lines) != 1 || b.Lines[0].Tasks != 2 || !b.Lines[0].Billed.Equal(report.Totals.Billed) || !b.Totals[0].Billed.IsPositive() {
			t.Errorf("the bill has %+v for two results that were lost, %s in all", b.Lines, report.Totals.Billed)
		}
	}
}

// One expired URL loses nothing, whichever way the provider signs.
func TestExpiredURLOnce(t *testing.T) {
	for _, anew := range []bool{false, true} {
		r := newRig(t, 600, emulator.Options{SignOnQuery: anew}, "expired-url:1")
		r.settled(r.run(r.plan(2, "true")), 2)
	}
}

// Neither the key nor a signed query is in anything that a run writes or tells.
func TestNoSecrets(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "query-html:20%", "cut-download:50%", "early-403:30%", "lost-reply:20%", "redirect-private:20%")
	r.run(r.plan(5, "true"))
	told := fmt.Sprintf("%+v", r.config()) + fmt.Sprintf("%+v", r.events)
	check := func(where, text string) {
		for _, secret := range []string{testKey, "Signature=", "OSSAccessKeyId"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q", where, secret)
			}
		}
	}
	check("an event", told)
	err := filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, ".mp4") {
			return err
		}
		text, err := os.ReadFile(path)
		check(path, string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A provider's host of another region, plain http to a foreign host, and local
// files for a provider that cannot read them are refused before anything is sent.
func TestEndpoints(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	for endpoint, want := range map[string]string{
		"https://dashscope.aliyuncs.com": "region",
		"http://example.com":             "https",
		"ftp://127.0.0.1":                "form",
	} {
		_, err := r.try(t.Context(), r.plan(1, "true"), func(c *pipeline.Config) { c.Endpoint = endpoint })
		if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", endpoint, err, want)
		}
	}
	if _, err := r.try(t.Context(), r.plan(1, "true"), func(c *pipeline.Config) { c.APIKey = "" }); !errors.Is(err, pipeline.ErrUsage) {
		t.Errorf("no key: %v", err)
	}
}

// What is recorded in a journal that is gone is lost: nothing more is paid for.
func TestJournalRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	path := func(r *rig) string { return filepath.Join(r.folder(), "journal.jsonl") }
	for name, harm := range map[string]func(*rig) error{
		"removed": func(r *rig) error { return os.Remove(path(r)) },
		"replaced": func(r *rig) error {
			text, err := os.ReadFile(path(r))
			return errors.Join(err, os.Remove(path(r)), os.WriteFile(path(r), text, 0o600))
		},
		"written over": func(r *rig) error { // as some editors save: with what they had read
			text, err := os.ReadFile(path(r))
			return errors.Join(err, os.WriteFile(path(r), text[:len(text)/2], 0o600))
		},
	} {
		r := newRig(t, 600, emulator.Options{})
		harmed, after := false, 0
		_, err := r.try(t.Context(), r.plan(6, "true"), func(c *pipeline.Config) {
			c.OnEvent = func(e pipeline.Event) {
				if e.Kind == pipeline.EventAccepted && !harmed {
					harmed = true
					if err := harm(r); err != nil {
						t.Error(err)
					}
				} else if harmed && e.Kind == "intended" {
					after++
				}
			}
		})
		if err == nil || !strings.Contains(err.Error(), "removed, replaced or written over") || !strings.Contains(err.Error(), path(r)) || after != 0 {
			t.Errorf("%s: %v; %d intents afterwards", name, err, after)
		}
	}
}
