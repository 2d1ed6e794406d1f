package batch

import "testing"

// A reader without settings tells, as the run would, whether a job that failed
// retryably still returns to the queue.
func TestReaderKnowsTries(t *testing.T) {
	for tries, left := range map[int]int{1: 0, 3: 1} {
		b := New(Settings{}, nil)
		for _, e := range []Event{
			{Kind: Planned, Job: "a", Plan: &Plan{Key: "k"}},
			{Kind: Opened, Run: &Run{Tries: tries}},
			{Kind: Intended, Job: "a", Attempt: 1, Lane: "l"},
			{Kind: Accepted, Job: "a", Attempt: 1, Task: "t"},
			{Kind: Ended, Job: "a", Attempt: 1, Task: "t", Class: ClassRetry, End: &End{Status: StatusFailed}},
		} {
			if err := b.Apply(e); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.View().Left; got != left {
			t.Errorf("with %d tries %d jobs are left, want %d", tries, got, left)
		}
	}
}
