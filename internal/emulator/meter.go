package emulator

import "time"

// A Meter is the provider's own count, believed over any client's. Strangers' tasks are listed
// but enter no total except MaxRunning.
type Meter struct {
	// Creates counts executed creates: each made a task, answered or not.
	Creates int `json:"creates"`

	// Tasks are all tasks in order of acceptance.
	Tasks []MeterTask `json:"tasks"`

	// MaxLivePerPair is the largest number of live tasks (neither FAILED nor CANCELED) of one
	// pair: same model, mode, image and video, by content where that is known. Above 1, somebody paid twice.
	MaxLivePerPair int `json:"max_live_per_pair"`

	// BilledSeconds is the sum over all tasks, as an exact decimal.
	BilledSeconds string `json:"billed_seconds"`

	// Uploads counts what was stored in the temporary store.
	Uploads MeterUploads `json:"uploads"`

	// Requests counts calls by kind: create, query, list, cancel, policy, upload, result. OverLimit counts those
	// beyond a limit, by the same kinds; "running" are creates turned away by Options.Reject.
	Requests  map[string]int `json:"requests"`
	OverLimit map[string]int `json:"over_limit"`

	// NeverFetched counts SUCCEEDED tasks whose result was never sent whole and undamaged.
	NeverFetched int `json:"never_fetched"`

	// MaxRunning is the largest number of tasks of one account and model running at an instant.
	MaxRunning int `json:"max_running"`

	// IdempotencyHeaders counts requests with an idempotency key: Go replays such a POST.
	IdempotencyHeaders int `json:"idempotency_headers"`

	// AuthAtResults counts requests to the result and upload stores that carried an Authorization
	// header: a leaked key.
	AuthAtResults int `json:"auth_at_results"`
}

// MeterUploads are the files in the temporary store, past ones included.
type MeterUploads struct {
	Files    int            `json:"files"`
	Bytes    int64          `json:"bytes"`
	Contents map[string]int `json:"contents"` // SHA-256 -> how often it was stored
}

// A MeterTask is one task as the provider sees it; its status does not expire.
type MeterTask struct {
	ID            string `json:"id"`
	Model         string `json:"model"`
	Mode          string `json:"mode"`
	ImageURL      string `json:"image_url"`
	VideoURL      string `json:"video_url"`
	Status        string `json:"status"`
	Code          string `json:"code,omitempty"`
	BilledSeconds string `json:"billed_seconds"` // "0" unless SUCCEEDED
	Foreign       bool   `json:"foreign"`
	Fetched       bool   `json:"fetched"`
}

// MaxTasksPerPair returns MaxLivePerPair.
func (m Meter) MaxTasksPerPair() int { return m.MaxLivePerPair }

// live says whether a task holds or has cost money.
func (t MeterTask) live() bool { return t.Status != statusFailed && t.Status != statusCanceled }

// counters are the parts of the meter that no task holds.
type counters struct {
	creates, idempotency, authAtResults int
	requests, overLimit                 map[string]int
	uploads                             MeterUploads
}

func newCounters() counters {
	kinds := func(more ...string) map[string]int {
		m := map[string]int{}
		for _, kind := range append(more, "create", "query", "list", "cancel", "policy") {
			m[kind] = 0
		}
		return m
	}
	return counters{requests: kinds("result", "upload"), overLimit: kinds("running"),
		uploads: MeterUploads{Contents: map[string]int{}}}
}

// Meter returns the count as of Options.Now. GET /__meter answers the same as JSON.
func (s *Server) Meter() Meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp()
	m := Meter{
		Creates: s.count.creates, Tasks: []MeterTask{},
		Requests: copyOf(s.count.requests), OverLimit: copyOf(s.count.overLimit),
		Uploads:            MeterUploads{s.count.uploads.Files, s.count.uploads.Bytes, copyOf(s.count.uploads.Contents)},
		IdempotencyHeaders: s.count.idempotency, AuthAtResults: s.count.authAtResults,
		MaxRunning: mostAtOnce(s.tasks),
	}
	type pair struct{ model, mode, image, video string }
	live := map[pair]int{}
	var billed time.Duration
	for _, t := range s.tasks {
		e := t.entry()
		m.Tasks = append(m.Tasks, e)
		if e.Foreign {
			continue
		}
		billed += t.billed
		if e.live() {
			p := pair{e.Model, e.Mode, s.content(e.ImageURL), s.content(e.VideoURL)}
			live[p]++
			m.MaxLivePerPair = max(m.MaxLivePerPair, live[p])
		}
		if e.Status == statusSucceeded && !e.Fetched {
			m.NeverFetched++
		}
	}
	m.BilledSeconds = decimalSeconds(billed)
	return m
}

func (t *task) entry() MeterTask {
	return MeterTask{
		ID: t.id, Model: t.order.Model, Mode: t.order.Mode, ImageURL: t.order.Image, VideoURL: t.order.Video,
		Status: t.status, Code: t.code, BilledSeconds: decimalSeconds(t.billed),
		Foreign: t.foreign, Fetched: t.fetched,
	}
}

// mostAtOnce is the largest number of tasks of one account and model that ran at one instant. It
// is taken from the times the tasks tell, not from the slots, so that it would notice a queue
// that breaks its own limit.
func mostAtOnce(tasks []*task) int {
	most := 0
	for _, t := range tasks {
		if t.scheduled.IsZero() {
			continue
		}
		n := 0
		for _, o := range tasks {
			started := !o.scheduled.IsZero() && !o.scheduled.After(t.scheduled)
			over := !o.done.IsZero() && !o.done.After(t.scheduled)
			if started && !over && o.account == t.account && o.order.Model == t.order.Model {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func copyOf(m map[string]int) map[string]int {
	c := make(map[string]int, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}
