package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"golang.org/x/image/riff"
)

const (
	maxHeaders = 1 << 20 // the headers of a file with sound have some kilobytes
	maxChunks  = 64      // before, and in, the headers
)

// isAVI reports whether a file begins as a RIFF container of AVI.
func isAVI(r io.ReaderAt, size int64) bool {
	var head [12]byte
	return size >= 12 && readFull(r, head[:], 0) == nil && string(head[:4]) == "RIFF" && string(head[8:]) == "AVI "
}

// readAVI reads the headers of an AVI, which stand before everything else.
func readAVI(r io.ReaderAt, size int64) (Video, error) {
	if err := wholeRIFF(r, size); err != nil {
		return Video{}, err
	}
	headers, err := aviHeaders(r, size)
	if err != nil {
		return Video{}, err
	}
	var f aviFile
	if err := eachChunk(headers, f.take); err != nil {
		return Video{}, fmt.Errorf("avi headers: %w", err)
	}
	return f.video()
}

// wholeRIFF compares what each RIFF chunk of a file claims with what is there; a large file has
// several, one per gigabyte. A size of 0 or -1 was never filled in, and one that counts its own
// header is a known mistake: neither proves a cut.
func wholeRIFF(r io.ReaderAt, size int64) error {
	for at := int64(0); at+12 <= size; {
		var head [12]byte
		if err := readFull(r, head[:], at); err != nil {
			return err
		}
		if string(head[:4]) != "RIFF" {
			return nil // a strange tail
		}
		claimed := binary.LittleEndian.Uint32(head[4:])
		end := at + 8 + int64(claimed)
		switch {
		case claimed == 0 || claimed == math.MaxUint32:
			return nil
		case end > size && end != size+8:
			return fmt.Errorf("%d of %d bytes: %w", size, end, ErrTruncated)
		}
		at = end + end%2
	}
	return nil
}

// aviHeaders returns the content of the list named hdrl.
func aviHeaders(r io.ReaderAt, size int64) ([]byte, error) {
	source := &watched{Reader: io.NewSectionReader(r, 8, size-8)}
	_, chunks, err := riff.NewListReader(uint32(min(size-8, math.MaxUint32)), source)
	for range maxChunks {
		if err != nil {
			break
		}
		var id riff.FourCC
		var length uint32
		var data io.Reader
		if id, length, data, err = chunks.Next(); err != nil || id != riff.LIST || length < 4 {
			continue
		}
		kind := make([]byte, 4)
		if _, err = io.ReadFull(data, kind); err != nil || string(kind) != "hdrl" {
			continue
		}
		if length > maxHeaders {
			return nil, fmt.Errorf("avi headers of %d bytes, at most %d are read: %w", length, maxHeaders, ErrFormat)
		}
		list := slices.Concat(kind, make([]byte, length-4))
		if _, err = io.ReadFull(data, list[4:]); err == nil {
			return list, nil
		}
	}
	switch {
	case source.err != nil:
		return nil, fmt.Errorf("avi headers: %w", source.err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("avi headers: %w", ErrTruncated)
	}
	return nil, fmt.Errorf("no avi headers: %w", ErrFormat)
}

// eachChunk hands the chunks of a list in memory to take, with the kind of those that are lists.
func eachChunk(list []byte, take func(id, kind string, data []byte) error) error {
	memory := &sliceReader{list}
	_, chunks, err := riff.NewListReader(uint32(len(list)), memory)
	for n := 0; err == nil; n++ {
		id, length, _, next := chunks.Next()
		if errors.Is(next, io.EOF) {
			return nil
		}
		if next != nil || n == maxChunks {
			return fmt.Errorf("chunk %d: %w", n, ErrFormat)
		}
		data, kind := memory.rest[:length], ""
		if id == riff.LIST && length >= 4 {
			kind = string(data[:4])
		}
		err = take(string(id[:]), kind, data)
	}
	return err
}

// sliceReader reads from memory and lets see what comes next.
type sliceReader struct{ rest []byte }

func (s *sliceReader) Read(p []byte) (int, error) {
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// An aviFile gathers what the headers say.
type aviFile struct {
	header []byte // avih
	frames uint32 // of all RIFF chunks together, from OpenDML's dmlh
	stream []byte // strh of the first video stream
	format []byte // strf of the same
	sound  bool
}

func (f *aviFile) take(id, kind string, data []byte) error {
	switch {
	case id == "avih":
		f.header = data
	case kind == "strl":
		return f.takeStream(data)
	case kind == "odml":
		return eachChunk(data, func(id, _ string, data []byte) error {
			if id == "dmlh" {
				f.frames = le32(data, 0)
			}
			return nil
		})
	}
	return nil
}

func (f *aviFile) takeStream(list []byte) error {
	var header, format []byte
	err := eachChunk(list, func(id, _ string, data []byte) error {
		switch id {
		case "strh":
			header = data
		case "strf":
			format = data
		}
		return nil
	})
	if err != nil || len(header) < 4 {
		return err
	}
	switch kind := string(header[:4]); {
	case kind == "auds":
		f.sound = true
	case kind == "vids" && f.stream == nil:
		f.stream, f.format = header, format
	}
	return nil
}

// video reads the streams' headers: strh holds the clock (scale / rate seconds per frame) at 20
// and the number of frames at 32, strf is a BITMAPINFOHEADER.
func (f *aviFile) video() (Video, error) {
	if f.stream == nil {
		return Video{}, fmt.Errorf("avi: no video stream: %w", ErrFormat)
	}
	v := Video{Format: "avi", Sound: f.sound, Width: int(le32(f.format, 4)), Height: int(int32(le32(f.format, 8)))}
	if v.Height < 0 { // rows from top to bottom
		v.Height = -v.Height
	}
	if len(f.format) >= 20 {
		v.Codec = codecName(string(f.format[16:20]))
	}
	if v.Width <= 0 || v.Height <= 0 || v.Width > math.MaxInt32 {
		return Video{}, fmt.Errorf("avi: pictures of %d x %d: %w", v.Width, v.Height, ErrFormat)
	}
	var err error
	v.Duration, v.FrameRate, err = f.length()
	return v, err
}

func (f *aviFile) length() (time.Duration, Rate, error) {
	scale, rate := le32(f.stream, 20), le32(f.stream, 24)
	if scale == 0 || rate == 0 {
		scale, rate = le32(f.header, 0), 1e6 // microseconds per frame
	}
	if scale == 0 {
		return 0, Rate{}, fmt.Errorf("avi: frames of no length: %w", ErrFormat)
	}
	// With OpenDML the stream's own count may cover the first gigabyte alone.
	frames := uint64(max(le32(f.stream, 32), f.frames))
	length, err := seconds(frames*uint64(scale), rate)
	return length, run{frames: 2, ticks: 2 * uint64(scale)}.rate(rate), err
}

// le32 reads a little-endian number at an offset, 0 when it is not there.
func le32(b []byte, at int) uint32 {
	if len(b) < at+4 {
		return 0
	}
	return binary.LittleEndian.Uint32(b[at:])
}
