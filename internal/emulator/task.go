package emulator

import (
	"strconv"
	"time"
)

// The words of the wire.
const (
	statusPending   = "PENDING"
	statusRunning   = "RUNNING"
	statusSucceeded = "SUCCEEDED"
	statusFailed    = "FAILED"
	statusCanceled  = "CANCELED"
	statusUnknown   = "UNKNOWN"

	modelMove = "wan2.2-animate-move"
	modelMix  = "wan2.2-animate-mix"
	modeStd   = "wan-std"
	modePro   = "wan-pro"
)

// A task is one accepted create, or one of a stranger's.
type task struct {
	id, requestID string // requestID is that of the create call
	keyID         string
	account       *account
	order         order
	foreign       bool

	status                     string
	submitted, scheduled, done time.Time
	code, message              string // of a FAILED task

	fate    fate
	verdict *verdict      // of the inputs; nil while they are being fetched
	billed  time.Duration // of a SUCCEEDED task, in whole milliseconds

	path     string // of the result, fixed with the id
	edition  int    // of the stored object; a fault stores it again
	coverage span   // bytes of the result that were sent undamaged
	fetched  bool   // all of them, at least once
}

// An order is what a create asks for.
type order struct {
	Model, Image, Video, Mode string
	resolve                   bool // the header that lets oss:// URLs be used
}

// A verdict is what the inputs turned out to be: a length to work on, or a reason to fail.
type verdict struct {
	at            time.Time // when it was known
	until         time.Time // end of the inputs' life; zero for none
	length        time.Duration
	code, message string
}

// A fate is what the faults decided for a task when it was accepted.
type fate struct {
	fails         bool
	quick         bool // fails like a bad input, within seconds
	code, message string
	wholeSeconds  bool // the bill is a whole number
}

// rejectTime is how long a task with a bad input runs: rejections end within seconds.
const rejectTime = 3 * time.Second

// due is when a RUNNING task ends; not known before its inputs are probed.
func (t *task) due(opt *Options) (end time.Time, known bool) {
	if t.verdict == nil {
		return time.Time{}, false
	}
	run := min(opt.RunTime(t.order.Mode, t.verdict.length.Seconds()), opt.Timeout)
	if code, _ := t.flawed(); code != "" || t.fate.quick {
		run = rejectTime
	}
	end = t.scheduled.Add(opt.faster(run)).Truncate(time.Millisecond)
	if t.verdict.at.After(end) {
		end = t.verdict.at
	}
	return end, true
}

// flawed says what is wrong with the inputs of a RUNNING task, "" for nothing. An upload whose
// life ended before the task left the queue is gone: the provider fetches late at worst.
func (t *task) flawed() (code, message string) {
	if u := t.verdict.until; t.verdict.code == "" && !u.IsZero() && !t.scheduled.Before(u) {
		return goneFlaw.code, goneFlaw.message
	}
	return t.verdict.code, t.verdict.message
}

// finish ends a RUNNING task.
func (t *task) finish(end time.Time, opt *Options) {
	t.done = end
	switch code, message := t.flawed(); {
	case code != "":
		t.fail(code, message)
	case t.fate.fails:
		t.fail(t.fate.code, t.fate.message)
	case opt.RunTime(t.order.Mode, t.verdict.length.Seconds()) > opt.Timeout:
		t.fail("InternalError.Timeout", "An internal timeout error has occured during execution, "+
			"please try again later or contact service support.")
	default:
		t.succeed()
	}
}

func (t *task) fail(code, message string) {
	t.status, t.code, t.message = statusFailed, code, message
}

// succeed bills the task.
func (t *task) succeed() {
	t.status = statusSucceeded
	t.billed = t.verdict.length.Round(time.Millisecond)
	if t.fate.wholeSeconds {
		t.billed = max(t.billed.Round(time.Second), time.Second)
	}
}

// known says whether the id still means something at now.
func (t *task) known(now time.Time, opt *Options) bool {
	if opt.LifeFromEnd && t.done.IsZero() {
		return true
	}
	return now.Before(t.forgotten(opt))
}

// forgotten is when the id stops to mean anything; with LifeFromEnd, of a task that ended.
func (t *task) forgotten(opt *Options) time.Time {
	if opt.LifeFromEnd {
		return t.done.Add(opt.TaskLife)
	}
	return t.submitted.Add(opt.TaskLife)
}

// urlExpires is the end of the life of the URL that a query at now is given, or of one that expired
// before. A URL that is signed once has the same end at every query.
func (t *task) urlExpires(now time.Time, opt *Options, expired bool) time.Time {
	const late = -time.Second
	switch {
	case !opt.SignOnQuery && expired:
		return t.done.Add(late)
	case !opt.SignOnQuery:
		return t.done.Add(opt.URLLife)
	case expired:
		return now.Add(late)
	}
	end := now.Add(opt.URLLife)
	if forgotten := t.forgotten(opt); end.After(forgotten) {
		end = forgotten
	}
	return end
}

// usage is the bill as a query prints it: seconds, with a decimal point unless a fault takes it.
func (t *task) usage() string {
	seconds := decimalSeconds(t.billed)
	if t.billed%time.Second == 0 && !t.fate.wholeSeconds {
		seconds += ".0"
	}
	return seconds
}

// fps is the frame rate of the result, which the mode decides.
func (t *task) fps() int {
	if t.order.Mode == modePro {
		return 25
	}
	return 15
}

// ratio is the mode as usage.video_ratio names it.
func (t *task) ratio() string {
	if t.order.Mode == modePro {
		return "pro"
	}
	return "standard"
}

// decimalSeconds writes a duration in whole milliseconds exactly, without trailing zeros.
func decimalSeconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Milliseconds())/1000, 'f', -1, 64)
}
