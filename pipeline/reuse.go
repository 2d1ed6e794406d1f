package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// reusable is finished work of another batch: what this one would otherwise pay for.
type reusable struct {
	folder   string // of that batch
	artifact batch.Artifact
	origin   string // batch/job and where it was made, as the report tells it
}

// reusables are by content key.
type reusables map[string]reusable

// find looks into other batches for work with one of the wanted keys. What stands
// in their journals is taken if the file is there with its length; its bytes are
// checked when it is copied. An earlier source goes before a later one. notes tells
// of work that could have been reused.
func (r reusables) find(source string, wanted map[string]string, here endpoint) (notes []string, err error) {
	file := source
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		file = filepath.Join(source, journalName)
	} else if filepath.Ext(source) == ".json" { // a report is as good as the journal beside it, and proves nothing alone
		file = filepath.Join(filepath.Dir(source), journalName)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%w: reuse %s: it is no batch folder, nor a report or journal in one (%w)", ErrUsage, source, err)
	}
	defer f.Close() // read only: nothing can be lost
	core, made := batch.New(batch.Settings{}, nil), artifactOrigins{}
	fold := replayInto(core)
	_, _, err = journal.Replay(f, func(line int, payload json.RawMessage) error {
		if err := fold(line, payload); err != nil {
			return err
		}
		return made.add(core, payload)
	})
	if err != nil {
		return nil, fmt.Errorf("reuse %s: %w", source, err)
	}
	for job := range core.Jobs() {
		id, want := wanted[job.Plan.Key]
		if _, have := r[job.Plan.Key]; !want || have || job.State != batch.StateDone {
			continue
		}
		w := reusable{folder: filepath.Dir(file), artifact: *job.Artifact, origin: made[job.ID]}
		if why := w.refusal(here); why != "" {
			notes = append(notes, fmt.Sprintf("%s is not reused from %s: %s", id, w.path(), why))
			continue
		}
		r[job.Plan.Key] = w
	}
	return notes, nil
}

// artifactOrigins tells of each job that is done who made its artifact: batch/job at
// endpoint.
type artifactOrigins map[string]string

func (m artifactOrigins) add(core *batch.Batch, payload json.RawMessage) error {
	e, err := journal.Decode(payload)
	if err != nil {
		return err
	}
	switch e.Kind {
	case batch.Stored:
		m[e.Job] = core.Begin().Batch + "/" + e.Job + " at " + core.LastRun().Endpoint
	case batch.Reused:
		m[e.Job] = e.Origin
	}
	return nil
}

// refusal says why a file is not taken, "" if it is. What an emulator made is a
// test card: it is worth something only to another run on the same one.
func (w reusable) refusal(here endpoint) string {
	_, at, _ := strings.Cut(w.origin, " at ")
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || isLoopback(u.Hostname()) && at != here.origin {
		return "it was made at " + at + ", which is not the provider"
	}
	if w.artifact.Path == "" {
		return "it is only in a bucket, at " + w.artifact.Address
	}
	info, err := os.Lstat(w.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the file is missing"
	case err != nil:
		return err.Error()
	case !info.Mode().IsRegular():
		return "it is not a regular file"
	case info.Size() != w.artifact.Bytes:
		return fmt.Sprintf("it has %d bytes, not %d", info.Size(), w.artifact.Bytes)
	}
	return ""
}

// findReusable looks for the plan's jobs in the batches that a configuration names.
func (p *Plan) findReusable(cfg Config) error {
	if len(cfg.Reuse) == 0 {
		return nil
	}
	here, err := resolveEndpoint(p, cfg)
	if err != nil {
		return err
	}
	wanted := map[string]string{}
	for job, err := range p.Jobs() {
		if err != nil {
			return err
		}
		wanted[job.ContentKey] = job.ID
	}
	p.reuse, p.warnings = reusables{}, maps.Clone(p.warnings)
	for _, source := range cfg.Reuse {
		notes, err := p.reuse.find(source, wanted, here)
		if err != nil {
			return err
		}
		for _, note := range notes {
			p.warnings.add("reuse", note)
		}
	}
	return nil
}

// errSpoiled says that a file is no longer what was verified when it was made.
var errSpoiled = errors.New("file changed since it was verified")

// reuse gives every job that this run would submit the artifact that was found for
// it. A file that is no longer what was verified ends the run: the user consented to
// reuse, not to paying for the job.
func reuse(ctx context.Context, f *folder, p *Plan, cfg Config) error {
	if len(p.reuse) == 0 {
		return nil
	}
	bucket, err := newResultBucket(&p.Manifest, f, cfg)
	if err != nil {
		return err
	}
	if bucket != nil {
		defer bucket.close()
	}
	emit := &emitter{core: f.core, cfg: cfg, cap: cfg.cap(p)}
	now := coreTime(f.core, time.Now())
	returning := f.core.Returning(now)
	if cfg.RetryFailed {
		returning = append(returning, f.core.RetryFailed(now)...)
	}
	again := map[string]batch.Event{}
	for _, e := range returning {
		again[e.Job] = e
	}
	for job := range f.core.Jobs() {
		work, found := p.reuse[job.Plan.Key]
		retry, returns := again[job.ID]
		if !found || job.State != batch.StatePending && !returns || job.Removed || job.Skipped {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w; run again to continue", ErrInterrupted)
		}
		name := videosName + "/" + job.Plan.File
		switch err := work.copyTo(f.disk, name); {
		case errors.Is(err, errSpoiled):
			return fmt.Errorf("%w: job %s was to be reused from %s: %s: %w; put a good copy back, or move it away to pay for the job",
				ErrUsage, job.ID, work.origin, work.path(), err)
		case err != nil:
			return fmt.Errorf("reuse %s for job %s: %w", work.path(), job.ID, err)
		}
		artifact := &work.artifact
		artifact.Path, artifact.Address = name, ""
		if bucket != nil {
			if artifact, err = bucket.put(ctx, f.disk, *artifact); err != nil {
				return storeError(ctx, err)
			}
		}
		var events []batch.Event
		if returns {
			events = append(events, retry)
		}
		events = append(events, batch.Event{Kind: batch.Reused, At: coreTime(f.core, time.Now()), Job: job.ID, Origin: work.origin, Artifact: artifact})
		if err := f.record(events...); err != nil {
			return err
		}
		stored, _ := f.core.Job(job.ID)
		removeLeftovers(f.disk, stored)
		emit.recorded(events[len(events)-1])
	}
	return nil
}

func (w reusable) path() string { return filepath.Join(w.folder, filepath.FromSlash(w.artifact.Path)) }

// copyTo copies the file into a batch folder and verifies what it copies. It is
// durable under its name when copyTo returns, or not there.
func (w reusable) copyTo(d disk.Disk, name string) error {
	root, err := os.OpenRoot(w.folder)
	if err != nil {
		return err
	}
	defer root.Close() // read only: nothing can be lost
	from, err := disk.Dir(root).OpenFile(w.artifact.Path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer from.Close() // likewise
	if err := d.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	for at := path.Dir(name); at != "."; at = path.Dir(at) { // as far as they were made just now
		if err := d.SyncDir(path.Dir(at)); err != nil {
			return err
		}
	}
	part := name + ".part"
	if err := d.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	to, err := d.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if err = w.verified(io.NewOffsetWriter(to, 0), from); err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(err, d.Remove(part))
	}
	if err := d.Rename(part, name); err != nil {
		return err
	}
	return d.SyncDir(path.Dir(name))
}

// verified copies a file and compares what it copied with the artifact's record.
func (w reusable) verified(to io.Writer, from io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(to, io.TeeReader(io.LimitReader(from, w.artifact.Bytes+1), sum))
	if err != nil {
		return err
	}
	if n != w.artifact.Bytes || hex.EncodeToString(sum.Sum(nil)) != w.artifact.SHA256 {
		return errSpoiled
	}
	return nil
}

// copied reports whether a file is the very copy that would be made for a content key:
// a run that died before its record has left it.
func (r reusables) copied(on disk.Disk, key, name string) bool {
	w, found := r[key]
	if !found {
		return false
	}
	f, err := on.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer f.Close() // read only: nothing can be lost
	return w.verified(io.Discard, f) == nil
}
