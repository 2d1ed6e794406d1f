package main

import (
	"debug/buildinfo"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// here are the sources of this very test program.
func here(t *testing.T) sources {
	t.Helper()
	text, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return sources{modules: strings.TrimSpace(lines[0]), goroot: strings.TrimSpace(lines[1])}
}

// checkLicenses wants the terms of Go and of every module that is linked into this test
// program, and of no other.
func checkLicenses(t *testing.T, r io.Reader) {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(self)
	if err != nil || len(info.Deps) == 0 {
		t.Fatalf("build info %+v, %v", info, err)
	}
	linked := map[string]bool{"Go " + strings.TrimPrefix(info.GoVersion, "go"): false}
	for _, m := range info.Deps {
		linked[m.Path+" "+m.Version] = false
	}
	parts := strings.Split(string(data), "\n"+strings.Repeat("=", 80)+"\n")
	for i := 1; i+1 < len(parts); i += 2 { // a heading between two rules, then the text
		whose, file, _ := strings.Cut(parts[i], ": ")
		if _, known := linked[whose]; !known {
			t.Errorf("terms of %s, which is not linked", whose)
		}
		if len(parts[i+1]) < 200 && licenseFile.MatchString(file) {
			t.Errorf("%s of %s: %q", file, whose, parts[i+1])
		}
		linked[whose] = linked[whose] || licenseFile.MatchString(file)
	}
	for whose, licensed := range linked {
		if !licensed {
			t.Errorf("no licence of %s", whose)
		}
	}
	for _, want := range []string{"Apache License", "Redistribution and use in source and binary forms"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("nowhere %q", want)
		}
	}
}

// Whatever a module says about its terms is taken, and one that has none is not packed.
func TestLicenses(t *testing.T) {
	src := sources{modules: t.TempDir(), goroot: here(t).goroot}
	p := program{info: &debug.BuildInfo{GoVersion: "go1.0", Deps: []*debug.Module{
		{Path: "example.com/Old/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/New/a", Version: "v1.1.0-RC1"}}}}}
	put := func(name, text string) {
		t.Helper()
		file := filepath.Join(src.modules, "example.com", "!new", "a@v1.1.0-!r!c1", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(why string) {
		t.Helper()
		if text, err := src.licenses(p); err == nil || !strings.Contains(err.Error(), "example.com/New/a v1.1.0-RC1") {
			t.Errorf("%s: %v\n%s", why, err, text)
		}
	}
	refused("no module")
	put("a.go", "package a")
	put("license.go", "package a")
	put("testdata/LICENSE", "of what is not linked")
	put("taken/LICENSE", "of a part")
	put("NOTICE", "a notice")
	refused("no licence of the whole")
	put("LICENSE", " \n")
	refused("an empty licence")
	put("License.md", "of the whole")
	text, err := src.licenses(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"example.com/New/a v1.1.0-RC1: License.md\n", "\nof the whole\n", "\na notice\n", "a v1.1.0-RC1: taken/LICENSE\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, not := range []string{"of what is not linked", "package a"} {
		if strings.Contains(string(text), not) {
			t.Errorf("%q in\n%s", not, text)
		}
	}
}
