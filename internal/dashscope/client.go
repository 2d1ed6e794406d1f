package dashscope

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	createPath = "/api/v1/services/aigc/image2video/video-synthesis"
	tasksPath  = "/api/v1/tasks/"
)

var taskID = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// ValidTaskID reports whether id has the only form that may enter a path. Those of the
// provider are UUIDs, but it does not promise that.
func ValidTaskID(id string) bool { return taskID.MatchString(id) }

// Config sets up a [Client]. BaseURL and Key are required.
type Config struct {
	// BaseURL is scheme://host[:port], with or without /api/v1. It must be
	// https unless the host is a loopback address.
	BaseURL string
	// Key is sent to BaseURL and nowhere else.
	Key Secret
	// Transport carries the requests; nil means one made for this client.
	// An *http.Transport is cloned and hardened; any other is used as it is,
	// and must then send each request at most once.
	Transport http.RoundTripper
	// Proxy chooses a proxy when Transport is nil; nil means none. Pass
	// http.ProxyFromEnvironment to honour the environment.
	Proxy func(*http.Request) (*url.URL, error)
	// Uploads carries the form POSTs of [Client.Upload] to the host that a policy
	// names, and nothing else. It is given without the key to an address that
	// the provider chose, so it must refuse private ones when it dials. Nil:
	// this client cannot upload. It is not closed by Close.
	Uploads http.RoundTripper
	// UploadStall is how long an upload may go without 64 KiB being taken or, at
	// its end, an answer coming. Defaults to 60 s.
	UploadStall time.Duration
	// CreateTimeout and ReadTimeout bound one create, and one of the other
	// calls, from dialling to the last byte. Defaults to 60 s and 30 s.
	CreateTimeout, ReadTimeout time.Duration
	// UserAgent defaults to "wanbatch".
	UserAgent string
}

// Client calls one endpoint with one key. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	key     Secret
	agent   string
	create  time.Duration
	read    time.Duration
	wire    wire
	uploads http.RoundTripper
	stall   time.Duration
	scrub   scrubber
}

// New checks cfg and returns a client. It opens no connection.
func New(cfg Config) (*Client, error) {
	base, err := parseBase(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	if err := cfg.Key.Check(); err != nil {
		return nil, err
	}
	c := &Client{
		base: base, key: cfg.Key, agent: cfg.UserAgent,
		create: cfg.CreateTimeout, read: cfg.ReadTimeout,
		wire: newWire(cfg.Transport, cfg.Proxy), scrub: newScrubber(cfg.Key),
		uploads: cfg.Uploads, stall: cfg.UploadStall,
	}
	if c.stall <= 0 {
		c.stall = time.Minute
	}
	if c.agent == "" {
		c.agent = "wanbatch"
	}
	if c.create <= 0 {
		c.create = 60 * time.Second
	}
	if c.read <= 0 {
		c.read = 30 * time.Second
	}
	return c, nil
}

// Close drops idle connections. The client stays usable.
func (c *Client) Close() { c.wire.close() }

// CreateRequest asks for one paid task.
type CreateRequest struct {
	// Model is wan2.2-animate-move or wan2.2-animate-mix.
	Model string
	// ImageURL and VideoURL are http, https or oss URLs that the provider
	// fetches.
	ImageURL, VideoURL string
	// Mode is wan-std or wan-pro.
	Mode string
	// Watermark puts an "AI generated" mark on the video.
	Watermark bool
	// CheckImage lets the provider check the image for a usable person.
	CheckImage bool
}

// Created is the answer to an accepted create.
type Created struct {
	TaskID    string
	RequestID string // also a list row's RequestID
	Status    string // normally PENDING
}

// Create asks the provider for a task, which costs money if it succeeds. It
// sends at most one POST. On any error the result is an *[Error], whose
// MayHaveExecuted tells whether a task may exist all the same.
//
// Wire format: help.aliyun.com/zh/model-studio/wan-animate-move-api (2026).
func (c *Client) Create(ctx context.Context, r CreateRequest) (Created, error) {
	a, err := c.send(ctx, call{
		op: OpCreate, method: http.MethodPost, path: createPath, timeout: c.create,
		body: createBody(r), header: createHeader(r),
	})
	if err != nil {
		return Created{}, err
	}
	var w wireCreated
	if err := json.Unmarshal(a.body, &w); err != nil {
		return Created{}, a.unusable(c, "answer is not the JSON of a created task")
	}
	if !ValidTaskID(string(w.Output.TaskID)) {
		return Created{}, a.unusable(c, "answer has no usable task id")
	}
	return Created{
		TaskID:    string(w.Output.TaskID),
		RequestID: c.scrub.clean(string(w.RequestID), maxWord),
		Status:    c.scrub.clean(string(w.Output.Status), maxWord),
	}, nil
}

func createHeader(r CreateRequest) http.Header {
	h := http.Header{"X-Dashscope-Async": {"enable"}}
	if strings.HasPrefix(r.ImageURL, "oss://") || strings.HasPrefix(r.VideoURL, "oss://") {
		h.Set("X-DashScope-OssResourceResolve", "enable")
	}
	return h
}

// Query asks for one task. The provider answers 200 for every state and also
// for an id it does not know (status UNKNOWN). Errors are of type *[Error].
func (c *Client) Query(ctx context.Context, id string) (Task, error) {
	if !ValidTaskID(id) {
		return Task{}, c.badID(OpQuery, id)
	}
	a, err := c.send(ctx, call{op: OpQuery, method: http.MethodGet, path: tasksPath + url.PathEscape(id), timeout: c.read})
	if err != nil {
		return Task{}, err
	}
	var w wireTask
	if err := json.Unmarshal(a.body, &w); err != nil || w.Output == nil || w.Output.Status == "" {
		return Task{}, a.unusable(c, "answer has no task status")
	}
	if got := string(w.Output.TaskID); got != "" && got != id {
		return Task{}, a.unusable(c, "answer is about another task")
	}
	return c.task(id, w), nil
}

// Probe asks for a task that nobody has, which costs and changes nothing, to learn
// whether the endpoint answers and takes the key. It returns the clock of whoever
// answered, also with an error; zero if it is not known. Errors are of type *[Error].
func (c *Client) Probe(ctx context.Context) (time.Time, error) {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, by its contract
	path := fmt.Sprintf("%s%x-%x-%x-%x-%x", tasksPath, id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	a, err := c.send(ctx, call{op: OpQuery, method: http.MethodGet, path: path, timeout: c.read})
	if err != nil {
		return err.Date, err
	}
	var w wireTask
	if err := json.Unmarshal(a.body, &w); err != nil || w.Output == nil || w.Output.Status == "" {
		return a.err.Date, a.unusable(c, "answer has no task status")
	}
	return a.err.Date, nil
}

// ListRequest selects a page of the account's tasks of the last 24 hours.
type ListRequest struct {
	Model    string // empty for all
	Status   string // only tasks in this status; empty for all
	Page     int    // from 1; 0 means 1
	PageSize int    // 0 leaves it to the provider (10); the maximum is not published
}

// List returns one page. An answer that lacks its rows, or has a row without a
// usable task id, is an *[Error]: what is missing from a list may be taken
// as proof that a task does not exist. The order of rows is not documented.
func (c *Client) List(ctx context.Context, r ListRequest) (Page, error) {
	query := url.Values{"page_no": {strconv.Itoa(max(r.Page, 1))}}
	if r.PageSize > 0 {
		query.Set("page_size", strconv.Itoa(r.PageSize))
	}
	if r.Model != "" {
		query.Set("model_name", r.Model)
	}
	if r.Status != "" {
		query.Set("status", r.Status)
	}
	a, err := c.send(ctx, call{op: OpList, method: http.MethodGet, path: tasksPath, query: query, timeout: c.read})
	if err != nil {
		return Page{}, err
	}
	var w wirePage
	if err := json.Unmarshal(a.body, &w); err != nil || !w.whole(max(r.Page, 1)) {
		return Page{}, a.unusable(c, "answer is not a list of tasks")
	}
	page, bad := c.page(w)
	if bad != nil {
		return Page{}, a.unusable(c, bad.Error())
	}
	page.Clock = a.err.Date
	return page, nil
}

// Cancel cancels a task that is still waiting, which costs nothing. Nil means
// that the provider confirmed it; an error that matches [ErrTooLate] means that
// the task was not waiting any more. It is sent once, though repeating it is
// harmless. Errors are of type *[Error].
func (c *Client) Cancel(ctx context.Context, id string) error {
	if !ValidTaskID(id) {
		return c.badID(OpCancel, id)
	}
	a, err := c.send(ctx, call{op: OpCancel, method: http.MethodPost, path: tasksPath + url.PathEscape(id) + "/cancel", timeout: c.read})
	if err != nil {
		return tooLate(err)
	}
	// A page that a proxy made up must not count as a confirmation.
	var w wireError
	if err := json.Unmarshal(a.body, &w); err != nil || w.Code != "" || w.RequestID == "" {
		return a.unusable(c, "answer does not confirm the cancellation")
	}
	return nil
}

func tooLate(err *Error) error {
	if normalize(err.Code) == "unsupportedoperation" {
		err.cause = ErrTooLate
	}
	return err
}

func (c *Client) badID(op, id string) error {
	return &Error{Op: op, cause: fmt.Errorf("task id %q is not 1 to 64 letters, digits and dashes", c.scrub.clean(id, maxWord))}
}
