package pipeline

import (
	"testing"

	"github.com/wanbatch/wanbatch/internal/disk/disktest"
)

// A note that one run was found to go by is there for the next one, too, though it
// was written by a run that was killed at some point of it, and the power went off in
// between.
func TestANoteThatIsReliedOnSurvives(t *testing.T) {
	const name, task = "videos/a.mp4", "task"
	relied, written := 0, false
	for dieAt := 1; !written; dieAt++ {
		d, changes := disktest.New(), 0
		if err := d.MkdirAll("videos", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := d.SyncDir("."); err != nil {
			t.Fatal(err)
		}
		d.Put(name, []byte("video"), true)
		d.Before = func(op disktest.Op) error {
			if op.Kind.Changes() {
				changes++
			}
			if changes >= dieAt {
				return disktest.ErrDead
			}
			return nil
		}
		written = writeNote(d, name, note{Task: task, Bytes: 5}) == nil
		next := d.Kill()
		if _, found := readNote(next, name, task); !found {
			if written {
				t.Error("a note that was written is not found")
			}
			continue
		}
		relied++
		for _, cut := range next.Cuts(4) {
			if _, found := readNote(next.PowerCut(cut), name, task); !found {
				t.Errorf("killed before change %d, relied on, and lost by a power cut: %s", dieAt, cut.Name)
			}
		}
	}
	if relied < 3 {
		t.Errorf("%d notes were relied on, want those that were not synced yet among them", relied)
	}
}
