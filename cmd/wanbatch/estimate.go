package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type estimateOptions struct {
	place
	json bool
	save string
}

func (p *program) estimateCommand() *cobra.Command {
	var o estimateOptions
	cmd := &cobra.Command{
		Use:   "estimate MANIFEST",
		Short: "jobs, seconds, money, wall-clock time; spends nothing",
		Long: "Tells what a manifest is likely to take: seconds of output, money at list price\n" +
			"(before free quota, discounts and tax), and time on a lane that nobody else\n" +
			"uses. --save writes the plan as a document that can be reviewed and given to\n" +
			"run --plan.\n\n" +
			"Exits 0, or 2 if the manifest or a file it names is not good.",
		Example: "  wanbatch estimate spring.yaml --save plan.json",
		Args:    takes("MANIFEST"),
		RunE: p.verb(func(ctx context.Context, args []string) error {
			return p.estimate(ctx, args[0], o)
		}),
	}
	o.nameFlag(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "one JSON document instead of a table")
	cmd.Flags().StringVar(&o.save, "save", "", "write the plan to `file`, for run --plan")
	return cmd
}

func (p *program) estimate(ctx context.Context, arg string, o estimateOptions) error {
	plan, err := p.plan(ctx, arg, o.place)
	if err != nil {
		return err
	}
	if o.save != "" {
		if err := savePlan(plan, o.save); err != nil {
			return err
		}
	}
	if o.json {
		return estimateJSON(p.out, plan, time.Now())
	}
	p.out.printEstimate(plan, decimal.NullDecimal{}, time.Now())
	if o.save != "" {
		p.err.line("plan saved; run exactly this with: wanbatch run %s --plan %s", arg, o.save)
	}
	return nil
}

// savePlan writes a plan that may be larger than memory. What is left of it after
// an error is not a plan that can be read.
func savePlan(plan *pipeline.Plan, file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(plan.Save(f), f.Close())
}

// estimateDocument is version 1 of what estimate --json prints. Fields may be
// added, none changes its meaning.
type estimateDocument struct {
	Version int    `json:"version"`
	Batch   string `json:"batch"`
	pipeline.Estimate
	MaxCost  decimal.NullDecimal `json:"max_cost"`
	Finish   finish              `json:"finish"` // if it started now
	Warnings []string            `json:"warnings"`
}

type finish struct {
	Earliest time.Time `json:"earliest"`
	Latest   time.Time `json:"latest"`
}

func estimateJSON(out *printer, plan *pipeline.Plan, now time.Time) error {
	e := plan.Estimate()
	doc := estimateDocument{Version: 1, Batch: plan.Manifest.Name, Estimate: e,
		MaxCost: plan.Manifest.Budget.MaxCost, Warnings: append([]string{}, plan.Warnings()...)}
	doc.Finish.Earliest, doc.Finish.Latest = e.Finish(now.UTC().Truncate(time.Second))
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// printEstimate tells a person what a plan would take. A valid limit replaces the
// manifest's.
func (p *printer) printEstimate(plan *pipeline.Plan, limit decimal.NullDecimal, now time.Time) {
	m, e := &plan.Manifest, plan.Estimate()
	p.line("%s: %s with %s in %s", m.Name, count(e.Jobs, "job"), m.Model, m.Lane.Region)
	p.line("")
	rows := [][]string{{"mode", "jobs", "seconds", e.Currency}}
	for _, mode := range []pipeline.Mode{pipeline.ModeStd, pipeline.ModePro} {
		if part, used := e.ByMode[mode]; used {
			rows = append(rows, []string{string(mode), strconv.Itoa(part.Jobs), span(part.Seconds), span(part.Money)})
		}
	}
	p.table(append(rows, []string{"total", strconv.Itoa(e.Jobs), span(e.Seconds), span(e.Money)}))
	p.line("")

	p.labeled("time", shortRange(e.WallClock)+fmt.Sprintf(", %d running at once", m.Limits.Running))
	earliest, latest := e.Finish(now)
	p.labeled("finish", dates(earliest.Local(), latest.Local())+" if it starts now and nobody else uses the lane")
	p.labeled("cap", capText(m, limit, e.Currency))
	p.labeled("prices", e.Prices.Date+": "+e.Prices.Source+"; before free quota, discounts and tax")
	p.labeled("assumed", assumed(e.Settings))
}

func capText(m *pipeline.Manifest, limit decimal.NullDecimal, currency string) string {
	if !limit.Valid {
		limit = m.Budget.MaxCost
	}
	if !limit.Valid {
		return "none; set budget.max_cost or give run --max-cost"
	}
	return "never more than " + money(limit.Decimal, currency) + " over the batch's whole life"
}

// assumed lists the settings that an estimate depends on.
func assumed(s pipeline.EstimateSettings) string {
	l := s.Limits
	return fmt.Sprintf("running %d, queue_ahead %d, create_per_second %g, query_per_second %g, poll_min %s, poll_max %s, "+
		"settle %s, task_life %s, burst_wait %s, tries %d, exclusive %s, watermark %t, check_image %t",
		l.Running, l.QueueAhead, l.CreatePerSecond, l.QueryPerSecond, plain(l.PollMin), plain(l.PollMax),
		plain(l.Settle), plain(l.TaskLife), plain(l.BurstWait), l.Tries, s.Exclusive, s.Watermark, s.CheckImage)
}
