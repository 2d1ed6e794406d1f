package emulator

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An account is one main account. Limits count per account, whichever of its keys is used, and a
// key sees every task of its account and none of another's.
type account struct {
	number     string // caller_uid in lists
	lanes      map[string]*lane
	management window // query, list and cancel together: the stricter reading
}

// lane returns the queue of one model, making it at first use.
func (a *account) lane(model string, opt *Options) *lane {
	l := a.lanes[model]
	if l == nil {
		l = newLane(opt)
		a.lanes[model] = l
	}
	return l
}

// authorize finds the account of the request's key, or says why there is none.
func (c *call) authorize() *refusal {
	key, bearer := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	if !bearer || key == "" {
		return &refusal{http.StatusUnauthorized, "InvalidApiKey", "No API-key provided."}
	}
	known := strings.HasPrefix(key, "sk-")
	if len(c.opt.AcceptKeys) > 0 {
		known = slices.Contains(c.opt.AcceptKeys, key)
	}
	if !known {
		return &refusal{http.StatusUnauthorized, "InvalidApiKey", "Invalid API-key provided."}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys[key] == "" {
		c.keys[key] = strconv.Itoa(1500000 + len(c.keys))
	}
	c.key = c.keys[key]
	c.acc = c.account(c.opt.Accounts[key])
	return nil
}

// account returns an account by its name in Options.Accounts; "" is everybody else's. The lock
// is held.
func (s *Server) account(name string) *account {
	a := s.accounts[name]
	if a == nil {
		a = &account{number: strconv.Itoa(1000000000000000 + len(s.accounts)), lanes: map[string]*lane{}}
		s.accounts[name] = a
	}
	return a
}

// A window allows so many calls in any one second: it remembers when the last ones were allowed.
// Refused calls do not count, so a client that is told to slow down recovers.
type window struct{ allowed []time.Time }

// allow takes a permit at now, if fewer than limit were taken in the second before.
func (w *window) allow(now time.Time, limit int) bool {
	if limit < 0 {
		return true
	}
	w.allowed = slices.DeleteFunc(w.allowed, func(t time.Time) bool { return now.Sub(t) >= time.Second })
	if len(w.allowed) >= limit {
		return false
	}
	w.allowed = append(w.allowed, now)
	return true
}
