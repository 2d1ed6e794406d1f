package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

func (p *program) statusCommand() *cobra.Command {
	var where place
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status MANIFEST|DIR",
		Short: "what the journal says; no network",
		Long: "Tells where a batch stands, from its journal alone: also while it runs, after a\n" +
			"crash, or on another machine. Changes and repairs nothing.\n\n" +
			"Exits 0 if the journal could be read, however the jobs stand; 2 if there is no\n" +
			"batch, 1 if the journal is damaged.",
		Example: "  wanbatch status output/spring-dance",
		Args:    takes("MANIFEST|DIR"),
		RunE: p.verb(func(_ context.Context, args []string) error {
			return p.status(args[0], where, asJSON)
		}),
	}
	where.flags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON document")
	return cmd
}

func (p *program) status(arg string, where place, asJSON bool) error {
	folder, err := p.folderOf(arg, where)
	if err != nil {
		return err
	}
	r, err := pipeline.Status(folder)
	if err != nil {
		return err
	}
	if asJSON {
		return r.JSON(p.out)
	}
	p.out.summary(r, folder, false)
	p.out.labeled("lane", r.Lane.Region+" "+r.Model+at(r.Lane))
	p.out.labeled("journal", count(int(r.Journal.Records), "record")+", the newest of "+r.GeneratedAt.Local().Format(time.DateTime))
	if !r.Complete {
		p.out.labeled("left", "this batch is not finished; wanbatch run continues it")
	}
	return nil
}

// at says where and as whom a batch ran last.
func at(l pipeline.ReportLane) string {
	if l.Endpoint == "" {
		return ", never run"
	}
	return " at " + l.Endpoint + ", key " + l.Key
}
