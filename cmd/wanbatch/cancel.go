package main

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type cancelOptions struct {
	folderFlags
	logFlags
	endpoint   string
	wait, json bool
}

func (p *program) cancelCommand() *cobra.Command {
	var o cancelOptions
	cmd := &cobra.Command{
		Use:   "cancel MANIFEST|DIR",
		Short: "cancel the tasks that still wait at the provider; spends nothing",
		Long: "Cancels every task that the provider has not begun to run, free of charge. A\n" +
			"task that already runs goes on, and the next run fetches it; a job that was\n" +
			"canceled fails and is submitted again only by run --retry-failed; jobs that were\n" +
			"never submitted stay pending. Needs the key that the batch was last run with.\n\n" +
			"Exits 0 if nothing waits any more, 6 if the key is refused, 7 if a run is in the\n" +
			"way, 130 if interrupted, 2 for usage, 1 for all else.",
		Example: "  wanbatch cancel output/spring",
		Args:    takes("MANIFEST|DIR"),
		RunE: p.verb(func(ctx context.Context, args []string) error {
			return p.cancel(ctx, args[0], o)
		}),
	}
	o.folderFlags.flags(cmd)
	o.logFlags.flags(cmd)
	cmd.Flags().BoolVar(&o.wait, "wait", false, "wait for a batch or lane that another run holds")
	cmd.Flags().StringVar(&o.endpoint, "endpoint", "", "send calls to `url`, which must be where the batch was run")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the report as one JSON document at the end")
	return cmd
}

func (p *program) cancel(ctx context.Context, arg string, o cancelOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	folder, lane, err := p.laneOf(arg, o.folderFlags)
	if err != nil {
		return err
	}
	before, err := pipeline.Status(folder)
	if err != nil {
		return err
	}
	if before.Rehearsed() {
		return usagef("%s is a rehearsal: its provider ended with it, and nothing waits there to be canceled", folder)
	}
	cfg := pipeline.Config{State: p.stateFolder(), Proxy: http.ProxyFromEnvironment, Wait: o.wait, Version: currentVersion().Version}
	if cfg.Endpoint, err = p.endpoint(o.endpoint, lane); err != nil {
		return err
	}
	if waiting(before) > 0 {
		if cfg.APIKey, err = p.apiKey(lane); err != nil {
			return err
		}
	}
	report, err := p.runWithProgress(ctx, cfg, o.logFlags, false, func(ctx context.Context, cfg pipeline.Config) (*pipeline.Report, error) {
		return pipeline.Cancel(ctx, folder, cfg)
	})
	err = suggestWait(err, o.wait)
	if report == nil {
		return err
	}
	if o.json {
		if e := report.JSON(p.out); e != nil {
			return e
		}
		return err
	}
	p.out.line("%s: %s; %s", report.Batch, outcome(before, report), counts(report))
	p.out.next(report, err, func(flags ...string) string {
		if o.endpoint != "" {
			flags = append(flags, "--endpoint", o.endpoint)
		}
		return o.again(arg, report, flags...)
	})
	return err
}

// laneOf returns the batch folder that an argument names, and the lane of its
// manifest: that of a bare folder says nothing, the journal knows the rest.
func (p *program) laneOf(arg string, where folderFlags) (string, pipeline.Lane, error) {
	if isFolder(arg) {
		return arg, pipeline.Lane{}, nil
	}
	m, err := p.manifest(arg, where)
	if err != nil {
		return "", pipeline.Lane{}, err
	}
	folder, err := where.begun(arg, m)
	return folder, m.Lane, err
}

// waiting is how many tasks may still wait at the provider, as far as is known.
func waiting(r *pipeline.Report) int {
	n := 0
	for _, j := range r.Jobs {
		if j.State == pipeline.StateQueued {
			n++
		}
	}
	return n
}

// outcome tells what became of the tasks that were asked to be canceled, as far as is
// known: some had begun or ended before the provider was asked.
func outcome(before, after *pipeline.Report) string {
	asked, now := map[string]bool{}, map[string]int{}
	for _, j := range before.Jobs {
		asked[j.ID] = j.State == pipeline.StateQueued
	}
	for _, j := range after.Jobs {
		switch {
		case !asked[j.ID]:
		case j.Error != nil && j.Error.Code == "Canceled":
			now["canceled"]++
		case j.State == pipeline.StateFailed:
			now["had failed"]++
		case j.State == pipeline.StateRunning:
			now["had begun to run"]++
		case j.State == pipeline.StateQueued:
			now["not answered for yet"]++
		default:
			now["had succeeded"]++
		}
	}
	text := count(now["canceled"], "task") + " canceled"
	for _, other := range []string{"had begun to run", "had succeeded", "had failed", "not answered for yet"} {
		text += some(now[other], other)
	}
	return text
}
