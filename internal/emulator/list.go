package emulator

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// list shows the account's tasks of at most 24 h, newest first (the order is not documented).
func (c *call) list() {
	f, no := readFilter(c.r.URL.Query(), c.at, c.opt.PageSizeMax)
	if no != nil {
		c.refuse(*no)
		return
	}
	c.mu.Lock()
	c.strangers(or(f.model, modelMove))
	hits := c.strike(atList)
	if f.page > 1 {
		hits = append(hits, c.strike(atPage)...)
	}
	answer := c.page(f, hits)
	c.mu.Unlock()

	switch {
	case hits.has("list-429"):
		c.refuse(tooFast)
	case hits.has("list-500"):
		c.refuse(internalError)
	default:
		writeJSON(c.w, http.StatusOK, answer)
	}
}

// A filter is what a list asks for; an empty field asks for all.
type filter struct {
	id, model, status, keyID, region string
	from, to                         time.Time // of submission, both included
	page, size                       int
}

// listWindow is the longest span of a list, and the default one.
const listWindow = 24 * time.Hour

// readFilter reads the parameters of a list.
func readFilter(q url.Values, now time.Time, sizeMax int) (filter, *refusal) {
	f := filter{
		id: q.Get("task_id"), model: q.Get("model_name"), status: q.Get("status"),
		keyID: q.Get("api_key_id"), region: q.Get("region"),
	}
	statuses := []string{"", statusPending, statusRunning, statusSucceeded, statusFailed, statusCanceled, statusUnknown}
	if !slices.Contains(statuses, f.status) {
		return f, invalid("status")
	}
	var ok bool
	if f.page, ok = number(q.Get("page_no"), 1); !ok {
		return f, invalid("page_no")
	}
	if f.size, ok = number(q.Get("page_size"), 10); !ok {
		return f, invalid("page_size")
	}
	f.size = min(f.size, sizeMax)
	return f, f.readWindow(q.Get("start_time"), q.Get("end_time"), now)
}

// readWindow reads the window; where one end is not given, the other sets it.
func (f *filter) readWindow(start, end string, now time.Time) *refusal {
	from, okFrom := moment(start)
	to, okTo := moment(end)
	switch {
	case !okFrom:
		return invalid("start_time")
	case !okTo:
		return invalid("end_time")
	}
	if !to.IsZero() {
		to = to.Add(time.Second - time.Millisecond) // the whole of the named second
	}
	switch {
	case from.IsZero() && to.IsZero():
		from, to = now.Add(-listWindow), now
	case from.IsZero():
		from = to.Add(-listWindow)
	case to.IsZero():
		to = from.Add(listWindow)
	}
	if to.Sub(from) > listWindow+time.Second || to.Before(from) {
		return invalid("start_time, end_time")
	}
	f.from, f.to = from, to
	return nil
}

// moment reads YYYYMMDDhhmmss on the provider's clock face; "" is the zero time.
func moment(text string) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	t, err := time.ParseInLocation("20060102150405", text, east)
	return t, err == nil
}

func number(text string, standard int) (int, bool) {
	if text == "" {
		return standard, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1
}

func invalid(name string) *refusal {
	return badRequest("InvalidParameter", "the parameters must conform to the specification: "+name+".")
}

// match says whether a task is asked for.
func (f *filter) match(t *task, region string) bool {
	return (f.id == "" || f.id == t.id) &&
		(f.model == "" || f.model == t.order.Model) &&
		(f.status == "" || f.status == t.status) &&
		(f.keyID == "" || f.keyID == t.keyID) &&
		(f.region == "" || f.region == region) &&
		!t.submitted.Before(f.from) && !t.submitted.After(f.to)
}

type listed struct {
	RequestID string `json:"request_id"`
	Total     int    `json:"total"`
	TotalPage int    `json:"total_page"`
	PageNo    int    `json:"page_no"`
	PageSize  int    `json:"page_size"`
	Data      []row  `json:"data"`
}

type row struct {
	TaskID           string `json:"task_id"`
	RequestID        string `json:"request_id"`
	Status           string `json:"status"`
	ModelName        string `json:"model_name"`
	Region           string `json:"region"`
	GmtCreate        int64  `json:"gmt_create"`
	StartTime        int64  `json:"start_time,omitempty"`
	EndTime          int64  `json:"end_time,omitempty"`
	APIKeyID         string `json:"api_key_id"`
	CallerParentID   string `json:"caller_parent_id"`
	CallerUID        string `json:"caller_uid"`
	UserAPIUniqueKey string `json:"user_api_unique_key"`
}

// page builds the answer of a list. The lock is held.
func (c *call) page(f filter, h hits) listed {
	lag := c.opt.ListLag
	if h.has("list-lag") {
		lag = c.opt.faultDelay()
	}
	var rows []row
	for _, t := range c.tasks {
		visible := t.account == c.acc && t.known(c.at, &c.opt) && c.at.Sub(t.submitted) >= lag
		if visible && (h.has("list-unfiltered") || f.match(t, c.opt.Region)) {
			rows = append(rows, c.row(t))
		}
	}
	slices.Reverse(rows) // so that equal times keep the newest first
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.GmtCreate, a.GmtCreate) })

	first := min((f.page-1)*f.size, len(rows))
	if h.has("list-drift") {
		first = min(first+1, len(rows))
	}
	data := slices.Clone(rows[first:min(first+f.size, len(rows))])
	if h.has("list-duplicates") && len(data) > 0 {
		data = slices.Insert(data, 1, data[0])
	}
	return listed{
		RequestID: c.id, Total: len(rows), TotalPage: (len(rows) + f.size - 1) / f.size,
		PageNo: f.page, PageSize: f.size, Data: append([]row{}, data...),
	}
}

func (c *call) row(t *task) row {
	return row{
		TaskID: t.id, RequestID: t.requestID, Status: t.status, ModelName: t.order.Model, Region: c.opt.Region,
		GmtCreate: t.submitted.UnixMilli(), StartTime: epoch(t.scheduled), EndTime: epoch(t.done),
		APIKeyID: t.keyID, CallerParentID: t.account.number, CallerUID: t.account.number,
		UserAPIUniqueKey: "apikey:v1:aigc:image2video:video-synthesis:" + t.order.Model,
	}
}

// epoch writes a time as a list shows it; the zero time is left out.
func epoch(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
