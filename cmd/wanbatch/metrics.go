package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/wanbatch/wanbatch/pipeline"
)

// lastSuccess is the one figure that outlives a run: it is taken over from the file.
const lastSuccess = "wanbatch_last_success_timestamp_seconds"

// write replaces the metrics file. e is nil while the run goes on.
//
// All figures but the two histograms are gauges: they tell how the batch stands, and
// the file is valid both as OpenMetrics and as the older text format, which is what
// the node exporter's collector reads. Each has the batch as a label and none a job.
func (m *monitor) write(r *pipeline.Report, e *runEnd) error {
	reg := prometheus.NewRegistry()
	f := metricSet{reg, prometheus.Labels{"batch": m.batch}}
	if r != nil {
		f.batch(r)
	}
	f.run(m.began, e)
	success := oldSuccess(m.metrics)
	if e != nil && e.code == 0 {
		success = unix(e.at)
	}
	if success > 0 {
		f.gauge(lastSuccess, "When a run that keeps this file last ended with every job done.", nil, success)
	}
	return replace(m.metrics, reg)
}

// metricSet makes the figures of one batch.
type metricSet struct {
	reg    *prometheus.Registry
	labels prometheus.Labels
}

// gauge adds a figure. The registry refuses none: their names are different.
func (f metricSet) gauge(name, help string, more prometheus.Labels, value float64) {
	labels := prometheus.Labels{}
	for _, some := range []prometheus.Labels{f.labels, more} {
		for k, v := range some {
			labels[k] = v
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	g.Set(value)
	f.reg.MustRegister(g)
}

// batch adds how the batch stands.
func (f metricSet) batch(r *pipeline.Report) {
	states := map[pipeline.State]int{}
	for _, j := range r.Jobs {
		states[j.State]++
	}
	for _, state := range pipeline.States() {
		f.gauge("wanbatch_jobs", "Jobs by state.", prometheus.Labels{"state": string(state)}, float64(states[state]))
	}
	money := prometheus.Labels{"currency": r.Currency}
	f.gauge("wanbatch_billed_seconds", "Output that the provider confirmed to bill.", nil, r.Totals.BilledSeconds.InexactFloat64())
	f.gauge("wanbatch_billed_amount", "Confirmed usage at list price, in units of the currency.", money, r.Totals.Billed.InexactFloat64())
	f.gauge("wanbatch_billed_max_amount", "The same with all that may have been billed besides.", money, r.Totals.BilledMax.InexactFloat64())
	if oldest := oldestOpen(r); !oldest.IsZero() {
		f.gauge("wanbatch_oldest_open_task_created_timestamp_seconds",
			"When the oldest create was sent whose task is not finished and fetched; absent if none is.", nil, unix(oldest))
	}
	queue := f.histogram("wanbatch_task_queue_seconds", "How long tasks waited at the provider.", prometheus.ExponentialBuckets(15, 4, 7))
	runs := f.histogram("wanbatch_task_run_seconds", "How long tasks ran at the provider.", prometheus.ExponentialBuckets(30, 2, 8))
	for _, j := range r.Jobs {
		if j.QueueSeconds.Valid {
			queue.WithLabelValues(j.Mode).Observe(j.QueueSeconds.Decimal.InexactFloat64())
		}
		if j.RunSeconds.Valid {
			runs.WithLabelValues(j.Mode).Observe(j.RunSeconds.Decimal.InexactFloat64())
		}
	}
}

func (f metricSet) histogram(name, help string, buckets []float64) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, ConstLabels: f.labels, Buckets: buckets}, []string{"mode"})
	f.reg.MustRegister(h)
	return h
}

// oldestOpen is when the oldest create was sent that a run still has to follow.
func oldestOpen(r *pipeline.Report) time.Time {
	var oldest time.Time
	for _, j := range r.Jobs {
		if j.State.AtRest() || j.State == pipeline.StatePending || len(j.Attempts) == 0 {
			continue
		}
		if at := j.Attempts[len(j.Attempts)-1].At; oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return oldest
}

// run adds how the run goes, or went.
func (f metricSet) run(began time.Time, e *runEnd) {
	active := 0.0
	if e == nil {
		active = 1
	}
	f.gauge("wanbatch_run_active", "1 while a run goes on, 0 when it has ended; 1 in an old file means that it was killed.", nil, active)
	f.gauge("wanbatch_run_started_timestamp_seconds", "When the newest run began.", nil, unix(began))
	if e == nil {
		return
	}
	f.gauge("wanbatch_run_ended_timestamp_seconds", "When it ended.", nil, unix(e.at))
	f.gauge("wanbatch_run_exit_code", "Its exit code; wanbatch help has the table.", nil, float64(e.code))
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// oldSuccess is the last success that a metrics file tells of, 0 if it tells of none
// or is none.
func oldSuccess(path string) float64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close() // read only: nothing can be lost
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(file)
	family := families[lastSuccess]
	if err != nil || family == nil {
		return 0
	}
	latest := 0.0
	for _, metric := range family.GetMetric() {
		latest = max(latest, metric.GetGauge().GetValue())
	}
	return latest
}

// replace writes a registry's figures to a file, whole or not at all. A collector
// reads it as another user, and no file that does not have its name.
func replace(path string, reg *prometheus.Registry) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return err
	}
	defer func() {
		if e := os.Remove(part.Name()); err == nil && !errors.Is(e, fs.ErrNotExist) {
			err = e
		}
	}()
	err = errors.Join(encode(part, reg), part.Chmod(0o644), part.Sync(), part.Close())
	if err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

func encode(w io.Writer, reg *prometheus.Registry) error {
	families, err := reg.Gather()
	if err != nil {
		return err
	}
	enc := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	for _, family := range families {
		if err := enc.Encode(family); err != nil {
			return err
		}
	}
	if end, ok := enc.(expfmt.Closer); ok {
		return end.Close() // # EOF
	}
	return nil
}
