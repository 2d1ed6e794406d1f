package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxProblems bounds what one manifest can make us say. Nobody mends a thousand
// problems in one go, and a hostile file must not turn into a flood of text.
const maxProblems = 1000

// Problem is one thing wrong with a manifest or with a file it names.
type Problem struct {
	File    string // the manifest's name, or that of its pairs_from; "" when it was built in code
	Line    int    // from 1; 0 when the problem has no place
	Column  int    // from 1; 0 when unknown
	Message string // what is wrong, mostly with the path of the value first: "pairs[3]: ..."
	Hint    string // what to do about it; may be empty
}

// String returns "file:line:column: message; hint", leaving out what is unknown.
// It never contains the query of a URL, nor the value of a key.
func (p Problem) String() string {
	var b strings.Builder
	for _, part := range []struct {
		text string
		show bool
	}{
		{p.File, p.File != ""},
		{fmt.Sprint(p.Line), p.Line > 0},
		{fmt.Sprint(p.Column), p.Line > 0 && p.Column > 0},
	} {
		if part.show {
			b.WriteString(part.text + ":")
		}
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString("; " + p.Hint)
	}
	return b.String()
}

// ManifestError reports everything that is wrong with a manifest, so that one
// reading mends it all. [ReadManifest] and [NewPlan] return it; a caller finds it
// with errors.As.
type ManifestError struct {
	Problems []Problem // at least one, sorted by line and column, those of pairs_from last
}

// Error lists the problems, one per line.
func (e *ManifestError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// position is a place in the manifest's file, or in the one that pairs_from
// names; zero when there is none.
type position struct {
	line, column int32
	rows         bool // in the file that pairs_from names
}

// problems gathers what is wrong in one manifest, in any order.
type problems struct {
	file  string
	rows  string // name of the file that pairs_from names
	list  []Problem
	basic int // the first so many come from the basic checks, see addNew
	full  bool
}

// problemsOf begins with what reading a manifest has found.
func problemsOf(m *Manifest) *problems {
	if m.wrong == nil {
		return &problems{file: m.messageName()}
	}
	found := *m.wrong
	found.list = slices.Clone(found.list)
	return &found
}

// add notes a problem, once.
func (ps *problems) add(at position, hint, format string, args ...any) {
	if ps.full {
		return
	}
	p := Problem{
		File: ps.file, Line: int(at.line), Column: int(at.column),
		Message: fmt.Sprintf(format, args...), Hint: hint,
	}
	if at.rows {
		p.File = ps.rows
	}
	if slices.Contains(ps.list, p) {
		return
	}
	if len(ps.list) == maxProblems {
		ps.full = true
		return
	}
	ps.list = append(ps.list, p)
}

// addNew notes a problem unless the basic checks have refused what stands in its
// place: nothing is judged twice.
func (ps *problems) addNew(at position, hint, format string, args ...any) {
	if ps.full {
		return
	}
	judged := slices.ContainsFunc(ps.list[:ps.basic], func(p Problem) bool {
		return !at.rows && p.Line > 0 && p.Line == int(at.line) && p.Column == int(at.column)
	})
	if !judged {
		ps.add(at, hint, format, args...)
	}
}

// err returns the problems as a *ManifestError, or nil when there are none.
func (ps *problems) err() error {
	if len(ps.list) == 0 {
		return nil
	}
	elsewhere := func(p Problem) int {
		if p.File == ps.file {
			return 0
		}
		return 1
	}
	list := slices.Clone(ps.list) // the order of the original tells which are basic
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(elsewhere(a), elsewhere(b)), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if ps.full {
		list = append(list, Problem{File: ps.file, Message: "more problems follow; fix these first"})
	}
	return &ManifestError{Problems: list}
}
