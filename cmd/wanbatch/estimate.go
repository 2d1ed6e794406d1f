package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type estimateOptions struct {
	runFlags
	json bool
	save string
	rate string
}

func (p *program) estimateCommand() *cobra.Command {
	var o estimateOptions
	cmd := &cobra.Command{
		Use:   "estimate MANIFEST",
		Short: "jobs, seconds, money, wall-clock time; spends nothing",
		Long: "Tells what a run of the manifest is likely to take now: seconds of output, money\n" +
			"at list price (before free quota, discounts and tax), also if all were made in\n" +
			"the other mode, time on a lane that nobody else uses, and disk space. What the\n" +
			"batch's journal has already is left out, and run times are learned from it.\n\n" +
			"--save writes the plan as a document that can be reviewed and given to\n" +
			"run --plan, which then wants the same inputs, settings, prices and flags.\n\n" +
			"--prices takes a file in place of the built-in table:\n\n" +
			"  version: 1\n" +
			"  date: 2026-10\n" +
			"  source: contract 4711\n" +
			"  prices:\n" +
			"    - {region: singapore, model: wan2.2-animate-move, mode: wan-std,\n" +
			"       currency: USD, per_second: \"0.10\"}\n" +
			"    - ...\n\n" +
			"Exits 0, or 2 if the manifest or a file it names is not good.",
		Example: "  wanbatch estimate spring.yaml --max-cost 40 --save plan.json",
		Args:    takes("MANIFEST"),
		RunE: p.verb(func(ctx context.Context, args []string) error {
			return p.estimate(ctx, args[0], o)
		}),
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "one JSON document instead of a table")
	cmd.Flags().StringVar(&o.save, "save", "", "write the plan to `file`, for run --plan")
	cmd.Flags().StringVar(&o.rate, "rate", "", "show the money in another currency too, at a `rate` like USD=7.1CNY")
	return cmd
}

func (p *program) estimate(ctx context.Context, arg string, o estimateOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	plan, cfg, err := p.planUnder(ctx, arg, o.runFlags)
	if err != nil {
		return err
	}
	rate, err := parseExchangeRate(o.rate, plan.Currency)
	if err != nil {
		return err
	}
	if o.save != "" {
		if err := savePlan(plan, o.save); err != nil {
			return err
		}
	}
	f, err := newForecast(plan, o.folder(&plan.Manifest), cfg, rate)
	if err != nil {
		return err
	}
	if o.json {
		return p.out.forecastJSON(f, time.Now())
	}
	p.out.forecast(f, time.Now())
	if o.save != "" {
		p.err.line("plan saved; run exactly this with: %s",
			pipeline.CommandLine("run", []string{arg}, append([]string{"--plan", o.save}, o.flagged()...)...))
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
