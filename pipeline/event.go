package pipeline

import (
	"time"

	"github.com/shopspring/decimal"
)

// Event is one observable step of a run. Kinds are those of the journal
// ("intended", "accepted", "ended", ...), which have happened durably when the
// event is seen, and those of the run itself:
//
//	started   the run begins; Message describes the lane
//	waiting   another run holds the batch or the lane; Message says which
//	trouble   a call went wrong; it is repeated unless the run ends; Code and Message say why
//	fetching  downloading; told at most twice a second
//	finished  the run ends
//
// Zero fields have nothing to say. No event holds a key or a signed URL.
type Event struct {
	Time    time.Time `json:"time"`
	Kind    string    `json:"kind"`
	Job     string    `json:"job,omitzero"`
	Attempt int       `json:"attempt,omitzero"`
	Task    string    `json:"task_id,omitzero"`
	Request string    `json:"request_id,omitzero"`
	Status  string    `json:"status,omitzero"` // the provider's, of a task that ended
	Class   string    `json:"class,omitzero"`
	Code    string    `json:"code,omitzero"`
	Message string    `json:"message,omitzero"`
	Hint    string    `json:"hint,omitzero"` // what to do about it
	By      string    `json:"by,omitzero"`   // the rule or the person that decided
	Tasks   []string  `json:"tasks,omitzero"`

	Seconds decimal.NullDecimal `json:"billed_seconds,omitzero"`
	Billed  decimal.NullDecimal `json:"billed,omitzero"`
	File    string              `json:"file,omitzero"`
	Bytes   int64               `json:"bytes,omitzero"`

	Progress Progress `json:"progress"`
}

// Progress is the whole batch at one instant.
type Progress struct {
	Jobs     int                 `json:"jobs"`
	States   map[string]int      `json:"states"`
	Spent    decimal.Decimal     `json:"billed"`
	Held     decimal.Decimal     `json:"held"` // in flight, in doubt, quarantined, or possibly billed
	Cap      decimal.NullDecimal `json:"max_cost"`
	Currency string              `json:"currency"`
	Running  []Watched           `json:"running,omitzero"`  // oldest first
	Fetching []Download          `json:"fetching,omitzero"` // oldest first
	// Left is how long the jobs still to be run should take, wide until enough
	// tasks have ended to tell; zero if unknown.
	Left TimeRange `json:"left_seconds,omitzero"`
	// Stop is why nothing more is created, empty while there is no reason:
	// budget, account, key, setup, disk, deadline or interrupted.
	Stop string `json:"stop,omitzero"`
}

// Watched is a task that can be running now.
type Watched struct {
	Job      string        `json:"job"`
	Task     string        `json:"task_id"`
	State    string        `json:"state"`  // of the job: queued, or running once it was seen running
	Age      time.Duration `json:"age_ns"` // since it can have begun to run
	Expected time.Duration `json:"expected_ns"`
}

// Download is a result on its way to the disk.
type Download struct {
	Job   string `json:"job"`
	Bytes int64  `json:"bytes"`       // so far, with what an earlier try left
	Total int64  `json:"total_bytes"` // 0 until known
}
