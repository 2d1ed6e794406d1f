package pipeline

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
)

// lister asks a provider for lists whose pages are given by their number.
func lister(t *testing.T, page func(n int) string) *workers {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.URL.Query().Get("page_no"))
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(w, page(n))
	}))
	t.Cleanup(s.Close)
	c, err := dashscope.New(dashscope.Config{BaseURL: s.URL, Key: dashscope.NewSecret("sk-list")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &workers{client: c, plan: &Plan{Manifest: Manifest{Model: "wan2.2-animate-move"}}, queries: rate.NewLimiter(rate.Inf, 1)}
}

// listPage is one page as the provider writes it: what it tells of the list, and the
// tasks from first up to last.
func listPage(tells string, first, last int) string {
	var rows []string
	for i := first; i <= last; i++ {
		rows = append(rows, fmt.Sprintf(`{"task_id":"t-%d","status":"SUCCEEDED"}`, i))
	}
	return fmt.Sprintf(`{%s"data":[%s]}`, tells, strings.Join(rows, ","))
}

// The silence of a list may prove that a task does not exist, so it is complete only
// if no task is missing; a list that is not is told, with what it showed.
func TestListIsCompleteOnlyIfNoTaskIsMissing(t *testing.T) {
	const two = `"total":150,"total_page":2,`
	tests := []struct {
		name  string
		page  func(n int) string
		tasks int
		told  string // "" if the list is complete
	}{
		{"two pages", func(n int) string {
			return listPage(fmt.Sprintf(`%s"page_no":%d,`, two, n), 1+(n-1)*100, min(n*100, 150))
		}, 150, ""},
		{"a row stands on both", func(n int) string {
			return listPage(two, 1+(n-1)*99, min(1+n*99, 150))
		}, 150, ""},
		{"rows that repeat and one that is missing", func(n int) string {
			return listPage(two, 1+(n-1)*90, min(100+(n-1)*49, 149))
		}, 149, "the list of tasks is incomplete: it showed 149 of 150"},
		{"every page is the first", func(int) string {
			return listPage(two+`"page_no":1,`, 1, 100)
		}, 100, "the list of tasks is incomplete: it showed 100 of 150 and gave page 1 for page 2"},
		{"every page is the first and has no number", func(int) string {
			return listPage(two, 1, 100)
		}, 100, "the list of tasks is incomplete: it showed 100 of 150"},
		{"it ends before its total", func(n int) string {
			return listPage(`"total":9,"total_page":1,`, 1, max(0, 2-n))
		}, 1, "the list of tasks is incomplete: it showed 1 of 9"},
		{"its total is told once", func(n int) string {
			if n == 1 {
				return listPage(two, 1, 100)
			}
			return listPage("", 1, 0)
		}, 100, "the list of tasks is incomplete: it showed 100 of 150"},
		{"it tells no total", func(n int) string {
			return listPage("", 1+(n-1)*100, min(n*100, 200))
		}, 200, ""},
		{"it tells no total and repeats itself", func(int) string {
			return listPage("", 1, 100)
		}, 100, "the list of tasks is incomplete: it showed 100 without saying of how many"},
		{"there are none", func(int) string { return listPage(`"total":0,"total_page":0,"page_no":1,`, 1, 0) }, 0, ""},
		{"there are none and no total", func(int) string { return listPage("", 1, 0) }, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := lister(t, tt.page)
			told := ""
			w.trouble = func(op, _, message string) { told += op + ": " + message }
			o := w.look(t.Context(), batch.Effect{Op: batch.OpList})
			tasks := map[string]bool{}
			for _, r := range o.Rows {
				tasks[r.Task] = true
			}
			want := ""
			if tt.told != "" {
				want = "list: " + tt.told
			}
			if o.Complete != (tt.told == "") || len(tasks) != tt.tasks || told != want {
				t.Errorf("complete %v with %d tasks, want %d; told %q, want %q", o.Complete, len(tasks), tt.tasks, told, want)
			}
		})
	}
}
