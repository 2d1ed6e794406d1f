package media

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// A movie is what the moov box says: the clock of the whole, its first video track, whether
// there is sound, where the samples end, and whether more follow in fragments.
type movie struct {
	timescale  uint32
	duration   uint64 // in timescale; 0 when not stated
	video      track
	sound      bool
	reach      uint64 // offset after the last sample that the header lists, of video and sound
	fragmented bool
	fragments  uint64 // stated length with fragments (mehd), in timescale; 0 when not stated
	defaults   uint32 // default sample duration in fragments (trex), in video.timescale
}

// A track is one trak box. Edits counts in the movie's timescale, the other times in its own.
type track struct {
	id            uint32
	timescale     uint32
	duration      uint64 // mdhd; 0 when not stated
	listed        run    // sum of stts
	edits         uint64 // sum of the edits that show something; 0 without an edit list
	width, height int    // as shown
	rotation      int    // degrees clockwise
	codec         string
}

// A run is a number of samples and how long they last together, in their track's timescale.
type run struct{ frames, ticks uint64 }

func (r run) plus(other run) run {
	return run{plus(r.frames, other.frames), plus(r.ticks, other.ticks)}
}

// rate is the mean frame rate, unknown for less than two frames: one frame has no rhythm.
func (r run) rate(timescale uint32) Rate {
	high, frames := bits.Mul64(r.frames, uint64(timescale))
	if r.frames < 2 || r.ticks == 0 || high != 0 || frames == 0 {
		return Rate{}
	}
	a, b := frames, r.ticks
	for b != 0 {
		a, b = b, a%b
	}
	return Rate{Frames: frames / a, Seconds: r.ticks / a}
}

// parseMovie reads the content of a moov box.
func parseMovie(moov []byte) (movie, error) {
	var m movie
	found := false // the first video track
	for c, err := range children(moov) {
		if err != nil {
			return movie{}, fmt.Errorf("moov: %w", err)
		}
		switch c.kind {
		case "mvhd":
			err = m.header(c.data)
		case "cmov":
			err = fmt.Errorf("compressed movie header: %w", ErrFormat)
		case "trak":
			found, err = m.track(c.data, found)
		}
		if err != nil {
			return movie{}, fmt.Errorf("moov: %w", err)
		}
	}
	if m.timescale == 0 {
		return movie{}, fmt.Errorf("moov: no movie header: %w", ErrFormat)
	}
	if !found {
		return movie{}, fmt.Errorf("moov: no video track: %w", ErrFormat)
	}
	return m, m.extends(moov)
}

// track reads a trak box. It becomes the movie's if it is the first that shows pictures; found
// says whether there is one already, and whether there is one now.
func (m *movie) track(trak []byte, found bool) (bool, error) {
	handler, ok, err := find(trak, "mdia", "hdlr")
	if err != nil || !ok {
		return found, err
	}
	f := fields{data: handler}
	f.skip(8)
	kind := string(f.take(4))
	if kind != "vide" && kind != "soun" {
		return found, f.err("hdlr")
	}
	end, err := reach(trak)
	if err != nil {
		return found, err
	}
	m.reach = max(m.reach, end)
	m.sound = m.sound || kind == "soun"
	if kind == "vide" && !found {
		m.video, err = parseTrack(trak)
		found = true
	}
	return found, err
}

// header reads mvhd.
func (m *movie) header(data []byte) error {
	f := fields{data: data}
	version, _ := f.head()
	f.word(version) // created
	f.word(version) // modified
	m.timescale = f.u32()
	m.duration = stated(f.word(version), version)
	if !f.short && m.timescale == 0 {
		return fmt.Errorf("movie clock of 0 ticks a second: %w", ErrFormat)
	}
	return f.err("mvhd")
}

// extends reads mvex, which marks a fragmented file. It runs last: trex refers to the track.
func (m *movie) extends(moov []byte) error {
	mvex, ok, err := first(moov, "mvex")
	if !ok || err != nil {
		return err
	}
	m.fragmented = true
	for c, err := range children(mvex) {
		if err != nil {
			return fmt.Errorf("mvex: %w", err)
		}
		f := fields{data: c.data}
		version, _ := f.head()
		switch c.kind {
		case "mehd":
			m.fragments = stated(f.word(version), version)
		case "trex":
			id := f.u32()
			f.skip(4) // sample description
			if d := f.u32(); id == m.video.id {
				m.defaults = d
			}
		}
		if err := f.err(c.kind); err != nil {
			return err
		}
	}
	return nil
}

// length is how long the video track plays, from the movie header alone.
//
// The media's own length is cut by an edit list that shows less of it, and never prolonged by
// one: an edit list that delays or repeats adds no moving picture to pay for.
func (m *movie) length() (time.Duration, error) {
	ticks := m.video.duration
	if ticks == 0 {
		ticks = m.video.listed.ticks
	}
	if ticks == 0 {
		return seconds(m.duration, m.timescale)
	}
	length, err := seconds(ticks, m.video.timescale)
	if err != nil || m.video.edits == 0 {
		return length, err
	}
	shown, err := seconds(m.video.edits, m.timescale)
	return min(length, shown), err
}

// parseTrack reads the trak box of a video track.
func parseTrack(trak []byte) (track, error) {
	var t track
	for _, read := range []func([]byte) error{t.header, t.media, t.editList, t.entry, t.times} {
		if err := read(trak); err != nil {
			return track{}, err
		}
	}
	if t.rotation%180 != 0 {
		t.width, t.height = t.height, t.width
	}
	return t, nil
}

// header reads tkhd: the id, the size before it is turned, and by how much it is.
func (t *track) header(trak []byte) error {
	data, ok, err := first(trak, "tkhd")
	if err != nil || !ok {
		return missing("tkhd", err)
	}
	f := fields{data: data}
	version, _ := f.head()
	f.word(version) // created
	f.word(version) // modified
	t.id = f.u32()
	f.skip(4)
	f.word(version) // duration, edits included; a muxer's afterthought, not used
	f.skip(16)      // layer, group, volume
	matrix := [9]int32{}
	for i := range matrix {
		matrix[i] = int32(f.u32())
	}
	t.width, t.height = int(f.u32()>>16), int(f.u32()>>16)
	t.rotation = turn(matrix[0], matrix[1], matrix[3], matrix[4])
	return f.err("tkhd")
}

// turn reads a rotation by quarters off the four numbers of a matrix that turn and stretch; what
// is no such rotation is 0. A quarter turn moves all of a and d to b and c.
func turn(a, b, c, d int32) int {
	switch {
	case a == 0 && d == 0 && b > 0 && c != 0:
		return 90
	case a == 0 && d == 0 && b < 0 && c != 0:
		return 270
	case b == 0 && c == 0 && a < 0 && d < 0:
		return 180
	}
	return 0
}

// media reads mdhd: the track's own clock and length.
func (t *track) media(trak []byte) error {
	data, ok, err := find(trak, "mdia", "mdhd")
	if err != nil || !ok {
		return missing("mdhd", err)
	}
	f := fields{data: data}
	version, _ := f.head()
	f.word(version) // created
	f.word(version) // modified
	t.timescale = f.u32()
	t.duration = stated(f.word(version), version)
	if !f.short && t.timescale == 0 {
		return fmt.Errorf("track clock of 0 ticks a second: %w", ErrFormat)
	}
	return f.err("mdhd")
}

// editList sums elst, leaving out the empty edits that only delay the track.
func (t *track) editList(trak []byte) error {
	data, ok, err := find(trak, "edts", "elst")
	if err != nil || !ok {
		return err
	}
	f := fields{data: data}
	version, _ := f.head()
	for n := f.u32(); n > 0 && !f.short; n-- {
		length := f.word(version)
		from := f.word(version)
		f.skip(4) // rate
		empty := from == math.MaxUint64 || version == 0 && from == math.MaxUint32
		if !empty {
			t.edits = plus(t.edits, length)
		}
	}
	return f.err("elst")
}

// entry reads the codec and the picture's size from the first sample description. That size is
// what a decoder will give, so it outranks the one in tkhd.
func (t *track) entry(trak []byte) error {
	data, ok, err := find(trak, "mdia", "minf", "stbl", "stsd")
	if err != nil || !ok || len(data) < 8 {
		return err
	}
	entry, err := firstChild(data[8:])
	if err != nil || entry.kind == "" {
		return err
	}
	t.codec = codecName(entry.kind)
	f := fields{data: entry.data}
	f.skip(8 + 16) // sample entry, reserved
	width, height := int(f.u16()), int(f.u16())
	if width > 0 && height > 0 {
		t.width, t.height = width, height
	}
	return f.err("stsd")
}

// times sums stts, the durations of the samples the movie header itself lists.
func (t *track) times(trak []byte) error {
	data, ok, err := find(trak, "mdia", "minf", "stbl", "stts")
	if err != nil || !ok {
		return err
	}
	f := fields{data: data}
	f.head()
	for n := f.u32(); n > 0 && !f.short; n-- {
		count, each := uint64(f.u32()), uint64(f.u32())
		t.listed = t.listed.plus(run{count, count * each}) // 32 bits times 32 bits cannot overflow
	}
	return f.err("stts")
}

func firstChild(data []byte) (child, error) {
	for c, err := range children(data) {
		return c, err
	}
	return child{}, nil
}

func missing(kind string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("video track without %q: %w", kind, ErrFormat)
}

// stated turns the "unknown" of a duration field (all ones) into 0.
func stated(ticks uint64, version uint8) uint64 {
	if ticks == math.MaxUint64 || version == 0 && ticks == math.MaxUint32 {
		return 0
	}
	return ticks
}

// plus adds and stays at the top instead of wrapping, so that a forged sum is refused by seconds.
func plus(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

// seconds converts ticks of a clock to a duration, rounded to the nearest nanosecond. A length
// that no Duration can hold is ErrFormat.
func seconds(ticks uint64, timescale uint32) (time.Duration, error) {
	high, low := bits.Mul64(ticks, uint64(time.Second))
	low, carry := bits.Add64(low, uint64(timescale)/2, 0)
	high += carry
	if high >= uint64(timescale) {
		return 0, fmt.Errorf("length of %d/%d seconds: %w", ticks, timescale, ErrFormat)
	}
	nanos, _ := bits.Div64(high, low, uint64(timescale))
	if nanos > math.MaxInt64 {
		return 0, fmt.Errorf("length of %d/%d seconds: %w", ticks, timescale, ErrFormat)
	}
	return time.Duration(nanos), nil
}
