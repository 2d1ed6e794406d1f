package batch

import (
	"fmt"
	"slices"
	"time"
)

// bucket is where the inputs of some worlds are uploaded to: what lies there, and
// until when.
type bucket struct {
	images, videos int           // how many contents there are; 0: inputs are URLs
	life           time.Duration // of what is uploaded; 0: for ever
	seq            int
	objects        map[string]object // by address
	told           map[string]object // by content: what the journal says, in core time, unless it is not trusted any more
	changed        map[string]bool   // files that are no longer what was planned
}

type object struct {
	content string
	drops   time.Time // zero: never
}

func newBucket() bucket {
	return bucket{objects: map[string]object{}, told: map[string]object{}, changed: map[string]bool{}}
}

// chooseInputs makes the inputs of this world local files, shared by jobs.
func (s *sim) chooseInputs(flip func(int) bool) {
	s.images, s.videos = 1+s.rnd.IntN(s.jobs), 1+s.rnd.IntN(s.jobs)
	if flip(4) {
		s.videos = 0
	}
	s.life = []time.Duration{0, 25 * time.Hour, 30 * time.Hour, 48 * time.Hour, 48 * time.Hour}[s.rnd.IntN(5)]
	if s.life == 0 {
		s.set.Store = "bucket"
	}
}

// input draws the content of one job's input.
func (s *sim) input(of int, kind string) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprint(kind, s.rnd.IntN(of))
}

// lives reports whether a create at this instant may still use an object: it must
// stay for as long as a task may wait.
func (s *sim) lives(o object) bool {
	return o.drops.IsZero() || o.drops.Sub(s.now) >= s.lane.TaskLife
}

// mayUse holds a create to what was uploaded: the contents that its job was
// planned with, and none that may be gone before its task runs.
func (s *sim) mayUse(e Effect) error {
	plan := &s.b.byID[e.Job].plan
	for _, in := range []struct{ sum, address string }{{plan.ImageSHA256, e.Image}, {plan.VideoSHA256, e.Video}} {
		o, found := s.objects[in.address]
		switch {
		case in.sum == "" && in.address == "":
		case !found || o.content != in.sum:
			return fmt.Errorf("a create of %s with %q, which is %+v, and not %s", e.Job, in.address, o, in.sum)
		case !s.lives(o) && !s.jumped: // a clock that was set back cannot tell; the task then fails, for free
			return fmt.Errorf("a create of %s with an upload that is gone in %v", e.Job, o.drops.Sub(s.now))
		}
	}
	return nil
}

// mayUpload holds that nothing is uploaded that lies there, as far as anybody can
// know, and nothing that is not needed.
func (s *sim) mayUpload(e Effect) error {
	if plan := &s.b.byID[e.Job].plan; !slices.Contains(plan.sources(), e.Source) {
		return fmt.Errorf("an upload of %s, which %s does not need", e.Source, e.Job)
	}
	if o, told := s.told[e.Source]; told && s.slept == 0 && !s.jumped && (o.drops.IsZero() || o.drops.Sub(s.core()) > s.lane.TaskLife) {
		return fmt.Errorf("an upload of %s, which lies there until %v", e.Source, o.drops)
	}
	if _, told := s.told[e.Source]; told {
		s.hit("upload: again, before the old one ends")
	}
	return nil
}

// askUpload is the store's side of an upload.
func (s *sim) askUpload(e Effect) Observation {
	switch {
	case s.changed[e.Source] || s.fault(s.mix.changed, "upload: file changed"):
		s.changed[e.Source] = true
		return Observation{Result: Changed, Code: "Changed"}
	case s.fault(s.mix.uploadFail, "upload: failed"):
		return Observation{Result: Failed, Class: []Class{ClassRetry, ClassThrottle, "none"}[s.rnd.IntN(3)]}
	}
	s.seq++
	address, o := fmt.Sprintf("oss://%d", s.seq), object{content: e.Source}
	if s.life > 0 {
		o.drops = s.now.Add(s.life)
	}
	s.objects[address] = o
	return Observation{Result: Sent, Store: s.set.Store, Address: address, Life: s.life}
}

// keep notes what the journal says of an upload.
func (s *sim) keep(e Event) {
	s.hit("uploaded")
	s.told[e.Source] = object{content: e.Source, drops: e.Expires}
}

// distrust forgets the uploads of a task that failed, and may have for their sake.
func (s *sim) distrust(e Event) {
	if e.End.Status != StatusFailed || !rules[e.Class].retryTask {
		return
	}
	for _, sum := range s.b.byID[e.Job].plan.sources() {
		delete(s.told, sum)
	}
}

// spoiled reports whether one of a job's files changed.
func (s *sim) spoiled(id string) bool {
	return slices.ContainsFunc(s.b.byID[id].plan.sources(), func(sum string) bool { return s.changed[sum] })
}
