package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"

	"github.com/wanbatch/wanbatch/internal/media"
	"github.com/wanbatch/wanbatch/internal/pricing"
)

// What the provider accepts, the same for both models. It does not say whether
// its MB is 10^6 or 2^20 bytes; the smaller is safe.
const (
	maxImageBytes   = 5_000_000
	maxVideoBytes   = 200_000_000
	minSide         = 200
	maxImageSide    = 4096
	maxVideoSide    = 2048
	maxAspect       = 3 // longer side to shorter
	shortestSeconds = 2
)

// file is a local medium after inspection, in its role as image or as video.
type file struct {
	name    string // as the manifest writes it
	video   bool
	where   position // of its first use
	path    string   // of its first use, as problems name it: "pairs[3].image"
	more    int      // further pairs that use it
	digest  string   // SHA-256 of its bytes
	length  decimal.NullDecimal
	problem string // what keeps the provider from accepting it; "" when nothing does
	hint    string
	warning string
}

// fileSet holds every local file of a manifest once, however many pairs use it.
type fileSet struct {
	manifest *Manifest
	files    []*file
	byPath   map[string]*file
}

func newFileSet(m *Manifest) *fileSet {
	return &fileSet{manifest: m, byPath: map[string]*file{}}
}

// inspect reads every local file that was noted, several at once. Only the
// context's error is returned; all else is a problem of a file.
func (s *fileSet) inspect(ctx context.Context, opts PlanOptions) error {
	readers := opts.Readers
	if readers <= 0 {
		readers = min(runtime.NumCPU(), 8)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for _, f := range s.files {
		group.Go(func() error { return f.inspect(ctx, s.manifest.resolve(f.name)) })
	}
	return group.Wait()
}

// add notes the media of one pair.
func (s *fileSet) add(p *Pair) {
	s.use(p, p.Image, false)
	s.use(p, p.Video, true)
}

// use notes that a pair uses a medium. Remote ones, and text that is no path to a
// medium, are none of our business.
func (s *fileSet) use(p *Pair, name string, video bool) {
	role, where, extensions := "image", p.image, imageExtensions()
	if video {
		role, where, extensions = "video", p.video, videoExtensions()
	}
	if problem, _ := mediaProblem(name, extensions); problem != "" || isRemote(name) {
		return
	}
	path := s.manifest.resolve(name)
	if f, known := s.byPath[path]; known {
		f.more++
		return
	}
	f := &file{name: name, video: video, where: where.or(p.place()), path: p.path(role)}
	s.byPath[path] = f
	s.files = append(s.files, f)
}

// of returns what is known of a medium: nothing, if it is remote.
func (s *fileSet) of(name string) file {
	if f, known := s.byPath[s.manifest.resolve(name)]; known {
		return *f
	}
	return file{}
}

// identity returns what a medium contributes to a content key.
func (s *fileSet) identity(name string) string {
	if f, known := s.byPath[s.manifest.resolve(name)]; known {
		return "sha256:" + f.digest
	}
	return "url:" + withoutSignature(name)
}

// report turns what was found into problems, each at the first use of its file.
func (s *fileSet) report(found *problems, warned warnings) {
	for _, f := range s.files {
		also := ""
		switch {
		case f.more == 1:
			also = " (used by another pair too)"
		case f.more > 1:
			also = fmt.Sprintf(" (used by %d other pairs too)", f.more)
		}
		if f.problem != "" {
			found.addNew(f.where, f.hint, "%s: %s %s%s", f.path, shown(f.name), f.problem, also)
		}
		if f.warning != "" {
			warned.add(f.warning[:strings.IndexByte(f.warning, ' ')], shown(f.name)+" "+f.warning)
		}
	}
}

// inspect opens a file, checks it and hashes it. Whatever is not a regular file is
// never opened: opening a FIFO would wait for somebody to write.
func (f *file) inspect(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		f.refuse("", "can't be read: %v", reason(err))
		return nil
	}
	if !f.acceptable(info) {
		return nil
	}
	r, err := os.Open(path)
	if err != nil {
		f.refuse("", "can't be read: %v", reason(err))
		return nil
	}
	defer r.Close() // read only: nothing can be lost
	if f.video {
		f.checkVideo(r, info.Size())
	} else {
		f.checkImage(r)
	}
	if f.problem != "" {
		return nil
	}
	return f.hash(ctx, r, info.Size())
}

// acceptable reports whether a file is worth opening.
func (f *file) acceptable(info fs.FileInfo) bool {
	limit := int64(maxImageBytes)
	if f.video {
		limit = maxVideoBytes
	}
	switch {
	case info.IsDir():
		f.refuse("name one file", "is a folder")
	case !info.Mode().IsRegular():
		f.refuse("", "is not a regular file")
	case info.Size() == 0:
		f.refuse("", "is empty")
	case info.Size() > limit:
		f.refuse(fmt.Sprintf("at most %d", limit), "is %d bytes", info.Size())
	}
	return f.problem == ""
}

func (f *file) checkImage(r io.Reader) {
	image, err := media.ReadImage(r)
	if err != nil {
		f.refuse("", "is not a readable image: %s", firstLine(err))
		return
	}
	f.checkSides(image.Width, image.Height, maxImageSide)
	if want := formatOf(f.name); image.Format != want {
		f.warning = fmt.Sprintf("holds a %s image; the provider may judge it by its extension", image.Format)
	}
}

// checkVideo measures an MP4 or MOV. The length of an AVI is not known to us: it
// is reserved for as a video of 30 s.
func (f *file) checkVideo(r io.ReaderAt, size int64) {
	if formatOf(f.name) == "avi" {
		if !isAVI(r) {
			f.refuse("", "is not an AVI file")
		}
		return
	}
	video, err := media.ReadVideo(r, size)
	if err != nil {
		f.refuse("", "is not a readable video: %s", firstLine(err))
		return
	}
	seconds := decimal.New(video.Duration.Nanoseconds(), -9)
	f.length = decimal.NewNullDecimal(seconds)
	shortest, longest := decimal.NewFromInt(shortestSeconds), decimal.NewFromInt(pricing.LongestSeconds)
	switch {
	case seconds.LessThan(shortest):
		f.refuse(fmt.Sprintf("at least %d s", shortestSeconds), "lasts %s s", seconds)
	case seconds.GreaterThan(longest):
		f.refuse(fmt.Sprintf("at most %d s", pricing.LongestSeconds), "lasts %s s", seconds)
	case seconds.Equal(shortest) || seconds.Equal(longest):
		f.warning = fmt.Sprintf("lasts exactly %s s; the provider's pages disagree whether that is still accepted", seconds)
	}
	f.checkSides(video.Width, video.Height, maxVideoSide)
}

// isAVI reports whether a file begins as a RIFF container of AVI.
func isAVI(r io.ReaderAt) bool {
	var head [12]byte
	_, err := r.ReadAt(head[:], 0)
	return err == nil && string(head[:4]) == "RIFF" && string(head[8:]) == "AVI "
}

func (f *file) checkSides(width, height, longest int) {
	switch {
	case width < minSide || height < minSide || width > longest || height > longest:
		f.refuse(fmt.Sprintf("each side must have %d to %d", minSide, longest), "is %d x %d pixels", width, height)
	case width > maxAspect*height || height > maxAspect*width:
		f.refuse(fmt.Sprintf("one side may be at most %d times the other", maxAspect), "is %d x %d pixels", width, height)
	}
}

// refuse notes the first problem of a file.
func (f *file) refuse(hint, format string, args ...any) {
	if f.problem == "" {
		f.problem, f.hint = fmt.Sprintf(format, args...), hint
	}
}

// hash takes the digest of the whole file, size bytes as it was when it was
// measured, and stops early when the context ends.
func (f *file) hash(ctx context.Context, r *os.File, size int64) error {
	sum := sha256.New()
	const step = 1 << 20
	for offset := int64(0); offset < size; offset += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		part := min(step, size-offset)
		n, err := io.Copy(sum, io.NewSectionReader(r, offset, part))
		if err != nil {
			f.refuse("", "can't be read: %v", reason(err))
			return nil
		}
		if n != part {
			f.refuse("", "became shorter while it was read")
			return nil
		}
	}
	f.digest = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// reason returns the cause of a file error without the path, which the message
// has already, as the manifest writes it.
func reason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// firstLine returns the gist of an error that may be several.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return shown(line)
}

// formatOf returns the format that a name's extension promises.
func formatOf(name string) string {
	format := strings.TrimPrefix(strings.ToLower(path.Ext(name)), ".")
	if format == "jpg" {
		return "jpeg"
	}
	return format
}
