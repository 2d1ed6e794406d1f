package pipeline

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// maxVisited bounds how many directory entries the patterns of one list look at:
// a pattern with ** may be pointed at a whole disk.
const maxVisited = 1_000_000

// expandMatrix returns the media that a matrix stands for, in the order of its
// entries and sorted within each. Whatever is wrong is reported.
func (m *Manifest) expandMatrix(found *problems) (images, videos []string) {
	images = m.expandList(found, "image", m.Matrix.Images, imageExtensions())
	videos = m.expandList(found, "video", m.Matrix.Videos, videoExtensions())
	return images, videos
}

// expandList expands one list of the matrix. A medium that two entries name counts
// once. Two media whose ids would be the same are reported here, once, instead of
// for each pair.
func (m *Manifest) expandList(found *problems, role string, entries, extensions []string) []string {
	list := "matrix." + role + "s"
	if len(entries) == 0 {
		found.addNew(m.placeOf(list), "", "%s: must be a list of folders or patterns, at least one", list)
	}
	var media []string
	finder := &finder{manifest: m, role: role, extensions: extensions}
	listed, stems := map[string]bool{}, map[string]string{}
	for i, entry := range entries {
		place := m.placeOf(fmt.Sprintf("%s[%d]", list, i))
		names, problem, hint := finder.expand(entry)
		if problem != "" {
			found.addNew(place, hint, "%s[%d]: %s", list, i, problem)
		}
		for _, name := range names {
			where, key := m.resolve(name), folded(safeName(stem(name)))
			if listed[where] {
				continue
			}
			listed[where] = true
			if first, taken := stems[key]; taken {
				found.addNew(place, "rename one, or give the pairs ids under pairs or in pairs_from",
					"%s[%d]: %s and %s would give the same ids", list, i, shown(withoutQuery(first)), shown(withoutQuery(name)))
				continue
			}
			stems[key] = name
			media = append(media, name)
		}
	}
	return media
}

// finder finds the media that one list of a matrix names.
type finder struct {
	manifest   *Manifest
	role       string // what it looks for, in messages
	extensions []string
	visited    int
}

// expand returns the media that an entry stands for, at least one, or says why
// there are none.
func (f *finder) expand(entry string) (names []string, problem, hint string) {
	if isRemote(entry) || strings.ContainsFunc(entry, unicode.IsControl) {
		problem, hint = mediaProblem(entry, f.extensions)
		return []string{entry}, problem, hint
	}
	pattern := filepath.ToSlash(entry)
	info, err := os.Stat(f.manifest.resolve(entry))
	switch {
	case err == nil && info.IsDir():
		pattern = strings.TrimSuffix(pattern, "/") + "/*"
	case err == nil:
		problem, hint = mediaProblem(entry, f.extensions)
		return []string{entry}, problem, hint
	case !strings.ContainsAny(pattern, "*?["):
		return nil, fmt.Sprintf("%s can't be read: %v", shown(entry), reason(err)), f.around(path.Dir(pattern))
	}
	return f.glob(entry, pattern)
}

// glob returns the media that a pattern matches, sorted.
func (f *finder) glob(entry, pattern string) (names []string, problem, hint string) {
	root, parts := splitPattern(pattern)
	for _, part := range parts {
		if _, err := path.Match(part, ""); err != nil {
			return nil, quote(entry) + " is not a valid pattern", "a bracket is not closed"
		}
	}
	if _, err := os.Stat(f.manifest.resolve(root)); err != nil {
		return nil, fmt.Sprintf("%s can't be read: %v", shown(entry), reason(err)), f.around(path.Dir(root))
	}
	f.walk(root, parts, &names)
	if f.visited > maxVisited {
		return nil, fmt.Sprintf("%s looks at more than %d files", shown(entry), maxVisited), "name a folder that is nearer"
	}
	if len(names) == 0 {
		return nil, fmt.Sprintf("%s matches no %s (%s)", shown(entry), f.role, strings.Join(f.extensions, ", ")), f.around(root)
	}
	slices.Sort(names)
	return slices.Compact(names), "", ""
}

// splitPattern cuts a pattern into the folder before its first wildcard, "" for
// the manifest's own, and what follows, with runs of ** as one.
func splitPattern(pattern string) (root string, parts []string) {
	for part := range strings.SplitSeq(pattern, "/") {
		switch wild := strings.ContainsAny(part, "*?["); {
		case len(parts) == 0 && !wild:
			root += part + "/"
		case part == "" || part == "**" && len(parts) > 0 && parts[len(parts)-1] == "**":
		default:
			parts = append(parts, part)
		}
	}
	if root != "/" {
		root = strings.TrimSuffix(root, "/")
	}
	if parts[len(parts)-1] == "**" {
		parts = append(parts, "*")
	}
	return root, parts
}

// walk appends the media below a folder that match the parts of a pattern. A
// folder that is not there, or that we may not read, holds nothing for us.
func (f *finder) walk(dir string, parts []string, names *[]string) {
	part, rest := parts[0], parts[1:]
	if len(rest) > 0 && !strings.ContainsAny(part, "*?[") {
		f.walk(path.Join(dir, part), rest, names)
		return
	}
	entries, err := os.ReadDir(f.manifest.resolve(dir))
	if f.visited += len(entries); err != nil || f.visited > maxVisited {
		return
	}
	if part == "**" {
		f.walk(dir, rest, names)
		rest = parts
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case !matches(part, entry.Name()):
		case len(rest) == 0 && f.suits(name, entry):
			*names = append(*names, name)
		case len(rest) > 0 && (entry.IsDir() || part != "**" && f.isFolder(name, entry)): // ** follows no links: they may lead back
			f.walk(name, rest, names)
		}
	}
}

// matches reports whether a name fits one part of a pattern: extensions in any
// case, hidden files only if the pattern begins with a dot as well.
func matches(pattern, name string) bool {
	if name[0] == '.' && pattern[0] != '.' {
		return false
	}
	ok, _ := path.Match(lowerExtension(pattern), lowerExtension(name)) // the pattern is known to be valid
	return ok
}

func lowerExtension(name string) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + strings.ToLower(ext)
}

// suits reports whether a directory entry is a file that may be a medium.
func (f *finder) suits(name string, entry fs.DirEntry) bool {
	if !slices.Contains(f.extensions, strings.ToLower(path.Ext(name))) {
		return false
	}
	return !f.isFolder(name, entry)
}

func (f *finder) isFolder(name string, entry fs.DirEntry) bool {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.IsDir()
	}
	info, err := os.Stat(f.manifest.resolve(name))
	return err == nil && info.IsDir()
}

// around tells what is in a folder where something was missing.
func (f *finder) around(dir string) string {
	const most = 10
	entries, err := os.ReadDir(f.manifest.resolve(dir))
	if err != nil {
		return ""
	}
	var names []string
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name[0] == '.':
		case entry.IsDir():
			names = append(names, shown(name)+"/")
		default:
			names = append(names, shown(name))
		}
	}
	dir = path.Clean(dir)
	if len(names) == 0 {
		return shown(dir) + " is empty"
	}
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("and %d more", more))
	}
	return "in " + shown(dir) + ": " + strings.Join(names, ", ")
}
