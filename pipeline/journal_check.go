package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// This file looks, before anything is done in a batch folder, whether its journal is
// all that it was. A journal proves itself but for its end: emptied, removed or put
// back from an old copy it is a valid one that knows of fewer tasks, and whoever went
// on from there would pay for the others again. What lies beside it is the witness.

// checkAgainstReport refuses a journal that knows less than the report beside it, or nothing
// of the videos beside it.
func (f *folder) checkAgainstReport() error {
	told, err := reportedHead(f.path)
	if err != nil {
		return err
	}
	return checkJournal(f.core, f.log.Head(), told, f.path)
}

// checkJournal is checkAgainstReport for a journal with that head, beside a report that told
// another.
func checkJournal(core *batch.Batch, head journal.Head, told JournalHead, folder string) error {
	switch {
	case told.Records > head.Records && core.Begin() == nil:
		return fmt.Errorf("%w: %s is empty, but the report beside it was made from %d records; put a copy of the journal back. "+
			"Without it there is no record of what was paid for: to pay for everything again, move %s away",
			ErrUsage, filepath.Join(folder, journalName), told.Records, folder)
	case told.Records > head.Records || told.Records == head.Records && told.Head != head.Hash:
		return fmt.Errorf("%w: %s has %d records, but the report beside it was made from %d, or from others; put the newest copy of the journal back. "+
			"If this is the newest, %s accepts it: work that only the missing records show may then be paid for again",
			ErrUsage, filepath.Join(folder, journalName), head.Records, told.Records, CommandLine("report", []string{folder}))
	case core.Begin() != nil:
		return nil
	}
	if video := firstVideo(filepath.Join(folder, videosName)); video != "" {
		return unrecorded(video, "put a copy of the journal back. "+
			"Without it there is no record of what was paid for: to pay for everything again, move "+folder+" away")
	}
	return nil
}

// reportedHead is the head of the journal that a folder's report was made from, zero if there is
// no report that tells. It stands near the beginning of the file.
func reportedHead(folder string) (told JournalHead, err error) {
	f, err := os.Open(filepath.Join(folder, reportJSON))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return told, nil
	case err != nil:
		return told, err
	}
	defer f.Close() // read only: nothing can be lost
	const enough = 64 << 10
	in := json.NewDecoder(io.LimitReader(f, enough))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return told, nil // it is no report; the run writes one
	}
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return told, nil
		}
		if name == "journal" {
			_ = in.Decode(&told) // zero if it is something else
			return told, nil
		}
		var other json.RawMessage
		if in.Decode(&other) != nil {
			return told, nil
		}
	}
	return told, nil
}

// firstVideo is a finished file in a folder, "" if there is none.
func firstVideo(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "" // it is not there, or will be told of by whoever needs it
	}
	for _, e := range entries {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) != ".part" {
			return filepath.Join(dir, e.Name())
		}
	}
	return ""
}
