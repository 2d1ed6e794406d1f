package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type resolveOptions struct {
	folderFlags
	adopt             string
	resubmit, abandon bool
}

func (p *program) resolveCommand() *cobra.Command {
	var o resolveOptions
	cmd := &cobra.Command{
		Use:                   "resolve MANIFEST|DIR JOB --adopt TASK|--resubmit|--abandon",
		DisableFlagsInUseLine: true,
		Short:                 "settle a quarantined job: adopt a task, submit again, or give up",
		Long: "Records a person's decision about a job of which nobody can tell whether its\n" +
			"create made a task: a quarantined one, or one that has been in doubt for\n" +
			"an hour and that no run settles, say, because its key is gone. An adopted task\n" +
			"that no run has seen running can be taken back like this. wanbatch status\n" +
			"names the candidates; the provider's console and bill show what exists. Nothing\n" +
			"is sent: the next run acts on the decision. The money held for the create in\n" +
			"doubt stays held in any case.\n\n" +
			"Exits 0 if the decision is recorded, 2 if it does not fit the job, 7 while a\n" +
			"run holds the batch.",
		Example: "  wanbatch resolve output/spring alice-salsa --adopt 3f6c1e2a-7d1b-4c55-9a51",
		Args:    takes("MANIFEST|DIR", "JOB"),
		RunE: p.verb(func(_ context.Context, args []string) error {
			return p.resolve(args[0], args[1], o)
		}),
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&o.adopt, "adopt", "", "the job's task is `task`: follow it")
	cmd.Flags().BoolVar(&o.resubmit, "resubmit", false, "submit again, at the risk of paying twice")
	cmd.Flags().BoolVar(&o.abandon, "abandon", false, "give the job up")
	cmd.MarkFlagsMutuallyExclusive("adopt", "resubmit", "abandon")
	cmd.MarkFlagsOneRequired("adopt", "resubmit", "abandon")
	return cmd
}

func (p *program) resolve(arg, job string, o resolveOptions) error {
	folder, err := p.folderOf(arg, o.folderFlags)
	if err != nil {
		return err
	}
	verdict := pipeline.Adopt
	switch {
	case o.resubmit:
		verdict = pipeline.Resubmit
	case o.abandon:
		verdict = pipeline.Abandon
	}
	r, err := pipeline.Resolve(folder, job, verdict, o.adopt)
	if err != nil {
		return err
	}
	p.out.line("%s: recorded %s; %s", job, verdict, counts(r))
	switch {
	case r.Rehearsed():
		p.out.line("a rehearsal cannot be continued: no run acts on this decision, and the next rehearsal starts over")
	case !r.Complete:
		p.out.command("continue", o.again(arg, r), "acts on it")
	}
	return nil
}
