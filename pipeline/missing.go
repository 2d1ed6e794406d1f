package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Missing is the video of a finished job that does not lie in the batch folder as it
// was stored there. No run fetches it or pays for it again by itself.
type Missing struct {
	Job  string `json:"job"`
	Path string `json:"path"` // relative to the batch folder
	What string `json:"what"` // what is there instead: "is missing", "is empty", "has 5 bytes, not 6"

	URL    string `json:"url,omitzero"`     // of it in a bucket of one's own, if it was put into one
	CopyOf string `json:"copy_of,omitzero"` // what Result.ReusedFrom says
	// TaskID names the task that made it, while the provider still gives its result free
	// of charge to whoever asks for it, which is until Until at least; "" after that.
	TaskID string    `json:"task_id,omitzero"`
	Until  time.Time `json:"until,omitzero"`
}

// resultLife is how long the provider gives a result to whoever asks for its task, by
// the worse reading of its documents: counted from submission.
const resultLife = 24 * time.Hour

// Missing looks for the video of every done job in the batch folder and returns those
// that are not there, or not in their length: their bytes are for [Audit] to read.
// Videos that lie only in a bucket are not looked for. It is no part of the report,
// which the journal alone makes.
func (r *Report) Missing(folder string, now time.Time) []Missing {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil // whoever read its journal just now has the folder
	}
	defer root.Close() // read only: nothing can be lost
	var list []Missing
	for _, j := range r.Jobs {
		if j.State != "done" || j.File == nil || j.File.Path == "" {
			continue
		}
		if what := misses(root, j.File); what != "" {
			list = append(list, j.missing(what, now))
		}
	}
	return list
}

// misses is what stands in place of a file, "" if it seems to be itself.
func misses(root *os.Root, f *File) string {
	info, err := root.Lstat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is missing"
	case err != nil:
		return "cannot be looked at: " + err.Error()
	case !info.Mode().IsRegular():
		return "is no regular file"
	case info.Size() == f.Bytes:
		return ""
	case info.Size() == 0:
		return "is empty"
	}
	return fmt.Sprintf("has %d bytes, not %d", info.Size(), f.Bytes)
}

func (r *Result) missing(what string, now time.Time) Missing {
	m := Missing{Job: r.ID, Path: r.File.Path, What: what}
	if r.File.URL != nil {
		m.URL = *r.File.URL
	}
	if r.ReusedFrom != nil {
		m.CopyOf = *r.ReusedFrom
	} else if r.TaskID != nil && r.SubmittedAt != nil && now.Before(r.SubmittedAt.Add(resultLife)) {
		m.TaskID, m.Until = *r.TaskID, r.SubmittedAt.Add(resultLife)
	}
	return m
}
