package emulator

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"time"
)

// dance is one second of a dancing figure, drawn for this project: 15 frames of 180x320, H.264
// constrained baseline in Annex B, one IDR picture followed by 14 that need it.
//
//go:embed dance.h264
var dance []byte

const (
	danceWidth  = 180
	danceHeight = 320
)

// A loop is a clip that can be played over and over: parameter sets, and one frame after the
// other, each a length-prefixed NAL unit. The first frame stands by itself.
type loop struct {
	sps, pps []byte
	frames   [][]byte
}

// readLoop splits an Annex B stream with one slice per picture.
func readLoop(stream []byte) loop {
	var l loop
	for unit := range bytes.SplitSeq(stream, []byte{0, 0, 1}) {
		unit = bytes.TrimRight(unit, "\x00") // the fourth byte of a long start code
		if len(unit) == 0 {
			continue
		}
		switch unit[0] & 31 {
		case 7:
			l.sps = unit
		case 8:
			l.pps = unit
		case 1, 5:
			l.frames = append(l.frames, append(be32(len(unit)), unit...))
		}
	}
	return l
}

// movie makes an MP4 that plays for length, in whole milliseconds, at fps. The last frame is
// stretched to the millisecond, so that the file is as long as the bill says. Label goes into a
// free box: it makes every file different. Padding bytes follow it.
func movie(length time.Duration, fps int, label string, padding int) []byte {
	l := readLoop(dance)
	ms := int(length.Milliseconds())
	count := max(ms*fps/1000, 1)
	var media []byte
	sizes := make([]int, count)
	for i := range count {
		frame := l.frames[i%len(l.frames)]
		sizes[i] = len(frame)
		media = append(media, frame...)
	}
	head := join(
		atom("ftyp", []byte("isom"), be32(512), []byte("isomiso2avc1mp41")),
		atom("free", []byte(label), make([]byte, padding)),
	)
	// The index stands before the samples and names where they begin, so its own length is
	// needed first; it does not depend on the offset.
	index := func(offset int) []byte { return l.index(ms, fps, sizes, offset) }
	offset := len(head) + len(index(0)) + 8
	return join(head, index(offset), atom("mdat", media))
}

// index is the moov box. The movie's clock counts milliseconds; the track's counts fps parts of
// one, in which a frame is exactly 1000 ticks.
func (l loop) index(ms, fps int, sizes []int, offset int) []byte {
	unity := join(be32(1<<16), zero(12), be32(1<<16), zero(12), be32(1<<30))
	return atom("moov",
		full("mvhd", 0, zero(8), be32(1000), be32(ms), be32(1<<16), be16(1<<8), zero(10), unity, zero(24), be32(2)),
		atom("trak",
			full("tkhd", 3, zero(8), be32(1), zero(4), be32(ms), zero(16), unity,
				be32(danceWidth<<16), be32(danceHeight<<16)),
			atom("mdia",
				full("mdhd", 0, zero(8), be32(1000*fps), be32(ms*fps), be16(0x55c4), zero(2)),
				full("hdlr", 0, zero(4), []byte("vide"), zero(12), []byte("video\x00")),
				atom("minf",
					full("vmhd", 1, zero(8)),
					atom("dinf", full("dref", 0, be32(1), full("url ", 1))),
					l.table(ms, fps, sizes, offset)))))
}

// table is the stbl box: every frame 1000 ticks but the last, one chunk with all of them.
func (l loop) table(ms, fps int, sizes []int, offset int) []byte {
	count := len(sizes)
	rest := ms*fps - 1000*(count-1)
	var size, sync []byte
	keys := 0
	for i, n := range sizes {
		size = append(size, be32(n)...)
		if i%len(l.frames) == 0 {
			sync = append(sync, be32(i+1)...)
			keys++
		}
	}
	return atom("stbl",
		full("stsd", 0, be32(1), l.entry()),
		full("stts", 0, be32(2), be32(count-1), be32(1000), be32(1), be32(rest)),
		full("stss", 0, be32(keys), sync),
		full("stsc", 0, be32(1), be32(1), be32(count), be32(1)),
		full("stsz", 0, zero(4), be32(count), size),
		full("stco", 0, be32(1), be32(offset)))
}

// entry describes the samples: H.264 with the loop's parameter sets.
func (l loop) entry() []byte {
	config := join([]byte{1, l.sps[1], l.sps[2], l.sps[3], 0xff, 0xe1},
		be16(len(l.sps)), l.sps, []byte{1}, be16(len(l.pps)), l.pps)
	return atom("avc1", zero(6), be16(1), zero(16), be16(danceWidth), be16(danceHeight),
		be32(72<<16), be32(72<<16), zero(4), be16(1), zero(32), be16(24), be16(0xffff),
		atom("avcC", config))
}

// atom is a box: its length, its kind, its content.
func atom(kind string, content ...[]byte) []byte {
	body := join(content...)
	return join(be32(8+len(body)), []byte(kind), body)
}

// full is a box of version 0 with flags.
func full(kind string, flags int, content ...[]byte) []byte {
	return atom(kind, be32(flags), join(content...))
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
func zero(n int) []byte           { return make([]byte, n) }
func be16(n int) []byte           { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func be32(n int) []byte           { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
