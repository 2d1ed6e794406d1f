package emulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

func TestCreateAndFollow(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		got := r.post(r.order("wan-std"))
		wantJSON(t, got, `{"request_id":"*","output":{"task_status":"PENDING","task_id":"*"}}`)
		id := text(t, got, "output", "task_id")

		wantJSON(t, r.query(id), `{"request_id":"*","output":{"task_id":"`+id+`","task_status":"PENDING",
			"submit_time":"2000-01-01 08:00:00.000"}}`)
		time.Sleep(time.Second)
		wantJSON(t, r.query(id), `{"request_id":"*","output":{"task_id":"`+id+`","task_status":"RUNNING",
			"submit_time":"2000-01-01 08:00:00.000","scheduled_time":"2000-01-01 08:00:01.000"}}`)

		time.Sleep(119*time.Second - time.Millisecond) // 15 s + 20 s for each of 5.2 s
		if got := r.status(id); got != "RUNNING" {
			t.Errorf("a millisecond before its end the task is %s", got)
		}
		time.Sleep(time.Millisecond)
		wantJSON(t, r.query(id), `{"request_id":"*","output":{"task_id":"`+id+`","task_status":"SUCCEEDED",
			"submit_time":"2000-01-01 08:00:00.000","scheduled_time":"2000-01-01 08:00:01.000",
			"end_time":"2000-01-01 08:02:00.000","results":{"video_url":"*"}},
			"usage":{"video_duration":5.2,"video_ratio":"standard"}}`)
	})
}

func TestTaskEndsWhenDueNotWhenSeen(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		first, second := r.create(), r.create()
		time.Sleep(time.Hour)
		if got := text(t, r.query(first), "output", "end_time"); got != "2000-01-01 08:02:00.000" {
			t.Errorf("first ended %s", got)
		}
		if got := text(t, r.query(second), "output", "scheduled_time"); got != "2000-01-01 08:02:00.000" {
			t.Errorf("second started %s, want the end of the first", got)
		}
	})
}

func TestProIsSlowerAndNamed(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		id := text(t, r.post(r.order("wan-pro")), "output", "task_id")
		got := r.finish(id)
		if text(t, got, "usage", "video_ratio") != "pro" {
			t.Errorf("usage of a wan-pro task: %s", got.body)
		}
		// 1 s of queue, then 15 s + 34 s for each of 5.2 s.
		if end := text(t, got, "output", "end_time"); end != "2000-01-01 08:03:12.800" {
			t.Errorf("ended %s", end)
		}
	})
}

func TestWholeSecondsAreStillFloats(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		got := r.finish(r.createFrom(r.image, testVideo(t, 4*time.Second)))
		if !strings.Contains(got.body, `"video_duration":4.0,`) {
			t.Errorf("usage of 4 s: %s", got.body)
		}
	})
}

func TestRefusals(t *testing.T) {
	const async = "X-DashScope-Async"
	good := order("https://a.test/i.png", "https://a.test/v.mp4", "wan-std")
	tests := []struct {
		name, body string
		headers    []string
		status     int
		code       string
	}{
		{"no key", good, []string{"Authorization", ""}, 401, "InvalidApiKey"},
		{"no bearer", good, []string{"Authorization", "sk-one"}, 401, "InvalidApiKey"},
		{"foreign key", good, []string{"Authorization", "Bearer st-one"}, 401, "InvalidApiKey"},
		{"synchronous", good, []string{async, ""}, 403, "AccessDenied"},
		{"no JSON", `{"model"`, nil, 400, "InvalidParameter"},
		{"no model", `{"input":{},"parameters":{}}`, nil, 400, "BadRequest.EmptyModel"},
		{"other model", strings.Replace(good, "animate-move", "animate-walk", 1), nil, 400, "InvalidParameter"},
		{"no input", `{"model":"wan2.2-animate-mix","parameters":{"mode":"wan-std"}}`, nil, 400, "BadRequest.EmptyInput"},
		{"odd input", `{"model":"wan2.2-animate-mix","input":3,"parameters":{}}`, nil, 400, "BadRequest.IllegalInput"},
		{"no image", order("", "https://a.test/v.mp4", "wan-std"), nil, 400, "InvalidURL"},
		{"no video", order("https://a.test/i.png", "", "wan-std"), nil, 400, "InvalidURL"},
		{"no parameters", `{"model":"wan2.2-animate-mix","input":{}}`, nil, 400, "BadRequest.EmptyParameters"},
		{"no mode", order("a", "b", ""), nil, 400, "InvalidParameter"},
		{"other mode", order("a", "b", "wan-max"), nil, 400, "InvalidParameter"},
		{"too large", strings.Repeat(" ", 10<<20) + good, nil, 400, "BadRequest.TooLarge"},
	}
	virtually(t, emulator.Options{CreatesPerSecond: -1}, func(t *testing.T, r *rig) {
		for _, tt := range tests {
			t.Log(tt.name)
			wantRefusal(t, r.post(tt.body, tt.headers...), tt.status, tt.code)
		}
		if m := r.server.Meter(); m.Creates != 0 || len(m.Tasks) != 0 {
			t.Errorf("refused creates made %d tasks", len(m.Tasks))
		}
	})
}

func TestPaths(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		id := r.create()
		for _, path := range []string{"/api/v1/tasks/" + id, "/tasks/" + id, "/api/v1/tasks/" + id + "/"} {
			if got := text(t, r.call("GET", path, ""), "output", "task_id"); got != id {
				t.Errorf("GET %s knows task %q", path, got)
			}
		}
		for _, path := range []string{"/api/v1/tasks", "/api/v1/tasks/", "/tasks", "/tasks/"} {
			if got := field(t, r.call("GET", path, ""), "total"); got != 1.0 {
				t.Errorf("GET %s lists %v tasks", path, got)
			}
		}
		again := r.call("POST", "/services/aigc/image2video/video-synthesis/", r.order("wan-std"), "X-DashScope-Async", "enable")
		if again.status != 200 {
			t.Errorf("create without /api/v1, with a slash: %d %s", again.status, again.body)
		}
		wantRefusal(t, r.call("GET", createPath, ""), 400, "InvalidParameter")
		wantRefusal(t, r.call("POST", "/api/v1/services/aigc/video-generation/video-synthesis", "{}"), 400, "InvalidParameter")
		wantRefusal(t, r.call("GET", "/api/v2/tasks", ""), 404, "NotFound")
	})
}

func TestKeysAndAccounts(t *testing.T) {
	opt := emulator.Options{
		AcceptKeys: []string{"sk-one", "sk-two", "sk-other"}, Accounts: map[string]string{"sk-other": "other"},
	}
	virtually(t, opt, func(t *testing.T, r *rig) {
		id := r.create()
		r.key = "sk-two"
		if got := r.status(id); got != "PENDING" {
			t.Errorf("another key of the account sees %s", got)
		}
		second := r.create()
		ids := map[any]bool{}
		rows := field(t, r.call("GET", "/api/v1/tasks/", ""), "data").([]any)
		for _, row := range rows {
			ids[row.(map[string]any)["api_key_id"]] = true
		}
		if len(rows) != 2 || len(ids) != 2 {
			t.Errorf("list of the account: %d tasks of %d keys, want 2 of 2", len(rows), len(ids))
		}
		r.key = "sk-other"
		if got := r.status(id); got != "UNKNOWN" {
			t.Errorf("another account sees %s", got)
		}
		wantRefusal(t, r.call("POST", "/api/v1/tasks/"+second+"/cancel", ""), 400, "UnsupportedOperation")
		r.key = "sk-nobody"
		wantRefusal(t, r.query(id), 401, "InvalidApiKey")
	})
}

func TestUnknown(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		const random = "00000000-0000-4000-8000-000000000000"
		got := r.query(random)
		if got.status != http.StatusOK {
			t.Errorf("status %d, want 200", got.status)
		}
		wantJSON(t, got, `{"request_id":"*","output":{"task_id":"`+random+`","task_status":"UNKNOWN"}}`)
	})
}

func TestTaskLife(t *testing.T) {
	for _, fromEnd := range []bool{false, true} {
		t.Run(fmt.Sprintf("fromEnd=%v", fromEnd), func(t *testing.T) {
			virtually(t, emulator.Options{LifeFromEnd: fromEnd}, func(t *testing.T, r *rig) {
				id := r.create()
				life := 24 * time.Hour
				if fromEnd {
					life += 2 * time.Minute
				}
				time.Sleep(life - time.Millisecond)
				if got := r.status(id); got != "SUCCEEDED" {
					t.Errorf("just before the end of its life: %s", got)
				}
				time.Sleep(time.Millisecond)
				if got := r.status(id); got != "UNKNOWN" {
					t.Errorf("after its life: %s", got)
				}
				if m := r.server.Meter(); m.BilledSeconds != "5.2" || m.NeverFetched != 1 {
					t.Errorf("the meter forgot: billed %s, never fetched %d", m.BilledSeconds, m.NeverFetched)
				}
			})
		})
	}
}

func TestCancel(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		running, waiting, last := r.create(), r.create(), r.create()
		time.Sleep(2 * time.Second)
		got := r.call("POST", "/api/v1/tasks/"+waiting+"/cancel", "")
		wantJSON(t, got, `{"request_id":"*"}`)
		wantJSON(t, r.query(waiting), `{"request_id":"*","output":{"task_id":"`+waiting+`","task_status":"CANCELED",
			"submit_time":"2000-01-01 08:00:00.000","end_time":"2000-01-01 08:00:02.000"}}`)
		for _, id := range []string{running, waiting, "no-such-task"} {
			wantRefusal(t, r.call("POST", "/api/v1/tasks/"+id+"/cancel", ""), 400, "UnsupportedOperation")
		}
		r.finish(last)
		m := r.server.Meter()
		if m.Tasks[1].Status != "CANCELED" || m.BilledSeconds != "10.4" || m.MaxTasksPerPair() != 2 {
			t.Errorf("meter: %+v", m)
		}
	})
}

func TestOneRunsTheRestWaitInOrder(t *testing.T) {
	for running, want := range map[int]string{1: "RUNNING PENDING PENDING", 2: "RUNNING RUNNING PENDING"} {
		t.Run(fmt.Sprint(running), func(t *testing.T) {
			virtually(t, emulator.Options{Running: running}, func(t *testing.T, r *rig) {
				ids := []string{r.create(), r.create(), r.create()}
				time.Sleep(2 * time.Second)
				var got []string
				for _, id := range ids {
					got = append(got, r.status(id))
				}
				if strings.Join(got, " ") != want {
					t.Errorf("got %v, want %s", got, want)
				}
				for _, id := range ids {
					r.finish(id)
				}
				if m := r.server.Meter(); m.MaxRunning != running {
					t.Errorf("at most %d ran at once, want %d", m.MaxRunning, running)
				}
			})
		})
	}
}

func TestQueuesPerAccountAndModel(t *testing.T) {
	opt := emulator.Options{Accounts: map[string]string{"sk-other": "other"}}
	virtually(t, opt, func(t *testing.T, r *rig) {
		r.create()
		mix := text(t, r.post(strings.Replace(r.order("wan-std"), "animate-move", "animate-mix", 1)), "output", "task_id")
		time.Sleep(2 * time.Second)
		if got := r.status(mix); got != "RUNNING" {
			t.Errorf("mix beside move: %s", got)
		}
		r.key = "sk-other"
		r.create()
		time.Sleep(2 * time.Second)
		if m := r.server.Meter(); m.Tasks[2].Status != "RUNNING" || m.MaxRunning != 1 {
			t.Errorf("another account's task is %s, at most %d of one queue ran at once", m.Tasks[2].Status, m.MaxRunning)
		}
	})
}

func TestRejectMode(t *testing.T) {
	virtually(t, emulator.Options{Reject: true}, func(t *testing.T, r *rig) {
		id := r.create()
		wantRefusal(t, r.post(r.order("wan-std")), 429, "Throttling.RateQuota")
		r.finish(id)
		r.create()
		if m := r.server.Meter(); m.Creates != 2 || m.OverLimit["running"] != 1 || m.OverLimit["create"] != 0 {
			t.Errorf("meter: %d creates, over limit %v", m.Creates, m.OverLimit)
		}
	})
}

func TestLimits(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		for range 5 {
			r.create()
		}
		wantRefusal(t, r.post(r.order("wan-std")), 429, "Throttling.RateQuota")
		for i := range 20 {
			if got := r.call("GET", []string{"/tasks", "/tasks/x"}[i%2], ""); got.status != 200 {
				t.Fatalf("call %d: %d", i, got.status)
			}
		}
		wantRefusal(t, r.query("x"), 429, "Throttling.RateQuota")
		wantRefusal(t, r.call("POST", "/tasks/x/cancel", ""), 429, "Throttling.RateQuota")
		wantRefusal(t, r.call("GET", "/tasks", ""), 429, "Throttling.RateQuota")

		time.Sleep(time.Second)
		r.create()
		m := r.server.Meter()
		for kind, want := range map[string]int{"create": 1, "query": 1, "list": 1, "cancel": 1, "running": 0} {
			if m.OverLimit[kind] != want {
				t.Errorf("%d over limit for %s, want %d", m.OverLimit[kind], kind, want)
			}
		}
		if m.Requests["create"] != 7 || m.Requests["query"] != 11 || m.Creates != 6 {
			t.Errorf("requests %v, creates %d", m.Requests, m.Creates)
		}
	})
}

func TestSpeedShortensRunsOnly(t *testing.T) {
	virtually(t, emulator.Options{Speed: 60}, func(t *testing.T, r *rig) {
		id := r.create()
		time.Sleep(2 * time.Second)
		if got := r.status(id); got != "SUCCEEDED" {
			t.Errorf("after 2 s at 60 times the speed: %s", got)
		}
		time.Sleep(24*time.Hour - 3*time.Second)
		if got := r.status(id); got != "SUCCEEDED" {
			t.Errorf("the task's life was shortened too: %s", got)
		}
	})
}

func TestTimeout(t *testing.T) {
	slow := func(string, float64) time.Duration { return 4 * time.Hour }
	virtually(t, emulator.Options{RunTime: slow}, func(t *testing.T, r *rig) {
		id := r.create()
		time.Sleep(3*time.Hour + time.Second)
		if got := text(t, r.query(id), "output", "code"); got != "InternalError.Timeout" {
			t.Errorf("after 3 h of running: code %q", got)
		}
	})
}

func TestMeterIsServed(t *testing.T) {
	virtually(t, emulator.Options{}, func(t *testing.T, r *rig) {
		id := r.create()
		r.call("GET", "/tasks", "", "Idempotency-Key", "x")
		r.finish(id)
		wantJSON(t, reply{body: r.call("GET", "http://provider.test/__meter", "").body}, `{"creates":1,
			"tasks":[{"id":"`+id+`","model":"wan2.2-animate-move","mode":"wan-std","image_url":"`+r.image+`",
			"video_url":"`+r.video+`","status":"SUCCEEDED","billed_seconds":"5.2","foreign":false,"fetched":false}],
			"max_live_per_pair":1,"billed_seconds":"5.2",
			"requests":{"create":1,"query":25,"list":1,"cancel":0,"result":0,"policy":0,"upload":0},
			"over_limit":{"create":0,"query":0,"list":0,"cancel":0,"policy":0,"running":0},
			"uploads":{"files":0,"bytes":0,"contents":{}},
			"never_fetched":1,"max_running":1,"idempotency_headers":1,"auth_at_results":0}`)
	})
}
