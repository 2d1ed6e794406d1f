package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// panel is a few lines at the bottom of a terminal that are written again and
// again in place, and the text that scrolls by above them. The cursor rests below
// it, visible and in the first column: whoever writes there next, a shell after a
// kill or a panic, harms nothing.
//
// A library was tried first (mpb 8.9.3) and does worse in three ways. It erases
// before it draws, which tmux answers by copying every frame that starts in the
// first row to the scroll-back. A terminal that gets narrower breaks long lines in
// two, and half of the old frame stays behind. And a frame as tall as the terminal
// scrolls by one line with each drawing.
type panel struct {
	w            io.Writer
	size         func() (columns, rows int)
	muteTerminal func() (restore func()) // makes the terminal write nothing by itself; nil if it does not
	truncates    bool                    // the terminal cuts long lines when it gets narrower, instead of breaking them
	drawn        []string
	wide         int // columns of the terminal when it was drawn
}

// Sequences of every terminal of the last decades, but for the first pair, which
// asks newer ones to show a frame at once and is ignored by others. A frame is
// drawn with a hidden cursor and without automatic line breaks, so that a letter
// whose width we get wrong cannot add a row.
const (
	beginFrame = "\x1b[?2026h\x1b[?25l\x1b[?7l"
	endFrame   = "\x1b[?7h\x1b[?25h\x1b[?2026l"
	clearRight = "\x1b[K"
	clearRow   = "\x1b[2K"
	clearBelow = "\x1b[J"
)

// draw writes text above the panel and the panel anew, in one write. Lines must
// fit the terminal, and be fewer than its rows.
func (p *panel) draw(above, lines []string) error {
	wide, high := p.size()
	if len(above) == 0 && wide == p.wide && slices.Equal(lines, p.drawn) {
		return nil
	}
	var b strings.Builder
	b.WriteString(beginFrame)
	up := p.rows(wide)
	if up >= high { // its beginning has left the screen, maybe in the middle of a broken line
		broken := up > len(p.drawn)
		if up = high - 1; broken {
			up = max(0, high-2)
		}
	}
	if up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	b.WriteString("\r")
	if up > 0 && wide != p.wide {
		// A row that the terminal broke stays tied to the next one until it is
		// emptied as a whole.
		b.WriteString(strings.Repeat(clearRow+"\r\n", up))
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	for _, line := range above {
		b.WriteString(line + clearRight + "\r\n")
	}
	for _, line := range lines {
		b.WriteString(line + clearRight + "\r\n")
	}
	// Rows are left over when the panel got smaller. The top left corner is the one
	// place where they must not be cleared from: see above.
	if len(above)+len(lines) == 0 && up > 0 {
		b.WriteString(clearRight + "\r\n" + clearBelow + "\x1b[A")
	} else if up > 0 {
		b.WriteString(clearBelow)
	}
	b.WriteString(endFrame)
	p.drawn, p.wide = slices.Clone(lines), wide
	_, err := io.WriteString(p.w, b.String())
	return err
}

// rows is how many rows the panel takes on a terminal that is now so wide.
func (p *panel) rows(wide int) int {
	if p.truncates || wide >= p.wide || wide <= 0 {
		return len(p.drawn)
	}
	n := 0
	for _, line := range p.drawn {
		n += max(1, (visible(line)+wide-1)/wide)
	}
	return n
}

// hold makes the terminal write nothing by itself until restore is called.
func (p *panel) hold() (restore func()) {
	if p.muteTerminal == nil {
		return func() {}
	}
	return p.muteTerminal()
}

// forget leaves what is on the screen as it is; the next frame starts below.
func (p *panel) forget() { p.drawn = nil }

// sizeOf tells how large a terminal is at the moment.
func sizeOf(f *os.File) func() (columns, rows int) {
	return func() (int, int) {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
		return 80, 24
	}
}
