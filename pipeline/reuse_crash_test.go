package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
)

// Whenever the machine dies while a video is copied, it is there whole or not at
// all, and certain to be there once the copy was reported; and copying again gets it.
func TestReuseDiesAtEveryPoint(t *testing.T) {
	data := bytes.Repeat([]byte("video"), 20<<10)
	sum := sha256.Sum256(data)
	w := reusable{folder: t.TempDir(), artifact: batch.Artifact{Path: "v.mp4", Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}}
	if err := os.WriteFile(filepath.Join(w.folder, "v.mp4"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	const name = "videos/deep/x.mp4"
	done, dieAt := false, 0
	for !done {
		dieAt++
		d, n := disktest.New(), 0
		d.Before = func(op disktest.Op) error {
			if op.Kind.Changes() {
				n++
			}
			if n >= dieAt {
				return disktest.ErrDead
			}
			return nil
		}
		done = w.copyTo(d, name) == nil
		after := []*disktest.Disk{d.Kill()}
		for _, cut := range d.Cuts(2) {
			after = append(after, d.PowerCut(cut))
		}
		for i, d := range after {
			got, found := d.Bytes(name)
			if found && !bytes.Equal(got, data) || done && !found {
				t.Errorf("dead at change %d, disk %d: %d bytes, there %v, reported %v", dieAt, i, len(got), found, done)
			}
			if err := w.copyTo(d, name); err != nil {
				t.Errorf("dead at change %d, disk %d: copying again: %v", dieAt, i, err)
			}
			if got, _ := d.Bytes(name); !bytes.Equal(got, data) || len(d.Names()) != 1 {
				t.Errorf("dead at change %d, disk %d: then %d bytes among %v", dieAt, i, len(got), d.Names())
			}
		}
		if sins := d.Sins(); sins != nil {
			t.Errorf("the disk complains: %v", sins)
		}
	}
	if dieAt < 8 {
		t.Errorf("only %d points of death", dieAt)
	}
}
