package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// thirdParty is the file of an archive that holds the licences of others.
const thirdParty = "THIRD_PARTY_LICENSES.txt"

// Files that say under which terms code may be passed on. A module may have more of
// them beside code that it took from elsewhere.
var (
	termsFile   = regexp.MustCompile(`(?i)^(licen[cs]e|unlicense|copying|copyright|notice|patents)([.-].*)?$`)
	licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|unlicense|copying)([.-].*)?$`)
)

// sources are the folders with the source of what is linked into a program.
type sources struct {
	modules string // the module cache
	goroot  string // of the Go release that built it
}

// licenses is the text of all terms under which a program contains the code of others:
// Go's own, and those of the modules in its build info, in that order. A module that
// has no licence is an error: nobody may pass it on.
func (s sources) licenses(p program) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "wanbatch contains code of others: the Go standard library and runtime, and the\nmodules below. Each is passed on under the terms that follow its name.\n")
	for _, name := range []string{"LICENSE", "PATENTS"} {
		text, err := os.ReadFile(filepath.Join(s.goroot, name))
		if err != nil {
			return nil, fmt.Errorf("terms of Go: %w", err)
		}
		addTerms(&b, "Go "+strings.TrimPrefix(p.info.GoVersion, "go"), name, text)
	}
	for _, m := range p.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		folder := filepath.Join(s.modules, filepath.FromSlash(escaped(m.Path))+"@"+escaped(m.Version))
		if err := addModule(&b, m.Path+" "+m.Version, os.DirFS(folder)); err != nil {
			return nil, fmt.Errorf("terms of %s %s: %w", m.Path, m.Version, err)
		}
	}
	return b.Bytes(), nil
}

// addModule adds every file of terms in a module, in the order of their names.
func addModule(b *bytes.Buffer, module string, files fs.FS) error {
	licensed := false
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "vendor"): // not linked
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) == ".go" || !termsFile.MatchString(d.Name()):
			return nil
		}
		text, err := fs.ReadFile(files, name)
		licensed = licensed || licenseFile.MatchString(name) && len(bytes.TrimSpace(text)) > 0
		addTerms(b, module, name, text)
		return err
	})
	if err == nil && !licensed {
		err = errors.New("it has no licence, so the program may not be passed on")
	}
	return err
}

func addTerms(b *bytes.Buffer, whose, file string, text []byte) {
	rule := strings.Repeat("=", 80)
	fmt.Fprintf(b, "\n%s\n%s: %s\n%s\n\n%s\n", rule, whose, file, rule, bytes.TrimSpace(text))
}

// escaped spells a module's path or version as the module cache does, whose disk may
// not tell capitals from others.
func escaped(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
