// Package media says what must be known of an image or a video from its bytes alone: format,
// size in pixels and, for a video, how long it plays. It runs no external program and decodes no
// picture.
//
// Video containers are read by a box walk of our own, because an estimate and a budget hang on
// the length of a file that anybody may have made. The walk has two levels:
//
//   - boxes at the top of the file are read through an [io.ReaderAt], header by header, so a
//     200 MB file (or one behind HTTP ranges) costs a few small reads wherever its moov stands;
//   - the few boxes that matter (moov, moof, sidx) are read whole, up to a cap, and walked in
//     memory along fixed paths. There is no recursion, so nesting cannot exhaust the stack.
//
// Every box is checked against its parent before it is believed. A box that claims more bytes
// than its parent has is [ErrTruncated]; one that cannot be what it says is [ErrFormat].
//
// The files: video.go holds the two questions callers ask, box.go the walk, movie.go the moov
// box, fragment.go the fragmented form, image.go the images.
//
// AVI is not read yet: it answers [ErrFormat].
package media

import (
	"errors"
	"time"
)

var (
	// ErrFormat reports bytes that are no container or image this package knows, or one whose
	// inner numbers contradict each other.
	ErrFormat = errors.New("unknown or damaged format")

	// ErrTruncated reports a container that is cut: a box reaches past the end of what holds it,
	// or a part every whole file has is not there.
	ErrTruncated = errors.New("file is cut short")
)

// A Video is what a container says of its first video track.
type Video struct {
	// Format is "mp4" or "mov".
	Format string

	// Duration is how long the video track plays, edit lists applied. Zero when the container
	// holds no sample.
	Duration time.Duration

	// Width and Height are pixels as shown: a track marked as turned by a quarter has them
	// swapped.
	Width, Height int
}

// An Image is what an image file's header says.
type Image struct {
	// Format is "jpeg", "png", "bmp" or "webp".
	Format string

	// Width and Height are pixels as stored; an EXIF orientation is not applied.
	Width, Height int
}
