package media

import (
	"fmt"
	"io"
	"time"
)

// Flags of tfhd and trun that decide which fields are there (ISO/IEC 14496-12, 8.8.7 and 8.8.8).
const (
	tfhdBaseOffset  = 0x000001
	tfhdDescription = 0x000002
	tfhdDuration    = 0x000008

	trunDataOffset   = 0x000001
	trunFirstFlags   = 0x000004
	trunDuration     = 0x000100
	trunSize         = 0x000200
	trunFlags        = 0x000400
	trunCompositions = 0x000800
)

// fragmentedLength is how long the video track of a fragmented file plays: the samples of header
// and fragments added up, else what the header states, else the segment index. Samples come
// first: the stated length is a promise, made before they were written, and covers every track.
func fragmentedLength(r io.ReaderAt, boxes []box, m movie) (time.Duration, run, error) {
	all := m.video.listed
	for _, b := range boxes {
		if b.kind != "moof" {
			continue
		}
		data, err := content(r, b)
		if err != nil {
			return 0, run{}, err
		}
		n, err := fragment(data, m)
		if err != nil {
			return 0, run{}, fmt.Errorf("moof at %d: %w", b.start, err)
		}
		all = all.plus(n)
	}
	length, err := seconds(all.ticks, m.video.timescale)
	switch {
	case all.ticks > 0:
	case m.fragments > 0:
		length, err = seconds(m.fragments, m.timescale)
	default:
		length, err = indexedLength(r, boxes)
	}
	return length, all, err
}

// fragment adds up the samples of the video track in one moof.
func fragment(moof []byte, m movie) (run, error) {
	var sum run
	for c, err := range children(moof) {
		if err != nil {
			return run{}, err
		}
		if c.kind != "traf" {
			continue
		}
		n, err := trackRun(c.data, m)
		if err != nil {
			return run{}, err
		}
		sum = sum.plus(n)
	}
	return sum, nil
}

// trackRun adds up one traf box, nothing when it belongs to another track.
func trackRun(traf []byte, m movie) (run, error) {
	data, ok, err := first(traf, "tfhd")
	if err != nil || !ok {
		return run{}, missing("tfhd", err)
	}
	f := fields{data: data}
	_, flags := f.head()
	if id := f.u32(); id != m.video.id {
		return run{}, f.err("tfhd")
	}
	if flags&tfhdBaseOffset != 0 {
		f.skip(8)
	}
	if flags&tfhdDescription != 0 {
		f.skip(4)
	}
	each := m.defaults
	if flags&tfhdDuration != 0 {
		each = f.u32()
	}
	if err := f.err("tfhd"); err != nil {
		return run{}, err
	}
	var sum run
	for c, err := range children(traf) {
		if err != nil {
			return run{}, err
		}
		if c.kind != "trun" {
			continue
		}
		n, err := runLength(c.data, each)
		if err != nil {
			return run{}, err
		}
		sum = sum.plus(n)
	}
	return sum, nil
}

// runLength adds up one trun box; each is the duration of a sample that states none.
func runLength(trun []byte, each uint32) (run, error) {
	f := fields{data: trun}
	_, flags := f.head()
	count := f.u32()
	if flags&trunDataOffset != 0 {
		f.skip(4)
	}
	if flags&trunFirstFlags != 0 {
		f.skip(4)
	}
	if flags&trunDuration == 0 {
		return run{uint64(count), uint64(count) * uint64(each)}, f.err("trun")
	}
	rest := 0 // bytes after the duration, per sample
	for _, flag := range []uint32{trunSize, trunFlags, trunCompositions} {
		if flags&flag != 0 {
			rest += 4
		}
	}
	var sum run
	for ; count > 0 && !f.short; count-- {
		sum = sum.plus(run{1, uint64(f.u32())})
		f.skip(rest)
	}
	return sum, f.err("trun")
}

// indexedLength sums the segment indexes (sidx) of a file whose fragments state no durations.
func indexedLength(r io.ReaderAt, boxes []box) (time.Duration, error) {
	var sum time.Duration
	for _, b := range boxes {
		if b.kind != "sidx" {
			continue
		}
		data, err := content(r, b)
		if err != nil {
			return 0, err
		}
		length, err := indexLength(data)
		if err != nil {
			return 0, fmt.Errorf("sidx at %d: %w", b.start, err)
		}
		sum += length
		if sum < 0 {
			return 0, fmt.Errorf("sidx at %d: %w", b.start, ErrFormat)
		}
	}
	return sum, nil
}

// indexLength sums one sidx box.
func indexLength(sidx []byte) (time.Duration, error) {
	f := fields{data: sidx}
	version, _ := f.head()
	f.skip(4) // reference id
	timescale := f.u32()
	f.word(version) // earliest time
	f.word(version) // first offset
	f.skip(2)
	var ticks uint64
	for n := f.u16(); n > 0; n-- {
		f.skip(4) // kind and size
		ticks = plus(ticks, uint64(f.u32()))
		f.skip(4) // access point
	}
	if err := f.err("sidx"); err != nil {
		return 0, err
	}
	if timescale == 0 {
		return 0, fmt.Errorf("index clock of 0 ticks a second: %w", ErrFormat)
	}
	return seconds(ticks, timescale)
}
