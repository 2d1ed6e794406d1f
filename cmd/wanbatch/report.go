package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

func (p *program) reportCommand() *cobra.Command {
	var where place
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report MANIFEST|DIR",
		Short: "write report.json and report.csv again from the journal",
		Long: "Writes the report of a batch into its folder, from its journal alone: the same\n" +
			"journal always gives the same bytes. No network; the journal is not changed.\n\n" +
			"Exits 0 if the report was written, however the jobs stand; 2 if there is no\n" +
			"batch, 1 if the journal is damaged or the folder cannot be written.",
		Example: "  wanbatch report output/spring-dance --json | jq .totals.by_label",
		Args:    takes("MANIFEST|DIR"),
		RunE: p.verb(func(_ context.Context, args []string) error {
			return p.report(args[0], where, asJSON)
		}),
	}
	where.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report too, as one JSON document")
	return cmd
}

func (p *program) report(arg string, where place, asJSON bool) error {
	folder, err := p.folderOf(arg, where)
	if err != nil {
		return err
	}
	r, err := pipeline.WriteReport(folder)
	if err != nil {
		return err
	}
	if asJSON {
		return r.JSON(p.out)
	}
	p.out.line("%s: %s, billed %s", r.Batch, counts(r), money(r.Totals.Billed, r.Currency))
	for _, name := range []string{"report.json", "report.csv"} {
		p.out.line("  %s", filepath.Join(folder, name))
	}
	return nil
}
