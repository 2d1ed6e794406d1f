package emulator

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"time"
)

// maxBody caps a create's body; the documents name an error for it and no figure.
const maxBody = 10 << 20

// create takes a task. It looks at no media: what is wrong with them is the task's own end.
func (c *call) create() {
	if c.r.Header.Get("X-DashScope-Async") != "enable" {
		c.refuse(refusal{http.StatusForbidden, "AccessDenied", "current user api does not support synchronous calls."})
		return
	}
	o, no := readOrder(c.r)
	if no == nil {
		no = c.checkResolve(o)
	}
	if no != nil {
		c.refuse(*no)
		return
	}
	c.mu.Lock()
	lane := c.acc.lane(o.Model, &c.opt)
	c.mu.Unlock()
	if !c.permit("create", &lane.creates, c.opt.CreatesPerSecond) {
		c.refuse(tooFast)
		return
	}
	c.mu.Lock()
	hits := c.strike(atCreate)
	c.strangers(o.Model)
	c.mu.Unlock()
	if c.spoilBefore(hits, o) {
		return
	}
	reply, no := c.accept(o, lane)
	if no != nil {
		c.refuse(*no)
		return
	}
	if !c.spoilAfter(hits, reply) {
		writeJSON(c.w, http.StatusOK, reply)
	}
}

type created struct {
	RequestID string        `json:"request_id"`
	Output    createdOutput `json:"output"`
}

type createdOutput struct {
	TaskStatus string `json:"task_status"`
	TaskID     string `json:"task_id"`
}

// accept makes the task of an order: from here on it may cost money.
func (c *call) accept(o order, l *lane) (created, *refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opt.Reject && l.live() >= c.opt.Running {
		c.count.overLimit["running"]++
		return created{}, &tooFast
	}
	t := c.submit(ticket{c.acc, c.key, c.id, o}, c.at)
	return created{c.id, createdOutput{t.status, t.id}}, nil
}

// A ticket is all a task needs to know of the call that makes it.
type ticket struct {
	account          *account
	keyID, requestID string
	order            order
}

// submit enters a task at an instant and starts to fetch its inputs. The lock is held.
func (s *Server) submit(k ticket, at time.Time) *task {
	t := s.enter(k, at)
	t.fate = fateOf(s.strike(atTask))
	s.count.creates++
	if s.ctx.Err() == nil {
		s.wg.Go(func() { s.probe(t) })
	}
	return t
}

// enter puts a task into its queue. The lock is held.
func (s *Server) enter(k ticket, at time.Time) *task {
	t := &task{
		id: s.uuid(), requestID: k.requestID, keyID: k.keyID, account: k.account, order: k.order,
		status: statusPending, submitted: at,
	}
	t.path = "/results/" + s.hex(1) + "/" + s.hex(1) + at.In(east).Format("/20060102/") + s.hex(4) + "/" + t.id + ".mp4"
	s.tasks = append(s.tasks, t)
	s.byID[t.id], s.byPath[t.path] = t, t
	l := k.account.lane(k.order.Model, &s.opt)
	l.waiting = append(l.waiting, t)
	return t
}

// readOrder reads a create's body. Fields it does not know are ignored, as the provider does.
func readOrder(r *http.Request) (order, *refusal) {
	data, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return order{}, badRequest("InvalidParameter", "Required body invalid, please check the request body format.")
	}
	if len(data) > maxBody {
		return order{}, badRequest("BadRequest.TooLarge", "Payload Too Large.")
	}
	var body struct {
		Model      *string          `json:"model"`
		Input      *json.RawMessage `json:"input"`
		Parameters *json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal(data, &body) != nil {
		return order{}, badRequest("InvalidParameter", "Required body invalid, please check the request body format.")
	}
	switch {
	case body.Model == nil || *body.Model == "":
		return order{}, badRequest("BadRequest.EmptyModel", `Required parameter "model" missing from request.`)
	case !slices.Contains([]string{modelMove, modelMix}, *body.Model):
		return order{}, badRequest("InvalidParameter", "Model not exist.")
	case body.Input == nil:
		return order{}, badRequest("BadRequest.EmptyInput", "Required input parameter missing from request.")
	case body.Parameters == nil:
		return order{}, badRequest("BadRequest.EmptyParameters", `Required parameter "parameters" missing from request.`)
	}
	o := order{Model: *body.Model, resolve: r.Header.Get("X-DashScope-OssResourceResolve") == "enable"}
	if no := o.readInput(*body.Input); no != nil {
		return order{}, no
	}
	return o, o.readParameters(*body.Parameters)
}

func (o *order) readInput(data []byte) *refusal {
	var input struct {
		Image     string `json:"image_url"`
		Video     string `json:"video_url"`
		Watermark *bool  `json:"watermark"`
	}
	if json.Unmarshal(data, &input) != nil {
		return badRequest("BadRequest.IllegalInput", "The input parameter requires json format.")
	}
	if input.Image == "" || input.Video == "" {
		return badRequest("InvalidURL", "Required URL is missing or invalid, please check the request URL.")
	}
	o.Image, o.Video = input.Image, input.Video
	return nil
}

func (o *order) readParameters(data []byte) *refusal {
	var parameters struct {
		Mode       string `json:"mode"`
		CheckImage *bool  `json:"check_image"`
	}
	if json.Unmarshal(data, &parameters) != nil || parameters.Mode != modeStd && parameters.Mode != modePro {
		return badRequest("InvalidParameter",
			"Required parameter(mode) missing or invalid, please check the request parameters.")
	}
	o.Mode = parameters.Mode
	return nil
}

func badRequest(code, message string) *refusal {
	return &refusal{http.StatusBadRequest, code, message}
}
