package emulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// virtually runs a test on a virtual clock that starts at 2000-01-01 08:00:00 UTC+8, against a
// real http.Server over pipes.
func virtually(t *testing.T, opt emulator.Options, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, start(t, opt)) })
}

// A rig is a provider, a client with a key, and two good inputs (the video plays 5.2 s).
type rig struct {
	t            *testing.T
	server       *emulator.Server
	client       *http.Client
	key          string
	image, video string
}

func start(t *testing.T, opt emulator.Options) *rig {
	t.Helper()
	opt.Seed = or(opt.Seed, 7)
	r := &rig{t: t, server: emulator.New(opt), key: "sk-one", image: testImage(t, 300, 400), video: testVideo(t, 5200*time.Millisecond)}
	pipes := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	web := &http.Server{Handler: r.server, ErrorLog: log.New(io.Discard, "", 0)}
	transport := &http.Transport{DialContext: pipes.dial}
	r.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	done := make(chan error)
	go func() { done <- web.Serve(pipes) }()
	t.Cleanup(func() {
		r.server.Close()
		transport.CloseIdleConnections()
		web.Close()
		<-done
	})
	return r
}

func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

// A pipeListener connects client and server in memory, where virtual time can see them wait.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }
func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A reply is what came back: err for a connection that broke, before or inside the body.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r *rig) call(method, url, body string, headers ...string) reply {
	r.t.Helper()
	if strings.HasPrefix(url, "/") {
		url = "http://provider.test" + url
		headers = append([]string{"Authorization", "Bearer " + r.key}, headers...)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return r.send(req)
}

func (r *rig) send(req *http.Request) reply {
	resp, err := r.client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body), err}
}

const createPath = "/api/v1/services/aigc/image2video/video-synthesis"

// post sends a create, and lets the provider probe its inputs before it returns.
func (r *rig) post(body string, headers ...string) reply {
	r.t.Helper()
	headers = append([]string{"X-DashScope-Async", "enable", "Content-Type", "application/json"}, headers...)
	got := r.call("POST", createPath, body, headers...)
	synctest.Wait()
	return got
}

func (r *rig) order(mode string) string { return order(r.image, r.video, mode) }

func order(image, video, mode string) string {
	return `{"model":"wan2.2-animate-move","input":{"image_url":"` + image + `","video_url":"` + video +
		`","watermark":false},"parameters":{"mode":"` + mode + `","check_image":true,"extra":[1]},"more":{}}`
}

// create makes a task and returns its id.
func (r *rig) create() string {
	r.t.Helper()
	return r.createFrom(r.image, r.video)
}

func (r *rig) createFrom(image, video string) string {
	r.t.Helper()
	got := r.post(order(image, video, "wan-std"))
	id := text(r.t, got, "output", "task_id")
	if got.status != 200 || id == "" {
		r.t.Fatalf("create: %d %s", got.status, got.body)
	}
	return id
}

func (r *rig) query(id string) reply {
	r.t.Helper()
	return r.call("GET", "/api/v1/tasks/"+id, "")
}

func (r *rig) status(id string) string {
	r.t.Helper()
	return text(r.t, r.query(id), "output", "task_status")
}

// finish waits, in the provider's time, until a task has ended, and returns its last query.
func (r *rig) finish(id string) reply {
	r.t.Helper()
	for range 1000 {
		got := r.query(id)
		switch text(r.t, got, "output", "task_status") {
		case "PENDING", "RUNNING":
			time.Sleep(5 * time.Second)
		default:
			return got
		}
	}
	r.t.Fatalf("task %s never ended", id)
	return reply{}
}

// result returns the URL of a task that SUCCEEDED.
func (r *rig) result(id string) string {
	r.t.Helper()
	got := r.finish(id)
	url := text(r.t, got, "output", "results", "video_url")
	if url == "" {
		r.t.Fatalf("no URL in %s", got.body)
	}
	return url
}

// only returns the single task the meter knows.
func (r *rig) only() emulator.MeterTask {
	r.t.Helper()
	tasks := r.server.Meter().Tasks
	if len(tasks) != 1 {
		r.t.Fatalf("%d tasks, want 1", len(tasks))
	}
	return tasks[0]
}

// field digs a value out of a JSON reply; nil when it is not there.
func field(t *testing.T, got reply, path ...string) any {
	t.Helper()
	if got.err != nil {
		t.Fatalf("no reply: %v", got.err)
	}
	var v any
	if err := json.Unmarshal([]byte(got.body), &v); err != nil {
		t.Fatalf("reply %q: %v", got.body, err)
	}
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func text(t *testing.T, got reply, path ...string) string {
	t.Helper()
	s, _ := field(t, got, path...).(string)
	return s
}

// wantRefusal checks an error of the calls: status, and the flat object with three fields.
func wantRefusal(t *testing.T, got reply, status int, code string) {
	t.Helper()
	fields, _ := field(t, got).(map[string]any)
	if got.status != status || fields["code"] != code || fields["message"] == "" || fields["request_id"] == "" || len(fields) != 3 {
		t.Errorf("got %d %s, want %d with code %s", got.status, got.body, status, code)
	}
}

// wantJSON compares a reply with literal JSON in which "*" stands for any text.
func wantJSON(t *testing.T, got reply, want string) {
	t.Helper()
	var w any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("want %q: %v", want, err)
	}
	wild := cmp.FilterValues(func(a, b string) bool { return a == "*" || b == "*" }, cmp.Comparer(func(a, b string) bool { return true }))
	if diff := cmp.Diff(w, field(t, got), wild); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

// testImage writes a PNG and returns its file URL.
func testImage(t *testing.T, width, height int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, image.NewGray(image.Rect(0, 0, width, height))), f.Close()); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// testVideo writes an MP4 that plays for length and returns its file URL. The emulator's loop is
// below the least width of an input, so its sample description is enlarged.
func testVideo(t *testing.T, length time.Duration) string {
	t.Helper()
	return testFile(t, "video.mp4", enlarge(emulator.Movie(length, 25, "driving", 0)))
}

func enlarge(movie []byte) []byte {
	return []byte(strings.Replace(string(movie), "\x00\xb4\x01\x40\x00\x48", "\x01\x68\x02\x80\x00\x48", 1))
}

func testFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}
