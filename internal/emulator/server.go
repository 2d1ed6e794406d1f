package emulator

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A Server is one provider: accounts, tasks and results in memory. It is safe for concurrent use
// and serves any [http.Server], on real sockets or on pipes.
type Server struct {
	opt    Options
	secret []byte // signs result URLs

	ctx  context.Context // ends with Close: input downloads and waiting faults watch it
	stop context.CancelFunc
	wg   sync.WaitGroup // input downloads

	mu       sync.Mutex // guards everything below
	dice     *rand.Rand
	faults   []*armed
	accounts map[string]*account
	keys     map[string]string // api key -> api_key_id
	tasks    []*task           // in order of acceptance
	byID     map[string]*task
	byPath   map[string]*task   // result path -> task
	grants   map[string]*grant  // policy -> what it allows
	uploads  map[string]*upload // key -> file, or what is remembered of one
	spooled  *spool             // where the files are; nil before the first
	late     []lateCreate
	count    counters
}

// New starts a provider. Close it to stop its downloads.
func New(opt Options) *Server {
	seed := opt.Seed
	for seed == 0 {
		seed = binary.LittleEndian.Uint64(randomBytes(8))
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		opt:    opt.filled(),
		secret: randomBytes(20),
		ctx:    ctx, stop: stop,
		dice:     rand.New(rand.NewPCG(seed, 0)),
		accounts: map[string]*account{},
		keys:     map[string]string{},
		byID:     map[string]*task{},
		byPath:   map[string]*task{},
		grants:   map[string]*grant{},
		uploads:  map[string]*upload{},
		count:    newCounters(),
	}
	if s.opt.Inputs == nil {
		s.opt.Inputs = inputClient()
	}
	for _, f := range s.opt.Faults {
		s.faults = append(s.faults, &armed{Fault: f})
	}
	return s
}

// Close stops every download of an input and every reply a fault holds back, and waits for the
// downloads. Tasks whose inputs were not probed stay as they are. It may be called twice, and
// while requests are being served: a task accepted later is never probed.
func (s *Server) Close() {
	s.mu.Lock() // so that no download starts between the stop and the wait
	s.stop()
	s.mu.Unlock()
	s.wg.Wait()
	s.opt.Inputs.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spooled != nil {
		s.spooled.remove()
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimRight(r.URL.Path, "/")
	if path == "/__meter" {
		writeJSON(w, http.StatusOK, s.Meter())
		return
	}
	c := s.arrive(w, r)
	if strings.HasPrefix(path, "/results/") {
		c.result()
		return
	}
	if isUpload(r, path) {
		c.upload()
		return
	}
	path = strings.TrimPrefix(path, "/api/v1")
	switch id, isTask := strings.CutPrefix(path, "/tasks/"); {
	case path == "/services/aigc/image2video/video-synthesis":
		c.only(http.MethodPost, "create", c.create)
	case path == "/uploads":
		c.only(http.MethodGet, "policy", c.getPolicy)
	case path == "/tasks":
		c.only(http.MethodGet, "list", c.list)
	case isTask && strings.HasSuffix(id, "/cancel"):
		c.only(http.MethodPost, "cancel", func() { c.cancel(strings.TrimSuffix(id, "/cancel")) })
	case isTask:
		c.only(http.MethodGet, "query", func() { c.query(id) })
	case strings.HasPrefix(path, "/services/"):
		c.refuse(refusal{http.StatusBadRequest, "InvalidParameter", "url error, please check url！"})
	default:
		c.refuse(refusal{http.StatusNotFound, "NotFound", "Not found!"})
	}
}

// A call is one request being answered.
type call struct {
	*Server
	w   http.ResponseWriter
	r   *http.Request
	at  time.Time // the provider's time of arrival
	acc *account  // set once the key is accepted
	key string    // its api_key_id
	id  string    // request id
}

// arrive starts a call: the world catches up with the clock, and the faults that strike any
// connection strike.
func (s *Server) arrive(w http.ResponseWriter, r *http.Request) *call {
	s.mu.Lock()
	c := &call{Server: s, w: w, r: r, at: s.catchUp(), id: s.uuid()}
	if r.Header.Get("Idempotency-Key") != "" || r.Header.Get("X-Idempotency-Key") != "" {
		s.count.idempotency++
	}
	hits := s.strike(atCall)
	s.mu.Unlock()

	if hits.has("drop-all") {
		panic(http.ErrAbortHandler)
	}
	date := c.at
	if hits.has("date-skew") {
		date = date.Add(-100 * time.Minute)
	}
	w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
	return c
}

// only answers a call of one kind: method, key and limit first, then the answer itself.
func (c *call) only(method, kind string, answer func()) {
	c.mu.Lock()
	c.count.requests[kind]++
	c.mu.Unlock()
	if c.r.Method != method {
		c.refuse(refusal{http.StatusBadRequest, "InvalidParameter",
			"Request method '" + c.r.Method + "' is not supported."})
		return
	}
	if no := c.authorize(); no != nil {
		c.refuse(*no)
		return
	}
	if kind != "create" && kind != "policy" && !c.permit(kind, &c.acc.management, c.opt.QueriesPerSecond) {
		c.refuse(tooFast)
		return
	}
	answer()
}

// permit takes one permit of a limit per second, and counts a call that finds none.
func (c *call) permit(kind string, w *window, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := w.allow(c.at, limit)
	if !ok {
		c.count.overLimit[kind]++
	}
	return ok
}

// A refusal is an error answer: HTTP status, and the flat object of the provider.
type refusal struct {
	status        int
	code, message string
}

var tooFast = refusal{http.StatusTooManyRequests, "Throttling.RateQuota",
	"Requests rate limit exceeded, please try again later."}

// refuse writes an error answer.
func (c *call) refuse(no refusal) {
	writeJSON(c.w, no.status, struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		RequestID string `json:"request_id"`
	}{no.code, no.message, c.id})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a client that is gone hears nothing anyway
}

// catchUp brings the world up to the clock and returns the time. The lock is held.
func (s *Server) catchUp() time.Time {
	now := s.opt.Now().Round(0).Truncate(time.Millisecond)
	s.admitLate(now)
	s.forget(now)
	for _, a := range s.accounts {
		for _, l := range a.lanes {
			l.advance(now)
		}
	}
	return now
}

// uuid draws an id in the provider's look. The lock is held.
func (s *Server) uuid() string {
	h := s.hex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-9" + h[17:20] + "-" + h[20:]
}

// hex draws n random bytes as text. The lock is held.
func (s *Server) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.dice.Uint32())
	}
	return hex.EncodeToString(b)
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	crand.Read(b) // never fails, by its contract
	return b
}

// east is the provider's clock face: UTC+8 everywhere.
var east = time.FixedZone("UTC+8", 8*60*60)

// clockText writes a time as a query shows it, without its zone; the zero time is "".
func clockText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(east).Format("2006-01-02 15:04:05.000")
}
