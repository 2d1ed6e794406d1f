package batch

import (
	"time"

	"github.com/shopspring/decimal"
)

// Op is what an [Effect] asks a worker to do.
type Op string

// The operations. Only OpCreate spends money; it is the only one that is never
// repeated on its own.
const (
	OpCreate Op = "create" // one POST, never retried
	OpList   Op = "list"   // every page of the lane's tasks, or of those in one status
	OpQuery  Op = "query"  // one task
	OpCancel Op = "cancel" // one task, while it is PENDING
	OpFetch  Op = "fetch"  // result to verified file; asks for the URL if it holds none
	OpUpload Op = "upload" // one local input to where the provider can fetch it
)

// Effect is work for the outside world. Each effect is answered by exactly one
// [Observation] that carries it back. Signed URLs never enter the core: a fetch
// names the task, and the worker holds or asks for the URL.
type Effect struct {
	Op      Op
	Seq     int64 // distinguishes effects of one run
	Lane    int   // index into the lanes given to New
	Job     string
	Attempt int
	Task    string

	Status Status // list: of these tasks only, which is a look and proves nothing; "" for all

	Anew bool // fetch: a URL that the worker holds has ended; it must ask for another

	Source string // upload: SHA-256 of the content that the job needs
	Image  string // create: the address of an uploaded image; "" for the URL of the manifest
	Video  string // likewise
}

// Step is what Next wants done: Record is made durable and applied first, then
// Effect is started. Either may be nil, not both.
type Step struct {
	Record *Event
	Effect *Effect
}

// Result says how an effect went.
type Result string

// The results, by operation. A worker that cannot tell answers Unknown for a
// create and Failed for everything else.
const (
	Created   Result = "created"   // create: Task and Request are set
	Rejected  Result = "rejected"  // create: proved not created; Class is set
	Unknown   Result = "unknown"   // create: it may have been executed
	Listed    Result = "listed"    // list: Rows, and Complete if no page is missing
	Looked    Result = "looked"    // query: Status and End
	Canceled  Result = "canceled"  // cancel: confirmed
	TooLate   Result = "too_late"  // cancel: no longer PENDING
	Fetched   Result = "fetched"   // fetch: Artifact
	Forbidden Result = "forbidden" // fetch: the store refused the URL, or Code is CodeUnknownTask: there is none
	DiskFull  Result = "disk_full" // fetch: no room for the file; create: none for the intent, which was not made
	Sent      Result = "sent"      // upload: Store, Address and Life are set
	Changed   Result = "changed"   // upload: the file is not what was planned; Code and Message say how
	Failed    Result = "failed"    // list, query, cancel, fetch, upload: Class and RetryAfter are set; list: Rows, as far as it came
	Interrupt Result = "interrupt" // no effect: the operator wants to stop
)

// CodeUnknownTask is the code of a Forbidden fetch whose task the provider does not
// know, and of the stop that follows where only the key can be wrong.
const CodeUnknownTask = "UnknownTask"

// CodeListsMiss is the code of a stop because every list of the account's tasks
// missed something.
const CodeListsMiss = "ListsIncomplete"

// CodeStoreRefuses is the code of a Failed fetch or upload that a bucket of one's own
// refused, not the provider. A fetch has its result by then, where a restart finds it.
const CodeStoreRefuses = "StoreRefuses"

// Observation is a worker's raw answer. It is never stored.
type Observation struct {
	Effect Effect
	Result Result

	Task    string
	Request string

	Class      Class
	Code       string
	Message    string
	RetryAfter time.Duration // the provider's own wish, zero if none

	Rows     []Row
	Complete bool
	Pages    int       // how many calls the list took
	Clock    time.Time // list: the provider's clock when it answered; zero if it told none

	Status Status
	Usage  decimal.NullDecimal
	Ratio  string
	Times  Times

	Store   string
	Address string
	Life    time.Duration // upload: how long the store keeps it, counted from the effect; zero for ever
	Expires time.Time     // fetch, Forbidden: when the refused URL ends; zero if it does not say

	Artifact *Artifact
}

// Times are the provider's own times of a task, UTC; zero where it gave none.
type Times struct{ Submitted, Scheduled, Ended, Expires time.Time }

// Row is one task in a list.
type Row struct {
	Task   string
	Model  string
	Status Status
	KeyID  string    // the provider's id of the API key that made the task
	Made   time.Time // by the provider's clock; zero if it gave none
}
