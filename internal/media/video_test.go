package media_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		return media.Video{Format: "mp4", Duration: time.Duration(math.Round(s * 1e9)), Width: 720, Height: 1280}
	}
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
		{"cut in its samples", cat(usual().ftyp(), usual().moov(), mdat[:20]), seconds(5.2)},
		{"version 1", cat(usual().ftyp(), with(func(c *clip) { c.version = 1 }).moov()), seconds(5.2)},
		{"a day", cat(usual().ftyp(), with(func(c *clip) { c.version, c.trackDuration = 1, 15000*86400*2 }).moov()), seconds(2 * 86400)},
		{"turned", cat(usual().ftyp(), with(func(c *clip) { c.turned = true }).moov()),
			media.Video{Format: "mp4", Duration: 5200 * time.Millisecond, Width: 1280, Height: 720}},
		{"QuickTime brand", cat(with(func(c *clip) { c.brand = "qt  " }).ftyp(), usual().moov()),
			media.Video{Format: "mov", Duration: 5200 * time.Millisecond, Width: 720, Height: 1280}},
		{"QuickTime of old", cat(box("wide"), mdat, usual().moov()),
			media.Video{Format: "mov", Duration: 5200 * time.Millisecond, Width: 720, Height: 1280}},
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
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
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
		{"seven bytes", []byte("1234567"), media.ErrTruncated},
		{"no moov", cat(usual().ftyp(), mdat), media.ErrTruncated},
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

// TestAgainstFFmpeg compares with ffprobe on files that somebody else's muxer made.
func TestAgainstFFmpeg(t *testing.T) {
	ffmpeg, err1 := exec.LookPath("ffmpeg")
	ffprobe, err2 := exec.LookPath("ffprobe")
	if err1 != nil || err2 != nil {
		t.Skip("no ffmpeg here")
	}
	source := filepath.Join(t.TempDir(), "source.mp4")
	encode := exec.Command(ffmpeg, "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2.48",
		"-c:v", "mpeg4", "-g", "10", source)
	if out, err := encode.CombinedOutput(); err != nil {
		t.Fatalf("encode: %v\n%s", err, out)
	}
	for name, options := range map[string][]string{
		"last.mp4":  nil,
		"first.mp4": {"-movflags", "+faststart"},
		"frag.mp4":  {"-movflags", "+frag_keyframe+empty_moov"},
		"mixed.mp4": {"-movflags", "+frag_keyframe"},
		"dash.mp4":  {"-movflags", "+dash+global_sidx"},
		"plain.mov": nil,
		"late.mp4":  {"-output_ts_offset", "1"},
	} {
		path := filepath.Join(t.TempDir(), name)
		args := slices.Concat([]string{"-v", "error", "-i", source, "-c", "copy"}, options, []string{path})
		if out, err := exec.Command(ffmpeg, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		out, err := exec.Command(ffprobe, "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=duration", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		want, err := time.ParseDuration(strings.TrimSpace(string(out)) + "s")
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := media.ReadVideo(bytes.NewReader(data), int64(len(data)))
		if err != nil || (got.Duration-want).Abs() > time.Millisecond || got.Width != 320 || got.Height != 240 || got.Format != name[len(name)-3:] {
			t.Errorf("%s: %+v, %v; ffprobe says %v", name, got, err, want)
		}
		if length, err := media.CheckMP4(bytes.NewReader(data), int64(len(data))); err != nil || length != got.Duration {
			t.Errorf("%s: check says %v, %v", name, length, err)
		}
	}
}

func FuzzReadVideo(f *testing.F) {
	f.Add(cat(usual().ftyp(), usual().moov(), mdat))
	f.Add(cat(usual().ftyp(), box64("mdat", zeros(10)), with(func(c *clip) { c.version = 1; c.edits = []edit{{9, -1}} }).moov()))
	f.Add(cat(usual().ftyp(), empty(full("trex", 0, 0, u32(7), u32(1), u32(1000))).moov(),
		fragment(full("tfhd", 0, 8, u32(7), u32(500)), full("trun", 0, 0x300, u32(1), u32(2), u32(3))), mdat))
	f.Add(cat(usual().ftyp(), empty().moov(), full("sidx", 0, 0, zeros(32))))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := media.ReadVideo(bytes.NewReader(data), int64(len(data)))
		known := errors.Is(err, media.ErrFormat) || errors.Is(err, media.ErrTruncated)
		if err != nil && !known || err == nil && (v.Duration < 0 || v.Width < 0 || v.Height < 0 || v.Format == "") {
			t.Errorf("got %+v, %v", v, err)
		}
		length, err := media.CheckMP4(bytes.NewReader(data), int64(len(data)))
		if err == nil && length != v.Duration {
			t.Errorf("two lengths of one file: %v and %v", length, v.Duration)
		}
	})
}

var _ io.ReaderAt = sparse{}
