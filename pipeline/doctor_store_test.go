package pipeline

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// silence takes requests and never answers.
type silence struct{}

func (silence) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// look examines a plan and returns what is said of one thing.
func look(t *testing.T, p *Plan, cfg Config, name string) Check {
	t.Helper()
	for _, c := range Examine(t.Context(), p, cfg) {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("nothing is said of %s", name)
	return Check{}
}

// A bucket that takes requests and never answers holds nobody for long, and is told
// from one that refuses.
func TestExamineSilentBucket(t *testing.T) {
	p := bucketPlan(t, 1)
	synctest.Test(t, func(t *testing.T) {
		w := newcomer(t, newBucket())
		cfg := w.config()
		cfg.testHooks.buckets = silence{}
		began := time.Now()
		c := look(t, p, cfg, "store-out")
		if c.Level != LevelProblem || errors.Is(c.Err, ErrAccount) || errors.Is(c.Err, ErrUsage) || !strings.Contains(c.Hint, "no answer within 15 s") {
			t.Errorf("%+v", c)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("after %v", took)
		}
	})
}

// Inputs in a bucket on this machine serve no provider elsewhere.
func TestExamineInputsOutOfReach(t *testing.T) {
	p := worldPlan(t, t.TempDir(), 1, "true")
	p.Manifest.Inputs.Store = "s3://bucket/inputs?endpoint=" + bucketEndpoint
	synctest.Test(t, func(t *testing.T) {
		w := newcomer(t, newBucket())
		cfg := w.config()
		if c := look(t, p, cfg, "store-in"); c.Level != LevelOK || len(w.bucket.objects) != 0 {
			t.Errorf("%+v; left behind: %d objects", c, len(w.bucket.objects))
		}
		cfg.Endpoint = "https://provider.example"
		if c := look(t, p, cfg, "store-in"); c.Level != LevelProblem || !errors.Is(c.Err, ErrUsage) {
			t.Errorf("%+v", c)
		}
	})
}

// Doctor leaves nothing behind where it may remove, whatever it was refused and however
// it ended, and nothing that another doctor might take for its own.
func TestExamineLeavesNothing(t *testing.T) {
	p := bucketPlan(t, 1)
	isGet := func(r *http.Request) bool {
		return r.Method == http.MethodGet && !strings.HasSuffix(r.URL.Path, claimName)
	}
	synctest.Test(t, func(t *testing.T) {
		for name, way := range map[string]func(http.RoundTripper) http.RoundTripper{
			"it may not read": func(under http.RoundTripper) http.RoundTripper { return &unread{under, isGet} },
			"it is not answered": func(under http.RoundTripper) http.RoundTripper {
				return &mute{under, time.Time{}, time.Now().Add(time.Hour), isGet}
			},
		} {
			w := newcomer(t, newBucket())
			cfg := w.config()
			cfg.testHooks.buckets = way(toBucket{w})
			for range 2 {
				if c := look(t, p, cfg, "store-out"); c.Level != LevelProblem || len(w.bucket.objects) != 0 {
					t.Errorf("%s: %+v; %d objects are left behind", name, c, len(w.bucket.objects))
				}
			}
			if len(w.bucket.puts) != 2 {
				t.Errorf("%s: two doctors put the same: %v", name, w.bucket.puts)
			}
		}
	})
}

// What would refuse a run its claim is a problem, though files can be put.
func TestExamineUnreadableClaim(t *testing.T) {
	p := bucketPlan(t, 1)
	isClaim := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, claimName) }
	synctest.Test(t, func(t *testing.T) {
		w := newcomer(t, newBucket())
		cfg := w.config()
		cfg.testHooks.buckets = &unread{toBucket{w}, isClaim}
		if c := look(t, p, cfg, "store-out"); c.Level != LevelProblem || !errors.Is(c.Err, ErrAccount) || !strings.Contains(c.Hint, "list") {
			t.Errorf("%+v", c)
		}
	})
}
