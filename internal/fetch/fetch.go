package fetch

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/wanbatch/wanbatch/internal/disk"
)

// What a caller may test for. Any other error is of the network and passes.
var (
	// ErrForbidden: the store answered 403 or 404. The object is not there
	// yet, expired or purged; the URL's [Expires] and the clock tell which.
	ErrForbidden = errors.New("store refuses the result")
	// ErrDisk: the local disk refused (full, read-only, quota, permission).
	// It wraps the cause. The part, if any, is kept.
	ErrDisk = errors.New("output folder")
	// ErrCorrupt: the bytes are not the object (CRC-64), too many, or not a
	// whole MP4. The part is thrown away; trying again starts from nothing.
	ErrCorrupt = errors.New("bad artifact")
)

const (
	maxHops     = 3         // redirects
	chunk       = 256 << 10 // bytes read at a time
	minProgress = 64 << 10  // bytes that each Stall must bring
)

// Config sets up a [Fetcher]. The zero value works for public hosts.
type Config struct {
	// Trusted is the scheme://host[:port] of the configured endpoint; see
	// [GuardConfig].
	Trusted string
	// MaxBytes bounds a file. Defaults to 1 GiB.
	MaxBytes int64
	// Stall is how long a transfer may go without bringing 64 KiB or its end.
	// Defaults to 60 s.
	Stall time.Duration
	// Proxy and RootCAs are as in [GuardConfig].
	Proxy   func(*http.Request) (*url.URL, error)
	RootCAs *x509.CertPool
	// UserAgent defaults to "wanbatch".
	UserAgent string
	// Transport is as in [GuardConfig]: for tests.
	Transport http.RoundTripper
}

// Fetcher downloads results. It is safe for concurrent use, but each name for
// one Fetch at a time.
type Fetcher struct {
	guard *Guard
	max   int64
	stall time.Duration
	agent string
}

// New returns a fetcher; Close it when done.
func New(cfg Config) *Fetcher {
	f := &Fetcher{max: cfg.MaxBytes, stall: cfg.Stall, agent: cfg.UserAgent}
	if f.max <= 0 {
		f.max = 1 << 30
	}
	if f.stall <= 0 {
		f.stall = time.Minute
	}
	if f.agent == "" {
		f.agent = "wanbatch"
	}
	f.guard = NewGuard(GuardConfig{Trusted: cfg.Trusted, Proxy: cfg.Proxy, RootCAs: cfg.RootCAs, Timeout: f.stall,
		Transport: cfg.Transport})
	return f
}

// Close drops idle connections.
func (f *Fetcher) Close() { f.guard.Close() }

// Artifact describes a verified file on disk.
type Artifact struct {
	Bytes    int64
	SHA256   string        // lower-case hexadecimal
	CRC64    string        // CRC-64/XZ as a decimal number, as the store writes it
	Duration time.Duration // how long the video plays, from its container
}

// Fetch downloads rawURL to name on d, continuing what an earlier call
// left, and returns when the file is verified and durable. An existing file of
// that name is replaced at that moment and not before. name is slash-separated;
// its folder is made if need be; the mode follows the umask.
//
// report, if not nil, is called from this goroutine with the bytes so far and
// in all (0 when unknown). Errors match [ErrForbidden], [ErrDisk], [ErrCorrupt],
// [ErrRefused] or the context's error; any other is transient.
func (f *Fetcher) Fetch(ctx context.Context, d disk.Disk, name, rawURL string, report func(done, total int64)) (Artifact, error) {
	if report == nil {
		report = func(int64, int64) {}
	}
	a, err := f.fetch(ctx, d, name, rawURL, report)
	if err != nil {
		return Artifact{}, fmt.Errorf("fetch %s: %w", Redact(rawURL), err)
	}
	return a, nil
}

func (f *Fetcher) fetch(ctx context.Context, d disk.Disk, name, rawURL string, report func(done, total int64)) (Artifact, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return Artifact{}, fmt.Errorf("%w: not a URL", ErrRefused)
	}
	if u, err = f.secure(u); err != nil {
		return Artifact{}, err
	}
	p, err := openPart(d, name, f.max)
	if err != nil {
		return Artifact{}, err
	}
	defer p.close()
	ctx, dog := watch(ctx, f.stall)
	defer dog.stop()
	body, err := f.open(ctx, u, p)
	if err != nil {
		return Artifact{}, reason(ctx, err)
	}
	defer body.Close()
	if err := f.copy(p, dog.reader(body), report); err != nil {
		p.keep()
		return Artifact{}, reason(ctx, err)
	}
	return p.finish()
}

// copy appends the body to the part.
func (f *Fetcher) copy(p *part, body io.Reader, report func(done, total int64)) error {
	bound := f.max
	if p.tag.Length >= 0 {
		bound = p.tag.Length
	}
	buf := make([]byte, chunk)
	for {
		n, err := body.Read(buf)
		if p.size+int64(n) > bound {
			p.discard()
			return fmt.Errorf("%w: more than %d bytes", ErrCorrupt, bound)
		}
		if n > 0 {
			if err := p.write(buf[:n]); err != nil {
				return onDisk(err)
			}
			report(p.size, max(p.tag.Length, 0))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return quiet{err}
		}
	}
}

// reason prefers why the context ended to the network's account of it.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, ErrDisk) && !errors.Is(err, ErrCorrupt) {
		return cause
	}
	return err
}

// watchdog cancels a transfer that makes no progress.
type watchdog struct {
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	d := &watchdog{limit: limit, cancel: cancel}
	d.timer = time.AfterFunc(limit, func() { cancel(fmt.Errorf("no progress for %v", limit)) })
	return ctx, d
}

func (d *watchdog) stop() {
	d.timer.Stop()
	d.cancel(nil)
}

// reader starts a new period after each 64 KiB that pass.
func (d *watchdog) reader(r io.Reader) io.Reader {
	d.timer.Reset(d.limit)
	passed := 0
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		if passed += n; passed >= minProgress {
			passed = 0
			d.timer.Reset(d.limit)
		}
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
