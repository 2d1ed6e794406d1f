package batch

import (
	"time"

	"github.com/shopspring/decimal"
)

// Exclusive is what else may create tasks of this model on a lane's account.
type Exclusive string

// The three promises an operator can make about a lane.
const (
	Shared       Exclusive = "false" // anything may: a lone unknown task is never adopted
	ExclusiveKey Exclusive = "key"   // nothing else uses this API key
	ExclusiveAll Exclusive = "true"  // nothing else creates tasks of this model in this account and region
)

// Settings hold for the whole batch. Every field is required but Cap, Store and
// Deadline.
type Settings struct {
	Cap     decimal.NullDecimal // most that may be spent over the batch's whole life; null: no cap
	Tries   int                 // tasks for one job at most, over retryable failures
	Fetches int                 // downloads at once
	Backlog int                 // unfetched results beyond which creates wait
	// Store names where local inputs are uploaded to, as in the event uploaded: ""
	// is the provider's own temporary store. What lies elsewhere is uploaded again.
	Store string
	// Deadline is the time by which every task of a run should have ended and been
	// fetched: what cannot be is not created. Zero: none.
	Deadline time.Time
}

// LaneSettings hold for one lane. Every field is required but Exclusive.
type LaneSettings struct {
	Name      string
	Model     string
	Exclusive Exclusive // defaults to Shared
	Running   int       // tasks that the provider runs at once
	Ahead     int       // tasks kept waiting at the provider beyond those
	CreateGap time.Duration
	PollMin   time.Duration // one task is never looked at more often
	PollMax   time.Duration // nor left unseen for longer while it can be running
	Settle    time.Duration // how long after doubt a list may still miss the task
	TaskLife  time.Duration // life of a task id, counted from submission
	BurstWait time.Duration
}

// Attempt is one create of one job and what became of it.
type Attempt struct {
	N       int
	Lane    string
	Mode    string            // as planned when it was created, as are
	Labels  map[string]string // these
	Clock   time.Time         // the provider's, when it was created; zero if it told none
	Key     string            // fingerprint of the API key that it was created with
	ByHand  bool              // a person adopted its task
	Outcome Kind              // Intended, Unanswered, Accepted, Refused, Absent, Adopted or Quarantined
	At      time.Time
	Task    string
	Request string
	Hold    decimal.Decimal
	Price   decimal.Decimal     // per second of output: the plan's when it was created
	Length  decimal.NullDecimal // seconds of video: of the file, else as planned when it was created; unknown: null
	Money   Money
	Billed  decimal.NullDecimal
	End     *End // nil until the task ended
	Class   Class
	Code    string
	Message string
	// Candidates are the unknown tasks of a quarantine: one of them may be ours.
	Candidates []string
}

// Money says where an attempt's hold is.
type Money string

// Where a hold can be.
const (
	MoneyFreed    Money = "freed"    // proved free: refused, absent, failed, canceled
	MoneyHeld     Money = "held"     // may still be released
	MoneyPossible Money = "possible" // may have been billed; only the provider's bill can tell
	MoneyBilled   Money = "billed"   // usage confirmed
)

// job is a pair with everything resolved.
type job struct {
	index    int
	id       string
	plan     Plan
	state    State
	attempts []Attempt
	artifact *Artifact
	storedAt time.Time
	reason   string // why lost, abandoned, or returned to the queue
	origin   string // of a reused artifact: the batch that made it
	spoil    *Spoil // why its inputs cannot be sent; nil when nothing is known against them

	tries     int       // tasks that ended retryably, and refusals that count, since a person last decided
	after     time.Time // pending: not before
	removed   bool      // no longer in the manifest
	withdrawn bool      // CANCELED will mean: submit again
	canceled  bool      // a person asked to cancel the newest task

	runBase int64 // expected run time in milliseconds before anything was learned

	// Volatile: gone with the process.
	notSelected bool // not selected for this run
	tryLast     bool // refused as if the set-up were wrong: the others are tried first
	watch       watch
	fetch       fetch
}

// Spoil is why a job's local inputs cannot be sent.
type Spoil struct{ Code, Message string }

// isFresh reports whether this run may submit the job for the first time.
func (j *job) isFresh() bool {
	return j.state == StatePending && len(j.attempts) == 0 && !j.removed && !j.notSelected
}

// attempt returns the newest attempt; a job that has none is a caller's bug.
func (j *job) attempt() *Attempt { return &j.attempts[len(j.attempts)-1] }

// task returns the id of the newest attempt's task.
func (j *job) task() string {
	if len(j.attempts) == 0 {
		return ""
	}
	return j.attempt().Task
}

// Batch is the core. The zero value is not usable; call [New].
type Batch struct {
	settings Settings
	lanes    []*lane
	begin    *Begin
	lastRun  *Run
	last     time.Time // newest event
	closed   *Event    // how the newest run ended on purpose; nil if it goes on, or died

	jobs   []*job
	byID   map[string]*job
	byTask map[string]*job // every task id that was ever ours
	counts map[State]int

	fresh    int    // no job before this index is pending for the first time
	returned []*job // pending jobs that were submitted before, by index
	failed   []*job // failed jobs whose retry is not decided yet
	fetching []*job // by expiry

	supplies map[string]*supply // local inputs on their way to the provider, by SHA-256

	slept     time.Duration // how far the core's time lags behind the wall clock
	money     ledger
	canceling bool // this process only cancels
	volatile
}

// volatile is what a run learns and forgets.
type volatile struct {
	inbox     []Observation
	seq       int64
	flying    []Effect // started, not answered
	looks     int
	fetches   int
	uploads   int
	stop      Stop
	stopCode  string // the provider's code for it
	stopNote  string // and its words
	dead      bool   // even looking is refused: nothing new is started
	late      bool   // the next job would not be finished by the deadline
	diskAt    time.Time
	diskFails int
	wake      time.Time
}

// New returns an empty batch with its lanes. To read a journal without running
// it, the zero Settings and no lanes will do.
func New(s Settings, lanes []LaneSettings) *Batch {
	b := &Batch{
		settings: s,
		byID:     make(map[string]*job),
		byTask:   make(map[string]*job),
		counts:   make(map[State]int),
		supplies: make(map[string]*supply),
	}
	for _, s := range lanes {
		b.addLane(s)
	}
	return b
}

// Select limits what this run may submit to the jobs that keep returns true
// for. Tasks that exist already are followed all the same.
func (b *Batch) Select(keep func(id string) bool) {
	b.fresh = 0
	for _, j := range b.jobs {
		j.notSelected = !keep(j.id)
	}
}

// Limit replaces the cap of the settings.
func (b *Batch) Limit(most decimal.NullDecimal) { b.settings.Cap = most }

// Observe takes in one answer. It decides nothing: Next does.
func (b *Batch) Observe(o Observation) { b.inbox = append(b.inbox, o) }

// Slept tells how far core time lags behind the wall clock, because the machine
// slept or the wall clock was behind the journal at opening. It never shortens a
// wait for evidence; it ages doubts, so that a list that can no longer show a task is
// never taken for proof, uploads, and the tasks that live. It must not be negative;
// the largest value counts.
func (b *Batch) Slept(d time.Duration) { b.slept = max(b.slept, d) }

// asleep is how much of the life of a job's task the machine slept through. A lag
// beyond longestSleep is that of a clock that cannot tell: it proves nothing.
func (b *Batch) asleep(j *job) time.Duration {
	if d := b.slept - j.watch.slept; d <= longestSleep {
		return d
	}
	return 0
}

// wall is the wall clock at core time now, where it can tell.
func (b *Batch) wall(now time.Time) time.Time {
	if b.slept <= longestSleep {
		return now.Add(b.slept)
	}
	return now
}

// Outstanding returns how many effects have not been answered and judged.
func (b *Batch) Outstanding() int { return len(b.flying) }

// Last returns the time of the newest event; a run's clock must not start before it.
func (b *Batch) Last() time.Time { return b.last }

// Closed returns how the newest run ended on purpose, nil if it goes on or died.
func (b *Batch) Closed() *Event { return b.closed }

// Begin returns what the batch is, nil before the event begun.
func (b *Batch) Begin() *Begin { return b.begin }

// key returns the fingerprint of the newest run's API key.
func (b *Batch) key() string {
	if b.lastRun == nil {
		return ""
	}
	return b.lastRun.Key
}

// LastRun returns how the newest run was started, nil if none was.
func (b *Batch) LastRun() *Run { return b.lastRun }

// laneOf returns the lane of the job's newest attempt, or nil.
func (b *Batch) laneOf(j *job) *lane {
	if len(j.attempts) == 0 {
		return nil
	}
	return b.laneNamed(j.attempt().Lane)
}

// laneNamed returns the lane of that name. A lane that only the journal knows
// is added, so that a batch can be read without its settings.
func (b *Batch) laneNamed(name string) *lane {
	for _, l := range b.lanes {
		if l.Name == name {
			return l
		}
	}
	return b.addLane(LaneSettings{Name: name})
}

func (b *Batch) addLane(s LaneSettings) *lane {
	if s.Exclusive == "" {
		s.Exclusive = Shared
	}
	l := &lane{index: len(b.lanes), LaneSettings: s, excluded: make(map[string]bool), pace: paceUnit}
	b.lanes = append(b.lanes, l)
	return l
}
