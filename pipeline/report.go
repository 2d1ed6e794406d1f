package pipeline

import (
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
	"github.com/wanbatch/wanbatch/internal/pricing"
)

// Report is what a batch did and what it costs: a fold of its journal and of
// nothing else, so that the same journal always gives the same bytes.
//
// Amounts are exact decimals in Currency, at list price: before free quota,
// discounts and tax. Times are UTC, durations are seconds. The JSON form is
// version 1 of a public format: fields may be added, and then Revision grows; none
// changes its meaning.
type Report struct {
	Version        int         `json:"version"`
	Revision       int         `json:"revision"`
	Batch          string      `json:"batch"`
	Model          string      `json:"model"`
	Journal        JournalHead `json:"journal"` // as it was folded
	Lane           ReportLane  `json:"lane"`
	ManifestSHA256 string      `json:"manifest_sha256"`
	Inputs         string      `json:"inputs,omitzero"` // folder that local images and videos are relative to, as seen from the batch folder; "" if unknown
	GeneratedAt    time.Time   `json:"generated_at"`    // of the newest record: a report is as old as its journal
	Complete       bool        `json:"complete"`        // nothing is left for Run to do
	Stopped        *RunEnd     `json:"stopped"`         // how the newest run ended; null while it goes on, and if it was killed
	Currency       string      `json:"currency"`
	PriceTable     PriceTable  `json:"price_table"`
	LatestPrices   *PriceTable `json:"latest_price_table,omitzero"` // of the newest run, if it is another: each job has its unit price
	Budget         BudgetState `json:"budget"`
	Note           string      `json:"note"`
	Totals         Totals      `json:"totals"`
	Jobs           []Result    `json:"jobs"` // in manifest order
}

// JournalHead ties a report to its journal: a journal whose tail was cut since
// no longer has this head.
type JournalHead struct {
	Records int64  `json:"records"`
	Head    string `json:"head"` // SHA-256 of the newest record, which chains all before it; hex
}

// ReportLane says where the batch ran last.
type ReportLane struct {
	Region         string `json:"region"`
	KeyFingerprint string `json:"key"` // fingerprint, never the key; "" if the batch never ran
	Endpoint       string `json:"endpoint"`
}

// RunEnd says how a run ended that was not killed.
type RunEnd struct {
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`  // finished, budget, account, key, setup, disk, deadline, interrupted or error
	Message string    `json:"message"` // what a person was told; "" if nothing was in the way
}

// Totals sums the jobs up.
type Totals struct {
	Jobs        int `json:"jobs"`
	Done        int `json:"done"`
	Failed      int `json:"failed"`
	Quarantined int `json:"quarantined"`
	Lost        int `json:"lost"`
	Pending     int `json:"pending"` // every other state

	Sum
	BilledMax decimal.Decimal `json:"billed_max"` // Billed plus all that may have been billed besides
	Estimated decimal.Decimal `json:"estimated"`  // of all jobs, whatever became of them
	Bytes     int64           `json:"bytes"`      // of the files
	Overruns  int             `json:"overruns"`   // tasks billed above what was held for them
	Reused    Savings         `json:"reused"`     // from other batches

	ByMode  map[string]Part            `json:"by_mode"`
	ByLabel map[string]map[string]Part `json:"by_label"` // name, then value
}

// Savings is what was taken from other batches instead of paid for again.
type Savings struct {
	Jobs    int             `json:"jobs"`
	Seconds decimal.Decimal `json:"seconds"` // of their files
	Saved   decimal.Decimal `json:"saved"`   // what they would have cost here
}

// Sum is confirmed usage and what it is billed.
type Sum struct {
	BilledSeconds decimal.Decimal `json:"billed_seconds"`
	Billed        decimal.Decimal `json:"billed"`
}

// Part is the share of some jobs in the totals. Jobs are counted as they are planned
// now; money stays with what its attempt was made with.
type Part struct {
	Jobs int `json:"jobs"`
	Sum
}

// Result is one job in a report. Task, request and the times of the provider are
// those of its newest create; money is that of all its tasks. What is not known, or
// not yet, is null.
type Result struct {
	ID         string            `json:"id"`
	ContentKey string            `json:"key"` // content key
	State      State             `json:"state"`
	Mode       string            `json:"mode"`  // wan-std or wan-pro
	Lane       string            `json:"lane"`  // its region: a batch has one lane
	Image      string            `json:"image"` // as the manifest has it, a URL without its query
	Video      string            `json:"video"`
	Labels     map[string]string `json:"labels"` // empty, never null

	TaskID      *string    `json:"task_id"`      // null before the first create, and if the newest one made no task that is known
	RequestID   *string    `json:"request_id"`   // the provider's, of the create that made the task
	SubmittedAt *time.Time `json:"submitted_at"` // by our clock; by the provider's once the task has ended
	ScheduledAt *time.Time `json:"scheduled_at"` // when it began to run, by the provider's clock, known once it has ended
	EndedAt     *time.Time `json:"ended_at"`     // by the provider's clock
	StoredAt    *time.Time `json:"stored_at"`    // when the file was complete, by our clock

	QueueSeconds decimal.NullDecimal `json:"queue_seconds"` // from submitted to scheduled, by the provider's clock alone
	RunSeconds   decimal.NullDecimal `json:"run_seconds"`   // from scheduled to ended, likewise
	Usage        *Usage              `json:"usage"`         // of the newest task; null also if the provider gave none, which is not zero
	UnitPrice    decimal.Decimal     `json:"unit_price"`    // of a second of output: the newest task's, or the next one's
	Estimated    decimal.Decimal     `json:"estimated"`     // unit price x length, or x 30 s if the length is unknown
	Billed       decimal.NullDecimal `json:"billed"`        // null if a task succeeded without usage
	File         *File               `json:"file"`
	ReusedFrom   *string             `json:"reused_from"` // batch/job that made the file, and where; then nothing is billed here for it
	Attempts     []Attempt           `json:"attempts"`    // oldest first; empty, never null
	Error        *Failure            `json:"error"`       // null unless the job is failed, lost or quarantined
}

// Usage is what the provider bills of a task.
type Usage struct {
	VideoDuration decimal.Decimal `json:"video_duration"` // seconds of output
	VideoRatio    string          `json:"video_ratio"`    // the provider's name for the mode, such as standard
}

// File is a job's artifact.
type File struct {
	Path     string          `json:"path"` // relative to the batch folder; "" if it lies only in a bucket
	URL      *string         `json:"url"`  // where it stays in a bucket of one's own, without a signature; null if it is not there
	Bytes    int64           `json:"bytes"`
	SHA256   string          `json:"sha256"`   // hex
	Duration decimal.Decimal `json:"duration"` // seconds, read from the file
}

// Attempt is one create and what became of it.
type Attempt struct {
	N           int                 `json:"n"`       // from 1
	Outcome     string              `json:"outcome"` // accepted, refused, unanswered, absent, adopted or quarantined
	At          time.Time           `json:"at"`      // of its intent, by our clock
	Mode        string              `json:"mode"`    // what it was made with, as are the labels: the job may have others by now
	Labels      map[string]string   `json:"labels"`  // empty, never null
	TaskID      *string             `json:"task_id"`
	RequestID   *string             `json:"request_id"`
	Status      *string             `json:"status"`              // the provider's, once the task ended
	Code        string              `json:"code,omitzero"`       // the provider's, if it refused the create or the task failed
	Seconds     decimal.NullDecimal `json:"billed_seconds"`      // confirmed usage, null like Billed
	Billed      decimal.NullDecimal `json:"billed"`              // null while or where it is not known
	BillingDate *string             `json:"billing_date"`        // of a billed task, in UTC+8 as the provider bills
	Candidates  []string            `json:"candidates,omitzero"` // tasks of which one may be its own, if it is quarantined
}

// Failure says why a job has no artifact.
type Failure struct {
	Code    string `json:"code"`    // the provider's, the store's, or ours: Canceled, Abandoned, Lost, InDoubt, InputChanged, InputUnreadable
	Message string `json:"message"` // for people
	Hint    string `json:"hint"`    // what to do; "" if nothing is known
	Charged *bool  `json:"charged"` // null if only the provider's bill can tell
	// Commands settle a quarantined job, each in its own way and to be run as it stands.
	Commands []string `json:"commands,omitzero"`
}

// reportRevision counts the times that fields were added to the report.
const reportRevision = 2

// fieldsSince are the fields that a report of an older revision does not have.
var fieldsSince = map[string]int{
	"revision":                 1,
	"jobs[].error.commands":    1,
	"jobs[].attempts[].mode":   2,
	"jobs[].attempts[].labels": 2,
}

const reportNote = "billed is confirmed usage at list price, before free quota, discounts and tax; " +
	"billed_max adds what may have been billed besides"

// newReport folds the core, which is the fold of the journal up to head.
func newReport(core *batch.Batch, head journal.Head, folder string) (*Report, error) {
	return newReportOf(core, head, folder, func(attempt) bool { return true })
}

// newReportOf is newReport with some of the attempts alone.
func newReportOf(core *batch.Batch, head journal.Head, folder string, counts func(attempt) bool) (*Report, error) {
	begin := core.Begin()
	if begin == nil {
		return nil, plainUsagef("the journal holds no batch yet; run the manifest first")
	}
	r := &Report{
		Version: 1, Revision: reportRevision, Batch: begin.Batch, Model: begin.Model, Journal: JournalHead{head.Records, head.Hash},
		Lane: ReportLane{Region: begin.Region}, GeneratedAt: core.Last().UTC(), Complete: core.View().Left == 0,
		Currency: begin.Currency, PriceTable: PriceTable{Date: begin.PriceDate, Source: begin.PriceSource, SHA256: begin.PriceSHA256},
		Budget: budgetOf(core), Note: reportNote,
		Totals: Totals{ByMode: map[string]Part{}, ByLabel: map[string]map[string]Part{}, Overruns: core.View().Overruns},
		Jobs:   []Result{},
	}
	if run := core.LastRun(); run != nil {
		r.Lane.KeyFingerprint, r.Lane.Endpoint, r.ManifestSHA256 = run.Key, run.Endpoint, run.ManifestSHA256
		r.Inputs = run.Settings[inputsSetting]
		r.LatestPrices = latestPrices(run, r.PriceTable)
	}
	if end := core.Closed(); end != nil {
		r.Stopped = &RunEnd{At: end.At.UTC(), Reason: end.By, Message: end.Message}
	}
	for job := range core.Jobs() {
		if job.Removed && job.State == batch.StatePending && len(job.Attempts) == 0 {
			continue // it left the manifest before anything was asked for it
		}
		job.Attempts = slices.DeleteFunc(slices.Clone(job.Attempts), func(a batch.Attempt) bool { return !counts(attempt{job.ID, a.N}) })
		result := newResult(job, begin.Region, folder)
		r.Jobs = append(r.Jobs, result)
		r.Totals.add(result, job)
	}
	return r, nil
}

// add counts one job in.
func (t *Totals) add(r Result, job batch.Job) {
	t.Jobs++
	switch job.State {
	case batch.StateDone:
		t.Done++
	case batch.StateFailed:
		t.Failed++
	case batch.StateQuarantined:
		t.Quarantined++
	case batch.StateLost:
		t.Lost++
	default:
		t.Pending++
	}
	sum := confirmed(job)
	t.Sum = t.plus(sum)
	t.BilledMax = t.BilledMax.Add(sum.Billed).Add(possible(job))
	t.Estimated = t.Estimated.Add(r.Estimated)
	if r.File != nil {
		t.Bytes += r.File.Bytes
	}
	if r.ReusedFrom != nil && r.File != nil {
		t.Reused.Jobs++
		t.Reused.Seconds = t.Reused.Seconds.Add(r.File.Duration)
		t.Reused.Saved = t.Reused.Saved.Add(r.File.Duration.Mul(r.UnitPrice))
	}
	t.share(r.Mode, r.Labels, Part{Jobs: 1})
	for _, a := range job.Attempts {
		if a.Money != batch.MoneyBilled {
			continue
		}
		t.share(a.Mode, a.Labels, Part{Sum: Sum{a.End.Usage.Decimal, a.Billed.Decimal}})
	}
}

// share counts a part in for its mode and for each of its labels.
func (t *Totals) share(mode string, labels map[string]string, p Part) {
	t.ByMode[mode] = t.ByMode[mode].plus(p)
	for name, value := range labels {
		if t.ByLabel[name] == nil {
			t.ByLabel[name] = map[string]Part{}
		}
		t.ByLabel[name][value] = t.ByLabel[name][value].plus(p)
	}
}

func (s Sum) plus(o Sum) Sum {
	return Sum{s.BilledSeconds.Add(o.BilledSeconds), s.Billed.Add(o.Billed)}
}

func (p Part) plus(o Part) Part { return Part{p.Jobs + o.Jobs, p.Sum.plus(o.Sum)} }

// confirmed is what the provider said it bills, over all tasks of the job.
func confirmed(job batch.Job) (s Sum) {
	for _, a := range job.Attempts {
		if a.Money == batch.MoneyBilled {
			s = s.plus(Sum{a.End.Usage.Decimal, a.Billed.Decimal})
		}
	}
	return s
}

// possible is what the job may have been billed besides: a task that succeeded
// without usage counts by its file's length or the estimate, one that failed by the
// usage that it tells of, every other open hold in full.
func possible(job batch.Job) decimal.Decimal {
	var sum decimal.Decimal
	for _, a := range job.Attempts {
		switch {
		case a.Money != batch.MoneyHeld && a.Money != batch.MoneyPossible:
		case a.End == nil:
			sum = sum.Add(a.Hold)
		case a.End.Usage.Valid:
			sum = sum.Add(a.End.Usage.Decimal.Mul(a.Price))
		default:
			sum = sum.Add(estimated(batch.Plan{Length: a.Length, UnitPrice: a.Price}))
		}
	}
	return sum
}

func estimated(p batch.Plan) decimal.Decimal {
	if p.Length.Valid {
		return p.Length.Decimal.Mul(p.UnitPrice)
	}
	return p.UnitPrice.Mul(decimal.NewFromInt(pricing.LongestSeconds))
}
