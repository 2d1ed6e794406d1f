package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/wanbatch/wanbatch/pipeline"
)

// startAfresh removes an earlier rehearsal from a batch folder. The emulator of
// that rehearsal is gone, so there is nothing to continue. Whatever is not proved
// to be a rehearsal is refused and left as it is.
func startAfresh(folder, name string) error {
	root, err := os.OpenRoot(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return usagef("rehearse: %v", err)
	}
	defer root.Close() // read by removing: nothing can be lost
	lock := flock.New(filepath.Join(folder, ".lock"))
	if free, err := lock.TryLock(); err != nil || !free {
		return errors.Join(err, fmt.Errorf("%w: another rehearsal runs in %s", pipeline.ErrLocked, folder))
	}
	defer func() { _ = lock.Unlock() }() // closing it with the process would do

	r, err := pipeline.Status(folder)
	switch {
	case errors.Is(err, pipeline.ErrUsage):
		return nil // no batch yet: nothing is removed
	case err != nil:
		return usagef("cannot tell whether %s is a rehearsal, so nothing is removed: %v", folder, err)
	case r.Batch != name || !r.Rehearsed():
		return usagef("%s holds a batch that was run at %s, not a rehearsal; give another --output or --name", folder, r.Lane.Endpoint)
	}
	// The journal goes last: until then it proves what the rest is.
	for _, old := range []string{rehearsalLocks, "videos", "report.json", "report.csv", "report.html", "journal.jsonl"} {
		if err := root.RemoveAll(old); err != nil {
			return fmt.Errorf("start the rehearsal afresh: %w", err)
		}
	}
	return nil
}

// loopbackURL reports whether an endpoint is a server on this machine, as
// report.html has it.
func loopbackURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
