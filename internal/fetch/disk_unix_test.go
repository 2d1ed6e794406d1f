//go:build unix

package fetch_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/fetch"
)

// plants are what somebody may have put where a part or a file goes. Each
// returns what must still hold afterwards.
var plants = map[string]func(t *testing.T, at, victim string) error{
	"symlink":          func(t *testing.T, at, victim string) error { return os.Symlink(victim, at) },
	"relative symlink": func(t *testing.T, at, victim string) error { return os.Symlink("../victim", at) },
	"dangling symlink": func(t *testing.T, at, victim string) error { return os.Symlink("nowhere", at) },
	"hard link":        func(t *testing.T, at, victim string) error { return os.Link(victim, at) },
	"fifo":             func(t *testing.T, at, victim string) error { return syscall.Mkfifo(at, 0o666) },
	"empty directory":  func(t *testing.T, at, victim string) error { return os.Mkdir(at, 0o755) },
	"garbage":          func(t *testing.T, at, victim string) error { return os.WriteFile(at, []byte("garbage"), 0o666) },
}

func TestPlantedNames(t *testing.T) {
	for name, plant := range plants {
		for _, where := range []string{"a.mp4", "a.mp4.part", "a.mp4.tag.part"} {
			t.Run(name+" at "+where, func(t *testing.T) {
				s := newStore(t, movie(100_000, 1))
				p := s.place(t, fetch.Config{})
				victim := filepath.Join(p.dir, "victim")
				if err := errors.Join(os.Mkdir(p.path(""), 0o755), os.WriteFile(victim, []byte("precious"), 0o644), plant(t, p.path(where), victim)); err != nil {
					t.Fatal(err)
				}
				_, err := p.get(s.url())
				if b, _ := os.ReadFile(victim); string(b) != "precious" {
					t.Errorf("victim is now %d bytes", len(b))
				}
				if name == "empty directory" && where == "a.mp4" {
					if !errors.Is(err, fetch.ErrDisk) {
						t.Errorf("got %v, want ErrDisk", err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				p.wantFile(s.object)
				if info, err := os.Lstat(p.path("a.mp4")); err != nil || !info.Mode().IsRegular() {
					t.Errorf("file is %v, %v", info.Mode(), err)
				}
			})
		}
	}
}

func TestModeFollowsTheUmask(t *testing.T) {
	s := newStore(t, movie(10, 1))
	for umask, want := range map[int]os.FileMode{0o022: 0o644, 0o077: 0o600, 0: 0o666} {
		p := s.place(t, fetch.Config{})
		old := syscall.Umask(umask)
		_, err := p.get(s.url())
		syscall.Umask(old)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(p.path("a.mp4")); err != nil || info.Mode() != want {
			t.Errorf("umask %o: mode %v, %v", umask, info.Mode(), err)
		}
	}
}

func TestNamesStayInside(t *testing.T) {
	s := newStore(t, movie(10, 1))
	p := s.place(t, fetch.Config{})
	for _, name := range []string{"../a.mp4", "/tmp/a.mp4", "videos/../../a.mp4", ""} {
		if _, err := p.Fetch(t.Context(), disk.Dir(p.root), name, s.url(), nil); !errors.Is(err, fetch.ErrDisk) {
			t.Errorf("%q: got %v", name, err)
		}
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(p.dir, "videos")); err != nil {
		t.Fatal(err)
	}
	if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrDisk) {
		t.Errorf("through a link: got %v", err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("wrote outside: %v", entries)
	}
}

func TestFileSizeLimit(t *testing.T) {
	s := newStore(t, movie(400_000, 1))
	p := s.place(t, fetch.Config{})
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	small := old
	small.Cur = 100_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Skip(err)
	}
	_, err := p.get(s.url())
	if serr := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); serr != nil {
		t.Fatal(serr)
	}
	if !errors.Is(err, fetch.ErrDisk) || !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("got %v, want ErrDisk with EFBIG", err)
	}
	p.wantNoFile()
	s.sent = 0
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
	if s.sent > 310_000 {
		t.Errorf("fetched %d bytes again", s.sent)
	}
}

func TestReadOnlyFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("nothing is read-only for root")
	}
	s := newStore(t, movie(10, 1))
	p := s.place(t, fetch.Config{})
	if err := os.Mkdir(p.path(""), 0o555); err != nil {
		t.Fatal(err)
	}
	if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrDisk) || !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
	if len(s.requests) != 0 {
		t.Error("asked the store before the disk")
	}
}
