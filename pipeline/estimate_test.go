package pipeline_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

func TestEstimate(t *testing.T) {
	e := mustPlan(t, folder(t, mixed, mixedFiles())).Estimate()
	if e.Jobs != 4 || e.Currency != "USD" || e.Settings.Region != "singapore" || e.Settings.Limits.Running != 1 {
		t.Errorf("estimate is of %d jobs in %s with %+v", e.Jobs, e.Currency, e.Settings)
	}
	for _, tt := range []struct {
		what, want string
		got        pipeline.Range
	}{
		{"seconds", "14.4 to 70.4", e.Seconds},
		{"money", "2.04 to 8.76", e.Money},
		{"money of wan-std", "1.104 to 7.824", e.ByMode[pipeline.ModeStd].Money},
		{"money of wan-pro", "0.936 to 0.936", e.ByMode[pipeline.ModePro].Money},
		{"seconds of wan-std", "9.2 to 65.2", e.ByMode[pipeline.ModeStd].Seconds},
	} {
		if got := fmt.Sprintf("%s to %s", tt.got.Low, tt.got.High); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
	// One slot: 119 s for the known length, 191.8 s for it in wan-pro, 55 to 615 s for the others.
	if want := (pipeline.TimeRange{Low: 420800 * time.Millisecond, High: 1540800 * time.Millisecond}); e.WallClock != want {
		t.Errorf("takes %v, want %v", e.WallClock, want)
	}
	if e.Prices.Date == "" || e.Prices.Source == "" || len(e.Prices.SHA256) != 64 {
		t.Errorf("price table is %+v", e.Prices)
	}
	if e.Money.Exact().Valid || !e.ByMode[pipeline.ModePro].Money.Exact().Valid {
		t.Error("a range is exact exactly when its bounds are equal")
	}
	text, err := json.Marshal(e)
	if want := `"wall_clock_seconds":{"low":"420.8","high":"1540.8"}`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s is missing in %s, %v", want, text, err)
	}
	start := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	earliest, latest := e.Finish(start)
	if earliest != start.Add(e.WallClock.Low) || latest != start.Add(e.WallClock.High) {
		t.Errorf("finishes between %v and %v", earliest, latest)
	}
}

// Sums are exact: no length, price or number of jobs makes them drift.
func TestEstimateIsExact(t *testing.T) {
	lengths := map[string]*big.Rat{}
	files := map[string][]byte{"a.png": picture(300, 300)}
	for i := range 20 {
		length := time.Duration(2000+997*i) * time.Millisecond
		name := fmt.Sprintf("v%d.mp4", i)
		files[name] = movie(length, 300, 300)
		lengths[name] = big.NewRat(length.Milliseconds(), 1000)
	}
	dir := folder(t, smallest, files)
	rapid.Check(t, func(rt *rapid.T) {
		m := pipeline.NewManifest()
		m.Name, m.Dir = "x", dir
		m.Lane.Region = rapid.SampledFrom([]string{"beijing", "singapore"}).Draw(rt, "region")
		m.Model = rapid.SampledFrom([]string{pipeline.ModelMove, pipeline.ModelMix}).Draw(rt, "model")
		n := rapid.IntRange(1, 30).Draw(rt, "jobs")
		for i := range n {
			video := fmt.Sprintf("v%d.mp4", rapid.IntRange(0, 19).Draw(rt, "video"))
			mode := rapid.SampledFrom([]pipeline.Mode{"", pipeline.ModeStd, pipeline.ModePro}).Draw(rt, "mode")
			m.Pairs = append(m.Pairs, pipeline.Pair{ID: fmt.Sprint(i), Image: "a.png", Video: video, Mode: mode})
		}
		p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		money, seconds := new(big.Rat), new(big.Rat)
		for _, j := range jobs(t, p) {
			length := lengths[j.VideoName]
			seconds.Add(seconds, length)
			money.Add(money, new(big.Rat).Mul(length, j.UnitPrice.Rat()))
		}
		e := p.Estimate()
		for _, pair := range []struct {
			got  decimal.Decimal
			want *big.Rat
		}{{e.Money.Low, money}, {e.Money.High, money}, {e.Seconds.Low, seconds}, {e.Seconds.High, seconds}} {
			if pair.got.Rat().Cmp(pair.want) != 0 {
				rt.Fatalf("estimate has %s, want %s", pair.got, pair.want.FloatString(9))
			}
		}
	})
}

// More slots make a batch faster, but never faster than its longest job.
func TestEstimateWithMoreSlots(t *testing.T) {
	for _, tt := range []struct {
		running   int
		low, high time.Duration
	}{
		{1, 4 * 615 * time.Second, 4 * 615 * time.Second},
		{2, 2 * 615 * time.Second, 2*615*time.Second + 615*time.Second/2},
		{100, 615 * time.Second, 4*615*time.Second/100 + 615*time.Second/100*99},
	} {
		text := strings.Replace(block, "pairs:", fmt.Sprintf("limits: {running: %d}\npairs:", tt.running), 1) +
			strings.Repeat("- {id: job-ID, image: https://h/a.png, video: v.mp4}\n", 4)
		for i := range 4 {
			text = strings.Replace(text, "ID", fmt.Sprint(i), 1)
		}
		got := mustPlan(t, folder(t, text, map[string][]byte{"v.mp4": movie(30*time.Second, 300, 300)})).Estimate().WallClock
		if got.Low != tt.low || got.High < got.Low || got.High != max(tt.low, tt.high, 3*time.Second+615*time.Second) {
			t.Errorf("running %d takes %v, want %v to %v", tt.running, got, tt.low, tt.high)
		}
	}
}
