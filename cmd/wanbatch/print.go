package main

// The voice of the program, kept by everything it prints:
//
//   - lower case, no full stop at the end, one line per thing
//   - a refusal says what to do next, an error what was being done to what
//   - results go to standard output, everything else to standard error
//   - money is exact and has its currency, except in the live view, which
//     rounds to cents
//   - whatever came from outside (messages, file names, ids) loses its control
//     characters, so that nobody can move the cursor or paint the screen

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"

	"github.com/shopspring/decimal"
	"golang.org/x/text/width"

	"github.com/wanbatch/wanbatch/pipeline"
)

// printer writes lines to one stream and remembers the first failure: a result
// that was not delivered is an error, whoever else was happy. It is safe for
// concurrent use.
type printer struct {
	mu  sync.Mutex // guards failed, keeps lines whole
	w   io.Writer
	bad error
}

// Write passes text on as it is. Everything else here goes through it.
func (p *printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, err := p.w.Write(text)
	if err != nil && p.bad == nil {
		p.bad = fmt.Errorf("write the output: %w", err)
	}
	return n, err
}

// failure is the first write that went wrong.
func (p *printer) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bad
}

// line prints one line.
func (p *printer) line(format string, args ...any) {
	_, _ = p.Write([]byte(clean(fmt.Sprintf(format, args...)) + "\n"))
}

// ask prints a question and stays on its line.
func (p *printer) ask(format string, args ...any) {
	_, _ = p.Write([]byte("\n" + clean(fmt.Sprintf(format, args...)) + " "))
}

// clean drops what a terminal would obey instead of show.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

// columns is how many columns of a terminal a clean text takes.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	kind := width.LookupRune(r).Kind()
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens a clean text to at most so many columns.
func cut(text string, most int) string {
	if columns(text) <= most {
		return text
	}
	n := 0
	for i, r := range text {
		if n+runeColumns(r) > most-1 {
			return text[:i] + "…"
		}
		n += runeColumns(r)
	}
	return text
}

// tableColumns is how many columns of a terminal a table takes.
func tableColumns(rows [][]string) int {
	n := 0
	for _, w := range cellWidths(rows) {
		n += w + 3
	}
	return n - 1
}

func cellWidths(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(clean(cell)))
		}
	}
	return widths
}

// table prints rows in columns, the first left-aligned, the others right-aligned.
func (p *printer) table(rows [][]string) { p.aligned(rows, 1) }

// aligned prints rows in columns, of which the first few are left-aligned.
func (p *printer) aligned(rows [][]string, left int) {
	widths := cellWidths(rows)
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-columns(clean(cell)))
			switch {
			case i == 0:
				b.WriteString("  " + cell + pad)
			case i < left:
				b.WriteString("   " + cell + pad)
			default:
				b.WriteString("   " + pad + cell)
			}
		}
		p.line("%s", strings.TrimRight(b.String(), " "))
	}
}

// labeled prints a label and a text beside it, broken at spaces to fit 80 columns.
func (p *printer) labeled(label, text string) {
	const indent, room = 12, 80 - 1 - 12
	for _, line := range wrapped(text, room) {
		p.line("  %-*s%s", indent-2, label, line)
		label = ""
	}
}

// command prints a command beside a label, whole so that it can be pasted, and a text
// after it: in the same line if both fit into 80 columns.
func (p *printer) command(label, command, text string) {
	const indent, room = 12, 80 - 1 - 12
	if columns(clean(command+" "+text)) <= room {
		command, text = strings.TrimRight(command+" "+text, " "), ""
	}
	p.line("  %-*s%s", indent-2, label, command)
	if text != "" {
		p.labeled("", text)
	}
}

// wrapped breaks a text at spaces into lines of at most so many columns, unless a
// word is longer. An empty text is one empty line.
func wrapped(text string, room int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case columns(*last)+1+columns(word) <= room:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// money is an exact amount with its currency.
func money(amount decimal.Decimal, currency string) string {
	return amount.String() + " " + currency
}

// span is a range as people write it.
func span(r pipeline.Range) string {
	if r.Low.Equal(r.High) {
		return r.Low.String()
	}
	return r.Low.String() + " to " + r.High.String()
}

// count is a number of things with the right ending: "1 job", "2 jobs", "2 batches".
func count(n int, thing string) string {
	switch {
	case n == 1:
		return "1 " + thing
	case strings.HasSuffix(thing, "ch"):
		thing += "e"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
