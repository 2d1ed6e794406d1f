package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

const (
	// maxIndex caps a box that is read whole. The index of a 30 s clip is some kilobytes; an hour
	// of video with sound stays below 8 MB.
	maxIndex = 64 << 20

	// maxTopBoxes bounds the walk over a file made of empty boxes.
	maxTopBoxes = 1 << 16
)

// A box is one box at the top of a file: kind, then the offsets of its first byte, of its content
// and of the byte after it.
type box struct {
	kind             string
	start, body, end int64
}

// topBoxes lists the boxes of a file of size bytes. A box that reaches past the end is in the
// list, cut to the file, together with ErrTruncated, so that a caller may use what came before.
func topBoxes(r io.ReaderAt, size int64) ([]box, error) {
	var list []box
	for at := int64(0); at < size; {
		if len(list) == maxTopBoxes {
			return list, fmt.Errorf("more than %d boxes: %w", maxTopBoxes, ErrFormat)
		}
		b, err := topBox(r, at, size)
		if err != nil {
			return list, err
		}
		if b.end > size {
			b.end = size
			return append(list, b), fmt.Errorf("box %q at %d: %w", b.kind, at, ErrTruncated)
		}
		list = append(list, b)
		at = b.end
	}
	return list, nil
}

// topBox reads the header at offset at of a file of size bytes.
func topBox(r io.ReaderAt, at, size int64) (box, error) {
	header := make([]byte, min(16, size-at))
	if err := readFull(r, header, at); err != nil {
		return box{}, err
	}
	kind, head, length, err := boxHeader(header, size-at)
	if err != nil {
		return box{}, fmt.Errorf("box at %d: %w", at, err)
	}
	return box{kind: kind, start: at, body: at + head, end: at + length}, nil
}

// boxHeader reads the header at the start of b, inside room bytes of parent. Length is not
// checked against room here: only the caller knows what an overrun means.
func boxHeader(b []byte, room int64) (kind string, head, length int64, err error) {
	if len(b) < 8 {
		return "", 0, 0, fmt.Errorf("%d bytes where a box should be: %w", len(b), ErrTruncated)
	}
	kind, head = string(b[4:8]), 8
	switch size := binary.BigEndian.Uint32(b); size {
	case 0: // to the end of the parent
		length = room
	case 1: // the real size is 64 bits, after the kind
		if len(b) < 16 {
			return "", 0, 0, fmt.Errorf("box %q: %w", kind, ErrTruncated)
		}
		head = 16
		length = int64(min(binary.BigEndian.Uint64(b[8:]), 1<<62))
	default:
		length = int64(size)
	}
	if length < head {
		return "", 0, 0, fmt.Errorf("box %q of %d bytes: %w", kind, length, ErrFormat)
	}
	// Keeps start+length from overflowing; still an overrun for every caller.
	return kind, head, min(length, room+1), nil
}

// content reads the content of a top box whole.
func content(r io.ReaderAt, b box) ([]byte, error) {
	length := b.end - b.body
	if length > maxIndex {
		return nil, fmt.Errorf("box %q of %d bytes, at most %d are read: %w", b.kind, length, maxIndex, ErrFormat)
	}
	data := make([]byte, length)
	return data, readFull(r, data, b.body)
}

// readFull fills b from offset at. A source shorter than its stated size is ErrTruncated; any
// other error of the source is passed on as it is.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	switch {
	case n == len(b):
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return fmt.Errorf("read %d bytes at %d: %w", len(b), at, ErrTruncated)
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), at, err)
}

// children walks the boxes inside data, in order. The walk stops after the first error.
func children(data []byte) iter.Seq2[child, error] {
	return func(yield func(child, error) bool) {
		for len(data) >= 8 { // QuickTime ends some lists with four zero bytes
			kind, head, length, err := boxHeader(data, int64(len(data)))
			if err == nil && length > int64(len(data)) {
				err = fmt.Errorf("box %q: %w", kind, ErrTruncated)
			}
			if err != nil {
				yield(child{}, err)
				return
			}
			if !yield(child{kind, data[head:length]}, nil) {
				return
			}
			data = data[length:]
		}
	}
}

// A child is a box in memory.
type child struct {
	kind string
	data []byte
}

// find returns the content of the first box at path below data, and whether there is one.
func find(data []byte, path ...string) ([]byte, bool, error) {
	for _, kind := range path {
		next, ok, err := first(data, kind)
		if !ok || err != nil {
			return nil, false, err
		}
		data = next
	}
	return data, true, nil
}

// first returns the content of the first child of the given kind.
func first(data []byte, kind string) ([]byte, bool, error) {
	for c, err := range children(data) {
		if err != nil {
			return nil, false, err
		}
		if c.kind == kind {
			return c.data, true, nil
		}
	}
	return nil, false, nil
}

// fields reads big-endian numbers off the front of a box, one after the other. Reading past the
// end gives zeros and sets short, so a parser checks once, at its end.
type fields struct {
	data  []byte
	short bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.data) {
		f.short, f.data = true, nil
		return make([]byte, n)
	}
	b := f.data[:n]
	f.data = f.data[n:]
	return b
}

func (f *fields) skip(n int)  { f.take(n) }
func (f *fields) u16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.take(8)) }

// word reads a number that is 64 bits wide in version 1 of a box, and 32 in version 0.
func (f *fields) word(version uint8) uint64 {
	if version == 1 {
		return f.u64()
	}
	return uint64(f.u32())
}

// head reads the version and flags at the start of a full box.
func (f *fields) head() (version uint8, flags uint32) {
	v := f.u32()
	return uint8(v >> 24), v & 0xffffff
}

// err reports a box of the given kind that ended before its fields did.
func (f *fields) err(kind string) error {
	if f.short {
		return fmt.Errorf("box %q: %w", kind, ErrTruncated)
	}
	return nil
}
