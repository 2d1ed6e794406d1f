package pipeline_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/pipeline"
)

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "videos/whole.mp4", "12345")
	write(t, dir, "videos/cut.mp4", "123")
	write(t, dir, "videos/empty.mp4", "")
	if err := os.Symlink("whole.mp4", filepath.Join(dir, "videos/link.mp4")); err != nil {
		t.Fatal(err)
	}
	submitted := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	task, bucket, origin := "t-1", "s3://bucket/x.mp4", "spring/x at https://a"
	job := func(id string, edit func(*pipeline.Result)) pipeline.Result {
		r := pipeline.Result{ID: id, State: "done", TaskID: &task, SubmittedAt: &submitted, File: &pipeline.File{Path: "videos/" + id + ".mp4", Bytes: 5}}
		if edit != nil {
			edit(&r)
		}
		return r
	}
	r := pipeline.Report{Jobs: []pipeline.Result{
		job("whole", nil), job("cut", nil), job("empty", nil), job("link", nil), job("gone", nil),
		job("pending", func(r *pipeline.Result) { r.State, r.File = "pending", nil }),
		job("again", func(r *pipeline.Result) { r.State = "pending" }),
		job("kept", func(r *pipeline.Result) { r.File.URL, r.File.Path = &bucket, "" }),
		job("beside", func(r *pipeline.Result) { r.File.URL = &bucket }),
		job("reused", func(r *pipeline.Result) { r.ReusedFrom, r.TaskID = &origin, nil }),
		job("outside", func(r *pipeline.Result) { r.File.Path = "../" + filepath.Base(dir) + "/videos/whole.mp4" }),
	}}
	want := func(id, what string) pipeline.Missing {
		return pipeline.Missing{Job: id, Path: "videos/" + id + ".mp4", What: what, TaskID: task, Until: submitted.Add(24 * time.Hour)}
	}
	beside, reused := want("beside", "is missing"), pipeline.Missing{Job: "reused", Path: "videos/reused.mp4", What: "is missing", CopyOf: origin}
	beside.URL = bucket
	got := r.Missing(dir, submitted.Add(24*time.Hour-1))
	outside := got[len(got)-1]
	if d := cmp.Diff([]pipeline.Missing{want("cut", "has 3 bytes, not 5"), want("empty", "is empty"), want("link", "is no regular file"),
		want("gone", "is missing"), beside, reused}, got[:len(got)-1]); d != "" || outside.Job != "outside" {
		t.Errorf("missing (-want +got):\n%s%+v", d, outside)
	}
	if late := r.Missing(dir, submitted.Add(24*time.Hour)); late[0].TaskID != "" || !late[0].Until.IsZero() {
		t.Errorf("a day later %+v", late[0])
	}
}
