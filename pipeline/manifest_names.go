package pipeline

import (
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Longest names in bytes. A file name adds ".mp4" or ".part" to an id and must
// stay below the 255 bytes that file systems allow.
const (
	maxIDBytes   = 100
	maxFileBytes = 200
)

// nameProblem says why a text can't be an id, a batch's name or one part of an
// output path; "" when it can. What passes is one safe file name on every system:
// letters of any script, digits and ". _ -", no leading or trailing dot, no name
// that Windows keeps for devices.
func nameProblem(name string, maxBytes int) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxBytes:
		return fmt.Sprintf("is %d bytes long; at most %d", len(name), maxBytes)
	case !utf8.ValidString(name):
		return "is not UTF-8 text"
	case name[0] == '.':
		return "must not begin with a dot"
	case name[len(name)-1] == '.':
		return "must not end with a dot"
	case reservedName(name):
		return "is a name that Windows keeps for a device"
	}
	for i, c := range name {
		if !safeRune(c) || i == 0 && unicode.IsMark(c) {
			return fmt.Sprintf("contains %s; only letters, digits, '.', '_' and '-' are safe in file names", quote(string(c)))
		}
	}
	return ""
}

// safeRune reports whether a character may stand in an id. Marks are the vowel
// signs and accents without which many scripts can't be written.
func safeRune(c rune) bool {
	return unicode.IsLetter(c) || unicode.IsMark(c) || unicode.IsDigit(c) || c == '.' || c == '_' || c == '-'
}

// reservedName reports whether Windows would open a device instead of a file,
// whatever the extension.
func reservedName(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	port := strings.TrimPrefix(strings.TrimPrefix(stem, "COM"), "LPT")
	return len(stem) == 4 && len(port) == 1 && port[0] >= '0' && port[0] <= '9'
}

// safeName replaces whatever nameProblem would refuse by "-", lengths and device
// names aside.
func safeName(text string) string {
	name := []rune(strings.Map(func(c rune) rune {
		if safeRune(c) && c != utf8.RuneError {
			return c
		}
		return '-'
	}, norm.NFC.String(text)))
	if len(name) == 0 {
		return "-"
	}
	if first := name[0]; first == '.' || unicode.IsMark(first) {
		name[0] = '-'
	}
	if last := len(name) - 1; name[last] == '.' {
		name[last] = '-'
	}
	return string(name)
}

// folded returns the form in which two names are the same file on a file system
// that ignores case or normalises Unicode.
func folded(name string) string {
	if isASCII(name) {
		return strings.ToUpper(name) // the same, sooner
	}
	return strings.Map(func(c rune) rune {
		smallest := c
		for next := unicode.SimpleFold(c); next != c; next = unicode.SimpleFold(next) {
			smallest = min(smallest, next)
		}
		return smallest
	}, norm.NFC.String(name))
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII })
}

// derivedID is the id of a pair that has none of its own.
func derivedID(image, video string) string {
	return safeName(stem(image) + "--" + stem(video))
}

// stem returns the file name of a path or URL without its extension.
func stem(media string) string {
	name := path.Base(mediaPath(media))
	return strings.TrimSuffix(name, path.Ext(name))
}

// mediaPath returns the path part of a path or URL, with forward slashes.
func mediaPath(media string) string {
	if !isRemote(media) {
		return filepath.ToSlash(media)
	}
	u, err := url.Parse(media)
	if err != nil {
		return withoutQuery(media)
	}
	return u.Path
}

// isRemote reports whether a medium is a URL, of whatever scheme.
func isRemote(media string) bool {
	scheme, _, found := strings.Cut(media, "://")
	return found && !strings.ContainsAny(scheme, "/\\.")
}

// withoutQuery cuts a URL before its query and fragment, which may hold a
// signature: what is left may be shown, logged and stored. A local path is
// returned as it is.
func withoutQuery(media string) string {
	if i := strings.IndexAny(media, "?#"); i >= 0 && isRemote(media) {
		return media[:i]
	}
	return media
}

// placeholders of an output template.
func placeholders() []string { return []string{"{id}", "{image}", "{video}", "{mode}"} }

// templateProblem says what is wrong with an output template, with a hint; ""
// when nothing is. Whether its results are safe names depends on the pairs.
func templateProblem(template string) (problem, hint string) {
	rest := template
	for {
		open := strings.IndexAny(rest, "{}")
		if open < 0 {
			break
		}
		name, after, closed := strings.Cut(rest[open+1:], "}")
		if rest[open] == '}' || !closed || strings.Contains(name, "{") {
			return "has a brace without its partner", ""
		}
		if !slices.Contains(placeholders(), "{"+name+"}") {
			return "has an unknown placeholder " + quote("{"+name+"}"), didYouMean("{"+name+"}", placeholders())
		}
		rest = after
	}
	if !strings.HasSuffix(template, ".mp4") {
		return "does not end in .mp4", ""
	}
	return "", ""
}

// expand fills an output template in for one pair. No value holds a brace, so one
// placeholder after the other can be replaced.
func expand(template string, p *Pair, mode Mode) string {
	file := strings.ReplaceAll(template, "{id}", p.ID)
	file = strings.ReplaceAll(file, "{mode}", string(mode))
	if strings.Contains(file, "{image}") {
		file = strings.ReplaceAll(file, "{image}", safeName(stem(p.Image)))
	}
	if strings.Contains(file, "{video}") {
		file = strings.ReplaceAll(file, "{video}", safeName(stem(p.Video)))
	}
	return file
}

// fileProblem says why an expanded template is not a safe place below videos/.
func fileProblem(file string) string {
	if path.IsAbs(file) || !filepath.IsLocal(filepath.FromSlash(file)) {
		return "leaves the output folder"
	}
	parts := strings.Split(file, "/")
	for i, part := range parts {
		if problem := nameProblem(part, maxFileBytes); problem != "" {
			return problem
		}
		// A folder of this name could meet another job's file, or a part of one.
		ext := strings.ToLower(path.Ext(part))
		if i < len(parts)-1 && (ext == ".mp4" || ext == ".part") {
			return "has a folder whose name ends in " + ext
		}
	}
	return ""
}
