package dashscope

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Names of the calls, as in [Error.Op].
const (
	OpCreate = "create"
	OpQuery  = "query"
	OpList   = "list"
	OpCancel = "cancel"
	OpPolicy = "getPolicy"
	OpUpload = "upload"
)

// ErrTooLate is matched by the error of a [Client.Cancel] that came too late:
// the task runs already, has ended, or is not known. Nothing was changed.
var ErrTooLate = errors.New("only a waiting task can be cancelled")

// maxRetryAfter bounds what a Retry-After header can ask for.
const maxRetryAfter = 10 * time.Minute

// Error is the failure of one call. All its texts are free of secrets and of
// control characters and may be shown as they are.
type Error struct {
	// Op is one of the names above.
	Op string
	// Sent is false only when the request provably never left: no connection
	// to the provider was obtained.
	Sent bool
	// Status is the HTTP status of the answer; 0 when there was none.
	Status int
	// Code and Message are the provider's own. Code is empty unless the
	// answer was a whole JSON object that names one; Message is then a short
	// excerpt of whatever came, if anything.
	Code, Message string
	// RequestID is the provider's id of this request, for its support; may be
	// empty.
	RequestID string
	// RetryAfter is how long the provider asked to wait: 0 for not said, never
	// more than 10 minutes.
	RetryAfter time.Duration
	// Date is the clock of whoever answered; zero if there was no answer, or
	// it did not tell.
	Date time.Time

	where string // scheme, host and path
	cause error  // nil when the answer says it all
}

// Error says which call failed, how, and under which request id.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.where != "" {
		b.WriteString(" " + e.where)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.Status)
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.cause != nil {
		b.WriteString(": " + e.cause.Error())
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

// Unwrap returns the cause: a context error, a network error, [ErrTooLate] or
// one of an upload's ([ErrPolicy], [ErrExists], [ErrSource]), to be tested with errors.Is and errors.As. It is nil when the provider
// answered with an ordinary error.
func (e *Error) Unwrap() error { return e.cause }

// Class tells what kind of failure this is; see [Classify].
func (e *Error) Class() Class { return Classify(e.Status, e.Code, e.Message) }

// MayHaveExecuted reports whether the provider may have done what was asked.
// After a create, true means that a paid task may exist and that the create
// must not be repeated before the doubt is settled. False is proof: the request
// never left, or a well-formed 4xx answer refused it. Query, list and getPolicy
// do nothing and an upload nothing that matters, so false.
func (e *Error) MayHaveExecuted() bool {
	if e.Op != OpCreate && e.Op != OpCancel || !e.Sent {
		return false
	}
	return !e.refused()
}

// refused reports whether the answer proves that nothing was done. A timeout
// proves nothing even when a gateway dresses it as a 4xx.
func (e *Error) refused() bool {
	if e.Status < 400 || e.Status > 499 || e.Code == "" {
		return false
	}
	if e.Status == http.StatusRequestTimeout || e.Status == 499 {
		return false
	}
	code := normalize(e.Code)
	return code != "requesttimeout" && code != "responsetimeout"
}

// scrubbed shows a cleaned text in place of an error that may hold a URL with
// its query, yet is found by errors.Is and errors.As.
type scrubbed struct {
	text string
	err  error
}

func (s scrubbed) Error() string        { return s.text }
func (s scrubbed) Is(target error) bool { return errors.Is(s.err, target) }
func (s scrubbed) As(target any) bool   { return errors.As(s.err, target) }

// parseRetryAfter reads a Retry-After header: seconds or an HTTP date. What it
// cannot read, or lies in the past, is 0.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
