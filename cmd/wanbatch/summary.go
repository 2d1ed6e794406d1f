package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// shownProblems is how many jobs a summary tells one by one; the report has all.
const shownProblems = 20

// summary tells where a batch stands. problems alone is for those who want to
// hear of nothing else.
func (p *printer) summary(r *pipeline.Report, folder string, problemsAlone bool) {
	if !problemsAlone {
		t := r.Totals
		p.prose(r.Batch + ": " + counts(r))
		p.labeled("billed", billed(r))
		if t.Overruns > 0 {
			p.labeled("overruns", count(t.Overruns, "task")+" billed above what was held for them; see the report")
		}
		if t.Reused.Jobs > 0 {
			p.labeled("reused", count(t.Reused.Jobs, "job")+" from other batches: "+t.Reused.Seconds.String()+" s, "+money(t.Reused.Saved, r.Currency)+" saved")
		}
		p.budget(r)
		for _, file := range [][2]string{{"videos", "videos"}, {"report", "report.json"}, {"review", "report.html"}} {
			path := filepath.Join(folder, file[1])
			if _, err := os.Stat(path); err == nil { // a batch that runs for the first time has no report yet
				p.labeled(file[0], path)
			}
		}
	}
	p.problems(r)
	p.doubts(r, folder)
}

// budget tells what is left under the cap, and what a batch needs that stopped at it.
func (p *printer) budget(r *pipeline.Report) {
	b := r.Budget
	switch {
	case !b.Cap.Valid || b.LeftJobs == 0:
	case b.Stopped:
		p.labeled("budget", fmt.Sprintf("stopped at the cap of %s, of which %s is billed or held: %s", money(b.Cap.Decimal, r.Currency), b.Committed, b))
	default:
		p.labeled("budget", fmt.Sprintf("%s of %s is billed or held; the next job needs up to %s, all %d left up to %s",
			b.Committed, money(b.Cap.Decimal, r.Currency), b.Next, b.LeftJobs, b.Left))
	}
}

// counts is how many jobs are in each state that some job is in.
func counts(r *pipeline.Report) string {
	n := map[pipeline.State]int{}
	for _, j := range r.Jobs {
		n[j.State]++
	}
	var parts []string
	for _, state := range pipeline.States() {
		if n[state] > 0 || state == pipeline.StateDone {
			parts = append(parts, fmt.Sprintf("%d %s", n[state], words(state)))
		}
	}
	return count(len(r.Jobs), "job") + ", " + strings.Join(parts, ", ")
}

func billed(r *pipeline.Report) string {
	t := r.Totals
	text := money(t.Billed, r.Currency) + " for " + t.BilledSeconds.String() + " s"
	if !t.BilledMax.Equal(t.Billed) {
		text += ", at most " + money(t.BilledMax, r.Currency)
	}
	return text + ", estimated " + money(t.Estimated, r.Currency)
}

// problems has one line for each job that needs attention.
func (p *printer) problems(r *pipeline.Report) {
	n := 0
	for _, j := range r.Jobs {
		if j.Error == nil {
			continue
		}
		if n++; n > shownProblems {
			continue
		}
		p.prose("  " + j.ID + " " + string(j.State) + ": " + reason(j.Error))
		for _, command := range j.Error.Commands {
			p.line("    %s", command) // whole, so that it can be pasted
		}
	}
	if n > shownProblems {
		p.line("  and %d more; the report has them all", n-shownProblems)
	}
}

// doubts has one line for each create whose outcome only the lists of a key can show
// that the provider refuses, and the commands that settle it should that key be gone.
func (p *printer) doubts(r *pipeline.Report, folder string) {
	if r.Stopped == nil || r.Stopped.Reason != "key" {
		return
	}
	for _, j := range r.Jobs {
		if n := len(j.Attempts); n > 0 && (j.State == pipeline.StateInDoubt || j.State == pipeline.StateSubmitting) {
			p.prose("  " + j.ID + " " + string(j.State) + ": a run with the key of its create may settle it; if that key is gone, settle it from " +
				j.Attempts[n-1].At.Add(pipeline.ResolveAfter).Local().Format(time.DateTime) + " on by one of these, of which --resubmit may pay twice")
			for _, verdict := range [][]string{{"--adopt", "TASK"}, {"--resubmit"}, {"--abandon"}} {
				p.line("    %s", pipeline.CommandLine("resolve", []string{filepath.ToSlash(folder), j.ID}, verdict...))
			}
		}
	}
}

// reason is a failure in one line: what, what to do, and whether it cost money.
func reason(f *pipeline.Failure) string {
	charged := "only the provider's bill shows whether it was charged"
	if f.Charged != nil {
		charged = map[bool]string{true: "charged", false: "not charged"}[*f.Charged]
	}
	what := strings.TrimRight(f.Message, ".") // the provider's often has one
	if f.Code != "" {
		what = f.Code + ": " + what
	}
	hint := f.Hint
	if len(f.Commands) > 0 {
		hint = "settle it by one of these, of which --resubmit may pay twice"
	}
	return strings.Join(present([]string{what, charged, hint}), "; ")
}
