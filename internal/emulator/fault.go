package emulator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A Fault is one way to misbehave and when. Make it with [ParseFault].
type Fault struct {
	Name string
	N    int     // exactly the N-th occasion, from 1; 0: not by number
	P    float64 // on each occasion with this probability; 0 with N == 0: on every one
}

// String writes the fault in the grammar of ParseFault.
func (f Fault) String() string {
	switch {
	case f.N > 0:
		return fmt.Sprintf("%s:%d", f.Name, f.N)
	case f.P > 0:
		return f.Name + ":" + strconv.FormatFloat(f.P*100, 'f', -1, 64) + "%"
	}
	return f.Name
}

// ParseFault reads NAME, NAME:5% or NAME:3. Without a suffix the fault strikes on every occasion,
// with a percentage on each with that probability (drawn from [Options].Seed), with a number on
// exactly that occasion, counted from 1. What an occasion is [FaultNames] says: most often a call
// of the fault's kind on which it can show.
func ParseFault(text string) (Fault, error) {
	name, when, timed := strings.Cut(text, ":")
	if !slices.ContainsFunc(catalogue, func(k FaultName) bool { return k.Name == name }) {
		return Fault{}, fmt.Errorf("fault %q: no such fault", name)
	}
	f := Fault{Name: name}
	if !timed {
		return f, nil
	}
	if percent, ok := strings.CutSuffix(when, "%"); ok {
		p, err := strconv.ParseFloat(percent, 64)
		if err != nil || !(p > 0 && p <= 100) {
			return Fault{}, fmt.Errorf("fault %q: %q is no percentage above 0 and up to 100", name, when)
		}
		f.P = p / 100
		return f, nil
	}
	n, err := strconv.Atoi(when)
	if err != nil || n < 1 {
		return Fault{}, fmt.Errorf("fault %q: %q is neither a percentage nor a number from 1", name, when)
	}
	f.N = n
	return f, nil
}

// A FaultName is a fault that can be injected, with one line on what it does.
type FaultName struct {
	Name, About string
	at          occasion
}

// FaultNames lists all faults, grouped by the call they strike.
func FaultNames() []FaultName { return slices.Clone(catalogue) }

// An occasion is where a fault may strike; percentages and numbers count occasions.
type occasion int

const (
	atCall     occasion = iota // any request, results included
	atCreate                   // a create that is in order and within the limit
	atStranger                 // a create or a list
	atTask                     // a task being accepted: decided once for its life
	atQuery                    // a query
	atSuccess                  // a query of a SUCCEEDED task
	atList                     // a list
	atPage                     // a list's page after the first
	atResult                   // a GET of a result that is in order
	atRange                    // the same with a Range header
	atPolicy                   // a getPolicy that is in order and within the limit
	atUpload                   // a form that is posted to the temporary store
)

var catalogue = []FaultName{
	{"lost-reply", "create: executed, then the connection closes without an answer", atCreate},
	{"lost-request", "create: not executed, the connection closes without an answer", atCreate},
	{"late-create", "create: the connection closes now, the task appears up to 5 s later", atCreate},
	{"create-500", "create: executed, then 500", atCreate},
	{"create-502", "create: executed, then 502 with an HTML body", atCreate},
	{"create-504", "create: executed, then 504 with an HTML body", atCreate},
	{"truncated-reply", "create: executed, the JSON of the answer stops midway", atCreate},
	{"wrong-content-type", "create: executed, the answer calls itself text/html", atCreate},
	{"slow-reply", "create: executed, no answer until the client gives up", atCreate},
	{"bad-task-id", `create: executed, the answer names the task "../cancel"`, atCreate},
	{"create-429", "create: not executed, 429 Throttling.RateQuota", atCreate},
	{"create-429-retry-after", "create: not executed, the same with Retry-After: 7", atCreate},
	{"create-burst", "create: not executed, 429 Throttling.BurstRate", atCreate},
	{"create-quota", "create: not executed, 429 Throttling.AllocationQuota", atCreate},
	{"arrears", "create: not executed, 400 Arrearage", atCreate},
	{"not-purchased", "create: not executed, 429 CommodityNotPurchased", atCreate},
	{"bad-key", "create: not executed, 401 InvalidApiKey", atCreate},
	{"model-denied", "create: not executed, 403 Model.AccessDenied", atCreate},

	{"failed-no-code", "task: FAILED without code and message", atTask},
	{"failed-algo", "task: FAILED InternalError.Algo", atTask},
	{"failed-input", "task: FAILED InvalidVideo.NoHuman within seconds", atTask},
	{"failed-output", "task: FAILED DataInspectionFailed", atTask},
	{"hostile-message", "task: FAILED with terminal escapes in its message", atTask},
	{"integer-duration", "task: billed a whole number of seconds, written without decimal point", atTask},

	{"query-429", "query: 429 Throttling.RateQuota", atQuery},
	{"query-500", "query: 500", atQuery},
	{"query-reset", "query: the connection closes without an answer", atQuery},
	{"query-html", "query: 200 with an HTML body", atQuery},
	{"unknown-flap", "query: UNKNOWN for this once", atQuery},
	{"status-regress", "query: a status the task had before", atQuery},
	{"no-url", "query of a SUCCEEDED task: no URL", atSuccess},
	{"expired-url", "query of a SUCCEEDED task: a URL that has expired", atSuccess},
	{"flat-result", "query of a SUCCEEDED task: output.video_url instead of output.results", atSuccess},
	{"list-result", "query of a SUCCEEDED task: results is an array", atSuccess},
	{"missing-usage", "query of a SUCCEEDED task: no usage", atSuccess},
	{"negative-usage", "query of a SUCCEEDED task: a negative duration", atSuccess},
	{"huge-usage", "query of a SUCCEEDED task: 1e308 seconds", atSuccess},
	{"string-usage", "query of a SUCCEEDED task: the duration is a string", atSuccess},
	{"http-result", "query of a SUCCEEDED task: an http URL even when served by https", atSuccess},

	{"list-429", "list: 429 Throttling.RateQuota", atList},
	{"list-500", "list: 500", atList},
	{"list-lag", "list: tasks of the last 5 s are missing", atList},
	{"list-drift", "list, pages after the first: shifted by one, a row is missed", atPage},
	{"list-duplicates", "list: the first row of the page stands twice", atList},
	{"list-unfiltered", "list: filters are ignored", atList},
	{"foreign-task", "create or list: a stranger's task appears in the account and its queue", atStranger},

	{"cut-download", "result: the connection closes midway", atResult},
	{"cut-download-no-length", "result: sent without a length, and cut midway", atResult},
	{"wrong-crc", "result: the CRC-64 header is wrong", atResult},
	{"no-crc", "result: no CRC-64 header", atResult},
	{"corrupt-body", "result: the byte in the middle is flipped", atResult},
	{"wrong-length", "result: shorter than it should be, as if whole", atResult},
	{"early-403", "result: 403 AccessDenied before the URL has expired", atResult},
	{"range-ignored", "result, with Range: 200 and the whole body", atRange},
	{"etag-changed", "result: stored again, with another ETag and other bytes, from now on", atResult},
	{"redirect-private", "result: 302 to a link-local address", atResult},
	{"html-result", "result: 200 with an HTML page", atResult},
	{"gzip-bomb", "result: Content-Encoding gzip, 256 MB of zeros", atResult},
	{"slow-download", "result: one byte a second", atResult},

	{"policy-429", "getPolicy: 429 Throttling.RateQuota", atPolicy},
	{"policy-500", "getPolicy: 500", atPolicy},
	{"policy-expired", "upload: 403, the policy has expired", atUpload},
	{"upload-cut", "upload: the connection closes midway, nothing is stored", atUpload},
	{"upload-500", "upload: stored, then 500", atUpload},
	{"upload-lost", "upload: stored, then the connection closes without an answer", atUpload},
	{"slow-upload", "upload: no answer until the client gives up", atUpload},

	{"date-skew", "any call: the Date header is 100 minutes behind", atCall},
	{"drop-all", "any call: the connection closes without an answer", atCall},
}

// An armed fault counts its occasions.
type armed struct {
	Fault
	seen int
}

// fires counts one occasion and says whether the fault strikes on it.
func (f *armed) fires(dice *rand.Rand) bool {
	f.seen++
	switch {
	case f.N > 0:
		return f.seen == f.N
	case f.P > 0:
		return dice.Float64() < f.P
	}
	return true
}

// hits are the faults that strike on one occasion, in the order of Options.Faults.
type hits []string

func (h hits) has(name string) bool { return slices.Contains(h, name) }

// strike counts an occasion for every fault that belongs to it. The lock is held.
func (s *Server) strike(at occasion) hits {
	var h hits
	for _, f := range s.faults {
		if occasionOf(f.Name) == at && f.fires(s.dice) {
			h = append(h, f.Name)
		}
	}
	return h
}

// occasionOf looks a fault up; one that was not made by ParseFault has none.
func occasionOf(name string) occasion {
	i := slices.IndexFunc(catalogue, func(k FaultName) bool { return k.Name == name })
	if i < 0 {
		return -1
	}
	return catalogue[i].at
}
