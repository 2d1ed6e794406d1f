// Dist packs what the Makefile built into what people download: one archive per
// platform with the program, its man pages and completions, and the licences of all
// that is linked into it; a CycloneDX bill of materials beside each, and SHA256SUMS over
// all of them.
//
// It writes the same bytes for the same input: times are those of the commit that
// the program's build info names, owners are nobody, and names are sorted. It runs
// no other program, and no part of it is linked into wanbatch.
//
//	go run ./internal/dist -version 1.2.3 -from .bin/build -to .bin/dist -modules "$(go env GOMODCACHE)" -goroot "$(go env GOROOT)"
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

func main() {
	version := flag.String("version", "", "the `version` that file names carry; that of the build info if empty")
	from := flag.String("from", ".bin/build", "`folder` with OS-ARCH/wanbatch[.exe] for each platform, man/ and completions/")
	to := flag.String("to", ".bin/dist", "`folder` to write to; it is emptied first")
	var src sources
	flag.StringVar(&src.modules, "modules", "", "the module cache: `folder` that go env GOMODCACHE names")
	flag.StringVar(&src.goroot, "goroot", "", "`folder` of the Go release: go env GOROOT")
	flag.Parse()
	if err := pack(*version, *from, *to, src); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// program is one built binary.
type program struct {
	path     string // of the binary
	platform string // linux-amd64
	info     *debug.BuildInfo
	version  string
	at       time.Time // of its commit
}

// name is what everything about this program begins with.
func (p program) name() string { return "wanbatch-" + p.version + "-" + p.platform }

func pack(version, from, to string, src sources) error {
	programs, err := findPrograms(version, from)
	if err != nil {
		return err
	}
	extras, err := findExtras(from)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		if err := packOne(p, extras, to, src); err != nil {
			return fmt.Errorf("%s: %w", p.platform, err)
		}
	}
	return writeSums(to)
}

func packOne(p program, extras []entry, to string, src sources) error {
	binary, err := os.ReadFile(p.path)
	if err != nil {
		return err
	}
	bom, err := bill(p, sha256.Sum256(binary))
	if err != nil {
		return err
	}
	licenses, err := src.licenses(p)
	if err != nil {
		return err
	}
	entries := append([]entry{{filepath.Base(p.path), 0o755, binary}, {thirdParty, 0o644, licenses}}, extras...)
	archive, suffix, err := tarball(p, entries), ".tar.gz", error(nil)
	if strings.HasPrefix(p.platform, "windows-") {
		archive, err = zipped(p, entries)
		suffix = ".zip"
	}
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(to, p.name()+suffix), archive, 0o644),
		os.WriteFile(filepath.Join(to, p.name()+".cdx.json"), bom, 0o644))
}

// findPrograms reads the build info of every binary.
func findPrograms(version, from string) ([]program, error) {
	paths, err := filepath.Glob(filepath.Join(from, "*-*", "wanbatch*"))
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("no OS-ARCH/wanbatch in %s", from)
	}
	if err != nil {
		return nil, err
	}
	var programs []program
	for _, path := range paths {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, err
		}
		p := program{path: path, platform: filepath.Base(filepath.Dir(path)), info: info, version: version,
			at: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
		if setting(info, "GOOS")+"-"+setting(info, "GOARCH") != p.platform {
			return nil, fmt.Errorf("%s was built for %s/%s", path, setting(info, "GOOS"), setting(info, "GOARCH"))
		}
		if p.version == "" {
			p.version = strings.Trim(info.Main.Version, "()")
		}
		if t, err := time.Parse(time.RFC3339, setting(info, "vcs.time")); err == nil {
			p.at = t.UTC()
		}
		programs = append(programs, p)
	}
	return programs, nil
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// findExtras are the files that every archive has besides the program.
func findExtras(from string) ([]entry, error) {
	var extras []entry
	for _, folder := range []string{"completions", "man"} {
		err := fs.WalkDir(os.DirFS(from), folder, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(filepath.Join(from, name))
			extras = append(extras, entry{name, 0o644, text})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return extras, nil
}

// writeSums lists every file of a folder in the form that sha256sum -c reads.
func writeSums(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var lines []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		lines = append(lines, hex.EncodeToString(sum[:])+"  "+e.Name()+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return os.WriteFile(filepath.Join(folder, "SHA256SUMS"), []byte(strings.Join(lines, "")), 0o644)
}
