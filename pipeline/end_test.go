package pipeline

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/emulator"
)

// A run is told to stop, or to leave at once, when the bytes of its last download have
// come. Then nothing is left to interrupt: it ends as it would have, and as running again
// does. How its jobs ended is for the report to tell.
func TestStopWhenNothingIsLeft(t *testing.T) {
	tests := []struct {
		name, fault string
		at          string // the job during whose download
		limit       int
		left        bool
		want        [4]int // done, failed, quarantined, pending
	}{
		{name: "all done", at: "job-1", want: [4]int{2, 0, 0, 0}},
		{name: "one failed", fault: "failed-input:1", at: "job-1", want: [4]int{1, 1, 0, 0}},
		{name: "one quarantined", fault: "lost-reply:1", at: "job-1", want: [4]int{1, 0, 1, 0}},
		{name: "the rest was not asked for", limit: 1, at: "job-0", want: [4]int{1, 0, 0, 1}},
		{name: "one is left", at: "job-0", left: true, want: [4]int{1, 0, 0, 1}},
	}
	for _, tt := range tests {
		for _, atOnce := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: " at once"}[atOnce], func(t *testing.T) {
				p := worldPlan(t, t.TempDir(), 2, "false")
				synctest.Test(t, func(t *testing.T) {
					opt := emulator.Options{Seed: 7, RunTime: func(string, float64) time.Duration { return 20 * time.Second }}
					if tt.fault != "" {
						fault, err := emulator.ParseFault(tt.fault)
						if err != nil {
							t.Fatal(err)
						}
						opt.Faults = append(opt.Faults, fault)
					}
					w := &world{t: t, disk: disktest.New(), provider: emulator.New(opt)}
					defer w.provider.Close()
					stop, told := make(chan struct{}), false
					w.edit = func(c *Config) { c.Stop, c.Limit = stop, tt.limit }
					w.fault = func(op disktest.Op) error {
						if told || op.Kind != disktest.Rename || op.Name != "videos/"+tt.at+".mp4" {
							return nil
						}
						if told = true; atOnce {
							w.die()
						} else {
							close(stop)
						}
						return nil
					}
					err := w.run(p)
					_, r := w.read()
					tot := r.Totals
					if got := [4]int{tot.Done, tot.Failed, tot.Quarantined, tot.Pending}; !told || got != tt.want {
						t.Fatalf("told to stop: %v; done, failed, quarantined, pending: %v, want %v", told, got, tt.want)
					}
					switch end := r.Stopped; {
					case tt.left:
						if !errors.Is(err, ErrInterrupted) || end == nil || end.Reason != "interrupted" {
							t.Errorf("with a job left: %v, recorded %+v", err, end)
						}
						return
					case err != nil || end == nil || end.Reason != "finished" || end.Message != "":
						t.Errorf("%v, recorded %+v", err, end)
					}
					w.edit = func(c *Config) { c.Limit = tt.limit }
					creates := w.made()
					if err := w.run(p); err != nil || w.made() != creates {
						t.Errorf("run again: %v, %d creates, before %d", err, w.made(), creates)
					}
				})
			})
		}
	}
}
