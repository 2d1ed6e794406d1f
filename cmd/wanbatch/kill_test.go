package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

var (
	kills    = flag.Int("kills", 30, "batches of TestKill")
	killsPer = flag.Int("kills.per", 3, "runs of one batch that TestKill kills at most")
)

const killKey = "sk-kill-canary-51c2"

// killRig is the real binary beside a provider that outlives it.
type killRig struct {
	t      *testing.T
	binary string
	media  string
	dir    string
	url    string
	stop   func()
}

// buildBinary builds the program as it is delivered.
func buildBinary(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "wanbatch")
	cmd := exec.Command("go", "build", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// startEmulator starts a provider in a process of its own.
func (r *killRig) startEmulator(flags ...string) {
	r.t.Helper()
	cmd := exec.Command(r.binary, append([]string{"emulator", "--listen", "127.0.0.1:0", "--accept-key", killKey}, flags...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		r.t.Fatal(err)
	}
	r.url = strings.TrimSpace(line)
	r.stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

// manifest writes a batch of n pairs that no other batch of the test has.
func (r *killRig) manifest(name string, n int, exclusive bool) string {
	r.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: %s\nlane: {region: singapore, exclusive: %v}\n", name, exclusive)
	b.WriteString("limits: {create_per_second: 5, query_per_second: 15, poll_min: 50ms, poll_max: 200ms, settle: 300ms, burst_wait: 1s, tries: 10}\npairs:\n")
	for i := range n {
		image := filepath.Join(r.dir, fmt.Sprintf("%s-%d.png", name, i))
		r.vary(filepath.Join(r.media, "characters", "alice.png"), image)
		fmt.Fprintf(&b, "  - {id: job-%d, image: %s, video: %s}\n", i, image, filepath.Join(r.media, "dances", "jump.mov"))
	}
	path := filepath.Join(r.dir, name+".yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// vary copies a file and puts its new name behind its end, where no reader of
// media looks: its content is like no other.
func (r *killRig) vary(from, to string) {
	r.t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, append(data, filepath.Base(to)...), 0o600)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *killRig) command(manifest string, flags ...string) *exec.Cmd {
	args := append([]string{"run", manifest, "--yes", "--output", filepath.Join(r.dir, "out"), "--endpoint", r.url}, flags...)
	cmd := exec.Command(r.binary, args...)
	cmd.Env = append(os.Environ(), "DASHSCOPE_API_KEY="+killKey, "XDG_STATE_HOME="+filepath.Join(r.dir, "state"), "NO_COLOR=1")
	return cmd
}

// finish runs the batch to its end and returns its exit code.
func (r *killRig) finish(manifest string) (code int, output string) {
	r.t.Helper()
	cmd := r.command(manifest, "--wait")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// killRecord is what the test needs to know of a journal's line.
type killRecord struct {
	Type    string `json:"type"`
	Address string `json:"address"` // of what was uploaded
	Source  string `json:"source"`
}

// records reads the journal of a batch; the incomplete last line that a killed run
// may leave counts for nothing.
func (r *killRig) records(name string) (records []killRecord) {
	text, err := os.ReadFile(filepath.Join(r.dir, "out", name, "journal.jsonl"))
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(text) {
		var rec struct {
			Data killRecord `json:"data"`
		}
		if bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &rec) == nil && rec.Data.Type != "" {
			records = append(records, rec.Data)
		}
	}
	return records
}

// journalKinds lists the types of the records of a batch.
func (r *killRig) journalKinds(name string) (kinds []string) {
	for _, rec := range r.records(name) {
		kinds = append(kinds, rec.Type)
	}
	return kinds
}

// contents maps what was uploaded for a batch, by address, to its content.
func (r *killRig) contents(name string) map[string]string {
	contents := make(map[string]string)
	for _, rec := range r.records(name) {
		if rec.Type == "uploaded" {
			contents[rec.Address] = rec.Source
		}
	}
	return contents
}

// kill starts a run and kills it as soon as its journal says so, or a little
// later. It returns the kind of the last record that the killed run left, "" if
// it finished first.
func (r *killRig) kill(manifest, name string, now func(kinds []string) bool, after time.Duration) string {
	r.t.Helper()
	cmd := r.command(manifest)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for !now(r.journalKinds(name)) {
		select {
		case <-ended:
			return ""
		case <-time.After(500 * time.Microsecond):
		}
	}
	select {
	case <-ended:
		return ""
	case <-time.After(after):
	}
	_ = cmd.Process.Kill()
	<-ended
	kinds := r.journalKinds(name)
	return kinds[len(kinds)-1]
}

// moments counts after which kind of record runs were killed.
type moments struct {
	mu     sync.Mutex
	killed map[string]int
}

func (m *moments) count(kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.killed[kind]++
}

// all is how many runs were killed; "" are those that finished first.
func (m *moments) all() (n int) {
	for kind, killed := range m.killed {
		if kind != "" {
			n += killed
		}
	}
	return n
}

// rarest is the kind, of those asked for, after which the fewest runs were killed.
func (m *moments) rarest(kinds []string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	best := kinds[0]
	for _, k := range kinds {
		if m.killed[k] < m.killed[best] {
			best = k
		}
	}
	return best
}

type killMeter struct {
	BilledSeconds string         `json:"billed_seconds"`
	Requests      map[string]int `json:"requests"`
	OverLimit     map[string]int `json:"over_limit"`
	NeverFetched  int            `json:"never_fetched"`
	Idempotency   int            `json:"idempotency_headers"`

	MaxLivePerPair int `json:"max_live_per_pair"`
	Tasks          []struct {
		Image  string `json:"image_url"`
		Status string `json:"status"`
	} `json:"tasks"`
}

func (r *killRig) meter() (m killMeter) {
	r.t.Helper()
	resp, err := http.Get(r.url + "/__meter")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		r.t.Fatal(err)
	}
	return m
}

// check holds the end of one cycle against the meter.
func (r *killRig) check(name string, jobs, code int, exclusive bool, output string) {
	r.t.Helper()
	done := 0
	for _, kind := range r.journalKinds(name) {
		if kind == "stored" {
			done++
		}
	}
	if code != 0 && (exclusive || code != 4) || code == 0 && done != jobs {
		r.t.Errorf("%s: exit %d with %d of %d stored\n%s", name, code, done, jobs, output)
	}
	live, images := make(map[string]int), r.contents(name)
	m := r.meter()
	for _, task := range m.Tasks {
		if image, ours := images[task.Image]; ours && task.Status != "FAILED" && task.Status != "CANCELED" {
			live[image]++
		}
	}
	for image, n := range live {
		if n > 1 {
			r.t.Errorf("%s: %d live tasks for %s", name, n, image)
		}
	}
	if m.MaxLivePerPair > 1 {
		r.t.Errorf("%s: a pair of some batch has %d live tasks", name, m.MaxLivePerPair)
	}
	if exclusive && len(live) != jobs {
		r.t.Errorf("%s: %d pairs have a task, want %d", name, len(live), jobs)
	}
	if m.Idempotency > 0 || exclusive && m.NeverFetched > 0 {
		r.t.Errorf("%s: %d idempotency headers, %d results never fetched", name, m.Idempotency, m.NeverFetched)
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "out", name, "videos", "*"))
	if err != nil || len(files) != done {
		r.t.Errorf("%s: %d files for %d stored jobs: %v", name, len(files), done, files)
	}
}

// cycles kills and finishes batches i, i+step, ... on one provider of its own.
// Most kills aim at a kind of record that was rare so far, the others at a
// random length of the journal.
func (r *killRig) cycles(first, step int, exclusive bool, flags, aims []string, m *moments) {
	dice := rand.New(rand.NewPCG(uint64(first), 7))
	for i := first; i < *kills; i += step {
		if r.stop == nil {
			r.startEmulator(append(flags, "--seed", fmt.Sprint(i+1))...)
		}
		name := fmt.Sprintf("batch-%d", i)
		jobs := max(3, *killsPer) // enough for as many kills
		manifest := r.manifest(name, jobs, exclusive)
		for range 1 + dice.IntN(*killsPer) {
			before := len(r.journalKinds(name))
			aim, n := m.rarest(aims), before+1+dice.IntN(9)
			last := n + 3 + dice.IntN(20) // what it aims at may never come
			now := func(kinds []string) bool {
				return len(kinds) > before && slices.Contains(kinds[before:], aim) || len(kinds) >= last
			}
			if dice.IntN(3) == 0 {
				now = func(kinds []string) bool { return len(kinds) >= n }
			}
			kind := r.kill(manifest, name, now, time.Duration(dice.IntN(3)*dice.IntN(20))*time.Millisecond/2)
			m.count(kind)
			if kind == "" {
				break
			}
		}
		code, output := r.finish(manifest)
		r.check(name, jobs, code, exclusive, output)
		if i/step%15 == 14 || i+step >= *kills { // a fresh provider keeps the lists short
			r.stop()
			r.stop = nil
		}
	}
}

// TestKill kills the real program at moments that cover the kinds of journal
// record, also while it recovers, and holds the end against the meter of a
// provider that survives: one live task per pair, every video there and whole.
// On a shared lane a pair may also end quarantined.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for a minute")
	}
	binary := buildBinary(t)
	media, err := filepath.Abs("../../manifests/media")
	if err != nil {
		t.Fatal(err)
	}
	calm := []string{"--speed", "400"}
	rough := []string{"--speed", "200", "--fault", "lost-reply:25%", "--fault", "lost-request:25%", "--fault", "failed-algo:20%"}
	common := []string{"begun", "planned", "opened", "uploaded", "intended", "accepted", "running", "ended", "stored"}
	troubled := append([]string{"unanswered", "absent", "adopted", "again"}, common...)
	m := &moments{killed: make(map[string]int)}
	t.Run("cycles", func(t *testing.T) {
		worlds := []struct {
			exclusive   bool
			flags, aims []string
		}{
			{true, calm, common},
			{true, rough, troubled},
			{false, rough, []string{"quarantined", "foreign", "unanswered", "intended", "closed"}},
		}
		const workers = 6
		for w := range workers {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				c := worlds[w%len(worlds)]
				r := &killRig{t: t, binary: binary, media: media, dir: t.TempDir()}
				r.cycles(w, workers, c.exclusive, slices.Clip(c.flags), c.aims, m)
			})
		}
	})
	t.Logf("%d batches, %d kills, killed after: %v", *kills, m.all(), m.killed)
	for _, kind := range []string{"opened", "uploaded", "intended", "accepted", "unanswered", "ended", "stored"} {
		if m.killed[kind] == 0 && *kills >= 200 { // few cycles may miss one
			t.Errorf("no run was killed after a record %q", kind)
		}
	}
}

// TestFiftyPairs runs a batch of a working size against a provider in another
// process and compares the bill with the meter.
func TestFiftyPairs(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for half a minute")
	}
	t.Parallel()
	media, err := filepath.Abs("../../manifests/media")
	if err != nil {
		t.Fatal(err)
	}
	r := &killRig{t: t, binary: buildBinary(t), media: media, dir: t.TempDir()}
	r.startEmulator("--speed", "400", "--seed", "1")
	defer r.stop()
	manifest := r.manifest("fifty", 50, true)
	code, output := r.finish(manifest)
	r.check("fifty", 50, code, true, output)
	m := r.meter()
	if len(m.Tasks) != 50 || m.Requests["create"] != 50 {
		t.Errorf("%d tasks, requests %v", len(m.Tasks), m.Requests)
	}
	for kind, n := range m.OverLimit {
		if n > 0 {
			t.Errorf("%d %s calls over the limit", n, kind)
		}
	}
	report, err := pipeline.Status(filepath.Join(r.dir, "out", "fifty"))
	if err != nil {
		t.Fatal(err)
	}
	if report.Totals.BilledSeconds.String() != m.BilledSeconds {
		t.Errorf("the report bills %s s, the meter %s s", report.Totals.BilledSeconds, m.BilledSeconds)
	}
	for _, j := range report.Jobs {
		if j.File == nil || j.Usage == nil || !j.File.Duration.Equal(j.Usage.VideoDuration) {
			t.Errorf("%s: file %v, usage %v", j.ID, j.File, j.Usage)
		}
	}
	t.Logf("requests: %v", m.Requests)
	if again, output := r.finish(manifest); again != 0 || r.meter().Requests["create"] != 50 {
		t.Errorf("run again: exit %d, requests %v\n%s", again, r.meter().Requests, output)
	}
}
