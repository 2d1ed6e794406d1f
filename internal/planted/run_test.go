package planted

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// patience bounds one suite. A bug that makes a test hang is not caught: a slow
// machine would look the same.
const patience = "-test.timeout=5m"

// The ways in which a bug is not caught.
var (
	errSurvived  = errors.New("SURVIVED: no test noticed")
	errNoCompile = errors.New("does not compile")
)

// hunt builds the bug's tests with the bug in them and runs them, suite after
// suite, until one fails. It returns the name of the test that failed first.
func (b bug) hunt(ctx context.Context, scratch string) (catcher string, err error) {
	overlay, err := b.overlay(scratch)
	if err != nil {
		return "", err
	}
	for i, s := range b.tests {
		binary := filepath.Join(scratch, fmt.Sprintf("suite%d.test", i))
		if err := build(ctx, s.folder, overlay, binary); err != nil {
			return "", err
		}
		catcher, err := s.fails(ctx, binary)
		if catcher != "" || err != nil {
			return catcher, err
		}
	}
	return "", errSurvived
}

// overlay writes the patched files and the list that puts them in place of the
// real ones.
func (b bug) overlay(scratch string) (list string, err error) {
	files, err := b.patched()
	if err != nil {
		return "", err
	}
	var to struct{ Replace map[string]string }
	to.Replace = map[string]string{}
	for file, text := range files {
		real, err := filepath.Abs(filepath.Join(module, filepath.FromSlash(file)))
		if err != nil {
			return "", err
		}
		stand := filepath.Join(scratch, fmt.Sprintf("%d.go", len(to.Replace)))
		if err := os.WriteFile(stand, []byte(text), 0o600); err != nil {
			return "", err
		}
		to.Replace[real] = stand
	}
	text, err := json.Marshal(to)
	if err != nil {
		return "", err
	}
	list = filepath.Join(scratch, "overlay.json")
	return list, os.WriteFile(list, text, 0o600)
}

// build makes the test binary of one package, without tables for debuggers, which
// take longer to link than the rest. Vet is off: a bug may look like one.
func build(ctx context.Context, folder, overlay, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, folder)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %w\n%s", errNoCompile, err, out)
	}
	return nil
}

var failed = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// fails runs the suite and returns the test that failed first, "" if all passed.
// What ends in another way proves nothing.
func (s suite) fails(ctx context.Context, binary string) (catcher string, err error) {
	defer os.Remove(binary)
	cmd := exec.CommandContext(ctx, binary, "-test.failfast", "-test.run", s.run, patience)
	cmd.Dir = filepath.Join(module, filepath.FromSlash(s.folder))
	out, err := cmd.CombinedOutput()
	if err == nil {
		if strings.Contains(string(out), "no tests to run") {
			return "", fmt.Errorf("no test of %s matches %s: update the bug", s.folder, s.run)
		}
		return "", nil
	}
	for _, m := range failed.FindAllSubmatch(out, -1) {
		if name := string(m[1]); catcher == "" || strings.HasPrefix(name, catcher+"/") {
			catcher = name // a subtest says more than the test that holds it
		}
	}
	if catcher == "" || strings.Contains(string(out), "panic: test timed out") {
		return "", fmt.Errorf("%s %s ended without a verdict: %w\n%s", s.folder, s.run, err, tail(out))
	}
	return catcher, nil
}

func tail(out []byte) string {
	const most = 4 << 10
	return string(out[max(0, len(out)-most):])
}

// verdict is what became of one bug.
type verdict struct {
	bug     bug
	catcher string
	err     error
	took    time.Duration
}

// judge hunts one bug in a folder of its own.
func judge(ctx context.Context, b bug) verdict {
	start := time.Now()
	scratch, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return verdict{bug: b, err: err}
	}
	catcher, err := b.hunt(ctx, scratch)
	return verdict{b, catcher, errors.Join(err, os.RemoveAll(scratch)), time.Since(start)}
}
