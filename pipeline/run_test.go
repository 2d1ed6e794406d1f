package pipeline_test

import (
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

func TestRun(t *testing.T) {
	r := newRig(t, 300, emulator.Options{})
	report := r.run(r.plan(3, "true"))
	r.settled(report, 3)
	t.Log(r.trail())
	t.Log(r.provider.Meter().Requests)
}
