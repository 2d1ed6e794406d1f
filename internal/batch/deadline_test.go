package batch

import (
	"testing"
	"time"
)

// A deadline: what cannot be finished and fetched in time is not created, and what
// was created is followed all the same.

func due(at time.Time) func(*Settings, *LaneSettings) {
	return func(s *Settings, _ *LaneSettings) { s.Deadline = at }
}

// TestDeadline has tasks of five seconds, which take 115 s before anything is
// learned: with a quarter more and a minute to fetch, 204 s for the first, 348 s
// for two and 492 s for three.
func TestDeadline(t *testing.T) {
	tests := map[time.Duration]int{
		-time.Hour: 0, 3 * time.Minute: 0, 4 * time.Minute: 1, 6 * time.Minute: 2, 9 * time.Minute: 3,
	}
	for in, want := range tests {
		t.Run(in.String(), func(t *testing.T) {
			r := newRig(t, 3, due(epoch.Add(in)))
			if want > 0 {
				r.baseline()
			}
			for range want {
				r.submit()
			}
			r.noCreate(10 * time.Minute)
			for range want {
				r.look(StatusSucceeded)
				r.store()
			}
			r.noCreate(time.Hour)
			v := r.b.View()
			if v.Jobs[StateDone] != want {
				t.Fatalf("%+v", v)
			}
			if left := want < 3; left != (v.Stop == StopDeadline) {
				t.Fatalf("stop %q with %d jobs left", v.Stop, 3-want)
			}
		})
	}
}

func TestDeadlineCountsStrangers(t *testing.T) {
	r := newRig(t, 1, due(epoch.Add(4*time.Minute)))
	r.baseline(stranger("s1"))
	r.noCreate(time.Second)
	if r.b.View().Stop != StopNone {
		t.Fatal("the run ends although the stranger may")
	}
	r.noCreate(time.Hour)
	if r.b.View().Stop != StopDeadline {
		t.Fatal("the run waits although it is too late")
	}
}

func TestDeadlineIsTheWallClocks(t *testing.T) {
	r := newRig(t, 1, due(epoch.Add(time.Hour)))
	r.b.Slept(time.Hour)
	r.noCreate(10 * time.Minute)
}
