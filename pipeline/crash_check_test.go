package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// read folds the journal as it stands, nil if there is none that holds a batch.
func (w *world) read() (*batch.Batch, *Report) {
	data, found := w.disk.Bytes(journalName)
	core := batch.New(batch.Settings{}, nil)
	head, _, err := journal.Replay(bytes.NewReader(data), replayInto(core))
	if err != nil {
		w.t.Errorf("the journal: %v", err)
	}
	if !found || core.Begin() == nil {
		return core, nil
	}
	r, err := newReport(core, head, "batch")
	if err != nil {
		w.t.Errorf("the report: %v", err)
	}
	return core, r
}

// wantTrueBill checks that what the report says was billed, and what it says may
// have been, have the provider's own count between them. It holds at every instant.
func (w *world) wantTrueBill(where string, r *Report) {
	meter := w.provider.Meter()
	if meter.MaxLivePerPair > 1 {
		w.t.Errorf("%s: a pair has %d live tasks", where, meter.MaxLivePerPair)
	}
	if r == nil || len(r.Jobs) == 0 {
		if meter.Creates > 0 {
			w.t.Errorf("%s: %d tasks were created, and nothing tells of them", where, meter.Creates)
		}
		return
	}
	truth := decimal.RequireFromString(meter.BilledSeconds).Mul(r.Jobs[0].UnitPrice)
	if r.Totals.Billed.GreaterThan(truth) || r.Totals.BilledMax.LessThan(truth) {
		w.t.Errorf("%s: the report bills %s to %s, the provider bills %s", where, r.Totals.Billed, r.Totals.BilledMax, truth)
	}
}

// artifacts returns the files that stand under a final name.
func (w *world) artifacts() map[string][]byte {
	files := map[string][]byte{}
	for _, name := range w.disk.Names() {
		if strings.HasPrefix(name, videosName+"/") && !strings.HasSuffix(name, ".part") {
			files[name], _ = w.disk.Bytes(name)
		}
	}
	return files
}

// wantTidy checks that nothing lies on the disk but the journal and whole files.
func (w *world) wantTidy() {
	if n := len(w.disk.Names()); n != 1+len(w.artifacts()) {
		w.t.Errorf("left behind: %v", w.disk.Names())
	}
}

// wantArtifacts checks that each file is the whole object of its job's task, and
// that each job that is done has its file.
func (w *world) wantArtifacts(where string, r *Report, files map[string][]byte) {
	known := 0
	for _, job := range r.Jobs {
		name := videosName + "/" + job.ID + ".mp4"
		data, found := files[name]
		if !found || job.TaskID == nil {
			continue
		}
		known++
		if truth := w.object(*job.TaskID); truth != nil && !bytes.Equal(data, truth) {
			w.t.Errorf("%s: %s has %d bytes and is not the result of %d bytes", where, name, len(data), len(truth))
		}
		if job.File != nil && job.File.SHA256 != fmt.Sprintf("%x", sha256.Sum256(data)) {
			w.t.Errorf("%s: %s is not what the report says", where, name)
		}
	}
	if known != len(files) {
		w.t.Errorf("%s: %d files, but %d of jobs with a task", where, len(files), known)
	}
}

// wantKept checks that what the report says lies in the bucket lies there, whole, and
// that nothing was sent there twice.
func (w *world) wantKept(where string, r *Report) {
	if r == nil {
		return
	}
	for name, n := range w.bucket.puts {
		if n > 1 {
			w.t.Errorf("%s: %s was put into the bucket %d times", where, name, n)
		}
	}
	for _, job := range r.Jobs {
		if job.File == nil || job.File.URL == nil {
			continue
		}
		if sum := w.bucket.sum(*job.File.URL); sum != job.File.SHA256 {
			w.t.Errorf("%s: %s is done, and the bucket holds %q at %s", where, job.ID, sum, *job.File.URL)
		}
	}
}

// object asks the provider for a result, nil if it is not kept any more.
func (w *world) object(task string) []byte {
	get := func(url, key string) []byte {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		rec := httptest.NewRecorder()
		w.provider.ServeHTTP(rec, r)
		return rec.Body.Bytes()
	}
	var answer struct {
		Output struct {
			Results struct {
				URL string `json:"video_url"`
			} `json:"results"`
		} `json:"output"`
	}
	if err := json.Unmarshal(get(worldEndpoint+"/api/v1/tasks/"+task, "sk-world"), &answer); err != nil || answer.Output.Results.URL == "" {
		w.t.Errorf("the provider has no result of %s: %v", task, err)
		return nil
	}
	result := get(answer.Output.Results.URL, "")
	if bytes.Contains(result, []byte("<Message>Request has expired.</Message>")) {
		return nil
	}
	return result
}

// canonical is a report without what a crash may change: times, ids, attempts, and
// what differs between two tasks for one job.
func canonical(r *Report) string {
	if r == nil {
		return "no batch"
	}
	var b strings.Builder
	t := r.Totals
	fmt.Fprintf(&b, "complete %v, %d jobs: %d done, %d failed, %d quarantined, %d lost, %d pending; %s s, %s to %s\n",
		r.Complete, t.Jobs, t.Done, t.Failed, t.Quarantined, t.Lost, t.Pending, t.BilledSeconds, t.Billed, t.BilledMax)
	for _, j := range r.Jobs {
		fmt.Fprintf(&b, "%s %s", j.ID, j.State)
		if j.Error != nil {
			fmt.Fprintf(&b, " %s", j.Error.Code)
		}
		if j.Usage != nil {
			fmt.Fprintf(&b, " usage %s %s", j.Usage.VideoDuration, j.Usage.VideoRatio)
		}
		if j.File != nil {
			fmt.Fprintf(&b, " file of %s s", j.File.Duration)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
