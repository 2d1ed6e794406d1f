package emulator_test

import (
	"image"
	"image/png"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

func TestInputVerdicts(t *testing.T) {
	virtually(t, emulator.Options{CreatesPerSecond: -1}, func(t *testing.T, r *rig) {
		junk := testFile(t, "junk.mp4", []byte(strings.Repeat("no video ", 100)))
		large := testFile(t, "large.png", make([]byte, 5<<20+1))
		small := testFile(t, "small.mp4", emulator.Movie(3*time.Second, 25, "180x320", 0))
		tests := []struct{ image, video, code string }{
			{junk, r.video, "InvalidImage.FileFormat"},
			{r.video, r.video, "InvalidImage.FileFormat"},
			{testImage(t, 199, 300), r.video, "InvalidImage.Resolution"},
			{testImage(t, 300, 4097), r.video, "InvalidImage.Resolution"},
			{testImage(t, 200, 601), r.video, "InvalidFile.AspectRatio"},
			{large, r.video, "InvalidFile.Size"},
			{"data:image/png;base64,AAAA", r.video, "InvalidImage.FileFormat"},
			{r.image + ".gone", r.video, "InvalidURL.ConnectionRefused"},
			{"ftp://media.test/i.png", r.video, "InvalidURL"},
			{r.image, junk, "InvalidVideo.FileFormat"},
			{r.image, r.image, "InvalidVideo.FileFormat"},
			{r.image, small, "InvalidVideo.Resolution"},
			{r.image, testVideo(t, 1999*time.Millisecond), "InvalidVideo.Duration"},
			{r.image, testVideo(t, 30001*time.Millisecond), "InvalidVideo.Duration"},
			{r.image, "data:video/mp4;base64,AAAA", "InvalidVideo.FileFormat"},
			{r.image, "oss://bucket/v.mp4", "InvalidParameter.DataInspection"},
		}
		for _, tt := range tests {
			id := r.createFrom(tt.image, tt.video)
			time.Sleep(5 * time.Second)
			got := r.query(id)
			if text(t, got, "output", "task_status") != "FAILED" || text(t, got, "output", "code") != tt.code ||
				text(t, got, "output", "message") == "" || field(t, got, "usage") != nil || field(t, got, "output", "results") != nil {
				t.Errorf("%s, %s: want %s within seconds, got %s", tt.image, tt.video, tt.code, got.body)
			}
		}
		if m := r.server.Meter(); m.BilledSeconds != "0" || m.MaxTasksPerPair() != 0 {
			t.Errorf("rejections were billed %s, live %d", m.BilledSeconds, m.MaxTasksPerPair())
		}
	})
}

// TestDownloads fetches inputs over real sockets: the origin's answers become the task's end.
func TestDownloads(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/image.png":
			png.Encode(w, image.NewGray(image.Rect(0, 0, 300, 300)))
		case "/video.mp4":
			w.Write(enlarge(emulator.Movie(2500*time.Millisecond, 15, "remote", 0)))
		case "/denied.mp4":
			w.WriteHeader(http.StatusForbidden)
		case "/broken.mp4":
			w.WriteHeader(http.StatusBadGateway)
		case "/cut.mp4":
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte("ftyp"))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer origin.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	tests := []struct{ video, status, code string }{
		{origin.URL + "/video.mp4", "SUCCEEDED", ""},
		{origin.URL + "/gone.mp4", "FAILED", "InvalidParameter.DataInspection"},
		{origin.URL + "/denied.mp4", "FAILED", "InvalidParameter.DataInspection"},
		{origin.URL + "/broken.mp4", "FAILED", "InvalidURL.ConnectionRefused"},
		{origin.URL + "/cut.mp4", "FAILED", "InvalidURL.ConnectionRefused"},
		{"http://" + closed.Addr().String() + "/video.mp4", "FAILED", "InvalidURL.ConnectionRefused"},
	}
	provider := emulator.New(emulator.Options{Speed: 1e9, StartDelay: -1, QueriesPerSecond: -1, CreatesPerSecond: -1})
	defer provider.Close()
	web := httptest.NewServer(provider)
	defer web.Close()
	r := &rig{t: t, client: web.Client(), key: "sk-one"}
	for _, tt := range tests {
		body := order(origin.URL+"/image.png", tt.video, "wan-std")
		created := r.call("POST", web.URL+createPath, body, "Authorization", "Bearer sk-one", "X-DashScope-Async", "enable")
		id := text(t, created, "output", "task_id")
		got := r.ended(web.URL + "/tasks/" + id)
		if text(t, got, "output", "task_status") != tt.status || text(t, got, "output", "code") != tt.code {
			t.Errorf("%s: want %s %s, got %s", tt.video, tt.status, tt.code, got.body)
		}
	}
	if m := provider.Meter(); m.BilledSeconds != "2.5" {
		t.Errorf("billed %s, want 2.5", m.BilledSeconds)
	}
}

// ended asks until a task has ended, in real time; the provider must be a fast one.
func (r *rig) ended(url string) reply {
	r.t.Helper()
	for r.t.Context().Err() == nil {
		got := r.call("GET", url, "", "Authorization", "Bearer "+r.key)
		switch text(r.t, got, "output", "task_status") {
		case "PENDING", "RUNNING":
		default:
			return got
		}
	}
	r.t.Fatal("the test ended first")
	return reply{}
}

// stalled is an origin that never answers.
type stalled struct{}

func (stalled) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestStalledInput(t *testing.T) {
	opt := emulator.Options{Inputs: &http.Client{Transport: stalled{}}}
	virtually(t, opt, func(t *testing.T, r *rig) {
		ahead := r.createFrom(r.image, "http://stalled.test/v.mp4")
		behind := r.create()
		time.Sleep(59 * time.Second)
		if got := r.status(ahead) + " " + r.status(behind); got != "RUNNING PENDING" {
			t.Errorf("while the input is fetched: %s", got)
		}
		time.Sleep(2 * time.Second)
		if got := text(t, r.query(ahead), "output", "code"); got != "InvalidURL.Timeout" {
			t.Errorf("after a minute: code %q", got)
		}
		if got := text(t, r.finish(behind), "output", "scheduled_time"); got != "2000-01-01 08:01:00.000" {
			t.Errorf("the next task started %s", got)
		}
	})
}

func TestCloseStopsDownloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, emulator.Options{Inputs: &http.Client{Transport: stalled{}}})
		r.createFrom(r.image, "http://stalled.test/v.mp4")
		before := time.Now()
		r.server.Close()
		if waited := time.Since(before); waited != 0 {
			t.Errorf("Close waited %v for a stalled download", waited)
		}
	})
}
