package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Version is the format version that this program writes, and the newest one
// that it reads.
const Version = 1

// MaxLine bounds one line, newline included, in bytes. A longer record is
// refused before it is written, a longer line is damage.
const MaxLine = 1 << 20

// ErrVersion is matched by the error for a journal that a newer program wrote.
var ErrVersion = errors.New("journal of a newer format")

// A CorruptError names the first line that is not what was once written there:
// a byte differs, or a line was removed, repeated, moved or inserted before it.
// Nothing behind that line can be trusted, and nothing was changed.
type CorruptError struct {
	Line   int    // counted from 1
	Reason string // a clause for people
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal line %d is damaged: %s", e.Line, e.Reason)
}

// Head identifies everything a journal holds. Two journals with equal heads
// are equal byte for byte, so a head kept elsewhere (the report) exposes a tail
// that was cut off or rewritten since.
type Head struct {
	Records int64  // lines in the file, the header included
	Hash    string // the sum of the last line, 64 hex digits; "" if there is none
}

// header is the payload of line 1. Its line keeps the form and the checksum of
// version 1 in every later version, so that any program can tell a journal of
// the future from a damaged one.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

const formatName = "wanbatch-journal"

// genesis stands for the sum of the line before the first.
const genesis = "0000000000000000000000000000000000000000000000000000000000000000"

// The parts of a line around its three values.
const (
	beforeSeq  = `{"seq":`
	beforeSum  = `,"sum":"`
	beforeData = `","data":`
	afterData  = `}`
)

// headerLine is line 1 without its newline, and the head it makes.
func headerLine() ([]byte, Head) {
	line, head, err := appendLine(nil, Head{}, header{formatName, Version})
	if err != nil {
		panic(err) // unreachable: two plain fields
	}
	return line, head
}

// appendLine encodes payload as the line that follows head, without newline,
// and returns the grown buffer and the new head.
func appendLine(buf []byte, head Head, payload any) ([]byte, Head, error) {
	data, err := json.Marshal(payload) // compact also for json.RawMessage: no newline inside
	if err != nil {
		return buf, head, fmt.Errorf("encode journal record %d: %w", head.Records+1, err)
	}
	start := len(buf)
	next := head.next(data)
	buf = next.appendPrefix(buf)
	buf = append(buf, data...)
	buf = append(buf, afterData...)
	if n := len(buf) - start + 1; n > MaxLine {
		return buf[:start], head, fmt.Errorf("journal record %d has %d bytes, more than %d", next.Records, n, MaxLine)
	}
	return buf, next, nil
}

// next is the head after a record with this payload. The previous sum enters
// as its 64 hex digits, so that one line of shell can check a sum.
func (h Head) next(data []byte) Head {
	prev := h.Hash
	if h.Records == 0 {
		prev = genesis
	}
	d := sha256.New()
	d.Write([]byte(prev))
	d.Write(data)
	return Head{Records: h.Records + 1, Hash: hex.EncodeToString(d.Sum(nil))}
}

// appendPrefix writes everything that stands before the payload.
func (h Head) appendPrefix(buf []byte) []byte {
	buf = append(buf, beforeSeq...)
	buf = strconv.AppendInt(buf, h.Records, 10)
	buf = append(buf, beforeSum...)
	buf = append(buf, h.Hash...)
	return append(buf, beforeData...)
}

// check verifies that line, without newline, is the one that follows head, and
// returns its payload (a part of line) and the new head. Only one spelling of a
// record is accepted, so every byte of the line is covered.
func (h Head) check(line []byte) (json.RawMessage, Head, string) {
	const moved = "record %s stands where record %d belongs: lines were removed, repeated or moved"
	rest, ok := bytes.CutPrefix(line, []byte(beforeSeq))
	seq, rest, ok2 := bytes.Cut(rest, []byte(beforeSum))
	if !ok || !ok2 || len(rest) < len(genesis)+len(beforeData)+len(afterData) {
		return nil, h, "it is not a journal record"
	}
	want := strconv.FormatInt(h.Records+1, 10)
	if string(seq) != want {
		return nil, h, fmt.Sprintf(moved, clip(seq), h.Records+1)
	}
	data := rest[len(genesis)+len(beforeData) : len(rest)-len(afterData)]
	next := h.next(data)
	prefix := next.appendPrefix(make([]byte, 0, 128))
	if !bytes.HasPrefix(line, prefix) || !bytes.HasSuffix(line, []byte(afterData)) {
		return nil, h, "its bytes do not match its checksum and the line before"
	}
	return data, next, ""
}

// clip keeps a damaged number from flooding or faking a message.
func clip(b []byte) string {
	return strconv.Quote(string(b[:min(len(b), 20)]))
}

// checkHeader judges the payload of a line 1 whose checksum holds.
func checkHeader(data json.RawMessage) error {
	var h header
	if err := json.Unmarshal(data, &h); err != nil || h.Format != formatName || h.Version < 1 {
		return &CorruptError{1, "it is not the header of a wanbatch journal"}
	}
	if h.Version > Version {
		return fmt.Errorf("%w: it has version %d, this program reads versions up to %d; use a newer wanbatch",
			ErrVersion, h.Version, Version)
	}
	return nil
}
