package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// rehearsalLocks is a folder in the batch folder, while a rehearsal goes on.
const rehearsalLocks = ".rehearsal"

type rehearseOptions struct {
	folderFlags
	logFlags
	speed  float64
	faults []string
	seed   uint64
	prices string
}

func (p *program) rehearseCommand() *cobra.Command {
	var o rehearseOptions
	cmd := &cobra.Command{
		Use:   "rehearse MANIFEST",
		Short: "the whole run against the built-in emulator, on a fast clock",
		Long: "Runs the manifest as run would, but against an emulator of the provider inside\n" +
			"this program, whose clock runs --speed times faster, and so do all intervals of\n" +
			"ours. It needs no key and no account. Results are test cards of the right\n" +
			"length.\n\n" +
			"It writes <output>/<name>-rehearsal. Journal, report and videos of an earlier\n" +
			"rehearsal there are deleted first, once the journal proves that it was a\n" +
			"rehearsal (name, loopback endpoint, made-up key). Anything else is refused.\n\n" +
			"Inputs given as http(s) URLs are really downloaded, by the emulator, without a\n" +
			"key. The emulator runs as many tasks at once as the manifest's limits.running\n" +
			"says.\n\n" +
			"Exits like run.",
		Example: "  wanbatch rehearse manifests/demo.yaml --fault lost-reply:1 --fault no-crc:20%",
		Args: func(cmd *cobra.Command, args []string) error {
			if asksForFaults(o.faults) {
				return nil
			}
			return takes("MANIFEST")(cmd, args)
		},
		RunE: p.verb(func(ctx context.Context, args []string) error {
			if asksForFaults(o.faults) {
				p.listFaults()
				return nil
			}
			return p.rehearse(ctx, args[0], o)
		}),
	}
	o.folderFlags.flags(cmd)
	o.logFlags.flags(cmd)
	pricesFlag(cmd, &o.prices)
	cmd.Flags().Float64Var(&o.speed, "speed", 100, "how many `times` faster than real time")
	faultFlag(cmd, &o.faults)
	cmd.Flags().Uint64Var(&o.seed, "seed", 0, "fix ids and the dice of faults; 0 draws a `seed`")
	return cmd
}

func (p *program) rehearse(ctx context.Context, arg string, o rehearseOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	faults, err := parseFaults(o.faults)
	if err != nil {
		return err
	}
	m, err := p.manifest(arg, o.folderFlags)
	if m == nil {
		return err
	}
	m.Name += pipeline.RehearsalSuffix
	if m.Inputs.Store != "" || m.Output.Store != "" {
		p.err.line("rehearsed without inputs.store and output.store: nothing is put into a bucket")
		m.Inputs.Store, m.Output.Store, m.Output.StoreOnly = "", "", false
	}
	prices, err := pricesFrom(o.prices)
	if err != nil {
		return err
	}
	plan, err := p.planOf(ctx, m, arg, pipeline.PlanOptions{Prices: prices})
	if err != nil {
		return err
	}
	folder := o.folder(&plan.Manifest)
	if err := startAfresh(folder, plan.Manifest.Name); err != nil {
		return err
	}
	began := time.Now()
	r, meter, err := p.runRehearsal(ctx, plan, o, emulator.Options{
		Now: fastClock(began, o.speed), Running: m.Limits.Running, Faults: faults, Seed: o.seed,
	})
	if r == nil {
		return err
	}
	took := time.Since(began)
	p.out.summary(r, folder, o.quiet)
	if !o.quiet {
		p.out.line("")
		p.compare(plan, r, meter, took, o.speed)
	}
	switch {
	case err == nil:
		err = verdict(r)
	case errors.Is(err, pipeline.ErrInterrupted):
		err = fmt.Errorf("%w: a rehearsal cannot be continued; the next one starts over", pipeline.ErrInterrupted)
	}
	return errors.Join(err, paidTwice(plan, meter))
}

func (o *rehearseOptions) check() error {
	if !(o.speed >= 1 && o.speed <= 10000) {
		return usagef("--speed is from 1 to 10000, not %g", o.speed)
	}
	return o.logFlags.check()
}

// runRehearsal runs a plan on an emulator of its own. The lock of its lane lies in its own
// folder, so that it never waits for a real lane, and that the next rehearsal removes
// what one that is killed leaves.
func (p *program) runRehearsal(ctx context.Context, plan *pipeline.Plan, o rehearseOptions, opt emulator.Options) (*pipeline.Report, emulator.Meter, error) {
	state := filepath.Join(o.folder(&plan.Manifest), rehearsalLocks)
	s, err := startEmulatorServer(ctx, "127.0.0.1:0", opt)
	if err != nil {
		return nil, emulator.Meter{}, err
	}
	r, err := p.launch(ctx, plan, pipeline.Config{
		Output: o.output, State: state, APIKey: pipeline.RehearsalKey, Endpoint: s.url,
		Speed: o.speed, Version: currentVersion().Version,
	}, o.logFlags, false)
	if !errors.Is(err, pipeline.ErrLocked) { // by another rehearsal, to which the folder belongs
		_ = os.RemoveAll(state) // only locks of a port that is gone
	}
	meter := s.emu.Meter()
	return r, meter, errors.Join(err, s.close())
}

// fastClock runs so many times faster than the wall clock from start on.
func fastClock(start time.Time, speed float64) func() time.Time {
	return func() time.Time {
		return start.Add(time.Duration(float64(time.Since(start)) * speed))
	}
}

// compare sets what was estimated beside what the rehearsal took, or beside how far it
// came.
func (p *program) compare(plan *pipeline.Plan, r *pipeline.Report, meter emulator.Meter, took time.Duration, speed float64) {
	e, column := plan.Estimate(), "rehearsed"
	if !r.Complete {
		column = "so far"
		p.out.line("stopped early, with %d of %s done; so far:", r.Totals.Done, count(r.Totals.Jobs, "job"))
	}
	p.out.table([][]string{
		{"", "estimated", column},
		{"seconds", span(e.Seconds), r.Totals.BilledSeconds.String()},
		{e.Currency, span(e.Money), r.Totals.Billed.String()},
		{"time", shortRange(e.WallClock), short(time.Duration(float64(took) * speed))},
	})
	over := 0
	for _, n := range meter.OverLimit {
		over += n
	}
	p.out.labeled("took", fmt.Sprintf("%s here, at speed %g", short(took), speed))
	p.out.labeled("meter", fmt.Sprintf("%s made, at most %d live per pair, %s s billed, %s over a limit, %s never fetched",
		count(meter.Creates, "task"), meter.MaxLivePerPair, trimmed(meter.BilledSeconds), count(over, "call"), count(meter.NeverFetched, "result")))
	if u := meter.Uploads; u.Files > 0 {
		p.out.labeled("uploads", fmt.Sprintf("%s of %s, %.1f MB", count(u.Files, "upload"), count(len(u.Contents), "file"), float64(u.Bytes)/1e6))
	}
}

// trimmed writes a decimal without trailing zeros.
func trimmed(text string) string {
	d, err := decimal.NewFromString(text)
	if err != nil {
		return text
	}
	return d.String()
}

// paidTwice is what the emulator's meter says about the one promise that matters
// most. Pairs that the manifest lists twice, by content, are wanted twice.
func paidTwice(plan *pipeline.Plan, meter emulator.Meter) error {
	wanted, most := map[string]int{}, 1
	for job, err := range plan.Jobs() {
		if err != nil {
			return err
		}
		wanted[job.ContentKey]++
		most = max(most, wanted[job.ContentKey])
	}
	if meter.MaxLivePerPair <= most {
		return nil
	}
	return fmt.Errorf("the emulator counts %d live tasks for one pair: this is a bug, please report it with the journal", meter.MaxLivePerPair)
}
