package pipeline

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// A create whose doubt is older than any list has no candidates. What no query could
// ever ask for is then refused, and the job can still be resolved.
func TestResolveTakesOnlyTaskIDs(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "old")
	f, err := openFolder(t.Context(), folder, batch.New(batch.Settings{}, nil), true, Config{})
	if err != nil {
		t.Fatal(err)
	}
	events := []batch.Event{
		{Kind: batch.Begun, Begin: &batch.Begin{Batch: "old", Currency: "USD"}},
		{Kind: batch.Planned, Job: "one", Plan: &batch.Plan{Key: "k", File: "one.mp4"}},
		{Kind: batch.Opened, Run: &batch.Run{}},
		{Kind: batch.Intended, Job: "one", Attempt: 1, Lane: "singapore"},
		{Kind: batch.Unanswered, Job: "one", Attempt: 1},
		{Kind: batch.Quarantined, Job: "one", Attempt: 1, By: "older than the list can show"},
	}
	for i := range events {
		events[i].At = time.Date(2026, 10, 1, 0, 0, i, 0, time.UTC)
	}
	if err := errors.Join(f.record(events...), f.close()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"task_1", "5b1c0e7a/cancel", " 5b1c0e7a", "one two", strings.Repeat("a", 65)} {
		if _, err := Resolve(folder, "one", Adopt, id); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "is no task id") {
			t.Errorf("adopt %q: %v", id, err)
		}
	}
	r, err := Resolve(folder, "one", Adopt, "5b1c0e7a-40d2-4e6f-9a83-1f2d3c4b5a69")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Jobs[0].State; got != StateQueued {
		t.Errorf("adopted and %s", got)
	}
}
