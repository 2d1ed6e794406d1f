package main

import (
	"github.com/wanbatch/wanbatch/pipeline"
)

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
