package media_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/media"
)

// library serves one file, counts what was asked of it, and may be told to misbehave.
type library struct {
	file []byte
	odd  func(w http.ResponseWriter, r *http.Request) bool // answers instead if it returns true

	mu       sync.Mutex
	requests []*http.Request
}

func (l *library) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.requests = append(l.requests, r)
	l.mu.Unlock()
	if l.odd != nil && l.odd(w, r) {
		return
	}
	w.Header().Set("Etag", `"one"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(l.file))
}

// serve starts a library and returns the URL of its file, whose query is a secret.
func serve(t *testing.T, l *library) string {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return server.URL + "/v.mp4?Signature=" + secret
}

const secret = "c4n4ry"

// sized is a clip with 2 MB of samples.
func sized(moovLast bool) []byte {
	samples := box("mdat", zeros(2<<20))
	if moovLast {
		return cat(usual().ftyp(), samples, usual().moov())
	}
	return cat(usual().ftyp(), usual().moov(), samples)
}

func TestRemoteVideo(t *testing.T) {
	large := with(func(c *clip) { c.mvex = box("free", zeros(200_000)) }) // an index as of many small frames
	fragments := cat(usual().ftyp(), empty().moov())
	for range 15 {
		fragments = cat(fragments, fragment(full("tfhd", 0, 8, u32(7), u32(1000)), full("trun", 0, 0, u32(30))), box("mdat", zeros(300_000)))
	}
	tests := []struct {
		name     string
		file     []byte
		length   time.Duration
		requests int   // at most
		fetched  int64 // at most
	}{
		{"moov first", sized(false), 5200 * time.Millisecond, 2, 128 << 10},
		{"moov last", sized(true), 5200 * time.Millisecond, 2, 128 << 10},
		{"large moov last", cat(large.ftyp(), box("mdat", zeros(9<<20)), large.moov()), 5200 * time.Millisecond, 3, 300 << 10},
		{"small file", cat(usual().ftyp(), usual().moov(), mdat), 5200 * time.Millisecond, 1, 64 << 10},
		{"fragments", fragments, 30 * time.Second, 20, 300 << 10},
		{"avi", usualAVI().file(), 10010 * time.Millisecond, 1, 64 << 10},
	}
	for _, tt := range tests {
		l := &library{file: tt.file}
		f, err := media.OpenRemote(t.Context(), http.DefaultClient, serve(t, l))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got, err := media.ReadVideo(f, f.Size())
		if err != nil || got.Duration != tt.length {
			t.Errorf("%s: %+v, %v; want %v", tt.name, got, err, tt.length)
		}
		if len(l.requests) > tt.requests || f.Fetched() > tt.fetched {
			t.Errorf("%s: %d bytes in %d requests; want at most %d in %d", tt.name, f.Fetched(), len(l.requests), tt.fetched, tt.requests)
		}
		local, err := media.ReadVideo(bytes.NewReader(tt.file), int64(len(tt.file)))
		if err != nil || local != got {
			t.Errorf("%s: from memory it is %+v, %v; from afar %+v", tt.name, local, err, got)
		}
	}
}

func TestRemoteImage(t *testing.T) {
	l := &library{file: cat(encoded(t, encodeJPEG), zeros(3<<20))}
	f, err := media.OpenRemote(t.Context(), http.DefaultClient, serve(t, l))
	if err != nil {
		t.Fatal(err)
	}
	got, err := media.ReadImage(io.NewSectionReader(f, 0, f.Size()))
	if err != nil || got.Width != 40 || len(l.requests) != 1 {
		t.Errorf("%+v, %v, %d requests", got, err, len(l.requests))
	}
}

// A remote file that is cut is seen to be, by its size.
func TestRemoteVideoThatIsCut(t *testing.T) {
	whole := sized(false)
	f, err := media.OpenRemote(t.Context(), http.DefaultClient, serve(t, &library{file: whole[:len(whole)-1]}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := media.ReadVideo(f, f.Size()); !errors.Is(err, media.ErrTruncated) {
		t.Errorf("got %v", err)
	}
}

// endless writes until the reader has enough.
func endless(w http.ResponseWriter, _ *http.Request) {
	block := make([]byte, 32<<10)
	for {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// Whatever a server answers, little is read, and no error repeats the query.
func TestRemoteServersThatMisbehave(t *testing.T) {
	second := func(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasPrefix(r.Header.Get("Range"), "bytes=0-") {
				return false
			}
			answer(w, r)
			return true
		}
	}
	always := func(answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool { answer(w, r); return true }
	}
	partial := func(header string, body int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", header)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(zeros(body))
		}
	}
	file := sized(true)
	tests := []struct {
		name string
		odd  func(http.ResponseWriter, *http.Request) bool
		want error
	}{
		{"no ranges", always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000000")
			w.WriteHeader(200)
		}), media.ErrNoRange},
		{"endless body", always(endless), media.ErrNoRange},
		{"no Content-Range", always(partial("", 100)), media.ErrNoRange},
		{"unknown size", always(partial("bytes 0-99/*", 100)), media.ErrNoRange},
		{"size below the part", always(partial("bytes 0-99/50", 100)), media.ErrNoRange},
		{"another part", always(partial("bytes 50-149/200", 100)), media.ErrNoRange},
		{"less than asked", always(partial("bytes 0-99/200000", 100)), media.ErrNoRange},
		{"negative", always(partial("bytes -5-99/200000", 100)), media.ErrNoRange},
		{"compressed", always(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(206)
		}), media.ErrNoRange},
		{"body that ends early", always(partial("bytes 0-65535/200000", 100)), io.ErrUnexpectedEOF},
		{"forbidden", always(func(w http.ResponseWriter, r *http.Request) { http.Error(w, r.URL.String(), http.StatusForbidden) }), media.StatusError(403)},
		{"empty", always(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(416) }), media.StatusError(416)},
		{"another file later", second(partial("bytes 20971572-20972056/20972057", 485)), media.ErrChanged},
		{"another tag later", second(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"two"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
		}), media.ErrChanged},
		{"loop", always(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }), nil},
		{"garbage", always(func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprintf(c, "hello\r\n\r\n")
				c.Close()
			}
		}), nil},
	}
	for _, tt := range tests {
		l := &library{file: file, odd: tt.odd}
		f, err := media.OpenRemote(t.Context(), http.DefaultClient, serve(t, l))
		if err == nil {
			_, err = media.ReadVideo(f, f.Size())
		}
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || errors.Is(err, media.ErrTruncated) || errors.Is(err, media.ErrFormat) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: the signature is in %q", tt.name, err)
		}
		if len(l.requests) > 4 {
			t.Errorf("%s: %d requests", tt.name, len(l.requests))
		}
	}
}

// An endless body behind a proper head is cut off where the part ends.
func TestRemoteEndlessPart(t *testing.T) {
	head := sized(false)[:64<<10]
	l := &library{odd: func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-65535/%d", len(sized(false))))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(head)
		endless(w, r)
		return true
	}}
	f, err := media.OpenRemote(t.Context(), http.DefaultClient, serve(t, l))
	if err != nil {
		t.Fatal(err)
	}
	got, err := media.ReadVideo(f, f.Size())
	if err != nil || got.Duration != 5200*time.Millisecond || f.Fetched() != 64<<10 {
		t.Errorf("%+v, %v, %d bytes fetched", got, err, f.Fetched())
	}
}

// A file that would take many requests is given up.
func TestRemoteFetchesLittle(t *testing.T) {
	swarm := cat(usual().ftyp(), bytes.Repeat(box("free", zeros(30_000)), 200), usual().moov(), mdat)
	huge := cat(usual().ftyp(), box("mdat", zeros(100_000)), with(func(c *clip) { c.mvex = box("free", zeros(600_000)) }).moov())
	for name, file := range map[string][]byte{"many boxes": swarm, "huge moov": huge} {
		l := &library{file: file}
		f, err := media.OpenRemote(t.Context(), http.DefaultClient, serve(t, l))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := media.ReadVideo(f, f.Size()); !errors.Is(err, media.ErrTooMuch) {
			t.Errorf("%s: %v", name, err)
		}
		if f.Fetched() > 512<<10 || len(l.requests) > 40 {
			t.Errorf("%s: %d bytes in %d requests", name, f.Fetched(), len(l.requests))
		}
	}
}

// The second host of a redirect does not learn where it came from, and hosts are told no cookies.
func TestRemoteRedirect(t *testing.T) {
	target := &library{file: sized(true)}
	address := serve(t, target)
	l := &library{odd: func(w http.ResponseWriter, r *http.Request) bool {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes"})
		http.Redirect(w, r, address, http.StatusFound)
		return true
	}}
	f, err := media.OpenRemote(t.Context(), http.DefaultClient, serve(t, l))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := media.ReadVideo(f, f.Size()); err != nil || got.Duration != 5200*time.Millisecond {
		t.Errorf("%+v, %v", got, err)
	}
	for _, r := range append(target.requests, l.requests...) {
		for _, name := range []string{"Referer", "Cookie", "Authorization"} {
			if v := r.Header.Get(name); v != "" {
				t.Errorf("%s: %s", name, v)
			}
		}
	}
}

func TestRemoteStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &library{odd: func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	}}
	if _, err := media.OpenRemote(ctx, http.DefaultClient, serve(t, l)); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}

func FuzzRemoteAnswers(f *testing.F) {
	f.Add(206, "bytes 0-99/100", 100, "")
	f.Add(206, "bytes 0-65535/9999999", 65536, "gzip")
	f.Add(200, "", 0, "")
	f.Add(206, "bytes 0-9223372036854775806/9223372036854775807", 10, "")
	f.Fuzz(func(t *testing.T, status int, contentRange string, body int, encoding string) {
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status, ContentLength: int64(body), Request: r,
				Header: http.Header{"Content-Range": {contentRange}, "Content-Encoding": {encoding}},
				Body:   io.NopCloser(bytes.NewReader(zeros(max(0, min(body, 1<<20))))),
			}, nil
		})}
		file, err := media.OpenRemote(t.Context(), client, "https://h.example/v.mp4?Signature="+secret)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the signature is in %q", err)
			}
			return
		}
		_, err = media.ReadVideo(file, file.Size())
		if err == nil || file.Fetched() > 512<<10 {
			t.Errorf("%v, %d bytes fetched", err, file.Fetched())
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
