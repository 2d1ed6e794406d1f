package batch

import (
	"fmt"
	"strings"
	"time"
)

// diary is what happened in a world: what it reached, a hash over everything, and
// the newest lines for a reader of a failure.
type diary struct {
	reach map[string]int
	hash  uint64
	lines [200]line // a ring
	said  int
}

type line struct {
	at   time.Time
	what string
	n    int
	args [4]string
}

func (d *diary) hit(name string) { d.reach[name]++ }

// FNV-1a, by hand: it runs for every line.
const (
	fnvBasis = 14695981039346656037
	fnvPrime = 1099511628211
)

func (d *diary) mix64(n uint64) { d.hash = (d.hash ^ n) * fnvPrime }

func (d *diary) mixString(text string) {
	h := d.hash
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * fnvPrime
	}
	d.hash = (h ^ 0xff) * fnvPrime
}

// tell adds a line. Lines become text only when somebody reads them.
func (s *sim) tell(what string, n int, args ...string) {
	l := &s.lines[s.said%len(s.lines)]
	s.said++
	*l = line{at: s.now, what: what, n: n}
	copy(l.args[:], args)
	s.mix64(uint64(s.now.Sub(epoch)))
	s.mix64(uint64(n))
	s.mixString(what)
	for i := range l.args {
		s.mixString(l.args[i])
	}
}

// story is the newest n lines.
func (d *diary) story(n int) string {
	var b strings.Builder
	for i := max(0, d.said-min(n, len(d.lines))); i < d.said; i++ {
		l := &d.lines[i%len(d.lines)]
		fmt.Fprintf(&b, "%12.3f  %s %d %s\n", l.at.Sub(epoch).Seconds(), l.what, l.n, strings.Join(l.args[:], " "))
	}
	return b.String()
}
