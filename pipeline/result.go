package pipeline

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// newResult is one job as the report shows it.
func newResult(job batch.Job, region, folder string) Result {
	if n := len(job.Attempts); n > 0 && job.State != batch.StatePending && job.Attempts[n-1].Money != batch.MoneyFreed {
		job.Plan.UnitPrice = job.Attempts[n-1].Price // prices may have changed since
	}
	r := Result{
		ID: job.ID, ContentKey: job.Plan.Key, State: State(job.State), Mode: job.Plan.Mode, Lane: region,
		Image: job.Plan.Image, Video: job.Plan.Video, Labels: neverNull(job.Plan.Labels),
		UnitPrice: job.Plan.UnitPrice, Estimated: estimated(job.Plan), Attempts: []Attempt{},
	}
	for _, a := range job.Attempts {
		r.Attempts = append(r.Attempts, newAttempt(a))
	}
	if len(job.Attempts) > 0 {
		r.newest(job.Attempts[len(job.Attempts)-1])
	}
	if billedKnown(job) {
		r.Billed = decimal.NewNullDecimal(confirmed(job).Billed)
	}
	if f := job.Artifact; f != nil {
		r.File = &File{Path: f.Path, URL: optional(f.Address), Bytes: f.Bytes, SHA256: f.SHA256, Duration: f.Duration}
		r.StoredAt, r.ReusedFrom = present(job.StoredAt), optional(job.Origin)
	}
	r.Error = newFailure(job, folder)
	return r
}

// newest takes what the newest attempt says of the job's task. Queue and run
// time are differences of the provider's own clock.
func (r *Result) newest(a batch.Attempt) {
	if a.Task == "" {
		return
	}
	r.TaskID, r.RequestID = optional(a.Task), optional(a.Request)
	r.SubmittedAt = present(a.At)
	if a.End == nil {
		return
	}
	if !a.End.Submitted.IsZero() {
		r.SubmittedAt = present(a.End.Submitted)
	}
	r.ScheduledAt, r.EndedAt = present(a.End.Scheduled), present(a.End.Ended)
	r.QueueSeconds = between(a.End.Submitted, a.End.Scheduled)
	r.RunSeconds = between(a.End.Scheduled, a.End.Ended)
	if a.End.Usage.Valid {
		r.Usage = &Usage{VideoDuration: a.End.Usage.Decimal, VideoRatio: a.End.Ratio}
	}
}

func newAttempt(a batch.Attempt) Attempt {
	t := Attempt{N: a.N, Outcome: string(a.Outcome), At: a.At.UTC(), Mode: a.Mode, Labels: neverNull(a.Labels), TaskID: optional(a.Task), RequestID: optional(a.Request),
		Code: a.Code, Candidates: a.Candidates}
	if a.Outcome == batch.Intended {
		t.Outcome = string(batch.Unanswered)
	}
	switch a.Money {
	case batch.MoneyFreed:
		t.Seconds, t.Billed = decimal.NewNullDecimal(decimal.Zero), decimal.NewNullDecimal(decimal.Zero)
	case batch.MoneyBilled:
		t.Seconds, t.Billed = a.End.Usage, a.Billed
		t.BillingDate = billingDate(*a.End)
	}
	if a.End != nil {
		t.Status = optional(string(a.End.Status))
	}
	return t
}

// billingDate is the day on which the provider bills a task, in its own zone.
func billingDate(e batch.End) *string {
	if e.Ended.IsZero() {
		return nil
	}
	return optional(e.Ended.In(billingZone()).Format(time.DateOnly))
}

// billedKnown reports whether no task of the job succeeded without usage.
func billedKnown(job batch.Job) bool {
	for _, a := range job.Attempts {
		if a.End != nil && a.End.Status == batch.StatusSucceeded && !a.End.Billed.Valid {
			return false
		}
	}
	return true
}

// Codes of failures that are ours, not the provider's.
const (
	codeCanceled    = "Canceled"
	codeAbandoned   = "Abandoned"
	codeLost        = "Lost"
	codeQuarantined = "InDoubt"
)

// spoiledHint is what to do about a local file that is not what was planned.
const spoiledHint = "put the file back and run again, or run with --accept-changes to take it as it is now"

// hintOfSpoil also knows a file that the store never takes.
func hintOfSpoil(code, message string) string {
	if code == codeInputChanged || code == codeInputMissing {
		return spoiledHint
	}
	return hint(batch.ClassInput, code, message)
}

// newFailure says why a job that is at rest has no artifact, nil for the others.
func newFailure(job batch.Job, folder string) *Failure {
	if job.Spoil != nil && job.State == batch.StateFailed {
		return &Failure{Code: job.Spoil.Code, Message: job.Spoil.Message, Charged: charged(job),
			Hint: hintOfSpoil(job.Spoil.Code, job.Spoil.Message)}
	}
	if len(job.Attempts) == 0 {
		return nil
	}
	a := job.Attempts[len(job.Attempts)-1]
	switch job.State {
	case batch.StateQuarantined:
		return &Failure{Code: codeQuarantined, Message: quarantineMessage(a), Hint: resolveHint(folder, job.ID, a),
			Commands: resolveCommands(folder, job.ID, a)}
	case batch.StateLost:
		f := &Failure{Code: codeLost, Message: "the result can no longer be fetched: " + job.Reason,
			Hint: "run again with --retry-failed to pay for it again"}
		if a.Money == batch.MoneyBilled {
			f.Charged = yes(true)
		}
		return f
	case batch.StateFailed:
	default:
		return nil
	}
	switch {
	case a.Outcome == batch.Quarantined:
		return &Failure{Code: codeAbandoned, Message: "abandoned by a person; whether its create made a task was never known",
			Hint: "look at the provider's bill for " + suspects(a)}
	case a.End != nil && a.End.Status == batch.StatusCanceled && !a.End.Usage.Valid:
		return &Failure{Code: codeCanceled, Message: "the task was canceled before it ran",
			Hint: "run again with --retry-failed to submit it again", Charged: charged(job)}
	}
	f := &Failure{Code: a.Code, Message: a.Message, Hint: hint(a.Class, a.Code, a.Message), Charged: charged(job)}
	if f.Message == "" {
		f.Message = "the provider gave no reason"
	}
	if a.End != nil && a.End.Usage.Valid {
		f.Hint = a.End.Usage.Decimal.String() + " s of output may have been billed, so no run submits it again by itself: look at the provider's bill, then run again with --retry-failed"
	}
	return f
}

// suspects names the tasks of which one may be an attempt's own.
func suspects(a batch.Attempt) string {
	if len(a.Candidates) == 0 {
		return "a task made about " + a.At.UTC().Format("2006-01-02 15:04 MST") + " that is no other job's"
	}
	return "the candidates: " + strings.Join(a.Candidates, ", ")
}

// charged reports whether any task of the job was billed, null if only the
// provider's bill can tell.
func charged(job batch.Job) *bool {
	known := true
	for _, a := range job.Attempts {
		switch a.Money {
		case batch.MoneyBilled:
			return yes(true)
		case batch.MoneyHeld, batch.MoneyPossible:
			known = false
		}
	}
	if !known {
		return nil
	}
	return yes(false)
}

func quarantineMessage(a batch.Attempt) string {
	const what = "it cannot be known whether the create made a task"
	if len(a.Candidates) == 0 {
		return what
	}
	return what + "; it may be one of " + strings.Join(a.Candidates, ", ")
}

// resolveHint tells of the commands that settle a quarantined job.
func resolveHint(folder, id string, a batch.Attempt) string {
	task := "TASK"
	if len(a.Candidates) == 1 {
		task = a.Candidates[0]
	}
	return resolveLine(folder, id, "--adopt", task) + ", or --resubmit (may pay twice), or --abandon"
}

// resolveCommands are those commands, each to be run as it stands.
func resolveCommands(folder, id string, a batch.Attempt) []string {
	var lines []string
	for _, task := range a.Candidates {
		lines = append(lines, resolveLine(folder, id, "--adopt", task))
	}
	return append(lines, resolveLine(folder, id, "--resubmit"), resolveLine(folder, id, "--abandon"))
}

func resolveLine(folder, id string, verdict ...string) string {
	return CommandLine("resolve", []string{filepath.ToSlash(folder), id}, verdict...)
}

// resolveFolder is the folder in a command of resolveCommands.
func resolveFolder(line string) string {
	args, _ := strings.CutPrefix(line, "wanbatch resolve ")
	if _, after, dashed := strings.Cut(args, " -- "); dashed && strings.HasPrefix(args, "--") {
		args = after
	}
	return firstWord(args)
}

func neverNull(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func present(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func between(from, to time.Time) decimal.NullDecimal {
	if from.IsZero() || to.IsZero() {
		return decimal.NullDecimal{}
	}
	return decimal.NewNullDecimal(seconds(to.Sub(from)))
}

func yes(b bool) *bool { return &b }
