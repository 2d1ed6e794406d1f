package emulator_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"hash/crc64"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// noReuse makes every request dial anew: Go sends a GET again, unasked, when the kept connection
// it chose breaks.
func (r *rig) noReuse() *rig {
	r.client.Transport.(*http.Transport).DisableKeepAlives = true
	return r
}

// fetched checks the first GET of a result, that it does not count as fetched, and that the
// second GET is sound.
func fetched(spoilt func(t *testing.T, spoilt, sound reply)) check {
	return func(t *testing.T, r *rig) {
		at := r.noReuse().result(r.create())
		first := r.call("GET", at, "")
		if r.only().Fetched {
			t.Error("what came first counts as fetched")
		}
		second := r.call("GET", at, "")
		if second.err != nil || second.status != 200 || !r.only().Fetched {
			t.Errorf("asked again: %d (%v), fetched %v", second.status, second.err, r.only().Fetched)
		}
		spoilt(t, first, second)
	}
}

// crcOf returns the checksum that the headers claim, and the one the body has.
func crcOf(got reply) (claimed, real string) {
	sum := crc64.Checksum([]byte(got.body), crc64.MakeTable(crc64.ECMA))
	return got.header.Get("x-oss-hash-crc64ecma"), strconv.FormatUint(sum, 10)
}

var resultChecks = map[string]check{
	"cut-download": fetched(func(t *testing.T, cut, whole reply) {
		if cut.err != io.ErrUnexpectedEOF || cut.header.Get("Content-Length") != fmt.Sprint(len(whole.body)) ||
			cut.body != whole.body[:len(whole.body)/2] {
			t.Errorf("got %d of %d bytes, %v", len(cut.body), len(whole.body), cut.err)
		}
	}),
	"cut-download-no-length": fetched(func(t *testing.T, cut, whole reply) {
		if cut.err != nil || cut.status != 200 || cut.header.Get("Content-Length") != "" ||
			cut.header.Get("ETag") != whole.header.Get("ETag") || cut.body != whole.body[:len(whole.body)/2] {
			t.Errorf("got %d of %d bytes, %v, %v", len(cut.body), len(whole.body), cut.err, cut.header)
		}
	}),
	"wrong-crc": func(t *testing.T, r *rig) {
		at := r.result(r.create())
		wrong, right := r.call("GET", at, ""), r.call("GET", at, "")
		if claimed, real := crcOf(wrong); claimed == real {
			t.Error("the checksum is right")
		}
		if claimed, real := crcOf(right); claimed != real || wrong.body != right.body {
			t.Errorf("asked again: checksum %s claimed, %s real", claimed, real)
		}
	},
	"no-crc": func(t *testing.T, r *rig) {
		got := r.call("GET", r.result(r.create()), "")
		if claimed, _ := crcOf(got); claimed != "" || got.status != 200 || !r.only().Fetched {
			t.Errorf("%d with checksum %q, fetched %v", got.status, claimed, r.only().Fetched)
		}
	},
	"corrupt-body": fetched(func(t *testing.T, bad, good reply) {
		claimed, real := crcOf(bad)
		if rightCRC, _ := crcOf(good); claimed != rightCRC || claimed == real || len(bad.body) != len(good.body) {
			t.Errorf("checksum %s claimed, %s real, %d of %d bytes", claimed, real, len(bad.body), len(good.body))
		}
	}),
	"wrong-length": fetched(func(t *testing.T, short, whole reply) {
		if short.err != nil || len(short.body) >= len(whole.body) || !strings.HasPrefix(whole.body, short.body) ||
			short.header.Get("Content-Length") != fmt.Sprint(len(short.body)) {
			t.Errorf("%d of %d bytes, %v", len(short.body), len(whole.body), short.err)
		}
	}),
	"early-403": fetched(func(t *testing.T, denied, _ reply) {
		if denied.status != 403 || !strings.Contains(denied.body, "<Code>AccessDenied</Code>") || strings.Contains(denied.body, "xpire") {
			t.Errorf("got %d %s", denied.status, denied.body)
		}
	}),
	"redirect-private": fetched(func(t *testing.T, got, _ reply) {
		if got.status != 302 || !strings.HasPrefix(got.header.Get("Location"), "http://169.254.169.254/") {
			t.Errorf("got %d to %s", got.status, got.header.Get("Location"))
		}
	}),
	"html-result": fetched(func(t *testing.T, got, _ reply) {
		wantStatus(200, "text/html")(t, got)
	}),
	"range-ignored": func(t *testing.T, r *rig) {
		at := r.result(r.create())
		ignored := r.call("GET", at, "", "Range", "bytes=10-19")
		heeded := r.call("GET", at, "", "Range", "bytes=10-19")
		if ignored.status != 200 || len(ignored.body) < 1000 || heeded.status != 206 || len(heeded.body) != 10 {
			t.Errorf("%d with %d bytes, then %d with %d", ignored.status, len(ignored.body), heeded.status, len(heeded.body))
		}
	},
	"etag-changed": func(t *testing.T, r *rig) {
		// The fault comes with the second GET: the first half is of the old object.
		r2 := start(t, emulator.Options{Faults: []emulator.Fault{mustFault(t, "etag-changed:2")}})
		at := r2.result(r2.create())
		old := r2.call("GET", at, "", "Range", "bytes=0-9999")
		tag := old.header.Get("ETag")
		if spliced := r2.call("GET", at, "", "Range", "bytes=10000-"); spliced.status != 206 || r2.only().Fetched {
			t.Errorf("%d: halves of two objects count as fetched: %v", spliced.status, r2.only().Fetched)
		}
		rest := r2.call("GET", at, "", "Range", "bytes=10000-", "If-Range", tag)
		if rest.status != 200 || rest.header.Get("ETag") == tag || strings.HasPrefix(rest.body, old.body) {
			t.Errorf("rest under the old ETag: %d %s", rest.status, rest.header.Get("ETag"))
		}
		if claimed, real := crcOf(rest); claimed != real || !r2.only().Fetched {
			t.Errorf("the new object has checksum %s, claimed is %s", real, claimed)
		}
		if got := r2.call("GET", at, "", "If-Match", tag); got.status != 412 {
			t.Errorf("the old ETag still matches: %d", got.status)
		}
	},
	"gzip-bomb": func(t *testing.T, r *rig) {
		r.client.Transport.(*http.Transport).DisableCompression = true
		got := r.call("GET", r.result(r.create()), "")
		if got.err != nil || got.header.Get("Content-Encoding") != "gzip" || len(got.body) > 1<<20 || r.only().Fetched {
			t.Errorf("%d bytes of %s, %v", len(got.body), got.header.Get("Content-Encoding"), got.err)
		}
		z, err := gzip.NewReader(strings.NewReader(got.body))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, z); n != 256<<20 || err != nil {
			t.Errorf("unpacks to %d bytes, %v", n, err)
		}
	},
	"slow-download": func(t *testing.T, r *rig) {
		at := r.noReuse().result(r.create())
		ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", at, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.send(req); len(got.body) != 10 || got.err == nil {
			t.Errorf("%d bytes in 9.5 s, %v", len(got.body), got.err)
		}
	},
}

// checkHTTPResult serves over TLS: only then can the scheme of a result be wrong.
func checkHTTPResult(t *testing.T, r *rig) {
	id := r.create()
	time.Sleep(time.Hour)
	for _, want := range []string{"http://", "https://"} {
		req := httptest.NewRequest("GET", "https://provider.test/api/v1/tasks/"+id, nil)
		req.Header.Set("Authorization", "Bearer sk-one")
		req.TLS = &tls.ConnectionState{}
		w := httptest.NewRecorder()
		r.server.ServeHTTP(w, req)
		if got := text(t, reply{body: w.Body.String()}, "output", "results", "video_url"); !strings.HasPrefix(got, want+"provider.test/") {
			t.Errorf("result at %s, want %s", got, want)
		}
	}
}

// TestFaultsOverSockets repeats, on real sockets, the faults that break a connection.
func TestFaultsOverSockets(t *testing.T) {
	faults := []emulator.Fault{mustFault(t, "lost-reply:1"), mustFault(t, "query-reset:1"),
		mustFault(t, "cut-download:1"), mustFault(t, "cut-download-no-length:2")}
	provider := emulator.New(emulator.Options{Faults: faults, Speed: 1e9, StartDelay: -1, QueriesPerSecond: -1})
	defer provider.Close()
	web := httptest.NewServer(provider)
	defer web.Close()
	r := &rig{t: t, server: provider, client: web.Client(), key: "sk-one", image: testImage(t, 300, 300), video: testVideo(t, 2*time.Second)}
	r.noReuse()

	auth := []string{"Authorization", "Bearer sk-one", "X-DashScope-Async", "enable"}
	wantCut(t, r.call("POST", web.URL+createPath, r.order("wan-std"), auth...))
	id := r.only().ID
	wantCut(t, r.call("GET", web.URL+"/tasks/"+id, "", auth...))
	at := text(t, r.ended(web.URL+"/tasks/"+id), "output", "results", "video_url")

	cut, silent, whole := r.call("GET", at, ""), r.call("GET", at, ""), r.call("GET", at, "")
	half := whole.body[:len(whole.body)/2]
	if cut.err == nil || cut.body != half {
		t.Errorf("cut with a length: %d bytes, %v", len(cut.body), cut.err)
	}
	if silent.err != nil || silent.body != half {
		t.Errorf("cut without a length: %d bytes, %v", len(silent.body), silent.err)
	}
	if !r.only().Fetched {
		t.Error("the third GET brought the whole, and the meter does not know")
	}
}
