package pipeline

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wanbatch/wanbatch/internal/fetch"
	"github.com/wanbatch/wanbatch/internal/media"
)

// Remote says how [NewPlan] looks into files behind http(s) URLs: a few hundred
// kilobytes of each at most, by range requests, so that lengths are known and
// estimates exact. A file that cannot be reached is a warning and never an error,
// since it is the provider that fetches it; one that was reached and is beyond
// the provider's limits is an error like a local one.
//
// Only public addresses are contacted, whatever a name resolves to and wherever
// a redirect leads. No key, cookie or Referer is sent.
//
// A Remote remembers what it learned: plans made with the same one ask once for
// each URL, and share ten seconds for it. It is safe for concurrent use and must not be
// copied once used. The zero value is ready to use.
type Remote struct {
	// Trusted is the scheme://host[:port] that may have any address, which is the
	// endpoint in use. Defaults to the manifest's endpoint.
	Trusted string
	// Proxy chooses a proxy; nil means none.
	Proxy func(*http.Request) (*url.URL, error)
	// Transport, if not nil, carries the requests whose addresses pass, in place
	// of network connections. It is for tests.
	Transport http.RoundTripper

	mu    sync.Mutex // held while looking; guards all below
	seen  map[mediumKey]probeResult
	spent time.Duration
}

// Limits of looking into remote files.
const (
	remoteBudget = 10 * time.Second // for all of it, over the life of a Remote
	remoteAtOnce = 8                // files
)

// probeResult is what became of looking into one file.
type probeResult struct {
	known facts
	err   error
}

// errNoTime stands for files whose turn did not come.
var errNoTime = errors.New("no time is left to look into it")

// look finds out what it can about remote files, within the budget. Only the
// context's error is returned.
func (r *Remote) look(ctx context.Context, endpoint string, files []*file) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	began := time.Now()
	left := max(0, remoteBudget-r.spent)
	guard := fetch.NewGuard(fetch.GuardConfig{
		Trusted: cmp.Or(r.Trusted, endpoint), AllowHTTP: true, Proxy: r.Proxy,
		Timeout: max(left, time.Millisecond), Transport: r.Transport,
	})
	defer guard.Close()
	bounded, cancel := context.WithTimeout(ctx, left)
	defer cancel()

	findings := make([]probeResult, len(files))
	var group errgroup.Group
	group.SetLimit(remoteAtOnce)
	for i, f := range files {
		var known bool
		if findings[i], known = r.seen[f.mediumKey]; known {
			continue
		}
		if bounded.Err() != nil {
			findings[i].err = errNoTime
			continue
		}
		group.Go(func() error {
			// Half the time for one file: a host that hangs leaves some for others.
			once, cancel := context.WithTimeout(bounded, left/2)
			defer cancel()
			findings[i] = probe(once, &http.Client{Transport: guard}, f.mediumKey)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	r.spent += time.Since(began)
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, f := range files {
		r.remember(f.mediumKey, findings[i])
		f.conclude(findings[i])
	}
	return nil
}

func (r *Remote) remember(key mediumKey, what probeResult) {
	if errors.Is(what.err, errNoTime) {
		return
	}
	if r.seen == nil {
		r.seen = map[mediumKey]probeResult{}
	}
	r.seen[key] = what
}

// probe looks into one file.
func probe(ctx context.Context, client *http.Client, key mediumKey) probeResult {
	r, err := media.OpenRemote(ctx, client, key.place)
	if err != nil {
		return probeResult{err: err}
	}
	known, err := headers(r, r.Size(), key.video)
	return probeResult{known, err}
}

// conclude judges what was found: the file, or why it could not be looked into.
func (f *file) conclude(what probeResult) {
	switch {
	case what.err == nil:
		f.judge(what.known)
	case errors.Is(what.err, media.ErrFormat), errors.Is(what.err, media.ErrTruncated):
		f.unreadable(what.err)
	default:
		f.note("remote", "could not be looked into (%s); the provider fetches it by itself", probeFailure(what.err))
	}
}

// probeFailure says in words of our own why a file could not be looked into: errors
// of the network may repeat what a server sent, and with it a signature.
func probeFailure(err error) string {
	var status media.StatusError
	var lookup *net.DNSError
	var cert *tls.CertificateVerificationError
	var code syscall.Errno
	switch {
	case errors.Is(err, fetch.ErrRefused):
		return "its address is not a public one"
	case errors.Is(err, errNoTime):
		return errNoTime.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, media.ErrNoRange):
		return "its server does not answer range requests"
	case errors.Is(err, media.ErrTooMuch):
		return "too much of it would have to be fetched"
	case errors.Is(err, media.ErrChanged):
		return "it changed meanwhile"
	case errors.As(err, &status):
		return "its server answers " + status.Error()
	case errors.As(err, &lookup):
		return "its host is not found"
	case errors.As(err, &cert):
		return "its certificate is not trusted"
	case errors.As(err, &code):
		return code.Error()
	}
	return "no usable answer"
}
