package dashscope_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/dashscope"
)

// recording serves one fixed answer and keeps the last request.
func recording(t *testing.T, header *http.Header, body *[]byte, answer string) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*header = r.Header
		*body, _ = io.ReadAll(r.Body)
		io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// slow serves a header at once and the end of the body never.
func slow(t *testing.T, stop <-chan struct{}) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"output":`)
		w.(http.Flusher).Flush()
		<-stop
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// rawServer accepts connections and hands each to serve, one after another.
type rawServer struct {
	net.Listener
	accepted atomic.Int32
	done     chan struct{}
}

func listen(t *testing.T, serve func(net.Conn)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{Listener: l, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-s.done })
	return s
}

func (s *rawServer) url() string { return "http://" + s.Addr().String() }

// hangUp ends a connection in one of the two ways TCP knows.
func hangUp(conn net.Conn, reset bool) {
	if reset {
		conn.(*net.TCPConn).SetLinger(0)
	}
	conn.Close()
}

// readRequest reads one whole request and returns its bytes.
func readRequest(conn net.Conn) []byte {
	var seen bytes.Buffer
	req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &seen)))
	if err != nil {
		return nil
	}
	io.Copy(io.Discard, req.Body)
	return seen.Bytes()
}

func requestLength(t *testing.T) int {
	t.Helper()
	length := make(chan int, 1)
	s := listen(t, func(conn net.Conn) { length <- len(readRequest(conn)) })
	newClient(t, dashscope.Config{BaseURL: s.url()}).Create(t.Context(), pair)
	return <-length
}

func TestRequestCutAtEveryByte(t *testing.T) {
	n := requestLength(t)
	if n < 300 {
		t.Fatalf("request of %d bytes", n)
	}
	for _, reset := range []bool{false, true} {
		var cut atomic.Int64
		s := listen(t, func(conn net.Conn) {
			io.ReadFull(conn, make([]byte, cut.Load()))
			hangUp(conn, reset)
		})
		c := newClient(t, dashscope.Config{BaseURL: s.url()})
		for k := range n + 1 {
			cut.Store(int64(k))
			before := s.accepted.Load()
			created, err := c.Create(t.Context(), pair)
			var e *dashscope.Error
			errors.As(err, &e)
			if resetWhileDialling := k == 0 && reset && e != nil && !e.Sent; resetWhileDialling {
				continue
			}
			if e == nil || !e.MayHaveExecuted() {
				t.Fatalf("cut after request byte %d, reset %v: got %v, %v; want in doubt", k, reset, created, err)
			}
			if got := s.accepted.Load() - before; got != 1 {
				t.Fatalf("cut after request byte %d, reset %v: %d connections, want 1", k, reset, got)
			}
		}
	}
}

// response renders an answer in each of HTTP's three framings.
func response(framing string, status int, body string) string {
	head := fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\n", status)
	switch framing {
	case "length":
		return head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	case "chunked":
		return head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	return head + "\r\n" + body
}

func TestResponseCutAtEveryByte(t *testing.T) {
	accepted := strings.Join(strings.Fields(golden(t, "created.json")), "")
	refused := `{"code":"Throttling.RateQuota","message":"m"}`
	for _, framing := range []string{"length", "chunked", "close"} {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reset=%v", framing, reset), func(t *testing.T) {
				cutResponses(t, response(framing, 200, accepted), reset, func(whole bool, created dashscope.Created, e *dashscope.Error) bool {
					return whole && e == nil && created.TaskID == goodID || !(whole && !reset) && e != nil && e.MayHaveExecuted()
				})
				cutResponses(t, response(framing, 429, refused), reset, func(whole bool, _ dashscope.Created, e *dashscope.Error) bool {
					return e != nil && (whole && !e.MayHaveExecuted() || !(whole && !reset) && e.MayHaveExecuted())
				})
			})
		}
	}
}

// cutResponses cuts text after every byte and asks right about the outcome.
// After a reset even a whole answer may be lost, which must then be in doubt.
func cutResponses(t *testing.T, text string, reset bool, right func(whole bool, created dashscope.Created, e *dashscope.Error) bool) {
	var cut atomic.Int64
	s := listen(t, func(conn net.Conn) {
		readRequest(conn)
		io.WriteString(conn, text[:cut.Load()])
		hangUp(conn, reset)
	})
	c := newClient(t, dashscope.Config{BaseURL: s.url()})
	for k := range len(text) + 1 {
		cut.Store(int64(k))
		before := s.accepted.Load()
		created, err := c.Create(t.Context(), pair)
		var e *dashscope.Error
		errors.As(err, &e)
		if !right(k == len(text), created, e) {
			t.Fatalf("cut after response byte %d of %d: got %v, %v", k, len(text), created, err)
		}
		if got := s.accepted.Load() - before; got != 1 {
			t.Fatalf("cut after response byte %d: %d connections, want 1", k, got)
		}
	}
}

func TestNoConnectionIsProof(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "127.0.0.1:" + fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	plain := listen(t, func(conn net.Conn) { conn.Close() })
	tests := []struct {
		name string
		cfg  dashscope.Config
	}{
		{"refused", dashscope.Config{BaseURL: "http://" + closed}},
		{"no such host", dashscope.Config{BaseURL: "https://host.invalid", Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "host.invalid", IsNotFound: true}
			},
		}}},
		{"tls", dashscope.Config{BaseURL: "https://" + plain.Addr().String()}},
		{"wrapped transport", dashscope.Config{BaseURL: "http://" + closed, Transport: wrapped{&http.Transport{}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newClient(t, tt.cfg).Create(t.Context(), pair)
			var e *dashscope.Error
			if !errors.As(err, &e) || e.Sent || e.MayHaveExecuted() {
				t.Errorf("got %v, want proof that nothing was sent", err)
			}
		})
	}
}

// wrapped hides the type of a transport.
type wrapped struct{ http.RoundTripper }

// mute is a transport that fails and tells nothing of what it did.
type mute struct{}

func (mute) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("gone") }

func TestSilentTransportLeavesDoubt(t *testing.T) {
	_, err := newClient(t, dashscope.Config{BaseURL: "https://h", Transport: mute{}}).Create(t.Context(), pair)
	var e *dashscope.Error
	if !errors.As(err, &e) || !e.MayHaveExecuted() {
		t.Errorf("got %v", err)
	}
}

func TestUselessSuccessIsInDoubt(t *testing.T) {
	for _, body := range []string{
		``, `{}`, `null`, `<html>`, `{"output":{"task_id":""}}`, `{"output":{"task_id":"../x"}}`, `{"output":{"task_id":"a\r\nb"}}`,
		`{"output":{"task_id":"` + strings.Repeat("a", 65) + `"}}`, `{"output":{"task_id":{}}}`, `{"output":{"task_id":"a"}`,
		`{"code":"InvalidParameter","message":"in a 200"}`,
	} {
		_, err := answering(t, canned{status: 200, body: body}).Create(t.Context(), pair)
		var e *dashscope.Error
		if !errors.As(err, &e) || !e.MayHaveExecuted() {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{"/elsewhere", "http://127.0.0.1:1/x?token=secret", "%zz?token=secret", ""} {
			var requests atomic.Int32
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", location)
				w.WriteHeader(status)
			})
			_, err := c.Create(t.Context(), pair)
			var e *dashscope.Error
			if !errors.As(err, &e) || !e.MayHaveExecuted() || e.Class() != dashscope.ClassConfig || strings.Contains(err.Error(), "secret") {
				t.Errorf("%d: create: got %v", status, err)
			}
			if _, err := c.Query(t.Context(), goodID); err == nil {
				t.Errorf("%d: query succeeded", status)
			}
			if got := requests.Load(); got != 2 {
				t.Errorf("%d to %q: %d requests, want 2", status, location, got)
			}
		}
	}
}

// A server that drops every second request of a connection tempts net/http to
// send the POST again on a new one.
func TestDeadKeepAliveIsNotReplayed(t *testing.T) {
	transports := map[string]http.RoundTripper{"default": nil, "given": &http.Transport{}, "opaque": wrapped{&http.Transport{}}}
	for name, rt := range transports {
		t.Run(name, func(t *testing.T) {
			var posts atomic.Int32
			s := listen(t, func(conn net.Conn) {
				r := bufio.NewReader(conn)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if req.Method == "POST" {
						posts.Add(1)
						for name := range req.Header {
							if strings.Contains(strings.ToLower(name), "idempotency") {
								t.Errorf("header %s", name)
							}
						}
						return
					}
					io.WriteString(conn, response("length", 200, `{"total":0,"data":[]}`))
					if name != "opaque" {
						return // a pooled connection that is dead by now
					}
				}
			})
			c := newClient(t, dashscope.Config{BaseURL: s.url(), Transport: rt})
			if _, err := c.List(t.Context(), dashscope.ListRequest{}); err != nil {
				t.Fatal(err)
			}
			_, err := c.Create(t.Context(), pair)
			var e *dashscope.Error
			if !errors.As(err, &e) || !e.MayHaveExecuted() {
				t.Errorf("got %v", err)
			}
			if posts.Load() != 1 {
				t.Errorf("%d POSTs, want 1", posts.Load())
			}
		})
	}
}

func TestPostsUseAFreshHTTP1Connection(t *testing.T) {
	var seen []string
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, fmt.Sprint(r.Method, " ", r.ProtoMajor, " ", r.RemoteAddr))
		switch {
		case strings.HasSuffix(r.URL.Path, "cancel"):
			io.WriteString(w, `{"request_id":"r"}`)
		case r.Method == "POST":
			io.WriteString(w, golden(t, "created.json"))
		default:
			io.WriteString(w, `{"total":0,"data":[]}`)
		}
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	given := srv.Client().Transport.(*http.Transport).Clone()
	given.ForceAttemptHTTP2 = true
	c := newClient(t, dashscope.Config{BaseURL: srv.URL, Transport: given})
	for range 2 {
		if _, err := c.List(t.Context(), dashscope.ListRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Create(t.Context(), pair); err != nil {
			t.Fatal(err)
		}
		if err := c.Cancel(t.Context(), goodID); err != nil {
			t.Fatal(err)
		}
	}
	addresses := map[string]bool{}
	for _, line := range seen {
		method, rest, _ := strings.Cut(line, " ")
		proto, addr, _ := strings.Cut(rest, " ")
		if method == "POST" && (proto != "1" || addresses[addr]) {
			t.Errorf("%s: want HTTP/1 on a connection of its own\n%s", line, strings.Join(seen, "\n"))
		}
		addresses[addr] = true
	}
}

func TestSwitchingProtocolsDoesNotHang(t *testing.T) {
	s := listen(t, func(conn net.Conn) {
		readRequest(conn)
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		io.Copy(io.Discard, conn) // until the client hangs up
	})
	start := time.Now()
	_, err := newClient(t, dashscope.Config{BaseURL: s.url()}).Create(t.Context(), pair)
	var e *dashscope.Error
	if !errors.As(err, &e) || !e.MayHaveExecuted() {
		t.Errorf("got %v", err)
	}
	if time.Since(start) > 20*time.Second {
		t.Error("hung")
	}
}
