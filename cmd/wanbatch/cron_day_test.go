package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A cutter is the way to the provider, which can be cut.
type cutter struct {
	cut   atomic.Bool
	tries atomic.Int64 // calls that it cut off
	way   *httputil.ReverseProxy
}

func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.cut.Load() {
		c.tries.Add(1)
		panic(http.ErrAbortHandler)
	}
	c.way.ServeHTTP(w, r)
}

// cronRig is a batch that grows, as cron runs it.
type cronRig struct {
	killRig
	way      *cutter
	manifest string
	metrics  string
	jobs     int
}

func newCronRig(t *testing.T) *cronRig {
	media, err := filepath.Abs("../../manifests/media")
	if err != nil {
		t.Fatal(err)
	}
	r := &cronRig{killRig: killRig{t: t, binary: buildBinary(t), media: media, dir: t.TempDir()}}
	r.startEmulator("--speed", "400", "--seed", "1")
	t.Cleanup(func() { r.stop() })
	target, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	r.way = &cutter{way: &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.Host = p.In.Host // so that results lie here too
	}}}
	s := httptest.NewServer(r.way)
	t.Cleanup(s.Close)
	r.url, r.metrics = s.URL, filepath.Join(r.dir, "cron.prom")
	return r
}

// grow adds jobs to the manifest, each with an image of its own.
func (r *cronRig) grow(n int) {
	r.t.Helper()
	image, err := os.ReadFile(filepath.Join(r.media, "characters", "alice.png"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.manifest = filepath.Join(r.dir, "cron.yaml")
	var b strings.Builder
	if r.jobs == 0 {
		b.WriteString("version: 1\nname: cron\nlane: {region: singapore, exclusive: true}\n" +
			"limits: {create_per_second: 5, query_per_second: 15, poll_min: 50ms, poll_max: 200ms, settle: 300ms, burst_wait: 1s}\npairs:\n")
	}
	for i := r.jobs; i < r.jobs+n; i++ {
		name := filepath.Join(r.dir, fmt.Sprintf("cron-%d.png", i))
		if err := os.WriteFile(name, fmt.Append(image, i), 0o600); err != nil {
			r.t.Fatal(err)
		}
		fmt.Fprintf(&b, "  - {id: job-%d, image: %s, video: %s}\n", i, name, filepath.Join(r.media, "dances", "jump.mov"))
	}
	r.jobs += n
	text, err := os.ReadFile(r.manifest)
	if err == nil || os.IsNotExist(err) {
		err = os.WriteFile(r.manifest, append(text, b.String()...), 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// tick is one line of a crontab.
func (r *cronRig) tick(flags ...string) *exec.Cmd {
	return r.command(r.manifest, append([]string{"--quiet", "--metrics-file", r.metrics}, flags...)...)
}

// wants runs a tick and checks its exit code, what it prints, and how many jobs the
// metrics say are done.
func (r *cronRig) wants(when string, cmd *exec.Cmd, code int, output string) map[string]float64 {
	r.t.Helper()
	var text bytes.Buffer
	if cmd.Process == nil {
		cmd.Stdout, cmd.Stderr = &text, &text
		_ = cmd.Run() // the exit code says it
	} else {
		_ = cmd.Wait()
		text = *cmd.Stdout.(*bytes.Buffer)
	}
	told := r.told(&text)
	if got := cmd.ProcessState.ExitCode(); got != code || output == "" && told != "" || !strings.Contains(told, output) {
		r.t.Errorf("%s: exit %d with %q, want %d with %q", when, got, told, code, output)
	}
	m := figures(r.t, r.metrics)
	if got := m["wanbatch_run_exit_code"]; got != float64(code) || m["wanbatch_run_active"] != 0 {
		r.t.Errorf("%s: the metrics say exit %v, active %v", when, got, m["wanbatch_run_active"])
	}
	if done := m[`wanbatch_jobs{state="done"}`]; code == 0 && done != float64(r.jobs) {
		r.t.Errorf("%s: the metrics say %v done of %d", when, done, r.jobs)
	}
	return m
}

// told is what a tick printed besides that the key goes to the emulator.
func (r *cronRig) told(text *bytes.Buffer) string {
	rest, _ := strings.CutPrefix(text.String(), "endpoint: "+r.url+", from --endpoint\n")
	return rest
}

// started starts a tick and waits for a record of a kind that was not there before.
func (r *cronRig) started(cmd *exec.Cmd, kind string) *exec.Cmd {
	r.t.Helper()
	before := len(r.journalKinds("cron"))
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.until("a record "+kind, func() bool {
		kinds := r.journalKinds("cron")
		return len(kinds) > before && slices.Contains(kinds[before:], kind)
	})
	return cmd
}

func (r *cronRig) until(what string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("no %s within a minute", what)
		}
	}
}

// A short day of cron with the real program: runs that overlap, one that is killed,
// a provider that is away. Each run says so by its exit code, in what cron would mail,
// and in the metrics; the provider's meter counts one task for each pair.
func TestCronDay(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and runs for some seconds")
	}
	t.Parallel()
	r := newCronRig(t)
	r.grow(2)
	r.wants("0:00", r.tick(), 0, "")
	first := r.wants("1:00, nothing new", r.tick(), 0, "")
	r.grow(1)
	if m := r.wants("2:00", r.tick(), 0, ""); m[lastSuccess] <= first[lastSuccess] || m["wanbatch_billed_seconds"] <= first["wanbatch_billed_seconds"] {
		t.Errorf("2:00: last success %v after %v, billed %v s after %v s", m[lastSuccess], first[lastSuccess], m["wanbatch_billed_seconds"], first["wanbatch_billed_seconds"])
	}

	r.grow(8)
	long := r.started(r.tick(), "accepted")
	r.wants("4:00, beside a run", r.tick(), 7, "held by another run")
	r.grow(1)
	waiting := r.tick("--wait")
	r.wants("5:00, waiting", waiting, 0, "")
	_ = long.Wait()
	if code, text := long.ProcessState.ExitCode(), r.told(long.Stdout.(*bytes.Buffer)); code != 0 || text != "" {
		t.Errorf("3:00, the long one: exit %d with %q", code, text)
	}

	r.grow(3)
	killed := r.started(r.tick(), "intended")
	_ = killed.Process.Kill()
	_ = killed.Wait()
	if m := figures(t, r.metrics); m["wanbatch_run_active"] != 1 || m[lastSuccess] == 0 {
		t.Errorf("6:00, killed: the metrics say %v", m)
	}
	before := r.wants("7:00, after the kill", r.tick(), 0, "")

	r.grow(2)
	r.way.cut.Store(true)
	away := r.tick()
	var text bytes.Buffer
	away.Stdout, away.Stderr = &text, &text
	if err := away.Start(); err != nil {
		t.Fatal(err)
	}
	r.until("third try", func() bool { return r.way.tries.Load() >= 3 })
	_ = away.Process.Signal(syscall.SIGTERM)
	if m := r.wants("8:00, the provider is away", away, 130, "last failed call at"); m[lastSuccess] != before[lastSuccess] {
		t.Errorf("8:00: a success at %v, want %v", m[lastSuccess], before[lastSuccess])
	}
	r.way.cut.Store(false)
	r.wants("9:00, the provider is back", r.tick(), 0, "")
	r.meterAgrees()
}

// meterAgrees holds the day against the provider's own count.
func (r *cronRig) meterAgrees() {
	r.t.Helper()
	meter, live := r.meter(), map[string]int{}
	for _, task := range meter.Tasks {
		live[task.Image]++
	}
	if len(meter.Tasks) != r.jobs || len(live) != r.jobs || meter.NeverFetched > 0 || meter.Idempotency > 0 {
		r.t.Errorf("%d jobs; the meter: %d tasks for %d pairs, %d never fetched", r.jobs, len(meter.Tasks), len(live), meter.NeverFetched)
	}
	if got := figures(r.t, r.metrics)["wanbatch_billed_seconds"]; fmt.Sprint(got) != meter.BilledSeconds {
		r.t.Errorf("the metrics bill %v s, the meter %s s", got, meter.BilledSeconds)
	}
	files, err := os.ReadDir(filepath.Join(r.dir, "out", "cron", "videos"))
	if err != nil || len(files) != r.jobs {
		r.t.Errorf("%d videos: %v", len(files), err)
	}
}
