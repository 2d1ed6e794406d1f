package media

import (
	"strings"
)

// codecs maps the four letters of sample entries (MP4, MOV) and of stream formats (AVI), in lower
// case, to common names.
func codecs() map[string]string {
	return map[string]string{
		"avc1": "h264", "avc3": "h264", "h264": "h264", "x264": "h264", "davc": "h264",
		"hvc1": "hevc", "hev1": "hevc", "hevc": "hevc", "h265": "hevc", "x265": "hevc", "dvh1": "hevc", "dvhe": "hevc",
		"mp4v": "mpeg4", "xvid": "mpeg4", "divx": "mpeg4", "dx50": "mpeg4", "fmp4": "mpeg4",
		"mpg4": "msmpeg4", "mp42": "msmpeg4", "mp43": "msmpeg4", "div3": "msmpeg4",
		"av01": "av1", "vp08": "vp8", "vp80": "vp8", "vp09": "vp9", "vp90": "vp9",
		"mpg1": "mpeg1", "m1v ": "mpeg1", "mpg2": "mpeg2", "m2v1": "mpeg2", "hdv2": "mpeg2", "mx5p": "mpeg2",
		"s263": "h263", "h263": "h263",
		"jpeg": "mjpeg", "mjpa": "mjpeg", "mjpb": "mjpeg", "mjpg": "mjpeg", "png ": "png",
		"apch": "prores", "apcn": "prores", "apcs": "prores", "apco": "prores", "ap4h": "prores", "ap4x": "prores",
		"rle ": "qtrle", "raw ": "rawvideo", "dib ": "rawvideo", "\x00\x00\x00\x00": "rawvideo",
		"encv": "encrypted", "drmi": "encrypted",
	}
}

// codecName returns the common name of four letters, or the printable ones among them.
func codecName(letters string) string {
	if name, known := codecs()[strings.ToLower(letters)]; known {
		return name
	}
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return -1
		}
		return c
	}, letters))
}
