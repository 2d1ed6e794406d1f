package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type reportOptions struct {
	folderFlags
	merge   bool
	by      []string
	json    bool
	format  string // "", "json", "csv" or "focus"
	account string
}

func (p *program) reportCommand() *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report MANIFEST|DIR...",
		Short: "write the report again from the journal, or one bill of many",
		Long: "Writes the report of a batch into its folder, from its journal alone: the same\n" +
			"journal always gives the same bytes. No network; the journal is not changed.\n" +
			"--format prints it too: json and csv are what is in the folder, focus is a table\n" +
			"of charges in the form of FOCUS 1.2, the FinOps Open Cost and Usage\n" +
			"Specification, as cost tools read it.\n\n" +
			"--merge adds many batches up into one bill by month (the provider's, in UTC+8),\n" +
			"label and mode, prints it and writes nothing. Amounts in different currencies\n" +
			"are never added. Rehearsals, and what else a server on this machine made, are\n" +
			"left out: the provider bills nothing of them. --format focus prints the charges\n" +
			"of all the others.\n\n" +
			"In CSV, a cell that a spreadsheet might take for a formula begins with an\n" +
			"apostrophe, ids too: the job -one stands there as '-one. JSON has them as they\n" +
			"are.\n\n" +
			"All amounts are confirmed usage at list price, before free quota, discounts and\n" +
			"tax.\n\n" +
			"Exits 0 if the report was written, however the jobs stand; 2 if there is no\n" +
			"batch or one is given twice, 1 if a journal is damaged or a folder cannot be\n" +
			"written.",
		Example: "  wanbatch report output/spring-dance --json | jq .totals.by_label\n" +
			"  wanbatch report --merge output/* --by client\n" +
			"  wanbatch report --merge output/* --format focus > charges.csv",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 && !o.merge {
				return usagef("report takes one batch; --merge adds many up")
			}
			return takes("MANIFEST|DIR...")(cmd, args)
		},
		RunE: p.verb(func(_ context.Context, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if o.merge {
				return p.mergedReport(args, o)
			}
			return p.report(args[0], o)
		}),
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.merge, "merge", false, "print one bill for all the batches, and write nothing")
	f.StringSliceVar(&o.by, "by", nil, "with --merge: tell apart only these `labels`; \"\" for none")
	f.StringVar(&o.format, "format", "", "print it as `json|csv|focus`")
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	f.StringVar(&o.account, "billing-account", "", "with --format focus: the provider's `id` of your account, instead of the key's fingerprint")
	cmd.MarkFlagsMutuallyExclusive("json", "format")
	cmd.MarkFlagsMutuallyExclusive("merge", "name")
	return cmd
}

func (o *reportOptions) check() error {
	if o.json {
		o.format = "json"
	}
	switch {
	case o.format != "" && o.format != "json" && o.format != "csv" && o.format != "focus":
		return usagef("--format is json, csv or focus, not %q", o.format)
	case o.by != nil && (!o.merge || o.format == "focus"):
		return usagef("--by tells apart the lines of a bill: it goes with --merge, and not with --format focus")
	case o.account != "" && o.format != "focus":
		return usagef("--billing-account goes with --format focus")
	}
	return nil
}

func (p *program) report(arg string, o reportOptions) error {
	folder, err := p.folderOf(arg, o.folderFlags)
	if err != nil {
		return err
	}
	r, err := pipeline.WriteReport(folder)
	if err != nil {
		return err
	}
	switch o.format {
	case "json":
		return r.JSON(p.out)
	case "csv":
		return r.CSV(p.out)
	case "focus":
		why, billed, err := unbilled(folder, r)
		switch {
		case err != nil:
			return err
		case billed == nil:
			p.err.line("%s: %s; not billable", r.Batch, why)
			billed = r
		case why != "":
			p.err.line("%s: %s; left out", r.Batch, why)
		}
		return p.focus([]*pipeline.Report{billed}, o)
	}
	p.out.line("%s: %s, billed %s", r.Batch, counts(r), money(r.Totals.Billed, r.Currency))
	for _, name := range []string{"report.json", "report.csv", "report.html"} {
		p.out.line("  %s", filepath.Join(folder, name))
	}
	return nil
}

// focus prints the charges of some batches, and tells of what they lack.
func (p *program) focus(reports []*pipeline.Report, o reportOptions) error {
	for _, r := range reports {
		if open := r.Totals.BilledMax.Sub(r.Totals.Billed); open.IsPositive() {
			p.err.line("%s: not in the table: up to %s that may have been billed besides", r.Batch, money(open, r.Currency))
		}
	}
	return pipeline.WriteFOCUS(p.out, o.account, reports...)
}
