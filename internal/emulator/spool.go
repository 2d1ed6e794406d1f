package emulator

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

const (
	spoolName  = "wanbatch-uploads-*"
	lockSuffix = ".lock"
)

// spool is a temporary folder with a locked file beside it, which tells other
// emulators that its owner lives: a killed one can't remove its folder, but the
// system takes its lock away.
type spool struct {
	dir  string
	lock *flock.Flock // of the folder's name with lockSuffix
}

// newSpool makes a folder for uploads below temp. It removes those that killed
// emulators left there.
func newSpool(temp string) (*spool, error) {
	locks, _ := filepath.Glob(filepath.Join(temp, spoolName+lockSuffix)) // no error: the pattern is right
	for _, path := range locks {
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if left := lockSpool(path); left != nil {
			left.remove()
		}
	}
	for range 10 {
		f, err := os.CreateTemp(temp, spoolName+lockSuffix)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("make a folder for uploads: %w", err)
		}
		s := lockSpool(f.Name())
		if s == nil {
			continue // another emulator takes it for one that was left, and removes it
		}
		if err := os.Mkdir(s.dir, 0o700); err != nil {
			s.remove()
			return nil, fmt.Errorf("make a folder for uploads: %w", err)
		}
		return s, nil
	}
	return nil, errors.New("make a folder for uploads: its lock is always taken")
}

// lockSpool takes the spool that a lock file stands for, nil if its owner lives.
func lockSpool(path string) *spool {
	lock := flock.New(path, flock.SetFlag(os.O_RDWR))
	if ok, err := lock.TryLock(); !ok || err != nil {
		return nil
	}
	return &spool{strings.TrimSuffix(path, lockSuffix), lock}
}

// remove gives the folder up. The lock file goes last, so that no folder stays
// without one.
func (s *spool) remove() {
	_ = os.RemoveAll(s.dir) // what cannot be removed is only in the way
	_ = s.lock.Unlock()     // a file that is open cannot be removed everywhere
	_ = os.Remove(s.lock.Path())
}
