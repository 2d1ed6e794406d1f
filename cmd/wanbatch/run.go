package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

type runOptions struct {
	runFlags
	logFlags
	monitorOptions
	plan         string
	deadline     string
	yes, dry     bool
	wait         bool
	json, events bool
}

func (p *program) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run MANIFEST",
		Short: "do it, or continue it: the only command that spends money",
		Long: "Submits every pair of the manifest once, follows its task, stores the video and\n" +
			"writes the report. Run it again to continue after any interruption, crash or\n" +
			"stop: what is done stays done and is never paid again.\n\n" +
			"On a terminal it shows the estimate and asks; elsewhere it needs --yes or\n" +
			"--plan. The first Ctrl-C or SIGTERM, or a closed terminal, stops creating and\n" +
			"finishes downloads; a second Ctrl-C or SIGTERM stops immediately. Paid work at\n" +
			"the provider goes on, and the next run fetches it.\n\n" +
			"For cron: --quiet prints nothing unless something is wrong or the key is sent to\n" +
			"a host that is not the provider's, --deadline stops creating so early that all\n" +
			"is finished and fetched by then (exit 130 if jobs are left), --metrics-file and\n" +
			"--notify report how it ended.\n\n" +
			"--reuse copies the videos of pairs that another batch has done already: same\n" +
			"content (URLs: same address), model, mode and options. Each copy is verified;\n" +
			"one that has changed ends the run before anything is spent.\n\n" +
			"Exits 0 if every job is done, 3 if some failed, 4 if some need a person, 5 at\n" +
			"the budget, 6 if the account or key is refused, 7 if another run is in the way,\n" +
			"130 if interrupted, 2 for usage, 1 for all else. wanbatch help has the table.",
		Example: "  wanbatch run spring.yaml --max-cost 40 --yes",
		Args:    takes("MANIFEST"),
		RunE: p.verb(func(ctx context.Context, args []string) error {
			return p.run(ctx, args[0], o)
		}),
	}
	o.runFlags.flags(cmd)
	o.logFlags.flags(cmd)
	o.monitorOptions.flags(cmd)
	o.flags(cmd)
	return cmd
}

func (o *runOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.StringVar(&o.plan, "plan", "", "refuse unless the plan is exactly that in `file`, saved by estimate --save")
	f.BoolVarP(&o.dry, "dry-run", "n", false, "tell what would be submitted, and submit nothing")
	f.StringVar(&o.deadline, "deadline", "", "create nothing that would not be fetched by `time`: 06:00 (the next), 8h from now, or RFC 3339")
	f.BoolVar(&o.wait, "wait", false, "wait for a batch or lane that another run holds")
	f.BoolVar(&o.json, "json", false, "print the report as one JSON document at the end")
	f.BoolVar(&o.events, "events", false, "print every step as a line of JSON")
	cmd.MarkFlagsMutuallyExclusive("json", "events")
	cmd.MarkFlagsMutuallyExclusive("json", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("events", "dry-run")
}

func (p *program) run(ctx context.Context, arg string, o runOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	p.quiet = o.quiet
	if o.dry {
		return p.runPlan(ctx, arg, o, nil)
	}
	m, err := p.newMonitor(arg, o)
	if err == nil {
		err = p.runPlan(ctx, arg, o, m)
		m.end(ctx, err)
	}
	return err
}

// runPlan is run but for what machines are told at the end. A dry run has no monitor.
func (p *program) runPlan(ctx context.Context, arg string, o runOptions, m *monitor) error {
	plan, cfg, err := p.planUnder(ctx, arg, o.runFlags)
	if err != nil {
		return err
	}
	if err := checkSavedPlan(plan, o.plan); err != nil {
		return err
	}
	cfg.Wait, cfg.State = o.wait, p.stateFolder()
	if cfg.Deadline, err = parseDeadline(o.deadline, time.Now()); err != nil {
		return err
	}
	if cfg.State == "" {
		p.warn("warning: there is no home folder; runs with another --output are not kept off this lane")
	}
	folder := o.folder(&plan.Manifest)
	ahead, err := plan.Preview(cfg)
	if err != nil {
		return err
	}
	if len(ahead.Submit) > 0 {
		p.flushWarnings()
	}
	if ahead.Refusal != nil {
		return ahead.Refusal
	}
	if o.dry {
		return p.dryRun(plan, ahead, arg, o, cfg)
	}
	if cfg.APIKey, err = p.authorize(plan, ahead, arg, o, cfg); err != nil {
		return err
	}
	stop := m.follow(plan.Manifest.Name, folder)
	report, err := p.launch(ctx, plan, cfg, o.logFlags, o.events)
	stop()
	err = suggestWait(err, o.wait)
	if m.report = report; report == nil {
		return err
	}
	p.err.summary(report, folder, o.quiet)
	if !o.quiet {
		p.howToGoOn(report, err, folder, arg, o)
	}
	if o.json {
		if e := report.JSON(p.out); e != nil {
			return e
		}
	}
	if err == nil {
		err = verdict(report)
	}
	return err
}

// howToGoOn names the commands that a person may need after a run.
func (p *program) howToGoOn(report *pipeline.Report, ended error, folder, arg string, o runOptions) {
	p.err.missing(report.Missing(folder, time.Now()), report, folder, arg, o.sameAccount())
	if errors.Is(ended, pipeline.ErrUsage) || errors.Is(ended, pipeline.ErrLocked) {
		return // which say what to do themselves
	}
	p.err.next(report, ended, func(flags ...string) string {
		return report.Again(arg, append(o.sameBatch(), flags...)...)
	})
}

// suggestWait tells of --wait whoever met another run without it.
func suggestWait(err error, waits bool) error {
	if waits || !errors.Is(err, pipeline.ErrLocked) {
		return err
	}
	return fmt.Errorf("%w (--wait waits for it)", err)
}

func (o *runOptions) check() error {
	return errors.Join(o.runFlags.check(), o.logFlags.check())
}

// checkSavedPlan refuses a plan that is not exactly the one that was saved.
func checkSavedPlan(plan *pipeline.Plan, file string) error {
	if file == "" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return usagef("--plan: %v", err)
	}
	defer f.Close() // read only: nothing can be lost
	saved, err := pipeline.ReadPlan(f)
	if err != nil {
		return usagef("--plan %s: %v", file, err)
	}
	lines, err := saved.Diff(plan)
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		return usagef("the plan is not the one in %s:\n  %s\nreview it and save it again with wanbatch estimate --save",
			file, strings.Join(lines, "\n  "))
	}
	return nil
}

// parseMoney reads an exact amount with or without its currency: 40, 40.00, 40 USD.
func parseMoney(text, currency string) (decimal.NullDecimal, error) {
	if text == "" {
		return decimal.NullDecimal{}, nil
	}
	parts := regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]{3})?$`).FindStringSubmatch(text)
	if parts == nil {
		return decimal.NullDecimal{}, usagef("--max-cost %q is not an amount like 40, 40.50 or 40.50%s", text, currency)
	}
	if parts[2] != "" && !strings.EqualFold(parts[2], currency) {
		return decimal.NullDecimal{}, usagef("--max-cost %s: this batch is billed in %s, by its region", text, currency)
	}
	amount, err := decimal.NewFromString(parts[1])
	if err != nil {
		return decimal.NullDecimal{}, usagef("--max-cost %q: %v", text, err)
	}
	return decimal.NewNullDecimal(amount), nil
}

// dryRun tells what a run would do.
func (p *program) dryRun(plan *pipeline.Plan, ahead *pipeline.Preview, arg string, o runOptions, cfg pipeline.Config) error {
	folder := o.folder(&plan.Manifest)
	if len(ahead.Submit) > 0 {
		f, err := forecastAfter(plan, ahead, folder, cfg, nil)
		if err != nil {
			return err
		}
		p.out.forecast(f, time.Now())
		p.out.line("")
	}
	reused := ""
	if ahead.Reuse > 0 {
		reused = fmt.Sprintf("; %d reused", ahead.Reuse)
	}
	p.out.line("would submit %s for %s %s, and follow %d under way; %d not selected%s",
		count(len(ahead.Submit), "job"), span(ahead.Money), plan.Currency, ahead.Follow, ahead.NotSelected, reused)
	for _, id := range ahead.Submit {
		p.out.line("  %s", id)
	}
	if ahead.Report == nil {
		return nil
	}
	missing := ahead.Report.Missing(folder, time.Now())
	if len(missing) > 0 {
		p.out.line("")
	}
	p.out.missing(missing, ahead.Report, folder, arg, o.sameAccount())
	return nil
}

// authorize looks up the key and asks for consent, if there is anything to do at the
// provider; else there is no key.
func (p *program) authorize(plan *pipeline.Plan, ahead *pipeline.Preview, arg string, o runOptions, cfg pipeline.Config) (pipeline.Key, error) {
	if len(ahead.Submit)+ahead.Follow == 0 {
		return "", nil
	}
	key, err := p.apiKey(plan.Manifest.Lane)
	if err != nil {
		return "", err
	}
	if plan.UsesOtherHost() {
		p.printEndpointNotice()
	}
	return key, p.consent(plan, ahead, arg, o, cfg)
}

// consent makes sure that somebody wants to spend the money. A run that submits
// nothing needs no consent. Who has given it before sees no estimate, but is warned of
// a cap that may stop the run.
func (p *program) consent(plan *pipeline.Plan, ahead *pipeline.Preview, arg string, o runOptions, cfg pipeline.Config) error {
	if len(ahead.Submit) == 0 {
		return nil
	}
	f, err := forecastAfter(plan, ahead, o.folder(&plan.Manifest), cfg, nil)
	if err != nil {
		return err
	}
	if o.yes || o.plan != "" {
		if text := f.capWarning(); text != "" {
			p.err.prose(arg + ": warning: " + text)
		}
		return nil
	}
	asking := terminal(p.stdin) != nil && terminal(p.err.w) != nil && !p.onCI()
	if !asking || arg == pipeline.StdinName {
		return usagef("this would submit %s for %s %s, but cannot ask for confirmation here: give --yes, or --plan FILE",
			count(len(ahead.Submit), "job"), span(ahead.Money), plan.Currency)
	}
	p.err.forecast(f, time.Now())
	p.err.ask("submit %s for %s %s? [y/N]", count(len(ahead.Submit), "job"), span(ahead.Money), plan.Currency)
	answer, _ := bufio.NewReader(p.stdin).ReadString('\n') // no answer is a no
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}
