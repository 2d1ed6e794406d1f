package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// This file keeps a run from writing over what is not the batch's: a file that somebody
// put where a video of it is to go. It is looked for before anything is paid, where a
// job may be paid for next. What the journal has an attempt or a reuse for may be the
// batch's own, left by a crash before its record or by an earlier plan of that job, and
// is written over.

// refuseForeign refuses a plan while something foreign lies where one of its videos
// goes. events are those that bring the batch in a folder up to date with the plan.
func (p *Plan) refuseForeign(on disk.Disk, core *batch.Batch, events []batch.Event, cfg Config, folder string) error {
	var made map[string]bool
	first, found := batch.Job{}, 0
	look := func(job batch.Job) error {
		name := videosName + "/" + job.Plan.File
		taken, err := exists(on, name)
		if err == nil && taken && made == nil {
			made, err = everMade(on)
		}
		if err != nil {
			return fmt.Errorf("batch %s: %w", folder, err)
		}
		if !taken || made[name] || p.reuse.copied(on, job.Plan.Key, name) {
			return nil
		}
		if found++; found == 1 {
			first = job
		}
		return nil
	}
	changes := make(map[string]bool, len(events))
	for _, e := range events {
		changes[e.Job] = true
		if e.Kind != batch.Planned {
			continue
		}
		if err := look(batch.Job{ID: e.Job, Plan: *e.Plan}); err != nil {
			return err
		}
	}
	for job := range core.Jobs() {
		awaited := job.State == batch.StatePending || cfg.RetryFailed && job.State == batch.StateFailed
		if !awaited || job.Removed || changes[job.ID] {
			continue
		}
		if err := look(job); err != nil {
			return err
		}
	}
	if found == 0 {
		return nil
	}
	more := ""
	if found > 1 {
		more = fmt.Sprintf(" (the first of %d)", found)
	}
	return unrecorded(filepath.Join(folder, videosName, filepath.FromSlash(first.Plan.File))+more,
		fmt.Sprintf("move it away, or give pair %s another id. If this batch made it, the journal is an old copy: put the newest back", first.ID))
}

// unrecorded refuses what lies where videos of a batch go and is none of it, as far as
// is known, and says what to do.
func unrecorded(file, todo string) error {
	return fmt.Errorf("%w: %s exists, but no journal has a record of it; %s", ErrUsage, file, todo)
}

// exists reports whether anything bears a name, be it a folder or a link.
func exists(on disk.Disk, name string) (bool, error) {
	f, err := on.OpenFile(name, os.O_RDONLY, 0)
	switch {
	case err == nil:
		return true, f.Close()
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case errors.Is(err, disk.ErrIrregular), errors.Is(err, fs.ErrPermission):
		return true, nil
	}
	return false, fmt.Errorf("see whether %s exists: %w", name, err)
}

// everMade returns where the batch in a folder has put a video, or may have, ever since
// it began.
func everMade(on disk.Disk) (map[string]bool, error) {
	made, files := map[string]bool{}, map[string]string{}
	f, err := on.OpenFile(journalName, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return made, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing can be lost
	_, _, err = journal.Replay(f, func(_ int, payload json.RawMessage) error {
		e, err := journal.Decode(payload)
		switch {
		case err != nil:
			return err
		case e.Kind == batch.Planned:
			files[e.Job] = e.Plan.File
		case e.Kind == batch.Intended || e.Kind == batch.Reused:
			made[videosName+"/"+files[e.Job]] = true
		}
		return nil
	})
	return made, err
}
