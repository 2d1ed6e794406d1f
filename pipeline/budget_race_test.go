package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// Promise 5 against everything at once: in 1,000 random schedules two runs race for
// one batch under a cap, are killed or lose their power, and come back, on a
// provider that loses answers, fails tasks and forgets usages. At every create the
// provider's own count of what its tasks cost stays within the cap, and so do
// billed, held and possible after every record of the journal.
func TestCapHoldsWhileRunsRaceAndDie(t *testing.T) {
	schedules := 1000
	if testing.Short() || raceEnabled {
		schedules = 60
	}
	folder := realFolder(t)
	plans := map[string]*Plan{}
	for _, lane := range []string{"true", "false"} {
		plans[lane] = dearPlan(t, lane)
	}
	var total tolls
	for seed := range uint64(schedules) {
		dice := rand.New(rand.NewPCG(seed, 5))
		lane := []string{"true", "true", "false"}[dice.IntN(3)]
		r := &race{dice: dice, plan: plans[lane]}
		synctest.Test(t, func(t *testing.T) { r.play(t, filepath.Join(folder, fmt.Sprint(seed))) })
		total.add(r.tolls)
		if t.Failed() {
			t.Fatalf("seed %d, cap %s, lane exclusive %s", seed, r.cap, lane)
		}
	}
	t.Logf("%d schedules: %+v", schedules, total)
	if total.creates < 2*schedules || total.deaths < schedules || total.locked < schedules/8 || total.stopped < schedules/4 {
		t.Errorf("the schedules are too tame to prove anything: %+v", total)
	}
}

// tolls is what happened, so that a test which tries nothing shows.
type tolls struct{ creates, deaths, locked, stopped, resolved int }

func (t *tolls) add(o tolls) {
	t.creates += o.creates
	t.deaths += o.deaths
	t.locked += o.locked
	t.stopped += o.stopped
	t.resolved += o.resolved
}

// race is one schedule.
type race struct {
	*world
	tolls
	dice *rand.Rand
	plan *Plan
	cap  decimal.Decimal
}

// dearPlan is four pairs of different lengths and modes.
func dearPlan(t *testing.T, exclusive string) *Plan {
	m := worldPlan(t, t.TempDir(), 4, exclusive).Manifest
	for i := range m.Pairs {
		m.Pairs[i].Mode = []Mode{ModeStd, ModePro}[i%2]
		m.Pairs[i].Video = filepath.Join(filepath.Dir(m.Pairs[i].Video), []string{"jump.mov", "salsa.mp4", "robot.mp4"}[i%3])
	}
	p, err := NewPlan(t.Context(), &m, PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (r *race) play(t *testing.T, output string) {
	opt := emulator.Options{Seed: r.dice.Uint64() | 1, Running: 1 + r.dice.IntN(2),
		RunTime: func(string, float64) time.Duration { return 20 * time.Second }}
	for _, text := range []string{"lost-reply:20%", "lost-request:20%", "failed-algo:20%", "missing-usage:20%", "create-500:20%", "late-create:10%", "foreign-task:2"} {
		if r.dice.IntN(3) > 0 {
			continue
		}
		fault, err := emulator.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		opt.Faults = append(opt.Faults, fault)
	}
	r.world = &world{t: t, disk: disktest.New(), provider: emulator.New(opt), threads: output}
	defer r.provider.Close()
	r.cap = decimal.New(40+int64(r.dice.IntN(250)), -2) // a hold is 0.6 to 0.9
	for range 1 + r.dice.IntN(3)/2 {
		r.life(true)
		r.settleByHand()
		if r.dice.IntN(4) == 0 {
			r.cap = r.cap.Add(decimal.New(int64(r.dice.IntN(100)), -2))
		}
		time.Sleep(time.Minute)
	}
	r.life(false)
	r.creates = r.provider.Meter().Creates
	r.wantCapInJournal()
	if _, report := r.read(); report != nil {
		r.wantCapOnMeter("at the end")
	}
}

// life lets two runs race, and kills each of them, or their machine, somewhere on
// the way. One that is not deadly is one run alone.
func (r *race) life(deadly bool) {
	a, b := r.process(), r.process()
	powerCut := false
	if deadly {
		a.dieAt, b.dieAt = 1+r.dice.IntN(200), 1+r.dice.IntN(200)
		if powerCut = r.dice.IntN(2) == 0; powerCut {
			a.twin, b.twin = b, a
		}
	}
	late := time.Duration(r.dice.IntN(90)) * time.Second
	var both sync.WaitGroup
	both.Go(func() { a.run(0) })
	if deadly {
		both.Go(func() { b.run(late) })
	}
	both.Wait()
	for _, p := range []*process{a, b} {
		switch {
		case p.dead:
			r.deaths++
		case errors.Is(p.err, ErrLocked):
			r.locked++
		case errors.Is(p.err, ErrBudget):
			r.stopped++
		case p.err != nil && !errors.Is(p.err, ErrInterrupted):
			r.t.Errorf("run: %v", p.err)
		}
	}
	if powerCut && a.dead && b.dead {
		images := r.images(2)
		r.disk = images[r.dice.IntN(len(images))].disk()
	}
}

// settleByHand lets a person decide about quarantined jobs, rightly or not.
func (r *race) settleByHand() {
	core, _ := r.read()
	n := core.View().Jobs[batch.StateQuarantined]
	if n == 0 || r.dice.IntN(2) == 0 {
		return
	}
	verdict := []Verdict{Abandon, Resubmit}[r.dice.IntN(2)]
	if err := r.resolve(r.plan, verdict); err != nil {
		r.t.Errorf("resolve: %v", err)
	}
	r.resolved += n
}

// wantCapInJournal goes through the journal record by record.
func (r *race) wantCapInJournal() {
	data, _ := r.disk.Bytes(journalName)
	core := batch.New(batch.Settings{}, nil)
	fold := replayInto(core)
	_, _, err := journal.Replay(bytes.NewReader(data), func(line int, payload json.RawMessage) error {
		if err := fold(line, payload); err != nil {
			return err
		}
		run, v := core.LastRun(), core.View()
		if sum := v.Spent.Add(v.Held).Add(v.Possible); run != nil && sum.GreaterThan(run.Cap.Decimal) {
			return fmt.Errorf("line %d: billed %s, held %s and possible %s exceed %s", line, v.Spent, v.Held, v.Possible, run.Cap.Decimal)
		}
		return nil
	})
	if err != nil {
		r.t.Errorf("the journal: %v", err)
	}
}

// wantCapOnMeter adds up what the provider's tasks cost or are going to.
func (r *race) wantCapOnMeter(when string) {
	var sum decimal.Decimal
	for _, task := range r.provider.Meter().Tasks {
		if task.Foreign || task.Status == "FAILED" || task.Status == "CANCELED" {
			continue
		}
		sum = sum.Add(r.plan.units[Mode(task.Mode)].Mul(r.length(task.VideoURL)))
	}
	if sum.GreaterThan(r.cap) {
		r.t.Errorf("%s: the provider's tasks cost %s, the cap is %s", when, sum, r.cap)
	}
}

func (r *race) length(video string) decimal.Decimal {
	data, _ := r.disk.Bytes(journalName)
	content := uploadsIn(data)[video]
	for job, err := range r.plan.Jobs() {
		if err == nil && job.VideoSHA256 == content {
			return job.Length.Decimal
		}
	}
	r.t.Errorf("the provider has a task of %s", video)
	return decimal.Zero
}

// process is one run of the program. It can be killed alone: then nothing that it
// still does reaches disk or provider, and only its lock is given back, as the
// kernel does. Every change of the disk and both ends of a call are ticks of its
// life.
type process struct {
	*race
	twin   *process // dies with it; nil: each dies alone
	wait   bool
	cancel context.CancelFunc
	ctx    context.Context
	err    error

	mu    sync.Mutex // guards all below
	ticks int
	dieAt int // 0: never
	dead  bool
}

func (r *race) process() *process {
	p := &process{race: r, wait: r.dice.IntN(6) == 0}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *process) run(delay time.Duration) {
	defer p.cancel()
	time.Sleep(delay)
	if p.gone() {
		return
	}
	_, p.err = Run(p.ctx, p.plan, Config{Output: p.threads, APIKey: "sk-world", Endpoint: worldEndpoint, Transport: p, Wait: p.wait,
		MaxCost: decimal.NewNullDecimal(p.cap), testHooks: testHooks{disk: func(*os.Root) disk.Disk { return mortal{p.disk, p} }, results: p}})
}

// tick is one chance to die.
func (p *process) tick() error {
	p.mu.Lock()
	p.ticks++
	dies := p.ticks == p.dieAt
	p.mu.Unlock()
	if dies {
		p.kill()
		if p.twin != nil {
			p.twin.kill()
		}
	}
	if p.gone() {
		return disktest.ErrDead
	}
	return nil
}

func (p *process) kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
	p.cancel()
}

func (p *process) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// RoundTrip is the network of this process.
func (p *process) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.tick() != nil {
		return nil, errDead
	}
	create := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/video-synthesis")
	if create {
		p.wantIntent(r)
	}
	resp, err := answer(p.provider, r)
	if create {
		p.wantCapOnMeter("a create arrived")
	}
	if p.tick() != nil {
		return nil, errDead
	}
	return resp, err
}

// mortal is the disk as a process sees it that may be killed.
type mortal struct {
	disk.Disk
	p *process
}

func (d mortal) OpenFile(name string, flag int, perm fs.FileMode) (disk.File, error) {
	if err := d.p.tick(); err != nil {
		return nil, err
	}
	f, err := d.Disk.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return mortalFile{f, d.p}, nil
}

func (d mortal) MkdirAll(name string, perm fs.FileMode) error {
	return d.p.unlessDead(func() error { return d.Disk.MkdirAll(name, perm) })
}

func (d mortal) Remove(name string) error {
	return d.p.unlessDead(func() error { return d.Disk.Remove(name) })
}

func (d mortal) Rename(from, to string) error {
	return d.p.unlessDead(func() error { return d.Disk.Rename(from, to) })
}

func (d mortal) SyncDir(name string) error {
	return d.p.unlessDead(func() error { return d.Disk.SyncDir(name) })
}

func (p *process) unlessDead(do func() error) error {
	if err := p.tick(); err != nil {
		return err
	}
	return do()
}

type mortalFile struct {
	disk.File
	p *process
}

func (f mortalFile) Write(b []byte) (n int, err error) {
	err = f.p.unlessDead(func() error { n, err = f.File.Write(b); return err })
	return n, err
}

func (f mortalFile) WriteAt(b []byte, off int64) (n int, err error) {
	err = f.p.unlessDead(func() error { n, err = f.File.WriteAt(b, off); return err })
	return n, err
}

func (f mortalFile) Sync() error { return f.p.unlessDead(f.File.Sync) }

func (f mortalFile) Truncate(size int64) error {
	return f.p.unlessDead(func() error { return f.File.Truncate(size) })
}
