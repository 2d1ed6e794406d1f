package pipeline

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A mute bucket takes requests and answers none of them from one time until another.
type mute struct {
	under       http.RoundTripper
	from, until time.Time
	also        func(*http.Request) bool // which requests; nil: all
}

func (m *mute) RoundTrip(r *http.Request) (*http.Response, error) {
	now := time.Now()
	if now.Before(m.from) || now.After(m.until) || m.also != nil && !m.also(r) {
		return m.under.RoundTrip(r)
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// A bucket that takes requests and never answers holds up no download: each result is
// on disk soon after its task has ended, long before it dies at the provider.
func TestMuteBucketStarvesNoDownload(t *testing.T) {
	const hours = 30 * time.Hour
	p := bucketPlan(t, 20)
	p.Manifest.Limits.Running, p.Manifest.Limits.QueueAhead = 4, 8
	isPut := func(r *http.Request) bool { return r.Method == http.MethodPut }
	for name, also := range map[string]func(*http.Request) bool{"everything": nil, "puts": isPut} {
		for _, fetches := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s, %d fetches", name, fetches), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newcomer(t, newBucket())
					w.toBucket = &mute{toBucket{w}, time.Now().Add(time.Second), time.Now().Add(hours), also}
					drain := make(chan struct{})
					w.edit = func(c *Config) { c.Stop, c.Fetches = drain, fetches }
					stop := time.AfterFunc(3*time.Hour, func() { close(drain) })
					defer stop.Stop()
					if err := w.run(p); !errors.Is(err, ErrInterrupted) {
						t.Fatalf("while the bucket is mute: %v", err)
					}
					_, report := w.read()
					var waiting []string
					for _, job := range report.Jobs {
						if job.TaskID != nil && w.artifacts()[videosName+"/"+job.ID+".mp4"] == nil {
							waiting = append(waiting, job.ID)
						}
					}
					if len(waiting) > 0 || w.made() < 8 {
						t.Errorf("after 3 h %d of %d results are not on disk: %s", len(waiting), w.made(), strings.Join(waiting, " "))
					}
					time.Sleep(hours)
					w.edit = nil
					if err := w.run(p); err != nil {
						t.Errorf("when it speaks again: %v", err)
					}
					if _, report := w.read(); report.Totals.Done != 20 || report.Totals.Lost != 0 {
						t.Errorf("%+v", report.Totals)
					}
					w.wantKept("at the end", report)
				})
			})
		}
	}
}
