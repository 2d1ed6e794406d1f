package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/wanbatch/wanbatch/internal/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func folder(t *testing.T) (disk.Disk, string) {
	t.Helper()
	path := t.TempDir()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return disk.Dir(root), path
}

// Whatever is planted at a name, nothing but a regular file is opened there, and
// what a link points to stays as it is.
func TestOpensRegularFilesOnly(t *testing.T) {
	for name, plant := range plants() {
		t.Run(name, func(t *testing.T) {
			d, path := folder(t)
			victim := filepath.Join(path, "victim")
			if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := plant(filepath.Join(path, "name")); err != nil {
				t.Skip(err)
			}
			for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND, os.O_RDWR | os.O_CREATE | os.O_EXCL} {
				if f, err := d.OpenFile("name", flag, 0o600); !errors.Is(err, disk.ErrIrregular) {
					t.Errorf("flags %x: opened %v, %v", flag, f, err)
				}
			}
			if data, err := os.ReadFile(victim); err != nil || string(data) != "precious" {
				t.Errorf("the victim is %q, %v", data, err)
			}
			if err := d.Remove("name"); err != nil {
				t.Errorf("remove: %v", err)
			}
			if _, err := os.Lstat(victim); err != nil {
				t.Errorf("the victim went with it: %v", err)
			}
		})
	}
}

func TestNamesStayInside(t *testing.T) {
	d, _ := folder(t)
	for _, name := range []string{"../x", "/etc/passwd", ""} {
		_, openErr := d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		for _, err := range []error{openErr, d.MkdirAll(name, 0o700), d.Remove(name), d.SyncDir(name)} {
			if err == nil {
				t.Errorf("%q was used", name)
			}
		}
	}
}

func TestMakeFolder(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"a", "a/b/c", filepath.Join(dir, "d", "e"), "a/b", "."} {
		for range 2 {
			if err := disk.MakeFolder(name, 0o755); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if info, err := os.Stat(name); err != nil || !info.IsDir() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.MakeFolder("file/x", 0o755); err == nil {
		t.Error("a folder was made in a file")
	}
	if err := disk.SyncFolder("missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync of a missing folder: %v", err)
	}
}
