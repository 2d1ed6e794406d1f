package pipeline

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/pricing"
)

// Estimate is what a plan is likely to take: money at list price, before free
// quota, discounts and tax, and time on a lane that nobody else uses. It holds
// only as long as no job fails and is tried again.
type Estimate struct {
	Jobs     int                   `json:"jobs"`
	Seconds  Range                 `json:"seconds"` // of output
	Money    Range                 `json:"money"`   // in Currency, exact
	Hold     decimal.Decimal       `json:"hold"`    // what all jobs together reserve until their bills are known; more than Money.High
	Currency string                `json:"currency"`
	InMode   map[Mode]Range        `json:"in_mode"` // money, were all of it made in that mode
	ByMode   map[Mode]PartEstimate `json:"by_mode"`
	// ByLabel is by a label's name, then by its value. A name with more than a
	// thousand values is in LabelsLeftOut instead.
	ByLabel       map[string]map[string]PartEstimate `json:"by_label"`
	LabelsLeftOut []string                           `json:"labels_left_out"`
	FreeQuota     FreeQuota                          `json:"free_quota"` // of a new account; taken off nowhere

	WallClock       TimeRange          `json:"wall_clock_seconds"`         // from start to the last task's end, downloads aside
	WallClockInMode map[Mode]TimeRange `json:"wall_clock_seconds_in_mode"` // likewise, were all of it made in that mode
	RunTimes        RunTimes           `json:"run_times"`                  // assumed for it
	Horizon         Horizon            `json:"horizon"`
	Bytes           Range              `json:"bytes"` // of the videos, inferred from the kind of file: no figures are known

	Settings EstimateSettings   `json:"settings"` // assumed
	Prices   PriceTable         `json:"price_table"`
	Units    map[Mode]UnitPrice `json:"unit_prices"`
}

// PartEstimate is the part of an [Estimate] that some of its jobs have.
type PartEstimate struct {
	Jobs    int            `json:"jobs"`
	Seconds Range          `json:"seconds"`
	Money   Range          `json:"money"`
	InMode  map[Mode]Range `json:"in_mode"` // money, were all of it made in that mode
}

// UnitPrice is the price of a second of output, in the currency of the estimate.
type UnitPrice struct {
	Price   decimal.Decimal `json:"price"`
	BuiltIn decimal.Decimal `json:"built_in"` // of the program's own table; the same unless a price file was given
}

// FreeQuota is what the provider gives a new account, quoted second-hand. No
// amount here has it taken off: how much of it is left only the provider knows.
type FreeQuota struct {
	Seconds decimal.Decimal `json:"seconds"` // per model, both modes together, once per account
	Days    int             `json:"days"`    // from the model's activation
	Saves   decimal.Decimal `json:"saves"`   // at most, of this estimate
}

// RunTimes is what an estimate of time takes for a task's run time: 15 s and 20 s
// (wan-std) or 34 s (wan-pro) per second of video, inferred from few observations
// by others, times Pace.
type RunTimes struct {
	Tasks int             `json:"tasks"` // of this batch that Pace was learned from; 0 if it is the prior one
	Pace  decimal.Decimal `json:"pace"`  // 1 if nothing was learned
}

// Horizon says whether the life of a task id makes jobs wait here that the limits
// alone would let queue at the provider: what cannot finish within half of that
// life is not created yet.
type Horizon struct {
	AtOnce int  `json:"at_once"` // tasks that the limits allow at the provider
	Fit    int  `json:"fit"`     // of the longest ones, those that finish in time; at least 1
	Waits  bool `json:"waits"`   // Fit is less than the jobs could use
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
func (p *Plan) Estimate() Estimate { return p.work.estimate(p, prior()) }

// EstimateAfter is [Plan.Estimate] with run times learned from the tasks that a
// report has; nil, or one without such tasks, teaches nothing.
func (p *Plan) EstimateAfter(r *Report) Estimate { return p.work.estimate(p, learned(r)) }

// workload is all that an estimate needs to know of the jobs of a plan. Money and
// time follow from the seconds of each mode.
type workload struct {
	all     byMode
	labels  map[string]map[string]*byMode // nil: too many values
	longest Range                         // the longest job's seconds
	slowest map[Mode]Range                // likewise, of each mode
	unknown int                           // jobs whose length is not known
	hold    decimal.Decimal               // of all jobs together
}

// byMode adds jobs up, by mode.
type byMode map[Mode]*struct {
	jobs    int
	seconds Range
}

// mostLabelValues bounds the values of one label that are told apart: a label with
// a value of its own for each of a million jobs is an id.
const mostLabelValues = 1000

func newWorkload() workload {
	return workload{all: byMode{}, labels: map[string]map[string]*byMode{}, slowest: map[Mode]Range{}}
}

func (w *workload) add(j *Job) {
	seconds := secondsOf(j.Length)
	w.all.add(j.Mode, seconds)
	w.hold = w.hold.Add(j.Hold)
	w.longest, w.slowest[j.Mode] = w.longest.max(seconds), w.slowest[j.Mode].max(seconds)
	if !j.Length.Valid {
		w.unknown++
	}
	for name, value := range j.Labels {
		values, known := w.labels[name]
		if !known {
			values = map[string]*byMode{}
			w.labels[name] = values
		}
		if values == nil {
			continue
		}
		if values[value] == nil {
			if len(values) == mostLabelValues {
				w.labels[name] = nil
				continue
			}
			values[value] = &byMode{}
		}
		values[value].add(j.Mode, seconds)
	}
}

func (t byMode) add(mode Mode, seconds Range) {
	part := t[mode]
	if part == nil {
		part = &struct {
			jobs    int
			seconds Range
		}{}
		t[mode] = part
	}
	part.jobs++
	part.seconds = part.seconds.plus(seconds)
}

// jobs returns how many jobs there are.
func (w *workload) jobs() int { return w.all.part(nil).Jobs }

// part prices what it holds.
func (t byMode) part(units map[Mode]decimal.Decimal) PartEstimate {
	e := PartEstimate{InMode: map[Mode]Range{}}
	for mode, part := range t {
		e.Jobs += part.jobs
		e.Seconds = e.Seconds.plus(part.seconds)
		e.Money = e.Money.plus(money(units[mode], part.seconds))
	}
	for mode, unit := range units {
		e.InMode[mode] = money(unit, e.Seconds)
	}
	return e
}

func (w *workload) estimate(p *Plan, times RunTimes) Estimate {
	m := &p.Manifest
	all := w.all.part(p.units)
	e := Estimate{
		Jobs: all.Jobs, Seconds: all.Seconds, Money: all.Money, Hold: w.hold, InMode: all.InMode, Currency: p.Currency,
		ByMode: map[Mode]PartEstimate{}, ByLabel: map[string]map[string]PartEstimate{}, LabelsLeftOut: []string{},
		WallClock: w.spread(m.Limits, times, w.all, w.slowest), WallClockInMode: map[Mode]TimeRange{}, RunTimes: times,
		Bytes: Range{Low: all.Seconds.Low.Mul(leastRate).Floor(), High: all.Seconds.High.Mul(mostRate).Ceil()},
		Settings: EstimateSettings{
			Model: m.Model, Region: m.Lane.Region, Exclusive: m.Lane.Exclusive,
			Watermark: m.Watermark, CheckImage: m.CheckImage, Limits: m.Limits,
		},
		Prices: p.priceTable(), Units: map[Mode]UnitPrice{},
	}
	for mode, part := range w.all {
		e.ByMode[mode] = byMode{mode: part}.part(p.units)
	}
	for name, values := range w.labels {
		if values == nil {
			e.LabelsLeftOut = append(e.LabelsLeftOut, name)
			continue
		}
		e.ByLabel[name] = map[string]PartEstimate{}
		for value, part := range values {
			e.ByLabel[name][value] = part.part(p.units)
		}
	}
	slices.Sort(e.LabelsLeftOut)
	for mode, unit := range p.units {
		e.Units[mode] = UnitPrice{Price: unit, BuiltIn: p.builtIn(mode)}
		instead := byMode{}
		instead.add(mode, all.Seconds)
		if all.Jobs > 0 {
			instead[mode].jobs = all.Jobs
		}
		e.WallClockInMode[mode] = w.spread(m.Limits, times, instead, map[Mode]Range{mode: w.longest})
	}
	e.FreeQuota = w.freeQuota(p.units)
	e.Horizon = w.horizon(m.Limits, times)
	return e
}

// freeQuota is what the provider's gift to new accounts may take off: the dearest
// seconds first.
func (w *workload) freeQuota(units map[Mode]decimal.Decimal) FreeQuota {
	q := FreeQuota{Seconds: decimal.NewFromInt(pricing.FreeSeconds), Days: pricing.FreeDays}
	left := q.Seconds
	modes := slices.SortedFunc(maps.Keys(w.all), func(a, b Mode) int { return units[b].Cmp(units[a]) })
	for _, mode := range modes {
		free := decimal.Min(left, w.all[mode].seconds.High)
		q.Saves, left = q.Saves.Add(free.Mul(units[mode])), left.Sub(free)
	}
	return q
}

// Bytes per second of output: 720P H.264 at 15 to 25 frames a second, as such
// files usually are. Of this provider's no sizes were seen.
var leastRate, mostRate = decimal.NewFromInt(200_000), decimal.NewFromInt(800_000)

// FreeSpace returns how many bytes may still be written below a folder, which need
// not exist yet; false if the system does not tell.
func FreeSpace(folder string) (int64, bool) { return disk.Free(folder) }

// Finish returns the earliest and the latest time at which a run that starts at
// start is expected to end.
func (e Estimate) Finish(start time.Time) (earliest, latest time.Time) {
	return start.Add(e.WallClock.Low), start.Add(e.WallClock.High)
}

// spread returns the time that jobs take on the running slots. Nothing beats the
// even split, the longest task, or the rate of creates; and nothing that keeps its
// slots busy exceeds Graham's bound.
func (w *workload) spread(l Limits, times RunTimes, t byMode, slowest map[Mode]Range) TimeRange {
	var sum, longest TimeRange
	jobs := 0
	for mode, part := range t {
		jobs += part.jobs
		all := times.of(mode, part.jobs, part.seconds)
		one := times.of(mode, 1, slowest[mode])
		sum = TimeRange{sum.Low + all.Low, sum.High + all.High}
		longest = TimeRange{max(longest.Low, one.Low), max(longest.High, one.High)}
	}
	if jobs == 0 {
		return TimeRange{}
	}
	slots := time.Duration(l.Running)
	creating := time.Duration(float64(jobs-1) / l.CreatePerSecond * float64(time.Second))
	low := max(sum.Low/slots, longest.Low, creating)
	high := (sum.High + longest.High*time.Duration(l.Running-1)) / slots
	return TimeRange{Low: low, High: max(low, high, creating+longest.High)}
}

// horizon compares what the limits let queue with what can finish in time, by the
// core's own rule: half of a task id's life for all that is ahead.
func (w *workload) horizon(l Limits, times RunTimes) Horizon {
	h := Horizon{AtOnce: l.Running + l.QueueAhead}
	longest := time.Second
	for mode, seconds := range w.slowest {
		longest = max(longest, times.of(mode, 1, seconds).High)
	}
	h.Fit = max(1, int(l.TaskLife/2*time.Duration(l.Running)/longest))
	h.Waits = h.Fit < min(h.AtOnce, w.jobs())
	return h
}

func prior() RunTimes { return RunTimes{Pace: decimal.NewFromInt(1)} }

// learned compares the run times in a report with the prior ones.
func learned(r *Report) RunTimes {
	if r == nil {
		return prior()
	}
	var run, expected time.Duration
	times := prior()
	for _, j := range r.Jobs {
		if j.State != StateDone || !j.RunSeconds.Valid || !j.RunSeconds.Decimal.IsPositive() || j.Usage == nil {
			continue
		}
		seconds := Range{j.Usage.VideoDuration, j.Usage.VideoDuration}
		run += time.Duration(j.RunSeconds.Decimal.Shift(9).IntPart())
		expected += prior().of(Mode(j.Mode), 1, seconds).Low
		times.Tasks++
	}
	if expected > 0 {
		times.Pace = decimal.NewFromInt(max(1, run.Milliseconds())).DivRound(decimal.NewFromInt(expected.Milliseconds()), 4)
	}
	return times
}

// of is how long some tasks of so many seconds of video together run.
func (t RunTimes) of(mode Mode, jobs int, seconds Range) TimeRange {
	perSecond := 20 * time.Second
	if mode == ModePro {
		perSecond = 34 * time.Second
	}
	bound := func(seconds decimal.Decimal) time.Duration {
		prior := decimal.NewFromInt(int64(jobs) * (15 * time.Second).Nanoseconds()).Add(seconds.Mul(decimal.NewFromInt(perSecond.Nanoseconds())))
		return time.Duration(prior.Mul(t.Pace).IntPart())
	}
	return TimeRange{Low: bound(seconds.Low), High: bound(seconds.High)}
}

// max returns the larger bounds of two ranges.
func (r Range) max(other Range) Range {
	return Range{Low: decimal.Max(r.Low, other.Low), High: decimal.Max(r.High, other.High)}
}
