package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

// forecast is what a run would do now and what that is likely to take.
type forecast struct {
	plan     *pipeline.Plan // of all jobs
	cfg      pipeline.Config
	ahead    *pipeline.Preview
	estimate pipeline.Estimate // of the jobs to submit
	free     int64             // bytes on the output folder's disk; -1 if not known
	rate     *rate
}

func newForecast(plan *pipeline.Plan, folder string, cfg pipeline.Config, rate *rate) (*forecast, error) {
	if cfg.Limit == 0 && len(cfg.Only) == 0 && len(cfg.Reuse) == 0 && !exists(folder) {
		return forecastOf(plan, plan, &pipeline.Preview{}, folder, cfg, rate), nil // all of it; of a million jobs no list is kept
	}
	ahead, err := plan.Preview(cfg)
	if err != nil {
		return nil, err
	}
	return forecastAfter(plan, ahead, folder, cfg, rate)
}

// forecastAfter is the forecast of what a preview submits.
func forecastAfter(plan *pipeline.Plan, ahead *pipeline.Preview, folder string, cfg pipeline.Config, rate *rate) (*forecast, error) {
	part, err := submitted(plan, ahead)
	if err != nil {
		return nil, err
	}
	return forecastOf(plan, part, ahead, folder, cfg, rate), nil
}

func forecastOf(plan, part *pipeline.Plan, ahead *pipeline.Preview, folder string, cfg pipeline.Config, rate *rate) *forecast {
	f := &forecast{plan: plan, cfg: cfg, ahead: ahead, estimate: part.EstimateAfter(ahead.Report), free: -1, rate: rate}
	if free, known := pipeline.FreeSpace(folder); known {
		f.free = free
	}
	return f
}

// limit is the cap that a run would have, not valid if none.
func (f *forecast) limit() decimal.NullDecimal {
	switch {
	case f.cfg.MaxCost.Valid:
		return f.cfg.MaxCost
	case f.plan.Manifest.Budget.MaxCost.Valid || f.ahead.Report == nil:
		return f.plan.Manifest.Budget.MaxCost
	}
	return f.ahead.Report.Budget.Cap // it stands until another is given
}

// estimateDocument is version 1 of what estimate --json prints. Fields may be
// added, none changes its meaning.
type estimateDocument struct {
	Version int    `json:"version"`
	Batch   string `json:"batch"`
	pipeline.Estimate
	Converted *converted          `json:"converted"` // null without --rate
	MaxCost   decimal.NullDecimal `json:"max_cost"`
	Finish    finish              `json:"finish"` // if it started now
	Disk      diskSpace           `json:"disk"`
	Journal   leftOut             `json:"journal"`
	Warnings  []string            `json:"warnings"`
}

type finish struct {
	Earliest time.Time `json:"earliest"`
	Latest   time.Time `json:"latest"`
}

type diskSpace struct {
	Free   *int64 `json:"free_bytes"` // null if the system does not tell
	Enough *bool  `json:"enough"`     // for the upper bound of bytes
}

// leftOut is what the estimate leaves out.
type leftOut struct {
	Done      int      `json:"done"`
	Following int      `json:"following"`  // their tasks are under way or in doubt, and held or billed already
	Resting   int      `json:"resting"`    // failed, lost or quarantined: nothing is submitted for them
	LeftAlone int      `json:"left_alone"` // by --limit or --only
	Reused    reused   `json:"reused"`     // from other batches, by --reuse
	Changed   []string `json:"changed"`    // a run refuses these without --accept-changes
}

type reused struct {
	Jobs  int            `json:"jobs"`
	Saved pipeline.Range `json:"saved"`
}

func (p *printer) forecastJSON(f *forecast, now time.Time) error {
	e := f.estimate
	doc := estimateDocument{Version: 1, Batch: f.plan.Manifest.Name, Estimate: e, Converted: f.rate.of(e.Money),
		MaxCost: f.limit(), Warnings: append([]string{}, f.plan.Warnings()...),
		Journal: leftOut{Done: f.ahead.Done, Following: f.ahead.Follow, Resting: f.ahead.Rest, LeftAlone: f.ahead.NotSelected,
			Reused: reused{f.ahead.Reuse, f.ahead.Saved}, Changed: append([]string{}, f.ahead.Changed...)}}
	if text := f.capWarning(); text != "" {
		doc.Warnings = append(doc.Warnings, text)
	}
	doc.Finish.Earliest, doc.Finish.Latest = e.Finish(now.UTC().Truncate(time.Second))
	if f.free >= 0 {
		enough := f.enough()
		doc.Disk = diskSpace{&f.free, &enough}
	}
	enc := json.NewEncoder(p)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

func (f *forecast) enough() bool {
	return f.estimate.Bytes.High.LessThanOrEqual(decimal.NewFromInt(f.free))
}

// forecast tells a person what a run would take.
func (p *printer) forecast(f *forecast, now time.Time) {
	m, e := &f.plan.Manifest, f.estimate
	p.line("%s: %s with %s in %s", m.Name, count(e.Jobs, "job"), m.Model, m.Lane.Region)
	p.leftOut(f)
	if e.Jobs == 0 {
		return
	}
	p.line("")
	p.moneyTable(e)
	p.line("")

	p.labeled("time", timeText(f))
	earliest, latest := e.Finish(now)
	p.labeled("finish", dates(earliest.Local(), latest.Local())+" if it starts now and nobody else uses the lane")
	if e.Horizon.Waits {
		p.labeled("horizon", fmt.Sprintf("at most %d of %d tasks are kept at the provider at once: more could not finish within half of the %s that a task id lives; the others wait here",
			e.Horizon.Fit, e.Horizon.AtOnce, plain(m.Limits.TaskLife)))
	}
	p.labeled("cap", capText(f))
	if in := f.rate.of(e.Money); in != nil {
		p.labeled("in "+in.Currency, "about "+span(in.Money)+" at "+in.Rate+", the rate given; it is billed in "+e.Currency)
	}
	p.labeled("quota", fmt.Sprintf("up to %s less if all of the free quota is left: %s s per model, both modes together, once per account, for %d days (quoted second-hand)",
		money(e.FreeQuota.Saves, e.Currency), e.FreeQuota.Seconds, e.FreeQuota.Days))
	p.labeled("disk", diskText(f))
	p.labeled("prices", e.Prices.Date+": "+e.Prices.Source+"; before free quota, discounts and tax")
	if o := otherPrices(f.ahead.Report, e.Prices); o != "" {
		p.labeled("note", o)
	}
	p.labeled("run time", runTimeText(e.RunTimes))
	p.labeled("assumed", assumed(e.Settings))
}

// leftOut tells what the journal has already, in as many lines as there are things to tell.
func (p *printer) leftOut(f *forecast) {
	o := f.ahead
	for _, part := range []struct {
		n    int
		text string
	}{
		{o.Done, "done already"},
		{o.Follow, "under way, not counted below: held or billed already"},
		{o.Rest, "failed, lost or quarantined: nothing is submitted for them as it is"},
		{o.Reuse, "reused from other batches, which saves " + moneyRange(o.Saved, f.plan.Currency)},
		{o.NotSelected, "not selected by --limit or --only"},
		{len(o.Changed), "changed since: a run refuses, or pays again with --accept-changes"},
	} {
		if part.n > 0 {
			p.line("  %s %s", count(part.n, "job"), part.text)
		}
	}
}

// shownLabels is how many rows of labels a table has.
const shownLabels = 20

// moneyTable has a row for each mode and for the labels that tell jobs apart.
func (p *printer) moneyTable(e pipeline.Estimate) {
	rows := [][]string{{"mode", "jobs", "seconds", e.Currency, "all wan-std", "all wan-pro"}}
	add := func(name string, part pipeline.PartEstimate) {
		rows = append(rows, []string{name, strconv.Itoa(part.Jobs), span(part.Seconds), span(part.Money),
			span(part.InMode[pipeline.ModeStd]), span(part.InMode[pipeline.ModePro])})
	}
	for _, mode := range []pipeline.Mode{pipeline.ModeStd, pipeline.ModePro} {
		if part, used := e.ByMode[mode]; used {
			add(string(mode), part)
		}
	}
	add("total", pipeline.PartEstimate{Jobs: e.Jobs, Seconds: e.Seconds, Money: e.Money, InMode: e.InMode})
	n := 0
	for _, name := range slices.Sorted(maps.Keys(e.ByLabel)) {
		values := e.ByLabel[name]
		for _, value := range slices.Sorted(maps.Keys(values)) {
			if values[value].Jobs == e.Jobs {
				continue // says no more than the total
			}
			if n++; n <= shownLabels {
				add(cut(clean(name+" "+value), 24), values[value])
			}
		}
	}
	if tableColumns(rows) > 79 { // ranges are wide; then the other mode is told of the whole alone
		for i := range rows {
			rows[i] = rows[i][:4]
		}
		p.table(rows)
		p.labeled("instead", moneyRange(e.InMode[pipeline.ModeStd], e.Currency)+" if all were wan-std, "+moneyRange(e.InMode[pipeline.ModePro], e.Currency)+" if all were wan-pro")
	} else {
		p.table(rows)
	}
	if n > shownLabels {
		p.line("  and %d more labels; --json has them", n-shownLabels)
	}
	if len(e.LabelsLeftOut) > 0 {
		p.line("  not split by %s: too many values", strings.Join(e.LabelsLeftOut, ", "))
	}
}

// moneyRange is a range of money with its currency.
func moneyRange(r pipeline.Range, currency string) string { return span(r) + " " + currency }

func timeText(f *forecast) string {
	e := f.estimate
	text := fmt.Sprintf("%s, %d running at once", shortRange(e.WallClock), e.Settings.Limits.Running)
	for _, mode := range []pipeline.Mode{pipeline.ModeStd, pipeline.ModePro} {
		if e.ByMode[mode].Jobs < e.Jobs {
			text += fmt.Sprintf(", %s if all were %s", shortRange(e.WallClockInMode[mode]), mode)
		}
	}
	return text
}

func runTimeText(r pipeline.RunTimes) string {
	const text = "15 s and 20 s (wan-std) or 34 s (wan-pro) per second of video"
	if r.Tasks == 0 {
		return text + ", inferred from few observations by others"
	}
	return text + fmt.Sprintf(", times %s as learned from %s of this batch", r.Pace, count(r.Tasks, "task"))
}

func capText(f *forecast) string {
	limit := f.limit()
	if !limit.Valid {
		return "none; set budget.max_cost or give --max-cost"
	}
	text := "never more than " + money(limit.Decimal, f.estimate.Currency) + " over the batch's whole life"
	if f.ahead.Report != nil {
		text += ", of which " + f.committed().String() + " is billed or held"
	}
	if s := f.shortfall(); s != "" {
		text += ": " + s
	}
	return text
}

// committed is what the batch has taken of its cap already.
func (f *forecast) committed() decimal.Decimal {
	if f.ahead.Report == nil {
		return decimal.Zero
	}
	return f.ahead.Report.Budget.Committed
}

// shortfall tells that the cap may stop the run before its end, "" if it cannot.
// Enough is what all jobs hold together: less may do, but nobody can promise it.
func (f *forecast) shortfall() string {
	limit, e := f.limit(), f.estimate
	enough := f.committed().Add(e.Hold)
	if !limit.Valid || limit.Decimal.GreaterThanOrEqual(enough) {
		return ""
	}
	text := "the run may stop before the last jobs, because until its bill is known each job reserves its hold, a little above its estimate"
	switch left := limit.Decimal.Sub(f.committed()); {
	case left.LessThan(e.Money.Low):
		text = "too little for all of this, so the run will stop before the end"
	case left.LessThan(e.Money.High):
		text = "perhaps too little for all of this, so the run may stop before the end"
	}
	return text + "; " + money(enough, e.Currency) + " is enough for all"
}

// capWarning is the shortfall to those who do not see the cap beside it.
func (f *forecast) capWarning() string {
	s := f.shortfall()
	if s == "" {
		return ""
	}
	return "max_cost " + money(f.limit().Decimal, f.estimate.Currency) + ": " + s
}

func diskText(f *forecast) string {
	b := f.estimate.Bytes
	text := fmt.Sprintf("%s to %s for the videos, guessed from the kind of file", size(b.Low), size(b.High))
	switch {
	case f.free < 0:
		return text
	case f.enough():
		return text + "; " + size(decimal.NewFromInt(f.free)) + " free"
	}
	return text + "; only " + size(decimal.NewFromInt(f.free)) + " free: not enough"
}

// bytes is a size as disks are sold: 1 GB is 10^9 bytes.
func size(n decimal.Decimal) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	i := 0
	thousand := decimal.NewFromInt(1000)
	for i < len(units)-1 && n.GreaterThanOrEqual(thousand) {
		n = n.Div(thousand)
		i++
	}
	if n.Equal(decimal.NewFromInt(1)) && i == 0 {
		return "1 byte"
	}
	if i == 0 || n.GreaterThanOrEqual(decimal.NewFromInt(10)) {
		return n.Round(0).String() + " " + units[i]
	}
	return n.Round(1).String() + " " + units[i]
}

// assumed lists the settings that an estimate depends on.
func assumed(s pipeline.EstimateSettings) string {
	l := s.Limits
	return fmt.Sprintf("running %d, queue_ahead %d, create_per_second %g, query_per_second %g, poll_min %s, poll_max %s, "+
		"settle %s, task_life %s, burst_wait %s, tries %d, exclusive %s, watermark %t, check_image %t",
		l.Running, l.QueueAhead, l.CreatePerSecond, l.QueryPerSecond, plain(l.PollMin), plain(l.PollMax),
		plain(l.Settle), plain(l.TaskLife), plain(l.BurstWait), l.Tries, s.Exclusive, s.Watermark, s.CheckImage)
}

// otherPrices tells that a batch has been run at other prices, "" if it has not.
// before is its report, nil if there is none.
func otherPrices(before *pipeline.Report, now pipeline.PriceTable) string {
	if before == nil {
		return ""
	}
	was := before.PriceTable
	if before.LatestPrices != nil {
		was = *before.LatestPrices
	}
	if was.SHA256 == now.SHA256 {
		return ""
	}
	return "these are other prices than those of " + was.Date + " (" + was.Source + ") that the batch was last run at; what it submitted stays billed at those"
}

// submitted is the plan of the jobs to submit alone: what an estimate is asked of.
func submitted(plan *pipeline.Plan, ahead *pipeline.Preview) (*pipeline.Plan, error) {
	if len(ahead.Submit) == plan.Len() {
		return plan, nil
	}
	submit := make(map[string]bool, len(ahead.Submit))
	for _, id := range ahead.Submit {
		submit[id] = true
	}
	return plan.Part(func(job pipeline.Job) bool { return submit[job.ID] })
}
