package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/wanbatch/wanbatch/pipeline"
)

// outlook is what a run would do now, given the plan, the journal and the flags.
// It decides nothing: the run judges again, with the batch locked.
type outlook struct {
	submit  []string         // jobs that a task would be created for, in order
	money   pipeline.Range   // for these
	reuse   int              // jobs whose work another batch has
	saved   pipeline.Range   // for these
	follow  int              // jobs whose task is under way or in doubt already
	idle    int              // jobs that are left alone by --limit or --only
	changed []string         // jobs that the run refuses, see --accept-changes
	done    int              // jobs that are done
	rest    int              // jobs that failed, were lost or are quarantined, and stay so
	report  *pipeline.Report // what the journal says; nil if there is none

	unfinished bool // the journal has work for a run, if only to decide on a retry
}

// lookAhead compares a plan with the journal in a batch folder, if there is one.
func lookAhead(plan *pipeline.Plan, folder string, cfg pipeline.Config) (outlook, error) {
	report, err := pipeline.Status(folder)
	if err != nil && !errors.Is(err, pipeline.ErrUsage) {
		return outlook{}, err
	}
	was := map[string]pipeline.Result{}
	if report != nil {
		for _, r := range report.Jobs {
			was[r.ID] = r
		}
	}
	o := outlook{report: report, unfinished: report != nil && !report.Complete}
	n := 0
	for job, err := range plan.Jobs() {
		if err != nil {
			return outlook{}, err
		}
		n++
		chosen := (cfg.Limit == 0 || n <= cfg.Limit) && (len(cfg.Only) == 0 || slices.Contains(cfg.Only, job.ID))
		o.add(job, was[job.ID], chosen, cfg)
		delete(was, job.ID)
	}
	for _, gone := range was {
		if !gone.State.AtRest() && gone.State != pipeline.StatePending {
			o.follow++
		}
	}
	return o, nil
}

// add counts a job in. was is the zero result if the journal does not know it.
func (o *outlook) add(job pipeline.Job, was pipeline.Result, chosen bool, cfg pipeline.Config) {
	changed := was.ID != "" && was.Key != job.Key
	again := was.State == pipeline.StateFailed || was.State == pipeline.StateLost
	switch {
	case changed && !cfg.AcceptChanges:
		o.changed = append(o.changed, job.ID)
	case was.ID == "" || was.State == pipeline.StatePending || changed || again && cfg.RetryFailed:
		if !chosen {
			o.idle++
			return
		}
		if job.ReusedFrom != "" {
			o.reuse++
			o.saved.Low, o.saved.High = o.saved.Low.Add(job.Estimated.Low), o.saved.High.Add(job.Estimated.High)
			return
		}
		o.submit = append(o.submit, job.ID)
		o.money.Low = o.money.Low.Add(job.Estimated.Low)
		o.money.High = o.money.High.Add(job.Estimated.High)
	case was.State == pipeline.StateDone:
		o.done++
	case !was.State.AtRest():
		o.follow++
	default:
		o.rest++
	}
}

// otherPrices tells that a batch has been run at other prices, "" if it has not.
func (o outlook) otherPrices(now pipeline.PriceTable) string {
	if o.report == nil {
		return ""
	}
	was := o.report.PriceTable
	if o.report.LatestPrices != nil {
		was = *o.report.LatestPrices
	}
	if was.SHA256 == now.SHA256 {
		return ""
	}
	return "these are other prices than those of " + was.Date + " (" + was.Source + ") that the batch was last run at; what it submitted stays billed at those"
}

// refusal is why a run would not start, nil if it would.
func (o outlook) refusal(plan *pipeline.Plan, cfg pipeline.Config) error {
	if len(o.changed) > 0 {
		return usagef("changed since they were run: %s; --accept-changes pays for them again, another --name starts another batch",
			strings.Join(o.changed, ", "))
	}
	return o.missing(plan, cfg)
}

// missing refuses ids that no job of the run has.
func (o outlook) missing(plan *pipeline.Plan, cfg pipeline.Config) error {
	missing := slices.Clone(cfg.Only)
	n := 0
	for job, err := range plan.Jobs() {
		if err != nil {
			return err
		}
		if n++; len(missing) == 0 || cfg.Limit > 0 && n > cfg.Limit {
			break
		}
		missing = slices.DeleteFunc(missing, func(id string) bool { return id == job.ID })
	}
	if len(missing) > 0 {
		return usagef("--only %s: there is no such job in this run", missing[0])
	}
	return nil
}

// part is the plan of the jobs to submit alone: what an estimate is asked of.
func (o outlook) part(plan *pipeline.Plan) (*pipeline.Plan, error) {
	if len(o.submit) == plan.Len() {
		return plan, nil
	}
	submit := make(map[string]bool, len(o.submit))
	for _, id := range o.submit {
		submit[id] = true
	}
	return plan.Part(func(job pipeline.Job) bool { return submit[job.ID] })
}
