package media

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ReadVideo reads the headers of an MP4, MOV or AVI file of size bytes: fragmented or not, its
// moov before or after the samples, OpenDML or not. It reads no sample, but compares where they
// lie with size.
//
// [ErrFormat]: no such container, no video track, or one made to mislead. [ErrTruncated]: cut in
// its headers, in its samples or between them. Errors of r are passed on wrapped.
func ReadVideo(r io.ReaderAt, size int64) (Video, error) {
	if size < 8 {
		return Video{}, fmt.Errorf("%d bytes are no video: %w", size, ErrFormat)
	}
	if isAVI(r, size) {
		return readAVI(r, size)
	}
	boxes, walkErr := topBoxes(r, size)
	if len(boxes) == 0 && walkErr != nil {
		return Video{}, walkErr
	}
	format, err := containerFormat(r, boxes)
	if err != nil {
		return Video{}, err
	}
	if walkErr != nil && !onlyTail(boxes, walkErr, size) {
		return Video{}, walkErr
	}
	m, err := readMovie(r, boxes)
	if err != nil {
		return Video{}, err
	}
	if m.fragmented && walkErr != nil {
		return Video{}, walkErr // what looks like a strange tail may have been a fragment
	}
	if err := samplesWithin(boxes, m, size); err != nil {
		return Video{}, err
	}
	length, all, err := playLength(r, boxes, m)
	if err != nil {
		return Video{}, err
	}
	return Video{
		Format: format, Codec: m.video.codec, Duration: length, Width: m.video.width, Height: m.video.height,
		Rotation: m.video.rotation, FrameRate: all.rate(m.video.timescale), Sound: m.sound,
	}, nil
}

// CheckMP4 proves that a file of size bytes is a complete container and returns how long its
// video plays: ftyp stands first, moov is whole and names a video track, samples are there, and
// the boxes end exactly at size. A cut file is [ErrTruncated], anything else that is not such a
// container [ErrFormat].
func CheckMP4(r io.ReaderAt, size int64) (time.Duration, error) {
	boxes, err := topBoxes(r, size)
	if len(boxes) > 0 && boxes[0].kind != "ftyp" || len(boxes) == 0 && err == nil {
		return 0, fmt.Errorf("no ftyp box at the start: %w", ErrFormat)
	}
	if err != nil {
		return 0, err
	}
	m, err := readMovie(r, boxes)
	if err != nil {
		return 0, err
	}
	needed := []string{"mdat"}
	if m.fragmented && m.video.listed.ticks == 0 {
		needed = append(needed, "moof")
	}
	for _, kind := range needed {
		if !has(boxes, kind) {
			return 0, fmt.Errorf("no %s box: %w", kind, ErrTruncated)
		}
	}
	if err := samplesWithin(boxes, m, size); err != nil {
		return 0, err
	}
	length, _, err := playLength(r, boxes, m)
	return length, err
}

// onlyTail reports whether a walk went wrong behind everything that counts. Some programs leave
// a few bytes or a note of their own at the end of a file, which every player ignores.
func onlyTail(boxes []box, walkErr error, size int64) bool {
	if !errors.Is(walkErr, ErrTruncated) && !errors.Is(walkErr, ErrFormat) {
		return false // the source's own trouble
	}
	last := boxes[len(boxes)-1]
	cut := last.end == size // the last box overran, unless the walk stumbled after it
	if cut && slices.Contains([]string{"moov", "mdat", "moof"}, last.kind) {
		return false
	}
	return has(boxes, "moov") && has(boxes, "mdat")
}

// samplesWithin refuses a file whose samples lie past its end, which is how one looks whose last
// box claims to reach to the end of the file, or that ends between a fragment and its samples.
func samplesWithin(boxes []box, m movie, size int64) error {
	if m.reach > uint64(size) {
		return fmt.Errorf("samples up to byte %d of %d: %w", m.reach, size, ErrTruncated)
	}
	last := ""
	for _, b := range boxes {
		if b.kind == "moof" || b.kind == "mdat" {
			last = b.kind
		}
	}
	if last == "moof" {
		return fmt.Errorf("no mdat box after the last moof: %w", ErrTruncated)
	}
	return nil
}

func has(boxes []box, kind string) bool {
	return slices.ContainsFunc(boxes, func(b box) bool { return b.kind == kind })
}

// containerFormat tells MP4 from MOV by the brand, and either from anything else by the first box.
func containerFormat(r io.ReaderAt, boxes []box) (string, error) {
	if len(boxes) == 0 {
		return "", fmt.Errorf("not a video container: %w", ErrFormat)
	}
	switch b := boxes[0]; b.kind {
	case "ftyp":
		brand := make([]byte, min(4, b.end-b.body))
		if err := readFull(r, brand, b.body); err != nil {
			return "", err
		}
		if string(brand) == "qt  " {
			return "mov", nil
		}
		return "mp4", nil
	case "moov", "mdat", "wide", "free", "skip", "pnot": // QuickTime from before brands
		return "mov", nil
	}
	return "", fmt.Errorf("not a video container: %w", ErrFormat)
}

// readMovie reads the moov box wherever it stands.
func readMovie(r io.ReaderAt, boxes []box) (movie, error) {
	i := slices.IndexFunc(boxes, func(b box) bool { return b.kind == "moov" })
	if i < 0 {
		return movie{}, fmt.Errorf("no moov box: %w", ErrTruncated)
	}
	data, err := content(r, boxes[i])
	if err != nil {
		return movie{}, err
	}
	return parseMovie(data)
}

// playLength is how long the video track plays, and the frames that were counted on the way.
func playLength(r io.ReaderAt, boxes []box, m movie) (time.Duration, run, error) {
	if m.fragmented {
		return fragmentedLength(r, boxes, m)
	}
	length, err := m.length()
	return length, m.video.listed, err
}
