package batch

import (
	"testing"
	"time"
)

// A crash between a task's retryable end and the decision to retry it leaves a job
// that a run can still move: it must not look finished.
func TestUndecidedRetryIsLeft(t *testing.T) {
	for _, tries := range []int{1, 2} {
		r := newRig(t, 1, func(s *Settings, _ *LaneSettings) { s.Tries = tries })
		r.baseline()
		r.submit()
		query := r.await(OpQuery)
		r.b.Observe(Observation{Effect: query, Result: Looked, Status: StatusFailed, Class: ClassRetry, Code: "InternalError"})
		step, _, ok := r.b.Next(r.now)
		if !ok || step.Record.Kind != Ended {
			t.Fatalf("step %+v", step)
		}
		r.apply(*step.Record)
		b := replay(t, r.settings, nil, r.events)
		if left := b.View().Left; left != tries-1 {
			t.Errorf("%d tries, one used: %d jobs left after the crash, want %d", tries, left, tries-1)
		}
		r.crash(time.Minute)
		r.pump()
		if again := r.count(Again); again != tries-1 {
			t.Errorf("%d tries, one used: %d retries", tries, again)
		}
	}
}

// On a full disk the downloads try first whether there is room again: a create in
// between would be one more result without a place.
func TestFullDiskIsTriedByDownloads(t *testing.T) {
	r := newRig(t, 3, func(_ *Settings, l *LaneSettings) { l.Ahead = 0 })
	r.baseline()
	r.submit()
	r.look(StatusSucceeded)
	r.submit()
	r.answer(r.await(OpFetch), Observation{Result: DiskFull, Message: "no space"})
	r.look(StatusSucceeded) // from here on the lane is free
	fetch := r.await(OpFetch)
	if n := r.count(Intended); n != 2 {
		t.Fatalf("%d creates before the disk was tried", n-2)
	}
	r.answer(fetch, Observation{Result: Fetched, Artifact: &Artifact{}})
	r.submit()
}
