package pipeline_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// shelf serves files by path and counts the requests for each.
type shelf struct {
	files map[string][]byte
	odd   map[string]http.HandlerFunc

	mu    sync.Mutex
	asked map[string]int
	sent  int
}

func newShelf(t *testing.T) (*shelf, *httptest.Server) {
	s := &shelf{files: map[string][]byte{}, odd: map[string]http.HandlerFunc{}, asked: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	s.mu.Unlock()
	if odd := s.odd[r.URL.Path]; odd != nil {
		odd(w, r)
		return
	}
	data, found := s.files[r.URL.Path]
	if !found {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(&counting{w, s}, r, "", time.Time{}, bytes.NewReader(data))
}

func (s *shelf) total() int {
	n := 0
	for _, asked := range s.asked {
		n += asked
	}
	return n
}

// bytes is how much was sent; an answer that was cut off may still be on its way.
func (s *shelf) bytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

type counting struct {
	http.ResponseWriter
	shelf *shelf
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.shelf.mu.Lock()
	c.shelf.sent += n
	c.shelf.mu.Unlock()
	return n, err
}

const signature = "c4n4ryS1gn"

// far makes a manifest that pairs an image with videos, all below base, and signed.
func far(base string, videos ...string) *pipeline.Manifest {
	m := pipeline.NewManifest()
	m.Name, m.Lane.Region = "far", "singapore"
	for i, v := range videos {
		m.Pairs = append(m.Pairs, pipeline.Pair{
			ID: fmt.Sprintf("p%d", i), Image: base + "/a.png?Signature=" + signature, Video: base + v + "?Signature=" + signature,
		})
	}
	return m
}

func planFar(t *testing.T, m *pipeline.Manifest, remote *pipeline.Remote) (*pipeline.Plan, string) {
	t.Helper()
	p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{Remote: remote})
	said := fmt.Sprint(err)
	if err == nil {
		said = strings.Join(p.Warnings(), "\n")
	}
	if strings.Contains(said, signature) {
		t.Errorf("the signature is in:\n%s", said)
	}
	return p, said
}

// Lengths of remote files make estimates exact and holds small, for little data.
func TestRemoteLengths(t *testing.T) {
	s, server := newShelf(t)
	s.files["/a.png"] = still("png", 720, 1280)
	s.files["/first.mp4"] = film{seconds: 5.2, padding: 4 << 20}.bytes()
	s.files["/last.mp4"] = film{seconds: 5.2, padding: 4 << 20, moovLast: true}.bytes()
	s.files["/old.avi"] = film{container: "avi", seconds: 5.2, padding: 4 << 20}.bytes()
	m := far(server.URL, "/first.mp4", "/last.mp4", "/old.avi", "/first.mp4")
	m.Pairs[3].Mode = pipeline.ModePro
	remote := &pipeline.Remote{Trusted: server.URL}
	p, said := planFar(t, m, remote)
	if p == nil || said != "" {
		t.Fatalf("said %q", said)
	}
	for _, j := range jobs(t, p)[:3] {
		if j.Length.Decimal.String() != "5.2" || j.Estimated.Exact().Decimal.String() != "0.624" || j.Hold.String() != "0.84" {
			t.Errorf("%s: length %v, estimated %v, hold %v", j.ID, j.Length, j.Estimated, j.Hold)
		}
	}
	sent := s.bytes()
	if s.asked["/first.mp4"] != 1 || s.asked["/a.png"] != 1 || sent > 4*512<<10 {
		t.Errorf("asked %v, %d bytes", s.asked, sent)
	}

	before := s.total()
	again, _ := planFar(t, m, remote)
	if s.total() != before || jobs(t, again)[1].Length.Decimal.String() != "5.2" {
		t.Errorf("asked again with the same Remote: %v", s.asked)
	}
	offline, _ := planFar(t, m, nil)
	if s.total() != before || jobs(t, offline)[1].Length.Valid {
		t.Errorf("a plan without a Remote used the network: %v", s.asked)
	}
	// The identity of the work does not depend on whether anybody looked.
	if jobs(t, offline)[0].ContentKey != jobs(t, p)[0].ContentKey {
		t.Error("the content key changed")
	}
}

// A remote file that was reached is judged like a local one.
func TestRemoteLimits(t *testing.T) {
	for path, tt := range map[string]struct {
		data []byte
		want string
	}{
		"/long.mp4":  {film{seconds: 31.2}.bytes(), "lasts 31.2 s; at most 30 s"},
		"/wide.mp4":  {film{width: 3000, height: 1080}.bytes(), "is 3000 x 1080 pixels; each side must have 200 to 2048"},
		"/cut.mp4":   {film{}.bytes()[:900], "is cut short"},
		"/text.mp4":  {[]byte("this is no video at all"), "is not a readable video"},
		"/large.mp4": {film{open: true}.bytes(), "is 200000001 bytes; at most 200000000"},
	} {
		s, server := newShelf(t)
		s.files["/a.png"], s.files[path] = still("png", 720, 1280), tt.data
		if path == "/large.mp4" {
			s.odd[path] = func(w http.ResponseWriter, r *http.Request) {
				http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(hollow(tt.data), 0, 200_000_001))
			}
		}
		p, said := planFar(t, far(server.URL, path), &pipeline.Remote{Trusted: server.URL})
		if p != nil || !strings.Contains(said, "pairs[0].video: "+server.URL+path+" "+tt.want) {
			t.Errorf("%s: %q, want %q", path, said, tt.want)
		}
	}
}

// hollow is a file that goes on with zeros for ever.
type hollow []byte

func (h hollow) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(h)) {
		copy(p, h[off:])
	}
	return len(p), nil
}

// What cannot be looked into is a warning: the provider may be able to fetch it.
func TestRemoteThatCannotBeLookedInto(t *testing.T) {
	s, server := newShelf(t)
	s.files["/a.png"] = still("png", 720, 1280)
	private := httptest.NewServer(http.NotFoundHandler())
	defer private.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	endless := func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<15)); err != nil {
				return
			}
		}
	}
	s.odd = map[string]http.HandlerFunc{
		"/endless.mp4": endless,
		"/whole.mp4": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000000")
			_, _ = w.Write(make([]byte, 1<<20))
		},
		"/private.mp4": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, private.URL+"/x.mp4", http.StatusFound)
		},
		"/metadata.mp4": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/x", http.StatusFound)
		},
		"/file.mp4": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		},
		"/gone.mp4":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, gone.URL+"/x.mp4", http.StatusFound) },
		"/denied.mp4": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
	}
	for path, want := range map[string]string{
		"/endless.mp4": "its server does not answer range requests", "/whole.mp4": "its server does not answer range requests",
		"/private.mp4": "its address is not a public one", "/metadata.mp4": "its address is not a public one",
		"/file.mp4": "its address is not a public one", "/gone.mp4": "its address is not a public one",
		"/denied.mp4": "its server answers HTTP 403", "/missing.mp4": "its server answers HTTP 404",
	} {
		p, said := planFar(t, far(server.URL, path), &pipeline.Remote{Trusted: server.URL})
		if p == nil || !strings.Contains(said, server.URL+path+" could not be looked into ("+want+"); the provider fetches it by itself") {
			t.Errorf("%s: %q, want %q", path, said, want)
			continue
		}
		if j := jobs(t, p)[0]; j.Length.Valid || j.Hold.String() != "3.6" {
			t.Errorf("%s: length %v, hold %s", path, j.Length, j.Hold)
		}
	}
	// Without trust, not even the server itself is contacted.
	before := s.total()
	if p, said := planFar(t, far(server.URL, "/a.mp4"), &pipeline.Remote{}); p == nil || !strings.Contains(said, "not a public one") || s.total() != before {
		t.Errorf("a private address was contacted: %q", said)
	}
	if p, said := planFar(t, far(gone.URL, "/a.mp4"), &pipeline.Remote{Trusted: gone.URL}); p == nil || !strings.Contains(said, "connection refused") {
		t.Errorf("nobody listens: %q", said)
	}
}

// hanging never answers.
type hanging struct{}

func (h *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/a.png" {
		data := still("png", 720, 1280)
		return &http.Response{StatusCode: 200, ContentLength: int64(len(data)), Body: io.NopCloser(bytes.NewReader(data)), Header: http.Header{}, Request: r}, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Looking never takes longer than its budget, however many files hang, and over all plans.
func TestRemoteBudget(t *testing.T) {
	for _, n := range []int{1, 5, 500} {
		synctest.Test(t, func(t *testing.T) {
			var videos []string
			for i := range n {
				videos = append(videos, fmt.Sprintf("/%d.mp4", i))
			}
			remote := &pipeline.Remote{Transport: &hanging{}}
			start := time.Now()
			p, said := planFar(t, far("https://h.example", videos...), remote)
			took := time.Since(start)
			if p == nil || took > 10*time.Second || took < 5*time.Second {
				t.Errorf("%d files: took %v, %q", n, took, said)
			}
			if !strings.Contains(said, "no answer in time") && !strings.Contains(said, "no time is left") {
				t.Errorf("%d files: %q", n, said)
			}
			planFar(t, far("https://h.example", append(videos, "/more1.mp4", "/more2.mp4")...), remote)
			planFar(t, far("https://h.example", "/more3.mp4"), remote)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%d files: three plans took %v", n, took)
			}
		})
	}
}

// One host that hangs leaves time for the others.
func TestRemoteHangingHostLeavesTimeForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := far("https://h.example", "/1.mp4", "/2.mp4", "/3.mp4", "/4.mp4", "/5.mp4", "/6.mp4", "/7.mp4", "/8.mp4", "/9.mp4")
		good := far("https://h.example", "/x.mp4").Pairs[0]
		good.ID, good.Video = "good", "https://h.example/a.png" // the one file that answers
		m.Pairs = append(m.Pairs, good)
		_, said := planFar(t, m, &pipeline.Remote{Transport: &hanging{}})
		if !strings.Contains(said, "is not a readable video") {
			t.Errorf("the last file was not looked into: %q", said)
		}
	})
}
