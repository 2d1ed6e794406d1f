package media_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wanbatch/wanbatch/internal/media"
)

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		Kind     string `json:"codec_type"`
		Codec    string `json:"codec_name"`
		Width    int    `json:"width"`
		Height   int    `json:"height"`
		Duration string `json:"duration"`
		Rate     string `json:"avg_frame_rate"`
		SideData []struct {
			Rotation float64 `json:"rotation"`
		} `json:"side_data_list"`
	} `json:"streams"`
}

// A recipe is one call of ffmpeg: what goes in, and the options of each file that comes out. The
// encoding is done once for all of them.
type recipe struct {
	in  []string
	out map[string][]string
}

// recipes cover every container form, at lengths and rates that leave no frame on a whole second.
func recipes() []recipe {
	copied := func(options ...string) []string { return append([]string{"-c", "copy"}, options...) }
	var all []recipe
	for i, clock := range []struct{ rate, length string }{{"25", "2.48"}, {"30000/1001", "3.3"}, {"24000/1001", "2.9"}, {"60", "2.05"}, {"12", "4.25"}} {
		base := fmt.Sprintf("base%d.mp4", i)
		forms := map[string][]string{
			"last.mp4":    copied(),
			"first.mp4":   copied("-movflags", "+faststart"),
			"frag.mp4":    copied("-movflags", "+frag_keyframe+empty_moov"),
			"mixed.mp4":   copied("-movflags", "+frag_keyframe"),
			"dash.mp4":    copied("-movflags", "+dash+global_sidx"),
			"last.mov":    copied(),
			"plain.avi":   copied(),
			"turned.mp4":  copied("-metadata:s:v", "rotate=90"),
			"upended.mov": copied("-metadata:s:v", "rotate=180"),
		}
		named := map[string][]string{}
		for form, options := range forms {
			named[fmt.Sprintf("%d-%s", i, form)] = options
		}
		all = append(all,
			recipe{[]string{"-f", "lavfi", "-i", "testsrc=size=320x240:rate=" + clock.rate + ":duration=" + clock.length},
				map[string][]string{base: {"-c:v", "mpeg4", "-g", "10"}}},
			recipe{[]string{"-i", base}, named})
	}
	return append(all,
		recipe{
			[]string{"-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2.4", "-f", "lavfi", "-i", "sine=duration=2.7"},
			map[string][]string{
				"sound.mp4": {"-c:v", "mpeg4", "-c:a", "aac"}, "sound.mov": {"-c:v", "mjpeg", "-c:a", "pcm_s16le"},
				"sound.avi": {"-c:v", "mjpeg", "-c:a", "pcm_s16le"},
			},
		},
		recipe{
			[]string{"-f", "lavfi", "-i", "testsrc=size=320x240:rate=25:duration=2.4"},
			map[string][]string{
				"late.mp4": {"-c:v", "mpeg4", "-output_ts_offset", "1"}, "bframes.mp4": {"-c:v", "mpeg4", "-bf", "2"},
				"prores.mov": {"-c:v", "prores"},
			},
		})
}

// TestAgainstFFmpeg compares with ffprobe on files that somebody else's muxer made.
func TestAgainstFFmpeg(t *testing.T) {
	ffmpeg, err1 := exec.LookPath("ffmpeg")
	ffprobe, err2 := exec.LookPath("ffprobe")
	if err1 != nil || err2 != nil {
		t.Skip("no ffmpeg here")
	}
	dir := t.TempDir()
	run := func(program string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%s %q: %w\n%s", program, args, err, complaint.Bytes())
		}
		return out, err
	}
	var names []string
	for _, r := range recipes() {
		args := slices.Concat([]string{"-v", "error"}, r.in)
		for name, options := range r.out {
			args = slices.Concat(args, options, []string{name})
			names = append(names, name)
		}
		if _, err := run(ffmpeg, args...); err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < 40 {
		t.Errorf("only %d files", len(names))
	}
	var group errgroup.Group
	group.SetLimit(4)
	for _, name := range names {
		group.Go(func() error {
			out, err := run(ffprobe, "-v", "error", "-of", "json", "-show_streams", name)
			if err != nil {
				return err
			}
			var want probed
			if err := json.Unmarshal(out, &want); err != nil {
				return err
			}
			compare(t, filepath.Join(dir, name), want)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// compare asks our reader about a file. Durations agree within one frame.
func compare(t *testing.T, path string, want probed) {
	name := filepath.Base(path)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	got, err := media.ReadVideo(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	v, sound := want.Streams[0], len(want.Streams) > 1
	seconds, err := strconv.ParseFloat(v.Duration, 64)
	if err != nil {
		t.Errorf("%s: ffprobe says %q", name, v.Duration)
	}
	rate, _ := new(big.Rat).SetString(v.Rate)
	perSecond, _ := rate.Float64()
	length := time.Duration(seconds * 1e9)
	if (got.Duration - length).Abs() > time.Duration(1e9/perSecond)+time.Millisecond {
		t.Errorf("%s lasts %v; ffprobe says %v", name, got.Duration, length)
	}
	width, height := v.Width, v.Height
	turned := 0
	if len(v.SideData) > 0 {
		turned = (360 - int(v.SideData[0].Rotation)) % 360 // ffprobe counts the other way round
	}
	if turned%180 != 0 {
		width, height = height, width
	}
	switch {
	case got.Format != name[len(name)-3:], got.Codec != v.Codec, got.Sound != sound:
		t.Errorf("%s: %+v; ffprobe says %+v", name, got, want)
	case got.Width != width, got.Height != height, got.Rotation != turned:
		t.Errorf("%s: %+v; ffprobe says %d x %d, turned by %d", name, got, width, height, turned)
	case math.Abs(got.FrameRate.PerSecond()-perSecond) > 0.05*perSecond:
		t.Errorf("%s has %v frames a second; ffprobe says %v", name, got.FrameRate.PerSecond(), perSecond)
	}
	if got.Format != "avi" {
		if checked, err := media.CheckMP4(bytes.NewReader(data), int64(len(data))); err != nil || checked != got.Duration {
			t.Errorf("%s: check says %v, %v", name, checked, err)
		}
	}
	// A cut anywhere in what is played is seen.
	for _, cut := range []int{1, 100, len(data) / 3, len(data) / 2} {
		if _, err := media.ReadVideo(bytes.NewReader(data[:len(data)-cut]), int64(len(data)-cut)); err == nil {
			t.Errorf("%s: cut by %d bytes passes", name, cut)
		}
	}
}
