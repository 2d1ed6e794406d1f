package pipeline

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Key is an API key. It prints as "***" under every verb and encoding, so that
// a Config can be logged.
type Key string

// Format writes "***" for every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// MarshalText returns "***".
func (Key) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Config says how a plan is run. The zero value of each field means its default; a
// value that makes no sense ends with [ErrUsage] before anything is done.
// Nothing is read from the environment; a command fills this in.
type Config struct {
	// Output is the folder that holds the batch folders. Defaults to "output".
	Output string
	// State is the folder, one per user, that holds the locks by which all
	// batches of one account keep out of each other's way. Defaults to
	// ".state" below Output, which protects only batches with the same Output.
	State string

	// APIKey is sent to the endpoint and to nothing else. It is needed as soon as
	// there is work to do.
	APIKey Key
	// Endpoint replaces the region's own base URL and the manifest's. It must be
	// https unless it is a loopback address.
	Endpoint string
	// Transport carries the calls of the API; nil means one made for them.
	Transport http.RoundTripper
	// Proxy chooses a proxy for API calls and downloads; nil means none.
	Proxy func(*http.Request) (*url.URL, error)

	// StoreKeys open the buckets of the manifest's inputs.store and output.store, by
	// their scheme: "oss" and "s3".
	StoreKeys map[string]StoreKey

	// MaxCost is the most that the batch may cost over its whole life, in the
	// plan's currency. It replaces the manifest's budget if valid. Where neither
	// gives a cap, that of the batch's newest run stands. Not negative.
	MaxCost decimal.NullDecimal
	// Limit submits only the first jobs of the plan, so many; 0 means all.
	Limit int
	// Only submits only the jobs with these ids; empty means all.
	Only []string
	// RetryFailed puts failed and lost jobs back into the queue. They are paid
	// for again if they succeed.
	RetryFailed bool
	// AcceptChanges lets a job whose content changed be paid for again.
	AcceptChanges bool
	// Reuse names other batches, by folder, journal or report: work that they have
	// finished, by its content key, is copied instead of paid for again. Its bytes
	// are verified; what no longer verifies ends the run before anything is spent.
	Reuse []string
	// Deadline is the time by which everything that is created should be finished
	// and fetched, by expected run times with a quarter of them in reserve: what
	// cannot be is not created, and [Run] returns [ErrInterrupted] when the rest is
	// done. Zero means none.
	Deadline time.Time
	// Wait waits for a batch or a lane that another run holds.
	Wait bool

	// Stop, when closed, drains the run: no new work, downloads under way are
	// finished, then [Run] returns [ErrInterrupted]. Cancelling the context
	// stops at once, which is as safe: what has arrived is recorded, the answer
	// to a create is waited for a fifth of a second, downloads are resumed later.
	Stop <-chan struct{}
	// OnEvent is called for every step, one call at a time.
	// It must not block: the run waits for it.
	OnEvent func(Event)

	// Fetches is how many downloads run at once, and how many videos are put into a
	// bucket at once: 1 to 1000. Defaults to 4.
	Fetches int
	// Speed makes the run's clock this many times faster than the wall clock,
	// for a rehearsal against a provider whose clock is as fast. Positive; defaults
	// to 1.
	Speed float64
	// Version names the program in the journal, and to the servers it calls.
	Version string

	testHooks testHooks
}

func (c Config) withDefaults() Config {
	if c.Output == "" {
		c.Output = "output"
	}
	if c.State == "" {
		c.State = filepath.Join(c.Output, ".state")
	}
	if c.Fetches == 0 {
		c.Fetches = 4
	}
	if c.Speed == 0 {
		c.Speed = 1
	}
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	return c
}

// check refuses values that make no sense.
func (c Config) check() error {
	for _, one := range []struct {
		bad  bool
		what string
	}{
		{c.MaxCost.Valid && c.MaxCost.Decimal.IsNegative(), "MaxCost is " + c.MaxCost.Decimal.String() + "; it must not be negative"},
		{c.Limit < 0, "Limit is " + strconv.Itoa(c.Limit) + "; it is 0 for all jobs, or how many"},
		{c.Fetches < 0 || c.Fetches > maxFetches, fmt.Sprintf("Fetches is %d; it is from 1 to %d", c.Fetches, maxFetches)},
		{c.Speed < 0 || math.IsNaN(c.Speed) || math.IsInf(c.Speed, 0), fmt.Sprintf("Speed is %v; it must be a positive number", c.Speed)},
		{strings.ContainsFunc(c.Version, func(r rune) bool { return r < ' ' || r > '~' }), fmt.Sprintf("Version is %q; it must be printable ASCII", c.Version)},
	} {
		if one.bad {
			return fmt.Errorf("%w: Config.%s", ErrUsage, one.what)
		}
	}
	return nil
}

// maxFetches is more downloads at once than any line has use for.
const maxFetches = 1000

// userAgent is what the program calls itself; "" leaves that to the clients.
func (c Config) userAgent() string {
	if c.Version == "" {
		return ""
	}
	return "wanbatch/" + c.Version
}

// cap is the budget in force: the configured one, else the manifest's.
func (c Config) cap(p *Plan) decimal.NullDecimal {
	if c.MaxCost.Valid {
		return c.MaxCost
	}
	return p.Manifest.Budget.MaxCost
}
