package dashscope

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Status words of a task. Others may come and are passed on as they are.
const (
	StatusPending   = "PENDING"
	StatusRunning   = "RUNNING"
	StatusSucceeded = "SUCCEEDED"
	StatusFailed    = "FAILED"
	StatusCanceled  = "CANCELED"
	StatusUnknown   = "UNKNOWN" // expired, foreign, or never existed
)

// Task is what the provider says about one task. Times are UTC and zero when
// not given.
type Task struct {
	ID        string
	RequestID string // of this query, not of the create
	Status    string
	Submitted time.Time
	Scheduled time.Time // when it left the queue
	Ended     time.Time
	// VideoURL is where the result lies: a signed URL and so a credential for
	// its 24 hours. It is kept out of every printed form of a Task.
	VideoURL string `json:"-"`
	Usage    *Usage // nil when the answer has none
	// Code and Message say why a task FAILED; both may be empty even then.
	Code, Message string
}

// String shows the task without its URL.
func (t Task) String() string {
	return strings.TrimSpace(fmt.Sprintf("task %s %s %s", t.ID, t.Status, t.Code))
}

// GoString shows the task without its URL.
func (t Task) GoString() string { return t.String() }

// Usage is what the provider bills.
type Usage struct {
	// Duration is the length of the video in seconds, exact. It is invalid
	// (unknown, which is not zero) when the answer gives none or one that no
	// video can have.
	Duration decimal.NullDecimal
	// Ratio is the mode in the provider's words: standard or pro.
	Ratio string
}

// Page is one page of a list.
type Page struct {
	Rows  []Row
	Total int // tasks on all pages
	TotalPage,
	PageNo,
	PageSize int // as the provider says; 0 when it does not
	Clock time.Time // of whoever answered; zero if it told none
}

// Row is one task in a list. Times are UTC and zero when not given. There is
// no usage, URL or input in a list.
type Row struct {
	TaskID    string
	RequestID string // of the create
	Status    string
	APIKeyID  string
	Model     string
	Created   time.Time
	Started   time.Time
	Ended     time.Time
}

// text is a JSON string or number; anything else reads as empty, so that one
// odd field does not cost the rest of an answer.
type text string

// UnmarshalJSON never fails on valid JSON.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		*t = text(s)
	} else if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		*t = text(raw)
	}
	return nil
}

type (
	wireCreate struct {
		Model      string         `json:"model"`
		Input      wireInput      `json:"input"`
		Parameters wireParameters `json:"parameters"`
	}
	wireInput struct {
		ImageURL  string `json:"image_url"`
		VideoURL  string `json:"video_url"`
		Watermark bool   `json:"watermark"`
	}
	wireParameters struct {
		Mode       string `json:"mode"`
		CheckImage bool   `json:"check_image"`
	}
	wireCreated struct {
		RequestID text `json:"request_id"`
		Output    struct {
			TaskID text `json:"task_id"`
			Status text `json:"task_status"`
		} `json:"output"`
	}
	wireTask struct {
		RequestID text            `json:"request_id"`
		Output    *wireOutput     `json:"output"`
		Usage     json.RawMessage `json:"usage"`
	}
	wireOutput struct {
		TaskID    text            `json:"task_id"`
		Status    text            `json:"task_status"`
		Submitted text            `json:"submit_time"`
		Scheduled text            `json:"scheduled_time"`
		Ended     text            `json:"end_time"`
		Results   json.RawMessage `json:"results"`
		VideoURL  text            `json:"video_url"`
		Code      text            `json:"code"`
		Message   text            `json:"message"`
	}
	wireResult struct {
		VideoURL text `json:"video_url"`
		URL      text `json:"url"`
	}
	wireUsage struct {
		Duration text `json:"video_duration"`
		Ratio    text `json:"video_ratio"`
	}
	wirePage struct {
		Code      text      `json:"code"`
		Total     text      `json:"total"`
		TotalPage text      `json:"total_page"`
		PageNo    text      `json:"page_no"`
		PageSize  text      `json:"page_size"`
		Data      []wireRow `json:"data"` // nil unless the answer has an array
	}
	wireRow struct {
		TaskID    text `json:"task_id"`
		RequestID text `json:"request_id"`
		Status    text `json:"status"`
		Model     text `json:"model_name"`
		APIKeyID  text `json:"api_key_id"`
		Created   text `json:"gmt_create"`
		Started   text `json:"start_time"`
		Ended     text `json:"end_time"`
	}
	wireError struct {
		RequestID text            `json:"request_id"`
		Code      text            `json:"code"`
		Message   text            `json:"message"`
		Nested    json.RawMessage `json:"error"`
		Output    json.RawMessage `json:"output"`
	}
)

func createBody(r CreateRequest) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // keep & of a URL as it is
	// The error is unreachable: strings and booleans always encode.
	_ = enc.Encode(wireCreate{
		Model:      r.Model,
		Input:      wireInput{ImageURL: r.ImageURL, VideoURL: r.VideoURL, Watermark: r.Watermark},
		Parameters: wireParameters{Mode: r.Mode, CheckImage: r.CheckImage},
	})
	return b.Bytes()
}

// explain fills e from the body of an answer that is not a 2xx. A code is
// taken only from a whole JSON object that speaks of no task, since the code
// is what proves that nothing was created.
func (c *Client) explain(e *Error, body []byte) {
	var w wireError
	if err := json.Unmarshal(body, &w); err != nil || mentionsTask(w.Output) {
		e.Message = c.scrub.clean(string(body), maxExcerpt)
		return
	}
	if w.Code == "" {
		var compat struct{ Code, Message text }
		if json.Unmarshal(w.Nested, &compat) == nil {
			w.Code, w.Message = compat.Code, compat.Message
		}
	}
	e.Code = c.scrub.clean(string(w.Code), maxWord)
	e.Message = c.scrub.clean(string(w.Message), maxMessage)
	if id := c.scrub.clean(string(w.RequestID), maxWord); id != "" {
		e.RequestID = id
	}
	if e.Code == "" && e.Message == "" {
		e.Message = c.scrub.clean(string(body), maxExcerpt)
	}
}

func mentionsTask(output json.RawMessage) bool {
	var w struct {
		TaskID text `json:"task_id"`
	}
	return json.Unmarshal(output, &w) == nil && w.TaskID != ""
}

func (c *Client) task(id string, w wireTask) Task {
	o := w.Output
	return Task{
		ID:        id,
		RequestID: c.scrub.clean(string(w.RequestID), maxWord),
		Status:    c.scrub.clean(string(o.Status), maxWord),
		Submitted: parseLocal(string(o.Submitted)),
		Scheduled: parseLocal(string(o.Scheduled)),
		Ended:     parseLocal(string(o.Ended)),
		VideoURL:  resultURL(o),
		Usage:     c.usage(w.Usage),
		Code:      c.scrub.clean(string(o.Code), maxWord),
		Message:   c.scrub.clean(string(o.Message), maxMessage),
	}
}

// resultURL looks where this model puts the URL, then where other Wan models
// and older pages do.
func resultURL(o *wireOutput) string {
	var one wireResult
	var many []wireResult
	if json.Unmarshal(o.Results, &one) != nil && json.Unmarshal(o.Results, &many) == nil && len(many) > 0 {
		one = many[0]
	}
	for _, u := range []text{one.VideoURL, one.URL, o.VideoURL} {
		if u != "" {
			return string(u)
		}
	}
	return ""
}

func (c *Client) usage(raw json.RawMessage) *Usage {
	var w *wireUsage
	if json.Unmarshal(raw, &w) != nil || w == nil {
		return nil
	}
	return &Usage{Duration: parseSeconds(string(w.Duration)), Ratio: c.scrub.clean(string(w.Ratio), maxWord)}
}

// seconds bounds the digits before anything is computed from them.
var seconds = regexp.MustCompile(`^[0-9]{1,24}(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?$`)

// parseSeconds reads a billed duration exactly. Zero, negative, tiny, huge and
// unreadable values are unknown: no finished video has such a length, and an
// unknown one is never billed as nothing.
func parseSeconds(s string) decimal.NullDecimal {
	s = strings.TrimSpace(s)
	if !seconds.MatchString(s) {
		return decimal.NullDecimal{}
	}
	d, err := decimal.NewFromString(s)
	if err != nil || d.LessThan(decimal.New(1, -3)) || d.GreaterThan(decimal.New(1, 6)) {
		return decimal.NullDecimal{}
	}
	return decimal.NullDecimal{Decimal: d, Valid: true}
}

// parseLocal reads a task's time stamp: "2026-05-04 10:00:00.120", in UTC+8
// without saying so. That Singapore prints UTC+8 as well is inferred.
func parseLocal(s string) time.Time {
	at, err := time.ParseInLocation(time.DateTime, s, time.FixedZone("UTC+8", 8*60*60))
	if err != nil || at.UTC().Year() < 1 { // no JSON can hold it
		return time.Time{}
	}
	return at.UTC()
}

// parseMillis reads a list's time stamp: milliseconds since 1970, before the
// year 10000.
func parseMillis(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms <= 0 || ms >= 253402300800000 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// whole reports whether an answer is a list at all. Page 1 has rows unless it
// says that there are none.
func (w wirePage) whole(page int) bool {
	if w.Code != "" || w.Data == nil && w.Total != "0" {
		return false
	}
	return len(w.Data) > 0 || page > 1 || count(w.Total) == 0
}

func (c *Client) page(w wirePage) (Page, error) {
	p := Page{Total: count(w.Total), TotalPage: count(w.TotalPage), PageNo: count(w.PageNo), PageSize: count(w.PageSize)}
	for i, r := range w.Data {
		if !ValidTaskID(string(r.TaskID)) {
			return Page{}, fmt.Errorf("row %d has no usable task id", i+1)
		}
		p.Rows = append(p.Rows, Row{
			TaskID:    string(r.TaskID),
			RequestID: c.scrub.clean(string(r.RequestID), maxWord),
			Status:    c.scrub.clean(string(r.Status), maxWord),
			APIKeyID:  c.scrub.clean(string(r.APIKeyID), maxWord),
			Model:     c.scrub.clean(string(r.Model), maxWord),
			Created:   parseMillis(string(r.Created)),
			Started:   parseMillis(string(r.Started)),
			Ended:     parseMillis(string(r.Ended)),
		})
	}
	return p, nil
}

// count reads a number of things; what is not one is 0.
func count(t text) int {
	n, err := strconv.ParseInt(string(t), 10, 32)
	if err != nil {
		return 0
	}
	return int(max(n, 0))
}
