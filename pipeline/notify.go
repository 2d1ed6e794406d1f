package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/wanbatch/wanbatch/internal/fetch"
)

// The bounds of a notification: a run that is over must not hang for it.
const (
	notifyTries   = 4
	notifyTimeout = 10 * time.Second // of one try
	notifyPause   = time.Second      // before the second try; it doubles
)

// A Notifier tells somebody else's server how a run ended. It reaches public hosts
// by https, whatever a name resolves to at the moment of dialling, and the one
// loopback address that it was made for. It sends no key, follows no redirect, and
// its errors name no more than the host, because such a URL is often a credential.
type Notifier struct {
	url    string
	host   string // scheme://host[:port]
	guard  *fetch.Guard
	client *http.Client
}

// NewNotifier checks a URL. It connects to nothing; an error matches [ErrUsage].
// proxy may be nil.
func NewNotifier(address string, proxy func(*http.Request) (*url.URL, error)) (*Notifier, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%w: the URL to notify is not of the form https://host/path", ErrUsage)
	}
	n := &Notifier{url: address, host: u.Scheme + "://" + u.Host}
	cfg := fetch.GuardConfig{Proxy: proxy, Timeout: notifyTimeout}
	if isLoopback(u.Hostname()) {
		cfg.Trusted = n.host
	}
	n.guard = fetch.NewGuard(cfg)
	if err := n.guard.Check(u); err != nil {
		return nil, fmt.Errorf("%w: %s cannot be notified: %w", ErrUsage, n.host, err)
	}
	n.client = &http.Client{Transport: n.guard, Timeout: notifyTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return n, nil
}

// Post sends a JSON document and waits for a 2xx, for at most about a minute. What
// may pass (no connection, 408, 429, 5xx) is tried again, so the server may see the
// document more than once.
func (n *Notifier) Post(ctx context.Context, document []byte) error {
	defer n.guard.Close()
	pause := notifyPause
	for try := 1; ; try++ {
		again, err := n.post(ctx, document)
		if err == nil {
			return nil
		}
		if !again || try == notifyTries || sleep(ctx, pause) != nil {
			return fmt.Errorf("notify %s: %w", n.host, err)
		}
		pause *= 2
	}
}

// post is one try. again says whether another may succeed.
func (n *Notifier) post(ctx context.Context, document []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(document))
	if err != nil {
		return false, errors.New("the URL cannot be used") // the error would show it
	}
	req.Close = true // a try that follows wants a connection of its own
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "wanbatch")
	resp, err := n.client.Do(req)
	if err != nil {
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL
		}
		return !errors.Is(err, fetch.ErrRefused), err
	}
	defer resp.Body.Close()                                       // read only: nothing can be lost
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // what it says is of no use
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return false, nil
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return true, fmt.Errorf("it answers %d %s", code, http.StatusText(code))
	default:
		return false, fmt.Errorf("it answers %d %s", code, http.StatusText(code))
	}
}
