// Package disk is the one seam between wanbatch and the file system: the few
// operations on one folder by which journal and downloads become durable. [Dir]
// is the real folder. The package disktest has one in memory that forgets what
// was not synced, fails on demand, and loses its power.
//
// Durability has two halves, and the interface keeps them apart: [File.Sync]
// makes the bytes of a file durable, [Disk.SyncDir] the names in a folder. A new,
// removed or renamed file whose folder was not synced may be back under its old
// name, or gone, after a power cut.
//
// # Planted files
//
// The folder may belong to a place where others write. [os.Root] keeps links from
// leading out of it, but follows those that stay inside, so a link planted at the
// journal's name could make an append spoil another file, and a FIFO could make
// an open wait for ever. [Dir] therefore opens regular files only, and only the
// very file that it looked at before.
package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// ErrIrregular is matched by the error for opening what is not a regular file: a
// link, a folder, a FIFO, a device. Nothing was opened, nor followed.
var ErrIrregular = errors.New("not a regular file")

// Disk is one folder. Names are slash-separated paths inside it, "." is the folder
// itself. Errors match [fs.ErrNotExist] and the like, as those of package os do.
// A Disk is safe for concurrent use.
type Disk interface {
	// OpenFile opens a regular file, with the flags of [os.OpenFile]. To make one,
	// [os.O_EXCL] must stand beside [os.O_CREATE].
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// MkdirAll makes a folder and those above it, as far as they are missing.
	MkdirAll(name string, perm fs.FileMode) error
	// Remove removes a file, a link, or an empty folder.
	Remove(name string) error
	// Rename gives a file another name, in place of the file that has it.
	Rename(from, to string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
}

// File is an open file of a [Disk]. A file with [os.O_APPEND] is written by Write,
// any other by WriteAt.
type File interface {
	io.ReadWriteCloser
	io.ReaderAt
	io.WriterAt
	Stat() (fs.FileInfo, error)
	// Sync makes the bytes durable. It must not be called again after it failed:
	// the kernel may have dropped the bytes and would then report success.
	Sync() error
	Truncate(size int64) error
}

// Dir is the folder that root stands for. The root stays the caller's to close.
func Dir(root *os.Root) Disk { return dir{root} }

type dir struct{ *os.Root }

// OpenFile looks before it opens and compares afterwards. Should a FIFO have taken
// the place in between, O_NONBLOCK keeps the open from waiting; regular files do
// not heed it.
func (d dir) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	before, err := d.Lstat(name)
	if err == nil && !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %w (%v)", name, ErrIrregular, before.Mode().Type())
	}
	f, err := d.Root.OpenFile(name, flag|syscall.O_NONBLOCK, perm)
	if err != nil {
		return nil, err
	}
	after, err := f.Stat()
	if err == nil && before != nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%s was exchanged while it was opened", name)
	}
	if err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, err
	}
	return f, nil
}

func (d dir) SyncDir(name string) error { return syncFolder(name, d.Open) }

// MakeFolder makes a folder anywhere and those above it, as far as they are missing,
// durably. One that is there may have been left by a process that died before it
// had synced its name, so the folder above it is synced in any case.
func MakeFolder(name string, perm fs.FileMode) error {
	top := filepath.Dir(name)
	for !exists(top) {
		top = filepath.Dir(top)
	}
	if err := os.MkdirAll(name, perm); err != nil {
		return err
	}
	for at := filepath.Dir(name); ; at = filepath.Dir(at) {
		if err := SyncFolder(at); err != nil || at == top {
			return err
		}
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) // what cannot be seen is for MkdirAll to tell
}

// SyncFolder makes the names in a folder anywhere durable.
func SyncFolder(name string) error { return syncFolder(name, os.Open) }

func syncFolder(name string, open func(string) (*os.File, error)) error {
	if runtime.GOOS == "windows" {
		return nil // there a folder cannot be flushed; NTFS journals its names by itself
	}
	f, err := open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
