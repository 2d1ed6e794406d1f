package pipeline_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// Lists that are answered and show nothing, whatever there is (a filter, a permission,
// an index that is down), prove nothing about a create whose answer was lost.
func TestListsThatShowNothing(t *testing.T) {
	for _, exclusive := range []string{"false", "true"} {
		t.Run(exclusive, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{}, "lost-reply:2")
			blind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodGet && strings.TrimSuffix(req.URL.Path, "/") == "/api/v1/tasks" {
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, `{"request_id":"x","total":0,"total_page":0,"page_no":1,"page_size":100,"data":[]}`)
					return
				}
				r.provider.ServeHTTP(w, req)
			}))
			defer blind.Close()
			report := r.run(r.plan(3, exclusive, func(m *pipeline.Manifest) { m.Limits.TaskLife = time.Hour }),
				func(c *pipeline.Config) { c.Endpoint = blind.URL })
			m := r.provider.Meter()
			if m.MaxLivePerPair > 1 || report.Totals.Quarantined != 1 {
				t.Errorf("a pair has %d live tasks, %d quarantined\n%s", m.MaxLivePerPair, report.Totals.Quarantined, r.trail())
			}
			told := false
			for _, e := range r.events {
				told = told || e.Kind == "trouble" && strings.Contains(e.Message, "misses one of this batch")
			}
			if !told {
				t.Error("nobody was told that the lists are blind")
			}
		})
	}
}
