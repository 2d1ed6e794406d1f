package journal

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// Record is an event as it is stored: the payload of one line. It is a type of
// its own so that the core can change without changing what old journals mean.
//
// The rule for changes: a field may be added, with `omitzero`, if a journal
// without it still means the same. A field is never renamed, never reused with
// another meaning and never removed. Anything else is a new [Version], and the
// old one stays readable.
//
// Amounts are decimal strings, times RFC 3339 in UTC.
type Record struct {
	Kind string    `json:"type"`
	At   time.Time `json:"at"`

	Job     string `json:"job,omitzero"`
	Attempt int    `json:"attempt,omitzero"`
	Lane    string `json:"lane,omitzero"`
	Task    string `json:"task,omitzero"`
	Request string `json:"request,omitzero"`

	Hold    *decimal.Decimal `json:"hold,omitzero"`
	Clock   time.Time        `json:"clock,omitzero"`
	Shown   *shownRecord     `json:"shown,omitzero"`
	Class   string           `json:"class,omitzero"`
	Code    string           `json:"code,omitzero"`
	Message string           `json:"message,omitzero"`

	Tasks []string  `json:"tasks,omitzero"`
	Mid   bool      `json:"mid,omitzero"`
	By    string    `json:"by,omitzero"`
	After time.Time `json:"after,omitzero"`

	Source  string    `json:"source,omitzero"`
	Store   string    `json:"store,omitzero"`
	Address string    `json:"address,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Origin  string    `json:"origin,omitzero"`

	Begin    *beginRecord    `json:"batch,omitzero"`
	Plan     *planRecord     `json:"plan,omitzero"`
	Run      *runRecord      `json:"run,omitzero"`
	End      *endRecord      `json:"end,omitzero"`
	Artifact *artifactRecord `json:"artifact,omitzero"`
}

// The parts of a record mirror the core's types field by field: a change there
// that the conversion cannot follow does not compile.

type beginRecord struct {
	Batch       string `json:"name"`
	Model       string `json:"model"`
	Region      string `json:"region"`
	Currency    string `json:"currency"`
	PriceDate   string `json:"price_date"`
	PriceSource string `json:"price_source"`
	PriceSHA256 string `json:"price_sha256"`
	Version     string `json:"version"`
}

type planRecord struct {
	Key       string              `json:"key"`
	Mode      string              `json:"mode"`
	Image     string              `json:"image"`
	Video     string              `json:"video"`
	Labels    map[string]string   `json:"labels,omitzero"`
	File      string              `json:"file"`
	Length    decimal.NullDecimal `json:"length"`
	UnitPrice decimal.Decimal     `json:"unit_price"`
	Hold      decimal.Decimal     `json:"hold"`

	ImageSHA256 string `json:"image_sha256,omitzero"`
	VideoSHA256 string `json:"video_sha256,omitzero"`
}

type runRecord struct {
	ID             string              `json:"id"`
	ManifestSHA256 string              `json:"manifest_sha256"`
	Endpoint       string              `json:"endpoint"`
	Key            string              `json:"key"`
	Cap            decimal.NullDecimal `json:"cap"`
	Exclusive      batch.Exclusive     `json:"exclusive"`
	Tries          int                 `json:"tries"`
	Settings       map[string]string   `json:"settings"`
}

type endRecord struct {
	Status    batch.Status        `json:"status"`
	Usage     decimal.NullDecimal `json:"usage"`
	Ratio     string              `json:"ratio,omitzero"`
	Billed    decimal.NullDecimal `json:"billed"`
	Submitted time.Time           `json:"submitted,omitzero"`
	Scheduled time.Time           `json:"scheduled,omitzero"`
	Ended     time.Time           `json:"ended,omitzero"`
	Expires   time.Time           `json:"expires,omitzero"`
}

type shownRecord struct {
	Task string    `json:"task"`
	Made time.Time `json:"made"`
}

type artifactRecord struct {
	Path     string          `json:"path"`
	Bytes    int64           `json:"bytes"`
	SHA256   string          `json:"sha256"`
	CRC64    string          `json:"crc64"`
	Duration decimal.Decimal `json:"duration"`
	Address  string          `json:"address,omitzero"`
}

// Encode turns an event into what is stored of it.
func Encode(e batch.Event) Record {
	r := Record{
		Kind: string(e.Kind), At: e.At.UTC(),
		Job: e.Job, Attempt: e.Attempt, Lane: e.Lane, Task: e.Task, Request: e.Request,
		Class: string(e.Class), Code: e.Code, Message: e.Message,
		Tasks: e.Tasks, Mid: e.Mid, By: e.By, After: e.After,
		Clock: e.Clock, Source: e.Source, Store: e.Store, Address: e.Address, Expires: e.Expires, Origin: e.Origin,
		Begin: (*beginRecord)(e.Begin), Plan: (*planRecord)(e.Plan), Run: (*runRecord)(e.Run),
		End: (*endRecord)(e.End), Artifact: (*artifactRecord)(e.Artifact), Shown: (*shownRecord)(e.Shown),
	}
	if e.Kind == batch.Intended {
		r.Hold = &e.Hold
	}
	return r
}

// Decode reads the payload of one line back. A type of record that this
// program does not know is an error: skipping it could skip a payment.
func Decode(payload json.RawMessage) (batch.Event, error) {
	var r Record
	if err := json.Unmarshal(payload, &r); err != nil {
		return batch.Event{}, fmt.Errorf("read record: %w", err)
	}
	e := batch.Event{
		Kind: batch.Kind(r.Kind), At: r.At,
		Job: r.Job, Attempt: r.Attempt, Lane: r.Lane, Task: r.Task, Request: r.Request,
		Class: batch.Class(r.Class), Code: r.Code, Message: r.Message,
		Tasks: r.Tasks, Mid: r.Mid, By: r.By, After: r.After,
		Clock: r.Clock, Source: r.Source, Store: r.Store, Address: r.Address, Expires: r.Expires, Origin: r.Origin,
		Begin: (*batch.Begin)(r.Begin), Plan: (*batch.Plan)(r.Plan), Run: (*batch.Run)(r.Run),
		End: (*batch.End)(r.End), Artifact: (*batch.Artifact)(r.Artifact), Shown: (*batch.Shown)(r.Shown),
	}
	if r.Hold != nil {
		e.Hold = *r.Hold
	}
	return e, nil
}
