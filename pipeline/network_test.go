package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/internal/journal"
	"github.com/wanbatch/wanbatch/pipeline"
)

// network is a transport that a test stands in.
type network func(*http.Request) (*http.Response, error)

func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n(r) }

// wire carries requests as they are, and leaves no connection behind.
func wire(r *http.Request) (*http.Response, error) {
	t := &http.Transport{DisableKeepAlives: true}
	return t.RoundTrip(r)
}

func isCreate(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/video-synthesis")
}

// When a create leaves, the one intent without outcome in the journal is its own,
// and the room for its outcome is reserved.
func TestIntentStandsWhenItsCreateLeaves(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:2")
	creates := 0
	seen := func(req *http.Request) (*http.Response, error) {
		if isCreate(req) {
			creates++
			r.wantIntent(req)
		}
		return wire(req)
	}
	report := r.run(r.plan(3, "true"), func(c *pipeline.Config) { c.Transport = network(seen) })
	r.settled(report, 3)
	if creates != 3 {
		t.Errorf("%d creates were seen, want 3", creates)
	}
}

func (r *rig) wantIntent(req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	text, err := os.ReadFile(filepath.Join(r.folder(), "journal.jsonl"))
	if err != nil {
		r.t.Error(err)
	}
	var open []string
	content, address := map[string]string{}, map[string]string{} // image of a job, where a content lies
	_, _, err = journal.Replay(bytes.NewReader(text), func(_ int, payload json.RawMessage) error {
		var r journal.Record
		err := json.Unmarshal(payload, &r)
		switch r.Kind {
		case "planned":
			content[r.Job] = r.Plan.ImageSHA256
		case "uploaded":
			address[r.Source] = r.Address
		case "intended":
			open = append(open, r.Job)
		case "accepted", "refused", "absent", "adopted":
			open = slices.DeleteFunc(open, func(job string) bool { return job == r.Job })
		}
		return err
	})
	if err != nil || len(open) != 1 || !bytes.Contains(body, []byte(address[content[open[0]]])) {
		r.t.Errorf("a create leaves while the journal has open intents of %v (%v):\n%s", open, err, body)
	}
	if room, err := os.Stat(filepath.Join(r.folder(), "journal.jsonl.reserve")); err != nil || room.Size() < journal.ReserveBytes {
		r.t.Errorf("a create leaves without room for its outcome: %v", err)
	}
}

// The settle time of the manifest is that of the run: no doubt is settled sooner.
func TestDoubtWaitsForTheSettleTime(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
	plan := r.plan(1, "true", func(m *pipeline.Manifest) { m.Limits.Settle = 90 * time.Second })
	r.settled(r.run(plan), 1)
	var doubt, settled time.Time
	for _, e := range r.events {
		switch e.Kind {
		case "unanswered":
			doubt = e.Time
		case "adopted":
			settled = e.Time
		}
	}
	if took := settled.Sub(doubt); doubt.IsZero() || took < 90*time.Second {
		t.Errorf("settled after %v, want the settle time of 90s first", took)
	}
}

// Nobody says in which order a list comes. Here the newest task stands on its last
// page, and that is the one in doubt.
func TestDoubtIsSettledByEveryPage(t *testing.T) {
	r := newRig(t, 600, emulator.Options{PageSizeMax: 1, QueriesPerSecond: -1}, "lost-reply:3")
	report := r.run(r.plan(3, "true"), func(c *pipeline.Config) { c.Transport = network(oldestFirst) })
	r.settled(report, 3)
	if n := r.provider.Meter().Creates; n != 3 {
		t.Errorf("%d creates for 3 pairs", n)
	}
}

// Rows move between pages while a list is read. Here both lists that would settle
// the doubt find their last page empty, and with it miss the task in doubt: they end
// before their total and prove nothing.
func TestIncompleteListsProveNothing(t *testing.T) {
	r := newRig(t, 600, emulator.Options{PageSizeMax: 1, QueriesPerSecond: -1}, "lost-reply:2")
	missed := 0
	shifting := func(req *http.Request) (*http.Response, error) {
		if req.URL.Query().Get("page_no") != "2" || missed == 2 {
			return oldestFirst(req)
		}
		missed++
		return otherPage(req, 99)
	}
	report := r.run(r.plan(2, "true"), func(c *pipeline.Config) { c.Transport = network(shifting) })
	r.settled(report, 2)
	if n := r.provider.Meter().Creates; n != 2 || missed != 2 {
		t.Errorf("%d creates for 2 pairs, %d lists with a page missed", n, missed)
	}
}

// What a list showed before it broke off counts. Here the two that are whole miss the
// task in doubt, as pages that shift can, and only the one between them showed it.
func TestBrokenListStillShows(t *testing.T) {
	r := newRig(t, 600, emulator.Options{PageSizeMax: 1, QueriesPerSecond: -1}, "lost-reply:2")
	var doubt atomic.Bool
	lists := 0
	moving := func(req *http.Request) (*http.Response, error) {
		page := req.URL.Query().Get("page_no")
		if !doubt.Load() || page == "" {
			return wire(req)
		}
		if page == "1" {
			lists++
		}
		switch {
		case lists == 2 && page == "2":
			return nil, errors.New("broken off")
		case lists == 2 || lists > 3:
			return wire(req)
		}
		resp, err := wire(asked(req, 2)) // the older task alone
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		for _, field := range []string{"total", "total_page", "page_no"} {
			text = bytes.Replace(text, []byte(`"`+field+`":2`), []byte(`"`+field+`":1`), 1)
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
		return resp, err
	}
	report := r.run(r.plan(2, "true"), func(c *pipeline.Config) {
		c.Transport = network(moving)
		told := c.OnEvent
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "unanswered" {
				doubt.Store(true)
			}
			told(e)
		}
	})
	r.settled(report, 2)
	if n := r.provider.Meter().Creates; n != 2 || lists < 3 {
		t.Errorf("%d creates for 2 pairs, %d lists", n, lists)
	}
}

// A batch whose create is in doubt here asks for no list anywhere else: there its
// task would be absent.
func TestDoubtIsNotSettledElsewhere(t *testing.T) {
	r, elsewhere := newRig(t, 600, emulator.Options{}, "lost-reply:1"), newRig(t, 600, emulator.Options{})
	plan := r.plan(1, "true")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := r.try(ctx, plan, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind == "unanswered" {
				cancel()
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatal(err)
	}
	_, err = r.try(t.Context(), plan, func(c *pipeline.Config) { c.Endpoint = elsewhere.server.URL })
	if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), r.server.URL) {
		t.Errorf("at another endpoint: %v", err)
	}
	for call, n := range elsewhere.provider.Meter().Requests {
		if n > 0 {
			t.Errorf("%d times the other endpoint was asked: %s", n, call)
		}
	}
	r.settled(r.run(plan), 1)
}

// While a run writes a batch folder nobody else does: neither a person who resolves
// a job, nor a run that goes to another lane.
func TestFolderHasOneWriter(t *testing.T) {
	r := newRig(t, 300, emulator.Options{})
	plan := r.plan(1, "true")
	refused := 0
	report := r.run(plan, func(c *pipeline.Config) {
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind != "accepted" {
				return
			}
			_, resolve := pipeline.Resolve(r.folder(), "job-000", pipeline.Abandon, "")
			_, run := r.try(t.Context(), plan, func(c *pipeline.Config) { c.APIKey, c.OnEvent = "sk-another-lane", nil })
			for what, err := range map[string]error{"resolve": resolve, "run on another lane": run} {
				if !errors.Is(err, pipeline.ErrLocked) {
					t.Errorf("%s beside a run: %v", what, err)
				}
				refused++
			}
		}
	})
	r.settled(report, 1)
	if refused != 2 {
		t.Errorf("%d were refused, want 2", refused)
	}
}

// oldestFirst turns the order of a list's pages around.
func oldestFirst(r *http.Request) (*http.Response, error) {
	page, err := strconv.Atoi(r.URL.Query().Get("page_no"))
	if err != nil {
		return wire(r)
	}
	pages, err := pagesOf(r)
	if err != nil {
		return nil, err
	}
	if page <= pages {
		return otherPage(r, pages+1-page)
	}
	return wire(r)
}

// otherPage answers with what stands on another page, as the page that was asked for.
func otherPage(r *http.Request, page int) (*http.Response, error) {
	resp, err := wire(asked(r, page))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	told, want := fmt.Sprintf(`"page_no":%d,`, page), fmt.Sprintf(`"page_no":%s,`, r.URL.Query().Get("page_no"))
	text = bytes.Replace(text, []byte(told), []byte(want), 1)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return resp, err
}

// asked is the same request for another page.
func asked(r *http.Request, page int) *http.Request {
	r = r.Clone(r.Context())
	query := r.URL.Query()
	query.Set("page_no", strconv.Itoa(page))
	r.URL.RawQuery = query.Encode()
	return r
}

// pagesOf asks how many pages a list has.
func pagesOf(r *http.Request) (int, error) {
	resp, err := wire(r.Clone(r.Context()))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var list struct {
		TotalPage int `json:"total_page"`
	}
	return list.TotalPage, json.NewDecoder(resp.Body).Decode(&list)
}

// A result that cannot be reached is asked for until it is surely gone, and no longer:
// its URL is not kept beyond its end.
func TestResultThatIsNeverReached(t *testing.T) {
	t.Parallel()
	r := newRig(t, 3600, emulator.Options{TaskLife: time.Hour, URLLife: time.Hour})
	elsewhere := func(req *http.Request) (*http.Response, error) {
		resp, err := wire(req)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		body = bytes.ReplaceAll(body, []byte(r.server.URL+"/results"), []byte("https://10.1.2.3/results")) // refused: it is private
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return resp, err
	}
	plan := r.plan(1, "true", func(m *pipeline.Manifest) { m.Limits.TaskLife = time.Hour })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report, err := r.try(ctx, plan, func(c *pipeline.Config) { c.Transport = network(elsewhere) })
	if err != nil || report.Totals.Lost != 1 {
		t.Errorf("%v; %d lost\n%s", err, report.Totals.Lost, r.trail())
	}
}

// What lists are refused of, looks still tell: a paid result is fetched.
func TestRefusedListsLoseNoResult(t *testing.T) {
	t.Parallel()
	r := newRig(t, 600, emulator.Options{})
	plan := r.plan(2, "true", func(m *pipeline.Manifest) { m.Limits.QueueAhead = 1; m.Limits.CreatePerSecond = 0.01 })
	r.leave(plan, func(e pipeline.Event) bool { return e.Kind == pipeline.EventAccepted })
	refused := func(req *http.Request) (*http.Response, error) {
		if req.Method != http.MethodGet || strings.TrimSuffix(req.URL.Path, "/") != "/api/v1/tasks" {
			return wire(req)
		}
		const no = `{"code":"AccessDenied","message":"Access denied.","request_id":"x"}`
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(no)), Request: req}, nil
	}
	report, err := r.try(t.Context(), plan, func(c *pipeline.Config) { c.Transport = network(refused) })
	if !errors.Is(err, pipeline.ErrAccount) || report.Jobs[0].State != pipeline.StateDone || r.provider.Meter().Creates != 1 {
		t.Errorf("%v; job-000 is %s, %d creates\n%s", err, report.Jobs[0].State, r.provider.Meter().Creates, r.trail())
	}
}
