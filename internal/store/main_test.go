package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/wanbatch/wanbatch/internal/store"
)

// depot is the base URL of a store that runs as a process of its own; "" and why
// when there is none.
var depot, noDepot string

func TestMain(m *testing.M) {
	var stop func()
	depot, stop = startDepot()
	code := m.Run()
	stop()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// startDepot builds the nested module storetest and starts it.
func startDepot() (url string, stop func()) {
	stop = func() {}
	dir, err := os.MkdirTemp("", "storetest-")
	if err != nil {
		noDepot = err.Error()
		return "", stop
	}
	stop = func() { os.RemoveAll(dir) }
	program := filepath.Join(dir, "storetest")
	build := exec.Command("go", "build", "-C", "storetest", "-o", program, ".")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		noDepot = fmt.Sprintf("the test store cannot be built: %v\n%s", err, out)
		return "", stop
	}
	run := exec.CommandContext(context.Background(), program)
	in, err := run.StdinPipe()
	if err != nil {
		noDepot = err.Error()
		return "", stop
	}
	out, err := run.StdoutPipe()
	if err == nil {
		err = run.Start()
	}
	if err != nil {
		noDepot = err.Error()
		return "", stop
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(line), func() {
		in.Close()
		run.Wait()
		os.RemoveAll(dir)
	}
}

// secret is the key of every test; it must never come back in a text.
const secret = "canary/+=secret"

// each runs a test with both SDKs against the store.
func each(t *testing.T, test func(t *testing.T, d *dealer)) {
	if testing.Short() {
		t.Skip("builds and runs another program")
	}
	if depot == "" {
		t.Skip(noDepot)
	}
	for _, kind := range []string{store.OSS, store.S3} {
		t.Run(kind, func(t *testing.T) { test(t, newDealer(t, kind)) })
	}
}
