package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// A world is a machine that can die, its disk, and a provider that lives on. The
// disk is a model, the provider is the emulator behind a function call, time is
// virtual; everything between them is the program itself: the driver's loop, the
// core, the journal and its records, the API client, the downloads.
//
// Every change of the disk is one tick of the world, and every call to the provider
// two: before it arrives and after it was answered. The machine can die before any
// tick. Then nothing that the program still does happens any more.
type world struct {
	t        *testing.T
	disk     *disktest.Disk
	provider *emulator.Server
	bucket   *bucket           // of one's own; it lives on too
	threads  string            // a real folder for locks and reports: effects run in the real pools; "": one after the other
	early    *Plan             // of the first pair alone
	toBucket http.RoundTripper // in place of the network between this machine and the bucket; nil: that
	edit     func(*Config)     // what else a run is told; may be nil

	mu      sync.Mutex // guards all below
	ticks   int        // of this life
	calls   int        // to the provider, of all lives
	dieAt   int        // the machine dies before this tick of its life; 0: never
	epitaph string     // what it was about to do; "" while it lives
	die     context.CancelFunc
	intents int                     // creates that were checked
	ahead   time.Duration           // how far the wall clock is
	rightAt int                     // it is right from this tick of a life on; 0: as ahead says
	fault   func(disktest.Op) error // in place of death; may be nil
	sealed  bool                    // a sync of the journal failed: nothing may be created in this life
}

// errDead is what a dead machine's network says.
var errDead = errors.New("the machine is dead")

// tick is one chance to die.
func (w *world) tick(what string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.epitaph != "" {
		return errDead
	}
	w.ticks++
	if w.ticks == w.rightAt {
		w.ahead = 0
	}
	if w.ticks != w.dieAt {
		return nil
	}
	w.epitaph = what
	w.die()
	return errDead
}

func (w *world) dead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.epitaph != ""
}

// beforeDisk is the disk's view of the machine.
func (w *world) beforeDisk(op disktest.Op) error {
	if op.Kind.Changes() && w.tick(op.String()) != nil || w.dead() {
		return disktest.ErrDead
	}
	if w.fault == nil {
		return nil
	}
	err := w.fault(op)
	if err != nil && op.Kind == disktest.Sync && op.Name == journalName {
		w.mu.Lock()
		w.sealed = true
		w.mu.Unlock()
	}
	return err
}

// RoundTrip is the network: API and results alike.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	what := r.Method + " " + path.Base(path.Dir(r.URL.Path))
	if err := w.tick("send " + what); err != nil {
		return nil, err
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/video-synthesis") {
		w.wantIntent(r)
	}
	w.mu.Lock()
	w.calls++
	w.mu.Unlock()
	resp, err := answer(w.provider, r)
	if dead := w.tick("hear of " + what); dead != nil {
		return nil, dead
	}
	return resp, err
}

// answer lets a handler answer a request, and breaks off where it does.
func answer(h http.Handler, r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Host = r.URL.Host; r.Body == nil {
		r.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	aborted := func() (aborted bool) {
		defer func() {
			if p := recover(); p == http.ErrAbortHandler {
				aborted = true
			} else if p != nil {
				panic(p)
			}
		}()
		h.ServeHTTP(rec, r)
		return false
	}()
	if aborted && rec.Body.Len() == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	resp := rec.Result()
	resp.Request = r
	end := io.EOF
	if aborted {
		end = io.ErrUnexpectedEOF
	}
	resp.Body = io.NopCloser(&pieces{rec.Body.Bytes(), end})
	return resp, nil
}

// pieces is a body that arrives bit by bit and ends in an error.
type pieces struct {
	rest []byte
	end  error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, p.end
	}
	n := copy(b[:min(len(b), 16<<10)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// wantIntent checks that a create which is about to arrive stands in what is certain
// to survive of the journal, and that it is the only one that is unsettled.
func (w *world) wantIntent(r *http.Request) {
	w.mu.Lock()
	if w.sealed {
		w.t.Error("a create arrives after a sync of the journal failed")
	}
	w.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	var order struct {
		Input struct {
			Image string `json:"image_url"`
		} `json:"input"`
	}
	if err := json.Unmarshal(body, &order); err != nil {
		w.t.Errorf("create: %v", err)
	}
	data, _ := w.disk.Durable(journalName)
	core := batch.New(batch.Settings{}, nil)
	if _, _, err := journal.Replay(bytes.NewReader(data), replayInto(core)); err != nil {
		w.t.Errorf("durable journal: %v", err)
	}
	open := core.View().InDoubt
	if len(open) != 1 {
		w.t.Errorf("a create arrives while the durable journal has intents for %v", open)
		return
	}
	if job, _ := core.Job(open[0]); job.Plan.ImageSHA256 != uploadsIn(data)[addressOf(order.Input.Image)] {
		w.t.Errorf("a create of %s arrives, but the durable intent is for %s", order.Input.Image, open[0])
	}
	w.mu.Lock()
	w.intents++
	w.mu.Unlock()
}

// addressOf is what the journal calls an input: of one in the bucket its key, not the
// signed URL.
func addressOf(url string) string {
	if rest, ok := strings.CutPrefix(url, bucketEndpoint); ok {
		key, _, _ := strings.Cut(rest, "?")
		return path.Base(key)
	}
	return url
}

// uploadsIn returns the contents that a journal says were uploaded, by address.
func uploadsIn(data []byte) map[string]string {
	uploads := make(map[string]string)
	_, _, _ = journal.Replay(bytes.NewReader(data), func(_ int, payload json.RawMessage) error { // whoever asks has read it
		e, err := journal.Decode(payload)
		if e.Kind == batch.Uploaded {
			uploads[e.Address] = e.Source
		}
		return err
	})
	return uploads
}

const worldEndpoint = "http://127.0.0.1:9"

// run is [Run] on this world. Unless the world has threads, it goes without the
// locks and the report files, which the model does not hold.
func (w *world) run(p *Plan) error {
	if w.threads != "" {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.die, w.disk.Before = cancel, w.beforeDisk
		_, err := Run(ctx, p, w.config())
		return err
	}
	return w.inFolder(p, func(ctx context.Context, f *folder, cfg Config) error {
		if err := recordPlan(f, p, cfg); err != nil {
			return err
		}
		if v := f.core.View(); v.Left-v.Unselected == 0 {
			return nil
		}
		target, err := resolveEndpoint(p, cfg)
		if err != nil {
			return err
		}
		workers, err := newWorkers(p, f, cfg, target)
		if err != nil {
			return err
		}
		defer workers.close()
		if err := sameLane(f, target, workers.key); err != nil {
			return err
		}
		run := runRecord(p, cfg, target, workers.key)
		run.Run.ID = "run" // or two plays would have nothing in common
		return claimBucketAndDrive(ctx, ctx, f, workers, cfg, run, nil, nil)
	})
}

// inFolder does something with the journal open.
func (w *world) inFolder(p *Plan, do func(context.Context, *folder, Config) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w.die, w.disk.Before = cancel, w.beforeDisk
	cfg := w.config().withDefaults()
	core := batch.New(batchSettings(p, cfg), []batch.LaneSettings{laneSettings(p)})
	f := &folder{path: "batch", disk: w.disk, core: core}
	err := f.replay(true)
	if err == nil {
		err = errors.Join(do(ctx, f, cfg), f.log.Close())
	}
	return err
}

func (w *world) config() Config {
	cfg := Config{Output: w.threads, APIKey: "sk-world", Endpoint: worldEndpoint, Transport: w, testHooks: testHooks{
		disk: func(*os.Root) disk.Disk { return w.disk }, results: w, buckets: toBucket{w}, object: w.objectName, wrong: w.wrong, inline: w.threads == "",
	}, StoreKeys: bucketKeys}
	if w.toBucket != nil {
		cfg.testHooks.buckets = w.toBucket
	}
	if w.edit != nil {
		w.edit(&cfg)
	}
	return cfg
}

// wrong is how far the wall clock is ahead.
func (w *world) wrong() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ahead
}

// objectName is new each time and the same in each play.
func (w *world) objectName(file string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d%s", w.calls, filepath.Ext(file))
}

// resolve settles every quarantined job, as a person does who has looked at the
// batch before.
func (w *world) resolve(p *Plan, verdict Verdict) error {
	kind := map[Verdict]batch.Kind{Adopt: batch.Adopted, Abandon: batch.Abandoned, Resubmit: batch.Again}[verdict]
	return w.inFolder(p, func(_ context.Context, f *folder, _ Config) error {
		for job := range f.core.Jobs() {
			if job.State != batch.StateQuarantined {
				continue
			}
			task := ""
			if kind == batch.Adopted {
				task = job.Attempts[len(job.Attempts)-1].Candidates[0]
			}
			events, err := f.core.Resolve(job.ID, kind, task, coreTime(f.core, time.Now()), time.Now())
			if err != nil {
				return err
			}
			if err := f.record(events...); err != nil {
				return err
			}
		}
		return nil
	})
}

// worldPlan makes a plan of n pairs of real files; the images, in dir, differ in
// their last byte.
func worldPlan(t *testing.T, dir string, n int, exclusive string) *Plan {
	t.Helper()
	media, err := filepath.Abs("../manifests/media")
	if err != nil {
		t.Fatal(err)
	}
	alice, err := os.ReadFile(filepath.Join(media, "characters/alice.png"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "version: 1\nname: test\nlane: {region: singapore, exclusive: %s}\npairs:\n", exclusive)
	for i := range n {
		image := filepath.Join(dir, fmt.Sprintf("c%d.png", i))
		if err := os.WriteFile(image, append(alice, byte(i)), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  - {id: job-%d, image: %s, video: %s}\n", i, image, filepath.Join(media, "dances/jump.mov"))
	}
	m, err := ReadManifest(strings.NewReader(b.String()), filepath.Join(dir, "test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPlan(t.Context(), m, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
