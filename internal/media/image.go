package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // registers the format with image.DecodeConfig
	_ "image/png"  // the same
	"io"
	"slices"

	"github.com/bep/imagemeta"
	_ "golang.org/x/image/bmp"  // registers the format with image.DecodeConfig
	_ "golang.org/x/image/webp" // the same
)

// exifWindow is how far into a JPEG or PNG its EXIF is looked for: writers put it before the
// pixels, and behind a URL every byte is fetched. A WEBP has it at its end, a few jumps away.
const exifWindow = 192 << 10

// ReadImage reads the header of an image from its start, and its EXIF orientation. It takes what
// it needs from r and leaves the rest unread. An unknown format is [ErrFormat], a header that
// ends early [ErrTruncated]; an error of r is passed on wrapped. Damaged EXIF is no error: the
// pictures are there all the same.
func ReadImage(r io.ReadSeeker) (Image, error) {
	source := &watched{Reader: r}
	config, format, err := image.DecodeConfig(source)
	switch {
	case source.err != nil:
		return Image{}, fmt.Errorf("image header: %w", source.err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Image{}, fmt.Errorf("image header: %w", ErrTruncated)
	case err != nil:
		return Image{}, fmt.Errorf("image header: %w: %s", ErrFormat, err.Error())
	case config.Width <= 0 || config.Height <= 0:
		return Image{}, fmt.Errorf("image of %dx%d pixels: %w", config.Width, config.Height, ErrFormat)
	case !slices.Contains([]string{"jpeg", "png", "bmp", "webp"}, format):
		// Other parts of a program may have registered more formats than the provider takes.
		return Image{}, fmt.Errorf("%s image: %w", format, ErrFormat)
	}
	i := Image{Format: format, Width: config.Width, Height: config.Height, Orientation: orientation(r, format)}
	if i.Orientation >= 5 { // those that turn by a quarter
		i.Width, i.Height = i.Height, i.Width
	}
	return i, nil
}

// orientation returns EXIF's, 1 when there is none or it cannot be read.
func orientation(r io.ReadSeeker, format string) int {
	kinds := map[string]imagemeta.ImageFormat{"jpeg": imagemeta.JPEG, "png": imagemeta.PNG, "webp": imagemeta.TIFF}
	kind, has := kinds[format]
	if !has {
		return 1
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 1
	}
	if format == "webp" {
		r = bytes.NewReader(webpEXIF(r)) // found by ourselves: the library overlooks the padding of chunks
	} else {
		r = &window{r, exifWindow}
	}
	found := 1
	_, err := imagemeta.Decode(imagemeta.Options{
		R: r, ImageFormat: kind, Sources: imagemeta.EXIF,
		ShouldHandleTag: func(tag imagemeta.TagInfo) bool { return tag.Tag == "Orientation" && tag.Namespace == "IFD0" },
		HandleTag: func(tag imagemeta.TagInfo) error {
			if n, ok := tag.Value.(uint16); ok && n >= 1 && n <= 8 {
				found = int(n)
			}
			return imagemeta.ErrStopWalking
		},
	})
	if err != nil {
		return 1
	}
	return found
}

// webpEXIF returns the content of a WEBP's EXIF chunk, which is a TIFF file; nil when there is
// none. It jumps from chunk to chunk.
func webpEXIF(r io.ReadSeeker) []byte {
	at := int64(12)
	for range maxChunks {
		var head [8]byte
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return nil
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return nil
		}
		length := int64(binary.LittleEndian.Uint32(head[4:]))
		if string(head[:4]) == "EXIF" {
			data, err := io.ReadAll(io.LimitReader(r, min(length, exifWindow)))
			if err != nil {
				return nil
			}
			return bytes.TrimPrefix(data, []byte("Exif\x00\x00")) // as in a JPEG, by mistake
		}
		at += 8 + length + length%2
	}
	return nil
}

// window ends a source after so many bytes.
type window struct {
	io.ReadSeeker
	end int64
}

func (w *window) Read(p []byte) (int, error) {
	at, err := w.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	if at >= w.end {
		return 0, io.EOF
	}
	return w.ReadSeeker.Read(p[:min(int64(len(p)), w.end-at)])
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
