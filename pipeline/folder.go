package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// The files of a batch folder.
const (
	journalName    = "journal.jsonl"
	lockName       = ".lock"
	reportLockName = ".report.lock"
	videosName     = "videos"
)

// lockPoll is how often a waiting run tries a lock again.
const lockPoll = time.Second

// folder is one batch on disk, held by this process. Its journal is the truth
// and the core is the fold of it.
type folder struct {
	path string
	root *os.Root
	disk disk.Disk // what root stands for, as journal and downloads use it
	lock *journal.Lock
	log  *journal.Log
	file fs.FileInfo // that log writes to; nil in a test that models the disk
	core *batch.Batch

	begun time.Time // when the batch began: its name wherever the folder lies
	lane  *laneHold // while this run holds one
}

// openFolder takes the batch folder for this process and replays its journal
// into core. It makes the folder and the journal if there are none and create
// is true; without create, a missing journal is an error.
func openFolder(ctx context.Context, path string, core *batch.Batch, create bool, cfg Config) (*folder, error) {
	if create {
		err := disk.MakeFolder(path, 0o777)
		if err == nil {
			err = os.MkdirAll(filepath.Join(path, videosName), 0o777)
		}
		if err != nil {
			return nil, fmt.Errorf("make batch folder: %w", err)
		}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open batch folder: %w", err)
	}
	f := &folder{path: path, root: root, disk: cfg.testHooks.on(root), core: core}
	if f.lock, err = acquire(ctx, cfg, filepath.Join(path, lockName), thisProcess(path), "batch "+path, nil); err != nil {
		return nil, errors.Join(err, f.close())
	}
	if err := f.replay(create); err != nil {
		return nil, errors.Join(err, f.close())
	}
	if err := f.checkAgainstReport(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	f.file, _ = root.Lstat(journalName)
	return f, nil
}

func (f *folder) replay(create bool) error {
	log, err := journal.Open(f.disk, journalName, notingBegin(&f.begun, replayInto(f.core)))
	if create && errors.Is(err, fs.ErrNotExist) {
		log, err = journal.Create(f.disk, journalName)
	}
	if err != nil {
		return journalError(f.path, err)
	}
	f.log = log
	return nil
}

// journalStands makes sure that the next run finds what this one records: what is
// written to a journal that was removed, replaced or cut meanwhile, nobody reads again.
func (f *folder) journalStands() error {
	if f.file == nil {
		return nil
	}
	if now, err := f.root.Lstat(journalName); err != nil || !os.SameFile(now, f.file) || now.Size() < f.log.Size() {
		return fmt.Errorf("%s was removed, replaced or written over while this run wrote to it, so nothing more is created; put it back before the next run, which would pay again without it",
			filepath.Join(f.path, journalName))
	}
	return nil
}

// replayInto folds each line of a journal into the core.
func replayInto(core *batch.Batch) func(int, json.RawMessage) error {
	return func(line int, payload json.RawMessage) error {
		e, err := journal.Decode(payload)
		if err == nil {
			err = core.Apply(e)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", line, err)
		}
		return nil
	}
}

// notingBegin also notes when the batch of a journal began.
func notingBegin(begun *time.Time, fold func(int, json.RawMessage) error) func(int, json.RawMessage) error {
	return func(line int, payload json.RawMessage) error {
		if err := fold(line, payload); err != nil || !begun.IsZero() {
			return err
		}
		e, err := journal.Decode(payload)
		if err == nil && e.Kind == batch.Begun {
			*begun = e.At
		}
		return err
	}
}

// record makes events durable and folds them.
func (f *folder) record(events ...batch.Event) error {
	const chunk = 1000
	for len(events) > 0 {
		n := min(chunk, len(events))
		records := make([]any, n)
		for i, e := range events[:n] {
			records[i] = journal.Encode(e)
		}
		if err := f.log.AppendAll(records); err != nil {
			return fmt.Errorf("batch %s: %w", f.path, err)
		}
		for _, e := range events[:n] {
			if err := f.core.Apply(e); err != nil {
				return fmt.Errorf("batch %s: %w", f.path, err) // unreachable: the core made them
			}
			if e.Kind == batch.Begun {
				f.begun = e.At
			}
		}
		events = events[n:]
	}
	return nil
}

// close gives everything back. It is safe on a folder that is half open.
func (f *folder) close() error {
	var errs []error
	if f.log != nil {
		errs = append(errs, f.log.Close())
	}
	if f.lock != nil {
		errs = append(errs, f.lock.Release(true))
	}
	return errors.Join(append(errs, f.root.Close())...)
}

// acquire takes a lock in the name of a batch, at once or, with wait, when it
// becomes free. what names the thing that is locked, for people. may is that of
// [journal.Acquire].
func acquire(ctx context.Context, cfg Config, path string, owner journal.Owner, what string, may func(journal.Owner) error) (*journal.Lock, error) {
	told := false
	for {
		lock, err := journal.Acquire(path, owner, may)
		var held *journal.LockedError
		if errors.As(err, &held) {
			err = fmt.Errorf("%w: %s, by %s", ErrLocked, what, holderText(held.Owner, owner))
		}
		if err == nil || !errors.Is(err, ErrLocked) {
			return lock, err
		}
		if !cfg.Wait {
			return nil, err
		}
		if !told {
			told = true
			cfg.OnEvent(Event{Time: time.Now().UTC(), Kind: EventWaiting, Message: err.Error()})
		}
		if sleep(ctx, lockPoll) != nil {
			return nil, fmt.Errorf("%w while waiting: %w", ErrInterrupted, err)
		}
	}
}

// holderText names the holder of a lock to somebody else who wants it.
func holderText(holder, other journal.Owner) string {
	if holder.PID == 0 {
		return "another process"
	}
	text := fmt.Sprintf("process %d on %s since %s", holder.PID, holder.Host, holder.Since.UTC().Format(time.RFC3339))
	if holder.Batch != other.Batch {
		text += " for batch " + holder.Batch
	}
	return text
}

// thisProcess is this process as the holder of a lock.
func thisProcess(batchPath string) journal.Owner {
	host, _ := os.Hostname() // a courtesy to people: none is no error
	if abs, err := filepath.Abs(batchPath); err == nil {
		batchPath = abs
	}
	return journal.Owner{PID: os.Getpid(), Host: host, Since: time.Now().UTC(), Batch: batchPath}
}

// readFolder folds the journal of a batch without taking or repairing anything,
// also while a run writes to it.
func readFolder(path string, core *batch.Batch) (journal.Head, error) {
	return readJournal(path, replayInto(core))
}

// readJournal hands each line of a batch's journal to fold.
func readJournal(path string, fold func(int, json.RawMessage) error) (journal.Head, error) {
	f, err := openJournal(path)
	if err != nil {
		return journal.Head{}, err
	}
	defer f.Close()
	head, _, err := journal.Replay(f, fold)
	if err != nil {
		return journal.Head{}, journalError(path, err)
	}
	return head, nil
}

// openJournal opens the journal of a batch for reading.
func openJournal(path string) (*os.File, error) {
	f, err := os.Open(filepath.Join(path, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, plainUsage{path + " holds no batch; give a batch folder or the manifest it was run from", fs.ErrNotExist}
	}
	return f, err
}

// holdsBatch is the error for a folder that has no journal to read.
func holdsBatch(path string) error {
	f, err := openJournal(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// journalError adds what can be done about a journal that cannot be read.
func journalError(path string, err error) error {
	if err == nil {
		return nil
	}
	if corrupt := (*journal.CorruptError)(nil); errors.As(err, &corrupt) {
		return fmt.Errorf("batch %s: %w; %s", path, err, restoreJournal)
	}
	return fmt.Errorf("batch %s: %w", path, err)
}
