package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/media"
	"github.com/wanbatch/wanbatch/internal/pricing"
)

// What the provider accepts, the same for both models, as its page on the API
// documents it. It does not say whether its MB is 10^6 or 2^20 bytes; the smaller
// is safe. Its overview of models excludes the ends of 2 to 30 s, the page of the
// API includes them: a tenth of a second off is safe.
const (
	maxImageBytes   = 5_000_000
	maxVideoBytes   = 200_000_000
	minSide         = 200
	maxImageSide    = 4096
	maxVideoSide    = 2048
	maxAspect       = 3 // longer side to shorter
	shortestSeconds = 2
	unsureMillis    = 100
)

// What lowers the quality, by our own judgement: results are of the 720P class,
// at 15 or 25 frames a second, and a sibling model demands 15.
const (
	fineSide      = 360
	fineFrameRate = 14.9
	fineAspect    = 2 // proportions of the video to those of the image
)

// facts are what was learned from the bytes of a medium. The cache stores them,
// so what is concluded from them is not in here.
type facts struct {
	Size   int64        `json:"size"`
	Digest string       `json:"sha256"`          // "" unless all bytes were read
	Image  *media.Image `json:"image,omitempty"` // one of these two
	Video  *media.Video `json:"video,omitempty"`
	Cut    bool         `json:"cut,omitempty"` // an image whose end is missing
}

// headers reads what a file of size bytes says of itself.
func headers(r io.ReaderAt, size int64, video bool) (facts, error) {
	k := facts{Size: size}
	if video {
		v, err := media.ReadVideo(r, size)
		k.Video = &v
		return k, err
	}
	i, err := media.ReadImage(io.NewSectionReader(r, 0, size))
	k.Image = &i
	return k, err
}

// unreadable refuses a file whose headers make no sense.
func (f *file) unreadable(err error) {
	kind := "image"
	if f.video {
		kind = "video"
	}
	gist := firstLine(err)
	if errors.Is(err, media.ErrTruncated) {
		f.refuse("copy or export it again", "is cut short: %s", strings.TrimSuffix(gist, ": "+media.ErrTruncated.Error()))
		return
	}
	f.refuse("", "is not a readable %s: %s", kind, strings.TrimSuffix(gist, ": "+media.ErrFormat.Error()))
}

// judge compares a file with every limit.
func (f *file) judge(k facts) {
	most := int64(maxImageBytes)
	if f.video {
		most = maxVideoBytes
	}
	if k.Size > most {
		f.refuse(fmt.Sprintf("at most %d", most), "is %d bytes", k.Size)
	}
	if f.video {
		f.judgeVideo(*k.Video)
		return
	}
	f.checkSides(k.Image.Width, k.Image.Height, maxImageSide)
	f.checkFormat(k.Image.Format)
	if k.Cut {
		f.noteCut()
	}
}

// noteCut is no refusal: most readers show what there is of a cut image.
func (f *file) noteCut() { f.note("cut", "looks cut short: its end is missing") }

func (f *file) judgeVideo(v media.Video) {
	if v.Duration > 0 || v.Format != "avi" { // an AVI may not say
		f.checkLength(decimal.New(v.Duration.Nanoseconds(), -9))
	}
	f.checkSides(v.Width, v.Height, maxVideoSide)
	f.checkFormat(v.Format)
	f.checkCodec(v.Codec)
	if rate := v.FrameRate.PerSecond(); rate > 0 && rate < fineFrameRate {
		f.note("rate", "has %.3g frames a second; below 15 the motion may suffer", rate)
	}
}

func (f *file) checkLength(seconds decimal.Decimal) {
	f.length = decimal.NewNullDecimal(seconds)
	shortest, longest := decimal.NewFromInt(shortestSeconds), decimal.NewFromInt(pricing.LongestSeconds)
	unsure := decimal.New(unsureMillis, -3)
	short := seconds.Round(3)
	switch {
	case seconds.LessThan(shortest):
		f.refuse(fmt.Sprintf("at least %d s", shortestSeconds), "lasts %s s", short)
	case seconds.GreaterThan(longest):
		f.refuse(fmt.Sprintf("at most %d s", pricing.LongestSeconds), "lasts %s s", short)
	case seconds.LessThan(shortest.Add(unsure)), seconds.GreaterThan(longest.Sub(unsure)):
		f.note("length", "lasts %s s; the provider's pages disagree about the ends of %d to %d s, so stay within %s to %s s",
			short, shortestSeconds, pricing.LongestSeconds, shortest.Add(unsure), longest.Sub(unsure))
	}
}

// checkSides judges pixels as shown; turning a picture changes no verdict.
func (f *file) checkSides(width, height, longest int) {
	f.width, f.height = width, height
	switch {
	case width < minSide || height < minSide || width > longest || height > longest:
		f.refuse(fmt.Sprintf("each side must have %d to %d", minSide, longest), "is %d x %d pixels", width, height)
	case width > maxAspect*height || height > maxAspect*width:
		f.refuse(fmt.Sprintf("one side may be at most %d times the other", maxAspect), "is %d x %d pixels", width, height)
	case min(width, height) < fineSide:
		f.note("resolution", "is %d x %d pixels; below %d the quality may suffer", width, height, fineSide)
	}
}

// checkFormat compares with what the name promises. MP4 and MOV are one family,
// and readers take either for the other.
func (f *file) checkFormat(format string) {
	promised := formatOf(mediaPath(f.name))
	family := []string{"mp4", "mov"}
	known := slices.Contains(append(imageExtensions(), videoExtensions()...), "."+promised) || promised == "jpeg"
	if !known || promised == format || slices.Contains(family, promised) && slices.Contains(family, format) {
		return
	}
	kind := "an image"
	if f.video {
		kind = "a video"
	}
	f.note("format", "holds %s in %s form; the provider may judge it by its extension", kind, strings.ToUpper(format))
}

// checkCodec speaks about what a reader of ordinary files is likely to stumble
// over. The provider does not document which codecs it reads.
func (f *file) checkCodec(codec string) {
	ordinary := []string{"", "h264", "hevc", "mpeg4", "msmpeg4", "mpeg1", "mpeg2", "h263", "mjpeg", "vp8", "vp9", "av1", "prores", "png", "qtrle", "rawvideo"}
	switch {
	case codec == "encrypted":
		f.note("codec", "is encrypted; the provider cannot read it")
	case !slices.Contains(ordinary, codec):
		f.note("codec", "is coded as %s, which the provider may not read; H.264 is safe", shown(codec))
	}
}

// proportions returns what to say about a job whose video would have to be
// squeezed or cropped to fit the image, "" when there is nothing.
func (s *fileSet) proportions(j *Job) string {
	image, video := s.byKey[mediumKey{j.Image, false}], s.byKey[mediumKey{j.Video, true}]
	if image == nil || video == nil || image.width == 0 || video.width == 0 {
		return ""
	}
	a, b := image.width*video.height, video.width*image.height
	if max(a, b) <= fineAspect*min(a, b) {
		return ""
	}
	return fmt.Sprintf("%s: %s is %d x %d pixels but %s is %d x %d; so different proportions may lower the quality",
		j.ID, shown(j.ImageName), image.width, image.height, shown(j.VideoName), video.width, video.height)
}

// hash takes the digest of a whole file, and looks whether an image goes on to
// its end. It stops early when the context ends, and refuses a file that changed
// since info was taken.
func (f *file) hash(ctx context.Context, r *os.File, info fs.FileInfo, k *facts) error {
	sum := sha256.New()
	var image bytes.Buffer
	sink := io.Writer(sum)
	if !f.video {
		sink = io.MultiWriter(sum, &image) // small: its size was checked
	}
	const step = 1 << 20
	buffer := make([]byte, min(step, info.Size()))
	for offset := int64(0); offset < info.Size(); offset += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := buffer[:min(step, info.Size()-offset)]
		if n, err := r.ReadAt(part, offset); n < len(part) {
			f.unsteady(err)
			return nil
		}
		if _, err := sink.Write(part); err != nil {
			return err // unreachable: neither fails
		}
	}
	if now, err := r.Stat(); err != nil || now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime()) {
		f.unsteady(err)
		return nil
	}
	k.Digest = hex.EncodeToString(sum.Sum(nil))
	if !f.video && media.CheckWhole(k.Image.Format, image.Bytes()) != nil {
		k.Cut = true
		f.noteCut()
	}
	return nil
}

// unsteady refuses a file that could not be read to the end it had a moment ago.
func (f *file) unsteady(err error) {
	if err == nil || errors.Is(err, io.EOF) {
		f.refuse("plan again when it is complete", "changed while it was read")
		return
	}
	f.refuse("", "can't be read: %v", reason(err))
}
