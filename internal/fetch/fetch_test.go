package fetch_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/fetch"
)

func TestFetch(t *testing.T) {
	for _, framing := range []string{"length", "chunked", "close"} {
		for _, noCRC := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s noCRC=%v", framing, noCRC), func(t *testing.T) {
				object := movie(600_000, 1)
				s := newStore(t, object)
				s.framing, s.noCRC = framing, noCRC
				p := s.place(t, fetch.Config{})
				var done, total int64
				got, err := p.Fetch(t.Context(), disk.Dir(p.root), target, s.url(), func(d, n int64) {
					if d <= done {
						t.Errorf("progress went from %d to %d", done, d)
					}
					done, total = d, n
				})
				if err != nil {
					t.Fatal(err)
				}
				want := fetch.Artifact{
					Bytes: int64(len(object)), SHA256: fmt.Sprintf("%x", sha256.Sum256(object)),
					CRC64: fmt.Sprint(crc64.Checksum(object, crc64.MakeTable(crc64.ECMA))), Duration: 5 * time.Second,
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				p.wantFile(object)
				if done != want.Bytes || framing == "length" && total != want.Bytes || framing != "length" && total != 0 {
					t.Errorf("progress ended at %d of %d", done, total)
				}
			})
		}
	}
}

func TestRequestCarriesNothingElse(t *testing.T) {
	s := newStore(t, movie(10, 1))
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/elsewhere" {
			return false
		}
		w.Header().Set("Set-Cookie", "a=b")
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		return true
	}
	p := s.place(t, fetch.Config{})
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	want := http.Header{"Accept-Encoding": {"identity"}, "User-Agent": {"wanbatch"}}
	for i, got := range s.requests {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", i, diff)
		}
	}
	if len(s.requests) != 2 {
		t.Errorf("%d requests", len(s.requests))
	}
}

func TestCutTransferResumes(t *testing.T) {
	object := movie(500_000, 2)
	for _, framing := range []string{"length", "chunked", "close"} {
		for _, noCRC := range []bool{false, true} {
			for _, cut := range []int{0, 1, 100_000, len(object) / 2, len(object) - 1, len(object)} {
				t.Run(fmt.Sprintf("%s noCRC=%v cut=%d", framing, noCRC, cut), func(t *testing.T) {
					s := newStore(t, object)
					s.framing, s.noCRC, s.cut = framing, noCRC, cut
					p := s.place(t, fetch.Config{})
					if _, err := p.get(s.url()); err != nil {
						p.wantNoFile()
						s.sent = 0
						if _, err := p.get(s.url()); err != nil {
							t.Fatal(err)
						}
					} else if cut < len(object) {
						t.Fatal("a cut transfer passed")
					}
					p.wantFile(object)
					if allowed := len(object) - cut + 1; framing == "length" && cut < len(object) && s.sent > allowed {
						t.Errorf("fetched %d more bytes, want at most %d", s.sent, allowed)
					}
				})
			}
		}
	}
}

// interrupted returns a place that holds the first half of object.
func interrupted(t *testing.T, s *store) *place {
	t.Helper()
	p := s.place(t, fetch.Config{})
	s.cut = len(s.object) / 2
	if _, err := p.get(s.url()); err == nil {
		t.Fatal("a cut transfer passed")
	}
	if got := p.names(); got != "a.mp4.part a.mp4.tag.part" {
		t.Fatalf("folder holds %s", got)
	}
	s.requests, s.sent = nil, 0
	return p
}

func TestVersionsAreNeverSpliced(t *testing.T) {
	first, second := movie(400_000, 1), movie(400_000, 2)
	longer := movie(400_100, 3)
	tests := []struct {
		name   string
		change func(*store)
		want   []byte
	}{
		{"same", func(*store) {}, first},
		{"other ETag", func(s *store) { s.object, s.etag = second, `"OTHER"` }, second},
		{"other CRC under the same ETag", func(s *store) { s.object = second }, second},
		{"other length under the same ETag", func(s *store) { s.object = longer }, longer},
		{"range ignored", func(s *store) { s.noRange = true }, first},
		{"range ignored, other object", func(s *store) { s.noRange, s.object = true, second }, second},
		{"shorter than the part", func(s *store) { s.object = movie(100, 4) }, movie(100, 4)},
		{"ETag gone", func(s *store) { s.object, s.etag = second, "" }, second},
		{"weak ETag", func(s *store) { s.object, s.etag = second, `W/"x"` }, second},
	}
	for _, noCRC := range []bool{false, true} {
		for _, tt := range tests {
			if noCRC && strings.Contains(tt.name, "other CRC") {
				continue
			}
			t.Run(fmt.Sprintf("%s noCRC=%v", tt.name, noCRC), func(t *testing.T) {
				s := newStore(t, first)
				s.noCRC = noCRC
				p := interrupted(t, s)
				tt.change(s)
				a, err := p.get(s.url())
				if err != nil {
					t.Fatal(err)
				}
				p.wantFile(tt.want)
				if a.SHA256 != fmt.Sprintf("%x", sha256.Sum256(tt.want)) {
					t.Error("SHA-256 is of something else")
				}
				if s.requests[0].Get("If-Range") == "" || s.requests[0].Get("Range") == "" {
					t.Errorf("first request %v", s.requests[0])
				}
			})
		}
	}
}

func TestOddRangesStartOver(t *testing.T) {
	object := movie(400_000, 1)
	n := len(object)
	tests := []struct {
		header string
		from   int // of the body
	}{
		{"", n / 2}, {fmt.Sprintf("bytes */%d", n), n / 2}, {"bytes x", n / 2}, {"items 1-2/3", n / 2}, {"bytes 99999999999999999999-1/2", n / 2},
		{fmt.Sprintf("bytes 0-%d/%d", n-1, n), 0},
		{fmt.Sprintf("bytes %d-%d/%d", n/2+1, n-1, n), n/2 + 1},
		{fmt.Sprintf("bytes %d-%d/*", n/2, n-1), n / 2},
		{fmt.Sprintf("bytes %d-%d/%d", n/2, n, n), n / 2},
		{fmt.Sprintf("bytes %d-%d/%d", n/2, n/2-1, n), n / 2},
		{fmt.Sprintf("bytes %d-%d/%d", n/2, n-1, n+1), n / 2},
	}
	for _, tt := range tests {
		s := newStore(t, object)
		p := interrupted(t, s)
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") == "" {
				return false
			}
			if tt.header != "" {
				w.Header().Set("Content-Range", tt.header)
			}
			w.WriteHeader(206)
			w.Write(object[tt.from:])
			return true
		}
		if _, err := p.get(s.url()); err != nil {
			t.Errorf("%q: %v", tt.header, err)
		}
		p.wantFile(object)
		if len(s.requests) != 2 {
			t.Errorf("%q: %d requests, want a second one for the whole", tt.header, len(s.requests))
		}
	}
}

// A store may answer with less than the rest. Nothing is wrong with that but
// that the file is not complete.
func TestShortRangeIsNoEnd(t *testing.T) {
	for _, noCRC := range []bool{false, true} {
		s := newStore(t, movie(400_000, 1))
		s.noCRC = noCRC
		p := interrupted(t, s)
		half := len(s.object) / 2
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", half, half+999, len(s.object)))
			w.WriteHeader(206)
			w.Write(s.object[half : half+1000])
			return true
		}
		if _, err := p.get(s.url()); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, fetch.ErrCorrupt) {
			t.Errorf("got %v", err)
		}
		p.wantNoFile()
		s.before, s.sent = nil, 0
		if _, err := p.get(s.url()); err != nil {
			t.Fatal(err)
		}
		p.wantFile(s.object)
		if s.sent > half {
			t.Errorf("fetched %d bytes again", s.sent)
		}
	}
}

// A store that ignores If-Range but names another version is believed.
func TestRangeOfAnotherVersionStartsOver(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	s.noCRC = true
	p := interrupted(t, s)
	half := len(s.object) / 2
	s.object, s.etag = movie(400_000, 2), `"OTHER"`
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Range") == "" {
			return false
		}
		w.Header().Set("ETag", s.etag)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", half, len(s.object)-1, len(s.object)))
		w.WriteHeader(206)
		w.Write(s.object[half:])
		return true
	}
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
}

func TestLoweredLimitHoldsForAResume(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	p := interrupted(t, s)
	p.Fetcher = fetch.New(fetch.Config{Trusted: s.URL, MaxBytes: 300_000})
	defer p.Close()
	if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	p.wantNoFile()
}

func TestOverlongPartStartsOver(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	s.noCRC = true
	p := interrupted(t, s)
	if err := os.WriteFile(p.path("a.mp4.part"), make([]byte, len(s.object)+1), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
}

func TestDamagedPartIsFoundOut(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	p := interrupted(t, s)
	b, err := os.ReadFile(p.path("a.mp4.part"))
	if err != nil {
		t.Fatal(err)
	}
	clear(b[len(b)/2:]) // a hole, as a power cut leaves it
	if err := os.WriteFile(p.path("a.mp4.part"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
	if p.names() != "" {
		t.Errorf("folder holds %s", p.names())
	}
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
}

func TestWholePartNeedsOneByte(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	p := interrupted(t, s)
	if err := os.WriteFile(p.path("a.mp4.part"), s.object, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
	if s.sent != 1 {
		t.Errorf("fetched %d bytes", s.sent)
	}
}

func TestBadTagsAreIgnored(t *testing.T) {
	for _, text := range []string{"", "{", "null", `{"length":-5,"etag":"x"}`, `{"length":9e30}`, strings.Repeat("[", 10000), `{"etag":"\"x\"","length":1}`} {
		s := newStore(t, movie(1000, 1))
		p := interrupted(t, s)
		if err := os.WriteFile(p.path("a.mp4.tag.part"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := p.get(s.url()); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		p.wantFile(s.object)
		if s.requests[0].Get("Range") != "" {
			t.Errorf("%s: resumed", text)
		}
	}
}

func TestBadArtifactsAreThrownAway(t *testing.T) {
	good := movie(300_000, 1)
	tests := []struct {
		name   string
		change func(*store)
		max    int64
	}{
		{"wrong CRC", func(s *store) { s.crc = "12345" }, 0},
		{"html page", func(s *store) { s.object = []byte("<html>sign in</html>") }, 0},
		{"empty", func(s *store) { s.object = nil }, 0},
		{"cut at the store", func(s *store) { s.object = good[:len(good)-1] }, 0},
		{"too large, announced", func(*store) {}, 1000},
		{"too large, found out", func(s *store) { s.framing = "chunked" }, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t, good)
			tt.change(s)
			p := s.place(t, fetch.Config{MaxBytes: tt.max})
			if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrCorrupt) || errors.Is(err, fetch.ErrDisk) {
				t.Errorf("got %v, want ErrCorrupt", err)
			}
			if p.names() != "" {
				t.Errorf("folder holds %s", p.names())
			}
			if tt.max > 0 && s.sent > 0 && s.framing == "length" && len(s.requests) != 1 {
				t.Errorf("%d requests", len(s.requests))
			}
		})
	}
}

func TestEncodedAnswersAreRefused(t *testing.T) {
	s := newStore(t, movie(10, 1))
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Encoding", "gzip")
		return false
	}
	if _, err := s.place(t, fetch.Config{}).get(s.url()); err == nil || errors.Is(err, fetch.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestStatuses(t *testing.T) {
	const xml = `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Request has expired.</Message><StringToSign>canary</StringToSign></Error>`
	for status, forbidden := range map[int]bool{403: true, 404: true, 410: true, 400: false, 416: false, 429: false, 500: false, 503: false, 204: false, 206: false, 304: false} {
		s := newStore(t, movie(10, 1))
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			if status >= 400 {
				fmt.Fprint(w, xml)
			}
			return true
		}
		p := s.place(t, fetch.Config{})
		_, err := p.get(s.url())
		if err == nil || errors.Is(err, fetch.ErrForbidden) != forbidden || errors.Is(err, fetch.ErrDisk) || errors.Is(err, fetch.ErrCorrupt) {
			t.Errorf("%d: got %v", status, err)
		}
		if status >= 400 && !strings.Contains(err.Error(), fmt.Sprintf("%d AccessDenied", status)) {
			t.Errorf("%d: got %v", status, err)
		}
		if p.names() != "" {
			t.Errorf("%d: folder holds %s", status, p.names())
		}
	}
}

func TestForbiddenKeepsThePart(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	p := interrupted(t, s)
	s.before = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(403); return true }
	if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrForbidden) {
		t.Fatal(err)
	}
	s.before = nil
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
	if s.sent > len(s.object)/2+1 {
		t.Errorf("fetched %d bytes", s.sent)
	}
}

func TestStalledTransferEnds(t *testing.T) {
	s := newStore(t, movie(300_000, 1))
	hold := make(chan struct{})
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(s.object)))
		w.Write(s.object[:1000])
		w.(http.Flusher).Flush()
		<-hold
		return true
	}
	p := s.place(t, fetch.Config{Stall: 50 * time.Millisecond})
	_, err := p.Fetch(t.Context(), disk.Dir(p.root), target, s.url(), nil)
	close(hold)
	if err == nil || !strings.Contains(err.Error(), "no progress") {
		t.Errorf("got %v", err)
	}
}

func TestContextEndsATransfer(t *testing.T) {
	s := newStore(t, movie(300_000, 1))
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(s.object)))
		w.Write(s.object[:1000])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
		return true
	}
	p := s.place(t, fetch.Config{})
	if _, err := p.Fetch(ctx, disk.Dir(p.root), target, s.url(), nil); !errors.Is(err, context.Canceled) || errors.Is(err, fetch.ErrDisk) {
		t.Errorf("got %v", err)
	}
}

func TestSwitchingProtocolsDoesNotHang(t *testing.T) {
	s := newStore(t, nil)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return true
		}
		fmt.Fprint(conn, "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		conn.(*net.TCPConn).CloseWrite()
		conn.Close()
		return true
	}
	if _, err := s.place(t, fetch.Config{}).get(s.url()); err == nil {
		t.Error("a 101 passed")
	}
}

func TestExistingFileIsReplacedAtTheEnd(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	p := s.place(t, fetch.Config{})
	if err := os.Mkdir(p.path(""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("a.mp4"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.cut = 1000
	if _, err := p.get(s.url()); err == nil {
		t.Fatal("cut")
	}
	if b, _ := os.ReadFile(p.path("a.mp4")); string(b) != "old" {
		t.Errorf("file is now %q", b)
	}
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
}

func TestExpiresAndRedact(t *testing.T) {
	tests := []struct {
		url  string
		want time.Time
	}{
		{"http://h/clip.mp4?Expires=1777946539&Signature=x", time.Unix(1777946539, 0).UTC()},
		{"http://h/clip.mp4?a=%zz&Expires=1777946539", time.Unix(1777946539, 0).UTC()},
		{"http://h/clip.mp4", time.Time{}}, {"http://h/?Expires=soon", time.Time{}}, {"http://h/?Expires=-1", time.Time{}},
		{"http://h/?Expires=0", time.Time{}}, {"http://h/?Expires=999999999999999", time.Time{}}, {"://", time.Time{}},
	}
	for _, tt := range tests {
		if got, ok := fetch.Expires(tt.url); !got.Equal(tt.want) || ok == tt.want.IsZero() {
			t.Errorf("Expires(%s) = %v, %v", tt.url, got, ok)
		}
	}
	for in, want := range map[string]string{
		"https://u:p@h.com:8443/a/b%20c.mp4?Signature=x#y": "https://h.com:8443/a/b%20c.mp4",
		"oss://bucket/key?x=1":                             "oss://bucket/key",
		"not a url?Signature=x":                            "(not a URL)", "": "(not a URL)", "http://h/\x1b[0m?x": "(not a URL)",
	} {
		if got := fetch.Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("https://h/a?Signature=canary")
	f.Add("https://u:canary@h/a#canary")
	f.Add("http://[::1%25canary]/x")
	f.Add("//0/0@")
	f.Fuzz(func(t *testing.T, s string) {
		got := fetch.Redact(s)
		if strings.ContainsAny(got, "?#\x00\x1b\n") || len([]rune(got)) > 300 {
			t.Errorf("Redact(%q) = %q", s, got)
		}
		fetch.Expires(s)
	})
}
