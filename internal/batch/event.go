package batch

import (
	"time"

	"github.com/shopspring/decimal"
)

// Kind names what an [Event] records.
type Kind string

// The kinds of event, in the order in which a job usually meets them.
const (
	Begun       Kind = "begun"       // first event of a batch: what it is and at which prices
	Planned     Kind = "planned"     // a job enters, or enters again with other content
	Removed     Kind = "removed"     // a pending job left the manifest: it is never created
	Reused      Kind = "reused"      // another batch made the same work: its artifact is this job's, nothing is paid
	Opened      Kind = "opened"      // a run starts; unanswered creates are now in doubt
	Uploaded    Kind = "uploaded"    // a local input lies where the provider can fetch it
	Spoiled     Kind = "spoiled"     // a local input is no longer what was planned, or no store takes it: nothing is sent
	Foreign     Kind = "foreign"     // listed tasks that are not ours
	Intended    Kind = "intended"    // a create is about to be sent; money is held
	Accepted    Kind = "accepted"    // the provider answered with a task id
	Refused     Kind = "refused"     // proved not created; the hold is freed
	Unanswered  Kind = "unanswered"  // outcome unknown: the attempt is in doubt
	Absent      Kind = "absent"      // doubt settled: nothing was created
	Adopted     Kind = "adopted"     // doubt settled: this task is ours
	Quarantined Kind = "quarantined" // doubt cannot be settled: a person must decide
	Running     Kind = "running"     // first seen running
	Withdrawn   Kind = "withdrawn"   // we ask to cancel a task that is still PENDING
	Ended       Kind = "ended"       // the task is terminal; the hold becomes billed or is freed
	Again       Kind = "again"       // the job returns to the queue
	Stored      Kind = "stored"      // the artifact is complete on disk
	Lost        Kind = "lost"        // the provider no longer has the task or its result
	Abandoned   Kind = "abandoned"   // a person gave the job up
	Closed      Kind = "closed"      // the run ended on purpose; missing after a crash
)

// Event is one durable fact. Events record decisions, not just evidence
// ("adopted", never "listed"; the error's class, not only its code), so that a
// later change of policy cannot change what an old journal means.
//
// Kind and At are always set. The comments say which kinds use a field; in all
// others it is the zero value.
type Event struct {
	Kind Kind
	At   time.Time // core time of the decision, UTC

	Job     string // every event about one job
	Attempt int    // 1-based number of the create, for events about one
	Lane    string // foreign, intended
	Task    string // accepted, adopted, running, withdrawn, ended, lost
	Request string // accepted: the provider's request id, a second handle on the task

	Hold    decimal.Decimal // intended: the most that this attempt can cost
	Clock   time.Time       // intended: what the provider's clock says; zero if it told none
	Shown   *Shown          // intended: the youngest task that lists of this run showed; nil if none
	Class   Class           // refused, ended: the judgement that was acted on
	Code    string          // refused, ended, closed: the provider's code; spoiled: ours, or the store's
	Message string          // refused, ended, unanswered, spoiled, closed: for people, already sanitized

	Tasks []string  // foreign: the ids; quarantined: the candidates
	Mid   bool      // foreign: seen mid-run where nothing else should create, so the lane is shared from now on
	By    string    // absent, adopted, quarantined, withdrawn, again, abandoned, lost, closed: the rule, or ByOperator
	After time.Time // again: not before this time

	Source  string    // uploaded: SHA-256 of the content, hex
	Store   string    // uploaded: where it lies; "" for the provider's own temporary store
	Address string    // uploaded: how a create, or that store, names it; no secret
	Expires time.Time // uploaded: when the store drops it; zero for never
	Origin  string    // reused: the batch whose work it is

	Begin    *Begin    // begun
	Plan     *Plan     // planned
	Run      *Run      // opened
	End      *End      // ended
	Artifact *Artifact // stored, reused
}

// ByOperator marks a decision that a person made.
const ByOperator = "operator"

// Begin says what a batch is. It never changes during the batch's life.
type Begin struct {
	Batch       string // name
	Model       string
	Region      string
	Currency    string // ISO 4217, of every amount in the batch
	PriceDate   string // of the price table in force when the batch began
	PriceSource string
	PriceSHA256 string
	Version     string // of the program
}

// Shown is a task that a list showed, anyone's: a list that misses it before its time
// is no proof of anything.
type Shown struct {
	Task string
	Made time.Time // by the provider's clock
}

// Plan is a job as the manifest gave it. Amounts are in the batch's currency.
type Plan struct {
	Key       string // content key: same key, same paid work
	Mode      string
	Image     string // as written in the manifest, URLs without query
	Video     string
	Labels    map[string]string
	File      string              // where the artifact goes, relative to the batch folder
	Length    decimal.NullDecimal // seconds of video, if known
	UnitPrice decimal.Decimal     // per second of output
	Hold      decimal.Decimal     // the most that one attempt can cost

	ImageSHA256 string // of a local file, which is uploaded before the create; "" for a URL
	VideoSHA256 string // likewise
}

// Run is how one run was started. It is evidence for a reader of the journal:
// replay acts on none of it but Tries, where nobody gave other settings; the shell
// compares key and endpoint before it settles an old doubt.
type Run struct {
	ID             string
	ManifestSHA256 string
	Endpoint       string // scheme://host[:port]
	Key            string // fingerprint of the API key, never the key
	Cap            decimal.NullDecimal
	Exclusive      Exclusive         // of the lane: a doubt is judged by the weaker promise of its run and the present one
	Tries          int               // tasks for one job at most: what a reader needs to tell whether a failed job returns
	Settings       map[string]string // every limit in force, as text
}

// sameAccount reports whether another run surely used the same account: by the key and
// the endpoint. Two keys may be of one account all the same.
func (r *Run) sameAccount(o *Run) bool {
	return r == o || r != nil && o != nil && r.Key == o.Key && r.Endpoint == o.Endpoint
}

// End is how a task ended.
type End struct {
	Status    Status
	Usage     decimal.NullDecimal // seconds of output that the provider bills; unknown is not zero
	Ratio     string              // the provider's name for the mode
	Billed    decimal.NullDecimal // usage x unit price, exact; null when usage is unknown
	Submitted time.Time           // the provider's times, UTC; zero if it gave none
	Scheduled time.Time
	Ended     time.Time
	Expires   time.Time // when the result's URL dies
}

// Artifact is a verified file.
type Artifact struct {
	Path     string // relative to the batch folder
	Bytes    int64
	SHA256   string // hex
	CRC64    string // decimal CRC-64/XZ, as the object store prints it
	Duration decimal.Decimal
	Address  string // permanent address in a bucket; "" for a local file
}

// Status is the provider's word for a task.
type Status string

// The provider's statuses. Any other word means "not finished".
const (
	StatusPending   Status = "PENDING"
	StatusRunning   Status = "RUNNING"
	StatusSucceeded Status = "SUCCEEDED"
	StatusFailed    Status = "FAILED"
	StatusCanceled  Status = "CANCELED"
	StatusUnknown   Status = "UNKNOWN" // expired, foreign or never existed: says nothing about the work
)

// State is ours, of a job; the package comment has the table.
type State string

// The states of a job.
const (
	StatePending     State = "pending"
	StateSubmitting  State = "submitting"
	StateInDoubt     State = "in_doubt"
	StateQueued      State = "queued"
	StateRunning     State = "running"
	StateFetching    State = "fetching"
	StateDone        State = "done"
	StateFailed      State = "failed"
	StateQuarantined State = "quarantined"
	StateLost        State = "lost"
)

// AtRest reports whether the job waits for nothing that a run could do by itself.
func (s State) AtRest() bool {
	switch s {
	case StateDone, StateFailed, StateLost, StateQuarantined:
		return true
	}
	return false
}

// live reports whether the job has a task that the provider has not ended.
func (s State) live() bool { return s == StateQueued || s == StateRunning }
