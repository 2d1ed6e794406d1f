package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

type emulatorOptions struct {
	emulator.Options
	listen string
	faults []string
}

func (p *program) emulatorCommand() *cobra.Command {
	var o emulatorOptions
	cmd := &cobra.Command{
		Use:   "emulator",
		Short: "serve the provider's API on a loopback port, with faults",
		Long: "Serves an emulator of the provider until Ctrl-C or SIGTERM. The first line of\n" +
			"standard output is its base URL; give it to run --endpoint, or to any client in\n" +
			"DASHSCOPE_HTTP_BASE_URL. GET /__meter below it counts tasks, seconds and calls.\n\n" +
			"Only run times are shortened: rate limits, time stamps and lives of 24 h stay\n" +
			"real. Inputs are fetched from any address, and local files are read when a\n" +
			"client on this machine names them: that is why it listens on loopback only.\n\n" +
			"Exits 0 when told to stop, 2 for usage, 1 if it cannot listen.",
		Example: "  wanbatch emulator --listen 127.0.0.1:8080 --fault lost-reply:5%",
		Args:    takes(),
		RunE: p.verb(func(ctx context.Context, _ []string) error {
			return p.emulator(ctx, o)
		}),
	}
	o.flags(cmd)
	return cmd
}

func (o *emulatorOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback `address` to serve on; port 0 takes a free one")
	f.StringArrayVar(&o.AcceptKeys, "accept-key", nil, "let only this `key` in (repeatable); otherwise any that starts with sk-")
	faultFlag(cmd, &o.faults)
	f.Float64Var(&o.Speed, "speed", 60, "divide run times by this `factor`; at 60 a clip of 5 s takes about 2 s")
	f.IntVar(&o.Running, "running", 1, "tasks of one account and model that run at once")
	f.BoolVar(&o.Reject, "reject", false, "answer 429 to creates beyond that, instead of queueing")
	f.Uint64Var(&o.Seed, "seed", 0, "fix ids and the dice of faults; 0 draws a `seed`")
	f.DurationVar(&o.ListLag, "list-lag", 0, "how long a new task is missing from lists")
	f.DurationVar(&o.StartDelay, "start-delay", 0, "the least time a task stays PENDING, before --speed (default 1s)")
	f.DurationVar(&o.Timeout, "timeout", 0, "run time after which a task fails, before --speed (default 3h)")
	f.DurationVar(&o.TaskLife, "task-life", 0, "how long an id is known (default 24h)")
	f.DurationVar(&o.URLLife, "url-life", 0, "how long a result can be fetched (default 24h)")
	f.BoolVar(&o.SignOnQuery, "sign-on-query", false, "sign a result's URL anew at each query, instead of once when its task ends")
	f.BoolVar(&o.LifeFromEnd, "life-from-end", false, "count the life of an id from the end of its task")
	f.IntVar(&o.CreatesPerSecond, "creates-per-second", 0, "limit on creates; below 0 none (default 5)")
	f.IntVar(&o.QueriesPerSecond, "queries-per-second", 0, "limit on queries, lists and cancels together; below 0 none (default 20)")
	f.IntVar(&o.PageSizeMax, "page-size-max", 0, "largest page of a list (default 100)")
	f.IntVar(&o.Padding, "padding", 0, "add so many `bytes` to every result")
}

func (p *program) emulator(ctx context.Context, o emulatorOptions) error {
	if asksForFaults(o.faults) {
		p.listFaults()
		return nil
	}
	var err error
	if o.Faults, err = parseFaults(o.faults); err != nil {
		return err
	}
	if !(o.Speed > 0) || o.Running < 1 {
		return usagef("--speed must be above 0 and --running at least 1")
	}
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	s, err := startEmulatorServer(ctx, o.listen, o.Options)
	if err != nil {
		return err
	}
	p.out.line("%s", s.url)
	p.err.line("serving; the meter is at %s/__meter, Ctrl-C stops", s.url)
	select {
	case <-ctx.Done():
		m := s.emu.Meter()
		err = s.close()
		p.err.line("stopped after %s and %s s billed", count(m.Creates, "task"), m.BilledSeconds)
	case err = <-s.done:
		s.done <- err
		_ = s.close()
	}
	return err
}
