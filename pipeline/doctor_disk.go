package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// examineOutput judges where the batch folder would lie. It tries what durability
// hangs on in a small folder, and knows the file systems that promise less.
func examineOutput(folder string, p *Plan) []Check {
	at := existing(folder)
	took, err := tryDisk(at)
	if err != nil {
		return []Check{unusable(at, err), examineSpace(folder, p)}
	}
	return []Check{examineRights(folder, at), examineDisk(folder, took), examineSpace(folder, p)}
}

// unusable says why nothing can be written durably below a folder.
func unusable(at string, err error) Check {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err // the name is that of a trial
	}
	c := okCheck("output", "cannot write below %s: %v", at, err)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR):
		return c.problem(errCheckFailed, "give another --output, or the right to write there")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return c.problem(errCheckFailed, "free space on the disk or in the quota")
	}
	return c.problem(errCheckFailed, "give another --output, on a local disk that can sync and rename")
}

func examineRights(folder, at string) Check {
	info, err := os.Stat(at)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return okCheck("output", "others may write in %s (%v)", at, info.Mode().Perm()).
			warn("remove that permission (chmod go-w): whoever writes there can change what is paid for")
	}
	return okCheck("output", "%s can be written", folder)
}

// leastSpace is what a run needs to record anything at all.
const leastSpace = 4 * journal.ReserveBytes

func examineSpace(folder string, p *Plan) Check {
	free, known := disk.Free(folder)
	if !known {
		return skipped("space", "not known: the system does not tell")
	}
	c := okCheck("space", "%s free", size(free))
	if free < leastSpace {
		return c.problem(errCheckFailed, "free space: a create is not sent unless its outcome can be recorded")
	}
	if p.Len() == 0 {
		return c
	}
	need := p.Estimate().Bytes
	c.Message += fmt.Sprintf("; the videos need about %s to %s", size(need.Low.IntPart()), size(need.High.IntPart()))
	if decimal.NewFromInt(free).LessThan(need.High) {
		return c.warn("free space, or give another --output: on a full disk no task is created until there is some")
	}
	return c
}

// examineDisk names the file system if it promises less than a disk of one's own.
func examineDisk(folder string, took time.Duration) Check {
	const name = "disk"
	c := okCheck(name, "syncs and renames, %.1f ms each time", float64(took.Microseconds())/1000)
	switch kind := disk.Kind(folder); kind {
	case "":
		return c
	case "tmpfs":
		return okCheck(name, "tmpfs: in memory").warn("use a real disk: a restart deletes the journal, the only record of what was paid")
	case "overlay":
		return okCheck(name, "overlay: deleted with the container").warn("mount a volume there: the journal is the only record of what was paid")
	case "vfat":
		return okCheck(name, "%s: may lose names in a power cut", kind).warn("use a journaling file system")
	default:
		return okCheck(name, "%s: syncs and locks as well as its server does", kind).warn("use a local disk; copy what is finished")
	}
}

// tryDisk does once what every record and every video rests on, and tells how long
// a sync takes.
func tryDisk(at string) (time.Duration, error) {
	dir, err := os.MkdirTemp(at, ".wanbatch-doctor-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left harms nobody
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	on := disk.Dir(root)
	f, err := on.OpenFile("a", os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	_, err = f.Write(make([]byte, journal.ReserveBytes))
	began := time.Now()
	if err == nil {
		err = f.Sync()
	}
	took := time.Since(began)
	if err = errors.Join(err, f.Close()); err == nil {
		err = on.Rename("a", "b")
	}
	if err == nil {
		err = on.SyncDir(".")
	}
	return took, err
}

// examineLocks tries that a second holder is kept out, where the locks would lie.
func examineLocks(folders ...string) Check {
	for _, at := range folders {
		if err := tryLock(existing(at)); err != nil {
			return okCheck("locks", "cannot be held below %s: %v", at, err).problem(errCheckFailed, "let --output and the state folder (XDG_STATE_HOME) lie on a local disk that you may write to")
		}
	}
	return okCheck("locks", "work: a second run is refused")
}

func tryLock(at string) error {
	dir, err := os.MkdirTemp(at, ".wanbatch-doctor-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "lock")
	lock, err := journal.Acquire(path, thisProcess(at), nil)
	if err != nil {
		return err
	}
	second, err := journal.Acquire(path, thisProcess(at), nil)
	if err == nil {
		err = errors.Join(fmt.Errorf("a lock below %s could be taken twice at the same time", at), second.Release(true))
	} else if held := (*journal.LockedError)(nil); errors.As(err, &held) {
		err = nil
	}
	return errors.Join(err, lock.Release(true))
}

// existing is the folder, or the nearest one above it that exists.
func existing(folder string) string {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return folder
	}
	return disk.Existing(abs)
}

// size is a number of bytes for people, in powers of ten as disks are sold.
func size(bytes int64) string {
	value, unit := float64(bytes), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if value < 1000 {
			break
		}
		value, unit = value/1000, next
	}
	return fmt.Sprintf("%.3g %s", value, unit)
}
