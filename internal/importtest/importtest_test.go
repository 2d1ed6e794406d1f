package importtest

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// checks are the rules about the tree.
var checks = map[string]func(fs.FS) ([]string, error){
	"imports":          importViolations,
	"package comments": commentViolations,
	"top level":        topViolations,
}

func TestTree(t *testing.T) {
	tree := os.DirFS("../..")
	if _, err := fs.Stat(tree, "go.mod"); err != nil {
		t.Fatal(err) // a walk over the wrong folder would find nothing to complain about
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			found, err := check(tree)
			if err != nil {
				t.Fatal(err)
			}
			for _, violation := range found {
				t.Error(violation)
			}
		})
	}
}

// A rule that never fires proves nothing: each is broken once in a small tree.
func TestPlantedViolationsAreNamed(t *testing.T) {
	const ours = module + "/"
	tests := []struct {
		file, imp string
		forbidden bool
	}{
		{"cmd/wanbatch/a.go", ours + "pipeline", false},
		{"cmd/wanbatch/a.go", ours + "internal/emulator", false},
		{"cmd/wanbatch/a.go", ours + "internal/batch", true},
		{"cmd/wanbatch/a.go", "github.com/rs/zerolog", false},
		{"pipeline/run.go", ours + "internal/journal", false},
		{"pipeline/run.go", ours + "internal/emulator", true},
		{"pipeline/run.go", ours + "cmd/wanbatch", true},
		{"pipeline/run_test.go", ours + "internal/emulator", false},
		{"pipeline/run.go", "github.com/rs/zerolog/log", true},
		{"pipeline/run.go", "log/slog", true},
		{"pipeline/run.go", "gopkg.in/yaml.v3", true},
		{"pipeline/manifest_yaml.go", "gopkg.in/yaml.v3", false},
		{"internal/batch/a.go", ours + "internal/pricing", true},
		{"internal/fetch/a.go", ours + "pipeline", true},
		{"internal/fetch/a.go", ours + "internal/media", false},
		{"internal/journal/a.go", ours + "internal/batch", false},
		{"internal/emulator/a.go", ours + "internal/media", false},
		{"internal/emulator/a_test.go", ours + "internal/dashscope", true},
		{"internal/dashscope/a_test.go", ours + "internal/emulator", true},
		{"internal/dashscope/a_test.go", "os/exec", false},
		{"internal/dashscope/a.go", "os/exec", true},
		{"internal/newcomer/a.go", ours + "internal/media", true},
	}
	for _, tt := range tests {
		t.Run(tt.file+" importing "+tt.imp, func(t *testing.T) {
			tree := fstest.MapFS{tt.file: {Data: []byte("package p\n\nimport _ \"" + tt.imp + "\"\n")}}
			found, err := importViolations(tree)
			if err != nil {
				t.Fatal(err)
			}
			if (len(found) > 0) != tt.forbidden {
				t.Errorf("got %q, want forbidden=%v", found, tt.forbidden)
			}
			for _, f := range found {
				if !strings.Contains(f, tt.file) || !strings.Contains(f, tt.imp) {
					t.Errorf("message %q names no file or no import", f)
				}
			}
		})
	}
}

func TestPlantedShapesAreNamed(t *testing.T) {
	tree := fstest.MapFS{
		"bare/a.go":           {Data: []byte("package bare\n")},
		"short/a.go":          {Data: []byte("// Package short is.\npackage short\n")},
		"fine/a.go":           {Data: []byte("// Package fine says\n// what it is\n// and why.\npackage fine\n")},
		"fine/b.go":           {Data: []byte("package fine\n")},
		"fine/testdata/bad/c": {Data: []byte("no Go")},
		".hidden":             {},
		"go.mod":              {},
	}
	for name, want := range map[string]string{
		"package comments": "package bare has a package comment of 0 lines, want at least 3|package short has a package comment of 1 lines, want at least 3",
		"top level":        "bare does not belong at the top level|fine does not belong at the top level|short does not belong at the top level",
	} {
		found, err := checks[name](tree)
		if got := strings.Join(found, "|"); err != nil || got != want {
			t.Errorf("%s: got %q (%v), want %q", name, got, err, want)
		}
	}
}
