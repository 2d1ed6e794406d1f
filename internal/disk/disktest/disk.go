// Package disktest is a [disk.Disk] in memory that knows what a power cut would
// leave of it. It is for tests, and linked into no program.
//
// # What is remembered
//
// A file system promises little: bytes are durable once their file was synced,
// names once their folder was. Everything else is pending, and may persist or not,
// in any order, after a power cut. So the model keeps two trees, the one that
// processes see and the one that is certainly durable, and between them the list
// of pending changes. [Disk.Cuts] enumerates states that a power cut may leave
// behind, [Disk.PowerCut] makes one of them, and [Disk.Kill] is what the next
// process finds when only the process died: all that was written, pending still.
//
// # What can go wrong
//
// [Disk.Before] sees every operation and can make it fail, wholly or, with
// [Half], after half a write. [Disk.Room] bounds the space. A failed Sync is
// treated as the worst kernels do: the bytes stay pending for good, though a
// second Sync reports success. Such a second Sync is noted in [Disk.Sins].
//
// # Restrictions
//
// No links, no modes, no holes in files, no half-made rename. Writes that were not
// synced may be torn, or have their length persisted without their bytes, but only
// the last one of a state is.
package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wanbatch/wanbatch/internal/disk"
)

// Kind is a kind of operation.
type Kind string

// The kinds of operation. Create is an open that is to make the file; looking at a
// file is none.
const (
	Open     Kind = "open"
	Create   Kind = "create"
	Read     Kind = "read"
	Write    Kind = "write"
	Truncate Kind = "truncate"
	Sync     Kind = "sync"
	Close    Kind = "close"
	Mkdir    Kind = "mkdir"
	Remove   Kind = "remove"
	Rename   Kind = "rename"
	SyncDir  Kind = "syncdir"
)

// Changes reports whether an operation of this kind can leave a trace on the disk.
func (k Kind) Changes() bool { return k != Open && k != Read && k != Close }

// Op is one operation that a process asked for.
type Op struct {
	Kind  Kind
	Name  string
	Bytes int // of a read, write or truncate
}

func (o Op) String() string { return fmt.Sprintf("%s %s", o.Kind, o.Name) }

// Half is the error by which [Disk.Before] lets the first half of a write happen.
// The write then returns Err, or [io.ErrShortWrite] if that is nil, as os.File does.
type Half struct{ Err error }

func (h Half) Error() string { return fmt.Sprintf("half of it, then %v", h.cause()) }

func (h Half) cause() error {
	if h.Err == nil {
		return io.ErrShortWrite
	}
	return h.Err
}

// ErrDead is the error by which [Disk.Before] says that the process is dead: it may
// go on as it likes, but nothing that it does happens any more.
var ErrDead = errors.New("the process is dead")

// Disk is the model. Its methods are safe for concurrent use; its fields are set
// while no process uses it.
type Disk struct {
	// Before is asked before each operation and makes it fail by an error. It must
	// not use the disk. It may be nil.
	Before func(Op) error
	// Room is how many bytes are free; negative means no bound, as after New.
	Room int
	// Full is what a write says that finds no room. Defaults to ENOSPC.
	Full error

	mu      sync.Mutex // guards all below, and Room
	now     tree       // as processes see it
	durable tree       // as it certainly is after a power cut
	pending []change   // between the two, oldest first
	inodes  int
	log     []Op
	failed  map[int]bool // inodes of which a sync failed
	sins    []string
}

// New returns an empty disk.
func New() *Disk {
	return &Disk{Room: -1, Full: syscall.ENOSPC, now: newTree(), durable: newTree(), failed: map[int]bool{}}
}

// step is the beginning of every operation.
func (d *Disk) step(kind Kind, name string, n int) error {
	op := Op{kind, name, n}
	d.log = append(d.log, op)
	if d.Before == nil {
		return nil
	}
	return d.Before(op)
}

// change does something that is pending until it is synced.
func (d *Disk) change(c change) {
	d.now.apply(c)
	d.pending = append(d.pending, c)
}

// OpenFile is that of [disk.Disk].
func (d *Disk) OpenFile(name string, flag int, _ fs.FileMode) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kind := Open
	if flag&os.O_CREATE != 0 {
		kind = Create
	}
	if err := d.step(kind, name, 0); err != nil {
		return nil, err
	}
	ino, found := d.now.names[name]
	switch {
	case found && kind == Create:
		return nil, pathError("open", name, fs.ErrExist)
	case found && d.now.dirs[ino]:
		return nil, pathError("open", name, disk.ErrIrregular)
	case !found && (kind == Open || !d.now.hasDir(path.Dir(name))):
		return nil, pathError("open", name, fs.ErrNotExist)
	case !found:
		d.inodes++
		ino = d.inodes
		d.change(change{kind: Create, name: name, ino: ino})
	}
	return &file{d: d, name: name, ino: ino, flag: flag}, nil
}

func (d *Disk) info(name string, ino int) fs.FileInfo {
	return info{path.Base(name), int64(len(d.now.data[ino])), d.now.dirs[ino]}
}

// MkdirAll is that of [disk.Disk].
func (d *Disk) MkdirAll(name string, _ fs.FileMode) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(Mkdir, name, 0); err != nil {
		return err
	}
	at := ""
	for part := range strings.SplitSeq(name, "/") {
		at = path.Join(at, part)
		if ino, found := d.now.names[at]; found && !d.now.dirs[ino] {
			return pathError("mkdir", at, syscall.ENOTDIR)
		} else if !found {
			d.inodes++
			d.change(change{kind: Mkdir, name: at, ino: d.inodes})
		}
	}
	return nil
}

// Remove is that of [disk.Disk].
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(Remove, name, 0); err != nil {
		return err
	}
	ino, found := d.now.names[name]
	if !found {
		return pathError("remove", name, fs.ErrNotExist)
	}
	if d.now.dirs[ino] && len(d.now.inside(name)) > 0 {
		return pathError("remove", name, syscall.ENOTEMPTY)
	}
	d.free(len(d.now.data[ino]))
	d.change(change{kind: Remove, name: name, ino: ino})
	return nil
}

// Rename is that of [disk.Disk].
func (d *Disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(Rename, to, 0); err != nil {
		return err
	}
	ino, found := d.now.names[from]
	if !found || !d.now.hasDir(path.Dir(to)) {
		return pathError("rename", from, fs.ErrNotExist)
	}
	if old, replaced := d.now.names[to]; replaced {
		d.free(len(d.now.data[old]))
	}
	d.change(change{kind: Rename, from: from, name: to, ino: ino})
	return nil
}

// SyncDir is that of [disk.Disk].
func (d *Disk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(SyncDir, name, 0); err != nil {
		return err
	}
	d.settle(func(c change) bool { return c.ofNames() && path.Dir(c.name) == path.Clean(name) })
	return nil
}

// settle makes the pending changes durable that which picks.
func (d *Disk) settle(which func(change) bool) {
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
		if !which(c) {
			return false
		}
		d.durable.apply(c)
		return true
	})
}

// free gives room back.
func (d *Disk) free(n int) {
	if d.Room >= 0 {
		d.Room += n
	}
}

// SetRoom sets Room while processes use the disk.
func (d *Disk) SetRoom(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Room = n
}

// Log returns every operation so far.
func (d *Disk) Log() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

// Sins returns what no program may do, and some did: a sync tried again.
func (d *Disk) Sins() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sins)
}

// Bytes returns a file as processes see it, and whether there is one.
func (d *Disk) Bytes(name string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now.file(name)
}

// Durable returns what is certain to be left of a file after a power cut, and
// whether it is certain that there is one.
func (d *Disk) Durable(name string) ([]byte, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.durable.file(name)
}

// Names returns the names of all files, sorted.
func (d *Disk) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name, ino := range d.now.names {
		if !d.now.dirs[ino] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Put writes a file as some earlier process did, in place of the one that is there.
// Unless it is durable, its name and bytes are pending.
func (d *Disk) Put(name string, data []byte, durable bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inodes++
	d.change(change{kind: Create, name: name, ino: d.inodes})
	d.change(change{kind: Write, name: name, ino: d.inodes, bytes: bytes.Clone(data)})
	if durable {
		d.settle(func(c change) bool { return c.ino == d.inodes })
	}
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// info describes a file.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}
