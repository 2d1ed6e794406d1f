package main

import (
	"io"
	"strings"
)

// hangingIndent is how far the second and following lines of a wrapped text stand in.
const hangingIndent = 4

// prose prints lines that may be long: broken at spaces where a terminal would
// break them anywhere, whole where somebody may search them.
func (p *printer) prose(text string) {
	tty := terminal(p.w)
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		if tty == nil {
			p.line("%s", line)
			continue
		}
		for _, part := range wrap(clean(line), widthOf(tty)()-1) {
			p.line("%s", part)
		}
	}
}

// wrapper is prose for log lines, which may have colors.
type wrapper struct {
	w     io.Writer
	width func() int
}

func (w wrapper) Write(text []byte) (int, error) {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		for _, part := range wrap(line, w.width()-1) {
			b.WriteString(part + "\n")
		}
	}
	_, err := io.WriteString(w.w, b.String())
	return len(text), err
}

// visible is how many columns a clean text takes that may have colors.
func visible(text string) int {
	n := columns(text)
	for rest := text; ; {
		start := strings.Index(rest, "\x1b[")
		if start < 0 {
			return n
		}
		rest = rest[start:]
		end := strings.IndexByte(rest, 'm')
		if end < 0 {
			return n
		}
		n -= columns(rest[:end+1])
		rest = rest[end+1:]
	}
}

// wrap breaks a text at spaces into lines of at most so many columns, the second
// and following ones indented. A word that is too long gets a line of its own, or
// several. Colors are carried along.
func wrap(text string, room int) []string {
	indent := min(hangingIndent, room/2)
	bare := strings.TrimLeft(text, " ")
	text = strings.Repeat(" ", min(len(text)-len(bare), room/2)) + bare
	var lines []string
	line, used, begun := "", 0, false
	feed := func() {
		lines = append(lines, strings.TrimRight(line, " "))
		line, used, begun = strings.Repeat(" ", indent), indent, false
	}
	for i, word := range strings.Split(text, " ") {
		n := visible(word)
		if i > 0 && begun || i > 0 && len(lines) == 0 {
			line, used = line+" ", used+1
		}
		if used+n > room && begun {
			feed()
		}
		for used+n > room && n > 1 {
			head, tail := splitAt(word, room-used)
			line += head
			feed()
			word, n = tail, visible(tail)
		}
		line, used, begun = line+word, used+n, begun || n > 0
	}
	return append(lines, strings.TrimRight(line, " "))
}

// splitAt cuts a word after at most so many columns, but not before its first
// letter nor inside a color.
func splitAt(word string, most int) (head, tail string) {
	n, inColor := 0, false
	for i, r := range word {
		switch {
		case r == '\x1b':
			inColor = true
		case inColor:
			inColor = r != 'm'
		default:
			if n += runeColumns(r); n > most && i > 0 {
				return word[:i], word[i:]
			}
		}
	}
	return word, ""
}
