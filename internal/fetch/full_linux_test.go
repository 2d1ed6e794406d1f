package fetch_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/wanbatch/wanbatch/internal/fetch"
)

func TestFullDisk(t *testing.T) {
	s := newStore(t, movie(2<<20, 1))
	p := s.place(t, fetch.Config{})
	if err := os.Mkdir(p.path(""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", p.path(""), "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("cannot mount: ", err)
	}
	defer syscall.Unmount(p.path(""), syscall.MNT_DETACH)
	if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrDisk) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("got %v, want ErrDisk with ENOSPC", err)
	}
	p.wantNoFile()
	if err := syscall.Mount("", p.path(""), "tmpfs", syscall.MS_REMOUNT, "size=8m"); err != nil {
		t.Fatal(err)
	}
	s.sent = 0
	if _, err := p.get(s.url()); err != nil {
		t.Fatal(err)
	}
	p.wantFile(s.object)
	if s.sent >= len(s.object) {
		t.Errorf("fetched all %d bytes again", s.sent)
	}
	if err := syscall.Mount("", p.path(""), "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := p.get(s.url()); !errors.Is(err, fetch.ErrDisk) || !errors.Is(err, syscall.EROFS) {
		t.Errorf("read-only: got %v", err)
	}
}
