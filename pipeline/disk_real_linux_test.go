package pipeline_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/internal/journal"
	"github.com/wanbatch/wanbatch/pipeline"
)

// smallDisk puts the output on a file system of one megabyte in memory.
func (r *rig) smallDisk() (remount func(flags uintptr, options string)) {
	r.t.Helper()
	output := filepath.Join(r.dir, "out")
	if err := os.Mkdir(output, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", output, "tmpfs", 0, "size=1m"); err != nil {
		r.t.Skip("cannot mount: ", err)
	}
	r.t.Cleanup(func() { _ = syscall.Unmount(output, syscall.MNT_DETACH) })
	return func(flags uintptr, options string) {
		r.t.Helper()
		if err := syscall.Mount("", output, "tmpfs", syscall.MS_REMOUNT|flags, options); err != nil {
			r.t.Fatal(err)
		}
	}
}

// fill leaves so many bytes of the small disk free.
func (r *rig) fill(free int64) (empty func()) {
	r.t.Helper()
	output := filepath.Join(r.dir, "out")
	var s syscall.Statfs_t
	if err := syscall.Statfs(output, &s); err != nil {
		r.t.Fatal(err)
	}
	ballast := filepath.Join(output, "ballast")
	if err := os.WriteFile(ballast, make([]byte, max(int64(s.Bavail)*s.Bsize-free, 0)), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(ballast); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Without room for the outcome of a create, none is sent; with room again, the run
// goes on where it was.
func TestFullDiskCreatesNothing(t *testing.T) {
	r := newRig(t, 3000, emulator.Options{})
	r.smallDisk()
	empty := r.fill(48 << 10) // for locks and some lines, not for the reserve
	plan := r.plan(3, "true")
	_, err := r.try(t.Context(), plan)
	if err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("on a full disk: %v\n%s", err, r.trail())
	}
	if n := r.provider.Meter().Requests["create"]; n != 0 {
		t.Errorf("%d creates without room for their outcome", n)
	}
	empty()
	r.settled(r.run(plan), 3)
}

// With room for records but not for a third video, what was paid waits at the
// provider, and nothing is created any more.
func TestFullDiskKeepsResults(t *testing.T) {
	r := newRig(t, 3000, emulator.Options{Padding: 300 << 10})
	remount := r.smallDisk()
	plan := r.plan(10, "true")
	_, err := r.try(t.Context(), plan)
	if err == nil || !strings.Contains(err.Error(), "free some space") {
		t.Errorf("on a full disk: %v\n%s", err, r.trail())
	}
	full, after := false, 0
	for _, e := range r.events {
		full = full || e.Kind == "trouble" && strings.Contains(e.Message, syscall.ENOSPC.Error())
		if full && e.Kind == "intended" {
			after++
		}
	}
	if !full || after > 1 { // one may be on its way while the first download fails
		t.Errorf("disk full %v, %d intents afterwards\n%s", full, after, r.trail())
	}
	remount(0, "size=8m")
	r.settled(r.run(plan), 10)
	if n := r.provider.Meter().Creates; n != 10 {
		t.Errorf("%d creates for 10 pairs", n)
	}
}

func TestReadOnlyOutput(t *testing.T) {
	r := newRig(t, 3000, emulator.Options{})
	remount := r.smallDisk()
	remount(syscall.MS_RDONLY, "")
	_, err := r.try(t.Context(), r.plan(1, "true"))
	if !errors.Is(err, syscall.EROFS) || errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), r.folder()) {
		t.Errorf("on a read-only disk: %v", err)
	}
	if n := r.provider.Meter().Requests["create"]; n != 0 {
		t.Errorf("%d creates", n)
	}
}

// Examine says what a full disk will do, and that memory is no disk.
func TestExamineSmallDisk(t *testing.T) {
	r := newRig(t, 1, emulator.Options{})
	r.smallDisk()
	found := func(name string) pipeline.Check {
		t.Helper()
		for _, c := range pipeline.Examine(t.Context(), r.plan(3, "true"), r.config()) {
			if c.Name == name {
				return c
			}
		}
		t.Fatalf("no check %q", name)
		return pipeline.Check{}
	}
	if c := found("disk"); c.Level != pipeline.LevelWarning || !strings.Contains(c.Message, "memory") {
		t.Errorf("tmpfs: %+v", c)
	}
	if c := found("space"); c.Level != pipeline.LevelWarning {
		t.Errorf("too little room for the videos: %+v", c)
	}
	r.fill(16 << 10)
	for _, name := range []string{"output", "space"} {
		if c := found(name); c.Level != pipeline.LevelProblem || c.Err == nil || !strings.Contains(c.Hint, "free space") {
			t.Errorf("a full disk, %s: %+v", name, c)
		}
	}
	if left, err := filepath.Glob(filepath.Join(r.dir, "out", ".wanbatch-doctor-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// The mark in the lane's lock finds no room, as on a file system that copies on write:
// nothing is sent until it does. Here it needs room only for a second page, so the path
// of the batch fills the first.
func TestFullStateCreatesNothing(t *testing.T) {
	for _, again := range []bool{true, false} {
		r := newRig(t, 3000, emulator.Options{})
		state := filepath.Join(r.dir, "small")
		if err := os.Mkdir(state, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=64k"); err != nil {
			t.Skip("cannot mount: ", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(state, syscall.MNT_DETACH) })
		output := r.dir
		for length := 0; length < os.Getpagesize()-30; {
			owner := journal.Owner{PID: os.Getpid(), Host: "host", Since: time.Now().UTC(), Batch: filepath.Join(output, "test"), Begun: time.Now().UTC()}
			line, err := json.Marshal(owner)
			if err != nil {
				t.Fatal(err)
			}
			if length = len(line); length < os.Getpagesize()-230 {
				output = filepath.Join(output, strings.Repeat("&", 30)) // six bytes each in the lock
			} else if length < os.Getpagesize()-30 {
				output += "x"
			}
		}
		ballast, troubles := filepath.Join(state, "ballast"), 0
		report, err := r.try(t.Context(), r.plan(4, "true"), func(c *pipeline.Config) {
			c.State, c.Output = state, output
			c.OnEvent = func(e pipeline.Event) {
				switch e.Kind {
				case "started":
					_ = os.WriteFile(ballast, make([]byte, 64<<10), 0o644)
				case "trouble":
					if troubles++; troubles == 3 && again {
						_ = os.Remove(ballast)
					}
				}
			}
		})
		creates := r.provider.Meter().Creates
		switch {
		case troubles < 3:
			t.Fatalf("the mark found room: %d troubles, %v", troubles, err)
		case again && (err != nil || report.Totals.Done != 4):
			t.Errorf("with room again: %v; %d done", err, report.Totals.Done)
		case !again && (creates != 0 || err == nil || !strings.Contains(err.Error(), "free some space")):
			t.Errorf("without room: %v; %d creates", err, creates)
		}
	}
}
