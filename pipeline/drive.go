package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// driver moves decisions from the core to the journal and the workers, and
// answers back. It alone touches the core; workers only see channels.
type driver struct {
	*folder
	clock   clock
	workers *workers
	cfg     Config
	creates *rate.Limiter

	toCreate, toLook, toFetch, toUpload chan batch.Effect
	answers                             chan batch.Observation
	uploading                           context.Context // ends when the caller wants to stop
	stopUploads                         context.CancelFunc
	stop                                <-chan struct{}
	emitter                             *emitter
}

// drive runs the batch until nothing is left to do or something stops it.
func drive(ctx context.Context, f *folder, w *workers, cfg Config, open batch.Event) error {
	d := &driver{folder: f, clock: newClock(f.core, cfg.Speed, cfg.testHooks.wall), workers: w, cfg: cfg, stop: cfg.Stop}
	d.emitter = newEmitter(f.core, cfg, open.Run.Cap, d.clock.now)
	w.fetching, d.emitter.input = d.emitter.fetching, w.inputName
	w.trouble = func(op, job, message string) {
		if ctx.Err() == nil { // what ends because the run does is no trouble
			d.emitter.trouble(op, job, message)
		}
	}
	limits := w.plan.Manifest.Limits
	d.creates = rate.NewLimiter(rate.Limit(limits.CreatePerSecond*cfg.Speed), 1)
	// Room for all that the core can have outstanding, so that neither side ever
	// waits for the other.
	const creates, looks = 1, batch.MaxLooks + 1 // one list besides
	d.toCreate = make(chan batch.Effect, creates)
	d.toLook = make(chan batch.Effect, looks)
	d.toFetch = make(chan batch.Effect, cfg.fetchSlots(&w.plan.Manifest))
	d.toUpload = make(chan batch.Effect, batch.MaxUploads)
	d.answers = make(chan batch.Observation, creates+looks+cap(d.toFetch)+batch.MaxUploads)

	open.At = d.clock.now()
	if err := f.record(open); err != nil {
		return err
	}
	d.emitter.started(open, w)
	err := d.runWorkers(ctx)
	return d.finish(ctx, err)
}

// runWorkers owns every goroutine of a run: the loop and four pools of workers.
func (d *driver) runWorkers(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	d.uploading, d.stopUploads = context.WithCancel(ctx)
	defer d.stopUploads()
	pool := func(n int, effects <-chan batch.Effect, do func(context.Context, batch.Effect) batch.Observation) {
		for range n {
			group.Go(func() error {
				for e := range effects {
					d.answers <- do(ctx, e)
				}
				return nil
			})
		}
	}
	pool(cap(d.toCreate), d.toCreate, d.create)
	pool(cap(d.toLook), d.toLook, d.workers.look)
	pool(cap(d.toFetch), d.toFetch, d.fetch)
	pool(cap(d.toUpload), d.toUpload, d.upload)
	group.Go(func() error {
		defer close(d.toCreate)
		defer close(d.toLook)
		defer close(d.toFetch)
		defer close(d.toUpload)
		return d.loop(ctx)
	})
	return group.Wait()
}

// create does not stop immediately with the run: only the create's own answer names
// its task directly, so wait a moment for it.
func (d *driver) create(ctx context.Context, e batch.Effect) batch.Observation {
	ctx, release := delayedCancel(ctx, lastAnswer)
	defer release()
	return d.workers.create(ctx, e)
}

func (d *driver) fetch(ctx context.Context, e batch.Effect) batch.Observation {
	return d.workers.fetch(ctx, d.disk, e)
}

// upload ends at once when the caller wants to stop: nothing will be created for it.
func (d *driver) upload(_ context.Context, e batch.Effect) batch.Observation {
	return d.workers.upload(d.uploading, e)
}

// loop is the whole run: ask the core, make its record durable, start its
// effect, and wait when there is nothing to do.
func (d *driver) loop(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.checkStop()
		d.core.Slept(d.clock.lag())
		step, wake, ok := d.core.Next(d.clock.now())
		switch {
		case ok:
			if err := d.take(ctx, step); err != nil {
				return err
			}
		case wake.IsZero() && d.core.Outstanding() == 0:
			return nil
		default:
			d.emitter.misses()
			d.wait(ctx, wake)
		}
	}
}

// checkStop passes on the caller's wish to stop, once.
func (d *driver) checkStop() {
	select {
	case <-d.stop:
		d.interrupt()
	default:
	}
}

func (d *driver) interrupt() {
	d.stop = nil
	d.stopUploads()
	d.core.Observe(batch.Observation{Result: batch.Interrupt})
}

// take makes a step's record durable and only then starts its effect.
func (d *driver) take(ctx context.Context, s batch.Step) error {
	if r := s.Record; r != nil {
		recorded, err := d.makeDurable(ctx, s)
		if err != nil || !recorded {
			return err
		}
		// A crash from here on leaves this record: after an intent, a create in doubt.
		if err := d.core.Apply(*r); err != nil {
			return err // unreachable: the core made it
		}
		d.lane.unmark()
		if job, _ := d.core.Job(r.Job); r.Kind == batch.Stored {
			removeLeftovers(d.disk, job)
		}
		d.emitter.recorded(*r)
	}
	if s.Effect != nil {
		d.start(ctx, *s.Effect)
	}
	return nil
}

// makeDurable puts a step's record into the journal. A create waits for its permit
// before its intent: after an intent nothing waits. If the disk has no room for an
// intent and its outcome, nothing is recorded, and nothing may be sent.
func (d *driver) makeDurable(ctx context.Context, s batch.Step) (recorded bool, err error) {
	if s.Record.Kind != batch.Intended {
		return true, d.log.Append(journal.Encode(*s.Record))
	}
	if err := d.creates.Wait(ctx); err != nil {
		return false, cmp.Or(context.Cause(ctx), err) // a deadline may be too near to wait for
	}
	if err := d.journalStands(); err != nil {
		return false, err
	}
	err = d.lane.mark()
	if err == nil {
		err = d.log.AppendIntent(journal.Encode(*s.Record))
	}
	if errors.Is(err, journal.ErrFull) {
		d.emitter.trouble("create", "", err.Error())
		d.core.Observe(batch.Observation{Effect: *s.Effect, Result: batch.DiskFull, Message: err.Error()})
		return false, nil
	}
	return err == nil, err
}

// start hands an effect to the workers of its kind.
func (d *driver) start(ctx context.Context, e batch.Effect) {
	to, do := d.toLook, d.workers.look
	switch e.Op {
	case batch.OpCreate:
		to, do = d.toCreate, d.create
	case batch.OpFetch:
		to, do = d.toFetch, d.fetch
	case batch.OpUpload:
		to, do = d.toUpload, d.upload
	}
	if d.cfg.testHooks.inline {
		d.core.Observe(do(ctx, e))
		return
	}
	to <- e
}

// wait blocks until an answer, the time to ask again, or a wish to stop.
func (d *driver) wait(ctx context.Context, wake time.Time) {
	var timer <-chan time.Time
	if !wake.IsZero() {
		t := time.NewTimer(d.clock.until(wake))
		defer t.Stop()
		timer = t.C
	}
	select {
	case o := <-d.answers:
		d.core.Observe(o)
	case <-timer:
	case <-d.stop:
		d.interrupt()
	case <-ctx.Done():
	}
}

// lastAnswer is how long a run that is told to leave at once waits for the answer
// to a create.
const lastAnswer = 200 * time.Millisecond

// delayedCancel returns a context that ends so much later than ctx, or when released.
func delayedCancel(ctx context.Context, d time.Duration) (context.Context, func()) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(d, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() { stop(); cancel(nil) }
}

var errStoppedNow = fmt.Errorf("%w: stopped immediately; run again to continue", ErrInterrupted)

// The reasons of a run's end that are no [batch.Stop].
const (
	endFinished = "finished"
	endError    = "error"
)

// finish records that the run ended, if anything can be recorded, and says why it did.
func (d *driver) finish(ctx context.Context, err error) error {
	if !errors.Is(err, journal.ErrDead) {
		err = d.recordEnd(ctx, err)
	}
	d.emitter.finished(d.clock.now(), err)
	return err
}

// recordEnd records how the run ended and returns why it did: by an error, because it
// was told to leave at once, or in order. Where all is done it makes no difference that
// it was also told to stop: running again would find nothing to do.
func (d *driver) recordEnd(ctx context.Context, err error) error {
	if err != nil {
		if e := d.recordAnswers(); e != nil {
			return errors.Join(err, e)
		}
	}
	v := d.core.View()
	nothingLeft := v.Left == v.Unselected
	reason := endFinished
	switch {
	case err != nil && ctx.Err() == nil:
		reason = endError
	case nothingLeft && v.Stop == batch.StopInterrupted:
		err = nil
	case err != nil:
		reason, err = string(batch.StopInterrupted), errStoppedNow
	case v.Stop != batch.StopNone:
		reason, err = string(v.Stop), stopError(d.core, d.emitter.cap)
	case !nothingLeft:
		err = fmt.Errorf("bug: %d jobs unfinished but nothing to wait for; please report with the journal",
			v.Left-v.Unselected)
	}
	closed := batch.Event{Kind: batch.Closed, At: d.clock.now(), By: reason, Code: v.StopCode}
	if err != nil {
		closed.Message = err.Error()
	}
	return errors.Join(err, d.record(closed))
}

// recordAnswers records what has arrived, once no worker works any more and nobody
// waits for more.
func (d *driver) recordAnswers() error {
	d.core.Observe(batch.Observation{Result: batch.Interrupt})
	for len(d.answers) > 0 {
		d.core.Observe(<-d.answers)
	}
	for {
		step, _, ok := d.core.Next(d.clock.now())
		if !ok {
			return nil
		}
		if err := d.take(context.Background(), step); err != nil {
			return err
		}
	}
}
