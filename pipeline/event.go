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
//	trouble   a call went wrong and will be repeated; Code and Message say why
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
	Running  []Watched           `json:"running,omitzero"`
	// Left is how long the jobs still to be run should take; zero if unknown.
	Left time.Duration `json:"left_ns,omitzero"`
}

// Watched is a task that can be running now.
type Watched struct {
	Job      string        `json:"job"`
	Age      time.Duration `json:"age_ns"`
	Expected time.Duration `json:"expected_ns"`
}
