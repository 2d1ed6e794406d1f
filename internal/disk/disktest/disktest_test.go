package disktest_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	appending = os.O_RDWR | os.O_APPEND
	making    = os.O_RDWR | os.O_CREATE | os.O_EXCL
)

// use does a little of everything and tells how it went.
func use(d disk.Disk) (trace []string) {
	say := func(what string, err error) {
		word := fmt.Sprint(err)
		for _, known := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrClosed, syscall.ENOTEMPTY, disk.ErrIrregular, io.EOF} {
			if errors.Is(err, known) {
				word = known.Error()
			}
		}
		trace = append(trace, what+": "+word)
	}
	read := func(name string) {
		f, err := d.OpenFile(name, os.O_RDONLY, 0)
		if err != nil {
			say("read "+name, err)
			return
		}
		data, err := io.ReadAll(f)
		info, serr := f.Stat()
		say(fmt.Sprintf("read %s: %q of %d", name, data, info.Size()), errors.Join(err, serr, f.Close()))
	}
	_, err := d.OpenFile("a", os.O_RDWR, 0)
	say("open nothing", err)
	_, err = d.OpenFile("no/a", making, 0o600)
	say("create in no folder", err)
	f, err := d.OpenFile("a", making|os.O_APPEND, 0o600)
	say("create", err)
	_, err = d.OpenFile("a", making, 0o600)
	say("create again", err)
	_, err = f.Write([]byte("hello "))
	say("write", err)
	_, err = f.Write([]byte("world"))
	say("write", err)
	say("truncate", f.Truncate(8))
	_, err = f.Write([]byte("!"))
	say("write behind the cut", err)
	b := make([]byte, 4)
	n, err := f.ReadAt(b, 6)
	say(fmt.Sprintf("read at 6: %q", b[:n]), err)
	say("sync", f.Sync())
	say("close", f.Close())
	read("a")
	say("folder", d.MkdirAll("x/y", 0o700))
	say("folder again", d.MkdirAll("x/y", 0o700))
	_, err = d.OpenFile("x", os.O_RDONLY, 0)
	say("open a folder", err)
	say("remove a full folder", d.Remove("x"))
	say("rename", d.Rename("a", "x/y/b"))
	say("rename nothing", d.Rename("a", "c"))
	read("a")
	read("x/y/b")
	g, err := d.OpenFile("x/y/b", os.O_RDWR, 0)
	say("open", err)
	_, err = g.WriteAt([]byte("J"), 0)
	say("write at 0", err)
	_, err = g.WriteAt([]byte("?"), 11)
	say("write behind the end", err)
	say("remove while open", d.Remove("x/y/b"))
	_, err = g.ReadAt(b, 0)
	say(fmt.Sprintf("read what is gone: %q", b), err)
	say("close", g.Close())
	_, err = g.Write([]byte("x"))
	say("write to a closed file", err)
	say("remove again", d.Remove("x/y/b"))
	say("sync folders", errors.Join(d.SyncDir("."), d.SyncDir("x/y")))
	say("remove a folder", d.Remove("x/y"))
	return trace
}

// The model behaves like a real folder.
func TestModelIsLikeTheRealOne(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if diff := cmp.Diff(use(disk.Dir(root)), use(disktest.New())); diff != "" {
		t.Errorf("(-real +model):\n%s", diff)
	}
}

// states writes down what each cut leaves of a disk.
func states(d *disktest.Disk, torn int) []string {
	var all []string
	for _, cut := range d.Cuts(torn) {
		after := d.PowerCut(cut)
		var files []string
		for _, name := range after.Names() {
			data, _ := after.Bytes(name)
			files = append(files, fmt.Sprintf("%s=%q", name, data))
		}
		all = append(all, strings.Join(files, " "))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func appendTo(t *testing.T, d *disktest.Disk, name, text string, flag int) disk.File {
	t.Helper()
	f, err := d.OpenFile(name, flag|os.O_APPEND, 0o600)
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The states after a power cut are those of the package comment, and no others.
func TestCuts(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		do   func(d *disktest.Disk)
		want []string
	}{
		{"nothing is durable", func(d *disktest.Disk) { appendTo(t, d, "f", "ab", making) },
			[]string{"", `f=""`, `f="\x00\x00"`, `f="a"`, `f="ab"`}},
		{"bytes without their name", func(d *disktest.Disk) { must(appendTo(t, d, "f", "ab", making).Sync()) },
			[]string{"", `f="ab"`}},
		{"a name without its bytes", func(d *disktest.Disk) { appendTo(t, d, "f", "ab", making); must(d.SyncDir(".")) },
			[]string{`f=""`, `f="\x00\x00"`, `f="a"`, `f="ab"`}},
		{"both", func(d *disktest.Disk) { must(appendTo(t, d, "f", "ab", making).Sync()); must(d.SyncDir(".")) },
			[]string{`f="ab"`}},
		{"out of order", func(d *disktest.Disk) {
			d.Put("f", []byte("."), true)
			appendTo(t, d, "f", "a", appending)
			appendTo(t, d, "f", "b", appending)
		}, []string{`f="."`, `f=".\x00b"`, `f=".a"`, `f=".a\x00"`, `f=".ab"`}},
		{"renamed over another", func(d *disktest.Disk) {
			d.Put("f", []byte("old"), true)
			d.Put("part", []byte("new"), true)
			must(d.Rename("part", "f"))
		}, []string{`f="new"`, `f="old" part="new"`}},
		{"renamed without bytes", func(d *disktest.Disk) {
			d.Put("f", nil, true)
			appendTo(t, d, "f", "ab", appending)
			must(d.Rename("f", "g"))
			must(d.SyncDir("."))
		}, []string{`g=""`, `g="\x00\x00"`, `g="a"`, `g="ab"`}},
		{"in a folder that may be lost", func(d *disktest.Disk) {
			must(d.MkdirAll("x", 0o700))
			must(appendTo(t, d, "x/f", "a", making).Sync())
			must(d.SyncDir("x"))
		}, []string{"", `x/f="a"`}},
		{"removed", func(d *disktest.Disk) { d.Put("f", []byte("a"), true); must(d.Remove("f")) },
			[]string{"", `f="a"`}},
		{"a failed sync is no sync", func(d *disktest.Disk) {
			d.Put("f", nil, true)
			f := appendTo(t, d, "f", "a", appending)
			d.Before = func(disktest.Op) error { return syscall.EIO }
			if f.Sync() == nil {
				t.Error("the sync did not fail")
			}
			d.Before = nil
			must(f.Sync()) // and the next one lies
			if len(d.Sins()) != 1 {
				t.Errorf("sins %v", d.Sins())
			}
		}, []string{`f=""`, `f="\x00"`, `f="a"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := disktest.New()
			tt.do(d)
			if diff := cmp.Diff(tt.want, states(d, 1<<20)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			now, killed := d.Names(), d.Kill()
			if diff := cmp.Diff(now, killed.Names()); diff != "" {
				t.Errorf("after a kill (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, states(killed, 1<<20)); diff != "" {
				t.Errorf("power cut after a kill (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoom(t *testing.T) {
	d := disktest.New()
	d.Room, d.Full = 3, syscall.EDQUOT
	f, err := d.OpenFile("f", making|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("abcde")); n != 3 || !errors.Is(err, syscall.EDQUOT) {
		t.Errorf("wrote %d, %v", n, err)
	}
	if err := f.Truncate(1); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("xy")); n != 2 || err != nil {
		t.Errorf("after a truncate wrote %d, %v", n, err)
	}
	if err := d.Remove("f"); err != nil || d.Room != 3 {
		t.Errorf("after the removal %d bytes are free, %v", d.Room, err)
	}
	d.Before = func(op disktest.Op) error { return disktest.Half{} }
	d.Room = -1
	if n, err := f.Write([]byte("1234")); n != 2 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("half a write: %d, %v", n, err)
	}
}
