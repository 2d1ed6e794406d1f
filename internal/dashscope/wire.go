package dashscope

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	maxBody   = 1 << 20  // bytes of an answer
	maxHeader = 64 << 10 // bytes of its header
)

// wire holds the two transports of a client: one that keeps connections, for
// reading, and one that never does, for what must be sent once.
type wire struct {
	reads, posts http.RoundTripper
	// owned: both are ours, so a request without a GetConn trace was not sent.
	owned bool
}

func newWire(given http.RoundTripper, proxy func(*http.Request) (*url.URL, error)) wire {
	t, ok := given.(*http.Transport)
	switch {
	case given == nil:
		t = freshTransport(proxy)
	case !ok:
		return wire{reads: given, posts: given}
	default:
		t = t.Clone()
	}
	t.DisableCompression = true
	t.MaxResponseHeaderBytes = maxHeader
	return wire{reads: t, posts: onceOnly(t.Clone()), owned: true}
}

func freshTransport(proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	return &http.Transport{
		Proxy:               proxy,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     60 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// onceOnly takes from t every occasion on which net/http sends a request again:
// it does so when a pooled connection turns out dead and when an HTTP/2 server
// refuses a stream. A fresh HTTP/1.1 connection is never retried.
func onceOnly(t *http.Transport) *http.Transport {
	t.DisableKeepAlives = true
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = nil
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if t.TLSClientConfig != nil {
		// A transport that has spoken HTTP/2 still offers it here.
		t.TLSClientConfig.NextProtos = nil
	}
	return t
}

func (w wire) close() {
	for _, rt := range []http.RoundTripper{w.reads, w.posts} {
		if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
			c.CloseIdleConnections()
		}
	}
}

func (w wire) carrier(method string) http.RoundTripper {
	if method == http.MethodPost {
		return w.posts
	}
	return w.reads
}

// connection watches whether a request got a connection.
type connection struct{ asked, got atomic.Bool }

func (c *connection) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { c.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { c.got.Store(true) },
	})
}

// mayHaveSent is false only if no connection was obtained, and only if the
// transport is one that would have told.
func (c *connection) mayHaveSent(owned bool) bool {
	return c.got.Load() || !(owned || c.asked.Load())
}

// call is one request to be made.
type call struct {
	op, method, path string
	query            url.Values
	header           http.Header
	body             []byte // nil for none
	timeout          time.Duration
}

// answer is a 200 that was read to its end.
type answer struct {
	err  Error // what is known of the call, should the body be of no use
	body []byte
}

// unusable turns a 200 into an error.
func (a answer) unusable(c *Client, why string) *Error {
	e := a.err
	e.Message = why
	if excerpt := c.scrub.clean(string(a.body), maxExcerpt); excerpt != "" {
		e.Message += ": " + excerpt
	}
	return &e
}

// send makes one call, once, within its time limit, and returns the answer if
// its status is 200 to 299 and its body whole.
func (c *Client) send(ctx context.Context, k call) (answer, *Error) {
	e := Error{Op: k.op, where: c.base.Scheme + "://" + c.base.Host + k.path}
	if err := ctx.Err(); err != nil {
		e.cause = err
		return answer{}, &e
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	var conn connection
	resp, err := c.wire.carrier(k.method).RoundTrip(c.request(conn.trace(ctx), k))
	if err != nil {
		e.Sent = conn.mayHaveSent(c.wire.owned)
		e.cause = c.safe(err)
		return answer{}, &e
	}
	defer resp.Body.Close()
	e.Sent, e.Status = true, resp.StatusCode
	e.RequestID = c.scrub.clean(resp.Header.Get("X-Request-Id"), maxWord)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		e.Date = date.UTC()
	}
	body, err := readBody(resp)
	if err != nil {
		e.cause = c.safe(err)
		return answer{}, &e
	}
	if e.Status < 200 || e.Status > 299 {
		e.RetryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
		c.explain(&e, body)
		return answer{}, &e
	}
	return answer{err: e, body: body}, nil
}

func (c *Client) request(ctx context.Context, k call) *http.Request {
	u := *c.base
	u.Path, u.RawQuery = k.path, k.query.Encode()
	req := (&http.Request{
		Method: k.method, URL: &u, Host: u.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	for name, values := range k.header {
		req.Header[name] = values
	}
	if k.body != nil {
		// Without GetBody no transport can send the body a second time.
		req.Body = io.NopCloser(bytes.NewReader(k.body))
		req.ContentLength = int64(len(k.body))
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+c.key.reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", c.agent)
	return req
}

func readBody(resp *http.Response) ([]byte, error) {
	if resp.StatusCode < 200 {
		// After a 101 the connection is handed over, and no deadline would
		// end a read from it.
		return nil, errors.New("answer switches protocols")
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("answer is longer than %d bytes", maxBody)
	}
	return body, nil
}

// safe hides what an error of the transport may repeat: the proxy's URL with
// its password, or bytes of the answer.
func (c *Client) safe(err error) error {
	return scrubbed{text: c.scrub.clean(err.Error(), maxMessage), err: err}
}
