package pipeline_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// A film says what a hand-made video contains; the zero value of each field is the usual.
type film struct {
	container     string  // mp4, mov, avi; default mp4
	seconds       float64 // an AVI of 0 does not say; an MP4 of 0 has 5 s
	fps           int     // default 25
	width, height int     // default 720 x 1280
	turned        bool    // by a quarter
	codec         string  // four letters; default avc1, or H264
	moovLast      bool
	padding       int  // bytes of samples; default 1000
	open          bool // the samples go on to the end of the file, wherever that is
}

func (f film) withDefaults() film {
	if f.seconds == 0 && f.container != "avi" {
		f.seconds = 5
	}
	if f.fps == 0 {
		f.fps = 25
	}
	if f.width == 0 {
		f.width, f.height = 720, 1280
	}
	if f.codec == "" {
		f.codec = map[bool]string{true: "H264", false: "avc1"}[f.container == "avi"]
	}
	if f.padding == 0 {
		f.padding = 1000
	}
	return f
}

func (f film) bytes() []byte {
	f = f.withDefaults()
	if f.container == "avi" {
		return f.avi()
	}
	brand := map[bool]string{true: "qt  ", false: "isom"}[f.container == "mov"]
	head, samples := box("ftyp", []byte(brand), words(0)), box("mdat", make([]byte, f.padding))
	if f.open {
		copy(samples, words(0))
	}
	if f.moovLast {
		return bytes.Join([][]byte{head, samples, f.moov()}, nil)
	}
	return bytes.Join([][]byte{head, f.moov(), samples}, nil)
}

// moov counts time in thousandths: length and frames are exact in these.
func (f film) moov() []byte {
	const clock = 1000
	ticks := uint32(math.Round(f.seconds * clock))
	frames := max(uint32(math.Round(f.seconds*float64(f.fps))), 1)
	one := uint32(1 << 16)
	matrix := words(one, 0, 0, 0, one, 0, 0, 0, 1<<30)
	if f.turned {
		matrix = words(0, one, 0, -one, 0, 0, 0, 0, 1<<30)
	}
	entry := make([]byte, 78)
	binary.BigEndian.PutUint16(entry[24:], uint16(f.width))
	binary.BigEndian.PutUint16(entry[26:], uint16(f.height))
	return box("moov",
		box("mvhd", words(0, 0, 0, clock, ticks, one, 0, 0, 0), matrix, make([]byte, 28)),
		box("trak",
			box("tkhd", words(3, 0, 0, 1, 0, ticks, 0, 0, 0, 0), matrix, words(uint32(f.width)<<16, uint32(f.height)<<16)),
			box("mdia",
				box("mdhd", words(0, 0, 0, clock, ticks, 0)),
				box("hdlr", words(0, 0), []byte("vide"), make([]byte, 13)),
				box("minf", box("stbl",
					box("stsd", words(0, 1), box(f.codec, entry)),
					box("stts", words(0, 1, frames, ticks/frames)))))))
}

func (f film) avi() []byte {
	chunk := func(id string, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		return append(append([]byte(id), little(len(body))...), body...)
	}
	frames := int(math.Round(f.seconds * float64(f.fps)))
	return chunk("RIFF", []byte("AVI "),
		chunk("LIST", []byte("hdrl"),
			chunk("avih", make([]byte, 56)),
			chunk("LIST", []byte("strl"),
				chunk("strh", []byte("vids"), []byte(f.codec), make([]byte, 12), little(1, f.fps, 0, frames), make([]byte, 20)),
				chunk("strf", little(40, f.width, f.height, 24<<16|1), []byte(f.codec), make([]byte, 20)))),
		chunk("LIST", []byte("movi"), make([]byte, f.padding)))
}

func box(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

func words(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func little(values ...int) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// still is the outline of an image: what a header says, and an end, but no pixels.
func still(format string, width, height int) []byte {
	switch format {
	case "png":
		header := append(words(uint32(width), uint32(height)), 8, 0, 0, 0, 0)
		return bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", header), pngChunk("IEND", nil)}, nil)
	case "jpeg":
		frame := []byte{0xff, 0xc0, 0, 11, 8, byte(height >> 8), byte(height), byte(width >> 8), byte(width), 1, 1, 0x11, 0}
		return bytes.Join([][]byte{{0xff, 0xd8}, frame, {0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0}, {0xff, 0xd9}}, nil)
	case "bmp":
		pixels := make([]byte, (width+3)/4*4*height)
		header := bytes.Join([][]byte{
			[]byte("BM"), little(54+1024+len(pixels), 0, 54+1024, 40, width, height, 8<<16|1), little(0, 0, 0, 0, 0, 0), make([]byte, 1024),
		}, nil)
		return append(header, pixels...)
	case "webp":
		canvas := []byte{0, 0, 0, 0, byte(width - 1), byte((width - 1) >> 8), 0, byte(height - 1), byte((height - 1) >> 8), 0}
		return bytes.Join([][]byte{[]byte("RIFF"), little(4 + 8 + 10), []byte("WEBPVP8X"), little(10), canvas}, nil)
	}
	panic("no such format: " + format)
}

func pngChunk(kind string, data []byte) []byte {
	body := append([]byte(kind), data...)
	return bytes.Join([][]byte{words(uint32(len(data))), body, words(crc32.ChecksumIEEE(body))}, nil)
}
