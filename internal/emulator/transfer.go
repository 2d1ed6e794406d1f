package emulator

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// transfer sends a body by the rules of HTTP ranges, or breaks off as a fault wants.
func (c *call) transfer(out *sender, t *task, body []byte, hits hits) {
	switch {
	case hits.has("cut-download-no-length"):
		c.cutWithoutLength(body)
	case hits.has("slow-download"):
		out.Header().Set("Content-Length", fmt.Sprint(len(body)))
		c.trickle(out, body)
	default:
		if hits.has("cut-download") {
			out.cut = true
		}
		http.ServeContent(out, c.r, "", t.done, bytes.NewReader(body))
	}
}

// damage returns the bytes a fault sends instead of the stored ones.
func (c *call) damage(whole []byte, hits hits) []byte {
	switch {
	case hits.has("corrupt-body"):
		body := bytes.Clone(whole)
		body[len(body)/2] ^= 0x01
		return body
	case hits.has("wrong-length"):
		return whole[:len(whole)-64]
	}
	return whole
}

// spoilResult answers a result request with something else than the object, and says whether it
// did.
func (c *call) spoilResult(h hits) bool {
	switch {
	case h.has("early-403"):
		c.deny(ossError{status: http.StatusForbidden, Code: "AccessDenied", Message: "Access denied."})
	case h.has("redirect-private"):
		c.w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
		c.w.WriteHeader(http.StatusFound)
	case h.has("html-result"):
		c.html(http.StatusOK)
	case h.has("gzip-bomb"):
		c.bomb()
	default:
		return false
	}
	return true
}

// bomb sends 256 MB that travel as a quarter of one: gzip lets its members stand in a row, so
// one of 4 MB does for all.
func (c *call) bomb() {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, _ = z.Write(make([]byte, 4<<20)) // a buffer takes everything
	_ = z.Close()
	c.w.Header().Set("Content-Type", "video/mp4")
	c.w.Header().Set("Content-Encoding", "gzip")
	for range 64 {
		if _, err := c.w.Write(member.Bytes()); err != nil {
			panic(http.ErrAbortHandler) // the client was wise enough to leave
		}
	}
}

// trickle sends one byte a second until client or server gives up.
func (c *call) trickle(out *sender, body []byte) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := range body {
		if _, err := out.Write(body[i : i+1]); err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = http.NewResponseController(out.ResponseWriter).Flush() // a writer that cannot flush sends later
		select {
		case <-c.r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-c.ctx.Done():
			panic(http.ErrAbortHandler)
		case <-tick.C:
		}
	}
}

// cutWithoutLength sends half of the body as one that ends with its connection, so that nothing
// in HTTP shows the cut.
func (c *call) cutWithoutLength(body []byte) {
	conn, buf, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 frames its bodies: the nearest is a reset
	}
	defer conn.Close()
	fmt.Fprint(buf, "HTTP/1.1 200 OK\r\nConnection: close\r\n")
	_ = c.w.Header().Write(buf)
	fmt.Fprint(buf, "\r\n")
	_, _ = buf.Write(body[:len(body)/2])
	_ = buf.Flush() // half a body proves nothing, arrived or not
}

// A sender notes which part of an object goes out, and can break off in the middle of it.
type sender struct {
	http.ResponseWriter
	note   func(from, to int64) (undo func()) // nil for bytes that are not the object's
	at     int64                              // position in the object of the next byte
	length int64                              // of this answer
	sent   int64
	cut    bool
	failed bool // the answer is an error text, not the object
}

// WriteHeader learns from the headers which range is being sent.
func (s *sender) WriteHeader(status int) {
	s.failed = status != http.StatusOK && status != http.StatusPartialContent
	_, _ = fmt.Sscanf(s.Header().Get("Content-Range"), "bytes %d-", &s.at) // absent: from 0
	_, _ = fmt.Sscan(s.Header().Get("Content-Length"), &s.length)          // absent: never cut
	s.ResponseWriter.WriteHeader(status)
}

// Write passes bytes of the object on. They are noted before they leave: whoever has read the
// last of them finds it on the meter.
func (s *sender) Write(p []byte) (int, error) {
	half := s.length / 2
	last := s.cut && s.sent+int64(len(p)) >= half
	if last {
		p = p[:half-s.sent]
	}
	undo := func() {}
	if s.note != nil && !s.failed {
		undo = s.note(s.at, s.at+int64(len(p)))
	}
	n, err := s.ResponseWriter.Write(p)
	if err != nil {
		undo()
	}
	s.at, s.sent = s.at+int64(n), s.sent+int64(n)
	if last {
		_ = http.NewResponseController(s.ResponseWriter).Flush() // what was written shall arrive
		panic(http.ErrAbortHandler)
	}
	return n, err
}

// A span is a set of byte positions, as disjoint intervals in order.
type span [][2]int64

// with returns the set joined with [from, to). The old set stays as it is.
func (s span) with(from, to int64) span {
	var joined span
	for _, i := range s {
		if i[1] < from || i[0] > to {
			joined = append(joined, i)
			continue
		}
		from, to = min(from, i[0]), max(to, i[1])
	}
	joined = append(joined, [2]int64{from, to})
	slices.SortFunc(joined, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
	return joined
}

// covers says whether all of [0, size) is in the set.
func (s span) covers(size int64) bool {
	return len(s) > 0 && s[0][0] == 0 && s[0][1] >= size
}
