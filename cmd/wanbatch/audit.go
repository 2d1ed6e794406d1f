package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

// errUnproven: the audit has told what is wrong.
var errUnproven = fmt.Errorf("the folder is not proven: %w", errReported)

func (p *program) auditCommand() *cobra.Command {
	var where folderFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "audit MANIFEST|DIR",
		Short: "prove journal, report and videos; no network",
		Long: "Proves that no byte of the journal changed and no record is missing, that its\n" +
			"money adds up, that report.json, report.csv and report.html are what it says,\n" +
			"and that every video is the one that was verified. Prints one line for each\n" +
			"problem: where, what, and what to do. Reads every video once; changes and\n" +
			"repairs nothing.\n\n" +
			"Exits 0 if everything is proven, 2 if there is no batch, 1 otherwise.",
		Example: "  wanbatch audit output/spring",
		Args:    takes("MANIFEST|DIR"),
		RunE: p.verb(func(_ context.Context, args []string) error {
			return p.audit(args[0], where, asJSON)
		}),
	}
	where.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as one JSON document")
	return cmd
}

func (p *program) audit(arg string, where folderFlags, asJSON bool) error {
	folder, err := p.folderOf(arg, where)
	if err != nil {
		return err
	}
	found, err := pipeline.Audit(folder)
	if err != nil {
		return err
	}
	if asJSON {
		lines := json.NewEncoder(p.out)
		lines.SetIndent("", "  ")
		if err := lines.Encode(found); err != nil {
			return err
		}
	} else {
		p.printFindings(found)
	}
	if !found.Proven() {
		return errUnproven
	}
	return nil
}

func (p *program) printFindings(found *pipeline.Findings) {
	for _, n := range found.Notes {
		p.err.line("note: %s: %s; %s", n.Where, n.Message, n.Hint)
	}
	for _, f := range found.Problems {
		p.out.line("%s: %s; %s", f.Where, f.Message, f.Hint)
	}
	if !found.Proven() {
		p.err.line("not proven: %s", count(len(found.Problems), "problem"))
		return
	}
	p.out.line("proven: %s, %s of %d bytes, head %s",
		count(int(found.Records), "record"), count(found.Artifacts, "video"), found.Bytes, found.Head)
	if found.Elsewhere > 0 {
		p.out.line("not looked into: %s in a bucket", count(found.Elsewhere, "video"))
	}
}
