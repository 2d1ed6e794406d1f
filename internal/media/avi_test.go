package media_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/internal/media"
)

// An aviClip says what a hand-made AVI contains; file builds it.
type aviClip struct {
	scale, rate   int // seconds per frame
	stream        int // frames that strh states
	openDML       int // frames that dmlh states; 0 for no OpenDML
	width, height int
	codec         string
	sound         bool
	before        []byte // chunks before the headers
	samples       int    // bytes
}

func usualAVI() aviClip {
	return aviClip{scale: 1001, rate: 30000, stream: 300, width: 640, height: 480, codec: "H264", sound: true, samples: 500}
}

func le16(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }
func le(n int) []byte   { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }

func chunk(id string, data ...[]byte) []byte {
	body := cat(data...)
	return cat([]byte(id), le(len(body)), body, zeros(len(body)%2))
}

func list(kind string, chunks ...[]byte) []byte {
	return chunk("LIST", []byte(kind), cat(chunks...))
}

func (c aviClip) file() []byte {
	streams := list("strl",
		chunk("strh", []byte("vids"), []byte(c.codec), zeros(12), le(c.scale), le(c.rate), le(0), le(c.stream), zeros(20)),
		chunk("strf", le(40), le(c.width), le(c.height), le16(1), le16(24), []byte(c.codec), zeros(20)))
	if c.sound {
		streams = cat(list("strl", chunk("strh", []byte("auds"), zeros(52)), chunk("strf", zeros(18))), streams)
	}
	if c.openDML > 0 {
		streams = cat(streams, list("odml", chunk("dmlh", le(c.openDML), zeros(244))))
	}
	return chunk("RIFF", []byte("AVI "), c.before,
		list("hdrl", chunk("avih", le(40000), zeros(52)), streams),
		list("movi", chunk("00dc", zeros(c.samples))), chunk("idx1", zeros(16)))
}

func TestReadAVI(t *testing.T) {
	usual := media.Video{
		Format: "avi", Codec: "h264", Duration: 10010 * time.Millisecond, Width: 640, Height: 480,
		FrameRate: media.Rate{Frames: 30000, Seconds: 1001}, Sound: true,
	}
	tests := []struct {
		name   string
		change func(*aviClip)
		want   func(*media.Video)
	}{
		{"usual", func(*aviClip) {}, func(*media.Video) {}},
		{"no sound", func(c *aviClip) { c.sound = false }, func(v *media.Video) { v.Sound = false }},
		{"rows from the top", func(c *aviClip) { c.height = -480 }, func(*media.Video) {}},
		{"another codec", func(c *aviClip) { c.codec = "xvid" }, func(v *media.Video) { v.Codec = "mpeg4" }},
		{"no compression", func(c *aviClip) { c.codec = "\x00\x00\x00\x00" }, func(v *media.Video) { v.Codec = "rawvideo" }},
		{"several RIFFs", func(c *aviClip) { c.openDML = 600 }, func(v *media.Video) { v.Duration = 20020 * time.Millisecond }},
		{"never finished", func(c *aviClip) { c.stream = 0 }, func(v *media.Video) { v.Duration = 0 }},
		{"clock in the main header alone", func(c *aviClip) { c.scale, c.rate = 0, 0 },
			func(v *media.Video) {
				v.Duration, v.FrameRate = 12*time.Second, media.Rate{Frames: 25, Seconds: 1}
			}},
		{"chunks before the headers", func(c *aviClip) { c.before = cat(chunk("JUNK", zeros(3001)), list("INFO", chunk("ISFT", zeros(5)))) }, func(*media.Video) {}},
	}
	for _, tt := range tests {
		c, want := usualAVI(), usual
		tt.change(&c)
		tt.want(&want)
		file := c.file()
		got, err := media.ReadVideo(bytes.NewReader(file), int64(len(file)))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
}

func TestReadAVIRefuses(t *testing.T) {
	whole := usualAVI().file()
	patched := func(at int, value uint32) []byte {
		b := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(b[at:], value)
		return b
	}
	tests := []struct {
		name string
		file []byte
		want error
	}{
		{"cut in its samples", whole[:len(whole)-40], media.ErrTruncated},
		{"cut in its headers", whole[:100], media.ErrTruncated},
		{"second RIFF is cut", cat(whole, chunk("RIFF", []byte("AVIX"), zeros(100))[:50]), media.ErrTruncated},
		{"no headers", chunk("RIFF", []byte("AVI "), list("movi", zeros(8))), media.ErrFormat},
		{"no streams", chunk("RIFF", []byte("AVI "), list("hdrl", chunk("avih", zeros(56)))), media.ErrFormat},
		{"headers of 2 MiB", chunk("RIFF", []byte("AVI "), list("hdrl", zeros(2<<20))), media.ErrFormat},
		{"headers past the end", patched(16, math.MaxUint32), media.ErrFormat},
		{"chunk past its list", patched(28, 1<<20), media.ErrFormat},
		{"other RIFF", chunk("RIFF", []byte("WAVE"), zeros(40)), media.ErrFormat},
		{"no picture size", aviClip{scale: 1, rate: 25, stream: 50, codec: "H264"}.file(), media.ErrFormat},
	}
	for _, tt := range tests {
		if got, err := media.ReadVideo(bytes.NewReader(tt.file), int64(len(tt.file))); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	// What recorders get wrong without harm: a size never filled in, or one that counts its own header.
	for name, file := range map[string][]byte{
		"size 0": patched(4, 0), "size -1": patched(4, math.MaxUint32), "size of the file": patched(4, uint32(len(whole))),
		"a note behind the end": cat(whole, []byte("made by hand, with love")),
	} {
		if _, err := media.ReadVideo(bytes.NewReader(file), int64(len(file))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
