package planted

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// module is the root of the source tree, seen from here.
const module = "../.."

// A bug is one way to break the program, and who must notice.
type bug struct {
	name   string
	story  string // what it does, one sentence
	quick  bool   // runs with the whole suite
	breaks string
	tests  []suite
	hunks  []hunk
}

// suite is some tests of one package.
type suite struct {
	folder string // of the package, "./" and slashes
	run    string // regular expression, as for go test -run
}

// hunk replaces old, whole lines that stand in file exactly once.
type hunk struct{ file, old, new string }

// readBugs reads every bug file of a folder, in the order of their names.
func readBugs(folder string) ([]bug, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.bug"))
	if err != nil {
		return nil, err
	}
	var bugs []bug
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		b, err := parseBug(strings.TrimSuffix(filepath.Base(file), ".bug"), text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		bugs = append(bugs, b)
	}
	return bugs, nil
}

func parseBug(name string, text []byte) (bug, error) {
	b := bug{name: name}
	archive := txtar.Parse(text)
	for line := range strings.Lines(string(archive.Comment)) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "breaks":
			b.breaks = value
		case "quick":
			b.quick = true
		case "test":
			folder, run, _ := strings.Cut(value, " ")
			if _, err := regexp.Compile(run); err != nil || run == "" || !strings.HasPrefix(folder, "./") {
				return b, fmt.Errorf("%q is not of the form ./folder ^TestName$", value)
			}
			b.tests = append(b.tests, suite{folder, run})
		default:
			b.story = strings.TrimSpace(b.story + " " + line)
		}
	}
	if b.story == "" || b.breaks == "" || len(b.tests) == 0 {
		return b, fmt.Errorf("a bug needs a story, what it breaks, and a test")
	}
	var err error
	b.hunks, err = parseHunks(archive.Files)
	return b, err
}

// parseHunks pairs the sections of old and new text.
func parseHunks(sections []txtar.File) (hunks []hunk, err error) {
	if len(sections)%2 != 0 || len(sections) == 0 {
		return nil, fmt.Errorf("%d sections, want pairs of old and new", len(sections))
	}
	for i := 0; i < len(sections); i += 2 {
		file, isOld := strings.CutSuffix(sections[i].Name, ": old")
		again, isNew := strings.CutSuffix(sections[i+1].Name, ": new")
		if !isOld || !isNew || file != again || len(sections[i].Data) == 0 {
			return nil, fmt.Errorf("sections %q and %q are no pair", sections[i].Name, sections[i+1].Name)
		}
		hunks = append(hunks, hunk{file, string(sections[i].Data), string(sections[i+1].Data)})
	}
	return hunks, nil
}

// patched returns the files that the bug changes, by their path in the module.
func (b bug) patched() (map[string]string, error) {
	files := map[string]string{}
	for _, h := range b.hunks {
		text, begun := files[h.file]
		if !begun {
			data, err := os.ReadFile(filepath.Join(module, filepath.FromSlash(h.file)))
			if err != nil {
				return nil, fmt.Errorf("the code moved, update the patch: %w", err)
			}
			text = string(data)
		}
		if n := strings.Count(text, h.old); n != 1 {
			return nil, fmt.Errorf("the code moved, update the patch: its old text stands %d times in %s:\n%s", n, h.file, h.old)
		}
		files[h.file] = strings.Replace(text, h.old, h.new, 1)
	}
	return files, nil
}
