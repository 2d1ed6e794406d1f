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

// What a person compares and asks for beside the sum.
func TestEstimateBeside(t *testing.T) {
	p := mustPlan(t, folder(t, mixed, mixedFiles()))
	e := p.Estimate()
	text := func(r pipeline.Range) string { return fmt.Sprintf("%s to %s", r.Low, r.High) }
	for _, tt := range []struct{ what, got, want string }{
		{"all in wan-std", text(e.InMode[pipeline.ModeStd]), "1.728 to 8.448"}, // 14.4 to 70.4 s
		{"all in wan-pro", text(e.InMode[pipeline.ModePro]), "2.592 to 12.672"},
		{"wan-pro in wan-std", text(e.ByMode[pipeline.ModePro].InMode[pipeline.ModeStd]), "0.624 to 0.624"},
		{"label launch", text(e.ByLabel["campaign"]["launch"].Money), "0.936 to 0.936"},
		{"label spring", text(e.ByLabel["campaign"]["spring"].Money), "1.104 to 7.824"},
		{"label acme", text(e.ByLabel["client"]["acme"].Money), "2.04 to 8.76"},
		{"the free 50 s", e.FreeQuota.Saves.String(), "6.312"}, // 5.2 s at 0.18, the rest at 0.12
		{"bytes", text(e.Bytes), "2880000 to 56320000"},
		{"time in wan-std", e.WallClockInMode[pipeline.ModeStd].High.String(), "24m28s"}, // 4 x 15 s + 70.4 x 20 s
		{"time in wan-pro", e.WallClockInMode[pipeline.ModePro].High.String(), "40m53.6s"},
		{"horizon", fmt.Sprint(e.Horizon), "{3 70 false}"}, // 12 h hold 70 tasks of 615 s
		{"pace", fmt.Sprint(e.RunTimes.Tasks, e.RunTimes.Pace), "0 1"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.what, tt.got, tt.want)
		}
	}
	if n := e.ByLabel["campaign"]["spring"].Jobs; n != 3 {
		t.Errorf("spring has %d jobs", n)
	}
}

// Run times are learned from a batch's own tasks, and from nothing else.
func TestEstimateAfter(t *testing.T) {
	p := mustPlan(t, folder(t, mixed, mixedFiles()))
	num := decimal.RequireFromString
	done := func(mode, run, length string) pipeline.Result {
		return pipeline.Result{State: "done", Mode: mode, RunSeconds: decimal.NewNullDecimal(num(run)), Usage: &pipeline.Usage{VideoDuration: num(length)}}
	}
	failed := done("wan-std", "3", "5")
	failed.State = "failed"
	// 115 + 185 s expected, 60 + 90 s taken: half as long.
	e := p.EstimateAfter(&pipeline.Report{Jobs: []pipeline.Result{done("wan-std", "60", "5"), done("wan-pro", "90", "5"), failed, {State: "done"}}})
	if e.RunTimes.Tasks != 2 || !e.RunTimes.Pace.Equal(num("0.5")) {
		t.Errorf("run times %+v", e.RunTimes)
	}
	if want := p.Estimate().WallClock.High / 2; e.WallClock.High != want {
		t.Errorf("takes %v, want %v", e.WallClock.High, want)
	}
	if e := p.EstimateAfter(&pipeline.Report{}); e.RunTimes.Tasks != 0 || e.WallClock != p.Estimate().WallClock {
		t.Errorf("an empty report teaches %+v", e.RunTimes)
	}
}

// Where more may queue than can finish while an id lives, the estimate says how many.
func TestEstimateHorizon(t *testing.T) {
	text := strings.Replace(block, "pairs:", "limits: {running: 2, queue_ahead: 5, task_life: 1h}\npairs:", 1)
	for i := range 8 {
		text += fmt.Sprintf("- {id: job-%d, image: https://h/a.png, video: v.mp4}\n", i)
	}
	dir := folder(t, text, map[string][]byte{"v.mp4": movie(30*time.Second, 300, 300)})
	// Two at once, 615 s each: 5 of them end within 30 minutes.
	if got, want := mustPlan(t, dir).Estimate().Horizon, (pipeline.Horizon{AtOnce: 7, Fit: 5, Waits: true}); got != want {
		t.Errorf("horizon %+v, want %+v", got, want)
	}
}

// A label that tells every job apart is no way to add up.
func TestEstimateLeavesOutLabels(t *testing.T) {
	dir := folder(t, "version: 1\nname: x\nlane: {region: singapore}\npairs_from: rows.csv\n", map[string][]byte{"rows.csv": func() []byte {
		b := []byte("id,image,video,label:shot,label:client\n")
		for i := range 1001 {
			b = fmt.Appendf(b, "j%d,https://h/a.png,https://h/v.mp4,%d,acme\n", i, i)
		}
		return b
	}()})
	e := mustPlan(t, dir).Estimate()
	if got := strings.Join(e.LabelsLeftOut, " "); got != "shot" || e.ByLabel["shot"] != nil || e.ByLabel["client"]["acme"].Jobs != 1001 {
		t.Errorf("left out %q, by client %+v", got, e.ByLabel["client"])
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
