package pipeline

import (
	"errors"
	"fmt"
	"io"
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
		for _, want := range []string{"output.store", "s3://bucket/prefix/test", "another batch", "begun 2000-01-01T00:00:00Z", "another name", "another prefix", "wanbatch.txt"} {
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
		if n := strings.Count(err.Error(), "another batch of this name"); n != 1 {
			t.Errorf("said %d times: %v", n, err)
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
				!strings.Contains(fmt.Sprint(err), "503") || !strings.Contains(fmt.Sprint(err), "creates no new tasks") {
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

// The objects of a batch of bucketPlan.
const (
	claimAt = "/bucket/prefix/test/" + claimName
	videoAt = "/bucket/prefix/test/job-0.mp4"
)

// anotherFilm makes the video in the bucket differ from what a task makes: all films of
// the tests are equal.
func (b *bucket) anotherFilm() (film string) {
	b.objects[videoAt] = append(b.objects[videoAt], "another film"...)
	return string(b.objects[videoAt])
}

// unread refuses some requests, as S3 does for want of a right.
type unread struct {
	under http.RoundTripper
	which func(*http.Request) bool // nil: none
}

func (u *unread) RoundTrip(r *http.Request) (*http.Response, error) {
	if u.which == nil || !u.which(r) {
		return u.under.RoundTrip(r)
	}
	const text = `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>`
	return &http.Response{StatusCode: 403, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}, nil
}

// What may not be read is not free: a newcomer without the right to read replaces no
// claim, also where the store knows no conditions, and none that is not there yet.
func TestUnreadClaimIsNotReplaced(t *testing.T) {
	p, q := bucketPlan(t, 1), bucketPlan(t, 1)
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		b.loose = true
		first, second := newcomer(t, b), newcomer(t, b)
		door := &unread{toBucket{second}, func(r *http.Request) bool { return r.Method == http.MethodGet }}
		second.toBucket = door
		refused := func(when string) {
			err := second.run(q)
			if !errors.Is(err, ErrAccount) || second.made() != 0 || !strings.Contains(fmt.Sprint(err), "put, read and list") {
				t.Errorf("%s, without the right to read: %v, %d creates", when, err, second.made())
			}
		}
		refused("in an empty bucket")
		if len(b.objects) != 0 {
			t.Errorf("then there are %d objects", len(b.objects))
		}
		time.Sleep(time.Hour)
		if err := first.run(p); err != nil {
			t.Fatal(err)
		}
		claim, film := string(b.objects[claimAt]), b.anotherFilm()
		refused("where another batch is")
		door.which = nil // the operator does as the hint says
		if err := second.run(q); !errors.Is(err, ErrUsage) || second.made() != 0 {
			t.Errorf("the second, with the right to read: %v, %d creates", err, second.made())
		}
		if string(b.objects[claimAt]) != claim || string(b.objects[videoAt]) != film {
			t.Error("something of the first batch was replaced")
		}
		if err := first.run(bucketPlan(t, 2)); err != nil {
			t.Errorf("the first goes on with %v", err)
		}
	})
}

// Videos that no claim stands for are not written over: of a batch of before claims, or
// of anybody.
func TestVideosWithoutAClaimStay(t *testing.T) {
	p, q := bucketPlan(t, 1), bucketPlan(t, 1)
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		first, second := newcomer(t, b), newcomer(t, b)
		if err := first.run(p); err != nil {
			t.Fatal(err)
		}
		film := b.anotherFilm()
		delete(b.objects, claimAt)
		err := second.run(q)
		for _, want := range []string{"s3://bucket/prefix/test/job-0.mp4 already exists", "another name", "another prefix"} {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		if !errors.Is(err, ErrUsage) || second.made() != 0 || b.objects[claimAt] != nil {
			t.Errorf("the second ends with %v after %d creates, claimed: %v", err, second.made(), b.objects[claimAt] != nil)
		}
		// What comes later is found out later, and what was paid waits on disk.
		delete(b.objects, videoAt)
		second.edit = func(c *Config) {
			c.OnEvent = func(e Event) {
				if e.Kind == "accepted" {
					b.objects[videoAt], b.meta[videoAt] = []byte(film), nil
				}
			}
		}
		if err = second.run(q); !errors.Is(err, ErrAccount) || !strings.Contains(fmt.Sprint(err), "already exists") || second.artifacts()["videos/job-0.mp4"] == nil {
			t.Errorf("when it came later: %v, %v", err, second.disk.Names())
		}
		if string(b.objects[videoAt]) != film {
			t.Error("a video was written over")
		}
		second.edit = nil
		delete(b.objects, videoAt)
		if err := second.run(q); err != nil || second.made() != 1 {
			t.Errorf("when it is away: %v, %d creates", err, second.made())
		}
	})
}

// A batch knows its own videos without their claim and without its record of them, and
// may replace them.
func TestOwnVideosAreReplaced(t *testing.T) {
	p := bucketPlan(t, 1)
	m := p.Manifest
	m.Mode = ModePro
	changed, err := NewPlan(t.Context(), &m, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, lost := range map[string]func(*bucket){"all is there": func(*bucket) {}, "no claim": func(b *bucket) { delete(b.objects, claimAt) }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBucket()
				w := newcomer(t, b)
				if err := w.run(p); err != nil {
					t.Fatal(err)
				}
				film := b.anotherFilm()
				lost(b)
				w.edit = func(c *Config) { c.AcceptChanges = true }
				if err := w.run(changed); err != nil || w.made() != 2 || string(b.objects[videoAt]) == film {
					t.Errorf("%v, %d creates, replaced: %v", err, w.made(), string(b.objects[videoAt]) != film)
				}
			})
		})
	}
}
