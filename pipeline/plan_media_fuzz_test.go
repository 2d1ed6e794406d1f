package pipeline

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/internal/media"
)

// What a cache holds comes back as it was written, and nothing that could not have been written
// is believed.
func FuzzParseMediaCache(f *testing.F) {
	c := openMediaCache("somewhere")
	c.files["/a.png"] = cacheEntry{time.Unix(1, 2).UTC(), facts{Size: 3, Digest: hashOf(nil), Image: &media.Image{Format: "png", Width: 4, Height: 5}}}
	c.files["/v.mp4"] = cacheEntry{time.Unix(1, 2).UTC(), facts{Size: 3, Digest: hashOf(nil), Video: &media.Video{
		Format: "mp4", Width: 4, Height: 5, Duration: 6, FrameRate: media.Rate{Frames: 30000, Seconds: 1001}, Sound: true}}}
	text, err := c.encode()
	if err != nil {
		f.Fatal(err)
	}
	again, err := parseMediaCache(text)
	if diff := cmp.Diff(c.files, again, cmp.AllowUnexported(cacheEntry{})); err != nil || diff != "" {
		f.Fatalf("%v (-written +read):\n%s", err, diff)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"sha256":"` + hashOf([]byte("{}")) + `","files":{}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		files, err := parseMediaCache(text)
		for name, e := range files {
			if err != nil || !e.sound() {
				t.Errorf("%q: believed %+v", name, e)
			}
		}
	})
}
