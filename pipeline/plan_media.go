package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
	"golang.org/x/sync/errgroup"
)

// file is a medium, in its role as image or as video, and what was found out
// about it.
type file struct {
	mediumKey
	name          string   // as the manifest writes it
	where         position // of its first use
	path          string   // of its first use, as problems name it
	more          int      // further pairs that use it
	digest        string   // SHA-256 of its bytes, local files only
	length        decimal.NullDecimal
	width, height int // pixels as shown; 0 when unknown
	problems      []flaw
	notices       []notice
}

// mediumKey tells media apart: where they are read, a path or a URL, and as what.
type mediumKey struct {
	place string
	video bool
}

// flaw is what keeps the provider from accepting a file: "lasts 31.2 s; at most
// 30 s", text and hint.
type flaw struct{ text, hint string }

// notice is what a person should know about a file that is accepted.
type notice struct{ kind, text string }

// fileSet holds every medium of a manifest that can be looked at once, however
// many pairs use it. After inspect it never changes and is safe for concurrent
// use.
type fileSet struct {
	manifest *Manifest
	opts     PlanOptions
	local    []*file
	remote   []*file // none unless they shall be looked into
	doomed   bool    // there will be no plan: only what is cheap is looked at
	byKey    map[mediumKey]*file
}

// maxRemote bounds how many remote files are looked into: far more than the
// budget of time allows.
const maxRemote = 10_000

func newFileSet(m *Manifest, opts PlanOptions) *fileSet {
	return &fileSet{manifest: m, opts: opts, byKey: map[mediumKey]*file{}}
}

// add notes the media of a pair, which is not retained. It reports false if the
// manifest has more local files than we can tell apart in bounded memory.
func (s *fileSet) add(p *Pair) bool {
	s.use(p.Image, false, p, p.image.or(p.place()))
	s.use(p.Video, true, p, p.video.or(p.place()))
	return len(s.local) <= maxFiles
}

// inspect looks at every medium, several at once, local and remote ones side by
// side. Only the context's error is returned; all else is a problem of a file.
func (s *fileSet) inspect(ctx context.Context, opts PlanOptions) error {
	group, ctx := errgroup.WithContext(ctx)
	if len(s.remote) > 0 && !s.doomed {
		group.Go(func() error { return opts.Remote.look(ctx, s.manifest.Lane.Endpoint, s.remote) })
	}
	group.Go(func() error { return s.inspectLocal(ctx, opts) })
	return group.Wait()
}

// inspectLocal reads local files, or takes from the cache what is known of them.
func (s *fileSet) inspectLocal(ctx context.Context, opts PlanOptions) error {
	files := s.local
	cache := openMediaCache(opts.Cache)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(runtime.NumCPU(), 8))
	for _, f := range files {
		group.Go(func() error { return f.inspect(ctx, cache, !s.doomed) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := cache.save(); err != nil && len(files) > 0 {
		files[0].notices = append(files[0].notices, notice{"cache",
			fmt.Sprintf("and others will be read again next time: the media cache can't be written: %v", reason(err))})
	}
	return nil
}

// use notes that a pair uses a medium. Text that is no path to a medium is none
// of our business, nor is a URL that nobody asked to look into.
func (s *fileSet) use(name string, video bool, p *Pair, where position) {
	if isRemote(name) && (s.opts.Remote == nil || !isHTTP(name)) {
		return
	}
	key := mediumKey{s.manifest.resolve(name), video}
	if f, known := s.byKey[key]; known {
		f.more++
		return
	}
	field, extensions := "image", imageExtensions()
	if video {
		field, extensions = "video", videoExtensions()
	}
	if problem, _ := mediaProblem(name, extensions); problem != "" {
		return
	}
	f := &file{mediumKey: key, name: strings.Clone(name), where: where, path: p.path(field)}
	switch {
	case !isRemote(name):
		s.local = append(s.local, f)
	case len(s.remote) < maxRemote:
		s.remote = append(s.remote, f)
	default:
		return
	}
	s.byKey[key] = f
}

func isHTTP(media string) bool {
	scheme, _, _ := strings.Cut(media, "://")
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}

// of returns what is known of a video: nothing, if it was not looked at.
func (s *fileSet) of(name string) file {
	if f, known := s.byKey[mediumKey{s.manifest.resolve(name), true}]; known {
		return *f
	}
	return file{}
}

// identity returns what a medium contributes to a content key.
func (s *fileSet) identity(name string) string {
	if isRemote(name) {
		return "url:" + withoutSignature(name)
	}
	if sum := s.digest(name); sum != "" {
		return "sha256:" + sum
	}
	return "" // a row that came into its file after the plan was made; going through the rows ends in an error
}

// digest returns the SHA-256 of a local file that was inspected, "" for a URL.
func (s *fileSet) digest(name string) string {
	place := s.manifest.resolve(name)
	for _, video := range []bool{false, true} {
		if f, known := s.byKey[mediumKey{place, video}]; known {
			return f.digest
		}
	}
	return ""
}

// report turns what was found into problems, each at the first use of its file,
// and warnings.
func (s *fileSet) report(found *problems, warned warnings) {
	for _, f := range slices.Concat(s.local, s.remote) {
		also := ""
		switch {
		case f.more == 1:
			also = " (used by another pair too)"
		case f.more > 1:
			also = fmt.Sprintf(" (used by %d other pairs too)", f.more)
		}
		name := shown(withoutQuery(f.name))
		for _, p := range f.problems {
			found.addNew(f.where, p.hint, "%s: %s %s%s", f.path, name, p.text, also)
		}
		for _, n := range f.notices {
			warned.add(n.kind, name+" "+n.text)
		}
	}
}

// inspect opens a local file, checks it and, if whole, hashes it. Whatever is not a regular
// file is never opened: opening a FIFO would wait for somebody to write.
func (f *file) inspect(ctx context.Context, cache *mediaCache, whole bool) error {
	info, err := os.Stat(f.place)
	if err != nil {
		f.refuse("", "can't be read: %v", reason(err))
		return nil
	}
	if !f.acceptable(info) {
		return nil
	}
	if known, ok := cache.find(f.mediumKey, info); ok {
		f.judge(known)
		f.digest = known.Digest
		return nil
	}
	r, err := os.Open(f.place)
	if err != nil {
		f.refuse("", "can't be read: %v", reason(err))
		return nil
	}
	defer r.Close() // read only: nothing can be lost
	known, err := headers(r, info.Size(), f.video)
	if err != nil {
		f.unreadable(err)
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	f.judge(known)
	if len(f.problems) > 0 || !whole {
		return nil
	}
	if err := f.hash(ctx, r, info, &known); err != nil || len(f.problems) > 0 {
		return err
	}
	f.digest = known.Digest
	cache.keep(f.mediumKey, info, known)
	return nil
}

// acceptable reports whether a file is worth opening.
func (f *file) acceptable(info fs.FileInfo) bool {
	switch {
	case info.IsDir():
		f.refuse("name one file", "is a folder")
	case !info.Mode().IsRegular():
		f.refuse("", "is not a regular file")
	case info.Size() == 0:
		f.refuse("", "is empty")
	}
	return len(f.problems) == 0
}

func (f *file) refuse(hint, format string, args ...any) {
	f.problems = append(f.problems, flaw{fmt.Sprintf(format, args...), hint})
}

func (f *file) note(kind, format string, args ...any) {
	f.notices = append(f.notices, notice{kind, fmt.Sprintf(format, args...)})
}

// reason returns the cause of a file error without the path, which the message
// has already, as the manifest writes it.
func reason(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	var linkErr *os.LinkError
	if errors.As(err, &linkErr) {
		return linkErr.Err
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
	format := strings.TrimPrefix(strings.ToLower(path.Ext(filepath.ToSlash(name))), ".")
	if format == "jpg" {
		return "jpeg"
	}
	return format
}
