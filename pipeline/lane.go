package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// laneHold is the lane as this run holds it: no other run on this account,
// endpoint and model creates meanwhile. A lane that is left with an unsettled
// intent stays reserved for its batch: another batch would otherwise take that
// task for a stranger's, or worse, for its own.
//
// A batch folder may be moved, or lie on a disk that is not mounted, so its absence
// does not tell that its doubt is gone. The lock itself therefore tells, before the
// intent is durable and until its outcome is, how long the provider can tell of
// that create's task; and it names the batch by when it began, not only by where.
type laneHold struct {
	lock   *journal.Lock
	core   *batch.Batch
	owner  journal.Owner
	life   time.Duration // of a task
	marked bool
}

// holdLane takes the lane for the batch in folder.
func holdLane(ctx context.Context, cfg Config, e endpoint, w *workers, f *folder) (*laneHold, error) {
	path := lanePath(cfg, e, w.key, f.core.Begin().Model)
	if err := disk.MakeFolder(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of lane locks: %w", err)
	}
	h := &laneHold{core: f.core, owner: thisProcess(f.path), life: w.plan.Manifest.Limits.TaskLife}
	h.owner.Begun = f.begun
	if len(f.core.View().InDoubt) > 0 {
		h.marked = true
		h.owner.Unsettled = h.until()
	}
	what := "lane " + e.origin + " with key " + w.key.Fingerprint()
	var err error
	h.lock, err = acquire(ctx, cfg, path, h.owner, what, func(last journal.Owner) error {
		return reserved(last, h.owner, path, func() (time.Time, error) { return w.earlierClock(ctx) })
	})
	if err != nil {
		return nil, err
	}
	if err := h.handover(ctx, cfg, w.plan.Manifest); err != nil {
		return nil, errors.Join(err, h.lock.Update(h.lock.Previous()), h.lock.Release(false)) // the next one waits, too
	}
	f.lane = h
	return h, nil
}

// handover waits until lists show what another batch made on an exclusive lane before
// it freed that. A task which only later lists show could be taken for our own.
func (h *laneHold) handover(ctx context.Context, cfg Config, m Manifest) error {
	last, settle := h.lock.Previous(), time.Duration(float64(m.Limits.Settle)/cfg.Speed)
	if last.Batch != "" {
		last.Freed = time.Now() // it was killed, nobody knows when
	}
	left := min(time.Until(last.Freed.Add(settle)), settle) // the clock may have been set back since
	if left <= 0 || last.Begun.Equal(h.owner.Begun) || m.Lane.Exclusive == ExclusiveNo {
		return nil
	}
	cfg.OnEvent(Event{Time: time.Now().UTC(), Kind: EventWaiting, Message: fmt.Sprintf(
		"another batch freed the lane just now; waiting %v (limits.settle) until lists surely show its tasks", left.Round(time.Second))})
	if err := sleep(ctx, left); err != nil {
		return fmt.Errorf("%w while waiting for the lane; nothing was submitted", ErrInterrupted)
	}
	return nil
}

// lanePath is the lock of a lane.
func lanePath(cfg Config, e endpoint, key dashscope.Secret, model string) string {
	id := sha256.Sum256([]byte(e.origin + "\n" + key.Fingerprint() + "\n" + model))
	return filepath.Join(cfg.State, "lanes", hex.EncodeToString(id[:8])+".lock")
}

// reserved refuses a lane whose last holder left a create in doubt, unless we are
// that batch. path is the lock; clock tells the time where that decides.
func reserved(last, us journal.Owner, path string, clock func() (time.Time, error)) error {
	if last.Batch == "" || last.Batch == us.Batch && last.Begun.Equal(us.Begun) {
		return nil
	}
	core := batch.New(batch.Settings{}, nil)
	var begun time.Time
	_, err := readJournal(last.Batch, notingBegin(&begun, replayInto(core)))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !last.Begun.IsZero() && !begun.Equal(last.Begun): // an older program did not say
		return reservedByAbsent(last, us, path, clock)
	case err != nil:
		return fmt.Errorf("%w: the lane's last batch cannot be read: %w", ErrLocked, err)
	case len(core.View().InDoubt) == 0 || sameFolder(last.Batch, us.Batch):
		return nil
	}
	return fmt.Errorf("%w: the lane is reserved for batch %s, whose job %s has a create in doubt; run that batch first",
		ErrLocked, last.Batch, core.View().InDoubt[0])
}

// reservedByAbsent judges a lane whose last batch is not where it was: it was moved,
// perhaps to where we are, or its disk is away, or it was deleted.
func reservedByAbsent(last, us journal.Owner, path string, clock func() (time.Time, error)) error {
	if last.Begun.Equal(us.Begun) || last.Unsettled.IsZero() {
		return nil
	}
	now, err := clock()
	if err != nil {
		return fmt.Errorf("see whether the lane is still reserved for batch %s, by the provider's clock: %w", last.Batch, err)
	}
	if !now.Before(last.Unsettled) {
		return nil
	}
	return fmt.Errorf("%w: the lane is reserved: batch %s had a create in doubt and is not there any more; if it was moved, "+
		"run it where it is now; if its disk is not mounted%s, mount it; if it was deleted, wait until %s, or delete %s: "+
		"a task of that create may then be taken for another job's",
		ErrLocked, last.Batch, onHost(last, us), last.Unsettled.UTC().Format(time.RFC3339), path)
}

// onHost names the last holder's machine if it is not ours.
func onHost(last, us journal.Owner) string {
	if last.Host == us.Host {
		return ""
	}
	return " here (it ran on " + last.Host + ")"
}

func sameFolder(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// earlierClock is the earlier of our clock and the provider's, if that tells one: a
// clock of ours that runs ahead must not end a reservation.
func (w *workers) earlierClock(ctx context.Context) (time.Time, error) {
	now := time.Now()
	if err := w.queries.Wait(ctx); err != nil {
		return now, err
	}
	theirs, err := w.client.Probe(ctx)
	switch {
	case !theirs.IsZero() && theirs.Before(now):
		return theirs, nil
	case theirs.IsZero():
		return now, err
	}
	return now, nil
}

// until is when the provider has forgotten a task that is created now.
func (h *laneHold) until() time.Time {
	return time.Now().UTC().Add(h.life).Round(0)
}

// mark tells in the lock that a create may be unsettled from now on. A run without
// a lane, in tests, has nothing to tell.
func (h *laneHold) mark() error {
	if h == nil {
		return nil
	}
	h.marked = true
	h.owner.Unsettled = h.until()
	return h.lock.Update(h.owner)
}

// unmark takes that back once everything is settled.
func (h *laneHold) unmark() {
	if h == nil || !h.marked || len(h.core.View().InDoubt) > 0 {
		return
	}
	h.marked = false
	h.owner.Unsettled = time.Time{}
	_ = h.lock.Update(h.owner) // the mark that stays is only more careful than need be
}

// release gives the lane back, keeping the reservation if a create is in doubt. Else
// the lock tells the next batch when it was freed, if there is room for that.
func (h *laneHold) release() error {
	if len(h.core.View().InDoubt) > 0 {
		return h.lock.Release(false)
	}
	err := h.lock.Update(journal.Owner{Begun: h.owner.Begun, Freed: time.Now().UTC().Round(0)})
	return h.lock.Release(err != nil)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
