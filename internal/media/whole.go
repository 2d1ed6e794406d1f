package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// CheckWhole reports whether an image that [ReadImage] knows, given with all its bytes, goes on to
// its end: [ErrTruncated] if not. It follows the format's outline and decodes nothing, so a file
// that is damaged in its middle passes. Most readers show what there is of a cut image.
func CheckWhole(format string, data []byte) error {
	whole := true
	switch format {
	case "png":
		whole = wholePNG(data)
	case "jpeg":
		whole = wholeJPEG(data)
	case "webp":
		whole = len(data) >= 8 && uint64(le32(data, 4))+8 <= uint64(len(data))
	case "bmp":
		whole = wholeBMP(data)
	}
	if !whole {
		return fmt.Errorf("the end of the %s image is missing: %w", format, ErrTruncated)
	}
	return nil
}

// wholePNG walks the chunks up to the one that ends the image.
func wholePNG(data []byte) bool {
	data = data[min(8, len(data)):]
	for len(data) >= 12 {
		length := uint64(binary.BigEndian.Uint32(data)) + 12
		if length > uint64(len(data)) {
			return false
		}
		if string(data[4:8]) == "IEND" {
			return true
		}
		data = data[length:]
	}
	return false
}

// wholeJPEG walks the segments up to the pixels and looks for the end marker behind them; in
// between it cannot occur, since 0xff in compressed data is followed by 0.
func wholeJPEG(data []byte) bool {
	for at := 2; at+4 <= len(data); {
		if data[at] != 0xff {
			return false
		}
		marker := data[at+1]
		switch {
		case marker == 0xff: // padding
			at++
		case marker == 0xda: // the pixels start
			return bytes.Contains(data[at:], []byte{0xff, 0xd9})
		case marker == 0x01 || marker >= 0xd0 && marker <= 0xd8: // without a length
			at += 2
		default:
			at += 2 + int(binary.BigEndian.Uint16(data[at+2:]))
		}
	}
	return false
}

// wholeBMP works out where uncompressed rows end; of compressed ones nothing can be told.
func wholeBMP(data []byte) bool {
	if le32(data, 14) < 40 || le32(data, 30) != 0 && le32(data, 30) != 3 {
		return true
	}
	height := int64(int32(le32(data, 22)))
	if height < 0 {
		height = -height
	}
	bits := int64(le32(data, 26) >> 16)
	row := (int64(le32(data, 18))*bits + 31) / 32 * 4
	room := int64(len(data)) - int64(le32(data, 10))
	return height == 0 || row <= room/height // divided, so that no forged size overflows
}
