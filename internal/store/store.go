package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// maxSigned is the longest life of a signed URL, at OSS and at S3 (signature
// version 4).
const maxSigned = 7 * 24 * time.Hour

const (
	stallMinimum = 64 << 10 // bytes that each Stall must take
	tries        = 1        // of one request, by the SDKs
)

// What the metadata of an object tell: its content, and whose it is. The SDKs put
// x-oss-meta- or x-amz-meta- before the names.
const (
	metaSHA256 = "Sha256"
	metaOwner  = "Wanbatch"
)

// Config sets up a [Store]. Location and Credentials are required.
type Config struct {
	Location    Location
	Credentials Credentials
	// Proxy chooses a proxy; nil means none.
	Proxy func(*http.Request) (*url.URL, error)
	// Stall is how long a transfer may go without 64 KiB being taken or, at its end,
	// an answer coming. Defaults to 60 s.
	Stall time.Duration
	// Transport, if not nil, is used in place of one of our own: for tests.
	Transport http.RoundTripper
}

// A Store is a folder in a bucket. It is safe for concurrent use, but each key for
// one Put at a time. Close it when done.
type Store struct {
	loc    Location
	bucket bucket
	stall  time.Duration
	scrub  func(string) string
	close  func()
}

// bucket is what both SDKs do for us. Keys are whole, errors are theirs.
type bucket interface {
	put(ctx context.Context, key string, f upload) error
	stat(ctx context.Context, key string) (Object, error)
	get(ctx context.Context, key string) (io.ReadCloser, error)
	remove(ctx context.Context, key string) error
	sign(ctx context.Context, key string, life time.Duration) (string, error)
}

// Object is what a store holds under a key.
type Object struct {
	Bytes  int64
	SHA256 string // lower-case hexadecimal, as we wrote it beside the object; "" if we did not
	Owner  string // likewise
}

// read takes what the metadata of an object tell; the case of names is the transport's.
func (o *Object) read(metadata map[string]string) {
	for name, value := range metadata {
		switch {
		case strings.EqualFold(name, metaSHA256):
			o.SHA256 = value
		case strings.EqualFold(name, metaOwner):
			o.Owner = value
		}
	}
}

// holds reports whether the object has the content of a file.
func (o Object) holds(f File) bool { return o.Bytes == f.Bytes && o.SHA256 == f.SHA256 }

// File is what is to be put. Its bytes are read twice or more.
type File struct {
	Body        io.ReaderAt
	Bytes       int64
	SHA256      string // lower-case hexadecimal; what the bytes must be
	ContentType string
	Owner       string // only objects of this owner are replaced; printable ASCII, "" for nobody's
}

// upload is a File on its way to an SDK.
type upload struct {
	body        *io.SectionReader
	size        int64
	sha256      string
	md5         string // base64
	contentType string
	owner       string
	fresh       bool // only where there is nothing yet
}

// metadata is what is written beside the object.
func (u upload) metadata() map[string]string {
	m := map[string]string{metaSHA256: u.sha256}
	if u.owner != "" {
		m[metaOwner] = u.owner
	}
	return m
}

// Open prepares a store. It opens no connection.
func Open(cfg Config) (*Store, error) {
	switch {
	case cfg.Location.IsZero():
		return nil, errors.New("store: there is no location")
	case cfg.Credentials.IsZero():
		return nil, fmt.Errorf("store %s: there are no credentials", cfg.Location.Name())
	}
	s := &Store{loc: cfg.Location, stall: cfg.Stall, scrub: cfg.Credentials.scrubber(), close: func() {}}
	if s.stall <= 0 {
		s.stall = time.Minute
	}
	carrier := cfg.Transport
	if carrier == nil {
		t := &http.Transport{
			Proxy:                 cfg.Proxy,
			DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: s.stall,
			IdleConnTimeout:       30 * time.Second,
			DisableCompression:    true,
			ForceAttemptHTTP2:     true,
		}
		carrier, s.close = t, t.CloseIdleConnections
	}
	var err error
	if cfg.Location.Kind == OSS {
		s.bucket = newOSS(cfg.Location, cfg.Credentials, carrier)
	} else {
		s.bucket, err = newS3(cfg.Location, cfg.Credentials, carrier)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", cfg.Location.Name(), err)
	}
	return s, nil
}

// Close drops idle connections.
func (s *Store) Close() { s.close() }

// Location is where the store is.
func (s *Store) Location() Location { return s.loc }

var keyForm = regexp.MustCompile(`^[^/\x00-\x1f\\?#]+(/[^/\x00-\x1f\\?#]+)*$`)

// Put stores a file under a key (slash-separated, below the prefix) and returns its
// permanent address once the store confirms that it holds these very bytes. If it
// holds them already, nothing is sent, whoever put them; other bytes under that key are
// replaced if their owner is that of the file.
//
// Errors match [ErrExists] if it is another's, [ErrSource], [ErrSetup] or the context's
// error; any other passes.
func (s *Store) Put(ctx context.Context, key string, f File) (address string, err error) {
	const op = "put"
	whole, err := s.whole(op, key)
	if err != nil {
		return "", err
	}
	switch held, err := s.stat(ctx, whole); {
	case err == nil && held.holds(f):
		return s.loc.Address(key), nil
	case err == nil && held.Owner != f.Owner:
		return "", s.explain(op, key, fmt.Errorf("%w, with other content and not as ours", ErrExists))
	case err == nil, errors.Is(err, ErrNotFound):
	case errors.Is(err, ErrSetup): // who may not list is told the same of what is not there; the put will tell
	default:
		return "", s.explain(op, key, err)
	}
	u, err := prepare(f)
	if err != nil {
		return "", s.explain(op, key, err)
	}
	if err := s.send(ctx, whole, u, f.Body); err != nil {
		return "", s.explain(op, key, err)
	}
	held, err := s.stat(ctx, whole)
	switch {
	case err != nil:
		return "", s.explain(op, key, fmt.Errorf("was sent, but cannot be confirmed: %w", err))
	case held.SHA256 == "":
		return "", s.explain(op, key, fmt.Errorf("%w: was sent, but cannot be confirmed: the store keeps no metadata", ErrSetup))
	case !held.holds(f):
		return "", s.explain(op, key, errors.New("was sent, but the store holds something else"))
	}
	return s.loc.Address(key), nil
}

// whole is the name of a key in the bucket.
func (s *Store) whole(op, key string) (string, error) {
	if !keyForm.MatchString(key) || len(key) > 700 {
		return "", fmt.Errorf("%s: %q is no key", op, key)
	}
	return s.loc.key(key), nil
}

// PutNew stores a small text unless there is something under that key: then the
// error matches [ErrExists]. Of two at once one wins, where the store knows how:
//
//   - S3 by If-None-Match: *, answered 412, or 409 if another put is under way
//     (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
//     MinIO and others do the same; MinIO once answered 304 (minio/minio#19442).
//   - OSS by x-oss-forbid-overwrite: true, answered 409 FileAlreadyExists
//     (https://www.alibabacloud.com/help/en/oss/developer-reference/putobject), which
//     a bucket with versions ignores.
//
// A store that does not know the condition ignores it or says NotImplemented; then
// the text is put all the same, and only [Store.Get] tells who was the last.
func (s *Store) PutNew(ctx context.Context, key string, text []byte) error {
	const op = "put"
	whole, err := s.whole(op, key)
	if err != nil {
		return err
	}
	body := bytes.NewReader(text)
	sum := sha256.Sum256(text)
	u, err := prepare(File{Body: body, Bytes: body.Size(), SHA256: hex.EncodeToString(sum[:]), ContentType: "text/plain"})
	if err != nil {
		return s.explain(op, key, err) // unreachable: it is in memory
	}
	u.fresh = true
	err = judge(s.send(ctx, whole, u, body))
	if r := (*refusal)(nil); errors.As(err, &r) && r.unknown() {
		u.fresh = false
		err = s.send(ctx, whole, u, body)
	}
	return s.explain(op, key, err)
}

// Get returns a small file, or as much as limit of it. Errors are those of
// [Store.Stat].
func (s *Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	const op = "get"
	whole, err := s.whole(op, key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.stall)
	defer cancel()
	body, err := s.bucket.get(ctx, whole)
	if err != nil {
		return nil, s.explain(op, key, err)
	}
	text, err := io.ReadAll(io.LimitReader(body, limit))
	return text, s.explain(op, key, errors.Join(err, body.Close()))
}

// Remove removes a file. That it was not there is no error.
func (s *Store) Remove(ctx context.Context, key string) error {
	const op = "remove"
	whole, err := s.whole(op, key)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.stall)
	defer cancel()
	err = judge(s.bucket.remove(ctx, whole))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return s.explain(op, key, err)
}

// prepare reads the file once for its sums.
func prepare(f File) (upload, error) {
	sums, sum := md5.New(), sha256.New()
	n, err := io.Copy(io.MultiWriter(sums, sum), io.NewSectionReader(f.Body, 0, f.Bytes))
	switch {
	case err != nil:
		return upload{}, fmt.Errorf("%w: %w", ErrSource, err)
	case n != f.Bytes, hex.EncodeToString(sum.Sum(nil)) != f.SHA256:
		return upload{}, fmt.Errorf("%w: it has changed", ErrSource)
	}
	return upload{size: f.Bytes, sha256: f.SHA256, md5: base64.StdEncoding.EncodeToString(sums.Sum(nil)), contentType: f.ContentType, owner: f.Owner}, nil
}

// send puts the bytes, and ends when they do not move.
func (s *Store) send(ctx context.Context, key string, u upload, body io.ReaderAt) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(s.stall, func() { cancel(fmt.Errorf("no progress for %v", s.stall)) })
	defer stalled.Stop()
	r := &watched{from: body, moved: func() { stalled.Reset(s.stall) }}
	u.body = io.NewSectionReader(r, 0, u.size)
	err := s.bucket.put(ctx, key, u)
	if err != nil && context.Cause(ctx) != nil {
		return context.Cause(ctx)
	}
	if err != nil && r.err != nil {
		return fmt.Errorf("%w: %w", ErrSource, r.err)
	}
	return err
}

func (s *Store) stat(ctx context.Context, key string) (Object, error) {
	ctx, cancel := context.WithTimeout(ctx, s.stall)
	defer cancel()
	o, err := s.bucket.stat(ctx, key)
	return o, judge(err)
}

// Stat tells what the store holds under a key. Errors match [ErrNotFound],
// [ErrSetup] or the context's error; any other passes.
func (s *Store) Stat(ctx context.Context, key string) (Object, error) {
	o, err := s.stat(ctx, s.loc.key(key))
	return o, s.explain("look up", key, err)
}

// Sign returns a URL by which anybody can read a file, and when it ends: after life,
// or [maxSigned] if that is less. It is a credential for that time. Nothing is asked
// of the store, and whether the file is there is not known. Temporary credentials
// may end earlier, and the URL with them.
func (s *Store) Sign(ctx context.Context, key string, life time.Duration) (address string, expires time.Time, err error) {
	life = min(life, maxSigned).Truncate(time.Second)
	if life <= 0 {
		return "", time.Time{}, fmt.Errorf("sign %s: no time to live", key)
	}
	expires = time.Now().Add(life)
	address, err = s.bucket.sign(ctx, s.loc.key(key), life)
	return address, expires, s.explain("sign", key, err)
}

// Address is where a file stays once it was put.
func (s *Store) Address(key string) string { return s.loc.Address(key) }

// InputKey is the key of a local input: its content, with the extension of its
// name, by which the provider judges what a file is.
func InputKey(sha256, name string) string {
	ext := ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 && extension.MatchString(name[i:]) {
		ext = strings.ToLower(name[i:])
	}
	return sha256 + ext
}

var extension = regexp.MustCompile(`^\.[0-9A-Za-z]{1,8}$`)

// watched tells when bytes are taken, and keeps the error of the source.
type watched struct {
	from   io.ReaderAt
	moved  func()
	passed int
	err    error
}

// ReadAt is called by one goroutine at a time, as a section is read.
func (w *watched) ReadAt(b []byte, at int64) (int, error) {
	n, err := w.from.ReadAt(b, at)
	if w.passed += n; w.passed >= stallMinimum || err == io.EOF {
		w.passed = 0
		w.moved()
	}
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
