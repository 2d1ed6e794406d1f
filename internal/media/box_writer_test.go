package media_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// box writes one box: length, kind, content.
func box(kind string, content ...[]byte) []byte {
	body := cat(content...)
	return cat(u32(8+len(body)), []byte(kind), body)
}

// box64 writes the same with a 64-bit length.
func box64(kind string, content ...[]byte) []byte {
	body := cat(content...)
	return cat(u32(1), []byte(kind), u64(16+len(body)), body)
}

// boxToEnd writes a box that ends with its file.
func boxToEnd(kind string, content ...[]byte) []byte {
	return cat(u32(0), []byte(kind), cat(content...))
}

// full writes a box with version and flags.
func full(kind string, version, flags int, content ...[]byte) []byte {
	return box(kind, u32(version<<24|flags), cat(content...))
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
func zeros(n int) []byte         { return make([]byte, n) }
func u16(n int) []byte           { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32(n int) []byte           { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
func u64(n int) []byte           { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// wide writes a number in the width of a box's version.
func wide(version, n int) []byte {
	if version == 1 {
		return u64(n)
	}
	return u32(n)
}

// A clip says what a hand-made file contains; file builds it.
type clip struct {
	version       int // of mvhd, tkhd, mdhd, elst
	timescale     int // of the movie; default 1000
	duration      int // of the movie
	trackScale    int // default 15000
	trackDuration int
	width, height int // default 720x1280
	turned        bool
	edits         []edit
	stts          []int // count, duration, count, duration ...
	brand         string
	mvex          []byte
	codec         string // four letters
	matrix        [4]int // a b c d of the matrix, unless it is all zeros
	silent        bool   // without the track of sound
	tables        []byte // more boxes for stbl
}

type edit struct{ duration, from int }

func (c clip) moov() []byte {
	c.timescale, c.trackScale = max(c.timescale, 0), max(c.trackScale, 0)
	return box("moov",
		full("mvhd", c.version, 0, wide(c.version, 0), wide(c.version, 0), u32(c.timescale), wide(c.version, c.duration), zeros(80)),
		c.audio(),
		c.track(),
		c.mvex)
}

// audio is a track that is not to be read, besides that it is there.
func (c clip) audio() []byte {
	if c.silent {
		return nil
	}
	return box("trak", box("mdia", full("hdlr", 0, 0, u32(0), []byte("soun"), zeros(13))))
}

func (c clip) track() []byte {
	unity := cat(u32(1<<16), zeros(12), u32(1<<16), zeros(12), u32(1<<30))
	if c.turned {
		unity = cat(u32(0), u32(1<<16), u32(0), u32(-1<<16), zeros(16), u32(1<<30))
	}
	if m := c.matrix; m != [4]int{} {
		unity = cat(u32(m[0]), u32(m[1]), u32(0), u32(m[2]), u32(m[3]), zeros(12), u32(1<<30))
	}
	var table []byte
	for _, n := range c.stts {
		table = append(table, u32(n)...)
	}
	return box("trak",
		full("tkhd", c.version, 3, wide(c.version, 0), wide(c.version, 0), u32(7), u32(0), wide(c.version, c.duration),
			zeros(16), unity, u32(c.width<<16), u32(c.height<<16)),
		c.editBox(),
		box("mdia",
			full("mdhd", c.version, 0, wide(c.version, 0), wide(c.version, 0), u32(c.trackScale), wide(c.version, c.trackDuration), u32(0)),
			full("hdlr", 0, 0, u32(0), []byte("vide"), zeros(13)),
			box("minf", box("stbl",
				full("stsd", 0, 0, u32(1), box(c.codec, zeros(24), u16(c.width), u16(c.height), zeros(50))),
				full("stts", 0, 0, u32(len(c.stts)/2), table),
				c.tables))))
}

func (c clip) editBox() []byte {
	if c.edits == nil {
		return nil
	}
	var list []byte
	for _, e := range c.edits {
		list = cat(list, wide(c.version, e.duration), wide(c.version, e.from), u32(1<<16))
	}
	return box("edts", full("elst", c.version, 0, u32(len(c.edits)), list))
}

func (c clip) ftyp() []byte { return box("ftyp", []byte(c.brand), u32(512), []byte("isommp41")) }

// usual is a clip of 5.2 s: 78 frames of 1000/15000 s.
func usual() clip {
	return clip{
		timescale: 1000, duration: 5200, trackScale: 15000, trackDuration: 78000,
		width: 720, height: 1280, stts: []int{78, 1000}, brand: "isom", codec: "avc1",
	}
}
