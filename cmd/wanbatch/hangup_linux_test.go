package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// heldProvider makes a task for the second create like for any other, but keeps the
// answer back until it is told to give it.
type heldProvider struct {
	*emulator.Server
	url           string
	created, give chan struct{}
	creates       atomic.Int32
}

func newHeldProvider(t *testing.T) *heldProvider {
	t.Helper()
	p := &heldProvider{Server: emulator.New(emulator.Options{Speed: 40, Seed: 1}), created: make(chan struct{}), give: make(chan struct{})}
	server := httptest.NewServer(p)
	t.Cleanup(func() { server.Close(); p.Close() })
	p.url = server.URL
	return p
}

func (p *heldProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/video-synthesis") || p.creates.Add(1) != 2 {
		p.Server.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	p.Server.ServeHTTP(answer, r)
	close(p.created)
	select {
	case <-p.give:
	case <-r.Context().Done(): // who asked is gone
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// heldRun is a run of two jobs whose second create is on its way: the provider has its
// task, the run has no answer yet.
type heldRun struct {
	*heldProvider
	t        *testing.T
	manifest string
	out      string
	env      []string
	cmd      *exec.Cmd
	ended    chan struct{}
}

func newHeldRun(t *testing.T) *heldRun {
	t.Helper()
	handled := make(chan os.Signal, 1) // children begin with the default, even below nohup
	signal.Notify(handled, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(handled) })
	media, err := filepath.Abs("../../manifests/media")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &heldRun{heldProvider: newHeldProvider(t), t: t, manifest: filepath.Join(dir, "two.yaml"), out: filepath.Join(dir, "out"),
		env: []string{"DASHSCOPE_API_KEY=sk-test", "XDG_STATE_HOME=" + filepath.Join(dir, "state")}, ended: make(chan struct{})}
	text := fmt.Sprintf("version: 1\nname: two\nlane: {region: singapore}\n"+
		"limits: {poll_min: 50ms, poll_max: 200ms, create_per_second: 5, settle: 300ms}\npairs:\n"+
		"  - {id: one, image: %[1]s/characters/alice.png, video: %[1]s/dances/jump.mov}\n"+
		"  - {id: two, image: %[1]s/characters/bo.jpg, video: %[1]s/dances/jump.mov}\n", media)
	if err := os.WriteFile(r.manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *heldRun) args(flags ...string) []string {
	return append([]string{"run", r.manifest, "--yes", "-o", r.out, "--endpoint", r.url}, flags...)
}

// start starts the run, or a shell that becomes it.
func (r *heldRun) start(cmd *exec.Cmd) {
	r.t.Helper()
	cmd.Env = append(append(os.Environ(), "CI=", "GORACE=atexit_sleep_ms=0"), r.env...)
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.follow(cmd)
}

// follow waits until the second create is on its way.
func (r *heldRun) follow(cmd *exec.Cmd) {
	r.t.Helper()
	r.cmd = cmd
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	go func() { _ = cmd.Wait(); late.Stop(); close(r.ended) }()
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); <-r.ended })
	select {
	case <-r.created:
	case <-r.ended:
		r.t.Fatalf("ended with %v before its second create", cmd.ProcessState)
	}
}

// until waits for a record, or for the end of the run.
func (r *heldRun) until(kind string) {
	for !strings.Contains(r.journal(), `"`+kind+`"`) {
		select {
		case <-r.ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// wait gives the run time to end though it should not.
func (r *heldRun) wait(d time.Duration) {
	select {
	case <-r.ended:
	case <-time.After(d):
	}
}

// journal lists the kinds of the records about each job, and of the end.
func (r *heldRun) journal() string {
	text, _ := os.ReadFile(filepath.Join(r.out, "two", "journal.jsonl"))
	var kinds []string
	for line := range bytes.Lines(text) {
		var rec struct {
			Data struct{ Type, Job, By, Message string } `json:"data"`
		}
		if json.Unmarshal(line, &rec) == nil {
			kinds = append(kinds, fmt.Sprintf("%q %s %s %s", rec.Data.Type, rec.Data.Job, rec.Data.By, rec.Data.Message))
		}
	}
	return strings.Join(kinds, "\n")
}

// answered gives the answer that is held back, and checks that the run took it and how
// it ended.
func (r *heldRun) answered(code int, last string) {
	r.t.Helper()
	close(r.give)
	<-r.ended
	journal := r.journal()
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.t.Errorf("ends with %v, want %d", r.cmd.ProcessState, code)
	}
	if !strings.Contains(journal, `"accepted" two`) || !strings.HasSuffix(journal, `"closed"  `+last) {
		r.t.Errorf("the journal ends with\n%s\nwant the answer to the create of two, and last %q", journal, last)
	}
}

// continued runs the batch again and checks that nothing was paid twice or is missing.
func (r *heldRun) continued() {
	r.t.Helper()
	cmd := exec.Command("wanbatch", r.args()...)
	cmd.Env = append(os.Environ(), r.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Errorf("the next run: %v\n%s", err, out)
	}
	if n := r.creates.Load(); n != 2 {
		r.t.Errorf("%d creates, want 2", n)
	}
}

// Who reads the lines of a run may leave while a create is on its way: the run goes on
// to its end. Only results that were asked for and not delivered are a failure.
func TestReaderLeaves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		flags  []string
		stream func(*exec.Cmd, *os.File)
		code   int
	}{
		{"log", nil, func(c *exec.Cmd, w *os.File) { c.Stdout, c.Stderr = w, w }, 0},
		{"json log", []string{"--log-format", "json"}, func(c *exec.Cmd, w *os.File) { c.Stderr = w }, 0},
		{"events", []string{"--events", "--quiet"}, func(c *exec.Cmd, w *os.File) { c.Stdout = w }, 1},
		{"report", []string{"--json"}, func(c *exec.Cmd, w *os.File) { c.Stdout = w }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newHeldRun(t)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("wanbatch", r.args(tt.flags...)...)
			tt.stream(cmd, write)
			r.start(cmd)
			write.Close()
			read.Close()
			r.until("stored") // of the first job: lines were written meanwhile
			r.answered(tt.code, "finished ")
			r.continued()
		})
	}
}

// Told to hang up, a run stops as SIGTERM has it stop. The kernel, the shell and others
// may all say so: that is no second wish.
func TestHangup(t *testing.T) {
	t.Parallel()
	for _, again := range []int{0, 2} {
		t.Run(fmt.Sprint(again), func(t *testing.T) {
			t.Parallel()
			r := newHeldRun(t)
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("wanbatch", r.args()...)
			cmd.Stderr = write
			r.start(cmd)
			write.Close()
			defer read.Close()
			_ = cmd.Process.Signal(syscall.SIGHUP)
			told := bufio.NewScanner(read)
			for told.Scan() && !strings.HasPrefix(told.Text(), "stopping: ") {
			}
			for range again {
				_ = cmd.Process.Signal(syscall.SIGHUP)
				r.wait(300 * time.Millisecond) // in which one that counted would end the run
			}
			r.answered(130, "interrupted interrupted; run again to continue")
			r.continued()
		})
	}
}

// What nohup started does not care.
func TestHangupIgnored(t *testing.T) {
	t.Parallel()
	r := newHeldRun(t)
	cmd := exec.Command("sh", append([]string{"-c", `trap "" HUP; exec wanbatch "$@"`, "sh"}, r.args("-q")...)...)
	r.start(cmd)
	_ = cmd.Process.Signal(syscall.SIGHUP)
	r.answered(0, "finished ")
}

// A terminal is closed under the live view: the kernel tells the run, and nothing can be
// written or asked there any more.
func TestTerminalGone(t *testing.T) {
	t.Parallel()
	r := newHeldRun(t)
	near, far := openPTY(t, 80, 24)
	cmd := startOn(t, far, append(r.env, "TERM=xterm", "NO_COLOR="), r.args()...)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer near.Close()
		for buf := make([]byte, 1<<12); ; {
			select {
			case <-r.created:
				return
			default:
			}
			if _, err := near.Read(buf); err != nil {
				return
			}
		}
	}()
	r.follow(cmd)
	<-gone
	r.wait(300 * time.Millisecond) // in which it may be ended by what it writes
	r.answered(130, "interrupted interrupted; run again to continue")
	if used := cmd.ProcessState.SystemTime() + cmd.ProcessState.UserTime(); used > 10*time.Second {
		t.Errorf("took %v of a processor", used)
	}
	r.continued()
}

// A command that only tells ends silently, as its like do, when nobody reads.
func TestReaderLeavesStatus(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	if text, err := exec.Command("wanbatch", "rehearse", dances(t, 1, 1), "-o", out, "--speed", "2000").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer write.Close()
	var told bytes.Buffer
	cmd := exec.Command("wanbatch", "status", filepath.Join(out, "dances-rehearsal"))
	cmd.Stdout, cmd.Stderr = write, &told
	_ = cmd.Run() // its state says it
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGPIPE || told.Len() > 0 {
		t.Errorf("ends with %v and %q", cmd.ProcessState, told.String())
	}
}
