package journal

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// Disk is the one seam between the journal and the operating system: the
// few operations on a single folder that durability depends on. [Dir] is the
// real one; a simulated disk that loses unsynced writes can stand in for it.
//
// Names are plain file names inside the folder.
type Disk interface {
	// OpenFile opens name with the flags of [os.OpenFile] and never follows
	// a symbolic link.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Remove removes the file. The error matches [fs.ErrNotExist] if there is none.
	Remove(name string) error
	// SyncDir makes created and removed names durable.
	SyncDir() error
}

// File is an open file of a [Disk]. The journal writes at the end only, so
// there is no offset: files to be written are opened with [os.O_APPEND].
type File interface {
	io.ReadWriteCloser
	Sync() error
	Truncate(size int64) error
}

// Dir is the [Disk] of the folder that root stands for. The root stays the
// caller's to close, after the journal.
func Dir(root *os.Root) Disk { return dir{root} }

type dir struct{ root *os.Root }

// OpenFile refuses whatever is not a regular file. [os.Root] keeps links from
// leading out of the folder, but it follows those that stay inside, and a link
// planted at the journal's name could make an append spoil another file.
func (d dir) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	before, err := d.root.Lstat(name)
	if err == nil && !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file (%v)", name, before.Mode().Type())
	}
	f, err := d.root.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && before != nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s was replaced while it was opened", name)
	}
	if err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, err
	}
	return f, nil
}

func (d dir) Remove(name string) error { return d.root.Remove(name) }

func (d dir) SyncDir() error {
	if runtime.GOOS == "windows" {
		return nil // there a folder cannot be flushed; NTFS journals its names by itself
	}
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
