package dashscope_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/wanbatch/wanbatch/internal/dashscope"
)

// FuzzAnswers feeds any status and body to every call. Whatever comes, texts
// are clean, a create without a good id is an error, and a refusal needs a 4xx.
func FuzzAnswers(f *testing.F) {
	for _, name := range []string{"created", "error-401", "pending", "succeeded", "failed", "unknown", "list"} {
		for _, status := range []int{200, 400, 500} {
			f.Add(status, golden(f, name+".json"))
		}
	}
	f.Add(200, `{"output":{"task_status":"SUCCEEDED","results":[{"url":1e999}]},"usage":{"video_duration":1e-400}}`)
	f.Add(429, `{"error":{"code":"limit_requests"}}`)
	f.Add(-1, "[[[[[[")
	f.Fuzz(func(t *testing.T, status int, body string) {
		c := answering(t, canned{status: status, body: body})
		created, err := c.Create(t.Context(), pair)
		var e *dashscope.Error
		if errors.As(err, &e) {
			clean(t, err.Error())
			if !e.MayHaveExecuted() && (status < 400 || status > 499 || e.Code == "") {
				t.Errorf("status %d counts as a refusal: %v", status, err)
			}
		} else if status < 200 || status > 299 || created.TaskID == "" || len(created.TaskID) > 64 {
			t.Errorf("status %d: created %v", status, created)
		}
		task, err := c.Query(t.Context(), goodID)
		if err == nil {
			clean(t, task.Status+task.Code+task.Message+task.RequestID)
			checkUsage(t, task.Usage)
		}
		if page, err := c.List(t.Context(), dashscope.ListRequest{}); err == nil {
			for _, r := range page.Rows {
				clean(t, r.TaskID+r.RequestID+r.Status+r.Model+r.APIKeyID)
			}
		}
		_ = c.Cancel(t.Context(), goodID)
	})
}

func checkUsage(t *testing.T, u *dashscope.Usage) {
	if u == nil || !u.Duration.Valid {
		return
	}
	if d := u.Duration.Decimal; !d.IsPositive() || d.GreaterThan(decimal.New(1, 6)) || len(d.String()) > 200 {
		t.Errorf("duration %s", d)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "1", "600", "-1", "1e9", "Wed, 21 Oct 2099 07:28:00 GMT", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c := answering(t, canned{status: 503, header: http.Header{"Retry-After": {value}}})
		_, err := c.Query(t.Context(), goodID)
		var e *dashscope.Error
		if !errors.As(err, &e) || e.RetryAfter < 0 || e.RetryAfter > 10*time.Minute {
			t.Errorf("%q: %v", value, err)
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add(400, "InvalidParameter.DataInspection", "download")
	f.Add(200, "", "")
	f.Fuzz(func(t *testing.T, status int, code, message string) {
		c := dashscope.Classify(status, code, message)
		if c < dashscope.ClassInput || c > dashscope.ClassKey || c.Hint(code) == "" {
			t.Errorf("Classify(%d, %q, %q) = %s", status, code, message, c)
		}
	})
}
