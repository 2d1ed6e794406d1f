package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
)

// Cancel cancels the tasks of a batch folder that still wait at the provider. It
// creates nothing, spends nothing, fetches nothing, and never touches a task that
// runs: such a task, and one whose cancel comes too late, is left to the next
// [Run], as is a create in doubt. It returns when each waiting task is canceled,
// or known to be past that.
//
// The job of a canceled task is failed with code Canceled, free of charge, and
// comes back with Config.RetryFailed; jobs that were never submitted stay
// pending. The provider does not charge a canceled task (inferred: it bills
// seconds of output), so its hold is freed.
//
// Region, model, limits and endpoint are those of the folder's newest run, and
// the key must be the same, so that one customer's batch is not looked for on
// another's account. Of cfg, what says how to submit has no effect; Output
// defaults to the folder that the batch folder is in. Locks, journal, report and
// errors are those of [Run]; [ErrBudget] does not occur.
func Cancel(ctx context.Context, folder string, cfg Config) (*Report, error) {
	if cfg.Output == "" {
		cfg.Output = filepath.Dir(filepath.Clean(folder))
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	p, err := planFromJournal(folder)
	if err != nil {
		return nil, err
	}
	target, err := resolveEndpoint(p, cfg)
	if err != nil {
		return nil, err
	}
	core := batch.New(batch.Settings{}, []batch.LaneSettings{laneSettings(p)})
	core.CancelQueued()
	return withFolder(ctx, folder, core, false, cfg, cancelOn(ctx, p, cfg, target))
}

// cancelOn does with an open folder what its core was told to.
func cancelOn(ctx context.Context, p *Plan, cfg Config, target endpoint) func(context.Context, *folder) error {
	return func(untilStop context.Context, f *folder) error {
		if err := sameKey(f.core, cfg.APIKey); err != nil {
			return err
		}
		return runOnLane(ctx, untilStop, f, p, cfg, target, nil)
	}
}

// sameKey refuses a key with which none of the tasks that may wait was made, and which
// the newest run did not use: that may have been told of them. No key at all is for
// whoever needs one to refuse.
func sameKey(core *batch.Batch, given Key) error {
	key := dashscope.NewSecret(string(given))
	if last := core.LastRun(); key.IsZero() || last != nil && last.Key == key.Fingerprint() {
		return nil
	}
	other := ""
	for job := range core.Jobs() {
		if job.State != batch.StateQueued {
			continue
		}
		if other = job.Attempts[len(job.Attempts)-1].Key; other == key.Fingerprint() {
			return nil
		}
	}
	if other == "" {
		return nil // there is nothing to cancel
	}
	return fmt.Errorf("%w: the tasks of this batch were made with key %s; this is key %s, give that one",
		ErrUsage, other, key.Fingerprint())
}

// planFromJournal is what the journal knows of the plan that its newest run had: all
// but the jobs, which are not needed to follow or cancel a task.
func planFromJournal(path string) (*Plan, error) {
	core := batch.New(batch.Settings{}, nil)
	if _, err := readFolder(path, core); err != nil {
		return nil, err
	}
	begin, run := core.Begin(), core.LastRun()
	if begin == nil {
		return nil, plainUsagef("the journal of %s holds no batch yet; there is nothing to cancel", path)
	}
	m := NewManifest()
	m.Name, m.Model, m.Lane.Region = begin.Batch, begin.Model, begin.Region
	p := &Plan{Currency: begin.Currency}
	if run != nil {
		p.prices.Edition = editionOf(run)
		m.SHA256, m.Lane.Endpoint, m.Budget.MaxCost = run.ManifestSHA256, run.Endpoint, run.Cap
		m.Dir = filepath.Join(path, filepath.FromSlash(run.Settings[inputsSetting]))
		if err := m.restore(run.Settings); err != nil {
			return nil, fmt.Errorf("batch %s: settings of run %s: %w", path, run.ID, err)
		}
	}
	p.Manifest = *m
	return p, nil
}
