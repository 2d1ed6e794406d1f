package pipeline_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// A key is revoked while a create is in doubt: nobody but a person can settle that if the
// key does not come back, and is told so.
func TestKeyRevokedInDoubt(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	var revoked atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if revoked.Load() {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"1"}`))
			return
		}
		if strings.HasSuffix(req.URL.Path, "/video-synthesis") {
			revoked.Store(true)
		}
		r.provider.ServeHTTP(w, req)
	}))
	defer server.Close()
	report, err := r.try(t.Context(), r.plan(1, "true"), func(c *pipeline.Config) { c.Endpoint = server.URL })
	const want = "the create of job job-000 is in doubt, and only this key's lists can settle it; if the key is gone, wanbatch resolve settles it by hand from an hour after that create on"
	if !errors.Is(err, pipeline.ErrAccount) || !strings.Contains(err.Error(), want) {
		t.Errorf("ended with %v", err)
	}
	if report.Stopped == nil || report.Stopped.Reason != "key" || !strings.Contains(report.Stopped.Message, want) {
		t.Errorf("the report says %+v", report.Stopped)
	}
}

// A folder is made where a video belongs, after the run has looked: that is said, and not
// that space is missing.
func TestFolderInTheWay(t *testing.T) {
	r := newRig(t, 3000, emulator.Options{})
	inTheWay := filepath.Join(r.folder(), "videos", "job-000.mp4")
	plan := r.plan(1, "true")
	_, err := r.try(t.Context(), plan, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			r.events = append(r.events, e)
			if e.Kind == "intended" {
				if err := os.MkdirAll(inTheWay, 0o755); err != nil {
					t.Error(err)
				}
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), inTheWay+" is a folder, where the video of job job-000 belongs; move what is there away and run again") {
		t.Errorf("ended with %v\n%s", err, r.trail())
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	r.settled(r.run(plan), 1)
}
