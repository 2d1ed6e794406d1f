package fetch_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/fetch"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret stands in every query and must never come back in a text.
const secret = "SIGNEDcanary%2B7f3a"

const target = "videos/a.mp4"

func box(kind string, parts ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, 0)
	b = append(b, kind...)
	for _, p := range parts {
		b = append(b, p...)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func words(n ...uint32) (b []byte) {
	for _, v := range n {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// movie returns an MP4 of five seconds whose payload depends on seed.
func movie(payload int, seed uint64) []byte {
	noise := make([]byte, payload)
	rng := rand.New(rand.NewPCG(seed, 1))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	mvhd := box("mvhd", words(0, 0, 0, 1000, 5000), make([]byte, 80))
	tkhd := box("tkhd", words(7, 0, 0, 1, 0, 5000), make([]byte, 16), words(1<<16, 0, 0, 0, 1<<16, 0, 0, 0, 1<<30, 720<<16, 960<<16))
	mdhd := box("mdhd", words(0, 0, 0, 1000, 5000, 0))
	hdlr := box("hdlr", words(0, 0), []byte("vide"), make([]byte, 13))
	avc1 := box("avc1", make([]byte, 24), []byte{2, 208, 3, 192}, make([]byte, 50))
	stbl := box("stbl", box("stsd", words(0, 1), avc1), box("stts", words(0, 1, 75, 1000/15)))
	trak := box("trak", tkhd, box("mdia", mdhd, hdlr, box("minf", stbl)))
	return append(append(box("ftyp", []byte("isom"), words(0)), box("moov", mvhd, trak)...), box("mdat", noise)...)
}

// store is a result store that does what a test tells it.
type store struct {
	*httptest.Server
	mu       sync.Mutex
	object   []byte
	etag     string
	framing  string // length, chunked, close
	noCRC    bool
	crc      string // overrides the true one
	noRange  bool
	cut      int // of the next answer, after so many bytes; -1 never
	sent     int
	requests []http.Header
	before   func(w http.ResponseWriter, r *http.Request) bool // true: answered
}

func newStore(t *testing.T, object []byte) *store {
	t.Helper()
	s := &store{object: object, etag: `"0A1B2C3D4E5F60718293A4B5C6D7E8F9"`, framing: "length", cut: -1}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// rest waits for the answer under way: a client may be done before it is.
func (s *store) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
}

// place returns an output folder whose fetcher trusts this store.
func (s *store) place(t *testing.T, cfg fetch.Config) *place {
	t.Helper()
	cfg.Trusted = s.URL + "/api/v1"
	p := newPlace(t, cfg)
	p.rest = s.rest
	return p
}

func (s *store) url() string {
	return s.URL + "/1d/aa/clip.mp4?Expires=1777946539&OSSAccessKeyId=E&Signature=" + secret
}

func (s *store) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Header.Clone())
	if s.before != nil && s.before(w, r) {
		return
	}
	if r.Method != "GET" {
		http.Error(w, "<Code>SignatureDoesNotMatch</Code>", http.StatusForbidden)
		return
	}
	h, first, status := w.Header(), 0, 200
	if s.etag != "" {
		h.Set("ETag", s.etag)
	}
	if s.crc != "" {
		h.Set("X-Oss-Hash-Crc64ecma", s.crc)
	} else if !s.noCRC {
		h.Set("X-Oss-Hash-Crc64ecma", fmt.Sprint(crc64.Checksum(s.object, crc64.MakeTable(crc64.ECMA))))
	}
	if rng := r.Header.Get("Range"); rng != "" && !s.noRange && (r.Header.Get("If-Range") == s.etag) {
		fmt.Sscanf(rng, "bytes=%d-", &first)
		if first >= len(s.object) {
			w.WriteHeader(416)
			return
		}
		status = 206
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(s.object)-1, len(s.object)))
	}
	s.write(w, status, s.object[first:])
}

func (s *store) write(w http.ResponseWriter, status int, body []byte) {
	switch s.framing {
	case "length":
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	case "close":
		w.Header().Set("Connection", "close")
		w.Header().Set("Transfer-Encoding", "identity")
	}
	w.WriteHeader(status)
	n := len(body)
	if s.cut >= 0 && s.cut < n {
		n = s.cut
	}
	w.Write(body[:n])
	w.(http.Flusher).Flush()
	s.sent += n
	if s.cut >= 0 {
		s.cut = -1
		if s.framing != "close" { // there the end of the connection is all there is
			panic(http.ErrAbortHandler)
		}
	}
}

// place is an output folder with a fetcher.
type place struct {
	t    *testing.T
	dir  string
	root *os.Root
	rest func()
	*fetch.Fetcher
}

func newPlace(t *testing.T, cfg fetch.Config) *place {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := fetch.New(cfg)
	t.Cleanup(func() { f.Close(); root.Close() })
	return &place{t, dir, root, func() {}, f}
}

func (p *place) get(url string) (fetch.Artifact, error) {
	a, err := p.Fetch(p.t.Context(), disk.Dir(p.root), target, url, nil)
	p.rest()
	if err != nil {
		for _, s := range []string{secret, "Signature", "OSSAccessKeyId", "canary"} {
			if strings.Contains(err.Error(), s) {
				p.t.Errorf("leaks %s: %v", s, err)
			}
		}
	}
	return a, err
}

// names lists the output folder.
func (p *place) names() string {
	entries, _ := os.ReadDir(filepath.Join(p.dir, "videos"))
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func (p *place) path(name string) string { return filepath.Join(p.dir, "videos", name) }

// wantFile checks that the file alone stands there, whole.
func (p *place) wantFile(want []byte) {
	p.t.Helper()
	got, err := os.ReadFile(p.path("a.mp4"))
	if err != nil || string(got) != string(want) {
		p.t.Errorf("file of %d bytes, want %d: %v", len(got), len(want), err)
	}
	if p.names() != "a.mp4" {
		p.t.Errorf("folder holds %s", p.names())
	}
}

func (p *place) wantNoFile() {
	p.t.Helper()
	if _, err := os.Lstat(p.path("a.mp4")); err == nil {
		p.t.Error("a file stands under its final name")
	}
}
