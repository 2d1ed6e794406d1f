package media

import (
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // registers the format with image.DecodeConfig
	_ "image/png"  // the same
	"io"

	_ "golang.org/x/image/bmp"  // the same
	_ "golang.org/x/image/webp" // the same
)

// ReadImage reads the header of an image. It takes what it needs from r and leaves the rest
// unread. An unknown format is [ErrFormat], a header that ends early [ErrTruncated].
func ReadImage(r io.Reader) (Image, error) {
	config, format, err := image.DecodeConfig(r)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Image{}, fmt.Errorf("image header: %w", ErrTruncated)
	case err != nil:
		return Image{}, fmt.Errorf("image header: %w: %v", ErrFormat, err)
	case config.Width <= 0 || config.Height <= 0:
		return Image{}, fmt.Errorf("image of %dx%d pixels: %w", config.Width, config.Height, ErrFormat)
	}
	return Image{Format: format, Width: config.Width, Height: config.Height}, nil
}
