package journal_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/wanbatch/wanbatch/internal/journal"
)

// memDisk is a folder in memory that knows what would survive a power cut:
// the synced bytes of files whose names were synced. It counts operations, can
// fail one of them, and can be full.
type memDisk struct {
	names   map[string]*memFile // as a process sees them
	durable map[string]*memFile // as they are after a power cut

	ops   int
	fault func(op int, kind string) error // asked before each operation; may be nil
	short bool                            // a failing write first writes half
	room  int                             // bytes left; negative: no limit
	full  error                           // what a write past the room says
	log   []string                        // the kinds of operations, in order
}

type memFile struct {
	disk   *memDisk
	data   []byte
	synced []byte
}

func newMemDisk() *memDisk {
	return &memDisk{names: map[string]*memFile{}, durable: map[string]*memFile{}, room: -1, full: syscall.ENOSPC}
}

func (d *memDisk) step(kind string) error {
	d.ops++
	d.log = append(d.log, kind)
	if d.fault == nil {
		return nil
	}
	return d.fault(d.ops, kind)
}

func (d *memDisk) OpenFile(name string, flag int, _ fs.FileMode) (journal.File, error) {
	if err := d.step("open"); err != nil {
		return nil, err
	}
	f, ok := d.names[name]
	switch {
	case ok && flag&os.O_EXCL != 0:
		return nil, fs.ErrExist
	case !ok && flag&os.O_CREATE == 0:
		return nil, fs.ErrNotExist
	case !ok:
		f = &memFile{disk: d}
		d.names[name] = f
	}
	return &memHandle{memFile: f}, nil
}

func (d *memDisk) Remove(name string) error {
	if err := d.step("remove"); err != nil {
		return err
	}
	f, ok := d.names[name]
	if !ok {
		return fs.ErrNotExist
	}
	d.release(len(f.data))
	delete(d.names, name)
	return nil
}

func (d *memDisk) release(n int) {
	if d.room >= 0 {
		d.room += n
	}
}

func (d *memDisk) SyncDir() error {
	if err := d.step("syncdir"); err != nil {
		return err
	}
	clear(d.durable)
	for name, f := range d.names {
		d.durable[name] = f
	}
	return nil
}

// crash is a power cut: names and bytes fall back to what was synced, and of
// the unsynced bytes of each file the first keep survive.
func (d *memDisk) crash(keep int) *memDisk {
	after := newMemDisk()
	for name, f := range d.durable {
		data := bytes.Clone(f.synced)
		if bytes.HasPrefix(f.data, data) {
			rest := f.data[len(data):]
			data = append(data, rest[:min(keep, len(rest))]...)
		}
		nf := &memFile{disk: after, data: data, synced: bytes.Clone(data)}
		after.names[name], after.durable[name] = nf, nf
	}
	return after
}

// memHandle has the read offset of one opening.
type memHandle struct {
	*memFile
	offset int
}

func (f *memHandle) Read(p []byte) (int, error) {
	if f.offset >= len(f.data) {
		return 0, io.EOF
	}
	n := copy(p, f.data[f.offset:])
	f.offset += n
	return n, nil
}

func (f *memHandle) Write(p []byte) (int, error) {
	if err := f.disk.step("write"); err != nil {
		n := 0
		if f.disk.short {
			n = len(p) / 2
		}
		f.data = append(f.data, p[:n]...)
		if errors.Is(err, errShort) {
			err = nil
		}
		return n, err
	}
	n := len(p)
	if f.disk.room >= 0 {
		n = min(n, f.disk.room)
		f.disk.room -= n
	}
	f.data = append(f.data, p[:n]...)
	if n < len(p) {
		return n, &fs.PathError{Op: "write", Path: "x", Err: f.disk.full}
	}
	return n, nil
}

func (f *memHandle) Sync() error {
	if err := f.disk.step("sync"); err != nil {
		return err
	}
	f.synced = bytes.Clone(f.data)
	return nil
}

func (f *memHandle) Truncate(size int64) error {
	if err := f.disk.step("truncate"); err != nil {
		return err
	}
	f.disk.release(len(f.data) - int(size))
	f.data = f.data[:size]
	return nil
}

func (f *memHandle) Close() error { return f.disk.step("close") }

// errShort makes a write short without an error of its own.
var errShort = errors.New("short write without an error")
