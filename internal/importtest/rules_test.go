package importtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/wanbatch/wanbatch"

// arrows lists, for each package of the module, the packages of the module it
// may import. A key covers the folders below it; "internal/*" stands for every
// internal package that is not in keptFromPipeline.
var arrows = map[string][]string{
	"cmd":                 {"cmd", "pipeline", "internal/emulator"}, // the emulator: rehearse wires it in
	"pipeline":            {"internal/*"},
	"internal/batch":      {},
	"internal/dashscope":  {},
	"internal/disk":       {"internal/disk"},  // the model of it
	"internal/dist":       {},                 // a tool of the Makefile
	"internal/emulator":   {"internal/media"}, // and no wire types of the client: both could be wrong together
	"internal/fetch":      {"internal/disk", "internal/media"},
	"internal/importtest": {},
	"internal/journal":    {"internal/batch", "internal/disk"},
	"internal/media":      {},
	"internal/pricing":    {},
	"internal/store":      {},
}

// keptFromPipeline are never linked into the library.
var keptFromPipeline = []string{"internal/disk/disktest", "internal/dist", "internal/emulator", "internal/importtest"}

// corners lists imports from outside the module that have one place. A key
// covers the paths below it, a place is the beginning of a file's path.
var corners = map[string]string{
	"github.com/rs/zerolog":  "cmd/",              // the library emits events and returns errors
	"github.com/spf13/cobra": "cmd/",              //
	"github.com/prometheus":  "cmd/",              //
	"log":                    "cmd/",              //
	"gopkg.in/yaml.v3":       "pipeline/manifest", // hostile text is bounded there before it is decoded
	"os/exec":                "nowhere/",          // no program but ours runs
}

// strangers never see each other, not even in tests.
var strangers = [2]string{"internal/emulator", "internal/dashscope"}

// topLevel is what may stand beside the dot files.
var topLevel = []string{"Makefile", "README.md", "cmd", "go.mod", "go.sum", "internal", "manifests", "output", "pipeline"}

// minComment is the least length of a package comment, in lines.
const minComment = 3

// importViolations names every file and import that break the rules.
func importViolations(tree fs.FS) ([]string, error) {
	var found []string
	err := walkGo(tree, func(file string, imports []string, _ int) {
		for _, imp := range imports {
			if why := judge(file, imp); why != "" {
				found = append(found, fmt.Sprintf("%s imports %s: %s", file, imp, why))
			}
		}
	})
	return found, err
}

// judge returns why file must not import imp, or "".
func judge(file, imp string) string {
	pkg := path.Dir(file)
	local, ours := strings.CutPrefix(imp, module+"/")
	for i, a := range strangers {
		if ours && within(pkg, a) && within(local, strangers[1-i]) {
			return "the two must stay independent witnesses, tests included"
		}
	}
	if strings.HasSuffix(file, "_test.go") {
		return ""
	}
	if ours {
		return judgeArrow(pkg, local)
	}
	for corner, place := range corners {
		if within(imp, corner) && !strings.HasPrefix(file, place) {
			return fmt.Sprintf("%s belongs to %s*", corner, place)
		}
	}
	return ""
}

func judgeArrow(pkg, local string) string {
	for from, targets := range arrows {
		if !within(pkg, from) {
			continue
		}
		for _, to := range targets {
			if within(local, to) || to == "internal/*" && within(local, "internal") && !slices.Contains(keptFromPipeline, local) {
				return ""
			}
		}
		return fmt.Sprintf("%s may import of this module only %q", from, targets)
	}
	return "package " + pkg + " is not in the table of arrows"
}

// within tells whether p is base or below it.
func within(p, base string) bool { return p == base || strings.HasPrefix(p, base+"/") }

// commentViolations names every package without a comment of some substance.
func commentViolations(tree fs.FS) ([]string, error) {
	longest := map[string]int{}
	err := walkGo(tree, func(file string, _ []string, docLines int) {
		if !strings.HasSuffix(file, "_test.go") {
			longest[path.Dir(file)] = max(longest[path.Dir(file)], docLines)
		}
	})
	var found []string
	for pkg, lines := range longest {
		if lines < minComment {
			found = append(found, fmt.Sprintf("package %s has a package comment of %d lines, want at least %d", pkg, lines, minComment))
		}
	}
	slices.Sort(found)
	return found, err
}

// topViolations names what does not belong at the top of the tree.
func topViolations(tree fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(tree, ".")
	var found []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			found = append(found, e.Name()+" does not belong at the top level")
		}
	}
	return found, err
}

// walkGo parses the head of every Go file outside testdata, output and dot
// folders.
func walkGo(tree fs.FS, visit func(file string, imports []string, docLines int)) error {
	return fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || p == "output"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		text, err := fs.ReadFile(tree, p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			imports = append(imports, imp)
		}
		visit(p, imports, strings.Count(f.Doc.Text(), "\n"))
		return nil
	})
}
