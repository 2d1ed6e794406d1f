package pipeline

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"os"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of the file that pairs_from names. Its length is free: it is read line by
// line and never held.
const (
	maxRowBytes = 64 << 10
	maxColumns  = 64
	maxMedia    = 4096 // characters of a path or URL, as in the schema
	maxLabels   = 32
	maxLabel    = 256 // characters
)

// rowFile is the file that pairs_from names: one pair per line, as CSV or as JSON.
// It is read from the start each time, and must be the same each time.
type rowFile struct {
	path string // to be opened, and shown

	size     int64
	modified time.Time
	sum      []byte // SHA-256 of the first complete reading; nil before
}

// openRows looks at the file that pairs_from names. It returns nil when there is
// none, or it can't be read, which is reported.
func openRows(m *Manifest, found *problems) *rowFile {
	if m.PairsFrom == "" {
		return nil
	}
	f := &rowFile{path: m.resolve(m.PairsFrom)}
	bad := func(hint, format string, args ...any) *rowFile {
		found.addNew(m.placeOf("pairs_from"), hint, "pairs_from: %s %s", shown(withoutQuery(m.PairsFrom)), fmt.Sprintf(format, args...))
		return nil
	}
	if isRemote(m.PairsFrom) {
		return bad("download it, and name the file", "is a URL")
	}
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return bad("", "can't be read: %v", reason(err))
	case info.IsDir():
		return bad("name a CSV or JSON-lines file, or use matrix", "is a folder")
	case !info.Mode().IsRegular():
		return bad("it is read several times", "is not a regular file")
	}
	found.rows = f.path
	f.size, f.modified = info.Size(), info.ModTime()
	return f
}

// changed is the error of a file that is no longer the one that was planned.
func (f *rowFile) changed() error {
	return fmt.Errorf("%s changed while it was in use; plan again", f.path)
}

// pairs reads the file and yields its pairs in order; what is wrong with a row is
// reported and the row left out. A file that is not the same as the first time
// ends with an error, at the latest when it was read to its end.
func (f *rowFile) pairs(found *problems) iter.Seq2[*Pair, error] {
	return func(yield func(*Pair, error) bool) {
		file, err := os.Open(f.path)
		if err != nil {
			yield(nil, fmt.Errorf("read pairs: %w", err))
			return
		}
		defer file.Close() // read only: nothing can be lost
		info, err := file.Stat()
		if err != nil || info.Size() != f.size || !info.ModTime().Equal(f.modified) {
			yield(nil, errors.Join(err, f.changed()))
			return
		}
		lines := &lineReader{r: bufio.NewReaderSize(file, maxRowBytes), sum: sha256.New()}
		for p := range f.parse(lines, found) {
			if !yield(p, nil) {
				return
			}
		}
		if err := f.ended(lines); err != nil {
			yield(nil, err)
		}
	}
}

// ended judges a reading that came to its end.
func (f *rowFile) ended(lines *lineReader) error {
	if lines.err != nil && !errors.Is(lines.err, io.EOF) {
		return fmt.Errorf("read pairs: %w", lines.err)
	}
	if lines.refused && f.sum == nil {
		return nil // there is a problem now, so there will be no plan
	}
	sum := lines.sum.Sum(nil)
	if f.sum == nil {
		f.sum = sum
	}
	if !bytes.Equal(sum, f.sum) {
		return f.changed()
	}
	return nil
}

// refuseFunc is told what is wrong with the line at hand.
type refuseFunc = func(hint, format string, args ...any)

// rowFunc fills a pair in from a line. It reports false if the line is no pair,
// having told why, or if it is as good as blank.
type rowFunc = func(line string, p *Pair, refuse refuseFunc) bool

// parse yields the pairs in the lines.
func (f *rowFile) parse(lines *lineReader, found *problems) iter.Seq[*Pair] {
	told := false
	refuse := func(hint, format string, args ...any) {
		told = true
		found.add(position{line: int32(lines.number), rows: true}, hint, format, args...)
	}
	return func(yield func(*Pair) bool) {
		var row rowFunc
		var p Pair // the same each time, to be filled in anew
		n := int32(0)
		for line, ok := lines.next(refuse); ok && !found.full; line, ok = lines.next(refuse) {
			if row == nil {
				var header bool
				row, header = f.format(line, refuse)
				if lines.refused = row == nil; lines.refused {
					return
				}
				if header {
					continue
				}
			}
			p = Pair{Line: lines.number, from: fromRows, index: n}
			if !row(line, &p, refuse) || !p.finishRow(refuse) {
				continue
			}
			if n++; !yield(&p) {
				return
			}
		}
		lines.refused = lines.refused || found.full
		if n == 0 && !told {
			refuse("", "the file holds no pairs")
		}
	}
}

// format tells how the rows are written, by the file's name, else by how its first
// line begins, and whether that line is no row itself. It returns nil if the file
// can't be read, which is told.
func (f *rowFile) format(first string, refuse refuseFunc) (row rowFunc, header bool) {
	ext := strings.ToLower(path.Ext(f.path))
	if ext == ".jsonl" || ext == ".ndjson" || ext != ".csv" && strings.HasPrefix(strings.TrimSpace(first), "{") {
		return jsonRow, false
	}
	return csvRow(first, refuse), true
}

// finishRow completes a pair from a row, and holds it to the bounds that the
// schema sets for pairs in the manifest.
func (p *Pair) finishRow(refuse refuseFunc) bool {
	for _, value := range []struct{ name, text string }{{"image", p.Image}, {"video", p.Video}} {
		if len(value.text) > maxMedia && utf8.RuneCountInString(value.text) > maxMedia {
			refuse("", "%s: longer than %d characters", value.name, maxMedia)
			return false
		}
	}
	if len(p.Labels) > maxLabels {
		refuse("", "labels: more than %d", maxLabels)
		return false
	}
	for key, value := range p.Labels {
		if utf8.RuneCountInString(value) > maxLabel {
			refuse("", "label %s: longer than %d characters", quote(key), maxLabel)
			return false
		}
	}
	p.identify()
	p.ID = norm.NFC.String(p.ID)
	return true
}

// goodLabel reports whether a text may be the name of a label: the schema's rule
// for names under labels.
func goodLabel(name string) bool {
	return name != "" && utf8.RuneCountInString(name) <= 64 &&
		!strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`"',:;=`, c) })
}

const labelHint = "use 1 to 64 characters without spaces, quotes, commas, colons, semicolons and equal signs"

// lineReader reads lines, not more than one at a time, and sums up what it read.
type lineReader struct {
	r       *bufio.Reader // as large as a line may be
	sum     hash.Hash
	number  int   // of the line at hand, from 1
	err     error // that ended the reading; io.EOF at the file's end
	refused bool  // the rest was not read, which was told
}

// next returns the next line that is not blank, without its end, nor the byte
// order mark that spreadsheets put first. It reports false when there is none.
func (l *lineReader) next(refuse refuseFunc) (string, bool) {
	for {
		line, err := l.r.ReadSlice('\n')
		l.sum.Write(line)
		if len(line) == 0 || err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			l.err = err
			return "", false
		}
		l.number++
		if l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			refuse("one pair per line", "the line is longer than %d bytes", maxRowBytes)
			l.refused = true
			return "", false
		case !utf8.Valid(line):
			refuse("save the file as UTF-8", "the line is not UTF-8 text")
			l.refused = true
			return "", false
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			return string(line), true
		}
	}
}
