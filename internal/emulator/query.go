package emulator

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// query answers for one task: HTTP 200 whatever its state, UNKNOWN for an id that is expired,
// another account's, or nobody's.
func (c *call) query(id string) {
	c.mu.Lock()
	t := c.find(id)
	hits := c.strike(atQuery)
	if t != nil && t.status == statusSucceeded {
		hits = append(hits, c.strike(atSuccess)...)
	}
	answer := c.describe(id, t, hits)
	c.mu.Unlock()

	if c.spoilQuery(hits) {
		return
	}
	writeJSON(c.w, http.StatusOK, answer)
}

// find returns a task the caller may see, nil for any other id. The lock is held.
func (c *call) find(id string) *task {
	t := c.byID[id]
	if t == nil || t.account != c.acc || !t.known(c.at, &c.opt) {
		return nil
	}
	return t
}

type queried struct {
	RequestID string        `json:"request_id"`
	Output    queriedOutput `json:"output"`
	Usage     any           `json:"usage,omitempty"`
}

type queriedOutput struct {
	TaskID        string `json:"task_id"`
	TaskStatus    string `json:"task_status"`
	SubmitTime    string `json:"submit_time,omitempty"`
	ScheduledTime string `json:"scheduled_time,omitempty"`
	EndTime       string `json:"end_time,omitempty"`
	Results       any    `json:"results,omitempty"`
	VideoURL      string `json:"video_url,omitempty"` // of other models; only a fault sets it here
	Code          string `json:"code,omitempty"`
	Message       string `json:"message,omitempty"`
}

// A clip is the results object of the animate models.
type clip struct {
	VideoURL string `json:"video_url"`
}

// A bill is their usage object.
type bill struct {
	VideoDuration json.RawMessage `json:"video_duration"`
	VideoRatio    string          `json:"video_ratio"`
}

// describe builds the answer of a query, as spoilt by the faults that change its shape. The
// lock is held.
func (c *call) describe(id string, t *task, hits hits) queried {
	if t == nil || hits.has("unknown-flap") {
		return queried{RequestID: c.id, Output: queriedOutput{TaskID: id, TaskStatus: statusUnknown}}
	}
	out := queriedOutput{
		TaskID: t.id, TaskStatus: t.status,
		SubmitTime: clockText(t.submitted), ScheduledTime: clockText(t.scheduled), EndTime: clockText(t.done),
		Code: t.code, Message: t.message,
	}
	if hits.has("status-regress") && t.status != statusPending {
		return queried{RequestID: c.id, Output: regressed(out)}
	}
	if t.status != statusSucceeded {
		return queried{RequestID: c.id, Output: out}
	}
	answer := queried{RequestID: c.id, Output: out, Usage: &bill{json.RawMessage(t.usage()), t.ratio()}}
	answer.Output.Results = clip{c.signedURL(t, hits)}
	misshape(&answer, hits)
	return answer
}

// signedURL is where the result can be fetched: on the host and scheme the request came to. Signing
// again with the same Expires gives the same URL.
func (c *call) signedURL(t *task, hits hits) string {
	scheme := "http"
	if c.r.TLS != nil && !hits.has("http-result") {
		scheme = "https"
	}
	u := url.URL{Scheme: scheme, Host: c.r.Host, Path: t.path, RawQuery: c.signedQuery(t, t.urlExpires(c.at, &c.opt, hits.has("expired-url")))}
	return u.String()
}
