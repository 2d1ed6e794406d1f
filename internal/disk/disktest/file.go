package disktest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// file is one opening of a file.
type file struct {
	d      *Disk
	name   string // as it was opened
	ino    int
	flag   int
	offset int64 // of the next Read
	closed bool
}

// step is the beginning of every operation on a file. The lock is held.
func (f *file) step(kind Kind, n int) error {
	if f.closed {
		return pathError(string(kind), f.name, fs.ErrClosed)
	}
	return f.d.step(kind, f.name, n)
}

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.offset)
	f.offset += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.step(Read, len(p)); err != nil {
		return 0, err
	}
	data := f.d.now.data[f.ino]
	n := copy(p, data[min(off, int64(len(data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.flag&os.O_APPEND == 0 {
		return f.write(p, f.offset, true)
	}
	return f.write(p, int64(len(f.d.now.data[f.ino])), false)
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.write(p, off, false)
}

// write writes as much as faults and the room allow. The lock is held.
func (f *file) write(p []byte, off int64, advance bool) (int, error) {
	n := len(p)
	err := f.step(Write, n)
	var half Half
	switch {
	case errors.As(err, &half):
		n, err = n/2, half.cause()
	case err != nil:
		return 0, err
	}
	if growth := int(off) + n - len(f.d.now.data[f.ino]); f.d.Room >= 0 && growth > 0 {
		if missing := growth - f.d.Room; missing > 0 {
			n, growth = n-missing, f.d.Room
			err = pathError("write", f.name, f.d.Full)
		}
		f.d.Room -= growth
	}
	if n > 0 {
		f.d.change(change{kind: Write, name: f.name, ino: f.ino, off: off, bytes: bytes.Clone(p[:n])})
	}
	if advance {
		f.offset += int64(n)
	}
	return n, err
}

func (f *file) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.failed[f.ino] {
		f.d.sins = append(f.d.sins, "sync of "+f.name+" again, after it failed")
	}
	mine := func(c change) bool { return c.ino == f.ino && !c.ofNames() && !c.doomed }
	if err := f.step(Sync, 0); errors.Is(err, ErrDead) {
		return err
	} else if err != nil {
		f.d.failed[f.ino] = true
		for i, c := range f.d.pending {
			f.d.pending[i].doomed = c.doomed || mine(c)
		}
		return err
	}
	f.d.settle(mine)
	return nil
}

func (f *file) Truncate(size int64) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.step(Truncate, int(size)); err != nil {
		return err
	}
	f.d.free(len(f.d.now.data[f.ino]) - int(size))
	f.d.change(change{kind: Truncate, name: f.name, ino: f.ino, off: size})
	return nil
}

func (f *file) Stat() (fs.FileInfo, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return f.d.info(f.name, f.ino), nil
}

// Close closes the file even if it reports an error, as the kernel does.
func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	err := f.step(Close, 0)
	f.closed = true
	return err
}
