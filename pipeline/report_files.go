package pipeline

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

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
// report.html in the folder.
func WriteReport(folder string) (*Report, error) {
	r, err := Status(folder)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return r, r.write(root)
}

// writeReports writes the report of a folder that this process holds.
func writeReports(f *folder) (*Report, error) {
	if f.core.Begin() == nil {
		return nil, nil // refused before anything was recorded
	}
	r, err := newReport(f.core, f.log.Head(), f.path)
	if err != nil {
		return nil, err
	}
	return r, r.write(f.root)
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

// replaceFile writes a file whole or not at all. It is not synced: a report can
// be written again from the journal.
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
