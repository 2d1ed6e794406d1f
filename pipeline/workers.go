package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/shopspring/decimal"
	"golang.org/x/time/rate"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/fetch"
)

// Bounds of one list: more pages than an account can fill in 24 hours.
const (
	listPageSize = 100
	listMaxPages = 1000
)

// workers carry out effects and answer with observations. They decide nothing,
// and they keep what the core must not know: where inputs and results lie.
// All methods are safe for concurrent use.
type workers struct {
	plan     *Plan
	folder   string // of the batch
	client   *dashscope.Client
	key      dashscope.Secret
	fetcher  *fetch.Fetcher
	bucket   *resultBucket // nil if videos only stay here
	loading  chan struct{} // holds as many as download at once
	guard    *fetch.Guard  // carries uploads, to addresses that the provider chose
	supplier inputStore
	queries  *rate.Limiter          // query, list and cancel together
	inputs   map[string]input       // of the plan's jobs
	sources  map[string][]localFile // the local files among them, by SHA-256
	files    map[string]string      // where each job's artifact goes, also of jobs that left the manifest
	trouble  func(op, job, message string)
	// fetching takes up a download; see emitter.
	fetching func(job string) (report func(done, total int64), end func())

	mu   sync.Mutex        // guards urls
	urls map[string]string // task id to signed URL; a credential, never printed or stored
}

// newWorkers checks what is needed to reach the provider. It opens no connection.
func newWorkers(p *Plan, f *folder, cfg Config, target endpoint) (*workers, error) {
	key := dashscope.NewSecret(string(cfg.APIKey))
	if key.IsZero() {
		return nil, fmt.Errorf("%w: there is no API key; set DASHSCOPE_API_KEY or the manifest's lane.api_key_env", ErrUsage)
	}
	guard := fetch.NewGuard(fetch.GuardConfig{Trusted: target.origin, Proxy: cfg.Proxy, Transport: cfg.testHooks.results})
	client, err := dashscope.New(dashscope.Config{BaseURL: target.base, Key: key, Transport: cfg.Transport, Proxy: cfg.Proxy, UserAgent: cfg.userAgent(),
		Uploads: uploadTransport{guard: guard, origin: target.origin, own: cfg.Transport}})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	bucket, err := newResultBucket(&p.Manifest, f, cfg)
	if err != nil {
		return nil, err
	}
	supplier, err := newInputStore(&p.Manifest, client, cfg, target)
	if err != nil {
		return nil, err
	}
	w := &workers{
		plan: p, folder: f.path, client: client, key: key, bucket: bucket, guard: guard,
		supplier: supplier,
		fetcher:  fetch.New(fetch.Config{Trusted: target.origin, Proxy: cfg.Proxy, UserAgent: cfg.userAgent(), Transport: cfg.testHooks.results}),
		loading:  make(chan struct{}, cfg.Fetches),
		queries:  rate.NewLimiter(rate.Limit(p.Manifest.Limits.QueryPerSecond*cfg.Speed), 1),
		inputs:   make(map[string]input, p.Len()),
		sources:  make(map[string][]localFile),
		files:    make(map[string]string),
		urls:     make(map[string]string),
	}
	for job := range f.core.Jobs() {
		w.files[job.ID] = job.Plan.File
	}
	for job, err := range p.Jobs() {
		if err != nil {
			return nil, err
		}
		in := input{mode: job.Mode}
		in.image = w.place(job.Image, job.ImageName, job.ImageSHA256)
		in.video = w.place(job.Video, job.VideoName, job.VideoSHA256)
		w.inputs[job.ID] = in
	}
	return w, nil
}

// place returns the URL of an input; "" for a local file, which is noted to be
// uploaded.
func (w *workers) place(where, name, sum string) string {
	if sum == "" {
		return where
	}
	if src := (localFile{path: where, name: name}); !slices.Contains(w.sources[sum], src) {
		w.sources[sum] = append(w.sources[sum], src)
	}
	return ""
}

func (w *workers) close() {
	w.client.Close()
	w.fetcher.Close()
	if w.bucket != nil {
		w.bucket.close()
	}
	w.guard.Close()
	w.supplier.close()
}

// input is all that a create needs to know of a job: a run holds one for each.
type input struct {
	mode         Mode
	image, video string // URLs, which may be signed; "" for what is uploaded
}

// create sends the one POST of an attempt. Whatever leaves its outcome open is
// Unknown: only the lists can tell then.
func (w *workers) create(ctx context.Context, e batch.Effect) batch.Observation {
	in := w.inputs[e.Job]
	for _, up := range []struct {
		address string
		url     *string
	}{{e.Image, &in.image}, {e.Video, &in.video}} {
		if up.address == "" {
			continue
		}
		var err error
		if *up.url, err = w.supplier.url(ctx, up.address); err != nil { // nothing was sent
			return batch.Observation{Effect: e, Result: batch.Rejected, Class: batch.ClassConfig, Message: err.Error()}
		}
	}
	m := w.plan.Manifest
	made, err := w.client.Create(ctx, dashscope.CreateRequest{
		Model: m.Model, Mode: string(in.mode), ImageURL: in.image, VideoURL: in.video,
		Watermark: m.Watermark, CheckImage: m.CheckImage,
	})
	if err == nil {
		return batch.Observation{Effect: e, Result: batch.Created, Task: made.TaskID, Request: made.RequestID}
	}
	o := failure(err)
	o.Effect, o.Result = e, batch.Unknown
	if call := (*dashscope.Error)(nil); errors.As(err, &call) && !call.MayHaveExecuted() {
		o.Result = batch.Rejected
	}
	return o
}

// look carries out queries, lists and cancels, each under the query limit.
func (w *workers) look(ctx context.Context, e batch.Effect) batch.Observation {
	var o batch.Observation
	var err error
	switch e.Op {
	case batch.OpList:
		o, err = w.list(ctx, string(e.Status))
	case batch.OpCancel:
		o, err = w.cancel(ctx, e.Task)
	default:
		o, err = w.query(ctx, e.Task)
	}
	if err != nil {
		shown := o.Rows // by a list, before it broke off
		o = failure(err)
		o.Result, o.Rows = batch.Failed, shown
		w.trouble(string(e.Op), e.Job, err.Error())
	} else if e.Op == batch.OpList && !o.Complete {
		w.trouble(string(e.Op), "", o.Message)
	}
	o.Effect = e
	return o
}

func (w *workers) query(ctx context.Context, id string) (batch.Observation, error) {
	task, err := w.ask(ctx, id)
	if err != nil {
		return batch.Observation{}, err
	}
	o := batch.Observation{
		Result: batch.Looked, Status: batch.Status(task.Status),
		Times: batch.Times{Submitted: task.Submitted, Scheduled: task.Scheduled, Ended: task.Ended},
	}
	if expires, ok := fetch.Expires(task.VideoURL); ok {
		o.Times.Expires = expires
	}
	if task.Usage != nil {
		o.Usage, o.Ratio = task.Usage.Duration, task.Usage.Ratio
	}
	if o.Status == batch.StatusFailed || o.Status == batch.StatusCanceled {
		o.Class = batch.Class(dashscope.Classify(200, task.Code, task.Message).String())
		o.Code, o.Message = task.Code, task.Message
	}
	return o, nil
}

// ask queries one task and keeps the URL of its result.
func (w *workers) ask(ctx context.Context, id string) (dashscope.Task, error) {
	if err := w.queries.Wait(ctx); err != nil {
		return dashscope.Task{}, cmp.Or(context.Cause(ctx), err)
	}
	task, err := w.client.Query(ctx, id)
	if err == nil && task.VideoURL != "" {
		w.mu.Lock()
		w.urls[id] = task.VideoURL
		w.mu.Unlock()
	}
	return task, err
}

// list asks for every page, of all tasks or of those in one status. It is complete
// only if no page is missing: if its distinct rows reach the total, or, where none is
// told, if it goes on to an empty page. A row may stand twice, since rows shift between
// pages, but never makes up for one that is missing. Message says how much an incomplete list
// showed. With an error it returns what the pages before it showed.
func (w *workers) list(ctx context.Context, status string) (batch.Observation, error) {
	o := batch.Observation{Result: batch.Listed}
	shown, total := make(map[string]bool), 0
	for page := 1; page <= listMaxPages; page++ {
		if err := w.queries.Wait(ctx); err != nil {
			return o, cmp.Or(context.Cause(ctx), err)
		}
		got, err := w.client.List(ctx, dashscope.ListRequest{Model: w.plan.Manifest.Model, Status: status, Page: page, PageSize: listPageSize})
		if err != nil {
			return o, err
		}
		before := len(shown)
		for _, r := range got.Rows {
			o.Rows = append(o.Rows, batch.Row{Task: r.TaskID, Model: r.Model, Status: batch.Status(r.Status), KeyID: r.APIKeyID, Made: r.Created})
			shown[r.TaskID] = true
		}
		o.Pages, o.Clock, total = page, got.Clock, max(total, got.Total)
		o.Message = partly(len(shown), total)
		switch last := page >= got.TotalPage; {
		case got.PageNo != 0 && got.PageNo != page:
			o.Message += fmt.Sprintf(" and gave page %d for page %d", got.PageNo, page)
			return o, nil
		case len(got.Rows) == 0, last && total > 0 && len(shown) >= total:
			o.Complete = len(shown) >= total
			return o, nil
		case last && len(shown) == before: // the same rows would come for ever
			return o, nil
		}
	}
	return o, nil
}

// partly says how much of itself an incomplete list showed; total is 0 if it does not
// tell.
func partly(shown, total int) string {
	of := fmt.Sprint("of ", total)
	if total == 0 {
		of = "without saying of how many"
	}
	return fmt.Sprintf("the list of tasks is incomplete: it showed %d %s", shown, of)
}

func (w *workers) cancel(ctx context.Context, id string) (batch.Observation, error) {
	if err := w.queries.Wait(ctx); err != nil {
		return batch.Observation{}, cmp.Or(context.Cause(ctx), err)
	}
	switch err := w.client.Cancel(ctx, id); {
	case err == nil:
		return batch.Observation{Result: batch.Canceled}, nil
	case errors.Is(err, dashscope.ErrTooLate):
		return batch.Observation{Result: batch.TooLate}, nil
	default:
		return batch.Observation{}, err
	}
}

// fetch brings a result into the batch folder, and from there into the bucket if
// there is one. It uses the URL that it holds, or asks for it.
func (w *workers) fetch(ctx context.Context, on disk.Disk, e batch.Effect) batch.Observation {
	name := videosName + "/" + w.files[e.Job]
	o := batch.Observation{Effect: e, Result: batch.Failed, Class: batch.ClassRetry}
	if w.bucket == nil {
		o = w.download(ctx, on, name, o)
	} else {
		o = w.downloadAndKeep(ctx, on, name, o)
	}
	if o.Result != batch.Fetched && o.Code != codeStoreBusy {
		w.trouble("fetch", e.Job, o.Message)
	}
	return o
}

func (w *workers) downloadAndKeep(ctx context.Context, on disk.Disk, name string, o batch.Observation) batch.Observation {
	n, found := readNote(on, name, o.Effect.Task)
	if !found {
		got := w.download(ctx, on, name, o)
		if got.Result != batch.Fetched {
			return got
		}
		a := got.Artifact
		n = note{Task: o.Effect.Task, Bytes: a.Bytes, SHA256: a.SHA256, CRC64: a.CRC64, Duration: a.Duration}
		if err := writeNote(on, name, n); err != nil {
			w.trouble("fetch", o.Effect.Job, err.Error())
		}
	}
	return w.bucket.uploadResult(ctx, on, name, n, o)
}

// download brings a result into the batch folder.
func (w *workers) download(ctx context.Context, on disk.Disk, name string, o batch.Observation) batch.Observation {
	if o.Effect.Anew {
		w.drop(o.Effect.Task)
	}
	address, err := w.address(ctx, o.Effect.Task)
	switch {
	case errors.Is(err, errGone):
		o.Result, o.Code, o.Message = batch.Forbidden, batch.CodeUnknownTask, err.Error()
		return o
	case err != nil:
		failed := failure(err)
		failed.Effect, failed.Result = o.Effect, batch.Failed
		return failed
	}
	w.loading <- struct{}{} // who is there ends when the context does
	defer func() { <-w.loading }()
	report, end := w.fetching(o.Effect.Job)
	file, err := w.fetcher.Fetch(ctx, on, name, address, report)
	end()
	switch {
	case err == nil:
		w.drop(o.Effect.Task)
		o.Result = batch.Fetched
		o.Artifact = &batch.Artifact{Path: name, Bytes: file.Bytes, SHA256: file.SHA256, CRC64: file.CRC64, Duration: seconds(file.Duration)}
		return o
	case errors.Is(err, fetch.ErrForbidden):
		w.drop(o.Effect.Task)
		o.Result = batch.Forbidden
		o.Expires, _ = fetch.Expires(address) // zero if it does not say
	case errors.Is(err, fetch.ErrDisk):
		o.Result = batch.DiskFull
	}
	o.Message = err.Error()
	if link := (*os.LinkError)(nil); errors.As(err, &link) && errors.Is(err, fs.ErrExist) { // a file would have been replaced
		o.Message = fmt.Sprintf("%s %v, where the video of job %s belongs", filepath.Join(w.folder, name), errInTheWay, o.Effect.Job)
	}
	return o
}

// errInTheWay: there is a folder at the path of a file.
var errInTheWay = errors.New("is a folder")

// errGone: the provider no longer knows the task, so its result has no URL.
var errGone = errors.New("the provider no longer knows the task")

// address is the signed URL of a task's result.
func (w *workers) address(ctx context.Context, id string) (string, error) {
	w.mu.Lock()
	held, ok := w.urls[id]
	w.mu.Unlock()
	if ok {
		return held, nil
	}
	task, err := w.ask(ctx, id)
	switch {
	case err != nil:
		return "", err
	case task.VideoURL != "":
		return task.VideoURL, nil
	case task.Status == dashscope.StatusUnknown:
		return "", errGone
	}
	return "", fmt.Errorf("task %s is %s but has no result URL", id, task.Status)
}

// drop forgets a URL: it was used or has ended, or the store refused it.
func (w *workers) drop(id string) {
	w.mu.Lock()
	delete(w.urls, id)
	w.mu.Unlock()
}

// seconds is a duration as exact decimal seconds.
func seconds(d time.Duration) decimal.Decimal {
	return decimal.New(int64(d), -9)
}
