package emulator

import (
	"net/http"
	"time"
)

// Options describe a provider. The zero value is a working one with the documented limits.
type Options struct {
	// Now is the provider's clock. Limits, run times and lives count in it. Default [time.Now].
	Now func() time.Time

	// Running is how many tasks of one account and model run at once. Default 1, the documented
	// limit; the rest stay PENDING in order of arrival.
	Running int

	// Reject answers 429 to a create while Running tasks are unfinished, instead of queueing it.
	// Which of the two the provider does is not documented.
	Reject bool

	// RunTime is how long a task runs; seconds is the length of its driving video. Default 15 s
	// plus 20 s (wan-std) or 34 s (wan-pro) per second of video, as fitted to what others saw.
	RunTime func(mode string, seconds float64) time.Duration

	// Speed divides run times and nothing else. Default 1.
	Speed float64

	// StartDelay is the least time a task stays PENDING. Default 1 s; divided by Speed; negative
	// means none.
	StartDelay time.Duration

	// Timeout ends a task that ran this long as FAILED InternalError.Timeout. Default 3 h, queue
	// time not counted. Divided by Speed like the run time it bounds.
	Timeout time.Duration

	// CreatesPerSecond and QueriesPerSecond bound each window of one second, per account; query,
	// list and cancel share the second. Defaults 5 (per model) and 20; negative means no limit.
	CreatesPerSecond, QueriesPerSecond int

	// PoliciesPerSecond bounds getPolicy per account and model. Default 100; negative means no limit.
	PoliciesPerSecond int

	// MaxUploadMB caps an upload, in units of 2^20 bytes. Default 200; the value for the animate
	// models is not published.
	MaxUploadMB int

	// UploadLife is how long an upload can be used. Default 48 h.
	UploadLife time.Duration

	// TextNumbers writes the numbers of a policy as strings; the documents do both.
	TextNumbers bool

	// Unresolved says what becomes of an oss:// input without the resolve header.
	Unresolved Unresolved

	// TaskLife is how long an id is known, URLLife how long a result can be fetched after its
	// task ended. Defaults 24 h.
	TaskLife, URLLife time.Duration

	// LifeFromEnd counts TaskLife from the end of a task instead of its submission; the
	// documents say both.
	LifeFromEnd bool

	// SignOnQuery signs the URL of a result anew at each query, for URLLife from then or until the
	// id is forgotten, whichever ends first. Otherwise it is signed once, when the task ends, and
	// asking again buys no more time. Which of the two the provider does is not documented; two
	// published samples speak for once.
	SignOnQuery bool

	// ListLag is how long a new task is missing from lists. Default 0.
	ListLag time.Duration

	// PageSizeMax caps a list's page_size. Default 100; the real maximum is not published.
	PageSizeMax int

	// AcceptKeys are the only keys that are let in; others get 401. Empty: any "sk-..." key.
	AcceptKeys []string

	// Accounts maps keys to main accounts, by any names. A key that is not in it belongs to the
	// one account all such keys share.
	Accounts map[string]string

	// Faults are injected as they stand; see [ParseFault].
	Faults []Fault

	// Seed fixes ids and the dice of the faults. 0 draws a new seed.
	Seed uint64

	// Region names the region in lists. Default "cn-beijing".
	Region string

	// Padding adds bytes to every result file, for tests that need long transfers.
	Padding int

	// Inputs fetches the http and https inputs. Default a client of the server's own. Inputs may
	// lie on any address, loopback included.
	Inputs *http.Client
}

// filled returns o with the defaults in place.
func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RunTime == nil {
		o.RunTime = usualRunTime
	}
	o.Running = or(o.Running, 1)
	o.Speed = or(o.Speed, 1)
	o.StartDelay = or(o.StartDelay, time.Second)
	o.Timeout = or(o.Timeout, 3*time.Hour)
	o.CreatesPerSecond = or(o.CreatesPerSecond, 5)
	o.QueriesPerSecond = or(o.QueriesPerSecond, 20)
	o.PoliciesPerSecond = or(o.PoliciesPerSecond, 100)
	o.MaxUploadMB = or(o.MaxUploadMB, 200)
	o.UploadLife = or(o.UploadLife, 48*time.Hour)
	o.TaskLife = or(o.TaskLife, 24*time.Hour)
	o.URLLife = or(o.URLLife, 24*time.Hour)
	o.PageSizeMax = or(o.PageSizeMax, 100)
	o.Region = or(o.Region, "cn-beijing")
	return o
}

// or returns v, or the default when v is zero.
func or[T comparable](v, standard T) T {
	var zero T
	if v == zero {
		return standard
	}
	return v
}

// usualRunTime is the prior fitted to other people's recorded runs.
func usualRunTime(mode string, seconds float64) time.Duration {
	perSecond := 20.0
	if mode == modePro {
		perSecond = 34
	}
	return 15*time.Second + time.Duration(perSecond*seconds*float64(time.Second))
}

// faster divides a run time by Speed.
func (o Options) faster(d time.Duration) time.Duration {
	return time.Duration(float64(max(d, 0)) / o.Speed)
}

// faultDelay is how late a fault may make a task appear, in the provider's time: 5 s, or ListLag
// where that is longer. A client whose settle time exceeds it has nothing to fear.
func (o Options) faultDelay() time.Duration { return max(o.ListLag, 5*time.Second) }
