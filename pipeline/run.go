package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/journal"
	"github.com/wanbatch/wanbatch/internal/pricing"
	"github.com/wanbatch/wanbatch/internal/store"
)

// Run does what the plan says, or continues doing it: it is the only function
// that spends money, and resuming is calling it again. It returns when every job
// is at rest, or when the budget, the account, the disk or the caller stops it.
//
// The batch folder (Config.Output joined with the manifest's name) is made if
// there is none, and is locked meanwhile, as is the lane. Every create is
// preceded by a durable intent and followed by a durable outcome, so Run may be
// killed at any point and run again.
//
// The report is written to the folder and returned, also with an error, as long
// as the journal could be read. Jobs that failed, were lost or are quarantined
// are no error: the report tells. Errors to test for are [ErrUsage],
// [ErrLocked], [ErrBudget], [ErrAccount] and [ErrInterrupted].
func Run(ctx context.Context, p *Plan, cfg Config) (*Report, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	target, err := resolveEndpoint(p, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.APIKey != "" { // none is needed to find that everything is at rest
		if err := dashscope.NewSecret(string(cfg.APIKey)).Check(); err != nil {
			return nil, plainUsagef("%v", err)
		}
	}
	if p, err = p.boundTo(cfg); err != nil {
		return nil, err
	}
	core := batch.New(batchSettings(p, cfg), []batch.LaneSettings{laneSettings(p)})
	// In order: folder locked and journal replayed, plan recorded, finished work of
	// others reused, lane locked, bucket claimed, batch driven, report written.
	return withFolder(ctx, filepath.Join(cfg.Output, p.Manifest.Name), core, true, cfg, func(untilStop context.Context, f *folder) error {
		if err := recordPlan(f, p, cfg); err != nil {
			return err
		}
		if last := core.LastRun(); last != nil && !cfg.cap(p).Valid {
			cfg.MaxCost = last.Cap // a cap is for the batch's life: it stands until another is given
			core.Limit(cfg.MaxCost)
		}
		noNewTasks := reuse(untilStop, f, p, cfg)
		if noNewTasks != nil && (!hasLiveTasks(core) || untilStop.Err() != nil || errors.Is(noNewTasks, journal.ErrDead)) {
			return noNewTasks
		}
		return runOnLane(ctx, untilStop, f, p, cfg, target, noNewTasks)
	})
}

// withFolder takes a batch folder, does something in it, and writes the report.
// The context that do is given ends when the caller wants to stop: it bounds
// the waiting for locks.
func withFolder(ctx context.Context, path string, core *batch.Batch, create bool, cfg Config,
	do func(untilStop context.Context, f *folder) error,
) (*Report, error) {
	untilStop, stopLocking := untilStopped(ctx, cfg.Stop)
	defer stopLocking()
	f, err := openFolder(untilStop, path, core, create, cfg)
	if err != nil {
		return nil, err
	}
	done := do(untilStop, f)
	var report *Report
	if !errors.Is(done, journal.ErrDead) {
		report, err = writeReports(ctx, f)
		done = errors.Join(done, err)
	}
	return report, errors.Join(done, f.close())
}

// runOnLane drives the batch of an open folder on its lane, as far as its core means
// to go: an ordinary run and one that cancels differ in nothing else. noNewTasks, if not
// nil, is why nothing new may be paid for.
func runOnLane(ctx, untilStop context.Context, f *folder, p *Plan, cfg Config, target endpoint, noNewTasks error) error {
	var retries []batch.Event
	if cfg.RetryFailed {
		retries = f.core.RetryFailed(coreTime(f.core, cfg.testHooks.wall()))
	}
	if v := f.core.View(); v.Left-v.Unselected+len(retries) == 0 {
		return noNewTasks // everything is at rest: no key is needed, nothing is asked
	}
	w, err := newWorkers(p, f, cfg, target)
	if err != nil {
		return err
	}
	defer w.close()
	if err := sameLane(f, target, w.key); err != nil {
		return err
	}
	lane, err := holdLane(untilStop, cfg, target, w, f)
	if err != nil {
		return err
	}
	err = claimBucketAndDrive(ctx, untilStop, f, w, cfg, runRecord(p, cfg, target, w.key), retries, noNewTasks)
	return errors.Join(err, lane.release())
}

// claimBucketAndDrive prepares the bucket that videos go to and drives the batch. If
// that bucket cannot be used, or noNewTasks says why else, nothing is created: what is
// live already is followed all the same.
func claimBucketAndDrive(ctx, untilStop context.Context, f *folder, w *workers, cfg Config, open batch.Event, retries []batch.Event, noNewTasks error) error {
	if noNewTasks == nil && w.bucket != nil {
		noNewTasks = storeError(untilStop, w.bucket.prepare(untilStop, f.core, cfg, open.Run.Settings))
	}
	if noNewTasks != nil {
		noNewTasks = fmt.Errorf("%w; this run creates no new tasks", noNewTasks)
		if !hasLiveTasks(f.core) {
			return noNewTasks
		}
		f.core.Select(func(string) bool { return false })
		retries = nil
	}
	err := f.record(retries...)
	if err == nil {
		err = drive(ctx, f, w, cfg, open)
	}
	alreadyReported := errors.Is(noNewTasks, store.ErrSetup) && errors.Is(err, ErrAccount) && f.core.View().StopCode == batch.CodeStoreRefuses
	if alreadyReported && !errors.Is(err, journal.ErrDead) {
		return noNewTasks // a video was told the same by the bucket
	}
	return errors.Join(err, noNewTasks)
}

// recordPlan brings the journal up to date with the plan: what is new is planned,
// what left the manifest is removed, what changed is refused or accepted.
func recordPlan(f *folder, p *Plan, cfg Config) error {
	events, changed, err := planEvents(f.core, p, cfg, f.path)
	if err != nil {
		return err
	}
	if err := refuseChanged(changed); err != nil {
		return err
	}
	if err := p.refuseForeign(f.disk, f.core, events, cfg, f.path); err != nil {
		return err
	}
	if err := f.record(events...); err != nil {
		return err
	}
	f.removeAllLeftovers()
	return selectJobs(f.core, p, cfg)
}

func beginRecord(p *Plan, cfg Config) (*batch.Begin, error) {
	m := p.Manifest
	currency, err := pricing.Currency(m.Lane.Region)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	table := p.priceTable()
	return &batch.Begin{Batch: m.Name, Model: m.Model, Region: m.Lane.Region, Currency: currency,
		PriceDate: table.Date, PriceSource: table.Source, PriceSHA256: table.SHA256, Version: cfg.Version}, nil
}

// planEvents compares the plan with the state of the batch in a folder, and returns
// the events that bring that up to date. Same id and same key: what is done stays
// done. Same id, other key, and the change not accepted: finished work would be paid
// for again, so those jobs are returned as changed, with no event.
func planEvents(core *batch.Batch, p *Plan, cfg Config, folder string) (events []batch.Event, changed []batch.Job, err error) {
	now := coreTime(core, cfg.testHooks.wall())
	begin, err := beginRecord(p, cfg)
	if err != nil {
		return nil, nil, err
	}
	switch was := core.Begin(); {
	case was == nil:
		events = append(events, batch.Event{Kind: batch.Begun, At: now, Begin: begin})
	case was.Batch != begin.Batch:
		return nil, nil, fmt.Errorf("%w: folder %s holds the journal of batch %s; to continue that batch, give the folder and the manifest its name again; for a new batch give another --name or --output",
			ErrUsage, folder, was.Batch)
	case was.Model != begin.Model || was.Region != begin.Region:
		return nil, nil, fmt.Errorf("%w: folder %s holds a batch of %s in %s, not of %s in %s; give this manifest another name",
			ErrUsage, folder, was.Model, was.Region, begin.Model, begin.Region)
	}
	var planned []batch.Event
	inPlan := make(map[string]bool, p.Len())
	for job, err := range p.Jobs() {
		if err != nil {
			return nil, nil, err
		}
		inPlan[job.ID] = true
		plan := batchPlan(job)
		was, known := core.Job(job.ID)
		switch {
		case !known || was.Removed && was.State == batch.StatePending:
		case was.Plan.Key == plan.Key:
			spoiled := was.State == batch.StateFailed && was.Spoil != nil // its files are as planned again
			if !spoiled && (samePaidWork(was.Plan, *plan) || was.State != batch.StatePending && !repriced(was, plan, cfg)) {
				continue
			}
			if mayHaveTask(was.State) {
				old := was.Plan
				old.UnitPrice, old.Hold = plan.UnitPrice, plan.Hold
				plan = &old
			}
		case !cfg.AcceptChanges:
			changed = append(changed, was)
			continue
		case was.State != batch.StatePending && (!was.State.AtRest() || was.State == batch.StateQuarantined):
			return nil, nil, fmt.Errorf("%w: job %s changed while its task is %s; run the old manifest to its end or resolve it first",
				ErrUsage, job.ID, was.State)
		}
		planned = append(planned, batch.Event{Kind: batch.Planned, At: now, Job: job.ID, Plan: plan})
	}
	if err := sharedFile(core, planned); err != nil {
		return nil, nil, err
	}
	events = append(events, planned...)
	for job := range core.Jobs() {
		if !inPlan[job.ID] && job.State == batch.StatePending && !job.Removed {
			events = append(events, batch.Event{Kind: batch.Removed, At: now, Job: job.ID})
		}
	}
	return events, changed, nil
}

// refuseChanged is the error for changed jobs, nil without any.
func refuseChanged(changed []batch.Job) error {
	if len(changed) == 0 {
		return nil
	}
	const most = 10
	var names []string
	for _, job := range changed[:min(most, len(changed))] {
		names = append(names, fmt.Sprintf("%s (%s)", job.ID, job.State))
	}
	more := ""
	if n := len(changed) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return plainUsagef("changed since they were run: %s%s; --accept-changes pays for them again, another --name starts another batch",
		strings.Join(names, ", "), more)
}

// sharedFile refuses a plan that would write over the file of another job of the
// batch: the plan alone cannot know what an earlier manifest had made there.
func sharedFile(core *batch.Batch, events []batch.Event) error {
	planned := make(map[string]string, len(events))
	for _, e := range events {
		planned[e.Job] = e.Plan.File
	}
	owner := make(map[string]string)
	for job := range core.Jobs() {
		if file, again := planned[job.ID]; again && file != job.Plan.File {
			continue // it moves
		}
		if job.State != batch.StatePending || len(job.Attempts) > 0 {
			owner[strings.ToLower(job.Plan.File)] = job.ID
		}
	}
	for _, e := range events {
		if other, taken := owner[strings.ToLower(e.Plan.File)]; taken && other != e.Job {
			return fmt.Errorf("%w: job %s would be written to %s, which belongs to job %s of this batch; change output.file, or give the manifest another name",
				ErrUsage, e.Job, e.Plan.File, other)
		}
	}
	return nil
}

// repriced reports whether a job that may be submitted again must be planned anew,
// because prices changed meanwhile: its next hold is then by today's. What was
// submitted before stays billed as it was.
func repriced(was batch.Job, now *batch.Plan, cfg Config) bool {
	again := was.State == batch.StateFailed || was.State == batch.StateLost && cfg.RetryFailed
	return (again || mayHaveTask(was.State)) && !(was.Plan.UnitPrice.Equal(now.UnitPrice) && was.Plan.Hold.Equal(now.Hold))
}

// mayHaveTask reports whether a task of the job may exist that has not ended: it keeps
// its content and its price, and may fail and be submitted again.
func mayHaveTask(s batch.State) bool {
	switch s {
	case batch.StateSubmitting, batch.StateInDoubt, batch.StateQueued, batch.StateRunning:
		return true
	}
	return false
}

func samePaidWork(a, b batch.Plan) bool {
	return a.Mode == b.Mode && a.Image == b.Image && a.Video == b.Video && a.File == b.File &&
		a.ImageSHA256 == b.ImageSHA256 && a.VideoSHA256 == b.VideoSHA256 && maps.Equal(a.Labels, b.Labels) && a.UnitPrice.Equal(b.UnitPrice) && a.Hold.Equal(b.Hold)
}

func batchPlan(j Job) *batch.Plan {
	return &batch.Plan{Key: j.ContentKey, Mode: string(j.Mode), Image: j.ImageName, Video: j.VideoName, Labels: j.Labels,
		File: j.File, Length: j.Length, UnitPrice: j.UnitPrice, Hold: j.Hold,
		ImageSHA256: j.ImageSHA256, VideoSHA256: j.VideoSHA256}
}

// selectJobs tells the core which jobs this run may submit.
func selectJobs(core *batch.Batch, p *Plan, cfg Config) error {
	wanted := make(map[string]bool)
	n := 0
	for job, err := range p.Jobs() {
		if err != nil {
			return err
		}
		if n++; cfg.Limit > 0 && n > cfg.Limit {
			break
		}
		if len(cfg.Only) == 0 || slices.Contains(cfg.Only, job.ID) {
			wanted[job.ID] = true
		}
	}
	for _, id := range cfg.Only {
		if !wanted[id] {
			return plainUsagef("--only %s: there is no such job in this run", id)
		}
	}
	core.Select(func(id string) bool { return wanted[id] })
	return nil
}

// sameLane refuses to settle a doubt, or to follow tasks, where they cannot be
// seen: with another key a list would prove that nothing was created.
func sameLane(f *folder, target endpoint, key dashscope.Secret) error {
	last, v := f.core.LastRun(), f.core.View()
	if last == nil || v.Live+v.Jobs[batch.StateFetching] == 0 && len(v.InDoubt) == 0 {
		return nil
	}
	if u, err := url.Parse(last.Endpoint); err != nil || originOf(u) != target.origin {
		return fmt.Errorf("%w: the batch has unfinished tasks at %s, not at %s; run it there", ErrUsage, last.Endpoint, target.origin)
	}
	if len(v.InDoubt) > 0 && last.Key != key.Fingerprint() {
		return fmt.Errorf("%w: the create of job %s is in doubt under key %s, and only that key's lists can settle it; this is key %s; if the old key is gone, decide %s with %s, or --resubmit (may pay twice), or --abandon",
			ErrUsage, v.InDoubt[0], last.Key, key.Fingerprint(), whenByHand, resolveLine(f.path, v.InDoubt[0], "--adopt", "TASK"))
	}
	return nil
}

// runRecord is the record that starts a run, with every setting in force.
func runRecord(p *Plan, cfg Config, target endpoint, key dashscope.Secret) batch.Event {
	settings := map[string]string{"fetches": strconv.Itoa(cfg.Fetches)}
	for _, one := range p.Manifest.settings() {
		settings[one.name] = one.text()
	}
	settings[priceDateKey], settings[priceSourceKey], settings[priceHashKey] = p.prices.Date, p.prices.Source, p.prices.Hash
	if way := inputsFolder(&p.Manifest, filepath.Join(cfg.Output, p.Manifest.Name)); way != "" {
		settings[inputsSetting] = way
	}
	if cfg.Speed != 1 {
		settings["speed"] = perSecondText(cfg.Speed)
	}
	return batch.Event{Kind: batch.Opened, Run: &batch.Run{ID: rand.Text(), ManifestSHA256: p.Manifest.SHA256,
		Endpoint: target.origin, Key: key.Fingerprint(), Cap: cfg.cap(p), Exclusive: batch.Exclusive(p.Manifest.Lane.Exclusive), Tries: p.Manifest.Limits.Tries, Settings: settings}}
}

func batchSettings(p *Plan, cfg Config) batch.Settings {
	return batch.Settings{Cap: cfg.cap(p), Tries: p.Manifest.Limits.Tries, Fetches: cfg.fetchSlots(&p.Manifest), Backlog: 2 * cfg.Fetches,
		Deadline: cfg.Deadline.UTC(), Store: p.Manifest.inputBucket()}
}

// laneSettings names the lane by its region: today a batch has one.
func laneSettings(p *Plan) batch.LaneSettings {
	m, l := p.Manifest, p.Manifest.Limits
	return batch.LaneSettings{
		Name: m.Lane.Region, Model: m.Model, Exclusive: batch.Exclusive(m.Lane.Exclusive),
		Running: l.Running, Ahead: l.QueueAhead, CreateGap: time.Duration(float64(time.Second) / l.CreatePerSecond),
		PollMin: l.PollMin, PollMax: l.PollMax, Settle: l.Settle, TaskLife: l.TaskLife, BurstWait: l.BurstWait,
	}
}

// untilStopped is a context that also ends when stop is closed (never, if it is
// nil). The returned function ends it and waits for its goroutine.
func untilStopped(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(); <-done }
}
