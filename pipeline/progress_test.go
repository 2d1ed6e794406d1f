package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// Downloads, running tasks and the time that is left are told as they are.
func TestProgress(t *testing.T) {
	r := newRig(t, 600, emulator.Options{Padding: 2 << 20})
	report := r.run(r.plan(8, "true"))
	r.settled(report, 8)
	files := map[string]int64{}
	for _, j := range report.Jobs {
		files[j.ID] = j.File.Bytes
	}
	told := 0
	var first, narrowest pipeline.TimeRange
	for _, e := range r.events {
		if e.Kind == "fetching" && len(e.Progress.Fetching) == 0 {
			t.Error("a fetching event names no download")
		}
		for _, d := range e.Progress.Fetching {
			if d.Bytes > 0 {
				told++
			}
			if d.Bytes > files[d.Job] || d.Total != 0 && d.Total != files[d.Job] {
				t.Errorf("%s: %d of %d bytes, its file has %d", d.Job, d.Bytes, d.Total, files[d.Job])
			}
		}
		for _, w := range e.Progress.Running {
			if w.Task == "" || w.State != "queued" && w.State != "running" || w.Expected <= 0 {
				t.Errorf("watched: %+v", w)
			}
		}
		if left := e.Progress.Left; left.High > 0 {
			if left.Low <= 0 || left.Low > left.High {
				t.Errorf("left: %v", left)
			}
			if first.High == 0 {
				first, narrowest = left, left
			}
			if ratio(left) < ratio(narrowest) { // a moment of a busy machine is minutes here, so any may be wide
				narrowest = left
			}
		}
		if e.Kind == "finished" && (len(e.Progress.Fetching) > 0 || len(e.Progress.Running) > 0 || e.Progress.Left.High > 0) {
			t.Errorf("at the end: %+v", e.Progress)
		}
	}
	if told == 0 {
		t.Error("no bytes of a download were told")
	}
	if wide, narrow := ratio(first), ratio(narrowest); wide < 2 || narrow >= wide {
		t.Errorf("the time left was %v at first and %v at its narrowest", first, narrowest)
	}
}

func ratio(r pipeline.TimeRange) float64 { return float64(r.High) / float64(r.Low) }

// What ends because the run is stopped is no trouble, and the reason is told.
func TestProgressStopped(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "slow-download")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stop := make(chan struct{})
	stopped := false
	_, err := r.try(ctx, r.plan(2, "true"), func(c *pipeline.Config) {
		record := c.OnEvent
		c.Stop = stop
		c.OnEvent = func(e pipeline.Event) {
			record(e)
			if e.Kind == "fetching" {
				if !stopped {
					close(stop)
				}
				stopped = true
				cancel()
			}
		}
	})
	if err == nil || !stopped {
		t.Fatalf("error %v, stopped %v", err, stopped)
	}
	for _, e := range r.events {
		if e.Kind == "trouble" {
			t.Errorf("trouble: %s", e.Message)
		}
	}
}
