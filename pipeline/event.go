package pipeline

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// EventKind says what an [Event] tells.
type EventKind string

// Kinds of the run itself.
const (
	EventStarted  EventKind = "started"  // the run begins: Message names model, region, endpoint and the key's fingerprint
	EventWaiting  EventKind = "waiting"  // the run waits, for the batch or the lane that another holds, or for its bucket: Message says for what
	EventTrouble  EventKind = "trouble"  // the call By went wrong, for Job if it is about one; it is made again unless the run ends
	EventFetching EventKind = "fetching" // downloading; told at most twice a second
	EventFinished EventKind = "finished" // the run ends: Message is its error, "" if there is none
)

// Kinds of the journal: each has happened durably when its event is seen.
const (
	EventBegun       = EventKind(batch.Begun)       // the first record of a batch
	EventPlanned     = EventKind(batch.Planned)     // a job enters, or enters again with other content
	EventRemoved     = EventKind(batch.Removed)     // a pending job left the manifest
	EventReused      = EventKind(batch.Reused)      // another batch's video is the job's: Message names that batch
	EventOpened      = EventKind(batch.Opened)      // a run starts
	EventUploaded    = EventKind(batch.Uploaded)    // an input lies where the provider can fetch it: File is its name
	EventSpoiled     = EventKind(batch.Spoiled)     // an input cannot be sent as it was planned: the job fails, free of charge
	EventForeign     = EventKind(batch.Foreign)     // listed tasks that are not ours: Tasks
	EventIntended    = EventKind(batch.Intended)    // a create is about to be sent
	EventAccepted    = EventKind(batch.Accepted)    // the provider answered with a task id: Task, Request
	EventRefused     = EventKind(batch.Refused)     // proved not created: Class, Code, Message, Hint
	EventUnanswered  = EventKind(batch.Unanswered)  // the create is in doubt: Message
	EventAbsent      = EventKind(batch.Absent)      // doubt settled: nothing was created
	EventAdopted     = EventKind(batch.Adopted)     // doubt settled: Task is ours
	EventQuarantined = EventKind(batch.Quarantined) // doubt cannot be settled: Tasks are the candidates
	EventRunning     = EventKind(batch.Running)     // Task was seen running for the first time
	EventWithdrawn   = EventKind(batch.Withdrawn)   // the provider is to cancel Task if it still waits
	EventEnded       = EventKind(batch.Ended)       // Task ended: Status, Seconds, Billed; if it failed, Class, Code, Message, Hint
	EventAgain       = EventKind(batch.Again)       // the job is back in the queue
	EventStored      = EventKind(batch.Stored)      // the video is complete: File, Bytes
	EventLost        = EventKind(batch.Lost)        // the provider no longer has the task or its result
	EventAbandoned   = EventKind(batch.Abandoned)   // a person gave the job up
	EventClosed      = EventKind(batch.Closed)      // the run ended and was not killed: By is the reason
)

// Event is one observable step of a run. Zero fields have nothing to say; Time, Kind
// and Progress always have. No event holds a key or a signed URL.
//
// The JSON form is that of the lines of --events: kinds and fields may be added, none
// changes its meaning.
type Event struct {
	Time    time.Time `json:"time"` // UTC, by the clock of the batch
	Kind    EventKind `json:"kind"`
	Job     string    `json:"job,omitzero"`
	Attempt int       `json:"attempt,omitzero"` // 1 for the first create of the job
	Task    string    `json:"task_id,omitzero"`
	Request string    `json:"request_id,omitzero"` // the provider's, of the create that was accepted
	Status  string    `json:"status,omitzero"`     // the provider's, of a task that ended
	Class   string    `json:"class,omitzero"`      // how an error was judged: see the journal
	Code    string    `json:"code,omitzero"`       // the provider's, or of a spoiled input ours or the store's
	Message string    `json:"message,omitzero"`    // for people
	Hint    string    `json:"hint,omitzero"`       // what to do about it
	// By is, of a trouble, the call that met it: create, list, query, cancel,
	// fetch or upload. Of a record it is the rule that decided, or "operator" for a person.
	By    string   `json:"by,omitzero"`
	Tasks []string `json:"tasks,omitzero"`

	Seconds decimal.NullDecimal `json:"billed_seconds,omitzero"` // ended: confirmed usage; null if the provider gave none
	Billed  decimal.NullDecimal `json:"billed,omitzero"`         // ended: the same at list price, in Progress.Currency
	File    string              `json:"file,omitzero"`           // uploaded: as the manifest has it; stored, reused: relative to the batch folder, or its address in a bucket
	Bytes   int64               `json:"bytes,omitzero"`          // stored, reused: length of File

	Progress Progress `json:"progress"`
}

// Progress is the whole batch at one instant.
type Progress struct {
	Jobs     int                 `json:"jobs"`
	States   map[State]int       `json:"states"`
	Billed   decimal.Decimal     `json:"billed"`
	Held     decimal.Decimal     `json:"held"` // in flight, in doubt, quarantined, or possibly billed
	MaxCost  decimal.NullDecimal `json:"max_cost"`
	Currency string              `json:"currency"`
	Running  []RunningTask       `json:"running,omitzero"`  // oldest first
	Fetching []Download          `json:"fetching,omitzero"` // oldest first
	// Left is how long the jobs still to be run should take, wide until enough
	// tasks have ended to tell; zero if unknown.
	Left TimeRange `json:"left_seconds,omitzero"`
	// Stop is why nothing more is created, empty while there is no reason:
	// budget, account, key, setup, disk, deadline or interrupted.
	Stop string `json:"stop,omitzero"`
}

// RunningTask is a task that can be running now.
type RunningTask struct {
	Job      string        `json:"job"`
	Task     string        `json:"task_id"`
	State    State         `json:"state"`  // of the job: queued, or running once it was seen running
	Age      time.Duration `json:"age_ns"` // since it can have begun to run
	Expected time.Duration `json:"expected_ns"`
}

// Download is a result on its way to the disk.
type Download struct {
	Job   string `json:"job"`
	Bytes int64  `json:"bytes"`       // so far, with what an earlier try left
	Total int64  `json:"total_bytes"` // 0 until known
}
