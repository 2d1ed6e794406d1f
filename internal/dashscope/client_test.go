package dashscope_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"github.com/wanbatch/wanbatch/internal/dashscope"
)

func TestCreateSendsTheDocumentedRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, golden(t, "created.json"))
	})
	created, err := c.Create(t.Context(), pair)
	if err != nil {
		t.Fatal(err)
	}
	want := dashscope.Created{TaskID: goodID, RequestID: "c0ffee00-1a2b-9c3d-8e4f-aabbccddeeff", Status: "PENDING"}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	if got.Method != "POST" || got.URL.String() != "/api/v1/services/aigc/image2video/video-synthesis" {
		t.Errorf("sent %s %s", got.Method, got.URL)
	}
	wantHeader := http.Header{
		"Authorization": {"Bearer " + canary}, "Content-Type": {"application/json"}, "X-Dashscope-Async": {"enable"},
		"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"wanbatch"},
		"Content-Length": got.Header["Content-Length"], "Connection": {"close"},
	}
	if diff := cmp.Diff(wantHeader, got.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	var wantBody, gotBody any
	if err := json.Unmarshal([]byte(golden(t, "create-request.json")), &wantBody); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &gotBody); err != nil {
		t.Fatalf("body %q: %v", body, err)
	}
	if diff := cmp.Diff(wantBody, gotBody); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestCreateOptions(t *testing.T) {
	var header http.Header
	var body []byte
	srv := recording(t, &header, &body, golden(t, "created.json"))
	c := newClient(t, dashscope.Config{BaseURL: srv + "/api/v1/", UserAgent: "wanbatch/1.2"})
	r := pair
	r.ImageURL, r.VideoURL = "oss://dashscope-instant/a&b.png", "https://h/v.mp4?x=1&y=2"
	r.Watermark, r.CheckImage = true, false
	if _, err := c.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-DashScope-OssResourceResolve": "enable", "User-Agent": "wanbatch/1.2",
	} {
		if header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, header.Get(name), want)
		}
	}
	for _, want := range []string{`"watermark":true`, `"check_image":false`, `y=2`, `oss://dashscope-instant/a&b.png`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("body lacks %s: %s", want, body)
		}
	}
}

func TestQueryReadsEveryState(t *testing.T) {
	submitted := time.Date(2026, 5, 4, 2, 0, 0, 120e6, time.UTC)
	scheduled := time.Date(2026, 5, 4, 2, 0, 14, 902e6, time.UTC)
	tests := []struct {
		file string
		want dashscope.Task
	}{
		{"pending.json", dashscope.Task{ID: goodID, RequestID: "11111111-2222-9333-8444-555555555555", Status: "PENDING", Submitted: submitted}},
		{"running.json", dashscope.Task{ID: goodID, RequestID: "11111111-2222-9333-8444-666666666666", Status: "RUNNING", Submitted: submitted, Scheduled: scheduled}},
		{"succeeded.json", dashscope.Task{
			ID: goodID, RequestID: "11111111-2222-9333-8444-777777777777", Status: "SUCCEEDED", Submitted: submitted, Scheduled: scheduled,
			Ended:    time.Date(2026, 5, 4, 2, 2, 21, 333e6, time.UTC),
			VideoURL: "http://dashscope-result-bj.oss-cn-beijing.aliyuncs.com/1d/aa/20260504/0a1b2c3d/clip.mp4?Expires=1777946539&OSSAccessKeyId=EXAMPLE&Signature=EXAMPLE%3D",
			Usage:    &dashscope.Usage{Duration: known("5.2"), Ratio: "standard"},
		}},
		{"failed.json", dashscope.Task{
			ID: goodID, RequestID: "11111111-2222-9333-8444-888888888888", Status: "FAILED", Submitted: submitted,
			Scheduled: time.Date(2026, 5, 4, 2, 0, 1, 10e6, time.UTC), Ended: time.Date(2026, 5, 4, 2, 0, 4, 400e6, time.UTC),
			Code: "InvalidVideo.NoHuman", Message: "The input video has no human body.",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			var path string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				path = r.Method + " " + r.URL.String()
				if r.Header.Get("X-DashScope-Async") != "" {
					t.Error("async header on a query")
				}
				io.WriteString(w, golden(t, tt.file))
			})
			got, err := c.Query(t.Context(), goodID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if path != "GET /api/v1/tasks/"+goodID {
				t.Errorf("sent %s", path)
			}
		})
	}
}

func TestQueryIsTolerant(t *testing.T) {
	tests := []struct {
		name, body string
		check      func(dashscope.Task) bool
	}{
		{"url under results.url", `{"output":{"task_status":"SUCCEEDED","results":{"url":"http://a/1"}}}`, hasURL("http://a/1")},
		{"video_url before url", `{"output":{"task_status":"SUCCEEDED","results":{"url":"http://a/2","video_url":"http://a/1"}}}`, hasURL("http://a/1")},
		{"list of results", `{"output":{"task_status":"SUCCEEDED","results":[{"video_url":"http://a/1"},{"video_url":"http://a/2"}]}}`, hasURL("http://a/1")},
		{"list of urls", `{"output":{"task_status":"SUCCEEDED","results":[{"url":"http://a/1"}]}}`, hasURL("http://a/1")},
		{"flat url", `{"output":{"task_status":"SUCCEEDED","video_url":"http://a/1"}}`, hasURL("http://a/1")},
		{"results before flat", `{"output":{"task_status":"SUCCEEDED","video_url":"http://a/2","results":{"video_url":"http://a/1"}}}`, hasURL("http://a/1")},
		{"no url", `{"output":{"task_status":"SUCCEEDED","results":[]}}`, hasURL("")},
		{"odd types", `{"request_id":7,"output":{"task_status":"RUNNING","submit_time":{},"end_time":12,"code":null},"usage":[]}`,
			func(t dashscope.Task) bool { return t.Usage == nil && t.Ended.IsZero() && t.RequestID == "7" }},
		{"new status word", `{"output":{"task_status":"SUSPENDED"}}`, func(t dashscope.Task) bool { return t.Status == "SUSPENDED" }},
		{"failed without a code", `{"output":{"task_status":"FAILED"}}`, func(t dashscope.Task) bool { return t.Status == "FAILED" && t.Code == "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := answering(t, canned{status: 200, body: tt.body}).Query(t.Context(), goodID)
			if err != nil {
				t.Fatal(err)
			}
			if !tt.check(got) {
				t.Errorf("got %+v, url %q, usage %v", got, got.VideoURL, got.Usage)
			}
		})
	}
}

func TestQueryRefusesWhatIsNoAnswer(t *testing.T) {
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `{"output":null}`, `{"output":{}}`, `{"output":{"task_status":""}}`, `<html>`,
		`{"output":{"task_status":"SUCCEEDED"`, `{"output":{"task_id":"another-task","task_status":"SUCCEEDED"}}`,
		`{"code":"InternalError","message":"x"}`,
	} {
		got, err := answering(t, canned{status: 200, body: body}).Query(t.Context(), goodID)
		var e *dashscope.Error
		if !errors.As(err, &e) || e.MayHaveExecuted() || e.Class() != dashscope.ClassRetry {
			t.Errorf("%s: got %v, %v", body, got, err)
		}
	}
}

func TestUsageIsExactOrUnknown(t *testing.T) {
	tests := []struct{ json, want string }{ // want "" is unknown
		{`5.2`, "5.2"}, {`4`, "4"}, {`"5.20"`, "5.2"}, {`" 4 "`, "4"}, {`52e-1`, "5.2"}, {`5.2E0`, "5.2"},
		{`0.30000000000000004`, "0.30000000000000004"}, {`1000000`, "1000000"},
		{`1000000.1`, ""}, {`0`, ""}, {`0.0`, ""}, {`-0`, ""}, {`-5.2`, ""}, {`"-5"`, ""}, {`1e308`, ""}, {`1e-400`, ""},
		{`1e99999999999`, ""}, {`"NaN"`, ""}, {`"Inf"`, ""}, {`"5.2s"`, ""}, {`""`, ""}, {`null`, ""}, {`true`, ""}, {`{}`, ""},
		{`0.` + strings.Repeat("0", 500000) + `1`, ""}, {`"` + strings.Repeat("9", 500000) + `"`, ""}, {`"1e-2147483648"`, ""},
	}
	for _, tt := range tests {
		body := `{"output":{"task_status":"SUCCEEDED"},"usage":{"video_duration":` + tt.json + `,"video_ratio":"pro"}}`
		task, err := answering(t, canned{status: 200, body: body}).Query(t.Context(), goodID)
		if err != nil {
			t.Fatalf("%.40s: %v", tt.json, err)
		}
		want := dashscope.Usage{Ratio: "pro"}
		if tt.want != "" {
			want.Duration = known(tt.want)
		}
		if task.Usage == nil || task.Usage.Ratio != "pro" || task.Usage.Duration.Valid != want.Duration.Valid || !task.Usage.Duration.Decimal.Equal(want.Duration.Decimal) {
			t.Errorf("%.40s: got %v, want %v", tt.json, task.Usage, want)
		}
	}
}

func TestListReadsTheDocumentedPage(t *testing.T) {
	var sent string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent = r.Method + " " + r.URL.String()
		io.WriteString(w, golden(t, "list.json"))
	})
	got, err := c.List(t.Context(), dashscope.ListRequest{Model: "wan2.2-animate-move", Status: "RUNNING", Page: 1, PageSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(got.Clock); age < -time.Minute || age > time.Minute {
		t.Errorf("the clock of the answer is %v", got.Clock)
	}
	got.Clock = time.Time{}
	want := dashscope.Page{Total: 2, TotalPage: 1, PageNo: 1, PageSize: 10, Rows: []dashscope.Row{
		{
			TaskID: goodID, RequestID: "c0ffee00-1a2b-9c3d-8e4f-aabbccddeeff", Status: "SUCCEEDED", APIKeyID: "1500000",
			Model: "wan2.2-animate-move", Created: time.UnixMilli(1777860000120).UTC(),
			Started: time.UnixMilli(1777860014902).UTC(), Ended: time.UnixMilli(1777860141333).UTC(),
		},
		{
			TaskID: "7d9e8f00-1111-4222-8333-444455556666", RequestID: "deadbeef-0000-9111-8222-333344445555", Status: "RUNNING", APIKeyID: "1500000",
			Model: "wan2.2-animate-move", Created: time.UnixMilli(1777860001000).UTC(), Started: time.UnixMilli(1777860142000).UTC(),
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sent != "GET /api/v1/tasks/?model_name=wan2.2-animate-move&page_no=1&page_size=10&status=RUNNING" {
		t.Errorf("sent %s", sent)
	}
}

func TestListDefaults(t *testing.T) {
	var sent string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		sent = r.URL.RawQuery
		io.WriteString(w, `{"total":0,"data":[]}`)
	})
	if _, err := c.List(t.Context(), dashscope.ListRequest{}); err != nil {
		t.Fatal(err)
	}
	if sent != "page_no=1" {
		t.Errorf("sent %q", sent)
	}
}

// An empty list is evidence that a task does not exist, so nothing else may
// pass for one.
func TestListIsNeverEmptyByMistake(t *testing.T) {
	tests := []struct {
		body string
		ok   bool
	}{
		{`{"total":0,"total_page":0,"page_no":1,"page_size":10,"data":[]}`, true},
		{`{"total":0,"data":null}`, true},
		{`{"total":0}`, true},
		{`{"total":"1","data":[{"task_id":"a","gmt_create":"1777860000120"}]}`, true},
		{`{}`, false}, {``, false}, {`null`, false}, {`[]`, false}, {`{"data":{}}`, false}, {`{"data":null}`, false},
		{`{"total":3}`, false}, {`<html>ok</html>`, false}, {`{"total":2,"data":[{"task_id":"a"}`, false},
		{`{"total":1,"data":[{}]}`, false}, {`{"total":1,"data":[null]}`, false}, {`{"total":1,"data":[{"task_id":"../x"}]}`, false},
		{`{"total":1,"data":[7]}`, false}, {`{"code":"Throttling","total":0,"data":[]}`, false},
		{`{"total":1,"page_no":1,"data":[]}`, false},
	}
	for _, tt := range tests {
		page, err := answering(t, canned{status: 200, body: tt.body}).List(t.Context(), dashscope.ListRequest{})
		if (err == nil) != tt.ok {
			t.Errorf("%s: got %v, %v", tt.body, page, err)
		}
	}
	// Past the last page there is nothing to show.
	if _, err := answering(t, canned{status: 200, body: `{"total":1,"page_no":2,"data":[]}`}).List(t.Context(), dashscope.ListRequest{Page: 2}); err != nil {
		t.Error(err)
	}
}

func TestCancel(t *testing.T) {
	tests := []struct {
		name          string
		status        int
		body          string
		ok, late, may bool
	}{
		{"confirmed", 200, `{"request_id": "r-1"}`, true, false, false},
		{"too late", 400, `{"code":"UnsupportedOperation","message":"Failed to cancel the task, please confirm if the task is in PENDING status.","request_id":"r"}`, false, true, false},
		{"throttled", 429, `{"code":"Throttling.RateQuota","message":"m"}`, false, false, false},
		{"page of a proxy", 200, `<html>welcome</html>`, false, false, true},
		{"empty object", 200, `{}`, false, false, true},
		{"error in a 200", 200, `{"request_id":"r","code":"UnsupportedOperation"}`, false, false, true},
		{"server error", 502, `bad gateway`, false, false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sent string
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				sent = r.Method + " " + r.URL.Path + r.Header.Get("X-DashScope-Async") + r.Header.Get("Content-Type")
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			err := c.Cancel(t.Context(), goodID)
			if (err == nil) != tt.ok || errors.Is(err, dashscope.ErrTooLate) != tt.late {
				t.Errorf("got %v", err)
			}
			var e *dashscope.Error
			if errors.As(err, &e) && e.MayHaveExecuted() != tt.may {
				t.Errorf("may have executed: %v", e.MayHaveExecuted())
			}
			if sent != "POST /api/v1/tasks/"+goodID+"/cancel" {
				t.Errorf("sent %s", sent)
			}
		})
	}
}

func TestBadTaskIDsAreNotSent(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("sent %s", r.URL) })
	for _, id := range []string{"", "../x", "a/b", "a?b", "a b", "ä", "a\r\nX: y", strings.Repeat("a", 65)} {
		_, err := c.Query(t.Context(), id)
		if cerr := c.Cancel(t.Context(), id); err == nil || cerr == nil {
			t.Errorf("%q: accepted", id)
		} else if e := new(dashscope.Error); !errors.As(cerr, &e) || e.MayHaveExecuted() {
			t.Errorf("%q: may have executed: %v", id, cerr)
		}
	}
}

func TestErrorAnswers(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   dashscope.Error // the exported fields
		class  dashscope.Class
		may    bool
	}{
		{"flat", 401, golden(t, "error-401.json"), dashscope.Error{Code: "InvalidApiKey", Message: "Invalid API-key provided.", RequestID: "0d15ea5e-7777-9888-a999-bbbbccccdddd"}, dashscope.ClassKey, false},
		{"compatible mode", 429, `{"error":{"code":"limit_requests","message":"slow","type":"t","param":null}}`, dashscope.Error{Code: "limit_requests", Message: "slow"}, dashscope.ClassThrottle, false},
		{"code as a number", 400, `{"code":17,"message":"m"}`, dashscope.Error{Code: "17", Message: "m"}, dashscope.ClassInput, false},
		{"html", 400, "<html>\n<b>400</b>\x1b[31m</html>", dashscope.Error{Message: "<html> <b>400</b>\uFFFD[31m</html>"}, dashscope.ClassInput, true},
		{"no code", 403, `{"message":"go away"}`, dashscope.Error{Message: "go away"}, dashscope.ClassAccount, true},
		{"cut JSON", 400, `{"code":"InvalidParameter"`, dashscope.Error{Message: `{"code":"InvalidParameter"`}, dashscope.ClassInput, true},
		{"JSON and more", 400, `{"code":"InvalidParameter"}{}`, dashscope.Error{Message: `{"code":"InvalidParameter"}{}`}, dashscope.ClassInput, true},
		{"refusal with a task", 400, `{"code":"X","output":{"task_id":"t"}}`, dashscope.Error{Message: `{"code":"X","output":{"task_id":"t"}}`}, dashscope.ClassInput, true},
		{"gateway timeout as 408", 408, `{"code":"Timeout","message":"m"}`, dashscope.Error{Code: "Timeout", Message: "m"}, dashscope.ClassRetry, true},
		{"timeout code in a 400", 400, `{"code":"RequestTimeOut","message":"m"}`, dashscope.Error{Code: "RequestTimeOut", Message: "m"}, dashscope.ClassRetry, true},
		{"5xx with a code", 500, `{"code":"InternalError","message":"m"}`, dashscope.Error{Code: "InternalError", Message: "m"}, dashscope.ClassRetry, true},
		{"bare 503", 503, ``, dashscope.Error{}, dashscope.ClassRetry, true},
		{"empty 401", 401, ``, dashscope.Error{}, dashscope.ClassKey, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := answering(t, canned{status: tt.status, body: tt.body}).Create(t.Context(), pair)
			var e *dashscope.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			got := dashscope.Error{Code: e.Code, Message: e.Message, RequestID: e.RequestID}
			if got.Code != tt.want.Code || got.Message != tt.want.Message || got.RequestID != tt.want.RequestID {
				t.Errorf("got %q %q %q", got.Code, got.Message, got.RequestID)
			}
			if e.Op != "create" || e.Status != tt.status || e.Class() != tt.class || e.MayHaveExecuted() != tt.may {
				t.Errorf("op %s, status %d, class %s, may have executed %v", e.Op, e.Status, e.Class(), e.MayHaveExecuted())
			}
		})
	}
}

func TestRequestIDFromTheHeader(t *testing.T) {
	_, err := answering(t, canned{status: 502, header: http.Header{"X-Request-Id": {"r-17"}}, body: "<html>"}).Query(t.Context(), goodID)
	if err == nil || !strings.Contains(err.Error(), "(request r-17)") {
		t.Errorf("got %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := []struct {
			value string
			want  time.Duration
		}{
			{"", 0}, {"0", 0}, {"7", 7 * time.Second}, {" 7 ", 7 * time.Second}, {"600", 10 * time.Minute}, {"601", 10 * time.Minute},
			{"99999999999999999999999", 10 * time.Minute}, {"-5", 0}, {"1.5", 0}, {"soon", 0},
			{time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat), 90 * time.Second},
			{time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 0},
			{time.Now().Add(99 * time.Hour).UTC().Format(http.TimeFormat), 10 * time.Minute},
		}
		for _, tt := range tests {
			c := answering(t, canned{status: 429, header: http.Header{"Retry-After": {tt.value}}, body: `{"code":"Throttling"}`})
			_, err := c.List(t.Context(), dashscope.ListRequest{})
			var e *dashscope.Error
			if !errors.As(err, &e) || e.RetryAfter != tt.want {
				t.Errorf("%q: got %v, want %v", tt.value, e.RetryAfter, tt.want)
			}
		}
	})
}

func TestBodiesAreBounded(t *testing.T) {
	c := answering(t, canned{status: 200, body: `{"output":{"task_status":"RUNNING"}}` + strings.Repeat(" ", 1<<20)})
	if _, err := c.Query(t.Context(), goodID); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
	big := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Padding", strings.Repeat("x", 128<<10))
		io.WriteString(w, golden(t, "pending.json"))
	})
	if _, err := big.Query(t.Context(), goodID); err == nil {
		t.Error("a header of 128 KiB was read")
	}
}

func TestTimeoutsCoverTheWholeCall(t *testing.T) {
	stop := make(chan struct{})
	c := newClient(t, dashscope.Config{BaseURL: slow(t, stop), CreateTimeout: 50 * time.Millisecond, ReadTimeout: 50 * time.Millisecond})
	defer close(stop)
	_, err := c.Create(t.Context(), pair)
	var e *dashscope.Error
	if !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) || !e.MayHaveExecuted() {
		t.Errorf("create: got %v", err)
	}
	if _, err := c.Query(t.Context(), goodID); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("query: got %v", err)
	}
}

func TestDeadContextSendsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := answering(t, canned{status: 200, body: golden(t, "created.json")}).Create(ctx, pair)
	var e *dashscope.Error
	if !errors.As(err, &e) || e.Sent || e.MayHaveExecuted() || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	key := dashscope.NewSecret(canary)
	for _, tt := range []dashscope.Config{
		{BaseURL: "", Key: key}, {BaseURL: "dashscope.aliyuncs.com", Key: key}, {BaseURL: "http://dashscope.aliyuncs.com", Key: key},
		{BaseURL: "http://10.0.0.1", Key: key}, {BaseURL: "ftp://localhost", Key: key}, {BaseURL: "https://u:p@h", Key: key},
		{BaseURL: "https://h?x=1", Key: key}, {BaseURL: "https://h#x", Key: key}, {BaseURL: "https://h/api/v2", Key: key},
		{BaseURL: "https://:443", Key: key}, {BaseURL: "https://h"}, {BaseURL: "https://h", Key: dashscope.NewSecret("sk a")},
		{BaseURL: "https://h", Key: dashscope.NewSecret("sk-\x00")}, {BaseURL: "https://h", Key: dashscope.NewSecret("sk-ä")},
	} {
		if _, err := dashscope.New(tt); err == nil {
			t.Errorf("accepted %+v", tt)
		}
	}
	for _, base := range []string{
		"https://h", "https://h/", "https://h:8443/api/v1", "https://h/api/v1/", "http://127.0.0.1:80", "http://localhost:1/api/v1", "http://[::1]:1", "HTTPS://h",
	} {
		if _, err := dashscope.New(dashscope.Config{BaseURL: base, Key: key}); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestEndpointAndRegionOf(t *testing.T) {
	for _, region := range []string{dashscope.Beijing, dashscope.Singapore} {
		for _, ws := range []string{"", "ws-abc123"} {
			base, err := dashscope.Endpoint(region, ws)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(base)
			if err != nil || u.Scheme != "https" {
				t.Fatalf("%s: %v", base, err)
			}
			if got, ok := dashscope.RegionOf(u.Host); got != region || !ok {
				t.Errorf("RegionOf(%s) = %q, %v", u.Host, got, ok)
			}
		}
	}
	for _, bad := range [][2]string{{"tokyo", ""}, {"", ""}, {"beijing", "a.b"}, {"beijing", "evil.com/"}, {"singapore", "-x"}} {
		if got, err := dashscope.Endpoint(bad[0], bad[1]); err == nil {
			t.Errorf("Endpoint(%q) = %s", bad, got)
		}
	}
	tests := []struct {
		host, region string
		provider     bool
	}{
		{"dashscope.aliyuncs.com", "beijing", true}, {"DashScope.AliYunCS.com.:443", "beijing", true},
		{"dashscope-intl.aliyuncs.com", "singapore", true}, {"dashscope-us.aliyuncs.com", "us-east-1", true},
		{"ws-1.eu-central-1.maas.aliyuncs.com", "eu-central-1", true}, {"cn-hongkong.dashscope.aliyuncs.com", "cn-hongkong", true},
		{"ws-1.ap-southeast-1.maas.aliyuncs.com:443", "singapore", true},
		{"127.0.0.1:8080", "", false}, {"example.com", "", false}, {"dashscope.aliyuncs.com.evil.com", "", false},
		{"evildashscope.aliyuncs.com", "", false}, {"x.oss-cn-beijing.aliyuncs.com", "", false}, {"", "", false},
	}
	for _, tt := range tests {
		if region, ok := dashscope.RegionOf(tt.host); region != tt.region || ok != tt.provider {
			t.Errorf("RegionOf(%q) = %q, %v", tt.host, region, ok)
		}
	}
}

func known(s string) decimal.NullDecimal {
	return decimal.NullDecimal{Decimal: decimal.RequireFromString(s), Valid: true}
}

func hasURL(want string) func(dashscope.Task) bool {
	return func(t dashscope.Task) bool { return t.VideoURL == want }
}

// A time stamp that no record could hold is none.
func TestTimesThatNoRecordCanHold(t *testing.T) {
	for _, at := range []string{"0000-01-01 00:00:00", "0001-01-01 07:59:59", "10000-01-01 00:00:00", "soon"} {
		c := answering(t, canned{status: 200, body: `{"output":{"task_status":"RUNNING","submit_time":"` + at + `"}}`})
		task, err := c.Query(t.Context(), goodID)
		if err != nil || !task.Submitted.IsZero() {
			t.Errorf("%s: got %v, %v", at, task.Submitted, err)
		}
	}
}
