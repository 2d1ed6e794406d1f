package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/internal/media"
)

// What the provider demands of its inputs. Whether its megabytes are 10^6 or 2^20 is not
// documented; the larger reading refuses less.
const (
	maxImageBytes = 5 << 20
	maxVideoBytes = 200 << 20
	minSide       = 200
	maxImageSide  = 4096
	maxVideoSide  = 2048
	minLength     = 2 * time.Second
	maxLength     = 30 * time.Second

	// fetchTime bounds a download, in real time. Sibling models document 60 s.
	fetchTime = 60 * time.Second
)

func inputClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableKeepAlives = true
	return &http.Client{Transport: t}
}

// A flaw is why a task fails on its inputs.
type flaw struct{ code, message string }

func (f *flaw) Error() string { return f.code + ": " + f.message }

// probe fetches both inputs of a task, judges them, and lets the task go on. Nothing is recorded
// when the server is closed meanwhile.
func (s *Server) probe(t *task) {
	length, until, err := s.judge(t)
	if s.ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &verdict{at: s.opt.Now().Round(0).Truncate(time.Millisecond), length: length, until: until}
	if bad, ok := errors.AsType[*flaw](err); ok {
		v.code, v.message = bad.code, bad.message
	} else if err != nil {
		v.code, v.message = "InternalError", "An internal error has occured, please try again later or contact service support."
	}
	t.verdict = v
}

// judge returns the length of the driving video, and until when both inputs can be used (zero for
// ever). Its error is a *flaw, or our own trouble.
func (s *Server) judge(t *task) (length time.Duration, until time.Time, err error) {
	image, until, err := s.fetch(t.order.Image, t, maxImageBytes, imageFormat)
	if err != nil {
		return 0, until, err
	}
	defer image.Close()
	if err := judgeImage(image); err != nil {
		return 0, until, err
	}
	video, end, err := s.fetch(t.order.Video, t, maxVideoBytes, videoFormat)
	if err != nil {
		return 0, until, err
	}
	defer video.Close()
	if until.IsZero() || !end.IsZero() && end.Before(until) {
		until = end
	}
	length, err = judgeVideo(video)
	return length, until, err
}

var (
	imageFormat = &flaw{"InvalidImage.FileFormat", "Invalid image type. Please ensure the uploaded file is a valid image."}
	videoFormat = &flaw{"InvalidVideo.FileFormat", "Invalid video type. Only mp4/mov/avi is supported."}
)

func judgeImage(f *input) error {
	if f.size > maxImageBytes {
		return &flaw{"InvalidFile.Size", "The image file size must be smaller than 5MB."}
	}
	image, err := media.ReadImage(io.NewSectionReader(f, 0, f.size))
	if err != nil {
		return imageFormat
	}
	return judgeSides("InvalidImage.Resolution", image.Width, image.Height, maxImageSide)
}

func judgeVideo(f *input) (time.Duration, error) {
	if f.size > maxVideoBytes {
		return 0, &flaw{"InvalidFile.Size", "The video file size must be less than 200MB."}
	}
	video, err := media.ReadVideo(f, f.size)
	if err != nil {
		return 0, videoFormat
	}
	if err := judgeSides("InvalidVideo.Resolution", video.Width, video.Height, maxVideoSide); err != nil {
		return 0, err
	}
	if video.Duration < minLength || video.Duration > maxLength {
		return 0, &flaw{"InvalidVideo.Duration", "The video duration must be between 2 and 30 seconds."}
	}
	return video.Duration, nil
}

func judgeSides(code string, width, height, most int) error {
	switch {
	case min(width, height) < minSide || max(width, height) > most:
		return &flaw{code, fmt.Sprintf("The width and height must be in [%d, %d].", minSide, most)}
	case max(width, height) > 3*min(width, height):
		return &flaw{"InvalidFile.AspectRatio", "The aspect ratio must be between 1:3 and 3:1."}
	}
	return nil
}

// An input is a fetched file. One that was too large is cut one byte past its cap.
type input struct {
	*os.File
	size int64
	temp bool
}

// Close closes the file, and removes it if it was a download.
func (f *input) Close() error {
	err := f.File.Close()
	if f.temp {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// fetch brings an input here: by download, from the temporary store, or from the disk for file://
// (a liberty of the emulator: so local paths reach it). Anything else ends like an input of the
// wrong format. An upload also tells the end of its life.
func (s *Server) fetch(address string, t *task, most int64, format *flaw) (in *input, until time.Time, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, until, unreachable(address)
	}
	switch u.Scheme {
	case "http", "https":
		in, err = s.download(address, most)
	case "file":
		in, err = openInput(u.Path, address)
	case "data":
		err = format
	case "oss":
		in, until, err = s.open(address, t)
		if err == nil && !extensionFits(u.Path, format) {
			err = errors.Join(format, in.Close())
		}
	default:
		err = &flaw{"InvalidURL", "Required URL is missing or invalid, please check the request URL."}
	}
	return in, until, err
}

// extensionFits says whether a path ends like a file of its kind: the provider seems to judge a
// file by that.
func extensionFits(path string, format *flaw) bool {
	fits := []string{".jpg", ".jpeg", ".png", ".bmp", ".webp"}
	if format == videoFormat {
		fits = []string{".mp4", ".avi", ".mov"}
	}
	return slices.Contains(fits, strings.ToLower(filepath.Ext(path)))
}

func openInput(path, address string) (*input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreachable(address)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(unreachable(address), f.Close())
	}
	return &input{File: f, size: info.Size()}, nil
}

// download copies a remote input to a temporary file.
func (s *Server) download(address string, most int64) (*input, error) {
	ctx, cancel := context.WithTimeout(s.ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unreachable(address)
	}
	resp, err := s.opt.Inputs.Do(req)
	if err != nil {
		return nil, fetchFlaw(err, address)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusFlaw(resp.StatusCode, address)
	}
	return save(resp.Body, most, address)
}

// save copies a body of at most most bytes, and one more to tell when there is more.
func save(body io.Reader, most int64, address string) (*input, error) {
	f, err := os.CreateTemp("", "wanbatch-input-*")
	if err != nil {
		return nil, err
	}
	in := &input{File: f, temp: true}
	in.size, err = io.Copy(f, io.LimitReader(body, most+1))
	if err != nil {
		return nil, errors.Join(fetchFlaw(err, address), in.Close())
	}
	return in, nil
}

func unreachable(address string) *flaw {
	return &flaw{"InvalidURL.ConnectionRefused", "Connection to " + address + " refused, please provide available URL."}
}

func fetchFlaw(err error, address string) *flaw {
	if e, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && e.Timeout() {
		return &flaw{"InvalidURL.Timeout", "Download " + address + " timeout, please check network connection."}
	}
	return unreachable(address)
}

func statusFlaw(status int, address string) *flaw {
	const code, tail = "InvalidParameter.DataInspection", " the media resource during the data inspection process."
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &flaw{code, "Don't have authorization to access" + tail}
	case http.StatusNotFound, http.StatusGone:
		return &flaw{code, "Failed to find the requested" + strings.TrimPrefix(tail, " the")}
	}
	return unreachable(address)
}
