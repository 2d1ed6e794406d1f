//go:build unix

package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What is not a regular file is refused without being opened: a FIFO would keep
// us waiting for ever, a device might do anything.
func TestNewPlanOpensOnlyRegularFiles(t *testing.T) {
	const text = `version: 1
lane: {region: beijing}
pairs:
  - {id: fifo, image: fifo.png, video: fifo.mp4}
  - {id: device, image: device.png, video: "https://h/v.mp4"}
  - {id: dangling, image: dangling.png, video: "https://h/v.mp4"}
`
	dir := folder(t, text, map[string][]byte{})
	for _, name := range []string{"fifo.png", "fifo.mp4"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Skipf("no FIFOs here: %v", err)
		}
	}
	for name, target := range map[string]string{"device.png": "/dev/zero", "dangling.png": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := plan(t, dir)
	if err == nil {
		t.Fatal("planned with a FIFO")
	}
	for _, want := range []string{
		"fifo.png is not a regular file", "fifo.mp4 is not a regular file", "device.png is not a regular file",
		"dangling.png can't be read: no such file or directory",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}
