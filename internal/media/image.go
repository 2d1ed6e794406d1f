package media

import (
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // registers the format with image.DecodeConfig
	_ "image/png"  // the same
	"io"
	"slices"

	_ "golang.org/x/image/bmp"  // the same
	_ "golang.org/x/image/webp" // the same
)

// ReadImage reads the header of an image. It takes what it needs from r and leaves the rest
// unread. An unknown format is [ErrFormat], a header that ends early [ErrTruncated]; an error of
// r is passed on wrapped.
func ReadImage(r io.Reader) (Image, error) {
	source := &watched{Reader: r}
	config, format, err := image.DecodeConfig(source)
	switch {
	case source.err != nil:
		return Image{}, fmt.Errorf("image header: %w", source.err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Image{}, fmt.Errorf("image header: %w", ErrTruncated)
	case err != nil:
		return Image{}, fmt.Errorf("image header: %w: %v", ErrFormat, err)
	case config.Width <= 0 || config.Height <= 0:
		return Image{}, fmt.Errorf("image of %dx%d pixels: %w", config.Width, config.Height, ErrFormat)
	case !slices.Contains([]string{"jpeg", "png", "bmp", "webp"}, format):
		// Other parts of a program may have registered more formats than the provider takes.
		return Image{}, fmt.Errorf("%s image: %w", format, ErrFormat)
	}
	return Image{Format: format, Width: config.Width, Height: config.Height}, nil
}

// watched keeps the error of a source, which the decoders would hide behind one of their own.
type watched struct {
	io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}
