package main

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

// figures reads a metrics file as the node exporter's collector does, by name and
// labels without the batch's: wanbatch_jobs{state="done"}.
func figures(t *testing.T, path string) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	found := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				if l.GetName() != "batch" {
					labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
				} else if l.GetValue() == "" {
					t.Errorf("%s names no batch", name)
				}
			}
			key := name
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			found[key] = m.GetGauge().GetValue()
			if h := m.GetHistogram(); h != nil {
				found[key] = float64(h.GetSampleCount())
			}
		}
	}
	return found
}

// sampleReport is a batch with one job done, one running and one pending.
func sampleReport(begun time.Time) *pipeline.Report {
	null := func(text string) decimal.NullDecimal { return decimal.NewNullDecimal(decimal.RequireFromString(text)) }
	r := &pipeline.Report{Batch: "b", Currency: "USD", Jobs: []pipeline.Result{
		{State: "done", Mode: "wan-std", QueueSeconds: null("3"), RunSeconds: null("79.5"), Attempts: []pipeline.Attempt{{At: begun.Add(-time.Hour)}}},
		{State: "running", Mode: "wan-std", Attempts: []pipeline.Attempt{{At: begun.Add(-time.Hour)}, {At: begun}}},
		{State: "in_doubt", Mode: "wan-std", Attempts: []pipeline.Attempt{{At: begun.Add(time.Hour)}}},
		{State: "pending", Mode: "wan-pro", Attempts: []pipeline.Attempt{{At: begun.Add(-9 * time.Hour)}}},
	}}
	r.Totals.BilledSeconds, r.Totals.Billed, r.Totals.BilledMax = null("3.2").Decimal, null("0.384").Decimal, null("1.5").Decimal
	return r
}

func TestMetrics(t *testing.T) {
	begun := time.Date(2026, 11, 26, 1, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "a.prom")
	m := &monitor{metrics: path, batch: `b"\`, began: begun}
	steps := []struct {
		name   string
		report *pipeline.Report
		end    *runEnd
		want   map[string]float64
	}{
		{"nothing is known yet", nil, nil, map[string]float64{
			"wanbatch_run_active": 1, "wanbatch_run_started_timestamp_seconds": 1795654800,
			"wanbatch_run_exit_code": absent, "wanbatch_jobs{state=\"done\"}": absent, lastSuccess: absent}},
		{"it goes on", sampleReport(begun), nil, map[string]float64{
			"wanbatch_run_active": 1, "wanbatch_jobs{state=\"done\"}": 1, "wanbatch_jobs{state=\"running\"}": 1,
			"wanbatch_jobs{state=\"quarantined\"}": 0, "wanbatch_billed_seconds": 3.2,
			"wanbatch_billed_amount{currency=\"USD\"}": 0.384, "wanbatch_billed_max_amount{currency=\"USD\"}": 1.5,
			"wanbatch_oldest_open_task_created_timestamp_seconds": 1795654800,
			"wanbatch_task_run_seconds{mode=\"wan-std\"}":         1, "wanbatch_task_queue_seconds{mode=\"wan-std\"}": 1}},
		{"it succeeds", nil, &runEnd{code: 0, at: begun.Add(90 * time.Second)}, map[string]float64{
			"wanbatch_run_active": 0, "wanbatch_run_exit_code": 0, lastSuccess: 1795654890,
			"wanbatch_run_ended_timestamp_seconds": 1795654890, "wanbatch_oldest_open_task_created_timestamp_seconds": absent}},
		{"the next fails, and the success is kept", nil, &runEnd{code: 6, at: begun.Add(time.Hour)}, map[string]float64{
			"wanbatch_run_exit_code": 6, lastSuccess: 1795654890}},
	}
	for _, step := range steps {
		if err := m.write(step.report, step.end); err != nil {
			t.Fatal(err)
		}
		got := figures(t, path)
		for key, want := range step.want {
			value, there := got[key]
			if want == absent && there || want != absent && math.Abs(value-want) > 1e-9 || want != absent && !there {
				t.Errorf("%s: %s is %v (there: %v), want %v", step.name, key, value, there, want)
			}
		}
	}
}

// absent is a figure that must not be there.
const absent = -1

// The file is OpenMetrics (its end is marked) and keeps the conventions for names.
func TestMetricsConventions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.prom")
	m := &monitor{metrics: path, batch: "b", began: time.Now()}
	if err := m.write(sampleReport(time.Now()), &runEnd{at: time.Now()}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(text), "\n# EOF\n") || strings.Count(string(text), "# EOF") != 1 {
		t.Fatalf("no end in\n%s", text)
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for line := range strings.Lines(string(text)) {
		if kind, ok := strings.CutPrefix(line, "# TYPE "); ok && !strings.HasSuffix(kind, " gauge\n") && !strings.HasSuffix(kind, " histogram\n") {
			t.Errorf("%q is not read alike by all", line)
		}
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "wanbatch_") {
			t.Errorf("%q", line)
		}
	}
}

// A file that cannot be written leaves the old one, and nothing beside it.
func TestMetricsAreWrittenWholeOrNot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.prom")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	m := &monitor{metrics: path, batch: "b"}
	if err := m.write(nil, nil); err == nil {
		t.Error("a folder was replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v %v", entries, err)
	}
	for _, junk := range []string{"", "no metrics at all", lastSuccess + " x\n", lastSuccess + "{batch=\"b\"} 17\n# EOF\n"} {
		file := filepath.Join(dir, "junk")
		if err := os.WriteFile(file, []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := oldSuccess(file); got != 0 && !strings.Contains(junk, " 17") {
			t.Errorf("%q tells of a success at %v", junk, got)
		}
	}
}

// What is posted says how it ended, and nothing that an error only says to people.
func TestNotice(t *testing.T) {
	m := &monitor{batch: "b", began: time.Now(), report: &pipeline.Report{Currency: "USD", Jobs: make([]pipeline.Result, 30)}}
	for i := range m.report.Jobs {
		m.report.Jobs[i].Error = &pipeline.Failure{Code: "X"}
	}
	n := m.notice(&runEnd{code: 3, err: errFailed, at: time.Now()})
	if n.ExitCode != 3 || n.Meaning != "finished, some jobs failed or lost" || n.Message != "" || len(n.Problems) != shownProblems || n.Currency != "USD" {
		t.Errorf("notice %+v", n)
	}
	m.report = nil
	n = m.notice(&runEnd{code: 1, err: errors.New("disk on fire"), at: time.Now()})
	if n.Message != "disk on fire" || n.Totals != nil || n.Problems == nil {
		t.Errorf("notice %+v", n)
	}
}
