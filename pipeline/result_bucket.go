package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/store"
)

// This file puts verified videos into a bucket of one's own. A job is done only when
// the bucket has confirmed its video, which may be long after the result has died at
// the provider. So a video that waits for the bucket has a note beside it, durable
// before the first try, that says which task it came from and what it is: with it a
// restart asks the bucket again, and not the provider. Putting is idempotent; the
// note, and the video where it is not to stay, go after the record.
//
// A crash before the note costs a second download, one after it a question to the
// bucket, and one after the record leaves files behind that the next run removes.

// noteSuffix ends in that of all unfinished files.
const noteSuffix = ".put.part"

// note is what is known of a verified video that waits for the bucket.
type note struct {
	Task     string          `json:"task"`
	Bytes    int64           `json:"bytes"`
	SHA256   string          `json:"sha256"`
	CRC64    string          `json:"crc64"`
	Duration decimal.Decimal `json:"duration"`
}

// resultBucket is the bucket that a run's videos are put into.
type resultBucket struct {
	store *store.Store
	batch string    // names the folder in it
	begun time.Time // tells the batch from another of that name
	only  bool      // the local video does not stay
	next  []string  // the first of the videos that were not paid for when it was opened
	slots chan struct{}

	confirmed atomic.Bool // that the folder is the batch's
}

// newResultBucket opens the manifest's output.store for the batch of a folder, nil if there
// is none.
func newResultBucket(m *Manifest, f *folder, cfg Config) (*resultBucket, error) {
	s, err := openStore("output.store", m.Output.Store, cfg)
	if s == nil {
		return nil, err
	}
	return &resultBucket{store: s, batch: m.Name, begun: f.begun, only: m.Output.StoreOnly, next: paidNext(f.core),
		slots: make(chan struct{}, cfg.Fetches)}, nil
}

func (k *resultBucket) close() { k.store.Close() }

// storeError is the end of a run that cannot put something into its bucket.
func storeError(ctx context.Context, err error) error {
	var claimed *claimedError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w; run again to continue", ErrInterrupted)
	case errors.As(err, &claimed):
		return fmt.Errorf("%w: output.store: %w; %s", ErrUsage, err, claimHint)
	case errors.Is(err, store.ErrSetup):
		return fmt.Errorf("%w: output.store: %w; %s", ErrAccount, err, bucketHint(store.Code(err)))
	}
	return fmt.Errorf("output.store: %w", err)
}

// put brings a verified video into the bucket and returns its artifact there.
func (k *resultBucket) put(ctx context.Context, on disk.Disk, a batch.Artifact) (*batch.Artifact, error) {
	if err := k.confirm(ctx); err != nil {
		return nil, err
	}
	f, err := on.OpenFile(a.Path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	file := store.File{Body: f, Bytes: a.Bytes, SHA256: a.SHA256, ContentType: "video/mp4", Owner: k.owner()}
	name := strings.TrimPrefix(a.Path, videosName+"/")
	a.Address, err = k.store.Put(ctx, k.batch+"/"+name, file)
	if errors.Is(err, store.ErrExists) {
		err = &claimedError{folder: k.folder(), file: name}
	}
	if k.only {
		a.Path = ""
	}
	return &a, errors.Join(err, f.Close())
}

// fetchSlots is how many fetches a run has under way at once. A fetch that has its
// video still puts it into the bucket, however slow that is, so there are as many
// again: the other half always goes on downloading what would die at the provider.
func (c Config) fetchSlots(m *Manifest) int {
	if m.Output.Store == "" {
		return c.Fetches
	}
	return 2 * c.Fetches
}

// codeStoreBusy marks a video that waits, on disk, for others to be put: no trouble.
const codeStoreBusy = "StoreBusy"

// uploadResult puts the video of a job into the bucket and completes the observation of its
// fetch. It does not wait for others: who did would keep a download waiting.
func (k *resultBucket) uploadResult(ctx context.Context, on disk.Disk, name string, n note, o batch.Observation) batch.Observation {
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	default:
		o.Result, o.Class, o.Code, o.Message = batch.Failed, batch.ClassRetry, codeStoreBusy, "other videos are being put into the bucket"
		return o
	}
	there, err := k.put(ctx, on, batch.Artifact{Path: name, Bytes: n.Bytes, SHA256: n.SHA256, CRC64: n.CRC64, Duration: n.Duration})
	if err == nil {
		o.Result, o.Artifact = batch.Fetched, there
		return o
	}
	if errors.Is(err, store.ErrSource) || errors.Is(err, fs.ErrNotExist) {
		_ = on.Remove(name + noteSuffix) // then it is downloaded again
	}
	failed := failure(err)
	failed.Effect, failed.Result = o.Effect, batch.Failed
	return failed
}

// readNote returns the note of a video, if it is about this task and the video is
// there. Whether that is still what was verified shows when it is put. A note that is
// relied on is durable: who wrote it may have been killed before it was, and without
// it a power cut, long after the result has died, would leave a video of which nobody
// knows what it is.
func readNote(on disk.Disk, name, task string) (n note, found bool) {
	at := name + noteSuffix
	f, err := on.OpenFile(at, os.O_RDWR, 0)
	if err != nil {
		return note{}, false
	}
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil || json.Unmarshal(text, &n) != nil || n.Task != task {
		_ = f.Close()
		return note{}, false
	}
	_ = errors.Join(f.Sync(), f.Close(), on.SyncDir(path.Dir(at))) // it is there all the same
	video, err := on.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return note{}, false
	}
	info, err := video.Stat()
	err = errors.Join(err, video.Close())
	return n, err == nil && info.Size() == n.Bytes
}

// writeNote makes a note durable. A disk that refuses it refuses no video: without
// the note a restart downloads again.
func writeNote(on disk.Disk, name string, n note) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err // unreachable: text and numbers
	}
	at := name + noteSuffix
	if err := on.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := on.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, on.Remove(at))
	}
	return on.SyncDir(path.Dir(at))
}

// removeLeftovers removes what a job needed until its record was durable: the note, and the
// video if it stays in the bucket alone. What cannot be removed now is tried again
// by the next run; nothing depends on it.
func removeLeftovers(on disk.Disk, job batch.Job) {
	if job.Artifact == nil || job.Artifact.Address == "" {
		return
	}
	name := videosName + "/" + job.Plan.File
	if job.Artifact.Path == "" {
		_ = on.Remove(name)
	}
	_ = on.Remove(name + noteSuffix)
}

// removeAllLeftovers tidies up after a crash.
func (f *folder) removeAllLeftovers() {
	for job := range f.core.Jobs() {
		if job.State == batch.StateDone {
			removeLeftovers(f.disk, job)
		}
	}
}

// bucketHint tells a person what to do about the code of a bucket's refusal.
func bucketHint(code string) string {
	switch {
	case code == "RequestTimeTooSkewed":
		return "set this machine's clock (NTP): a store refuses what was signed more than 15 minutes ago or ahead"
	case code == "NoSuchBucket":
		return "create the bucket, or correct its name, region and endpoint"
	case code == "InvalidAccessKeyId":
		return "check the access key: it must be one of the bucket's own cloud, and enabled"
	case code == "SignatureDoesNotMatch":
		return "check the secret of the access key, and region and endpoint of the bucket"
	case strings.Contains(code, "Token"): // InvalidToken, ExpiredToken, SecurityTokenExpired and more
		return "the temporary credentials are expired or invalid: get new ones"
	case code == "AccessDenied":
		return "allow the credentials to put, read and list objects in the bucket, also below its prefix: without list permission, a store refuses to look up a missing object"
	}
	return "check the bucket, its region and endpoint, and what the credentials may do: put, read and list objects"
}
