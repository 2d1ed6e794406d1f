package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// screen is a terminal for tests, as tmux is one: long rows break and come together
// again when its width changes, what leaves the top is kept, and clearing it all
// from the top left corner keeps that too. It is safe for concurrent use.
type screen struct {
	mu         sync.Mutex
	wide, high int
	rows       []row  // kept ones first, the last high of them are seen
	x, y       int    // of the cursor; y counts from the first row ever
	top        int    // first row that is seen
	breaks     bool   // long lines break
	part       string // the begin of a sequence or letter whose end was not written yet
	odd        string
}

type row struct {
	text []rune // 0 follows a wide letter
	cont bool   // it continues in the next row
}

func newScreen(wide, high int) *screen {
	return &screen{wide: wide, high: high, rows: make([]row, 1), breaks: true}
}

func (s *screen) size() (int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wide, s.high
}

// Write shows text and obeys the sequences that are known. Others are remembered
// as odd. One write may end anywhere, as what is read from a terminal does.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.part + string(b)
	for s.part = ""; rest != ""; {
		if rest == "\x1b" || !utf8.FullRuneInString(rest) {
			s.part = rest
			break
		}
		if after, ok := strings.CutPrefix(rest, "\x1b["); ok {
			end := strings.IndexFunc(after, func(r rune) bool { return r >= '@' && r <= '~' })
			if end < 0 {
				s.part = rest
				break
			}
			s.obey(after[:end], after[end])
			rest = after[end+1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(rest)
		rest = rest[n:]
		s.put(r)
	}
	return len(b), nil
}

func (s *screen) obey(arg string, verb byte) {
	n, _ := strconv.Atoi(arg)
	switch {
	case verb == 'A':
		s.y = max(s.top, s.y-max(1, n))
	case verb == 'K' && arg == "":
		s.rows[s.y].text = s.rows[s.y].text[:min(s.x, len(s.rows[s.y].text))]
	case verb == 'K' && arg == "2":
		s.rows[s.y] = row{}
	case verb == 'J' && arg == "" && s.x == 0 && s.y == s.top:
		s.top = len(s.rows)
		s.rows = append(s.rows, row{})
		s.y = s.top
	case verb == 'J' && arg == "":
		s.rows = s.rows[:s.y+1]
		s.rows[s.y].text = s.rows[s.y].text[:min(s.x, len(s.rows[s.y].text))]
	case arg == "?7":
		s.breaks = verb == 'h'
	case verb == 'm' || arg == "?25" || arg == "?2026":
	default:
		s.odd += fmt.Sprintf("ESC[%s%c", arg, verb)
	}
}

func (s *screen) put(r rune) {
	switch {
	case r == '\r':
		s.x = 0
	case r == '\n':
		s.down()
	case r < ' ' || r >= 0x7f && r < 0xa0:
		s.odd += strconv.QuoteRune(r)
	default:
		n := runeColumns(r)
		if s.x+n > s.wide {
			if !s.breaks {
				s.x = s.wide - n
			} else {
				s.rows[s.y].cont = true
				s.x = 0
				s.down()
			}
		}
		text := s.rows[s.y].text
		for len(text) < s.x+n {
			text = append(text, ' ')
		}
		text[s.x] = r
		if n == 2 {
			text[s.x+1] = 0
		}
		s.rows[s.y].text = text
		s.x += n
	}
}

func (s *screen) down() {
	if s.y++; s.y == len(s.rows) {
		s.rows = append(s.rows, row{})
	}
	s.top = max(s.top, len(s.rows)-s.high, s.y-s.high+1)
}

// resize breaks all rows anew.
func (s *screen) resize(wide, high int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []row
	y := 0
	for i := 0; i < len(s.rows); i++ {
		var text []rune
		start := i
		for text = append(text, s.rows[i].text...); s.rows[i].cont && i+1 < len(s.rows); text = append(text, s.rows[i].text...) {
			i++
		}
		if s.y >= start && s.y <= i {
			y = len(rows)
		}
		for ; len(text) > wide; text = text[wide:] {
			rows = append(rows, row{text[:wide:wide], true})
		}
		rows = append(rows, row{text, false})
	}
	s.rows, s.wide, s.high, s.y = rows, wide, high, y
	s.top = max(0, len(rows)-high)
}

// text returns what is seen, and what left the top before it.
func (s *screen) text() (seen, kept string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, r := range s.rows {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(string(r.text), "\x00", ""), " "))
	}
	return strings.Trim(strings.Join(lines[s.top:], "\n"), "\n"), strings.Join(lines[:s.top], "\n")
}
