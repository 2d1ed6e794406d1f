// Package journal keeps the record of a batch: an append-only file of JSON
// lines that is the only truth about what was asked of the provider and what
// it answered. It knows nothing of jobs or money; it makes bytes durable,
// proves them unchanged, and keeps a second process away.
//
// # The file
//
// One line is one record, in exactly one spelling:
//
//	{"seq":7,"sum":"9f2c...","data":{"type":"intended","job":"alice-salsa"}}
//
// seq counts lines from 1. sum is the SHA-256, in 64 hex digits, of the sum of
// the line before (64 zeros before the first) followed by the bytes of data.
// So each sum vouches for everything above it, and a person needs no program of
// ours to read or check a line:
//
//	jq .data journal.jsonl
//	printf '%s%s' "$PREVIOUS_SUM" "$DATA" | sha256sum
//
// Line 1 carries the format and its version; its form never changes. A program
// reads its own version and all older ones, and refuses newer ones.
//
// # Guarantees
//
//   - When [Log.Append] returns nil the record is durable, and so is every
//     record before it.
//   - A changed bit, and a removed, repeated, moved or inserted line, is found
//     by every reading and named by line number, as a [*CorruptError]. A tail
//     of whole lines that was cut off shows by comparing [Head].
//   - Only an incomplete last record without newline counts as torn, the trace
//     of a crash. Only [Open] cuts it off. Nothing else is ever skipped or repaired.
//   - After a failed write or sync the log is dead: every later append returns
//     the same error, matching [ErrDead]. A failed fsync is never tried again,
//     because the kernel may have dropped the pages and would then report success.
//   - No intent is recorded without room for its outcome: see below.
//
// # What is asked of the system
//
// The newline is the commit mark: it is written only once everything before
// it is durable. So a power cut that persists pages out of order still leaves
// either a complete record or a tail without newline, never a complete line
// with a hole.
//
//	Create   openat(O_CREAT|O_EXCL|O_APPEND, 0600), append, fsync(folder)
//	append   write(record), fsync, write("\n"), fsync
//	Open     openat(O_RDWR|O_APPEND), read all, [ftruncate], fsync, fsync(folder)
//
// Open syncs even if it repaired nothing: what it has just replayed may so far
// exist only in the page cache, left by a process that was killed.
//
// # Room for the outcome
//
// A create whose outcome cannot be written down is worse than one never sent.
// [Log.AppendIntent] therefore first makes sure that a reserve stands beside
// the journal (the journal's name with ".reserve"): [ReserveBytes] of noise,
// written and synced, so that the blocks are really ours. When a later
// [Log.Append] finds the disk or the quota full, the reserve is removed, what
// was half written is cut off, and the record is written once more. The next
// intent must build the reserve again, and so fails with [ErrFull] on a disk
// that is still full. Limits: another process can grab the blocks in the
// instant after the removal; a file system that allocates on fsync rather than
// on write (some network and copy-on-write ones) reports a full disk where only
// death is safe. Either way the log dies, and the intent is in doubt like after
// a crash.
//
// # Locks
//
// [Acquire] takes an exclusive advisory lock on a file that names its owner.
// The kernel frees it when the process dies, however it dies.
//
// BUG: a disk that acknowledges a flush and loses the data anyway defeats every
// promise of durability; so does a process that fsynced in vain, died, and left
// its dirty pages marked clean for the next one to read.
//
// BUG: advisory locks are not to be trusted on NFS and some other network file
// systems. Keep output and state folders on a local disk.
//
// BUG: a power cut inside [Log.AppendAll], on a file system that persists pages
// out of order, can leave whole lines behind a hole. They are reported as
// damage, not repaired. A killed process cannot cause this.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/wanbatch/wanbatch/internal/disk"
)

// ErrDead is matched by the error of every append after one whose effect on
// the disk is unknown. It also wraps the first cause. Replaying the file in a
// new process is the only way on.
var ErrDead = errors.New("journal cannot be trusted with more records")

// A Log appends to one journal. It is safe for concurrent use, but at most one
// Log may be open on a file: hold a [Lock] around it.
type Log struct {
	disk disk.Disk
	name string

	mu       sync.Mutex // guards all below
	file     disk.File
	head     Head
	size     int64 // bytes of the lines that head covers
	reserved bool  // the reserve stands, made by this log
	dead     error // the answer to every append, once set
}

// Size returns how many bytes the file must have at least.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

// Create makes a new journal, mode 0600, that holds only its header. The file
// and its name are durable on return. It fails with [fs.ErrExist] if there is
// such a file.
func Create(d disk.Disk, name string) (*Log, error) {
	f, err := d.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create journal %s: %w", name, err)
	}
	l := &Log{disk: d, name: name, file: f}
	if err := l.begin(); err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, fmt.Errorf("create journal %s: %w", name, err)
	}
	return l, nil
}

// Open replays the journal through fn, as [Replay] does, and makes it ready for
// appending: a torn last record is cut off, and all that was replayed is made
// durable. If anything is damaged, or fn returns an error, the file is left as
// it is. The error matches [fs.ErrNotExist] if there is no journal.
func Open(d disk.Disk, name string, fn func(line int, payload json.RawMessage) error) (*Log, error) {
	f, err := d.OpenFile(name, os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", name, err)
	}
	l := &Log{disk: d, name: name, file: f}
	if err := l.recover(fn); err != nil {
		_ = f.Close() // the first error is the one to tell
		return nil, fmt.Errorf("open journal %s: %w", name, err)
	}
	return l, nil
}

func (l *Log) recover(fn func(int, json.RawMessage) error) error {
	found, err := replay(l.file, fn)
	if err != nil {
		return err
	}
	l.head, l.size = found.head, found.size
	if found.torn {
		if err := l.file.Truncate(found.size); err != nil {
			return fmt.Errorf("cut off the torn record: %w", err)
		}
	}
	if found.head.Records == 0 {
		return l.begin() // the crash came before Create had returned
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	return l.disk.SyncDir(".")
}

// begin writes the header of an empty file and makes the file's name durable.
func (l *Log) begin() error {
	line, head := headerLine()
	if err := l.commit(line, head); err != nil {
		return err
	}
	return l.disk.SyncDir(".")
}

// Append makes one record durable. payload is encoded by [json.Marshal]; a
// [json.RawMessage] is compacted, not changed otherwise.
//
// A payload that cannot be encoded or is longer than [MaxLine] is an error
// without effect. Every other error matches [ErrDead]: the record may or may
// not be found by the next replay. On a full disk the reserve is spent first.
func (l *Log) Append(payload any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append([]any{payload}, true)
}

// AppendAll makes many records durable at the price of one, in the given
// order. It is not atomic: a crash may leave any first part of them. They are
// encoded in memory together, so give it some thousand at a time. It is meant
// for plans; a record that permits an effect belongs in [Log.AppendIntent].
// Errors are those of [Log.Append].
func (l *Log) AppendAll(payloads []any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.append(payloads, true)
}

// AppendIntent makes durable a record that announces an effect, after making
// sure that the record of its outcome will find room: see "Room for the
// outcome" above. It never spends the reserve on itself.
//
// An error that matches [ErrFull] means that nothing was recorded and the log
// lives on; do not start the effect. Other errors are those of [Log.Append].
func (l *Log) AppendIntent(payload any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		return l.dead
	}
	err := l.ensureReserve()
	if isFull(err) {
		err = errors.Join(fmt.Errorf("%w for the outcome of journal record %d: %w", ErrFull, l.head.Records+1, err),
			l.dropReserve())
		return err
	}
	if err != nil {
		return l.die(fmt.Errorf("reserve room for an outcome: %w", err))
	}
	return l.append([]any{payload}, false)
}

// append encodes the records and commits them. mayFree permits spending the
// reserve.
func (l *Log) append(payloads []any, mayFree bool) error {
	if l.dead != nil {
		return l.dead
	}
	if len(payloads) == 0 {
		return nil
	}
	var lines []byte
	var err error
	head := l.head
	for i, payload := range payloads {
		if i > 0 {
			lines = append(lines, '\n')
		}
		if lines, head, err = appendLine(lines, head, payload); err != nil {
			return err
		}
	}
	err = l.commit(lines, head)
	if full := (*fullError)(nil); errors.As(err, &full) {
		return l.makeRoom(lines, head, full, mayFree)
	}
	return err
}

// makeRoom deals with a write that found no room: what it left is cut off, and
// either the reserve is given up for a second and last try, or the record is.
func (l *Log) makeRoom(lines []byte, head Head, full *fullError, mayFree bool) error {
	if err := l.file.Truncate(l.size); err != nil {
		return l.die(errors.Join(full, err))
	}
	if !mayFree {
		return fmt.Errorf("%w for journal record %d: %w", ErrFull, head.Records, full)
	}
	if err := l.dropReserve(); err != nil {
		return l.die(errors.Join(full, err))
	}
	err := l.commit(lines, head)
	if errors.As(err, &full) {
		return l.die(full)
	}
	return err
}

// commit makes lines (without their last newline) durable, and then, by its
// newline, valid. The head moves on only if every step succeeded. Any error but
// a [*fullError] leaves the log dead.
func (l *Log) commit(lines []byte, head Head) error {
	for _, p := range [][]byte{lines, {'\n'}} {
		_, err := l.file.Write(p)
		if isFull(err) {
			return &fullError{err}
		}
		if err != nil {
			return l.die(fmt.Errorf("write journal record %d: %w", head.Records, err))
		}
		if err := l.file.Sync(); err != nil {
			return l.die(fmt.Errorf("sync journal record %d: %w", head.Records, err))
		}
	}
	l.head = head
	l.size += int64(len(lines)) + 1
	return nil
}

// fullError marks a full disk met by a write, which can be undone. A full disk
// met by fsync is fatal like every other failure of fsync.
type fullError struct{ err error }

func (e *fullError) Error() string { return e.err.Error() }
func (e *fullError) Unwrap() error { return e.err }

func (l *Log) die(cause error) error {
	l.dead = fmt.Errorf("%w: %w", ErrDead, cause)
	return l.dead
}

// Head covers every record that is durable.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Close removes the reserve and closes the file. There is nothing left to sync:
// appends did it. Appending to a closed log is an error that matches [ErrDead].
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.dropReserve(), l.file.Close())
	l.file = nil
	if l.dead == nil {
		l.dead = fmt.Errorf("%w: %w", ErrDead, fs.ErrClosed)
	}
	return err
}
