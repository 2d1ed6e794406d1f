package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// listed returns the ids of a list's rows.
func (r *rig) listed(query string) []string {
	r.t.Helper()
	rows, ok := field(r.t, r.call("GET", "/api/v1/tasks/?"+query, ""), "data").([]any)
	if !ok {
		r.t.Fatalf("list ?%s: no data", query)
	}
	ids := []string{}
	for _, row := range rows {
		ids = append(ids, row.(map[string]any)["task_id"].(string))
	}
	return ids
}

func TestListRows(t *testing.T) {
	virtually(t, emulator.Options{Region: "ap-southeast-1"}, func(t *testing.T, r *rig) {
		created := r.post(r.order("wan-std"))
		first := text(t, created, "output", "task_id")
		time.Sleep(500 * time.Millisecond)
		second := r.create()
		time.Sleep(2 * time.Minute)

		common := `"model_name":"wan2.2-animate-move","region":"ap-southeast-1","api_key_id":"1500000",
			"caller_parent_id":"1000000000000000","caller_uid":"1000000000000000",
			"user_api_unique_key":"apikey:v1:aigc:image2video:video-synthesis:wan2.2-animate-move"`
		wantJSON(t, r.call("GET", "/api/v1/tasks/", ""), `{"request_id":"*","total":2,"total_page":1,"page_no":1,"page_size":10,"data":[
			{"task_id":"`+second+`","request_id":"*","status":"RUNNING","gmt_create":946684800500,"start_time":946684920000,`+common+`},
			{"task_id":"`+first+`","request_id":"`+text(t, created, "request_id")+`","status":"SUCCEEDED",
			 "gmt_create":946684800000,"start_time":946684801000,"end_time":946684920000,`+common+`}]}`)
	})
}

func TestListFilters(t *testing.T) {
	virtually(t, emulator.Options{QueriesPerSecond: -1}, func(t *testing.T, r *rig) {
		done := r.create() // 08:00:00
		time.Sleep(time.Hour)
		running := r.create() // 09:00:00
		mix := text(t, r.post(strings.Replace(r.order("wan-std"), "animate-move", "animate-mix", 1)), "output", "task_id")
		time.Sleep(time.Minute)
		r.key = "sk-two"
		other := r.create() // 09:01:00

		tests := []struct {
			query string
			want  []string
		}{
			{"", []string{other, mix, running, done}},
			{"task_id=" + mix, []string{mix}},
			{"model_name=wan2.2-animate-move", []string{other, running, done}},
			{"status=SUCCEEDED", []string{done}},
			{"status=RUNNING", []string{mix, running}},
			{"status=UNKNOWN", []string{}},
			{"api_key_id=1500001", []string{other}},
			{"region=cn-beijing", []string{other, mix, running, done}},
			{"region=ap-southeast-1", []string{}},
			{"start_time=20000101090000", []string{other, mix, running}},
			{"end_time=20000101090000", []string{mix, running, done}},
			{"start_time=20000101080001&end_time=20000101085959", []string{}},
			{"start_time=20000101080000&end_time=20000101080000", []string{done}},
		}
		for _, tt := range tests {
			if diff := cmp.Diff(tt.want, r.listed(tt.query)); diff != "" {
				t.Errorf("?%s (-want +got):\n%s", tt.query, diff)
			}
		}
		for _, query := range []string{"page_no=0", "page_size=x", "status=DONE", "start_time=2000-01-01",
			"start_time=20000101000000&end_time=20000102000001", "start_time=20000101000001&end_time=20000101000000"} {
			wantRefusal(t, r.call("GET", "/tasks?"+query, ""), 400, "InvalidParameter")
		}
		time.Sleep(23 * time.Hour)
		if diff := cmp.Diff([]string{other, mix, running}, r.listed("")); diff != "" {
			t.Errorf("24 h after the first create (-want +got):\n%s", diff)
		}
	})
}

func TestListPages(t *testing.T) {
	virtually(t, emulator.Options{CreatesPerSecond: -1, QueriesPerSecond: -1, PageSizeMax: 20}, func(t *testing.T, r *rig) {
		var want []string
		for range 25 {
			want = append([]string{r.create()}, want...)
			time.Sleep(time.Millisecond)
		}
		got := append(append(r.listed(""), r.listed("page_no=2")...), r.listed("page_no=3")...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("three pages of ten (-want +got):\n%s", diff)
		}
		if n := len(r.listed("page_no=4")); n != 0 {
			t.Errorf("a page past the end has %d rows", n)
		}
		capped := r.call("GET", "/tasks?page_size=1000", "")
		for name, want := range map[string]float64{"total": 25, "total_page": 2, "page_size": 20, "page_no": 1} {
			if got := field(t, capped, name); got != want {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
		}
	})
}

func TestListLag(t *testing.T) {
	virtually(t, emulator.Options{ListLag: 30 * time.Second}, func(t *testing.T, r *rig) {
		id := r.create()
		time.Sleep(30*time.Second - time.Millisecond)
		if got := r.listed(""); len(got) != 0 {
			t.Errorf("within the lag: %v", got)
		}
		if got := r.status(id); got != "RUNNING" {
			t.Errorf("a query lags too: %s", got)
		}
		time.Sleep(time.Millisecond)
		if got := fmt.Sprint(r.listed("")); got != "["+id+"]" {
			t.Errorf("after the lag: %v", got)
		}
	})
}
