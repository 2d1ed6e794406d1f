package pipeline

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/shopspring/decimal"
)

// Estimate is what a plan is likely to take: money at list price, before free
// quota, discounts and tax, and time on a lane that nobody else uses. It holds
// only as long as no job fails and is tried again.
type Estimate struct {
	Jobs      int                   `json:"jobs"`
	Seconds   Range                 `json:"seconds"` // of output
	Money     Range                 `json:"money"`   // in Currency, exact
	Currency  string                `json:"currency"`
	ByMode    map[Mode]ModeEstimate `json:"by_mode"`
	WallClock TimeRange             `json:"wall_clock_seconds"` // from start to the last task's end, downloads aside
	Settings  EstimateSettings      `json:"settings"`           // assumed
	Prices    PriceTable            `json:"price_table"`
}

// ModeEstimate is one mode's part of an [Estimate].
type ModeEstimate struct {
	Jobs    int   `json:"jobs"`
	Seconds Range `json:"seconds"`
	Money   Range `json:"money"`
}

// EstimateSettings are the settings that an [Estimate] depends on.
type EstimateSettings struct {
	Model      string    `json:"model"`
	Region     string    `json:"region"`
	Exclusive  Exclusive `json:"exclusive"`
	Watermark  bool      `json:"watermark"`
	CheckImage bool      `json:"check_image"`
	Limits     Limits    `json:"limits"`
}

// PriceTable identifies the price table that money was computed with.
type PriceTable struct {
	Date   string `json:"date"`   // year and month
	Source string `json:"source"` // where the prices come from, and how sure they are
	SHA256 string `json:"sha256"` // of the table
}

// TimeRange is a time between two bounds. In JSON it is {"low": "95", "high":
// "615.5"}, in seconds.
type TimeRange struct{ Low, High time.Duration }

// MarshalJSON writes both bounds in seconds, as decimal strings.
func (r TimeRange) MarshalJSON() ([]byte, error) {
	return json.Marshal(Range{Low: decimal.New(r.Low.Nanoseconds(), -9), High: decimal.New(r.High.Nanoseconds(), -9)})
}

// MarshalJSON writes the limits under their manifest names, durations as the
// manifest writes them.
func (l Limits) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Running         int     `json:"running"`
		QueueAhead      int     `json:"queue_ahead"`
		CreatePerSecond float64 `json:"create_per_second"`
		QueryPerSecond  float64 `json:"query_per_second"`
		PollMin         string  `json:"poll_min"`
		PollMax         string  `json:"poll_max"`
		Settle          string  `json:"settle"`
		TaskLife        string  `json:"task_life"`
		BurstWait       string  `json:"burst_wait"`
		Tries           int     `json:"tries"`
	}{
		l.Running, l.QueueAhead, l.CreatePerSecond, l.QueryPerSecond,
		l.PollMin.String(), l.PollMax.String(), l.Settle.String(), l.TaskLife.String(), l.BurstWait.String(),
		l.Tries,
	})
}

// Estimate sums the plan up.
func (p *Plan) Estimate() Estimate {
	e := p.estimate
	e.ByMode = maps.Clone(e.ByMode)
	return e
}

// sum adds jobs up to an [Estimate].
type sum struct {
	Estimate
	unknown int // jobs whose length is not known
	work    workload
}

func newSum(p *Plan) *sum {
	m := &p.Manifest
	return &sum{Estimate: Estimate{
		Currency: p.Currency,
		ByMode:   map[Mode]ModeEstimate{},
		Settings: EstimateSettings{
			Model: m.Model, Region: m.Lane.Region, Exclusive: m.Lane.Exclusive,
			Watermark: m.Watermark, CheckImage: m.CheckImage, Limits: m.Limits,
		},
		Prices: PriceTable{Date: p.prices.Date, Source: p.prices.Source, SHA256: p.prices.Hash},
	}}
}

func (s *sum) add(j *Job) {
	seconds := secondsOf(j.Length)
	part := s.ByMode[j.Mode]
	part.Jobs++
	part.Seconds = part.Seconds.plus(seconds)
	part.Money = part.Money.plus(j.Estimated)
	s.ByMode[j.Mode] = part
	s.Jobs++
	s.Seconds = s.Seconds.plus(seconds)
	s.Money = s.Money.plus(j.Estimated)
	if !j.Length.Valid {
		s.unknown++
	}
	s.work.add(j.Mode, seconds)
}

func (s *sum) estimate() Estimate {
	s.WallClock = s.work.spread(s.Settings.Limits)
	return s.Estimate
}

// Finish returns the earliest and the latest time at which a run that starts at
// start is expected to end.
func (e Estimate) Finish(start time.Time) (earliest, latest time.Time) {
	return start.Add(e.WallClock.Low), start.Add(e.WallClock.High)
}

// workload adds up the run times of tasks at the provider.
type workload struct {
	jobs                    int
	sumLow, sumHigh         time.Duration
	longestLow, longestHigh time.Duration
}

func (w *workload) add(mode Mode, seconds Range) {
	low, high := runTime(mode, seconds.Low), runTime(mode, seconds.High)
	w.jobs++
	w.sumLow, w.sumHigh = w.sumLow+low, w.sumHigh+high
	w.longestLow, w.longestHigh = max(w.longestLow, low), max(w.longestHigh, high)
}

// spread returns the time that the work takes on the running slots. Nothing beats
// the even split, the longest task, or the rate of creates; and nothing that
// keeps its slots busy exceeds Graham's bound.
func (w workload) spread(l Limits) TimeRange {
	if w.jobs == 0 {
		return TimeRange{}
	}
	slots := time.Duration(l.Running)
	creating := time.Duration(float64(w.jobs-1) / l.CreatePerSecond * float64(time.Second))
	low := max(w.sumLow/slots, w.longestLow, creating)
	high := (w.sumHigh + w.longestHigh*time.Duration(l.Running-1)) / slots
	return TimeRange{Low: low, High: max(low, high, creating+w.longestHigh)}
}

// runTime is how long a task of so many seconds of video runs before anything has
// been learned. Inferred from few observations by others: a fixed 15 s, then
// 20 s (wan-std) or 34 s (wan-pro) per second of video.
func runTime(mode Mode, seconds decimal.Decimal) time.Duration {
	perSecond := 20 * time.Second
	if mode == ModePro {
		perSecond = 34 * time.Second
	}
	return 15*time.Second + time.Duration(seconds.Mul(decimal.NewFromInt(perSecond.Nanoseconds())).IntPart())
}
