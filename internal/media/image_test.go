package media_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
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
		{encoded(t, png.Encode), media.Image{Format: "png", Width: 40, Height: 30, Orientation: 1}},
		{encoded(t, encodeJPEG), media.Image{Format: "jpeg", Width: 40, Height: 30, Orientation: 1}},
		{encoded(t, bmp.Encode), media.Image{Format: "bmp", Width: 40, Height: 30, Orientation: 1}},
		{webp(t), media.Image{Format: "webp", Width: 1, Height: 1, Orientation: 1}},
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
	if _, err := media.ReadImage(failing{strings.NewReader("\x89PNG\r\n\x1a\n"), line}); !errors.Is(err, line) {
		t.Errorf("got %v, want the reader's own error", err)
	}
}

// failing breaks where its text ends.
type failing struct {
	*strings.Reader
	err error
}

func (f failing) Read(p []byte) (int, error) {
	if n, _ := f.Reader.Read(p); n > 0 {
		return n, nil
	}
	return 0, f.err
}

// exif is a TIFF block that says the orientation and nothing else.
func exif(orientation int) []byte {
	return cat([]byte("MM\x00*"), u32(8), u16(1), u16(0x0112), u16(3), u32(1), u16(orientation), u16(0), u32(0))
}

// oriented returns a 40x30 picture whose EXIF says how it is to be turned.
func oriented(t testing.TB, format string, orientation int) []byte {
	t.Helper()
	switch format {
	case "jpeg":
		plain := encoded(t, encodeJPEG)
		body := cat([]byte("Exif\x00\x00"), exif(orientation))
		return cat(plain[:2], []byte{0xff, 0xe1}, u16(len(body)+2), body, plain[2:])
	case "png":
		plain := encoded(t, png.Encode)
		body := cat([]byte("eXIf"), exif(orientation))
		after := 8 + 12 + 13 // signature and IHDR
		return cat(plain[:after], u32(len(body)-4), body, u32(int(crc32.ChecksumIEEE(body))), plain[after:])
	}
	data := exif(orientation)
	canvas := cat([]byte("VP8X"), le(10), []byte{8, 0, 0, 0, 39, 0, 0, 29, 0, 0})
	body := cat([]byte("WEBP"), canvas, webp(t)[12:], []byte("EXIF"), le(len(data)), data)
	return cat([]byte("RIFF"), le(len(body)), body)
}

func TestReadImageOrientation(t *testing.T) {
	for _, format := range []string{"jpeg", "png", "webp"} {
		for orientation := range 10 {
			want := media.Image{Format: format, Width: 40, Height: 30, Orientation: 1}
			if orientation >= 1 && orientation <= 8 {
				want.Orientation = orientation
			}
			if want.Orientation >= 5 {
				want.Width, want.Height = 30, 40
			}
			got, err := media.ReadImage(bytes.NewReader(oriented(t, format, orientation)))
			if err != nil || got != want {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		}
	}
}

// Damage to what is not the picture is no damage to the picture.
func TestDamagedEXIFIsNoError(t *testing.T) {
	for _, format := range []string{"jpeg", "png", "webp"} {
		whole := oriented(t, format, 6)
		at := bytes.Index(whole, []byte("MM\x00*"))
		copy(whole[at+4:], "\xff\xff\xff\xff")
		got, err := media.ReadImage(bytes.NewReader(whole))
		if err != nil || got.Orientation != 1 || got.Width != 40 {
			t.Errorf("%s: %+v, %v", format, got, err)
		}
	}
}

// An image that lacks its last bytes is seen to; one with a note behind its end is whole.
func TestCheckWhole(t *testing.T) {
	files := map[string][]byte{
		"png": encoded(t, png.Encode), "jpeg": encoded(t, encodeJPEG), "bmp": encoded(t, bmp.Encode), "webp": webp(t),
	}
	for format, whole := range files {
		for _, data := range [][]byte{whole, cat(whole, []byte("made by hand"))} {
			if err := media.CheckWhole(format, data); err != nil {
				t.Errorf("%s of %d bytes: %v", format, len(data), err)
			}
		}
		for cut := range len(whole) - 1 {
			if format == "bmp" && cut < 34 {
				continue // less than a header, which ReadImage refuses
			}
			if err := media.CheckWhole(format, whole[:cut]); !errors.Is(err, media.ErrTruncated) {
				t.Errorf("%s, %d of %d bytes: %v", format, cut, len(whole), err)
				break
			}
		}
	}
	for _, orientation := range []int{1, 6} { // a thumbnail's end, or EXIF's, is not the picture's
		data := oriented(t, "jpeg", orientation)
		if media.CheckWhole("jpeg", data) != nil || media.CheckWhole("jpeg", data[:len(data)-2]) == nil {
			t.Errorf("EXIF confuses the end of a JPEG")
		}
	}
}

func FuzzReadImage(f *testing.F) {
	f.Add(encoded(f, png.Encode))
	f.Add(encoded(f, encodeJPEG))
	f.Add(encoded(f, bmp.Encode))
	f.Add(webp(f))
	for _, format := range []string{"jpeg", "png", "webp"} {
		f.Add(oriented(f, format, 6))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := media.ReadImage(bytes.NewReader(data))
		known := errors.Is(err, media.ErrFormat) || errors.Is(err, media.ErrTruncated)
		if err == nil && (got.Width <= 0 || got.Height <= 0 || got.Orientation < 1 || got.Orientation > 8) || err != nil && !known {
			t.Errorf("got %+v, %v", got, err)
		}
		for _, format := range []string{"png", "jpeg", "bmp", "webp", "none"} {
			if err := media.CheckWhole(format, data); err != nil && !errors.Is(err, media.ErrTruncated) {
				t.Errorf("%s: %v", format, err)
			}
		}
	})
}
