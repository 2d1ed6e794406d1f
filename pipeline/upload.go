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
)

// This file brings local inputs to where the provider can fetch them. The core
// decides when, and which; nothing here is paid for, and a create is never part of
// it.

// localFile is a file that jobs of the plan use, by the SHA-256 of its bytes.
type localFile struct {
	path string // where it is read
	name string // as the manifest writes it
}

// supplier is a place from which the provider can fetch inputs.
type supplier interface {
	// name is how the journal calls the place; "" is the provider's own store.
	name() string
	// put brings size bytes of r there and returns their address and how long they
	// stay, counted from the call; zero for ever. sum is what r is expected to hold;
	// kind is its content type.
	put(ctx context.Context, sum, path, kind string, size int64, r io.Reader) (address string, life time.Duration, err error)
	// url is what a create sends for an address. It touches no network.
	url(address string) (string, error)
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
	src := w.sources[e.Source]
	address, life, err := w.send(ctx, e.Source, src)
	if err == nil {
		return batch.Observation{Effect: e, Result: batch.Sent, Store: w.supplier.name(), Address: address, Life: life}
	}
	o := failure(err)
	o.Effect, o.Result = e, batch.Failed
	if changed := (*changedError)(nil); errors.As(err, &changed) {
		o.Result, o.Code, o.Message = batch.Changed, changed.code, changed.message
	}
	if ctx.Err() == nil {
		w.trouble(string(e.Op), e.Job, src.name+": "+err.Error())
	}
	return o
}

// inputName is what the manifest calls a local file.
func (w *workers) inputName(sum string) string { return w.sources[sum].name }

func (w *workers) send(ctx context.Context, sum string, src localFile) (address string, life time.Duration, err error) {
	info, err := os.Stat(src.path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file") // and opening a FIFO would wait for a writer
	}
	if err != nil {
		return "", 0, &changedError{codeInputMissing, fmt.Sprintf("%s can't be read any more: %v", src.name, reason(err))}
	}
	f, err := os.Open(src.path)
	if err != nil {
		return "", 0, &changedError{codeInputMissing, fmt.Sprintf("%s can't be read any more: %v", src.name, reason(err))}
	}
	defer f.Close() // read only: nothing can be lost
	seen := &witness{r: f, hash: sha256.New()}
	address, life, err = w.supplier.put(ctx, sum, src.path, contentType(src.path), info.Size(), seen)
	switch {
	case seen.err != nil:
		return "", 0, &changedError{codeInputMissing, fmt.Sprintf("%s can't be read any more: %v", src.name, reason(seen.err))}
	case seen.bytes == info.Size() && seen.sum() != sum:
		return "", 0, &changedError{codeInputChanged, src.name + " was changed after it was planned; nothing was sent for this job"}
	case err == nil && seen.bytes != info.Size():
		err = errors.New("the store did not take the whole file")
	}
	return address, life, err
}

// witness passes a file on and remembers what it held.
type witness struct {
	r     io.Reader
	hash  hash.Hash
	bytes int64
	err   error
}

func (s *witness) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	s.hash.Write(b[:n])
	s.bytes += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *witness) sum() string { return hex.EncodeToString(s.hash.Sum(nil)) }

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

// uploadWay carries uploads: to the endpoint itself as all other calls, to any other
// host, which the provider chose, under the guard.
type uploadWay struct {
	guard  http.RoundTripper
	origin string            // of the endpoint
	own    http.RoundTripper // Config.Transport; nil means none is given
}

func (w uploadWay) RoundTrip(req *http.Request) (*http.Response, error) {
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

	mu     sync.Mutex // guards what follows
	policy dashscope.Policy
	until  time.Time // of the wall clock
}

func (s *temporaryStore) name() string { return "" }

func (s *temporaryStore) put(ctx context.Context, _, path, kind string, size int64, r io.Reader) (string, time.Duration, error) {
	policy, err := s.permit(ctx)
	if err != nil {
		return "", 0, err
	}
	address, err := s.client.Upload(ctx, policy, dashscope.ObjectName(path), kind, size, r)
	if errors.Is(err, dashscope.ErrPolicy) {
		s.mu.Lock()
		s.until = time.Time{}
		s.mu.Unlock()
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

func (s *temporaryStore) url(address string) (string, error) { return address, nil }
