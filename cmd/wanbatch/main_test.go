package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

// checked is a test run that also fails on goroutines that nobody waited for.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	code := c.m.Run()
	if storeFolder != "" {
		os.RemoveAll(storeFolder)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(checked{m}, map[string]func(){"wanbatch": main})
}

// TestScripts types what a person would type; see testdata/*.txt.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Condition:           condition,
		Setup:               setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":    checkExit,
			"bucket":   startBucket,
			"madeat":   madeAt,
			"emulator": startEmulator,
			"meter":    checkMeter,
			"nowhere":  nowhere,
			"receiver": startReceiver,
			"start":    start,
			"signal":   signalStarted,
			"sees":     sees,
			"ends":     ends,
		},
	})
}

// setup gives each script a home of its own, a key, and media.
func setup(env *testscript.Env) error {
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
	env.Setenv("DASHSCOPE_API_KEY", "sk-test")
	env.Setenv("CI", "")
	env.Setenv("TZ", "UTC")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // under the race detector each exit would take a second
	env.Values[started{}] = map[string]*process{}
	return os.CopyFS(filepath.Join(env.WorkDir, "media"), os.DirFS("../../manifests/media"))
}

// checkExit runs wanbatch and checks its exit code: exits CODE ARG...
func checkExit(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("wanbatch", args[1:]...)
	code := 0
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got := fmt.Sprint(code); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// process is a wanbatch in the background.
type process struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	text strings.Builder
}

// background starts wanbatch; the script's end kills it if it still runs.
func background(ts *testscript.TestScript, args []string) *process {
	p := &process{}
	p.cmd = exec.Command("wanbatch", args...)
	p.cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"HOME", "XDG_STATE_HOME", "DASHSCOPE_API_KEY", "DASHSCOPE_HTTP_BASE_URL", "PATH", "TMPDIR", "CI", "GORACE"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	stdout, err := p.cmd.StdoutPipe()
	ts.Check(err)
	p.cmd.Stderr = p.cmd.Stdout
	ts.Check(p.cmd.Start())
	p.out = bufio.NewReader(stdout)
	ts.Defer(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

// until reads output up to a line that contains text.
func (p *process) until(ts *testscript.TestScript, text string) string {
	for {
		line, err := p.out.ReadString('\n')
		p.text.WriteString(line)
		if strings.Contains(line, text) {
			return strings.TrimSpace(line)
		}
		if err != nil {
			ts.Fatalf("no %q before the end of:\n%s", text, p.text.String())
		}
	}
}

// startEmulator serves the emulator and makes it everybody's endpoint: emulator FLAG...
func startEmulator(ts *testscript.TestScript, neg bool, args []string) {
	p := background(ts, append([]string{"emulator", "--speed", "2000", "--seed", "1"}, args...))
	ts.Setenv("DASHSCOPE_HTTP_BASE_URL", p.until(ts, "http://127.0.0.1:"))
}

// checkMeter checks a figure of the emulator's own count: meter NAME VALUE. A dot
// leads into a map or a list, whose figures change while a run goes on: for such a
// one it waits, for at most 10 s.
func checkMeter(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(10 * time.Second)
	for {
		got := readMeter(ts, strings.Split(args[0], "."))
		if got == args[1] {
			return
		}
		if time.Now().After(deadline) || !strings.Contains(args[0], ".") {
			ts.Fatalf("the meter's %s is %s, want %s", args[0], got, args[1])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func readMeter(ts *testscript.TestScript, path []string) string {
	answer, err := http.Get(ts.Getenv("DASHSCOPE_HTTP_BASE_URL") + "/__meter")
	ts.Check(err)
	defer http.DefaultClient.CloseIdleConnections()
	defer answer.Body.Close()
	var count any
	ts.Check(json.NewDecoder(answer.Body).Decode(&count))
	for _, name := range path {
		if list, ok := count.([]any); ok {
			n, err := strconv.Atoi(name)
			ts.Check(err)
			count = list[n]
			continue
		}
		count = count.(map[string]any)[name]
	}
	return fmt.Sprint(count)
}

// nowhere checks that no file below the script's folder, nor the last output,
// contains a text: nowhere TEXT. The scripts' own files end in .yaml.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	texts := map[string]string{"stdout": ts.ReadFile("stdout"), "stderr": ts.ReadFile("stderr")}
	ts.Check(filepath.WalkDir(ts.Getenv("WORK"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	}))
	for name, text := range texts {
		if strings.Contains(text, args[0]) {
			ts.Fatalf("%s contains %q", name, args[0])
		}
	}
}

// start runs wanbatch in the background until it prints a text: start NAME TEXT ARG...
func start(ts *testscript.TestScript, neg bool, args []string) {
	p := background(ts, args[2:])
	ts.Value(started{}).(map[string]*process)[args[0]] = p
	p.until(ts, args[1])
}

type started struct{}

// signalStarted interrupts a started wanbatch as Ctrl-C does: signal NAME
func signalStarted(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Value(started{}).(map[string]*process)[args[0]].cmd.Process.Signal(os.Interrupt))
}

// sees waits until a started wanbatch prints a text: sees NAME TEXT
func sees(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value(started{}).(map[string]*process)[args[0]].until(ts, args[1])
}

// ends waits for a started wanbatch and checks its exit code: ends NAME CODE TEXT
func ends(ts *testscript.TestScript, neg bool, args []string) {
	p := ts.Value(started{}).(map[string]*process)[args[0]]
	rest, err := io.ReadAll(p.out)
	ts.Check(err)
	_ = p.cmd.Wait() // the exit code says it
	if got := fmt.Sprint(p.cmd.ProcessState.ExitCode()); got != args[1] || !strings.Contains(string(rest), args[2]) {
		ts.Fatalf("exit code %s, want %s and %q in:\n%s%s", got, args[1], args[2], p.text.String(), rest)
	}
}
