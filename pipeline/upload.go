package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/store"
)

// This file brings local inputs to where the provider can fetch them. The core
// decides when, and which; nothing here is paid for, and a create is never part of
// it.

// localFile is a file that jobs of the plan use, by the SHA-256 of its bytes.
type localFile struct {
	path string // where it is read
	name string // as the manifest writes it
}

// inputStore is a place from which the provider can fetch inputs: its own temporary
// store, or a bucket of one's own.
type inputStore interface {
	// name is how the journal calls the place; "" is the provider's own store.
	name() string
	// put brings a file there, which must hold what sum says, and returns its
	// address and how long it stays, counted from the call; zero for ever.
	put(ctx context.Context, sum string, f *os.File, size int64) (address string, life time.Duration, err error)
	// url is what a create sends for an address. It touches no network.
	url(ctx context.Context, address string) (string, error)
	close()
}

// newInputStore opens what the manifest chose. A bucket that only this machine can
// reach serves only a provider on this machine.
func newInputStore(m *Manifest, client *dashscope.Client, cfg Config, target endpoint) (inputStore, error) {
	bucket, err := openStore("inputs.store", m.Inputs.Store, cfg)
	if err != nil {
		return nil, err
	}
	if bucket == nil {
		return &temporaryStore{client: client, model: m.Model, speed: cfg.Speed, objectName: cfg.testHooks.objectName}, nil
	}
	if err := reachable(bucket, target); err != nil {
		bucket.Close()
		return nil, err
	}
	return &inputBucket{bucket, m.Limits.TaskLife + signMargin}, nil
}

// reachable refuses a bucket of inputs that the provider cannot reach.
func reachable(bucket *store.Store, target endpoint) error {
	if at := bucket.Location(); at.Loopback() && !target.loopback {
		return fmt.Errorf("%w: inputs.store is on this machine (%s), where the provider cannot fetch from it", ErrUsage, at.Endpoint)
	}
	return nil
}

// Codes of uploads that cannot be made: they are ours, not the provider's.
const (
	codeInputChanged = "InputChanged"
	codeInputMissing = "InputUnreadable"
)

// changedError says that a file is not what was planned.
type changedError struct{ code, message string }

func (e *changedError) Error() string { return e.message }

// upload brings one content to the provider. A file that is not what was planned
// must never be sent in its place: the job's key, and what was paid for it
// before, belong to the old bytes.
func (w *workers) upload(ctx context.Context, e batch.Effect) batch.Observation {
	address, life, err := w.sendAny(ctx, e.Source)
	if err == nil {
		return batch.Observation{Effect: e, Result: batch.Sent, Store: w.supplier.name(), Address: address, Life: life}
	}
	o := failure(err)
	o.Effect, o.Result = e, batch.Failed
	if call := (*dashscope.Error)(nil); errors.As(err, &call) && call.Op == dashscope.OpPolicy && o.Class == batch.ClassInput {
		o.Class = batch.ClassConfig // it was refused without a look at the file
	}
	if errors.Is(err, store.ErrSetup) {
		o.Class, o.Code, o.Message = batch.ClassConfig, batch.CodeStoreRefuses, "inputs.store: "+err.Error()
	}
	if changed := (*changedError)(nil); errors.As(err, &changed) {
		o.Result, o.Code, o.Message = batch.Changed, changed.code, changed.message
	}
	if ctx.Err() == nil {
		w.trouble(string(e.Op), e.Job, w.inputName(e.Source)+": "+err.Error())
	}
	return o
}

// inputName is what the manifest calls a local file, the first of those that are equal.
func (w *workers) inputName(sum string) string {
	for _, src := range w.sources[sum] {
		return src.name
	}
	return ""
}

// sendAny sends the first of the files with one content that still holds it. If none
// does, the error tells of each.
func (w *workers) sendAny(ctx context.Context, sum string) (address string, life time.Duration, err error) {
	changed := &changedError{code: codeInputMissing, message: "no file of the plan has this content"} // unreachable: a job of the plan has
	for i, src := range w.sources[sum] {
		address, life, err = w.send(ctx, sum, src)
		var this *changedError
		switch {
		case !errors.As(err, &this):
			return address, life, err
		case i == 0:
			changed = this
		default:
			changed = &changedError{changed.code, changed.message + "; " + this.message}
		}
	}
	return "", 0, changed
}

func (w *workers) send(ctx context.Context, sum string, src localFile) (address string, life time.Duration, err error) {
	unreadable := func(err error) error {
		return &changedError{codeInputMissing, fmt.Sprintf("%s can't be read any more: %v", src.name, reason(err))}
	}
	info, err := os.Stat(src.path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file") // and opening a FIFO would wait for a writer
	}
	if err != nil {
		return "", 0, unreadable(err)
	}
	f, err := os.Open(src.path)
	if err != nil {
		return "", 0, unreadable(err)
	}
	defer f.Close() // read only: nothing can be lost
	address, life, err = w.supplier.put(ctx, sum, f, info.Size())
	switch {
	case errors.Is(err, errOtherBytes):
		err = &changedError{codeInputChanged, src.name + " was changed after it was planned; nothing was sent for this job"}
	case errors.Is(err, errLocalRead):
		err = unreadable(err)
	}
	return address, life, err
}

// What is wrong with a local file, whichever store it was meant for.
var (
	errOtherBytes = errors.New("the file changed since it was planned")
	errLocalRead  = errors.New("the file can't be read")
)

// hashingReader passes a file on and remembers what it held.
type hashingReader struct {
	r     io.Reader
	hash  hash.Hash
	bytes int64
	err   error
}

func (s *hashingReader) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.hash.Write(b[:n])
	s.bytes += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *hashingReader) sum() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// contentType is fixed for the formats that the provider takes: what a machine's
// own table says may differ.
func contentType(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".bmp":
		return "image/bmp"
	case ".webp":
		return "image/webp"
	case ".mp4":
		return "video/mp4"
	case ".mov":
		return "video/quicktime"
	case ".avi":
		return "video/x-msvideo"
	}
	return "application/octet-stream"
}

// uploadTransport carries uploads: to the endpoint itself as all other calls, to any other
// host, which the provider chose, under the guard.
type uploadTransport struct {
	guard  http.RoundTripper
	origin string            // of the endpoint
	own    http.RoundTripper // Config.Transport; nil means none is given
}

func (w uploadTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.own != nil && req.URL.Scheme+"://"+req.URL.Host == w.origin {
		return w.own.RoundTrip(req)
	}
	return w.guard.RoundTrip(req)
}

// temporaryStore is the provider's own: free, kept for 48 hours, readable by tasks
// of one model and account only. One policy serves until it ends.
type temporaryStore struct {
	client *dashscope.Client
	model  string
	speed  float64 // of the provider's clock

	objectName func(file string) string

	mu     sync.Mutex // guards what follows
	policy dashscope.Policy
	until  time.Time // of the wall clock
}

func (s *temporaryStore) name() string { return "" }
func (s *temporaryStore) close()       {}

func (s *temporaryStore) put(ctx context.Context, sum string, f *os.File, size int64) (string, time.Duration, error) {
	policy, err := s.permit(ctx)
	if err != nil {
		return "", 0, err
	}
	seen := &hashingReader{r: f, hash: sha256.New()}
	address, err := s.client.Upload(ctx, policy, s.objectName(f.Name()), contentType(f.Name()), size, seen)
	switch {
	case seen.err != nil:
		return "", 0, fmt.Errorf("%w: %w", errLocalRead, seen.err)
	case seen.bytes == size && seen.sum() != sum:
		return "", 0, errOtherBytes // and nobody will ever use it
	case errors.Is(err, dashscope.ErrPolicy):
		s.mu.Lock()
		s.until = time.Time{}
		s.mu.Unlock()
	case err == nil && seen.bytes != size:
		err = errors.New("the store did not take the whole file")
	}
	return address, dashscope.UploadLife, err
}

// permit returns a policy with half of its life left, or asks for one.
func (s *temporaryStore) permit(ctx context.Context) (dashscope.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		return s.policy, nil
	}
	asked := time.Now()
	policy, err := s.client.GetPolicy(ctx, s.model)
	if err != nil {
		return dashscope.Policy{}, err
	}
	s.policy = policy
	s.until = asked.Add(time.Duration(float64(policy.Life/2) / s.speed))
	return policy, nil
}

func (s *temporaryStore) url(_ context.Context, address string) (string, error) { return address, nil }

// inputBucket names the bucket that local inputs go to, "" if that is the provider's
// own store.
func (m *Manifest) inputBucket() string {
	l, err := store.Parse(m.Inputs.Store)
	if err != nil {
		return "" // there is none: the manifest was checked
	}
	return l.String()
}

// signMargin is how much longer a signed URL lives than a task may wait.
const signMargin = time.Hour

// inputBucket is a bucket of one's own. A content lies there under its own name for
// as long as the bucket keeps it; a create gets a signed URL that outlives its task.
type inputBucket struct {
	*store.Store
	life time.Duration
}

func (b *inputBucket) name() string { return b.Location().String() }
func (b *inputBucket) close()       { b.Close() }

func (b *inputBucket) put(ctx context.Context, sum string, f *os.File, size int64) (string, time.Duration, error) {
	key := store.InputKey(sum, f.Name())
	_, err := b.Put(ctx, key, store.File{Body: f, Bytes: size, SHA256: sum, ContentType: contentType(f.Name())})
	if errors.Is(err, store.ErrSource) {
		err = errOtherBytes
	}
	return key, 0, err
}

func (b *inputBucket) url(ctx context.Context, key string) (string, error) {
	address, _, err := b.Sign(ctx, key, b.life)
	return address, err
}
