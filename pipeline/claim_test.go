package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/emulator"
)

// newcomer is another machine with another account, that puts its videos into the
// same bucket, as a batch of the same name.
func newcomer(t *testing.T, b *bucket) *world {
	opt := emulator.Options{Seed: 7, RunTime: func(string, float64) time.Duration { return 20 * time.Second }}
	w := &world{t: t, disk: disktest.New(), provider: emulator.New(opt), bucket: b, threads: realFolder(t)}
	t.Cleanup(w.provider.Close)
	return w
}

// bucketPlan makes a plan of n jobs whose videos go into the bucket.
func bucketPlan(t *testing.T, n int) *Plan {
	p := worldPlan(t, t.TempDir(), n, "true")
	intoBucket(false)(p, nil)
	return p
}

// made is how many tasks the provider has made.
func (w *world) made() int { return w.provider.Meter().Creates }

// A batch of the same name that began elsewhere writes over nothing, pays for
// nothing, and is told what to do; the one that is there goes on.
func TestNoBatchWritesOverAnother(t *testing.T) {
	few, all := bucketPlan(t, 1), bucketPlan(t, 2)
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		first, second := newcomer(t, b), newcomer(t, b)
		if err := first.run(few); err != nil {
			t.Fatal(err)
		}
		was := maps.Clone(b.objects)
		time.Sleep(time.Hour)
		err := second.run(all)
		if !errors.Is(err, ErrUsage) || second.made() != 0 {
			t.Errorf("the second batch ends with %v after %d creates", err, second.made())
		}
		for _, want := range []string{"output.store", "s3://bucket/prefix/test", "another batch", "begun 2000-01-01T00:00:00Z", "another name", "another prefix", "README.txt"} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		for name, data := range was {
			if string(b.objects[name]) != string(data) {
				t.Errorf("%s was written over", name)
			}
		}
		if len(b.objects) != len(was) {
			t.Errorf("%d objects, there were %d", len(b.objects), len(was))
		}
		if err := first.run(all); err != nil || first.made() != 2 {
			t.Errorf("the first batch goes on with %v, %d creates", err, first.made())
		}
		// Where nothing is left of the first, its name is free.
		clear(b.objects)
		if err := second.run(all); err != nil {
			t.Errorf("in an empty bucket: %v", err)
		}
	})
}

// What cannot be asked is not taken for free: nothing is paid before the bucket has
// answered, and a bucket that is back soon holds nobody up.
func TestNothingIsPaidBeforeTheClaim(t *testing.T) {
	p := bucketPlan(t, 1)
	synctest.Test(t, func(t *testing.T) {
		for outage, fine := range map[time.Duration]bool{20 * time.Second: true, 2 * time.Hour: false} {
			b := newBucket()
			w := newcomer(t, b)
			b.down(outage)
			began := time.Now()
			err := w.run(p)
			if took := time.Since(began); fine && (err != nil || w.made() != 1) || took > 10*time.Minute {
				t.Errorf("down for %v: %v after %v", outage, err, took)
			}
			if fine {
				continue
			}
			if err == nil || errors.Is(err, ErrUsage) || errors.Is(err, ErrAccount) || w.made() != 0 ||
				!strings.Contains(fmt.Sprint(err), "503") || !strings.Contains(fmt.Sprint(err), "pays for nothing") {
				t.Errorf("down for %v: %v, %d creates", outage, err, w.made())
			}
			time.Sleep(outage)
			if err := w.run(p); err != nil || w.made() != 1 {
				t.Errorf("when it is up again: %v", err)
			}
		}
	})
}

// late holds up the first claim that passes, until somebody else has made theirs.
type late struct {
	under http.RoundTripper
	begin func()
}

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	if begin := l.begin; r.Method == http.MethodPut && filepath.Base(r.URL.Path) == claimName && begin != nil {
		l.begin = nil
		time.Sleep(time.Second) // no two batches begin at the same nanosecond
		begin()
		time.Sleep(5 * time.Second)
	}
	return l.under.RoundTrip(r)
}

// Two batches that claim at once have one winner. Where the bucket cannot tell, as it
// knows no conditions, the claim is looked at again before the first video is put.
func TestOneOfTwoClaims(t *testing.T) {
	p, q := bucketPlan(t, 1), bucketPlan(t, 1)
	for _, loose := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBucket()
			b.loose = loose
			first, second := newcomer(t, b), newcomer(t, b)
			one := make(chan error, 1)
			second.toBucket = &late{under: toBucket{second}, begin: func() { go func() { one <- first.run(p) }() }}
			two := second.run(q)
			winner, loser, lost := second, first, <-one
			if !loose {
				winner, loser, lost, two = first, second, two, lost
			}
			if two != nil || lost == nil || !strings.Contains(fmt.Sprint(lost), "another batch") {
				t.Errorf("loose %v: the winner ends with %v, the loser with %v", loose, two, lost)
			}
			if n := loser.made(); n != 0 && !loose {
				t.Errorf("the loser paid for %d tasks", n)
			}
			_, report := winner.read()
			if f := report.Jobs[0].File; b.puts["/bucket/prefix/test/job-0.mp4"] != 1 || b.sum(*f.URL) != f.SHA256 {
				t.Errorf("loose %v: the winner's video is not what is there: %v", loose, b.puts)
			}
			if _, report := loser.read(); loose && (report.Totals.Done != 0 || report.Totals.Pending != 1 || len(loser.artifacts()) != 1) {
				t.Errorf("what was paid by the loser waits for another prefix: %+v, %v", report.Totals, loser.disk.Names())
			}
			q.Manifest.Output.Store = "s3://bucket/other?endpoint=" + bucketEndpoint
			defer intoBucket(false)(q, nil)
			if err := loser.run(q); err != nil || loser.made() != 1 {
				t.Errorf("loose %v: with another prefix %v, %d creates", loose, err, loser.made())
			}
		})
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
		leave := make(chan struct{})
		w.edit = func(c *Config) {
			c.Stop = leave
			c.OnEvent = func(e Event) {
				if e.Kind == "accepted" {
					close(leave)
				}
			}
		}
		if err := w.run(&plain); !errors.Is(err, ErrInterrupted) || w.made() != 1 {
			t.Fatalf("the first run: %v, %d creates", err, w.made())
		}
		w.edit = nil
		b.down(3 * time.Hour)
		err := w.run(p)
		if err == nil || w.made() != 1 || !strings.Contains(fmt.Sprint(err), "pays for nothing") {
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
