package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// leaveWhenAccepted lets the first run of a world leave with one live task.
func (w *world) leaveWhenAccepted(p *Plan) {
	w.t.Helper()
	leave := make(chan struct{})
	w.edit = func(c *Config) {
		c.Stop = leave
		c.OnEvent = func(e Event) {
			if e.Kind == "accepted" {
				close(leave)
			}
		}
	}
	if err := w.run(p); !errors.Is(err, ErrInterrupted) || w.made() != 1 {
		w.t.Fatalf("the first run: %v, %d creates", err, w.made())
	}
	w.edit = nil
}

// wantWaiting checks that the live task was followed to its file, that nothing else
// was paid for, and that one error says why.
func (w *world) wantWaiting(err error, want string) {
	w.t.Helper()
	if !errors.Is(err, ErrUsage) || strings.Count(fmt.Sprint(err), want) != 1 || !strings.Contains(fmt.Sprint(err), "creates no new tasks") || w.made() != 1 {
		w.t.Errorf("%v, %d creates", err, w.made())
	}
	if w.artifacts()["videos/job-0.mp4"] == nil {
		w.t.Errorf("what was paid is not on disk: %v", w.disk.Names())
	}
}

// A batch whose videos are to go into a bucket only now follows what is live, whatever
// the bucket says, and pays for nothing more.
func TestLiveTasksDoNotWaitForTheClaim(t *testing.T) {
	p := bucketPlan(t, 2)
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		w := newcomer(t, b)
		plain := *p
		plain.Manifest.Output.Store = ""
		w.leaveWhenAccepted(&plain)
		b.down(3 * time.Hour)
		err := w.run(p)
		if err == nil || w.made() != 1 || !strings.Contains(fmt.Sprint(err), "creates no new tasks") {
			t.Errorf("while the bucket is down: %v, %d creates", err, w.made())
		}
		if _, report := w.read(); report.Totals.Done != 1 {
			t.Errorf("%+v", report.Totals)
		}
		if err := w.run(p); err != nil || w.made() != 2 {
			t.Errorf("when it is up: %v, %d creates", err, w.made())
		}
	})
}

// A folder that has become another batch's is found out before more is paid, also while
// a task is live; that one's video waits on disk, and all is said once.
func TestClaimLostWhileATaskIsLive(t *testing.T) {
	p := bucketPlan(t, 4)
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		w := newcomer(t, b)
		w.leaveWhenAccepted(p)
		ours := b.objects[claimAt]
		b.objects[claimAt] = []byte(claimText("test", time.Now())) // another took it over
		w.wantWaiting(w.run(p), "another batch of this name")
		b.objects[claimAt] = ours
		if err := w.run(p); err != nil || w.made() != 4 {
			t.Errorf("when it is ours again: %v, %d creates", err, w.made())
		}
	})
}

// While the work of others cannot be reused nothing is paid for; live tasks are followed
// all the same.
func TestLiveTasksDoNotWaitForReuse(t *testing.T) {
	p := bucketPlan(t, 3)
	film := []byte("a film that another batch has made")
	old := reusable{folder: t.TempDir(), origin: "spring/a at " + worldEndpoint,
		artifact: batch.Artifact{Path: "a.mp4", Bytes: int64(len(film)), SHA256: hexSHA256(film)}}
	file := filepath.Join(old.folder, "a.mp4")
	write := func(data []byte) {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := *p
	again.bound = true
	for job, err := range p.Jobs() {
		if err != nil {
			t.Fatal(err)
		}
		again.reuse = reusables{job.ContentKey: old} // that of the last
	}
	for name, tt := range map[string]struct {
		spoil, mend func(*bucket)
		want        string
	}{
		"the folder is another's": {
			func(b *bucket) { b.objects[claimAt] = []byte(claimText("test", time.Now())) },
			func(b *bucket) { delete(b.objects, claimAt) }, "another batch of this name",
		},
		"the file has changed": {
			func(*bucket) { write(append([]byte("not"), film[3:]...)) },
			func(*bucket) { write(film) }, "was to be reused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			write(film)
			synctest.Test(t, func(t *testing.T) {
				b := newBucket()
				w := newcomer(t, b)
				w.leaveWhenAccepted(p)
				tt.spoil(b)
				w.wantWaiting(w.run(&again), tt.want)
				if err := w.run(&again); !errors.Is(err, ErrUsage) || w.made() != 1 {
					t.Errorf("again: %v, %d creates", err, w.made())
				}
				tt.mend(b)
				if err := w.run(&again); err != nil || w.made() != 2 {
					t.Errorf("when all is well again: %v, %d creates", err, w.made())
				}
			})
		})
	}
}

// A batch that was put by a version before claims, which died before its record of a
// video, goes on: what is there is what it would put.
func TestUnrecordedPutBeforeClaims(t *testing.T) {
	p := bucketPlan(t, 1)
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		other := newcomer(t, b)
		if err := other.run(p); err != nil { // all films of the tests are equal
			t.Fatal(err)
		}
		film, meta := b.objects[videoAt], b.meta[videoAt].Clone()
		meta.Del("X-Amz-Meta-Wanbatch")
		clear(b.objects)
		w := newcomer(t, b)
		w.leaveWhenAccepted(p)
		delete(b.objects, claimAt)
		b.objects[videoAt], b.meta[videoAt], b.puts[videoAt] = film, meta, 0
		if err := w.run(p); err != nil || w.made() != 1 || b.puts[videoAt] != 0 {
			t.Errorf("%v, %d creates, %d puts", err, w.made(), b.puts[videoAt])
		}
	})
}
