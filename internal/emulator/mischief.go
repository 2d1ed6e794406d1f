package emulator

import (
	"encoding/json"
	"net/http"
	"time"
)

// Faults of a connection abort the handler: net/http then closes it without a further byte, over
// sockets and pipes alike. The create faults come in two kinds, and the difference is the point:
// those before the task exists, and those after.

// early are the answers of creates that were never executed.
var early = map[string]refusal{
	"create-429":             tooFast,
	"create-429-retry-after": tooFast,
	"create-burst":           {429, "Throttling.BurstRate", "Request rate increased too quickly. Please try again later."},
	"create-quota":           {429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit."},
	"arrears":                {400, "Arrearage", "Access denied, please make sure your account is in good standing."},
	"not-purchased":          {429, "CommodityNotPurchased", "Commodity has not purchased yet."},
	"bad-key":                {401, "InvalidApiKey", "Invalid API-key provided."},
	"model-denied":           {403, "Model.AccessDenied", "Model access denied."},
}

// spoilBefore answers a create that is not executed, and says whether it did.
func (c *call) spoilBefore(h hits, o order) bool {
	for _, name := range h {
		switch no, ok := early[name]; {
		case ok:
			if name == "create-429-retry-after" {
				c.w.Header().Set("Retry-After", "7")
			}
			c.refuse(no)
			return true
		case name == "lost-request":
			panic(http.ErrAbortHandler)
		case name == "late-create":
			c.postpone(o)
			panic(http.ErrAbortHandler)
		}
	}
	return false
}

// A lateCreate was cut off at the client and reaches the provider's queue later.
type lateCreate struct {
	at time.Time
	ticket
}

// postpone lets a create take effect up to faultDelay from now.
func (c *call) postpone(o order) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delay := time.Duration(1 + c.dice.Int64N(int64(c.opt.faultDelay())))
	c.late = append(c.late, lateCreate{c.at.Add(delay), ticket{c.acc, c.key, c.id, o}})
}

// admitLate enters the late creates that are due by now, oldest first. The lock is held.
func (s *Server) admitLate(now time.Time) {
	for {
		next := -1
		for i, l := range s.late {
			if !l.at.After(now) && (next < 0 || l.at.Before(s.late[next].at)) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		l := s.late[next]
		s.late = append(s.late[:next:next], s.late[next+1:]...)
		s.submit(l.ticket, l.at.Truncate(time.Millisecond))
	}
}

// spoilAfter answers a create that was executed, and says whether it did.
func (c *call) spoilAfter(h hits, sound created) bool {
	reply, _ := json.Marshal(sound) // strings always marshal
	for _, name := range h {
		switch name {
		case "lost-reply":
			panic(http.ErrAbortHandler)
		case "create-500":
			c.refuse(internalError)
		case "create-502":
			c.html(http.StatusBadGateway)
		case "create-504":
			c.html(http.StatusGatewayTimeout)
		case "truncated-reply":
			c.send(http.StatusOK, "application/json", reply[:len(reply)/2])
		case "wrong-content-type":
			c.send(http.StatusOK, "text/html; charset=utf-8", reply)
		case "slow-reply":
			c.hold()
		case "bad-task-id":
			sound.Output.TaskID = "../cancel"
			writeJSON(c.w, http.StatusOK, sound)
		default:
			continue
		}
		return true
	}
	return false
}

var internalError = refusal{http.StatusInternalServerError, "InternalError",
	"An internal error has occured, please try again later or contact service support."}

// hold keeps the client waiting until it or the server gives up.
func (c *call) hold() {
	select {
	case <-c.r.Context().Done():
	case <-c.ctx.Done():
	}
	panic(http.ErrAbortHandler)
}

func (c *call) send(status int, contentType string, body []byte) {
	c.w.Header().Set("Content-Type", contentType)
	c.w.WriteHeader(status)
	_, _ = c.w.Write(body) // a client that is gone hears nothing anyway
}

// html is what a gateway in between would say.
func (c *call) html(status int) {
	c.send(status, "text/html", []byte("<html>\r\n<head><title>"+http.StatusText(status)+
		"</title></head>\r\n<body><center><h1>"+http.StatusText(status)+"</h1></center></body>\r\n</html>\r\n"))
}

// spoilQuery answers a query that tells nothing, and says whether it did.
func (c *call) spoilQuery(h hits) bool {
	switch {
	case h.has("query-reset"):
		panic(http.ErrAbortHandler)
	case h.has("query-429"):
		c.refuse(tooFast)
	case h.has("query-500"):
		c.refuse(internalError)
	case h.has("query-html"):
		c.html(http.StatusOK)
	default:
		return false
	}
	return true
}

// fateOf turns the faults that struck a task into what will become of it.
func fateOf(h hits) fate {
	f := fate{wholeSeconds: h.has("integer-duration")}
	for _, name := range h {
		switch name {
		case "failed-no-code":
			f.fails = true
		case "failed-algo":
			f.fails, f.code, f.message = true, "InternalError.Algo", "Inference error: Inference error."
		case "failed-input":
			f.fails, f.quick = true, true
			f.code, f.message = "InvalidVideo.NoHuman", "The input video has no human body."
		case "failed-output":
			f.fails, f.code = true, "DataInspectionFailed"
			f.message = "Output data may contain inappropriate content."
		case "hostile-message":
			f.fails, f.quick, f.code = true, true, "InvalidVideo.NoHuman"
			f.message = "no human\x1b[2J\x1b]0;owned\x07\x1b[31m\r\nfake line \u202e<script>=1+1"
		default:
			continue
		}
		break // the first that fails it
	}
	return f
}

// regressed shows a task in the status before its own.
func regressed(out queriedOutput) queriedOutput {
	earlier := queriedOutput{TaskID: out.TaskID, TaskStatus: statusPending, SubmitTime: out.SubmitTime}
	if out.TaskStatus != statusRunning && out.ScheduledTime != "" {
		earlier.TaskStatus, earlier.ScheduledTime = statusRunning, out.ScheduledTime
	}
	return earlier
}

// misshape applies the faults that change the form of a success.
func misshape(a *queried, h hits) {
	location := a.Output.Results.(clip)
	switch {
	case h.has("no-url"):
		a.Output.Results = nil
	case h.has("flat-result"):
		a.Output.Results, a.Output.VideoURL = nil, location.VideoURL
	case h.has("list-result"):
		a.Output.Results = []clip{location}
	}
	usage := a.Usage.(*bill)
	switch {
	case h.has("missing-usage"):
		a.Usage = nil
	case h.has("negative-usage"):
		usage.VideoDuration = append(json.RawMessage("-"), usage.VideoDuration...)
	case h.has("huge-usage"):
		usage.VideoDuration = json.RawMessage("1e308")
	case h.has("string-usage"):
		usage.VideoDuration = json.RawMessage(`"` + string(usage.VideoDuration) + `"`)
	}
}

// strangers lets somebody else's task appear in the caller's account, when that fault strikes.
// It waits and runs like any other. The lock is held.
func (c *call) strangers(model string) {
	if !c.strike(atStranger).has("foreign-task") {
		return
	}
	t := c.enter(ticket{c.acc, "1499999", c.uuid(), order{Model: model, Mode: modeStd}}, c.at)
	t.foreign = true
	t.verdict = &verdict{at: c.at, length: 5 * time.Second}
}
