package emulator_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// Uploads of an emulator that was killed are removed by the next one, those of one
// that lives are not.
func TestUploadsLeftBehind(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("TMP", temp)
	dead := filepath.Join(temp, "wanbatch-uploads-1")
	for _, name := range []string{dead + ".lock", dead + "/one", dead + "/two", temp + "/stranger.lock", temp + "/stranger/one"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first, second := start(t, emulator.Options{}), start(t, emulator.Options{})
	for _, r := range []*rig{first, second} {
		if got := r.postForm(r.permit("a.png"), []byte("text")); got.status != 200 {
			t.Fatalf("upload: %d %s", got.status, got.body)
		}
	}
	left := func(pattern string) int {
		names, err := filepath.Glob(filepath.Join(temp, pattern))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the folder of a dead emulator: %v", err)
	}
	if n := left("wanbatch-uploads-*/*"); n != 2 {
		t.Errorf("%d uploads of two living emulators", n)
	}
	first.server.Close()
	second.server.Close()
	if n := left("*"); n != 2 || left("stranger/*") != 1 {
		t.Errorf("%d entries are left, want the stranger's two", n)
	}
}
