package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/emulator"
)

// A cronDay is a batch that grows by the hour and is run every hour, whatever became
// of the run before. Time is virtual, the locks are real, the disk is a model that a
// killed process leaves as it was.
type cronDay struct {
	t        *testing.T
	provider *emulator.Server
	output   string
	began    time.Time
	plans    [24]*Plan

	mu   sync.Mutex // guards disk and ends
	disk *disktest.Disk
	ends [24]cronEnd
}

// cronEnd is how and when the run of an hour ended.
type cronEnd struct {
	report *Report
	err    error
	after  time.Duration // since midnight
}

// The day: two new jobs of four minutes each hour, and what happens besides.
const (
	cronRunTime   = 4 * time.Minute
	cronLongA     = 3          // 20 jobs more: goes on when the next run starts, which is refused
	cronCrash     = 8          // 6 jobs more: killed when its 5th create was executed
	cronKilledAt  = 5          //
	cronLongB     = 11         // 25 jobs more: the next run waits for it
	cronOutage    = 15         // 8 jobs more, and the provider is away:
	cronOutageMin = 15*60 + 10 // from here, by connections that are refused,
	cronOutageMid = 16*60 + 10 // then by answers of 503,
	cronOutageMax = 17*60 + 20 // to here
)

func (d *cronDay) minute() int { return int(time.Since(d.began) / time.Minute) }

// cronRun is one run of the program.
type cronRun struct {
	day     *cronDay
	hour    int
	creates atomic.Int64
	dead    atomic.Bool
	die     context.CancelFunc
}

// RoundTrip is its network.
func (p *cronRun) RoundTrip(r *http.Request) (*http.Response, error) {
	switch m := p.day.minute(); {
	case p.dead.Load():
		return nil, errDead
	case m >= cronOutageMin && m < cronOutageMid:
		return nil, syscall.ECONNREFUSED
	case m >= cronOutageMid && m < cronOutageMax:
		return answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }), r)
	}
	create := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/video-synthesis")
	resp, err := answer(p.day.provider, r)
	if create && p.hour == cronCrash && p.creates.Add(1) == cronKilledAt {
		p.dead.Store(true) // paid, and nobody heard of it
		p.die()
		return nil, errDead
	}
	return resp, err
}

// start is what cron does at an hour.
func (d *cronDay) start(hour int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p := &cronRun{day: d, hour: hour, die: cancel}
	report, err := Run(ctx, d.plans[hour], Config{
		Output: d.output, APIKey: "sk-world", Endpoint: worldEndpoint, Transport: p, Wait: hour == cronLongB+1,
		testHooks: testHooks{results: p, disk: func(*os.Root) disk.Disk { return p.disk() }},
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if p.dead.Load() {
		d.disk = d.disk.Kill()
	}
	d.ends[hour] = cronEnd{report, err, time.Since(d.began)}
}

// disk is the machine's, until the process dies.
func (p *cronRun) disk() disk.Disk {
	p.day.mu.Lock()
	defer p.day.mu.Unlock()
	if p.hour == cronCrash {
		p.day.disk.Before = func(disktest.Op) error {
			if p.dead.Load() {
				return disktest.ErrDead
			}
			return nil
		}
	}
	return p.day.disk
}

func TestCronDay(t *testing.T) {
	d := &cronDay{t: t, output: filepath.Join(realFolder(t), "out")}
	dir, jobs := t.TempDir(), 0
	for hour := range d.plans {
		jobs += 2 + map[int]int{cronLongA: 20, cronCrash: 6, cronLongB: 25, cronOutage: 8}[hour]
		d.plans[hour] = worldPlan(t, dir, jobs, "true")
	}
	synctest.Test(t, func(t *testing.T) {
		d.disk, d.began = disktest.New(), time.Now()
		d.provider = emulator.New(emulator.Options{Seed: 1, RunTime: func(string, float64) time.Duration { return cronRunTime }})
		defer d.provider.Close()
		var cron sync.WaitGroup
		for hour := range 24 {
			time.Sleep(time.Until(d.began.Add(time.Duration(hour) * time.Hour)))
			cron.Go(func() { d.start(hour) })
		}
		cron.Wait()
		d.judge(jobs)
	})
}

// judge holds the day against what every run must have said, and the meter.
func (d *cronDay) judge(jobs int) {
	refused := map[int]bool{cronLongA + 1: true, cronOutage + 1: true, cronOutage + 2: true}
	for hour, end := range d.ends {
		took := end.after - time.Duration(hour)*time.Hour
		switch {
		case hour == cronCrash:
			if !errors.Is(end.err, ErrInterrupted) && !errors.Is(end.err, disktest.ErrDead) || took > time.Hour {
				d.t.Errorf("%02d:00 was to be killed: %v after %v", hour, end.err, took)
			}
		case refused[hour]:
			if !errors.Is(end.err, ErrLocked) || took > time.Second {
				d.t.Errorf("%02d:00 beside another run: %v after %v", hour, end.err, took)
			}
		case end.err != nil || !end.report.Complete || end.report.Totals.Done != d.plans[hour].Len():
			d.t.Errorf("%02d:00: %v after %v, %+v", hour, end.err, took, end.report)
		}
	}
	for _, hour := range []int{cronLongA, cronLongB, cronLongB + 1, cronOutage} {
		if took := d.ends[hour].after - time.Duration(hour)*time.Hour; took < 50*time.Minute {
			d.t.Errorf("%02d:00 took only %v: nothing was tried", hour, took)
		}
	}
	last, meter := d.ends[23].report, d.provider.Meter()
	if meter.Creates != jobs || meter.MaxLivePerPair != 1 || meter.NeverFetched != 0 || meter.MaxRunning != 1 || meter.IdempotencyHeaders != 0 {
		d.t.Errorf("%d jobs; the meter: %d creates, %d live for a pair, %d running at once, %d never fetched",
			jobs, meter.Creates, meter.MaxLivePerPair, meter.MaxRunning, meter.NeverFetched)
	}
	for kind, n := range meter.OverLimit {
		if n > 0 {
			d.t.Errorf("%d %s calls over the limit", n, kind)
		}
	}
	if last != nil && !last.Totals.BilledSeconds.Equal(decimal.RequireFromString(meter.BilledSeconds)) {
		d.t.Errorf("billed %s s, the meter says %s s", last.Totals.BilledSeconds, meter.BilledSeconds)
	}
	d.t.Log(fmt.Sprint(jobs, " jobs, requests ", meter.Requests))
}
