package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

func (p *program) statusCommand() *cobra.Command {
	var where folderFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status MANIFEST|DIR",
		Short: "what the journal says; no network",
		Long: "Tells where a batch stands, from its journal: also while it runs, after a\n" +
			"crash, or on another machine. Names the process that works on it now, or says\n" +
			"how the last run ended. Names finished videos that are not in the folder any\n" +
			"more, by a look at their lengths; audit reads them. Changes and repairs nothing.\n" +
			"The JSON is that of report.json, with that process as \"holder\" and those videos\n" +
			"as \"missing\".\n\n" +
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

func (p *program) status(arg string, where folderFlags, asJSON bool) error {
	folder, err := p.folderOf(arg, where)
	if err != nil {
		return err
	}
	r, err := pipeline.Status(folder)
	if err != nil {
		return err
	}
	missing := r.Missing(folder, time.Now())
	holder, _ := pipeline.HolderOf(folder) // a courtesy: where it cannot be told, nobody is named
	if asJSON {
		lines := json.NewEncoder(p.out)
		lines.SetIndent("", "  ")
		return lines.Encode(struct {
			*pipeline.Report
			Holder  *pipeline.Holder   `json:"holder,omitzero"`
			Missing []pipeline.Missing `json:"missing,omitempty"`
		}{r, holder, missing})
	}
	p.out.summary(r, folder, false)
	p.out.labeled("lane", r.Lane.Region+" "+r.Model+at(r.Lane))
	p.out.labeled("journal", count(int(r.Journal.Records), "record")+", the newest of "+r.GeneratedAt.Local().Format(time.DateTime))
	p.out.presence(r, holder, func(flags ...string) string { return where.again(arg, r, flags...) })
	if folder == arg {
		arg = pipeline.AnyManifest
	}
	p.out.missing(missing, r, folder, arg, outside(folder))
	return nil
}

// presence tells who works on a batch, or why nobody does though it is not finished,
// and how to go on then.
func (p *printer) presence(r *pipeline.Report, holder *pipeline.Holder, again func(flags ...string) string) {
	if holder != nil {
		p.labeled("now", fmt.Sprintf("process %d on %s works on it, since %s", holder.PID, holder.Host, holder.Since.Local().Format(time.DateTime)))
		return
	}
	switch {
	case r.Complete:
	case r.Stopped != nil && r.Stopped.Reason == "budget": // which the summary has explained
		p.labeled("stopped", r.Stopped.At.Local().Format(time.DateTime)+", by the budget")
	case r.Stopped != nil && r.Stopped.Message != "":
		why := strings.TrimSuffix(strings.TrimPrefix(r.Stopped.Message, "stopped "), "; run again to continue") // the next line says how
		p.labeled("stopped", r.Stopped.At.Local().Format(time.DateTime)+", "+why)
	case r.Stopped == nil && r.Lane.Endpoint != "":
		p.labeled("stopped", "the last run was killed, or its machine went down")
	default:
		p.labeled("left", "this batch is not finished")
	}
	p.next(r, stopped(r), again)
}

// at says where and as whom a batch ran last.
func at(l pipeline.ReportLane) string {
	if l.Endpoint == "" {
		return ", never run"
	}
	return " at " + l.Endpoint + ", key " + l.KeyFingerprint
}
