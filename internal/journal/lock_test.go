package journal_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/internal/journal"
)

func owner(batch string) journal.Owner {
	return journal.Owner{PID: 42, Host: "here", Batch: batch, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func acquire(t *testing.T, path, batch string) *journal.Lock {
	t.Helper()
	l, err := journal.Acquire(path, owner(batch), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Release(true) })
	return l
}

func release(t *testing.T, l *journal.Lock, clear bool) {
	t.Helper()
	if err := l.Release(clear); err != nil {
		t.Fatal(err)
	}
}

func TestLockNamesItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	acquire(t, path, "first")
	_, err := journal.Acquire(path, owner("second"), nil)
	var held *journal.LockedError
	if !errors.As(err, &held) {
		t.Fatalf("second acquire: %v", err)
	}
	if diff := cmp.Diff(&journal.LockedError{Owner: owner("first"), Path: path}, held); diff != "" {
		t.Errorf("holder (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestPreviousOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	steps := []struct {
		batch string
		want  journal.Owner // previous
		clear bool
	}{
		{"a", journal.Owner{}, false},
		{"b", owner("a"), true},
		{"c", journal.Owner{}, false},
	}
	for _, s := range steps {
		l := acquire(t, path, s.batch)
		if l.Previous() != s.want {
			t.Errorf("%s found %+v, want %+v", s.batch, l.Previous(), s.want)
		}
		release(t, l, s.clear)
		release(t, l, !s.clear) // the second call must not touch the file
	}
	if err := os.WriteFile(path, []byte("{\x00 rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l := acquire(t, path, "d"); l.Previous() != (journal.Owner{}) {
		t.Errorf("rubbish named %+v", l.Previous())
	}
}

// A process that is killed while it signs leaves its name over the beginning of
// a longer one.
func TestHalfReplacedOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release(t, acquire(t, path, "short"), false)
	signed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(signed, `batch":"a much longer name"}`...), 0o600); err != nil {
		t.Fatal(err)
	}
	l := acquire(t, path, "x")
	if l.Previous() != owner("short") {
		t.Errorf("found %+v", l.Previous())
	}
	release(t, l, false)
	if text, err := os.ReadFile(path); err != nil || strings.Count(string(text), "\n") != 1 || !strings.HasSuffix(string(text), "}\n") {
		t.Errorf("the name was not cut to its length: %q, %v", text, err)
	}
}

func TestPlantedLockIsRefused(t *testing.T) {
	folder := t.TempDir()
	victim, path := filepath.Join(folder, "victim"), filepath.Join(folder, "lock")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, path); err != nil {
		t.Skip(err)
	}
	if _, err := journal.Acquire(path, owner("x"), nil); err == nil {
		t.Error("a symbolic link was locked")
	}
	if _, err := journal.Acquire(folder, owner("x"), nil); err == nil {
		t.Error("a folder was locked")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("the link's target is now %q, %v", text, err)
	}
}

func TestHundredRacersOneWinner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	for range 10 {
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			won  []*journal.Lock
			lost int
		)
		start := make(chan struct{})
		for range 100 {
			wg.Go(func() {
				<-start
				l, err := journal.Acquire(path, owner("racer"), nil)
				mu.Lock()
				defer mu.Unlock()
				var held *journal.LockedError
				switch {
				case err == nil:
					won = append(won, l)
				case errors.As(err, &held):
					lost++
				default:
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		if len(won) != 1 || lost != 99 {
			t.Fatalf("%d won and %d lost", len(won), lost)
		}
		release(t, won[0], true)
	}
}

// rival starts a process that tries the lock, and returns its first line.
func rival(t *testing.T, path string) (string, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line, cmd
}

func TestLockBetweenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, cmd := rival(t, path)
	if first != "won\n" {
		t.Fatalf("first process: %s", first)
	}
	if second, _ := rival(t, path); second == "won\n" {
		t.Fatal("two processes hold the lock")
	}
	_, err := journal.Acquire(path, owner("third"), nil)
	var held *journal.LockedError
	if !errors.As(err, &held) || held.Owner.PID != cmd.Process.Pid || held.Owner.Batch != "rival" {
		t.Fatalf("third: %v", err)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	l := acquire(t, path, "heir")
	if l.Previous().PID != cmd.Process.Pid {
		t.Errorf("previous owner is %+v, want the killed process %d", l.Previous(), cmd.Process.Pid)
	}
}

// A lock that may not be taken over stays marked by its previous owner.
func TestRefusedTakeOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	if err := acquire(t, path, "crashed").Release(false); err != nil {
		t.Fatal(err)
	}
	reserved := errors.New("reserved")
	_, err := journal.Acquire(path, owner("greedy"), func(previous journal.Owner) error {
		if previous != owner("crashed") {
			t.Errorf("asked about %+v", previous)
		}
		return reserved
	})
	if !errors.Is(err, reserved) {
		t.Fatalf("taking over: %v", err)
	}
	if l := acquire(t, path, "next"); l.Previous() != owner("crashed") {
		t.Errorf("the refused take-over left %+v", l.Previous())
	}
}

// Who looks takes nothing: a name left behind by a dead process is nobody, and
// somebody who looks all the time keeps no run out.
func TestHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	want := func(who *journal.Owner) {
		t.Helper()
		got, err := journal.Holder(path)
		if diff := cmp.Diff(who, got); diff != "" || err != nil {
			t.Errorf("holder (-want +got), %v:\n%s", err, diff)
		}
	}
	want(nil)
	first := owner("first")
	l := acquire(t, path, "first")
	want(&first)
	release(t, l, false)
	want(nil)
	var looker sync.WaitGroup
	done := make(chan struct{})
	looker.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if who, err := journal.Holder(path); err != nil || who != nil && *who != first {
				t.Errorf("holder %v, %v", who, err)
			}
		}
	})
	for range 100 {
		release(t, acquire(t, path, "first"), false)
	}
	close(done)
	looker.Wait()
}
