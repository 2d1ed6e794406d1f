package pipeline_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// detour carries calls for any endpoint to one server.
type detour string

func (d detour) RoundTrip(r *http.Request) (*http.Response, error) {
	to, err := url.Parse(string(d))
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
	return http.DefaultTransport.RoundTrip(r)
}

// doubtful leaves the plan's batch with a create in doubt.
func (r *rig) doubtful(p *pipeline.Plan, edit ...func(*pipeline.Config)) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	_, err := r.try(ctx, p, append(edit, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "unanswered" {
				cancel()
			}
		}
	})...)
	if !errors.Is(err, pipeline.ErrInterrupted) {
		r.t.Fatal(err)
	}
}

// refused checks that a plan cannot run because the lane is another batch's, and
// that the message says so in these words.
func (r *rig) refused(p *pipeline.Plan, words ...string) string {
	r.t.Helper()
	_, err := r.try(r.t.Context(), p)
	if !errors.Is(err, pipeline.ErrLocked) {
		r.t.Fatalf("%s: got %v, want it refused", p.Manifest.Name, err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			r.t.Errorf("%q is not in: %v", w, err)
		}
	}
	return err.Error()
}

func (r *rig) other() *pipeline.Plan {
	return r.plan(1, "true", func(m *pipeline.Manifest) { m.Name = "other" })
}

// laneFile is the one lock of a lane.
func (r *rig) laneFile() string {
	r.t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "state", "lanes", "*.lock"))
	if err != nil || len(files) != 1 {
		r.t.Fatalf("lanes %q, %v", files, err)
	}
	return files[0]
}

// One address in several spellings is one lane, and the same for a batch that
// goes on there.
func TestSpellingsOfAnEndpoint(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	at := func(endpoint string) func(*pipeline.Config) {
		return func(c *pipeline.Config) { c.Endpoint, c.Transport = endpoint, detour(r.server.URL) }
	}
	plan := r.plan(1, "true", func(m *pipeline.Manifest) { // URLs: nothing is uploaded to a host that is not there
		m.Pairs[0].Image, m.Pairs[0].Video = "https://media.example.com/a.png", "https://media.example.com/b.mp4"
	})
	r.doubtful(plan, at("https://Localhost"))
	for _, same := range []string{"https://localhost:443/api/v1", "https://LOCALHOST"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := r.try(ctx, r.other(), at(same))
		if !errors.Is(err, pipeline.ErrLocked) {
			t.Errorf("another batch at %s: got %v, want the lane reserved", same, err)
		}
	}
	// Its own batch goes on there.
	_, err := r.try(t.Context(), plan, at("https://localhost:443"), func(c *pipeline.Config) {
		stop := make(chan struct{})
		c.Stop = stop
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "started" {
				close(stop)
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Errorf("the same batch at the other spelling: %v", err)
	}
}

// A batch that was moved with a create in doubt keeps its lane, and finds it where
// it is now.
func TestMovedBatchKeepsItsLane(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	plan := r.plan(2, "true")
	r.doubtful(plan)
	elsewhere := filepath.Join(r.dir, "archive")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.folder(), filepath.Join(elsewhere, "test")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a refusal must not take the reservation away
		r.refused(r.other(), "is not there any more", r.folder(), "moved", r.laneFile())
	}
	report := r.run(plan, func(c *pipeline.Config) { c.Output = elsewhere })
	if report.Totals.Done != 2 || r.provider.Meter().MaxLivePerPair > 1 {
		t.Errorf("totals %+v", report.Totals)
	}
	r.run(r.other())
}

// A batch begun again under a name whose folder was taken away is another batch.
func TestBatchBegunAgain(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	plan := r.plan(1, "true")
	r.doubtful(plan)
	if err := os.RemoveAll(r.folder()); err != nil {
		t.Fatal(err)
	}
	said := r.refused(plan, "is not there any more", "deleted")
	// What the message names as the way out is one.
	name := regexp.MustCompile(`\S+\.lock`).FindString(said)
	if err := os.Remove(name); err != nil {
		t.Fatalf("%v in %s", err, said)
	}
	r.run(plan)
}

// A copy does not settle the doubt of its original, the same folder under another
// name does.
func TestCopyAndLink(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	plan := r.plan(1, "true")
	r.doubtful(plan)
	copied := filepath.Join(r.dir, "copy")
	if err := os.CopyFS(filepath.Join(copied, "test"), os.DirFS(r.folder())); err != nil {
		t.Fatal(err)
	}
	_, err := r.try(t.Context(), plan, func(c *pipeline.Config) { c.Output = copied })
	if !errors.Is(err, pipeline.ErrLocked) || !strings.Contains(err.Error(), "in doubt") {
		t.Errorf("running a copy: %v", err)
	}
	link := filepath.Join(r.dir, "link")
	if err := os.Symlink(filepath.Join(r.dir, "out"), link); err != nil {
		t.Skip(err)
	}
	r.run(plan, func(c *pipeline.Config) { c.Output = link })
}

// A kill leaves the lock as it is at that moment. Only where a create was
// unanswered then does it keep others off after its batch is gone, and not for
// longer than the provider can tell of that create's task.
func TestLockOfAKilledRun(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:2")
	left := map[pipeline.EventKind][]byte{} // the lock's content, by the event at which a kill might have come
	r.run(r.plan(2, "true"), func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "started" || e.Kind == "accepted" || e.Kind == "unanswered" || e.Kind == "stored" {
				if text, err := os.ReadFile(r.laneFile()); err == nil && (left[e.Kind] == nil || e.Kind == "stored") {
					left[e.Kind] = text
				}
			}
		}
	})
	if err := os.RemoveAll(r.folder()); err != nil {
		t.Fatal(err)
	}
	restore := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(r.laneFile(), text, 0o600); err != nil || len(text) == 0 {
			t.Fatal(err, "or nothing was held")
		}
	}
	restore(left["unanswered"])
	r.refused(r.other(), "is not there any more")
	old := regexp.MustCompile(`"unsettled":"[^"]*"`).ReplaceAll(left["unanswered"], []byte(`"unsettled":"`+time.Now().Add(-time.Second).UTC().Format(time.RFC3339)+`"`))
	for name, text := range map[string][]byte{"started": left["started"], "accepted": left["accepted"], "stored": left["stored"], "a day later": old} {
		restore(text)
		if _, err := r.try(t.Context(), r.other()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A clock of ours that runs ahead of the provider's does not end a reservation, and
// neither does a provider that cannot be asked for the time.
func TestClockAheadKeepsTheLane(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	r.doubtful(r.plan(1, "true"))
	if err := os.RemoveAll(r.folder()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.laneFile())
	if err != nil {
		t.Fatal(err)
	}
	over := []byte(`"unsettled":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `"`)
	text = regexp.MustCompile(`"unsettled":"[^"]*"`).ReplaceAll(text, over)
	if err := os.WriteFile(r.laneFile(), text, 0o600); err != nil {
		t.Fatal(err)
	}
	behind := newRig(t, 600, emulator.Options{}, "date-skew") // by 100 minutes
	at := func(url string) func(*pipeline.Config) {
		return func(c *pipeline.Config) { c.Transport = detour(url) }
	}
	if _, err := r.try(t.Context(), r.other(), at(behind.server.URL)); !errors.Is(err, pipeline.ErrLocked) {
		t.Errorf("where the provider's clock says that it is not over: %v", err)
	}
	if _, err := r.try(t.Context(), r.other(), at("http://127.0.0.1:1")); err == nil {
		t.Error("nobody told the time, and the lane was taken")
	}
	r.run(r.other())
}

// A lock that an older program left names its batch only by where it is, and keeps
// its lane as it did.
func TestLockOfAnOlderProgram(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	plan := r.plan(1, "true")
	r.doubtful(plan)
	text, err := os.ReadFile(r.laneFile())
	if err != nil {
		t.Fatal(err)
	}
	old := regexp.MustCompile(`,"(begun|unsettled)":"[^"]*"`).ReplaceAll(text, nil)
	if err := os.WriteFile(r.laneFile(), old, 0o600); err != nil || len(old) == len(text) {
		t.Fatal(err, string(old))
	}
	r.refused(r.other(), "is reserved for batch", "in doubt")
	r.run(plan)
	r.run(r.other())
}

// Who has the key sent elsewhere is told, also where the manifest says so.
func TestForeignEndpoint(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"": false, "https://dashscope-intl.aliyuncs.com/api/v1": false, "https://ws-1.ap-southeast-1.maas.aliyuncs.com": false,
		"http://127.0.0.1:1": true, "https://gateway.example.com": true, "https://dashscope.aliyuncs.com.example.com": true,
		"https://bucket.oss-cn-beijing.aliyuncs.com": true,
	} {
		byManifest, byFlag := &pipeline.Plan{Manifest: *pipeline.NewManifest()}, &pipeline.Plan{}
		byManifest.Manifest.Lane.Endpoint = endpoint
		byFlag, err := byFlag.Under(pipeline.Config{Endpoint: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		if byManifest.UsesOtherHost() != want || byFlag.UsesOtherHost() != want {
			t.Errorf("%q: by the manifest %t, by a flag %t, want %t", endpoint, byManifest.UsesOtherHost(), byFlag.UsesOtherHost(), want)
		}
	}
}

// Another batch frees an exclusive lane. The next one waits until lists surely show what
// that made: it would take it for the task of a create of its own whose request was lost.
func TestHandoverOfAnExclusiveLane(t *testing.T) {
	t.Parallel()
	for _, exclusive := range []string{"true", "false"} {
		r := newRig(t, 120, emulator.Options{ListLag: 100 * time.Second}, "lost-request:2")
		plan := func(name string, n int) *pipeline.Plan { // the next must come within three seconds of ours
			return r.plan(n, exclusive, func(m *pipeline.Manifest) { m.Name, m.Limits.Settle = name, 6*time.Minute })
		}
		r.leave(plan("test", 1), onAccepted(1))
		waits := 0
		count := func(c *pipeline.Config) {
			on := c.OnEvent
			c.OnEvent = func(e pipeline.Event) {
				on(e)
				if e.Kind == pipeline.EventWaiting {
					waits++
				}
			}
		}
		next := plan("next", 1)
		want := map[string]int{"true": 1, "false": 0}[exclusive]
		if want > 0 {
			r.leave(next, func(e pipeline.Event) bool { return e.Kind == pipeline.EventWaiting })
		}
		report := r.run(next, count)
		if waits != want || want > 0 && (report.Totals.Done != 1 || len(report.Jobs[0].Attempts) != 2) {
			t.Errorf("exclusive %s: waited %d times; %+v\n%s", exclusive, waits, report.Totals, r.trail())
		}
		waits = 0
		r.run(plan("next", 2), count)
		if waits != 0 {
			t.Errorf("exclusive %s: the batch that had the lane last waits for itself\n%s", exclusive, r.trail())
		}

		locks, err := filepath.Glob(filepath.Join(r.dir, "state", "lanes", "*.lock"))
		if err != nil || len(locks) != 1 {
			t.Fatal(locks, err)
		}
		killed := `{"pid":1,"host":"x","since":"2026-01-01T00:00:00Z","batch":"` + r.folder() + `"}` // as an older program wrote it
		if err := os.WriteFile(locks[0], []byte(killed), 0o600); err != nil {
			t.Fatal(err)
		}
		r.run(plan("third", 1), count)
		if waits != want {
			t.Errorf("exclusive %s: after a run that was killed it waited %d times", exclusive, waits)
		}
	}
}
