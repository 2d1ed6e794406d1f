package journal

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"syscall"
)

// ReserveBytes is the room kept for outcomes while an intent is open: some
// hundred times what one outcome needs, and nothing beside one video.
const ReserveBytes = 64 << 10

// reserveSuffix makes the name of the reserve out of the journal's.
const reserveSuffix = ".reserve"

// ErrFull is matched by the error of [Log.AppendIntent] when the disk or the
// quota has no room for a record and its outcome. Nothing was recorded, the
// log is not dead, and a later intent may succeed.
var ErrFull = errors.New("no room on the disk")

// ensureReserve makes the reserve file unless this log already holds one. Its
// bytes are really written and synced, and they are noise, so that neither a
// sparse file nor a compressing file system can pretend.
func (l *Log) ensureReserve() error {
	if l.reserved {
		return nil
	}
	if err := l.dropReserve(); err != nil { // of an earlier run
		return err
	}
	f, err := l.disk.OpenFile(l.name+reserveSuffix, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	noise := make([]byte, ReserveBytes)
	rand.NewChaCha8([32]byte{}).Read(noise) //nolint:errcheck // never fails, says its documentation
	_, err = f.Write(noise)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = l.disk.SyncDir(".")
	}
	l.reserved = err == nil
	return err
}

// dropReserve gives the room back. The folder is synced because some file
// systems free blocks only once the removal is durable.
func (l *Log) dropReserve() error {
	l.reserved = false
	err := l.disk.Remove(l.name + reserveSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return l.disk.SyncDir(".")
}

// isFull tells the errors that freeing room can cure. A file size limit
// (EFBIG) is not among them.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
