package pipeline

import (
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// The range is wide at first, narrow when many tasks ran alike, and stays wide
// when they did not.
func TestForecast(t *testing.T) {
	plan := batch.Plan{Mode: string(ModeStd), Length: decimal.NewNullDecimal(decimal.NewFromInt(5))}
	start := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	ended := func(took ...time.Duration) etaSpread {
		var f etaSpread
		for i := range 60 {
			f.learn(plan, batch.End{Status: batch.StatusSucceeded, Scheduled: start, Ended: start.Add(took[i%len(took)])})
		}
		return f
	}
	var failed etaSpread
	failed.learn(plan, batch.End{Status: batch.StatusFailed, Scheduled: start, Ended: start.Add(time.Second)})
	for _, tt := range []struct {
		name     string
		f        etaSpread
		jobs     int
		from, to float64 // high by low
	}{
		{"nothing ended", etaSpread{}, 100, 3, 4},
		{"a failed task teaches nothing", failed, 100, 3, 4},
		{"alike", ended(100 * time.Second), 100, 1, 1.1},
		{"alike, at another pace", ended(400 * time.Second), 100, 1, 1.1},
		{"unlike", ended(50*time.Second, 200*time.Second), 100, 1.2, 1.5},
		{"unlike, one job left", ended(50*time.Second, 200*time.Second), 1, 3, 6},
	} {
		left := tt.f.spread(time.Hour, tt.jobs)
		if r := float64(left.High) / float64(left.Low); r < tt.from || r > tt.to || left.Low > time.Hour || left.High < time.Hour {
			t.Errorf("%s: %v to %v, a factor of %.2f; want %.2f to %.2f around an hour", tt.name, left.Low, left.High, r, tt.from, tt.to)
		}
	}
	if left := (&etaSpread{}).spread(0, 5); left.High != 0 {
		t.Errorf("of nothing: %v", left)
	}
}
