package emulator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

func mustFault(t *testing.T, text string) emulator.Fault {
	t.Helper()
	f, err := emulator.ParseFault(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFaultByNumberAndByDice(t *testing.T) {
	failures := func(t *testing.T, fault string, seed uint64) (pattern string) {
		opt := emulator.Options{Faults: []emulator.Fault{mustFault(t, fault)}, Seed: seed, QueriesPerSecond: -1}
		virtually(t, opt, func(t *testing.T, r *rig) {
			for range 400 {
				pattern += map[int]string{200: ".", 500: "x"}[r.query("any").status]
			}
		})
		return pattern
	}
	if got := failures(t, "query-500:3", 1); strings.Count(got, "x") != 1 || got[2] != 'x' {
		t.Errorf("query-500:3 struck %s", got[:20])
	}
	one := failures(t, "query-500:25%", 1)
	if n := strings.Count(one, "x"); n < 70 || n > 130 {
		t.Errorf("query-500:25%% struck %d of 400", n)
	}
	if one != failures(t, "query-500:25%", 1) || one == failures(t, "query-500:25%", 2) {
		t.Error("the dice should follow the seed, and nothing else")
	}
}

// A check shows what one fault does, on the wire and on the meter.
type check func(*testing.T, *rig)

// TestEveryFault runs each fault on its own, on the first occasion only unless the name says
// otherwise. A fault without a check fails the test.
func TestEveryFault(t *testing.T) {
	checks := map[string]check{}
	for _, group := range []map[string]check{createChecks, taskChecks, queryChecks, listChecks, resultChecks, uploadChecks} {
		for name, c := range group {
			checks[name] = c
		}
	}
	for _, name := range emulator.FaultNames() {
		t.Run(name.Name, func(t *testing.T) {
			c := checks[name.Name]
			if c == nil || name.About == "" {
				t.Fatal("a fault without a check, or without a word on what it does")
			}
			opt := emulator.Options{Faults: []emulator.Fault{mustFault(t, name.Name+":1")}}
			virtually(t, opt, c)
		})
	}
}

// wantCut checks a connection that closed without an answer.
func wantCut(t *testing.T, got reply) {
	t.Helper()
	if got.err == nil || got.status != 0 {
		t.Errorf("got %d %s, want a closed connection", got.status, got.body)
	}
}

// executed checks that a spoilt create made its one task, and that the next create is sound.
func executed(spoilt func(*testing.T, reply)) check {
	return func(t *testing.T, r *rig) {
		spoilt(t, r.post(r.order("wan-std")))
		if m := r.server.Meter(); m.Creates != 1 || m.MaxTasksPerPair() != 1 {
			t.Errorf("%d creates executed, want 1", m.Creates)
		}
		orphan := r.only().ID
		if got := text(t, r.finish(orphan), "output", "task_status"); got != "SUCCEEDED" {
			t.Errorf("the orphan is %s", got)
		}
		r.create()
		if m := r.server.Meter(); m.MaxTasksPerPair() != 2 || m.BilledSeconds != "5.2" {
			t.Errorf("sent again: %d tasks of the pair, billed %s", m.MaxTasksPerPair(), m.BilledSeconds)
		}
	}
}

// refused checks that a create was turned away and made nothing.
func refused(status int, code string) check {
	return func(t *testing.T, r *rig) {
		got := r.post(r.order("wan-std"))
		wantRefusal(t, got, status, code)
		if m := r.server.Meter(); m.Creates != 0 || len(m.Tasks) != 0 || m.OverLimit["create"] != 0 {
			t.Errorf("meter: %+v", m)
		}
		r.create()
	}
}

func wantStatus(status int, contentType string) func(*testing.T, reply) {
	return func(t *testing.T, got reply) {
		t.Helper()
		if got.err != nil || got.status != status || !strings.HasPrefix(got.header.Get("Content-Type"), contentType) {
			t.Errorf("got %d %v (%v), want %d %s", got.status, got.header, got.err, status, contentType)
		}
	}
}

var createChecks = map[string]check{
	"lost-reply": executed(wantCut),
	"create-500": executed(func(t *testing.T, got reply) { wantRefusal(t, got, 500, "InternalError") }),
	"create-502": executed(wantStatus(502, "text/html")),
	"create-504": executed(wantStatus(504, "text/html")),
	"truncated-reply": executed(func(t *testing.T, got reply) {
		if got.err != nil || got.status != 200 || !strings.HasPrefix(got.body, `{"request_id":`) || strings.HasSuffix(got.body, "}") {
			t.Errorf("got %d %q", got.status, got.body)
		}
	}),
	"wrong-content-type": executed(wantStatus(200, "text/html")),
	"bad-task-id": executed(func(t *testing.T, got reply) {
		if id := text(t, got, "output", "task_id"); id != "../cancel" {
			t.Errorf("task id %q", id)
		}
	}),
	"slow-reply": func(t *testing.T, r *rig) {
		r.client.Timeout = time.Hour
		before := time.Now()
		wantCut(t, r.post(r.order("wan-std")))
		if waited := time.Since(before); waited != time.Hour || r.server.Meter().Creates != 1 {
			t.Errorf("no answer for %v, %d creates", waited, r.server.Meter().Creates)
		}
	},
	"lost-request": func(t *testing.T, r *rig) {
		wantCut(t, r.post(r.order("wan-std")))
		time.Sleep(time.Hour)
		if m := r.server.Meter(); m.Creates != 0 {
			t.Errorf("%d creates executed", m.Creates)
		}
	},
	"late-create": func(t *testing.T, r *rig) {
		wantCut(t, r.post(r.order("wan-std")))
		if m := r.server.Meter(); m.Creates != 0 {
			t.Error("executed at once")
		}
		time.Sleep(5 * time.Second)
		got := r.query(r.only().ID)
		if at := text(t, got, "output", "submit_time"); at <= "2000-01-01 08:00:00.000" || at > "2000-01-01 08:00:05.000" {
			t.Errorf("submitted %s", at)
		}
		if got := text(t, r.finish(r.only().ID), "output", "task_status"); got != "SUCCEEDED" {
			t.Errorf("the late task is %s", got)
		}
	},
	"create-429": refused(429, "Throttling.RateQuota"),
	"create-429-retry-after": func(t *testing.T, r *rig) {
		if got := r.post(r.order("wan-std")); got.status != 429 || got.header.Get("Retry-After") != "7" {
			t.Errorf("got %d %v", got.status, got.header)
		}
	},
	"create-burst":  refused(429, "Throttling.BurstRate"),
	"create-quota":  refused(429, "Throttling.AllocationQuota"),
	"arrears":       refused(400, "Arrearage"),
	"not-purchased": refused(429, "CommodityNotPurchased"),
	"bad-key":       refused(401, "InvalidApiKey"),
	"model-denied":  refused(403, "Model.AccessDenied"),
	"date-skew": func(t *testing.T, r *rig) {
		if got := r.query("any").header.Get("Date"); got != "Fri, 31 Dec 1999 22:20:00 GMT" {
			t.Errorf("Date: %s", got)
		}
	},
	"drop-all": func(t *testing.T, r *rig) {
		wantCut(t, r.post(r.order("wan-std")))
		r.create()
		if m := r.server.Meter(); m.Creates != 1 {
			t.Errorf("%d creates executed", m.Creates)
		}
	},
	"foreign-task": func(t *testing.T, r *rig) {
		id := r.create()
		m := r.server.Meter()
		if len(m.Tasks) != 2 || !m.Tasks[0].Foreign || m.Tasks[1].Foreign || m.Creates != 1 {
			t.Fatalf("meter: %+v", m)
		}
		time.Sleep(time.Minute)
		if got := r.status(id) + " " + r.status(m.Tasks[0].ID); got != "PENDING RUNNING" {
			t.Errorf("own task and the stranger's: %s", got)
		}
		if n := len(r.listed("")); n != 2 {
			t.Errorf("%d tasks in the list, want 2", n)
		}
		r.finish(id)
		if m := r.server.Meter(); m.BilledSeconds != "5.2" || m.NeverFetched != 1 {
			t.Errorf("the stranger's task is counted: %+v", m)
		}
	},
}

// failed checks a task that ends FAILED, once and for good, unbilled.
func failed(code, message string, end string) check {
	return func(t *testing.T, r *rig) {
		id := r.create()
		for range 2 {
			got := r.finish(id)
			if text(t, got, "output", "task_status") != "FAILED" || text(t, got, "output", "code") != code ||
				!strings.Contains(text(t, got, "output", "message"), message) || text(t, got, "output", "end_time") != end {
				t.Errorf("got %s", got.body)
			}
		}
		if m := r.server.Meter(); m.BilledSeconds != "0" || m.Tasks[0].Code != code || m.MaxTasksPerPair() != 0 {
			t.Errorf("meter: %+v", m)
		}
		if got := text(t, r.finish(r.create()), "output", "task_status"); got != "SUCCEEDED" {
			t.Errorf("the next task is %s", got)
		}
	}
}

var taskChecks = map[string]check{
	"failed-algo":     failed("InternalError.Algo", "nference", "2000-01-01 08:02:00.000"),
	"failed-input":    failed("InvalidVideo.NoHuman", "human", "2000-01-01 08:00:04.000"),
	"failed-output":   failed("DataInspectionFailed", "Output data", "2000-01-01 08:02:00.000"),
	"hostile-message": failed("InvalidVideo.NoHuman", "\x1b[2J", "2000-01-01 08:00:04.000"),
	"failed-no-code": func(t *testing.T, r *rig) {
		id := r.create()
		time.Sleep(time.Hour)
		wantJSON(t, r.query(id), `{"request_id":"*","output":{"task_id":"`+id+`","task_status":"FAILED",
			"submit_time":"*","scheduled_time":"*","end_time":"*"}}`)
	},
	"integer-duration": func(t *testing.T, r *rig) {
		id := r.create()
		if got := r.finish(id); !strings.Contains(got.body, `"video_duration":5,`) {
			t.Errorf("got %s", got.body)
		}
		if m := r.server.Meter(); m.BilledSeconds != "5" {
			t.Errorf("billed %s, want what was printed", m.BilledSeconds)
		}
	},
}

// asked checks the first query of a finished task against literal JSON, and that the second is
// sound again: what is broken is the answer, not the task.
func asked(want string) check {
	return func(t *testing.T, r *rig) {
		id := r.create()
		time.Sleep(time.Hour)
		const head = `{"request_id":"*","output":{"task_id":"*","task_status":"SUCCEEDED","submit_time":"*","scheduled_time":"*","end_time":"*"`
		wantJSON(t, r.query(id), head+want)
		wantJSON(t, r.query(id), head+`,"results":{"video_url":"*"}},"usage":{"video_duration":5.2,"video_ratio":"standard"}}`)
		if m := r.server.Meter(); m.BilledSeconds != "5.2" {
			t.Errorf("billed %s", m.BilledSeconds)
		}
	}
}

// brokenQuery checks that a query tells nothing, and that the next one does.
func brokenQuery(spoilt func(*testing.T, reply)) check {
	return func(t *testing.T, r *rig) {
		id := r.create()
		spoilt(t, r.query(id))
		if got := r.status(id); got != "PENDING" {
			t.Errorf("asked again: %s", got)
		}
	}
}

var queryChecks = map[string]check{
	"query-429":   brokenQuery(func(t *testing.T, got reply) { wantRefusal(t, got, 429, "Throttling.RateQuota") }),
	"query-500":   brokenQuery(func(t *testing.T, got reply) { wantRefusal(t, got, 500, "InternalError") }),
	"query-reset": func(t *testing.T, r *rig) { wantCut(t, r.noReuse().query("any")) },
	"query-html":  brokenQuery(wantStatus(200, "text/html")),
	"unknown-flap": brokenQuery(func(t *testing.T, got reply) {
		wantJSON(t, got, `{"request_id":"*","output":{"task_id":"*","task_status":"UNKNOWN"}}`)
	}),
	"status-regress": func(t *testing.T, r *rig) {
		id := r.create()
		time.Sleep(time.Hour)
		wantJSON(t, r.query(id), `{"request_id":"*","output":{"task_id":"*","task_status":"RUNNING","submit_time":"*","scheduled_time":"*"}}`)
		if got := r.status(id); got != "SUCCEEDED" {
			t.Errorf("asked again: %s", got)
		}
	},
	"no-url": asked(`},"usage":{"video_duration":5.2,"video_ratio":"standard"}}`),
	"expired-url": func(t *testing.T, r *rig) {
		id := r.create()
		got := r.call("GET", r.result(id), "")
		if got.status != 403 || !strings.Contains(got.body, "Request has expired.") {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if got := r.call("GET", r.result(id), ""); got.status != 200 {
			t.Errorf("asked again: %d %s", got.status, got.body)
		}
	},
	"flat-result":    asked(`,"video_url":"*"},"usage":{"video_duration":5.2,"video_ratio":"standard"}}`),
	"list-result":    asked(`,"results":[{"video_url":"*"}]},"usage":{"video_duration":5.2,"video_ratio":"standard"}}`),
	"missing-usage":  asked(`,"results":{"video_url":"*"}}}`),
	"negative-usage": asked(`,"results":{"video_url":"*"}},"usage":{"video_duration":-5.2,"video_ratio":"standard"}}`),
	"huge-usage":     asked(`,"results":{"video_url":"*"}},"usage":{"video_duration":1e308,"video_ratio":"standard"}}`),
	"string-usage":   asked(`,"results":{"video_url":"*"}},"usage":{"video_duration":"5.2","video_ratio":"standard"}}`),
	"http-result":    checkHTTPResult,
}

var listChecks = map[string]check{
	"list-429": func(t *testing.T, r *rig) {
		wantRefusal(t, r.call("GET", "/tasks/", ""), 429, "Throttling.RateQuota")
		r.listed("")
	},
	"list-500": func(t *testing.T, r *rig) {
		wantRefusal(t, r.call("GET", "/tasks/", ""), 500, "InternalError")
		r.listed("")
	},
	"list-lag": func(t *testing.T, r *rig) {
		r.create()
		time.Sleep(5*time.Second - time.Millisecond)
		if missing, there := len(r.listed("")), len(r.listed("")); missing != 0 || there != 1 {
			t.Errorf("%d rows, then %d", missing, there)
		}
	},
	"list-drift": func(t *testing.T, r *rig) {
		oldest, middle := r.create(), r.create()
		r.create()
		r.listed("page_size=1")
		drifted, sound := r.listed("page_size=1&page_no=2"), r.listed("page_size=1&page_no=2")
		if drifted[0] != oldest || sound[0] != middle {
			t.Errorf("second page: %v, then %v", drifted, sound)
		}
	},
	"list-duplicates": func(t *testing.T, r *rig) {
		id := r.create()
		twice, once := r.listed(""), r.listed("")
		if len(twice) != 2 || twice[0] != id || twice[1] != id || len(once) != 1 {
			t.Errorf("rows: %v, then %v", twice, once)
		}
	},
	"list-unfiltered": func(t *testing.T, r *rig) {
		r.create()
		const filter = "model_name=wan2.2-animate-mix"
		if all, none := len(r.listed(filter)), len(r.listed(filter)); all != 1 || none != 0 {
			t.Errorf("%d rows, then %d", all, none)
		}
	},
}

func TestLateCreatesArriveInOrder(t *testing.T) {
	opt := emulator.Options{Faults: []emulator.Fault{mustFault(t, "late-create")}, Seed: 4}
	virtually(t, opt, func(t *testing.T, r *rig) {
		for range 5 {
			wantCut(t, r.post(r.order("wan-std")))
		}
		time.Sleep(time.Minute)
		before := ""
		for _, task := range r.server.Meter().Tasks {
			at := text(t, r.query(task.ID), "output", "submit_time")
			if at < before {
				t.Errorf("submitted %s, but accepted after one of %s", at, before)
			}
			before = at
		}
		if m := r.server.Meter(); m.Creates != 5 || m.MaxTasksPerPair() != 5 {
			t.Errorf("%d creates executed, want 5", m.Creates)
		}
	})
}
