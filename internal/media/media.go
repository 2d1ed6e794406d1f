// Package media says what must be known of an image or a video from its bytes alone: format,
// size in pixels as shown and, for a video, how long it plays, how it is coded, its frame rate
// and whether it has sound. It runs no external program and decodes no picture.
//
// Video containers are read by walks of our own, because an estimate and a budget hang on the
// length of a file that anybody may have made. The MP4 and MOV walk has two levels:
//
//   - boxes at the top of the file are read through an [io.ReaderAt], header by header, so a
//     200 MB file (or one behind HTTP ranges) costs a few small reads wherever its moov stands;
//   - the few boxes that matter (moov, moof, sidx) are read whole, up to a cap, and walked in
//     memory along fixed paths. There is no recursion, so nesting cannot exhaust the stack.
//
// Every box is checked against its parent before it is believed. A box that claims more bytes
// than its parent has is [ErrTruncated], and so is a file in which samples lie past the end; one
// that cannot be what it says is [ErrFormat]. An AVI is read up to the end of its headers.
//
// A file behind a URL is read by a [RemoteFile], which is an [io.ReaderAt] too and fetches a
// few hundred kilobytes at most.
//
// The files: video.go holds the two questions about videos, box.go the walk, movie.go the moov
// box, samples.go where samples lie, fragment.go the fragmented form, codec.go the names of
// codecs, avi.go the AVI form; image.go the images, whole.go whether one is cut; remote.go the
// reading over HTTP.
package media

import (
	"errors"
	"time"
)

var (
	// ErrFormat reports bytes that are no container or image this package knows, or one whose
	// inner numbers contradict each other.
	ErrFormat = errors.New("unknown or damaged format")

	// ErrTruncated reports a file that is cut: a part reaches past the end of what holds it, or
	// a part every whole file has is not there.
	ErrTruncated = errors.New("file is cut short")
)

// A Video is what a container says of its first video track.
type Video struct {
	// Format is "mp4", "mov" or "avi".
	Format string

	// Codec is how pictures are coded: a common name in lower case such as "h264", "hevc",
	// "mpeg4" or "prores", "encrypted", or the container's own four letters when they have no
	// such name. Empty when the container does not say.
	Codec string

	// Duration is how long the video track plays, edit lists applied. Zero when the container
	// does not say, as an AVI that was never finished, or holds no sample.
	Duration time.Duration

	// Width and Height are pixels as shown: a track marked as turned by a quarter has them
	// swapped.
	Width, Height int

	// Rotation is by how many degrees a player turns the pictures clockwise: 0, 90, 180 or 270.
	// Width and Height have it applied.
	Rotation int

	// FrameRate is the mean over the whole track; zero when unknown.
	FrameRate Rate

	// Sound is whether there is a track of sound, whatever is in it.
	Sound bool
}

// A Rate is a number of frames in a number of seconds, exact and in lowest terms: 30000 in 1001.
// The zero Rate is unknown.
type Rate struct{ Frames, Seconds uint64 }

// PerSecond is the rate as a number, 0 when it is unknown.
func (r Rate) PerSecond() float64 {
	if r.Seconds == 0 {
		return 0
	}
	return float64(r.Frames) / float64(r.Seconds)
}

// An Image is what an image file's header says.
type Image struct {
	// Format is "jpeg", "png", "bmp" or "webp".
	Format string

	// Width and Height are pixels as shown: an EXIF orientation that turns by a quarter has them
	// swapped.
	Width, Height int

	// Orientation is EXIF's, 1 to 8; 1, which is upright, when the file does not say.
	Orientation int
}
