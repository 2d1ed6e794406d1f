package emulator_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"hash/crc64"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/internal/media"
)

func TestResultPlaysAsLongAsBilled(t *testing.T) {
	lengths := []time.Duration{2 * time.Second, 5200 * time.Millisecond, 2001 * time.Millisecond, 29999 * time.Millisecond, 30 * time.Second}
	virtually(t, emulator.Options{CreatesPerSecond: -1}, func(t *testing.T, r *rig) {
		for i, length := range lengths {
			mode := []string{"wan-std", "wan-pro"}[i%2]
			id := text(t, r.post(order(r.image, testVideo(t, length), mode)), "output", "task_id")
			got := r.call("GET", r.result(id), "")
			played, err := media.CheckMP4(strings.NewReader(got.body), int64(len(got.body)))
			if err != nil || played != length {
				t.Errorf("%v in %s: plays %v (%v)", length, mode, played, err)
			}
			if billed := field(t, r.query(id), "usage", "video_duration"); billed != length.Seconds() {
				t.Errorf("%v in %s: billed %v", length, mode, billed)
			}
		}
		if m := r.server.Meter(); m.BilledSeconds != "69.2" || m.NeverFetched != 0 {
			t.Errorf("billed %s in all, %d never fetched", m.BilledSeconds, m.NeverFetched)
		}
	})
}

func TestResultIsRealVideo(t *testing.T) {
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("no ffprobe here")
	}
	for _, tt := range []struct {
		fps  int
		want string
	}{{15, "h264,180,320,15/1,77"}, {25, "h264,180,320,25/1,129"}} {
		path := filepath.Join(t.TempDir(), "movie.mp4")
		if err := os.WriteFile(path, emulator.Movie(5189*time.Millisecond, tt.fps, "task", 10), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(ffprobe, "-v", "error", "-count_frames", "-of", "csv=p=0", "-show_entries",
			"stream=codec_name,width,height,r_frame_rate,nb_read_frames:format=duration", path).CombinedOutput()
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != tt.want+" 5.189000" {
			t.Errorf("ffprobe at %d fps: %q (%v)", tt.fps, got, err)
		}
	}
}

func TestResultHeaders(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		at := r.result(r.create())
		got := r.call("GET", at, "")
		sum := md5.Sum([]byte(got.body))
		want := map[string]string{
			"Content-Type":         "video/mp4",
			"Content-Length":       strconv.Itoa(len(got.body)),
			"Accept-Ranges":        "bytes",
			"Etag":                 fmt.Sprintf(`"%X"`, sum),
			"Content-Md5":          base64.StdEncoding.EncodeToString(sum[:]),
			"X-Oss-Hash-Crc64ecma": strconv.FormatUint(crc64.Checksum([]byte(got.body), crc64.MakeTable(crc64.ECMA)), 10),
			"Last-Modified":        "Sat, 01 Jan 2000 00:02:00 GMT",
			"Date":                 "Sat, 01 Jan 2000 00:02:00 GMT",
			"X-Oss-Object-Type":    "Normal",
		}
		for name, value := range want {
			if got := got.header.Get(name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}

		part := r.call("GET", at, "", "Range", "bytes=100-199", "If-Range", want["Etag"])
		if part.status != 206 || part.body != got.body[100:200] ||
			part.header.Get("Content-Range") != fmt.Sprintf("bytes 100-199/%d", len(got.body)) ||
			part.header.Get("X-Oss-Hash-Crc64ecma") != want["X-Oss-Hash-Crc64ecma"] ||
			part.header.Get("Content-Md5") != "" {
			t.Errorf("range: %d %v", part.status, part.header)
		}
		if whole := r.call("GET", at, "", "Range", "bytes=100-", "If-Range", `"OTHER"`); whole.status != 200 || whole.body != got.body {
			t.Errorf("range of another ETag: %d with %d bytes", whole.status, len(whole.body))
		}
		if whole := r.call("GET", at, "", "Range", "bytes=0-1,4-5"); whole.status != 200 || whole.body != got.body {
			t.Errorf("two ranges: %d with %d bytes", whole.status, len(whole.body))
		}
		if past := r.call("GET", at, "", "Range", fmt.Sprintf("bytes=%d-", len(got.body))); past.status != 416 {
			t.Errorf("range past the end: %d", past.status)
		}
		if other := r.call("GET", at, "", "If-Match", `"OTHER"`); other.status != 412 {
			t.Errorf("If-Match with another ETag: %d", other.status)
		}
	})
}

func TestResultURL(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		id := r.create()
		at := r.result(id)
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		ended := time.Date(2000, 1, 1, 0, 2, 0, 0, time.UTC)
		if u.Scheme != "http" || u.Host != "provider.test" || !strings.HasSuffix(u.Path, ".mp4") ||
			u.Query().Get("Expires") != fmt.Sprint(ended.Add(24*time.Hour).Unix()) {
			t.Errorf("URL %s", at)
		}
		time.Sleep(time.Hour)
		if again := r.result(id); again != at {
			t.Errorf("asked again, the URL changed to %s", again)
		}
	})
}

// By the other reading of the documents each query signs anew, for as long as the id lives.
func TestResultSignedOnQuery(t *testing.T) {
	virtually(t, emulator.Options{SignOnQuery: true, URLLife: 10 * time.Hour}, func(t *testing.T, r *rig) {
		forgotten := time.Now().Add(24 * time.Hour)
		id := r.create()
		first, asked := r.result(id), time.Now()
		for _, tt := range []struct{ wait, lives time.Duration }{{0, 10 * time.Hour}, {time.Hour, 10 * time.Hour}, {20 * time.Hour, 0}} {
			time.Sleep(tt.wait)
			u, err := url.Parse(r.result(id))
			if err != nil {
				t.Fatal(err)
			}
			end := time.Now().Add(tt.lives)
			if tt.lives == 0 {
				end = forgotten
			}
			if got := u.Query().Get("Expires"); got != fmt.Sprint(end.Unix()) {
				t.Errorf("asked %v later: Expires=%s, want %d", time.Since(asked), got, end.Unix())
			}
			if got := r.call("GET", u.String(), ""); got.status != 200 {
				t.Errorf("asked %v later: %d %s", time.Since(asked), got.status, got.body)
			}
		}
		if got := r.call("GET", first, ""); got.status != 403 {
			t.Errorf("the first URL: %d", got.status)
		}
	})
}

func TestResultRefusals(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		at := r.result(r.create())
		tests := []struct {
			name, method, url string
			headers           []string
			want              string
		}{
			{"HEAD", "HEAD", at, nil, ""},
			{"a parameter more", "GET", at + "&x=1", nil, "SignatureDoesNotMatch"},
			{"no query", "GET", strings.Split(at, "?")[0], nil, "SignatureDoesNotMatch"},
			{"later expiry", "GET", strings.Replace(at, "Expires=9", "Expires=19", 1), nil, "SignatureDoesNotMatch"},
			{"another path", "GET", strings.Replace(at, ".mp4", ".mp5", 1), nil, "SignatureDoesNotMatch"},
			{"a content type", "GET", at, []string{"Content-Type", "video/mp4"}, "SignatureDoesNotMatch"},
		}
		for _, tt := range tests {
			got := r.call(tt.method, tt.url, "", tt.headers...)
			if got.status != 403 || !strings.Contains(got.body, tt.want) || got.header.Get("Content-Type") != "application/xml" {
				t.Errorf("%s: %d %s", tt.name, got.status, got.body)
			}
		}
		r.call("GET", at, "", "Authorization", "Bearer sk-one")
		if m := r.server.Meter(); m.AuthAtResults != 1 {
			t.Errorf("%d result requests with a key were counted, want 1", m.AuthAtResults)
		}

		time.Sleep(24*time.Hour + time.Millisecond)
		got := r.call("GET", at, "")
		for _, want := range []string{"<Code>AccessDenied</Code>", "<Message>Request has expired.</Message>",
			"<Expires>2000-01-02T00:02:00.000Z</Expires>", "<ServerTime>2000-01-02T00:02:00.001Z</ServerTime>"} {
			if got.status != 403 || !strings.Contains(got.body, want) {
				t.Errorf("expired: %d without %s:\n%s", got.status, want, got.body)
			}
		}
	})
}

func TestFetchedMeansEveryByte(t *testing.T) {
	virtually(t, emulator.Options{Padding: 1 << 20}, func(t *testing.T, r *rig) {
		at := r.result(r.create())
		for _, part := range []string{"bytes=1000-", "bytes=0-499", "bytes=500-998"} {
			if got := r.call("GET", at, "", "Range", part); got.status != 206 || r.only().Fetched {
				t.Fatalf("%s: status %d, fetched %v", part, got.status, r.only().Fetched)
			}
		}
		r.call("GET", at, "", "Range", "bytes=999-999")
		if m := r.server.Meter(); !r.only().Fetched || m.NeverFetched != 0 {
			t.Error("all bytes were sent, and the meter does not know")
		}
	})
}

func TestBrokenDownloadIsNotFetched(t *testing.T) {
	virtually(t, emulator.Options{Padding: 1 << 20}, func(t *testing.T, r *rig) {
		resp, err := r.client.Get(r.result(r.create()))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, resp.Body, resp.ContentLength-15_000); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		synctest.Wait()
		if r.only().Fetched {
			t.Error("a client left 15 kB before the end, and its result counts as fetched")
		}
	})
}

func TestResultsDiffer(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		one, two := r.create(), r.create()
		a, b := r.call("GET", r.result(one), ""), r.call("GET", r.result(two), "")
		if a.body == b.body || len(a.body) != len(b.body) || !bytes.Contains([]byte(a.body), []byte(one)) {
			t.Error("results of two tasks should differ, by their task ids alone")
		}
	})
}
