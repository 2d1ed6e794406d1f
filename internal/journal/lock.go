package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/wanbatch/wanbatch/internal/disk"
)

// Owner says who holds a lock, for people and for the next holder. The lock
// itself never depends on it.
type Owner struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
	Batch string    `json:"batch"`

	// Begun is when that batch began, which names it wherever its folder is now.
	Begun time.Time `json:"begun,omitzero"`
	// Unsettled is set while a create of the batch may be unsettled: until then the
	// provider can tell of its task.
	Unsettled time.Time `json:"unsettled,omitzero"`
	// Freed is when the batch that began at Begun gave the lock back. Then nobody's
	// process and folder stand there.
	Freed time.Time `json:"freed,omitzero"`
}

// nobody reports whether an owner names no process.
func (o Owner) nobody() bool { return o.PID == 0 }

// LockedError says that another process, or another part of this one, holds
// the lock. Owner is zero if the file does not tell.
type LockedError struct {
	Owner Owner
	Path  string
}

func (e *LockedError) Error() string {
	if e.Owner.nobody() {
		return fmt.Sprintf("%s is locked by another process", e.Path)
	}
	return fmt.Sprintf("%s is locked by process %d on %q since %s for batch %q",
		e.Path, e.Owner.PID, e.Owner.Host, e.Owner.Since.UTC().Format(time.RFC3339), e.Owner.Batch)
}

// A Lock is an exclusive advisory lock on a file, held until [Lock.Release] or
// the end of the process. The file stays when the lock goes: removing it would
// let two processes lock two files of one name.
type Lock struct {
	flock    *flock.Flock
	path     string
	previous Owner
}

// Acquire takes the lock at path at once or returns a [*LockedError]. The file
// is made, mode 0600, if there is none, and then names owner, durably if the folder is. A file
// left behind by a dead process does not block; [Lock.Previous] tells whose it
// was. A path that is a symbolic link or no regular file is refused.
//
// If may is not nil it is asked, with the lock held and the previous owner's
// name still in the file, whether the lock may be taken over. Its error is
// returned with the lock freed and the file unchanged.
func Acquire(path string, owner Owner, may func(previous Owner) error) (*Lock, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("lock %s: it is not a regular file (%v)", path, info.Mode().Type())
	}
	l := &Lock{path: path, flock: flock.New(path,
		flock.SetFlag(os.O_CREATE|os.O_RDWR|noFollow), flock.SetPermissions(0o600))}
	ok, err := l.flock.TryLock()
	for again := 0; again < lockRetries && err == nil && !ok; again++ {
		time.Sleep(lockRetryPause) // it may only be somebody who looks; see Holder
		ok, err = l.flock.TryLock()
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !ok {
		holder, _ := readOwner(path) // a name is a courtesy: none is no error
		return nil, &LockedError{holder, path}
	}
	// A name that cannot be read is not the same as none: the lane may be reserved.
	l.previous, err = readOwner(path)
	if err == nil && may != nil {
		err = may(l.previous)
	}
	if err == nil {
		err = l.sign(owner)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, l.flock.Unlock()))
	}
	return l, nil
}

// Holder takes a lock for much less than lockRetryPause.
const (
	lockRetryPause = 2 * time.Millisecond
	lockRetries    = 25
)

// Holder returns who holds the lock at path, nil if nobody does. A lock that
// does not tell its holder counts as free. It changes nothing: a name that
// stands in the file is tried by a shared lock for an instant, which Acquire
// waits out.
func Holder(path string) (*Owner, error) {
	owner, err := readOwner(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if owner.nobody() {
		return nil, nil
	}
	l := flock.New(path, flock.SetFlag(os.O_RDONLY|noFollow))
	free, err := l.TryRLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, errors.Join(err, l.Close()))
	}
	if free {
		return nil, l.Unlock()
	}
	return &owner, l.Close()
}

// Left returns whose name stands in the lock at path, whether held or left behind;
// the zero owner if nobody's does. It changes nothing.
func Left(path string) (Owner, error) {
	owner, err := readOwner(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Owner{}, fmt.Errorf("lock %s: %w", path, err)
	}
	return owner, nil
}

// Previous is the owner whose name stood in the file: it crashed, or released
// the lock without clearing. It is zero if there was none.
func (l *Lock) Previous() Owner { return l.previous }

// Update replaces what the file says about the lock's owner, durably. An error that
// matches [ErrFull] says that there is no room for it.
func (l *Lock) Update(owner Owner) error {
	text, err := ownerLine(owner)
	if err == nil {
		err = writeOwner(l.path, text)
	}
	if isFull(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", l.path, err)
	}
	return nil
}

// Release frees the lock. Unless clear is true, the owner's name stays in the
// file, as a sign to the next holder that something is unsettled. The lock is
// freed even if the file could not be cleared. A second call does nothing.
func (l *Lock) Release(clear bool) error {
	if !l.flock.Locked() {
		return nil
	}
	var err error
	if clear {
		err = writeOwner(l.path, nil)
	}
	if err = errors.Join(err, l.flock.Unlock()); err != nil {
		return fmt.Errorf("release lock %s: %w", l.path, err)
	}
	return nil
}

// sign writes who is here now.
func (l *Lock) sign(owner Owner) error {
	text, err := ownerLine(owner)
	if err != nil {
		return err
	}
	if err := writeOwner(l.path, text); err != nil {
		return err
	}
	return disk.SyncFolder(filepath.Dir(l.path)) // a name that a power cut takes away reserves nothing
}

func ownerLine(owner Owner) ([]byte, error) {
	text, err := json.Marshal(owner)
	return append(text, '\n'), err
}

// maxOwner bounds what is read from a lock file. The longest path, escaped, is shorter.
const maxOwner = 64 << 10

// readOwner returns the zero owner for a file that names nobody: an empty one, or
// a stranger's. An error means that the file could not be read.
func readOwner(path string) (Owner, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return Owner{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxOwner))
	if err != nil {
		return Owner{}, err
	}
	var o Owner
	// Only the first value counts: behind it may stand the end of a longer name
	// that was overwritten.
	if json.NewDecoder(bytes.NewReader(text)).Decode(&o) != nil {
		return Owner{}, nil
	}
	return o, nil
}

// writeOwner replaces the content in place: a rename would replace the very
// file that is locked. The new name is written over the old one before the rest
// is cut off, so that a process killed in between leaves one of the two names,
// never none: a reserved lane must not look free.
func writeOwner(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|noFollow, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
