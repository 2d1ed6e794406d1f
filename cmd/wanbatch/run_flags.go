package main

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

// runFlags are the flags that decide about a run's money. estimate takes the same, so
// that what it tells and saves is what a run would do.
type runFlags struct {
	folderFlags
	maxCost       string
	prices        string
	endpoint      string
	limit         int
	limited       func() bool // --limit was given
	only          []string
	chosen        func() bool // --only was given
	retryFailed   bool
	acceptChanges bool
	reuse         []string
}

func (o *runFlags) flags(cmd *cobra.Command) {
	o.folderFlags.flags(cmd)
	pricesFlag(cmd, &o.prices)
	f := cmd.Flags()
	f.StringVar(&o.maxCost, "max-cost", "", "never let the batch cost more than `amount`, over its whole life; it stands until another is given")
	o.limited = func() bool { return f.Changed("limit") }
	f.IntVar(&o.limit, "limit", 0, "submit only the first `n` jobs: try one first")
	o.chosen = func() bool { return f.Changed("only") }
	f.StringSliceVar(&o.only, "only", nil, "submit only the jobs with these `ids`")
	f.BoolVar(&o.retryFailed, "retry-failed", false, "submit failed and lost jobs again")
	f.BoolVar(&o.acceptChanges, "accept-changes", false, "pay again for jobs whose content changed")
	f.StringArrayVar(&o.reuse, "reuse", nil, "take what another batch has done already, given its `folder`, report or journal; may be repeated")
	f.StringVar(&o.endpoint, "endpoint", "", "send calls to `url` instead of the region's own host")
}

func pricesFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "prices", "", "take the prices from `file` instead of the built-in table; see estimate --help")
}

func (o *runFlags) check() error {
	if o.limited() && o.limit < 1 { // 0 may be a variable that nobody set, and would mean all
		return usagef("--limit is a number of jobs from 1, not %d", o.limit)
	}
	if o.chosen() && len(o.only) == 0 { // likewise
		return usagef("--only names no job; leave it out for all of them")
	}
	return nil
}

// sameBatch are the flags without which a command means another batch, or pays
// somebody else, or other prices.
func (o *runFlags) sameBatch() []string {
	flags := o.folderFlags.flagged()
	for _, f := range [][2]string{{"--prices", o.prices}, {"--endpoint", o.endpoint}} {
		if f[1] != "" {
			flags = append(flags, f[:]...)
		}
	}
	return flags
}

// sameAccount is sameBatch for a batch of another name.
func (o *runFlags) sameAccount() []string {
	other := *o
	other.name = ""
	return other.sameBatch()
}

// flagged are the terms as flags that must be given again.
func (o *runFlags) flagged() []string {
	flags := o.sameBatch()
	add := func(name, value string) {
		if value != "" {
			flags = append(flags, "--"+name, value)
		}
	}
	add("max-cost", o.maxCost)
	if o.limit > 0 {
		add("limit", strconv.Itoa(o.limit))
	}
	add("only", strings.Join(o.only, ","))
	for _, source := range o.reuse {
		add("reuse", source)
	}
	if o.retryFailed {
		flags = append(flags, "--retry-failed")
	}
	if o.acceptChanges {
		flags = append(flags, "--accept-changes")
	}
	return flags
}

// pricesFrom reads the file of --prices, nil if there is none.
func pricesFrom(file string) (*pipeline.Prices, error) {
	if file == "" {
		return nil, nil
	}
	return pipeline.ReadPricesFile(file)
}

// planUnder plans a manifest, as a run under these terms would.
func (p *program) planUnder(ctx context.Context, arg string, o runFlags) (*pipeline.Plan, pipeline.Config, error) {
	prices, err := pricesFrom(o.prices)
	if err != nil {
		return nil, pipeline.Config{}, err
	}
	plan, err := p.plan(ctx, arg, o.folderFlags, prices)
	if err != nil {
		return nil, pipeline.Config{}, err
	}
	limit, err := parseMoney(o.maxCost, plan.Currency)
	if err != nil {
		return nil, pipeline.Config{}, err
	}
	base, err := p.endpoint(o.endpoint, plan.Manifest.Lane)
	if err != nil {
		return nil, pipeline.Config{}, err
	}
	cfg := pipeline.Config{
		Output: o.output, Endpoint: base, Proxy: http.ProxyFromEnvironment, StoreKeys: p.storeKeys(), MaxCost: limit, Limit: o.limit, Only: o.only,
		RetryFailed: o.retryFailed, AcceptChanges: o.acceptChanges, Reuse: o.reuse, Version: currentVersion().Version,
	}
	bound, err := plan.Under(cfg)
	if err != nil {
		return nil, cfg, err
	}
	known := plan.Warnings()
	for _, sentence := range bound.Warnings() {
		if !slices.Contains(known, sentence) {
			p.err.line("%s: warning: %s", arg, sentence)
		}
	}
	return bound, cfg, nil
}
