package pipeline

import (
	"net/http"
	"os"
	"time"

	"github.com/wanbatch/wanbatch/internal/dashscope"
	"github.com/wanbatch/wanbatch/internal/disk"
)

// testHooks are where a test of this package puts something else in place of the
// world. The zero value is the world.
type testHooks struct {
	disk    func(*os.Root) disk.Disk // in place of the batch folder, for journal and downloads
	results http.RoundTripper        // in place of guarded connections, for downloads
	buckets http.RoundTripper        // in place of connections, for buckets of one's own
	object  func(string) string      // in place of a made-up name, for uploads to the provider's own store
	wrong   func() time.Duration     // how far the wall clock is ahead
	inline  bool                     // effects run on the loop's own goroutine, one after the other
}

// on is the disk of a batch folder.
func (s testHooks) on(root *os.Root) disk.Disk {
	if s.disk != nil {
		return s.disk(root)
	}
	return disk.Dir(root)
}

// objectName is what an upload of a file is called in the provider's own store.
func (s testHooks) objectName(file string) string {
	if s.object != nil {
		return s.object(file)
	}
	return dashscope.ObjectName(file)
}

// wall is the wall clock, without a monotonic reading.
func (s testHooks) wall() time.Time {
	now := time.Now().Round(0)
	if s.wrong != nil {
		now = now.Add(s.wrong())
	}
	return now
}
