package media

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// ReadVideo reads the headers of an MP4 or MOV file of size bytes, fragmented or not, its moov
// before or after the samples. It reads no sample, so a file cut inside its samples still
// answers if the moov stands first; [CheckMP4] is the one that proves a file whole.
//
// [ErrFormat]: no such container, no video track, or one made to mislead. [ErrTruncated]: cut
// before the moov was complete. Errors of r are passed on wrapped.
func ReadVideo(r io.ReaderAt, size int64) (Video, error) {
	boxes, walkErr := topBoxes(r, size)
	if len(boxes) == 0 && walkErr != nil {
		return Video{}, walkErr
	}
	format, err := containerFormat(r, boxes)
	if err != nil {
		return Video{}, err
	}
	// Cut inside its samples is good enough here; cut inside its moov is not.
	cutSamples := errors.Is(walkErr, ErrTruncated) && boxes[len(boxes)-1].kind != "moov"
	if walkErr != nil && !cutSamples {
		return Video{}, walkErr
	}
	m, err := readMovie(r, boxes)
	if err != nil {
		return Video{}, err
	}
	length, err := playLength(r, boxes, m)
	if err != nil {
		return Video{}, err
	}
	return Video{Format: format, Duration: length, Width: m.video.width, Height: m.video.height}, nil
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
	if m.fragmented && m.video.samples == 0 {
		needed = append(needed, "moof")
	}
	for _, kind := range needed {
		if !slices.ContainsFunc(boxes, func(b box) bool { return b.kind == kind }) {
			return 0, fmt.Errorf("no %s box: %w", kind, ErrTruncated)
		}
	}
	return playLength(r, boxes, m)
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

func playLength(r io.ReaderAt, boxes []box, m movie) (time.Duration, error) {
	if m.fragmented {
		return fragmentedLength(r, boxes, m)
	}
	return m.length()
}
