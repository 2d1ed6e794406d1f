package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// builder stands in for go: what it would build is there at once.
const builder = `#!/bin/sh
case $1 in
build) printf '#!/bin/sh\necho "completion $2"\n' >.bin/wanbatch; chmod +x .bin/wanbatch ;;
test) for folder; do :; done; mkdir -p "$folder"; echo page >"$folder/wanbatch.1" ;;
esac
`

// make install works in a folder with a space in its name, and into one.
func TestInstall(t *testing.T) {
	for _, program := range []string{"make", "sh", "install"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs ", program)
		}
	}
	makefile, err := os.ReadFile(filepath.Join(tree, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source, dest := filepath.Join(dir, "a source"), filepath.Join(dir, "a place")
	for name, text := range map[string]string{filepath.Join(source, "Makefile"): string(makefile), filepath.Join(dir, "bin", "go"): builder} {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "make", "install", "DESTDIR="+dest, "PREFIX=/usr")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"), "MAKEFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for name, want := range map[string]string{
		"bin/wanbatch":                                  "#!/bin/sh",
		"share/man/man1/wanbatch.1":                     "page",
		"share/bash-completion/completions/wanbatch":    "completion bash",
		"share/zsh/site-functions/_wanbatch":            "completion zsh",
		"share/fish/vendor_completions.d/wanbatch.fish": "completion fish",
	} {
		text, err := os.ReadFile(filepath.Join(dest, "usr", name))
		if err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// A package URL escapes what stands in a version but not in a URL.
func TestPURL(t *testing.T) {
	if got, want := purl("example.com/a/b", "v2.0.0+incompatible"), "pkg:golang/example.com/a/b@v2.0.0%2Bincompatible"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
