package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// Status folds the journal of a batch folder into a report, without network,
// lock or repair, also while a run goes on. It writes nothing.
func Status(folder string) (*Report, error) {
	core := batch.New(batch.Settings{}, nil)
	head, err := readFolder(folder, core)
	if err != nil {
		return nil, err
	}
	return newReport(core, head, folder)
}

// StatusWithout is [Status] as if no task had been made at these endpoints, as far as
// attempts and money go: what a bill is made from, without those of an emulator.
func StatusWithout(folder string, endpoints ...string) (*Report, error) {
	core := batch.New(batch.Settings{}, nil)
	made := map[attempt]string{}
	head, err := readJournal(folder, placing(made, replayInto(core)))
	if err != nil {
		return nil, err
	}
	return newReportOf(core, head, folder, func(a attempt) bool {
		place, is := made[a]
		return !is || !slices.Contains(endpoints, place)
	})
}

// Endpoints lists the endpoints at which the tasks of a batch were made, or may have
// been, by its journal: its report tells only the last one. It is none if there is no
// task.
func Endpoints(folder string) ([]string, error) {
	made := map[attempt]string{}
	_, err := readJournal(folder, placing(made, func(int, json.RawMessage) error { return nil }))
	return slices.Compact(slices.Sorted(maps.Values(made))), err
}

// attempt names one attempt of a batch.
type attempt struct {
	job string
	n   int
}

// placing also notes where each attempt went that made a task, or may have.
func placing(made map[attempt]string, fold func(int, json.RawMessage) error) func(int, json.RawMessage) error {
	here := ""
	return func(line int, payload json.RawMessage) error {
		if err := fold(line, payload); err != nil {
			return err
		}
		e, err := journal.Decode(payload)
		switch {
		case err != nil:
			return err
		case e.Kind == batch.Opened && e.Run != nil:
			here = e.Run.Endpoint
		case e.Kind == batch.Intended:
			made[attempt{e.Job, e.Attempt}] = here
		case e.Kind == batch.Refused || e.Kind == batch.Absent:
			delete(made, attempt{e.Job, e.Attempt})
		}
		return nil
	}
}

// WriteReport is [Status], written to report.json, report.csv and
// report.html in the folder. Whoever else writes them at that time waits, or is
// waited for: the report that comes last is the newest.
func WriteReport(folder string) (*Report, error) {
	if err := holdsBatch(folder); err != nil {
		return nil, err // before a lock is left where there is no batch
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	lock, err := lockReports(context.Background(), folder)
	if err != nil {
		return nil, err
	}
	r, err := Status(folder) // under the lock: the run may have ended while we waited
	if err == nil {
		err = r.write(root)
	}
	return r, errors.Join(err, lock.Release(true))
}

// writeReports writes the report of a folder that this process holds. It is returned
// also if it could not be written.
func writeReports(ctx context.Context, f *folder) (*Report, error) {
	if f.core.Begin() == nil {
		return nil, nil // refused before anything was recorded
	}
	r, err := newReport(f.core, f.log.Head(), f.path)
	if err != nil {
		return nil, err
	}
	lock, err := lockReports(ctx, f.path)
	if err != nil {
		return r, err
	}
	return r, errors.Join(r.write(f.root), lock.Release(true))
}

// A report takes as long as its journal takes to read. Whoever holds the lock for
// longer hangs, and no run waits for that to end.
const (
	reportLockWait = time.Minute
	reportLockPoll = 20 * time.Millisecond
)

// lockReports waits until nobody else writes the reports of a folder. Two at once
// would take each other's unfinished files away, and the older report could come last.
// A process that died holds nothing. The context ends the waiting, not the first try.
func lockReports(ctx context.Context, folder string) (*journal.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, reportLockWait)
	defer cancel()
	for {
		lock, err := journal.Acquire(filepath.Join(folder, reportLockName), thisProcess(folder), nil)
		var held *journal.LockedError
		if err == nil {
			return lock, nil
		}
		if errors.As(err, &held) && sleep(ctx, reportLockPoll) == nil {
			continue
		}
		return nil, fmt.Errorf("the report is not written: %w; the journal has all of it: %s writes it later", err, CommandLine("report", []string{folder}))
	}
}

func (r *Report) write(root *os.Root) error {
	if err := replaceFile(root, reportJSON, r.JSON); err != nil {
		return err
	}
	if err := replaceFile(root, reportCSV, r.CSV); err != nil {
		return err
	}
	return replaceFile(root, reportHTML, r.HTML)
}

// replaceFile writes a file whole or not at all, for one writer at a time (see
// lockReports). It is not synced: a report can be written again from the journal.
func replaceFile(root *os.Root, name string, write func(io.Writer) error) error {
	part := name + ".part"
	if err := root.Remove(part); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		_ = root.Remove(part) // nobody needs half a report, least of all on a full disk
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// JSON writes the report as indented JSON.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// FolderOf returns the batch folder of a manifest: output joined with its name.
func FolderOf(output string, m *Manifest) string { return filepath.Join(output, m.Name) }
