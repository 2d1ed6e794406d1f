package pipeline

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// A scenario is a story that must end the same however often the machine dies.
type scenario struct {
	name   string
	jobs   int // defaults to 1
	lane   string
	faults []string
	edit   func(*Plan, *emulator.Options)
	start  func(*world) // what lies on the disk at first
	story  func(*world, *Plan) error
}

func onlyRun(w *world, p *Plan) error { return w.run(p) }

// thenResolve runs, settles what is quarantined, and runs again.
func thenResolve(v Verdict) func(*world, *Plan) error {
	return func(w *world, p *Plan) error {
		return errors.Join(w.run(p), w.resolve(p, v), w.run(p))
	}
}

// untilTheBucketIsUp runs again while the bucket is down: who died before the claim
// of the folder, or between two videos, finds it so.
func untilTheBucketIsUp(w *world, p *Plan) error {
	for {
		err := w.run(p)
		if err == nil || w.dead() || !w.bucket.fails() {
			return err
		}
		time.Sleep(time.Minute)
	}
}

// longStranger lets a stranger's task run for 16 minutes, before ours.
func longStranger(p *Plan, opt *emulator.Options) {
	p.Manifest.Limits.TaskLife, opt.TaskLife = 20*time.Minute, 20*time.Minute
	opt.RunTime = func(_ string, seconds float64) time.Duration {
		if seconds == 5 { // the length of strangers' videos
			return 16 * time.Minute
		}
		return 20 * time.Second
	}
}

func scenarios() []scenario {
	return []scenario{
		{name: "one job"},
		{name: "three jobs", jobs: 3},
		{name: "reply lost: adopted", faults: []string{"lost-reply:1"}},
		{name: "request lost: absent", faults: []string{"lost-request:1"}},
		{name: "late create: adopted", jobs: 2, faults: []string{"late-create:1"}},
		{name: "refused then accepted", faults: []string{"create-429-retry-after:1"}},
		{name: "failed then retried", faults: []string{"failed-algo:1"}},
		{name: "failed for good", jobs: 2, faults: []string{"failed-input:1"}},
		{name: "shared lane", lane: "false", jobs: 2},
		{name: "shared lane: quarantined", lane: "false", jobs: 2, faults: []string{"lost-reply:1"}},
		{name: "quarantined and adopted by hand", lane: "false", faults: []string{"lost-reply:1"}, story: thenResolve(Adopt)},
		{name: "quarantined and abandoned", lane: "false", faults: []string{"lost-reply:1"}, story: thenResolve(Abandon)},
		{name: "download cut and resumed", faults: []string{"cut-download:1"}},
		{name: "download cut without checksum", faults: []string{"cut-download:1", "no-crc"}},
		{name: "withdrawn", lane: "false", faults: []string{"foreign-task:1"}, edit: longStranger},
		{name: "strangers before the first intent", jobs: 2, faults: []string{"foreign-task:1", "foreign-task:2"}},
		{name: "account in arrears then paid", faults: []string{"arrears:1"}, story: func(w *world, p *Plan) error {
			if err := w.run(p); err != nil && !errors.Is(err, ErrAccount) {
				return err
			}
			return w.run(p)
		}},
		{name: "torn header at the start", start: func(w *world) {
			w.disk.Put(journalName, []byte(`{"seq":1,"su`), true)
		}},
		{name: "disk full for a while", start: func(w *world) {
			// Enough for the journal and its reserve; not for a video.
			w.disk.Room = journal.ReserveBytes + 8<<10
		}, story: func(w *world, p *Plan) error {
			// At an instant at which nothing else happens, or plays would differ.
			freed := time.AfterFunc(2*time.Minute+7*time.Second+300*time.Millisecond, func() { w.disk.SetRoom(-1) })
			defer freed.Stop()
			return w.run(p)
		}},
		{name: "kept in a bucket too", edit: intoBucket(false)},
		{name: "kept in a bucket alone", edit: intoBucket(true)},
		{name: "inputs from a bucket", edit: func(p *Plan, opt *emulator.Options) {
			p.Manifest.Inputs.Store = "s3://bucket/inputs?endpoint=" + bucketEndpoint
		}},
		{name: "the bucket is down until the result has died", edit: func(p *Plan, opt *emulator.Options) {
			intoBucket(true)(p, opt)
			opt.URLLife = 10 * time.Minute
		}, start: func(w *world) {
			w.bucket.downAfter(time.Second, 16*time.Minute+10*time.Second+300*time.Millisecond)
		}, story: untilTheBucketIsUp},
		{name: "the bucket fails a put", jobs: 2, edit: intoBucket(false), start: func(w *world) {
			w.bucket.downAfter(31*time.Second+300*time.Millisecond, 3*time.Minute) // the first video lies there
		}, story: untilTheBucketIsUp},
		{name: "second run with more jobs", jobs: 2, story: func(w *world, p *Plan) error {
			return errors.Join(w.run(w.early), w.run(p))
		}},
	}
}

// newWorld makes the world of a scenario.
func (s scenario) newWorld(t *testing.T, p *Plan) *world {
	opt := emulator.Options{Seed: 1, RunTime: func(string, float64) time.Duration { return 20 * time.Second }}
	for _, text := range s.faults {
		f, err := emulator.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		opt.Faults = append(opt.Faults, f)
	}
	if s.edit != nil {
		s.edit(p, &opt)
	}
	b := newBucket()
	opt.Inputs = &http.Client{Transport: b}
	w := &world{t: t, disk: disktest.New(), provider: emulator.New(opt), bucket: b}
	if s.start != nil {
		s.start(w)
	}
	return w
}

// plans makes the plan of all jobs, and the one of the first alone.
func (s scenario) plans(t *testing.T) (all, early *Plan) {
	lane, dir := s.lane, t.TempDir()
	if lane == "" {
		lane = "true"
	}
	return worldPlan(t, dir, max(s.jobs, 1), lane), worldPlan(t, dir, 1, lane)
}

func (s scenario) tell(w *world, p *Plan) error {
	if s.story == nil {
		return onlyRun(w, p)
	}
	return s.story(w, p)
}

// A death is when the machine dies and what its disk is like afterwards.
type death struct {
	tick  int // of its life
	image int // index into images
}

// An image is a disk that the next life may find.
type image struct {
	name string
	disk func() *disktest.Disk
}

// images are the disks after a death: as it was if only the process died, and what
// a power cut may leave.
func (w *world) images(torn int) []image {
	found := []image{{"killed", w.disk.Kill}}
	for _, cut := range w.disk.Cuts(torn) {
		found = append(found, image{"power cut: " + cut.Name, func() *disktest.Disk { return w.disk.PowerCut(cut) }})
	}
	return found
}
