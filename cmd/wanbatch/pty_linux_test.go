package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	posix "golang.org/x/sys/unix"
)

// openPTY is a terminal device of which the test is the other end.
func openPTY(t *testing.T, wide, high int) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { near.Close() })
	fd := int(near.Fd())
	if err := posix.IoctlSetPointerInt(fd, posix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := posix.IoctlSetWinsize(fd, posix.TIOCSWINSZ, &posix.Winsize{Col: uint16(wide), Row: uint16(high)}); err != nil {
		t.Fatal(err)
	}
	number, err := posix.IoctlGetInt(fd, posix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// startOn starts the program on the far end of a terminal, which it alone holds then.
// After a minute it is killed, so that reading from the near end ends.
func startOn(t *testing.T, far *os.File, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("wanbatch", args...)
	cmd.Env = append(append(os.Environ(), "HOME="+t.TempDir(), "CI=", "GORACE=atexit_sleep_ms=0"), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = far, far, far
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	far.Close()
	late := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop() })
	return cmd
}

// A person hits Enter and Ctrl-C while the terminal is far behind: no row stays
// behind, and the terminal is left as it was.
func TestTerminalBehind(t *testing.T) {
	t.Parallel()
	s := newScreen(80, 24)
	near, far := openPTY(t, 80, 24)
	before, err := posix.IoctlGetTermios(int(near.Fd()), getModes)
	if err != nil {
		t.Fatal(err)
	}
	cmd := startOn(t, far, []string{"TERM=screen", "NO_COLOR="},
		"rehearse", dances(t, 12, 4), "-o", t.TempDir(), "--speed", "10", "--seed", "1")
	buf := make([]byte, 61) // parts, as they come: most end within a sequence
	take := func(until string) {
		for seen := ""; !strings.Contains(seen, until); seen, _ = s.text() {
			n, err := near.Read(buf)
			if err != nil {
				t.Fatalf("no %q on the screen, %v:\n%s\n%s", until, err, seen, s.odd)
			}
			_, _ = s.Write(buf[:n])
		}
	}
	press := func(keys string) {
		if _, err := near.WriteString(keys); err != nil {
			t.Fatal(err)
		}
	}
	take("\ntasks")
	press("\r\r\r")
	for waits, end := 0, time.Now().Add(30*time.Second); waits < 4095; { // as many as a terminal's buffer holds: more is on its way
		if waits, err = posix.IoctlGetInt(int(near.Fd()), posix.TIOCINQ); err != nil || time.Now().After(end) {
			t.Fatalf("%d bytes wait: %v", waits, err)
		}
		time.Sleep(time.Millisecond)
	}
	press("\x03")
	take("wanbatch: interrupted")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("ends with %v", err)
	}
	after, err := posix.IoctlGetTermios(int(near.Fd()), getModes)
	if err != nil || *after != *before {
		t.Errorf("the terminal was %+v and is %+v, %v", before, after, err)
	}
	seen, kept := s.text()
	if !strings.Contains(kept+"\n"+seen, "(and 10 more like this)\nstopping: ") {
		t.Errorf("what stood above is gone, or something came between:\n%s\n%s", kept, seen)
	}
	for _, text := range []string{"]   0%", "under way  ", "tasks (", "tasks\n", "eta "} {
		if strings.Contains(kept+"\n"+seen, text) {
			t.Errorf("%q is left behind:\n%s\n%s", text, kept, seen)
		}
	}
	if s.odd != "" {
		t.Errorf("the terminal was sent %q", s.odd)
	}
}

// A person who says no is told that nothing was submitted, and no more.
func TestTerminalNo(t *testing.T) {
	t.Parallel()
	near, far := openPTY(t, 80, 60)
	cmd := startOn(t, far, []string{"TERM=dumb", "DASHSCOPE_API_KEY=sk-test"},
		"run", dances(t, 1, 1), "-o", t.TempDir(), "--endpoint", "http://127.0.0.1:1")
	seen, buf := "", make([]byte, 1<<16)
	take := func(until string) {
		for !strings.Contains(seen, until) {
			n, err := near.Read(buf)
			if err != nil {
				t.Fatalf("no %q, %v:\n%s", until, err, seen)
			}
			seen += string(buf[:n])
		}
	}
	take("[y/N]")
	if _, err := near.WriteString("n\r"); err != nil {
		t.Fatal(err)
	}
	take("\nwanbatch: nothing was submitted\r\n")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Errorf("ends with %v", err)
	}
}
