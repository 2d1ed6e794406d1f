package media_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"

	"golang.org/x/image/bmp"

	"github.com/wanbatch/wanbatch/internal/media"
)

// encoded returns a 40x30 picture in a format.
func encoded(t testing.TB, encode func(io.Writer, image.Image) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := encode(&b, image.NewGray(image.Rect(0, 0, 40, 30))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodeJPEG(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) }
func encodeGIF(w io.Writer, m image.Image) error  { return gif.Encode(w, m, nil) }

// webp is the smallest lossless file, of 1x1 pixels.
func webp(t testing.TB) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString("UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA==")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadImage(t *testing.T) {
	tests := []struct {
		data []byte
		want media.Image
	}{
		{encoded(t, png.Encode), media.Image{Format: "png", Width: 40, Height: 30}},
		{encoded(t, encodeJPEG), media.Image{Format: "jpeg", Width: 40, Height: 30}},
		{encoded(t, bmp.Encode), media.Image{Format: "bmp", Width: 40, Height: 30}},
		{webp(t), media.Image{Format: "webp", Width: 1, Height: 1}},
	}
	for _, tt := range tests {
		got, err := media.ReadImage(bytes.NewReader(tt.data))
		if err != nil || got != tt.want {
			t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
		}
	}
}

func TestReadImageRefuses(t *testing.T) {
	flat := encoded(t, bmp.Encode)
	binary.LittleEndian.PutUint32(flat[18:], 0) // width
	tests := []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, media.ErrFormat},
		{"text", []byte("no picture"), media.ErrFormat},
		{"a format not offered", encoded(t, encodeGIF), media.ErrFormat},
		{"no width", flat, media.ErrFormat},
		{"cut header", encoded(t, png.Encode)[:20], media.ErrTruncated},
	}
	for _, tt := range tests {
		if got, err := media.ReadImage(bytes.NewReader(tt.data)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %+v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
	line := errors.New("line down")
	if _, err := media.ReadImage(io.MultiReader(strings.NewReader("\x89PNG\r\n\x1a\n"), failing{line})); !errors.Is(err, line) {
		t.Errorf("got %v, want the reader's own error", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func FuzzReadImage(f *testing.F) {
	f.Add(encoded(f, png.Encode))
	f.Add(encoded(f, encodeJPEG))
	f.Add(encoded(f, bmp.Encode))
	f.Add(webp(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := media.ReadImage(bytes.NewReader(data))
		known := errors.Is(err, media.ErrFormat) || errors.Is(err, media.ErrTruncated)
		if err == nil && (got.Width <= 0 || got.Height <= 0) || err != nil && !known {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}
