package media_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wanbatch/wanbatch/internal/media"
)

var mdat = box("mdat", zeros(100))

// with changes the usual clip.
func with(change func(*clip)) clip {
	c := usual()
	change(&c)
	return c
}

// fragment is one moof of the video track with content for its traf, after one of another track.
func fragment(traf ...[]byte) []byte {
	return box("moof", full("mfhd", 0, 0, u32(1)),
		box("traf", full("tfhd", 0, 8, u32(9), u32(1e6)), full("trun", 0, 0, u32(50))),
		box("traf", traf...))
}

func empty(mvex ...[]byte) clip {
	return with(func(c *clip) { c.duration, c.trackDuration, c.stts, c.mvex = 0, 0, nil, box("mvex", mvex...) })
}

func TestReadVideo(t *testing.T) {
	trex := full("trex", 0, 0, u32(7), u32(1), u32(1000), u32(0), u32(0))
	seconds := func(s float64) media.Video {
		return media.Video{Format: "mp4", Codec: "h264", Duration: time.Duration(math.Round(s * 1e9)), Width: 720, Height: 1280, Sound: true}
	}
	but := func(v media.Video, change func(*media.Video)) media.Video { change(&v); return v }
	tests := []struct {
		name string
		file []byte
		want media.Video
	}{
		{"moov first", cat(usual().ftyp(), usual().moov(), mdat), seconds(5.2)},
		{"moov last", cat(usual().ftyp(), box("free"), mdat, usual().moov()), seconds(5.2)},
		{"64-bit sizes", cat(usual().ftyp(), box64("mdat", zeros(100)), box64("moov", usual().moov()[8:])), seconds(5.2)},
		{"moov to the end", cat(usual().ftyp(), mdat, boxToEnd("moov", usual().moov()[8:])), seconds(5.2)},
		{"mdat to the end", cat(usual().ftyp(), usual().moov(), boxToEnd("mdat", zeros(9))), seconds(5.2)},
		{"a note behind the end", cat(usual().ftyp(), usual().moov(), mdat, []byte("made by hand, with love")), seconds(5.2)},
		{"three bytes behind the end", cat(usual().ftyp(), mdat, usual().moov(), zeros(3)), seconds(5.2)},
		{"version 1", cat(usual().ftyp(), with(func(c *clip) { c.version = 1 }).moov()), seconds(5.2)},
		{"a day", cat(usual().ftyp(), with(func(c *clip) { c.version, c.trackDuration = 1, 15000*86400*2 }).moov()), seconds(2 * 86400)},
		{"turned", cat(usual().ftyp(), with(func(c *clip) { c.turned = true }).moov()),
			but(seconds(5.2), func(v *media.Video) { v.Width, v.Height, v.Rotation = 1280, 720, 90 })},
		{"QuickTime brand", cat(with(func(c *clip) { c.brand = "qt  " }).ftyp(), usual().moov()),
			but(seconds(5.2), func(v *media.Video) { v.Format = "mov" })},
		{"QuickTime of old", cat(box("wide"), mdat, usual().moov()),
			but(seconds(5.2), func(v *media.Video) { v.Format = "mov" })},
		{"a third of a tick", cat(usual().ftyp(), with(func(c *clip) { c.trackScale, c.trackDuration = 3, 10 }).moov()), seconds(3.333333333)},
		{"media length not stated", cat(usual().ftyp(), with(func(c *clip) { c.trackDuration = math.MaxUint32; c.stts = []int{60, 1000, 1, 500} }).moov()), seconds(60500. / 15000)},
		{"no sample table either", cat(usual().ftyp(), with(func(c *clip) { c.trackDuration, c.stts, c.duration = 0, nil, 4100 }).moov()), seconds(4.1)},
		{"edit that shortens", cat(usual().ftyp(), with(func(c *clip) { c.edits = []edit{{3000, 500}} }).moov()), seconds(3)},
		{"edits that add up", cat(usual().ftyp(), with(func(c *clip) { c.edits = []edit{{1000, 0}, {1500, 30000}} }).moov()), seconds(2.5)},
		{"edit that delays", cat(usual().ftyp(), with(func(c *clip) { c.edits = []edit{{2000, -1}, {5000, 0}} }).moov()), seconds(5)},
		{"64-bit edit that delays", cat(usual().ftyp(), with(func(c *clip) { c.version = 1; c.edits = []edit{{2000, -1}, {5000, 0}} }).moov()), seconds(5)},
		{"edit that prolongs", cat(usual().ftyp(), with(func(c *clip) { c.edits = []edit{{9000, 0}} }).moov()), seconds(5.2)},
		{"edit without a length", cat(usual().ftyp(), with(func(c *clip) { c.edits = []edit{{0, 1024}} }).moov()), seconds(5.2)},

		{"fragmented, stated", cat(usual().ftyp(), empty(full("mehd", 0, 0, u32(7700)), trex).moov()), seconds(7.7)},
		{"fragmented, stated in 64 bits", cat(usual().ftyp(), empty(full("mehd", 1, 0, u64(7700))).moov()), seconds(7.7)},
		{"fragmented, default of the movie", cat(usual().ftyp(), empty(trex).moov(),
			fragment(full("tfhd", 0, 0, u32(7)), full("trun", 0, 0, u32(30))), mdat,
			fragment(full("tfhd", 0, 3, u32(7), u64(0), u32(1)), full("trun", 0, 5, u32(15), u32(0), u32(0))), mdat), seconds(3)},
		{"fragmented, default of the fragment", cat(usual().ftyp(), empty(trex).moov(),
			fragment(full("tfhd", 0, 8, u32(7), u32(500)), full("trun", 0, 0, u32(30)), full("trun", 0, 0, u32(30))), mdat), seconds(2)},
		{"fragmented, each sample", cat(usual().ftyp(), empty(trex).moov(),
			fragment(full("tfhd", 0, 0, u32(7)), full("trun", 0, 0xf00, u32(2),
				u32(15000), u32(1), u32(2), u32(3), u32(30000), u32(1), u32(2), u32(3))), mdat), seconds(3)},
		{"fragments after samples", cat(usual().ftyp(), with(func(c *clip) { c.mvex = box("mvex", trex) }).moov(), mdat,
			fragment(full("tfhd", 0, 0, u32(7)), full("trun", 0, 0, u32(30))), mdat), seconds(7.2)},
		{"fragmented, index only", cat(usual().ftyp(), empty().moov(),
			full("sidx", 1, 0, u32(1), u32(90000), u64(0), u64(0), u16(0), u16(2), u32(9), u32(90000), u32(0), u32(9), u32(45000), u32(0)), mdat), seconds(1.5)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := media.ReadVideo(bytes.NewReader(tt.file), int64(len(tt.file)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(media.Video{}, "FrameRate")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFrameRate(t *testing.T) {
	trex := full("trex", 0, 0, u32(7), u32(1), u32(1000), u32(0), u32(0))
	tests := []struct {
		name string
		file []byte
		want media.Rate
	}{
		{"even", cat(usual().ftyp(), usual().moov(), mdat), media.Rate{Frames: 15, Seconds: 1}},
		{"film for television", cat(usual().ftyp(), with(func(c *clip) { c.trackScale, c.stts = 30000, []int{150, 1001} }).moov(), mdat), media.Rate{Frames: 30000, Seconds: 1001}},
		{"uneven", cat(usual().ftyp(), with(func(c *clip) { c.stts = []int{10, 1000, 10, 2000} }).moov(), mdat), media.Rate{Frames: 10, Seconds: 1}},
		{"one frame", cat(usual().ftyp(), with(func(c *clip) { c.stts = []int{1, 75000} }).moov(), mdat), media.Rate{}},
		{"no table", cat(usual().ftyp(), with(func(c *clip) { c.stts = nil }).moov(), mdat), media.Rate{}},
		{"forged", cat(usual().ftyp(), with(func(c *clip) { c.stts = slices.Repeat([]int{math.MaxUint32, math.MaxUint32}, 9) }).moov(), mdat),
			media.Rate{Frames: 15000, Seconds: math.MaxUint32}},
		{"fragments", cat(usual().ftyp(), empty(trex).moov(), fragment(full("tfhd", 0, 0, u32(7)), full("trun", 0, 0, u32(30))), mdat), media.Rate{Frames: 15, Seconds: 1}},
		{"fragments, each sample", cat(usual().ftyp(), empty(trex).moov(),
			fragment(full("tfhd", 0, 0, u32(7)), full("trun", 0, 0x100, u32(3), u32(500), u32(500), u32(500))), mdat), media.Rate{Frames: 30, Seconds: 1}},
	}
	for _, tt := range tests {
		got, err := media.ReadVideo(bytes.NewReader(tt.file), int64(len(tt.file)))
		if tt.name == "forged" {
			// The sum of the ticks stays at the top instead of wrapping.
			if err != nil || got.FrameRate.PerSecond() > 0.001 {
				t.Errorf("forged: %v, %v", got.FrameRate, err)
			}
			continue
		}
		if err != nil || got.FrameRate != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.name, got.FrameRate, err, tt.want)
		}
	}
	if got := (media.Rate{}).PerSecond(); got != 0 {
		t.Errorf("unknown rate is %v", got)
	}
}

func TestRotationAndTracks(t *testing.T) {
	unit := 1 << 16
	for want, m := range map[int][4]int{0: {unit, 0, 0, unit}, 90: {0, unit, -unit, 0}, 180: {-unit, 0, 0, -unit}, 270: {0, -unit, unit, 0}} {
		file := cat(usual().ftyp(), with(func(c *clip) { c.matrix = m; c.silent = true }).moov(), mdat)
		got, err := media.ReadVideo(bytes.NewReader(file), int64(len(file)))
		turned := got.Width == 1280 && got.Height == 720
		if err != nil || got.Rotation != want || turned != (want%180 != 0) || got.Sound {
			t.Errorf("matrix %v: %+v, %v", m, got, err)
		}
	}
}

func TestCodec(t *testing.T) {
	for letters, want := range map[string]string{
		"avc1": "h264", "hvc1": "hevc", "hev1": "hevc", "mp4v": "mpeg4", "apcn": "prores", "encv": "encrypted",
		"zzzz": "zzzz", "a\x1b\x00b": "ab", "\xff\xfe\xfd\xfc": "",
	} {
		file := cat(usual().ftyp(), with(func(c *clip) { c.codec = letters }).moov(), mdat)
		got, err := media.ReadVideo(bytes.NewReader(file), int64(len(file)))
		if err != nil || got.Codec != want {
			t.Errorf("%q: %q, %v; want %q", letters, got.Codec, err, want)
		}
	}
}

// Samples are where the tables say, or the file is cut, whatever its last box claims.
func TestSamplesWithinTheFile(t *testing.T) {
	table := func(offsets []byte, rules ...int) func(*clip) {
		var list []byte
		for _, n := range rules {
			list = append(list, u32(n)...)
		}
		return func(c *clip) {
			c.tables = cat(full("stsz", 0, 0, u32(0), u32(4), u32(10), u32(20), u32(30), u32(40)),
				full("stsc", 0, 0, u32(len(rules)/3), list), offsets)
		}
	}
	// Chunks of one, one and two samples; the third starts at 100 and is 70 bytes long.
	narrow := table(full("stco", 0, 0, u32(3), u32(1000), u32(2000), u32(100)), 1, 1, 1, 3, 2, 1)
	wideTable := table(full("co64", 0, 0, u32(3), u64(1), u64(2), u64(5000)), 1, 1, 1, 3, 2, 1)
	same := func(c *clip) {
		c.tables = cat(full("stsz", 0, 0, u32(50), u32(4)), full("stsc", 0, 0, u32(1), u32(1), u32(9), u32(1)), full("stco", 0, 0, u32(2), u32(800), u32(0)))
	}
	for _, tt := range []struct {
		name   string
		change func(*clip)
		end    int
	}{{"32-bit offsets", narrow, 2020}, {"64-bit offsets", wideTable, 5070}, {"one size", same, 1000}} {
		head := cat(usual().ftyp(), with(tt.change).moov())
		for _, size := range []int{tt.end, tt.end - 1} {
			file := cat(head, boxToEnd("mdat", zeros(size-len(head)-8)))
			_, err := media.ReadVideo(bytes.NewReader(file), int64(len(file)))
			if whole := size == tt.end; whole != (err == nil) || !whole && !errors.Is(err, media.ErrTruncated) {
				t.Errorf("%s, %d of %d bytes: %v", tt.name, size, tt.end, err)
			}
		}
	}
	none := cat(usual().ftyp(), with(table(full("stco", 0, 0, u32(math.MaxUint32)), 1, 1, 1)).moov(), mdat)
	if _, err := media.ReadVideo(bytes.NewReader(none), int64(len(none))); !errors.Is(err, media.ErrTruncated) {
		t.Errorf("more chunks than bytes: %v", err)
	}
}

func TestReadVideoRefuses(t *testing.T) {
	moov := usual().moov()
	longer := func(b []byte) []byte { return cat(u32(len(b)+1), b[4:]) }
	tests := []struct {
		name string
		file []byte
		want error
	}{
		{"nothing", nil, media.ErrFormat},
		{"text", []byte("this is no video at all"), media.ErrFormat},
		{"an image", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"), media.ErrFormat},
		{"seven bytes", []byte("1234567"), media.ErrFormat},
		{"no moov", cat(usual().ftyp(), mdat), media.ErrTruncated},
		{"cut in its samples", cat(usual().ftyp(), usual().moov(), mdat[:20]), media.ErrTruncated},
		{"cut in a fragment", cat(usual().ftyp(), empty().moov(), mdat, fragment()[:20]), media.ErrTruncated},
		{"cut in a fragment's header", cat(usual().ftyp(), empty().moov(), mdat, fragment()[:5]), media.ErrTruncated},
		{"cut between fragment and samples", cat(usual().ftyp(), empty().moov(), fragment()), media.ErrTruncated},
		{"cut in moov", cat(usual().ftyp(), moov[:len(moov)-10]), media.ErrTruncated},
		{"moov cut between its boxes", cat(usual().ftyp(), cat(u32(len(moov)), moov[4:8+108])), media.ErrTruncated},
		{"box of 7 bytes", cat(usual().ftyp(), u32(7), []byte("free")), media.ErrFormat},
		{"64-bit box of 15 bytes", cat(usual().ftyp(), u32(1), []byte("free"), u64(15)), media.ErrFormat},
		{"box of 2^63 bytes", cat(usual().ftyp(), u32(1), []byte("moov"), u64(math.MinInt64)), media.ErrTruncated},
		{"child past its parent", cat(usual().ftyp(), box("moov", longer(moov[8:]))), media.ErrTruncated},
		{"no video track", cat(usual().ftyp(), box("moov", moov[8:8+108])), media.ErrFormat},
		{"no movie header", cat(usual().ftyp(), box("moov", moov[8+108:])), media.ErrFormat},
		{"compressed movie header", cat(usual().ftyp(), box("moov", box("cmov"))), media.ErrFormat},
		{"movie clock stands", cat(usual().ftyp(), with(func(c *clip) { c.timescale = 0 }).moov()), media.ErrFormat},
		{"track clock stands", cat(usual().ftyp(), with(func(c *clip) { c.trackScale = 0 }).moov()), media.ErrFormat},
		{"300 years and more", cat(usual().ftyp(), with(func(c *clip) { c.version, c.trackScale, c.trackDuration = 1, 1, 1e10 }).moov()), media.ErrFormat},
		{"length beyond 64 bits", cat(usual().ftyp(), with(func(c *clip) { c.version, c.trackScale, c.trackDuration = 1, 1, math.MaxInt64 }).moov()), media.ErrFormat},
		{"more samples than bytes", cat(usual().ftyp(), empty().moov(), fragment(full("tfhd", 0, 0, u32(7)), full("trun", 0, 0x100, u32(math.MaxUint32)))), media.ErrTruncated},
		{"index clock stands", cat(usual().ftyp(), empty().moov(), full("sidx", 0, 0, zeros(20))), media.ErrFormat},
		{"swarm of empty boxes", cat(usual().ftyp(), bytes.Repeat(box("free"), 1<<16)), media.ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := media.ReadVideo(bytes.NewReader(tt.file), int64(len(tt.file)))
			if !errors.Is(err, tt.want) || errors.Is(err, media.ErrFormat) && errors.Is(err, media.ErrTruncated) {
				t.Errorf("got %+v, %v; want %v alone", got, err, tt.want)
			}
		})
	}
}

// sparse is a file of a stated size with a few bytes at its start.
type sparse struct{ head []byte }

func (s sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(s.head)) {
		copy(p, s.head[off:])
	}
	return len(p), nil
}

func TestHugeIndexIsNotRead(t *testing.T) {
	file := sparse{cat(usual().ftyp(), u32(1<<30), []byte("moov"))}
	if _, err := media.ReadVideo(file, 24+1<<30); !errors.Is(err, media.ErrFormat) {
		t.Errorf("moov of 1 GiB: %v", err)
	}
}

func TestReaderErrorsPass(t *testing.T) {
	broken := errors.New("line down")
	_, err := media.ReadVideo(readerAt(func([]byte, int64) (int, error) { return 0, broken }), 100)
	if !errors.Is(err, broken) || errors.Is(err, media.ErrTruncated) {
		t.Errorf("got %v, want the reader's own error", err)
	}
	short := bytes.NewReader(usual().ftyp())
	if _, err := media.ReadVideo(short, 5000); !errors.Is(err, media.ErrTruncated) {
		t.Errorf("a reader shorter than its size: %v", err)
	}
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func TestCheckMP4(t *testing.T) {
	moof := fragment(full("tfhd", 0, 8, u32(7), u32(1000)), full("trun", 0, 0, u32(30)))
	tests := []struct {
		name   string
		file   []byte
		length time.Duration
		err    error
	}{
		{"whole", cat(usual().ftyp(), usual().moov(), mdat), 5200 * time.Millisecond, nil},
		{"moov last", cat(usual().ftyp(), mdat, usual().moov()), 5200 * time.Millisecond, nil},
		{"fragmented", cat(usual().ftyp(), empty().moov(), moof, mdat), 2 * time.Second, nil},
		{"empty", nil, 0, media.ErrFormat},
		{"a web page", []byte("<html><body>sorry</body></html>"), 0, media.ErrFormat},
		{"no ftyp", cat(usual().moov(), mdat), 0, media.ErrFormat},
		{"no moov", cat(usual().ftyp(), mdat), 0, media.ErrTruncated},
		{"no mdat", cat(usual().ftyp(), usual().moov()), 0, media.ErrTruncated},
		{"no moof", cat(usual().ftyp(), empty().moov(), mdat), 0, media.ErrTruncated},
		{"one byte short", cat(usual().ftyp(), usual().moov(), mdat[:len(mdat)-1]), 0, media.ErrTruncated},
		{"one byte more", cat(usual().ftyp(), usual().moov(), mdat, zeros(1)), 0, media.ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			length, err := media.CheckMP4(bytes.NewReader(tt.file), int64(len(tt.file)))
			if length != tt.length || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v; want %v, %v", length, err, tt.length, tt.err)
			}
		})
	}
}

func TestCheckMP4RefusesEveryCut(t *testing.T) {
	whole := cat(usual().ftyp(), usual().moov(), mdat)
	for n := range len(whole) {
		if _, err := media.CheckMP4(bytes.NewReader(whole[:n]), int64(n)); err == nil {
			t.Fatalf("%d of %d bytes pass for whole", n, len(whole))
		}
	}
}

func FuzzReadVideo(f *testing.F) {
	f.Add(cat(usual().ftyp(), usual().moov(), mdat))
	f.Add(cat(usual().ftyp(), box64("mdat", zeros(10)), with(func(c *clip) { c.version = 1; c.edits = []edit{{9, -1}} }).moov()))
	f.Add(cat(usual().ftyp(), empty(full("trex", 0, 0, u32(7), u32(1), u32(1000))).moov(),
		fragment(full("tfhd", 0, 8, u32(7), u32(500)), full("trun", 0, 0x300, u32(1), u32(2), u32(3))), mdat))
	f.Add(cat(usual().ftyp(), empty().moov(), full("sidx", 0, 0, zeros(32))))
	f.Add(cat(usual().ftyp(), with(func(c *clip) {
		c.tables = cat(full("stsz", 0, 0, u32(0), u32(2), u32(10), u32(20)), full("stsc", 0, 0, u32(1), u32(1), u32(2), u32(1)), full("stco", 0, 0, u32(1), u32(9)))
	}).moov(), mdat))
	f.Add(usualAVI().file())
	f.Add(aviClip{openDML: 300, stream: 20, rate: 25, scale: 1, width: 320, height: -240, codec: "XVID"}.file())
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := media.ReadVideo(bytes.NewReader(data), int64(len(data)))
		known := errors.Is(err, media.ErrFormat) || errors.Is(err, media.ErrTruncated)
		if err != nil && !known || err == nil && (v.Duration < 0 || v.Width < 0 || v.Height < 0 || v.Format == "") {
			t.Errorf("got %+v, %v", v, err)
		}
		length, err := media.CheckMP4(bytes.NewReader(data), int64(len(data)))
		if err == nil && v.Format != "avi" && length != v.Duration {
			t.Errorf("two lengths of one file: %v and %v", length, v.Duration)
		}
	})
}

var _ io.ReaderAt = sparse{}
