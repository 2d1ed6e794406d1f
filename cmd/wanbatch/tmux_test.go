package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// tmux is a real terminal to look at.
type tmux struct {
	t      *testing.T
	socket string
}

// newTmux runs a command line in a terminal of its own, in a shell that stays. It
// skips the test where there is no tmux.
func newTmux(t *testing.T, wide, high int, line string) *tmux {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux")
	}
	m := &tmux{t: t, socket: filepath.Join(t.TempDir(), "s")}
	home := t.TempDir()
	cmd := exec.Command("tmux", "-S", m.socket, "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(wide), "-y", fmt.Sprint(high),
		line+`; echo "ends with $?"; exec cat`)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home, "CI=", "TMUX=", "TERM=screen", "LC_ALL=C.UTF-8", "SHELL=/bin/sh",
		"DASHSCOPE_API_KEY=sk-test", "DASHSCOPE_HTTP_BASE_URL=", "GORACE=atexit_sleep_ms=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { m.do("kill-server") })
	return m
}

func (m *tmux) do(args ...string) string {
	m.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", m.socket}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// until waits for a screen that has all of the texts.
func (m *tmux) until(texts ...string) string {
	m.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		screen := m.do("capture-pane", "-p")
		missing := ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return screen
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("no %q on the screen:\n%s", missing, m.all())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// all is what a person sees who scrolls back.
func (m *tmux) all() string {
	m.t.Helper()
	return m.do("capture-pane", "-p", "-J", "-S", "-")
}

// bars counts the bars on a screen. A download ends with a percentage, too.
func bars(screen string) int { return len(bar.FindAllString(screen, -1)) }

var bar = regexp.MustCompile(`\] +\d+%\n`)

// clean checks that nothing of the panel is left.
func (m *tmux) clean() {
	m.t.Helper()
	all := m.all()
	if n := bars(all); n > 0 {
		m.t.Errorf("%d bars are left behind:\n%s", n, all)
	}
	for _, text := range []string{"under way   ", "tasks\n", "tasks (", "downloads\n", "problems\n", "eta "} {
		if strings.Contains(all, text) {
			m.t.Errorf("%q is left behind:\n%s", text, all)
		}
	}
}

// dances is a manifest of so many jobs, some at once.
func dances(t *testing.T, jobs, running int) string {
	t.Helper()
	media, err := filepath.Abs("../../manifests/media")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: dances\nlane: {region: singapore, exclusive: true}\nlimits: {running: %d, create_per_second: 5}\npairs:\n", running)
	for i := range jobs {
		fmt.Fprintf(&b, "  - {id: 'dance-%02d', image: %s/characters/alice.png, video: %s/dances/salsa.mp4}\n", i, media, media)
	}
	file := filepath.Join(t.TempDir(), "dances.yaml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A person starts a run in a small terminal, is asked, makes it larger, and
// interrupts it.
func TestTerminalRun(t *testing.T) {
	t.Parallel()
	faults, err := parseFaults([]string{"failed-input:1"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := startEmulatorServer(t.Context(), "127.0.0.1:0", emulator.Options{Speed: 25, Running: 3, Faults: faults, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	m := newTmux(t, 80, 24, fmt.Sprintf("trap : INT; wanbatch run %s -o %s --endpoint %s", dances(t, 8, 3), t.TempDir(), s.url))
	m.until("submit 8 jobs for 3.84 USD? [y/N]")
	m.do("send-keys", "y", "Enter")
	screen := m.until("[", "] ", "under way", "billed ", "held ", "eta ", "tasks", "ends in ", "problems\n", "failed, not charged")
	if n := bars(screen); n != 1 {
		t.Errorf("%d bars on the screen:\n%s", n, screen)
	}
	m.do("resize-window", "-x", "100", "-y", "30")
	screen = m.until("of 8 jobs", "started ")
	if n := bars(screen); n != 1 {
		t.Errorf("%d bars on the larger screen:\n%s", n, screen)
	}
	m.do("send-keys", "C-c")
	m.until("stopping: finishing current downloads")
	m.until("ends with 130")
	m.clean()
	if all := m.all(); !strings.Contains(all, "continue  wanbatch run ") || !strings.Contains(all, "dances: 8 jobs") {
		t.Errorf("no summary:\n%s", all)
	}
}

// Many tasks fill a large terminal, and one that gets narrower.
func TestTerminalRehearse(t *testing.T) {
	t.Parallel()
	m := newTmux(t, 200, 50, fmt.Sprintf("wanbatch rehearse %s -o %s --speed 40 --seed 1", dances(t, 60, 40), t.TempDir()))
	m.until("of 60 jobs", "tasks", "dance-03 ", "running ")
	m.do("resize-window", "-x", "110", "-y", "50")
	screen := m.until("of 60 jobs", "done")
	if n := bars(screen); n > 1 {
		t.Errorf("%d bars on the screen:\n%s", n, screen)
	}
	m.until("ends with 0")
	m.clean()
	if all := m.all(); !strings.Contains(all, "60 jobs, 60 done") {
		t.Errorf("no summary:\n%s", all)
	}
}

// Colors are left out if nobody wants them, and nothing else is.
func TestTerminalNoColor(t *testing.T) {
	t.Parallel()
	colored := regexp.MustCompile(`\x1b\[[0-9;]+m`)
	for _, tt := range []struct {
		env         string
		live, color bool
	}{
		{"NO_COLOR=", true, true},
		{"NO_COLOR=1", true, false},
		{"TERM=dumb", false, false},
		{"CI=true", false, true},
	} {
		m := newTmux(t, 80, 24, fmt.Sprintf("read go; env TERM=screen NO_COLOR= %s wanbatch rehearse %s -o %s --speed 120", tt.env, dances(t, 1, 1), t.TempDir()))
		file := filepath.Join(t.TempDir(), "raw")
		m.do("pipe-pane", "exec cat >"+file)
		m.do("send-keys", "Enter")
		m.until("ends with 0")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(raw), "under way"); got != tt.live {
			t.Errorf("%s: it is %v that there is a live view:\n%q", tt.env, got, raw)
		}
		if got := strings.Contains(string(raw), "task accepted"); got == tt.live {
			t.Errorf("%s: it is %v that there are log lines:\n%q", tt.env, got, raw)
		}
		if got := colored.Match(raw); got != tt.color {
			t.Errorf("%s: it is %v that there are colors:\n%q", tt.env, got, raw)
		}
	}
}
