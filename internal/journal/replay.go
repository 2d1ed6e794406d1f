package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Replay reads a journal from its beginning and gives every record behind the
// header to fn, in order, with its line number (the first one is 2). The
// payload is valid until fn returns; copy it to keep it. fn may be nil.
//
// Replay only reads, whoever else may be writing. torn tells that the file
// ends in an incomplete record without newline, the trace of a crash inside an
// append, which [Open] would cut off; that record is not given to fn and not
// counted in the head. An empty file, the trace of a crash inside [Create], is
// a journal without records.
//
// The error is a [*CorruptError], matches [ErrVersion], or wraps what fn or r
// returned. The head then covers the lines before the error. Memory is bounded
// by [MaxLine], whatever r holds.
func Replay(r io.Reader, fn func(line int, payload json.RawMessage) error) (Head, bool, error) {
	s, err := replay(r, fn)
	return s.head, s.torn, err
}

// replayed is what a reading found: the head, the length in bytes of the lines
// it covers, and whether a torn record stands behind them.
type replayed struct {
	head Head
	size int64
	torn bool
}

func replay(r io.Reader, fn func(int, json.RawMessage) error) (replayed, error) {
	var s replayed
	err := s.read(r, fn)
	return s, err
}

// read goes on with what follows the lines that s covers.
func (s *replayed) read(r io.Reader, fn func(int, json.RawMessage) error) error {
	var tail []byte
	in := bufio.NewScanner(r)
	in.Buffer(nil, MaxLine)
	in.Split(splitLine)
	for in.Scan() {
		if tail = in.Bytes(); tail[len(tail)-1] != '\n' {
			break // the end of the file, or of what could be read of it
		}
		if err := s.take(tail, fn); err != nil {
			return err
		}
		tail = nil
	}
	number := int(s.head.Records) + 1
	switch err := in.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return &CorruptError{number, fmt.Sprintf("it is longer than %d bytes", MaxLine)}
	case err != nil:
		return fmt.Errorf("read journal line %d: %w", number, err)
	}
	var err error
	s.torn, err = s.head.judgeTail(tail)
	return err
}

// splitLine is a [bufio.SplitFunc] that keeps the newline: whether the last line
// has one is the whole difference between a record and a torn one.
func splitLine(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// take verifies one complete line and hands its payload on.
func (s *replayed) take(line []byte, fn func(int, json.RawMessage) error) error {
	data, next, reason := s.head.check(line[:len(line)-1])
	number := int(next.Records)
	switch {
	case reason != "":
		return &CorruptError{int(s.head.Records) + 1, reason}
	case number == 1:
		if err := checkHeader(data); err != nil {
			return err
		}
	case fn != nil:
		if err := fn(number, data); err != nil {
			return fmt.Errorf("journal line %d: %w", number, err)
		}
	}
	s.head = next
	s.size += int64(len(line))
	return nil
}

// judgeTail tells whether the bytes behind the last newline are a torn record,
// which can be cut off, or damage, which must not be.
//
// A record is acknowledged only once its newline is durable. So a tail without
// newline was promised to nobody, unless it is the newline itself that went
// bad: then a whole record stands there with one byte behind it. A torn first
// line is cut off only if it is the beginning of our header: anything else is a
// file of somebody else's.
//
// Zeros at the end are no damage: a power cut can make a file longer before the
// bytes come. Even the newline can be one, as a single changed bit cannot.
func (h Head) judgeTail(tail []byte) (torn bool, err error) {
	if len(tail) == 0 {
		return false, nil
	}
	written := bytes.TrimRight(tail, "\x00")
	if _, _, reason := h.check(tail[:len(tail)-1]); reason == "" && len(written) == len(tail) {
		return false, &CorruptError{int(h.Records) + 1, "another byte stands where its newline belongs"}
	}
	if first, _ := headerLine(); h.Records == 0 && !bytes.HasPrefix(first, written) {
		return false, &CorruptError{1, "it is not the header of a wanbatch journal"}
	}
	return true, nil
}
