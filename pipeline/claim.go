package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/store"
)

// This file keeps two batches of one name from writing over each other's videos in a
// bucket: begun from another output folder, on another machine, or anew after the
// folder was deleted. Each claims its folder in the bucket by a file that names the
// batch by when it began, which is durable in its journal before. Nothing is created
// before the claim has been read back; a failed or refused read is never taken as "no
// claim".
//
// A claim may have been removed, and the files of others never had one. So each video
// says in its metadata whose it is, and only a batch's own are replaced: some are looked
// for before a folder is claimed, as long as nothing is paid, and each before its put.
//
// A crash before the claim leaves nothing, one after it a claim that the next run
// knows as its own. Of two batches that claim at once the store lets one win; where
// it cannot, as it knows no conditions, the last one does, so the claim is read again
// before the first video of a run is put, minutes after the other's was.

// claimName is the file that claims the folder which it lies in: a name that nobody
// uses for something else.
const claimName = "wanbatch.txt"

// What stands in a claim, at the beginning of a line. Other lines are for people.
const (
	claimBatch = "batch: "
	claimBegun = "begun: "
	claimBytes = 4 << 10 // as much of a claim is read
)

// claimText is the claim of a batch.
func claimText(name string, begun time.Time) string {
	return "The videos in this folder were put here by wanbatch.\n\n" +
		claimBatch + name + "\n" +
		claimBegun + begun.UTC().Format(time.RFC3339Nano) + "\n\n" +
		"This file keeps other batches of that name from writing over them.\n"
}

// claimOf reads when the batch of a claim began; zero if it is none of that batch.
func claimOf(text, name string) (begun time.Time) {
	named := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if value, ok := strings.CutPrefix(line, claimBatch); ok {
			named = value == name
		}
		if value, ok := strings.CutPrefix(line, claimBegun); ok {
			begun, _ = time.Parse(time.RFC3339Nano, value) // zero if it is no time
		}
	}
	if !named {
		return time.Time{}
	}
	return begun
}

// A claimedError says that a folder in a bucket is another batch's.
type claimedError struct {
	folder string    // such as oss://bucket/prefix/batch
	begun  time.Time // of the batch that claims it; zero if that is not known
	file   string    // that lies there and is not this batch's; "": the claim
}

func (e *claimedError) Error() string {
	if e.file != "" {
		return fmt.Sprintf("%s/%s already exists and was not uploaded by this batch%s", e.folder, e.file, claimedMaybe)
	}
	if e.begun.IsZero() {
		return fmt.Sprintf("%s has a %s that is not of this batch%s", e.folder, claimName, claimedMaybe)
	}
	return e.folder + claimedSince + e.begun.UTC().Format(time.RFC3339)
}

// Words that only a claimedError has.
const (
	claimedMaybe = ": another batch may lie there"
	claimedSince = " holds the videos of another batch of this name, begun "
)

// claimedByText reports whether what was recorded of an error was a claimedError.
func claimedByText(said string) bool {
	return strings.Contains(said, claimedMaybe) || strings.Contains(said, claimedSince)
}

// Is makes it one of the things that a person must see to.
func (e *claimedError) Is(target error) bool { return target == store.ErrSetup }

const claimHint = "give this batch another name or output.store another prefix, or continue that batch from its own folder; " +
	"only if the files there are no longer needed, delete them, with " + claimName

// claim makes the batch's folder in the bucket its own, if it is nobody's. Errors are
// those of the store, or a [*claimedError].
func (k *resultBucket) claim(ctx context.Context) error {
	key := k.batch + "/" + claimName
	text, err := k.store.Get(ctx, key, claimBytes)
	if errors.Is(err, store.ErrNotFound) { // refused is not free: where no condition is known, the put would replace it
		if err := k.checkVacant(ctx); err != nil {
			return err
		}
		err = k.store.PutNew(ctx, key, []byte(claimText(k.batch, k.begun)))
		if err != nil && !errors.Is(err, store.ErrExists) {
			return err
		}
		text, err = k.store.Get(ctx, key, claimBytes)
	}
	if err != nil {
		return err
	}
	return k.judge(text)
}

// judge refuses a claim that is another batch's.
func (k *resultBucket) judge(text []byte) error {
	if begun := claimOf(string(text), k.batch); begun.IsZero() || !begun.Equal(k.begun) {
		return &claimedError{folder: k.folder(), begun: begun}
	}
	return nil
}

// folder is where the batch's videos go, for people.
func (k *resultBucket) folder() string { return k.store.Location().Name() + "/" + k.batch }

// owner is whose the batch's videos are, in the folder of its name.
func (k *resultBucket) owner() string { return k.begun.UTC().Format(time.RFC3339Nano) }

// checkVacant refuses a folder in which another's file lies where one of the next videos
// goes.
func (k *resultBucket) checkVacant(ctx context.Context) error {
	for _, file := range k.next {
		switch held, err := k.store.Stat(ctx, k.batch+"/"+file); {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return err
		case held.Owner != k.owner():
			return &claimedError{folder: k.folder(), file: file}
		}
	}
	return nil
}

// filesChecked is for how many videos a folder is looked at before it is claimed.
const filesChecked = 20

// paidNext names the first videos that are paid for next. Those that are paid already
// may have been put, by a version that did not say whose they are.
func paidNext(core *batch.Batch) (files []string) {
	for job := range core.Jobs() {
		if len(files) == filesChecked {
			break
		}
		if job.State == batch.StatePending && !job.Removed && !job.Skipped {
			files = append(files, job.Plan.File)
		}
	}
	return files
}

// claimPauses is how often, and after what pauses, a bucket is asked that may be back
// soon.
var claimPauses = []time.Duration{time.Second, 3 * time.Second, 9 * time.Second, 27 * time.Second}

// claimWithRetries claims again after each pause for as long as the error passes.
func (k *resultBucket) claimWithRetries(ctx context.Context, cfg Config, pauses []time.Duration) error {
	for {
		err := k.claim(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrSetup) || len(pauses) == 0 {
			return err
		}
		cfg.OnEvent(Event{Time: time.Now().UTC(), Kind: EventWaiting, Message: fmt.Sprintf("output.store: %v; retrying in %v", err, pauses[0])})
		if sleep(ctx, pauses[0]) != nil {
			return err
		}
		pauses = pauses[1:]
	}
}

// claimSetting is the setting of a run that says which folder in a bucket is known to
// be its batch's.
const claimSetting = "claim"

// prepare finds out whether videos may be put where they are to go, and notes it in
// the settings of the run. A bucket that is only down for now is waited for later if
// an earlier run has claimed it. Where something was paid already nothing may stand
// before its download.
func (k *resultBucket) prepare(ctx context.Context, core *batch.Batch, cfg Config, settings map[string]string) error {
	at := k.store.Address(k.batch + "/" + claimName)
	last := core.LastRun()
	known := last != nil && last.Settings[claimSetting] == at
	pauses := claimPauses
	if known || hasLiveTasks(core) {
		pauses = nil
	}
	err := k.claimWithRetries(ctx, cfg, pauses)
	if err == nil || known && ctx.Err() == nil && !errors.Is(err, store.ErrSetup) {
		settings[claimSetting] = at
		return nil
	}
	return err
}

// hasLiveTasks reports whether something was paid, or may have been, that is not at rest.
func hasLiveTasks(core *batch.Batch) bool {
	v := core.View()
	return v.Live+v.Jobs[batch.StateFetching]+len(v.InDoubt) > 0
}

// confirm makes sure, once in the life of a result bucket, that the folder is still the
// batch's.
func (k *resultBucket) confirm(ctx context.Context) error {
	if k.confirmed.Load() {
		return nil
	}
	err := k.claim(ctx)
	k.confirmed.Store(err == nil)
	return err
}
