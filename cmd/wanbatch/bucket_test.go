package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// storeFolder holds what storeProgram built; "" before.
var storeFolder string

// storeProgram builds the object store of the tests, a module of its own, once.
var storeProgram = sync.OnceValues(func() (path string, err error) {
	if storeFolder, err = os.MkdirTemp("", "storetest-"); err != nil {
		return "", err
	}
	path = filepath.Join(storeFolder, "storetest")
	build := exec.Command("go", "build", "-C", "../../internal/store/storetest", "-o", path, ".")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// condition tells a script what this machine can do: [bucket].
func condition(name string) (bool, error) {
	if name != "bucket" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	if testing.Short() {
		return false, nil
	}
	_, err := storeProgram()
	return err == nil, nil
}

// startBucket serves a bucket in a process of its own and writes its URL into
// manifests in place of BUCKET: bucket [-FLAG=VALUE...] FILE...
func startBucket(ts *testscript.TestScript, neg bool, args []string) {
	path, err := storeProgram()
	ts.Check(err)
	flags := 0
	for flags < len(args) && strings.HasPrefix(args[flags], "-") {
		flags++
	}
	cmd := exec.Command(path, args[:flags]...)
	in, err := cmd.StdinPipe()
	ts.Check(err)
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		in.Close()
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	for _, name := range args[flags:] {
		text := strings.ReplaceAll(ts.ReadFile(name), "BUCKET", strings.TrimSpace(url))
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}
