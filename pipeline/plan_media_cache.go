package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A media cache is JSON: {"version": 1, "sha256": "...", "files": {...}}. Files
// are by absolute path; the hash is of the text of "files", so that a flipped bit
// cannot become a price. Any other version is ignored. The version changes with
// the fields of a file, or with the way they are measured.
//
// It holds content hashes and measures, no verdicts, and nothing depends on it:
// what is missing or damaged is read again.
type cacheDocument struct {
	Version int             `json:"version"`
	SHA256  string          `json:"sha256"`
	Files   json.RawMessage `json:"files"`
}

type cacheEntry struct {
	Changed time.Time `json:"changed"` // the file's time of change, when it was read
	facts
}

const (
	cacheVersion = 1
	// maxCacheBytes bounds what is read; one file takes about 300 bytes.
	maxCacheBytes = 64 << 20
	// maxCacheFiles is where files that the plan does not use are forgotten.
	maxCacheFiles = 100_000
	// freshly is how old a file's time of change must be. A file that is written
	// twice within one tick of its clock keeps its time; a tick is 2 s at worst
	// (FAT).
	freshly = 2 * time.Second
)

// mediaCache remembers what local files hold. It is safe for concurrent use.
type mediaCache struct {
	path string // "" remembers nothing

	mu    sync.Mutex // guards all below
	files map[string]cacheEntry
	used  map[string]bool
	dirty bool
}

// openMediaCache reads a cache; one that is missing or damaged is empty.
func openMediaCache(path string) *mediaCache {
	c := &mediaCache{path: path, files: map[string]cacheEntry{}, used: map[string]bool{}}
	if path == "" {
		return c
	}
	if files, err := readMediaCache(path); err == nil && files != nil {
		c.files = files
	}
	return c
}

func readMediaCache(path string) (map[string]cacheEntry, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() > maxCacheBytes {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close() // read only: nothing can be lost
	text, err := io.ReadAll(io.LimitReader(r, maxCacheBytes))
	if err != nil {
		return nil, err
	}
	return parseMediaCache(text)
}

// parseMediaCache accepts a document whole or not at all.
func parseMediaCache(text []byte) (map[string]cacheEntry, error) {
	var doc cacheDocument
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if doc.Version != cacheVersion || doc.SHA256 != hashOf(doc.Files) {
		return nil, fs.ErrInvalid
	}
	var files map[string]cacheEntry
	if err := json.Unmarshal(doc.Files, &files); err != nil {
		return nil, err
	}
	for _, e := range files {
		if !e.sound() {
			return nil, fs.ErrInvalid
		}
	}
	return files, nil
}

// sound reports whether an entry can have been written by us.
func (e cacheEntry) sound() bool {
	digest, err := hex.DecodeString(e.Digest)
	switch {
	case err != nil || len(digest) != sha256.Size || strings.ToLower(e.Digest) != e.Digest, e.Size <= 0:
		return false
	case e.Image != nil && e.Video == nil:
		return e.Image.Width > 0 && e.Image.Height > 0 && e.Image.Format != ""
	case e.Video != nil && e.Image == nil:
		return e.Video.Width > 0 && e.Video.Height > 0 && e.Video.Duration >= 0 && e.Video.Format != ""
	}
	return false
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// find returns what is known of a file if it is as it was.
func (c *mediaCache) find(key mediumKey, info fs.FileInfo) (facts, bool) {
	path, err := filepath.Abs(key.place)
	if err != nil || c.path == "" {
		return facts{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, known := c.files[path]
	if !known || e.Size != info.Size() || !e.Changed.Equal(info.ModTime()) || (e.Video != nil) != key.video {
		return facts{}, false
	}
	c.used[path] = true
	return e.facts, true
}

// keep remembers a file that was read whole and has been at rest for a while.
func (c *mediaCache) keep(key mediumKey, info fs.FileInfo, k facts) {
	path, err := filepath.Abs(key.place)
	if err != nil || c.path == "" || time.Since(info.ModTime()) < freshly {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[path] = cacheEntry{Changed: info.ModTime().UTC(), facts: k}
	c.used[path] = true
	c.dirty = true
}

// save replaces the cache by rename, for its owner's eyes alone, if there is
// anything new and a folder to write to. It is not synced: a cache that a crash
// damages is not believed.
func (c *mediaCache) save() error {
	if !c.dirty {
		return nil
	}
	if len(c.files) > maxCacheFiles {
		maps.DeleteFunc(c.files, func(path string, _ cacheEntry) bool { return !c.used[path] })
	}
	text, err := c.encode()
	if err != nil {
		return err
	}
	// Made with mode 0600 and a name of its own, so that no link is followed.
	w, err := os.CreateTemp(filepath.Dir(c.path), filepath.Base(c.path)+".*.part")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err = errors.Join(err, w.Close()); err == nil {
		err = os.Rename(w.Name(), c.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(w.Name()))
	}
	return nil
}

func (c *mediaCache) encode() ([]byte, error) {
	files, err := json.Marshal(c.files)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(cacheDocument{Version: cacheVersion, SHA256: hashOf(files), Files: files})
	return append(slices.Clip(bytes.TrimSpace(text)), '\n'), err
}
