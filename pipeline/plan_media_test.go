package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/pipeline"
)

// sample is a file and why it is refused, in words that its problem holds; "" when it is fine.
type sample struct {
	data []byte
	want string
}

// zeros is how many follow the data of some files, which so take no room on the disk.
func zeros() map[string]int64 {
	return map[string]int64{"size/largest.mp4": 200_000_000, "size/one-too-many.mp4": 200_000_001}
}

// aroundTheLimits returns files on both sides of every limit that the provider documents.
func aroundTheLimits() map[string]sample {
	padded := func(data []byte, size int) []byte { return append(data, make([]byte, size-len(data))...) }
	whole := film{}.bytes()
	return map[string]sample{
		// Length of a video: 2 to 30 s.
		"length/just-below.mp4":     {film{seconds: 1.999}.bytes(), "lasts 1.999 s; at least 2 s"},
		"length/shortest.mp4":       {film{seconds: 2}.bytes(), ""},
		"length/longest.mp4":        {film{seconds: 30}.bytes(), ""},
		"length/just-above.mp4":     {film{seconds: 30.001}.bytes(), "lasts 30.001 s; at most 30 s"},
		"length/long.mp4":           {film{seconds: 31.2}.bytes(), "lasts 31.2 s; at most 30 s"},
		"length/long-at-end.mp4":    {film{seconds: 31.2, moovLast: true}.bytes(), "lasts 31.2 s; at most 30 s"},
		"length/fine-at-end.mov":    {film{container: "mov", moovLast: true}.bytes(), ""},
		"length/long.mov":           {film{container: "mov", seconds: 90}.bytes(), "lasts 90 s; at most 30 s"},
		"length/long.avi":           {film{container: "avi", seconds: 30.04}.bytes(), "lasts 30.04 s; at most 30 s"},
		"length/short.avi":          {film{container: "avi", seconds: 1.96}.bytes(), "lasts 1.96 s; at least 2 s"},
		"length/fine.avi":           {film{container: "avi", seconds: 12}.bytes(), ""},
		"length/not-told.avi":       {film{container: "avi"}.bytes(), ""},
		"sides/smallest.mp4":        {film{width: 200, height: 200}.bytes(), ""},
		"sides/narrow.mp4":          {film{width: 199, height: 400}.bytes(), "is 199 x 400 pixels; each side must have 200 to 2048"},
		"sides/flat.mp4":            {film{width: 400, height: 199}.bytes(), "is 400 x 199 pixels; each side must have 200 to 2048"},
		"sides/largest.mp4":         {film{width: 2048, height: 2048}.bytes(), ""},
		"sides/wide.mp4":            {film{width: 2049, height: 1080}.bytes(), "is 2049 x 1080 pixels; each side must have 200 to 2048"},
		"sides/wide-turned.mov":     {film{container: "mov", width: 2160, height: 1080, turned: true}.bytes(), "is 1080 x 2160 pixels; each side must have 200 to 2048"},
		"sides/4k.avi":              {film{container: "avi", seconds: 5, width: 3840, height: 2160}.bytes(), "is 3840 x 2160 pixels; each side must have 200 to 2048"},
		"aspect/three-to-one.mp4":   {film{width: 1500, height: 500}.bytes(), ""},
		"aspect/beyond.mp4":         {film{width: 1501, height: 500}.bytes(), "is 1501 x 500 pixels; one side may be at most 3 times the other"},
		"aspect/beyond-turned.mp4":  {film{width: 1501, height: 500, turned: true}.bytes(), "is 500 x 1501 pixels; one side may be at most 3 times the other"},
		"size/largest.mp4":          {film{open: true}.bytes(), ""},
		"size/one-too-many.mp4":     {film{open: true}.bytes(), "is 200000001 bytes; at most 200000000"},
		"form/text.mp4":             {[]byte("this is no video at all"), "is not a readable video"},
		"form/empty.mp4":            {nil, "is empty"},
		"form/image.mp4":            {still("png", 400, 400), "is not a readable video"},
		"form/cut.mp4":              {whole[:len(whole)-1], "is cut short"},
		"form/cut-in-half.mov":      {film{container: "mov", moovLast: true}.bytes()[:700], "is cut short"},
		"form/cut.avi":              {film{container: "avi", seconds: 5}.bytes()[:900], "is cut short"},
		"form/avi-inside.mp4":       {film{container: "avi", seconds: 5}.bytes(), ""}, // a warning
		"form/mov-inside.mp4":       {film{container: "mov"}.bytes(), ""},
		"form/encrypted.mp4":        {film{codec: "encv"}.bytes(), ""}, // a warning
		"form/slow.mp4":             {film{fps: 10}.bytes(), ""},       // a warning
		"several/long-and-wide.mp4": {film{seconds: 40, width: 4000, height: 1000}.bytes(), "lasts 40 s; at most 30 s"},

		"image/smallest.png":       {still("png", 200, 200), ""},
		"image/narrow.png":         {still("png", 199, 300), "is 199 x 300 pixels; each side must have 200 to 4096"},
		"image/largest.jpg":        {still("jpeg", 4096, 4096), ""},
		"image/wide.jpeg":          {still("jpeg", 4097, 3000), "is 4097 x 3000 pixels; each side must have 200 to 4096"},
		"image/tall.bmp":           {still("bmp", 200, 600), ""},
		"image/too-tall.bmp":       {still("bmp", 200, 601), "is 200 x 601 pixels; one side may be at most 3 times the other"},
		"image/fine.webp":          {still("webp", 4096, 1366), ""},
		"image/too-wide.webp":      {still("webp", 4096, 1365), "is 4096 x 1365 pixels; one side may be at most 3 times the other"},
		"image/most-bytes.png":     {padded(still("png", 400, 400), 5_000_000), ""},
		"image/too-many-bytes.png": {padded(still("png", 400, 400), 5_000_001), "is 5000001 bytes; at most 5000000"},
		"image/text.png":           {[]byte("this is no image at all"), "is not a readable image"},
		"image/gif-inside.png":     {[]byte("GIF89a\x90\x01\x90\x01\x00\x00\x00;"), "is not a readable image"},
		"image/empty.webp":         {nil, "is empty"},
		"image/cut-header.jpg":     {still("jpeg", 400, 400)[:9], "is cut short"},
		"image/cut.png":            {still("png", 400, 400)[:40], ""},   // a warning: there may be enough of it
		"image/other-inside.jpg":   {still("webp", 400, 400), ""},       // a warning
		"image/UPPER.PNG":          {still("png", 400, 400), ""},        // extensions have no case
		"image/ümläut 名.png":       {still("png", 400, 400), ""},        // a local path is not a URL
		"image/video.png":          {whole, "is not a readable image"},  //
		"image/zero.png":           {still("png", 0, 400), "is not a"},  // whatever the decoder calls it
		"image/huge-claim.png":     {still("png", 1<<30, 1<<30), "is "}, // the same
	}
}

// Each wrong file is named with its reason, and no right one is refused.
func TestEveryLimit(t *testing.T) {
	samples := aroundTheLimits()
	if len(samples) < 40 {
		t.Errorf("only %d files", len(samples))
	}
	files := map[string][]byte{"ok.png": still("png", 720, 1280), "ok.mp4": film{}.bytes()}
	m := pipeline.NewManifest()
	m.Name, m.Lane.Region = "limits", "singapore"
	for i, name := range slices.Sorted(maps.Keys(samples)) {
		files[name] = samples[name].data
		pair := pipeline.Pair{ID: fmt.Sprint(i), Image: "ok.png", Video: name}
		if strings.HasPrefix(name, "image/") {
			pair.Image, pair.Video = name, "ok.mp4"
		}
		m.Pairs = append(m.Pairs, pair)
	}
	m.Dir = folder(t, "", files)
	for name, size := range zeros() {
		if err := os.Truncate(filepath.Join(m.Dir, name), size); err != nil {
			t.Fatal(err)
		}
	}
	_, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
	var problems *pipeline.ManifestError
	if !errors.As(err, &problems) {
		t.Fatalf("err = %v", err)
	}
	said := map[string][]string{}
	for _, p := range problems.Problems {
		for name := range samples {
			if strings.Contains(p.Message, ": "+name+" ") {
				said[name] = append(said[name], p.String())
			}
		}
	}
	for name, s := range samples {
		got := strings.Join(said[name], "\n")
		if (s.want == "") != (got == "") || !strings.Contains(got, s.want) {
			t.Errorf("%s: said %q, want %q", name, got, s.want)
		}
	}
	if several := said["several/long-and-wide.mp4"]; len(several) != 2 { // its length and its sides
		t.Errorf("a file with two problems has %d: %q", len(several), several)
	}
}

// What may go wrong later is told, and nothing about files that are fine.
func TestMediaWarnings(t *testing.T) {
	tests := []struct {
		image, video string
		data         []byte // of the one that is not fine
		want         string // how the only warning ends; "" for none
	}{
		{"ok.png", "ok.mp4", nil, ""},
		{"ok.png", "v.mp4", film{seconds: 2.1}.bytes(), ""},
		{"ok.png", "v.mp4", film{seconds: 2.099}.bytes(), "v.mp4 lasts 2.099 s; the provider's pages disagree about the ends of 2 to 30 s, so stay within 2.1 to 29.9 s"},
		{"ok.png", "v.mp4", film{seconds: 29.9}.bytes(), ""},
		{"ok.png", "v.mp4", film{seconds: 29.901}.bytes(), "v.mp4 lasts 29.901 s; the provider's pages disagree about the ends of 2 to 30 s, so stay within 2.1 to 29.9 s"},
		{"ok.png", "v.mp4", film{container: "avi", seconds: 5}.bytes(), "v.mp4 holds a video in AVI form; the provider may judge it by its extension"},
		{"ok.png", "v.mov", film{}.bytes(), ""}, // one family
		{"a.jpg", "ok.mp4", still("webp", 720, 1280), "a.jpg holds an image in WEBP form; the provider may judge it by its extension"},
		{"ok.png", "v.mp4", film{codec: "encv"}.bytes(), "v.mp4 is encrypted; the provider cannot read it"},
		{"ok.png", "v.mp4", film{codec: "SVQ3"}.bytes(), "v.mp4 is coded as SVQ3, which the provider may not read; H.264 is safe"},
		{"ok.png", "v.mp4", film{codec: "hvc1"}.bytes(), ""},
		{"ok.png", "v.mp4", film{fps: 15}.bytes(), ""},
		{"ok.png", "v.mp4", film{fps: 10}.bytes(), "v.mp4 has 10 frames a second; below 15 the motion may suffer"},
		{"ok.png", "v.mp4", film{width: 358, height: 640}.bytes(), "v.mp4 is 358 x 640 pixels; below 360 the quality may suffer"},
		{"a.png", "ok.mp4", still("png", 300, 400), "a.png is 300 x 400 pixels; below 360 the quality may suffer"},
		{"a.png", "ok.mp4", still("png", 720, 1280)[:40], "a.png looks cut short: its end is missing"},
		{"ok.png", "v.mp4", film{width: 1280, height: 720}.bytes(), "x: ok.png is 720 x 1280 pixels but v.mp4 is 1280 x 720; so different proportions may lower the quality"},
		{"ok.png", "v.mp4", film{width: 1280, height: 720, turned: true}.bytes(), ""},
		{"ok.png", "v.mp4", film{width: 720, height: 720}.bytes(), ""},
		{"https://h.example/a%20b.png", "ok.mp4", nil, ""},
		{"https://h.example/a%2520b.png", "ok.mp4", nil, "x: https://h.example/a%2520b.png looks percent-encoded twice"},
		{"https://h.example/a{b}.png?s=1", "ok.mp4", nil, "x: https://h.example/a{b}.png holds characters that should be percent-encoded"},
		{"http://b.oss-cn-beijing-internal.aliyuncs.com/a.png", "ok.mp4", nil,
			"x: http://b.oss-cn-beijing-internal.aliyuncs.com/a.png is on the provider's internal network, where it does not fetch; use the public host"},
		{"https://h.example/a", "ok.mp4", nil, "x: the path of https://h.example/a does not end in .jpg, .jpeg, .png, .bmp, .webp; the provider may refuse it"},
	}
	for _, tt := range tests {
		files := map[string][]byte{"ok.png": still("png", 720, 1280), "ok.mp4": film{}.bytes()}
		for _, name := range []string{tt.image, tt.video} {
			if tt.data != nil && !strings.HasPrefix(name, "ok.") {
				files[name] = tt.data
			}
		}
		m := pipeline.NewManifest()
		m.Name, m.Lane.Region = "w", "singapore"
		m.Pairs = []pipeline.Pair{{ID: "x", Image: tt.image, Video: tt.video}}
		m.Dir = folder(t, "", files)
		p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
		if err != nil {
			t.Errorf("%s with %s: %v", tt.image, tt.video, err)
			continue
		}
		if got := strings.Join(p.Warnings(), "\n"); got != tt.want {
			t.Errorf("%s with %s: warned %q, want %q", tt.image, tt.video, got, tt.want)
		}
	}
}

// The known length of an AVI counts like any other.
func TestEveryContainerIsPricedByItsLength(t *testing.T) {
	files := map[string][]byte{"a.png": still("png", 720, 1280)}
	m := pipeline.NewManifest()
	m.Name, m.Lane.Region = "w", "singapore"
	for _, container := range []string{"mp4", "mov", "avi"} {
		files["v."+container] = film{container: container, seconds: 7.2}.bytes()
		m.Pairs = append(m.Pairs, pipeline.Pair{ID: container, Image: "a.png", Video: "v." + container})
	}
	m.Dir = folder(t, "", files)
	p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs(t, p) {
		if j.Estimated.Exact().Decimal.String() != "0.864" || j.Hold.String() != "1.08" {
			t.Errorf("%s: estimated %v, hold %s", j.ID, j.Estimated, j.Hold)
		}
	}
}

// cached is a manifest of one pair with a media cache, and all it takes to plan it.
type cached struct {
	t     *testing.T
	m     *pipeline.Manifest
	cache string
}

func newCached(t *testing.T) *cached {
	c := &cached{t: t, m: pipeline.NewManifest(), cache: filepath.Join(t.TempDir(), ".media.json")}
	c.m.Name, c.m.Lane.Region = "c", "singapore"
	c.m.Pairs = []pipeline.Pair{{ID: "x", Image: "a.png", Video: "v.mp4"}}
	c.m.Dir = folder(t, "", map[string][]byte{"a.png": still("png", 720, 1280), "v.mp4": film{}.bytes()})
	c.age("a.png", time.Hour)
	c.age("v.mp4", time.Hour)
	return c
}

func (c *cached) age(name string, by time.Duration) {
	c.t.Helper()
	then := time.Now().Add(-by).Truncate(time.Second)
	if err := os.Chtimes(filepath.Join(c.m.Dir, name), then, then); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cached) plan() pipeline.Job {
	c.t.Helper()
	p, err := pipeline.NewPlan(c.t.Context(), c.m, pipeline.PlanOptions{Cache: c.cache})
	if err != nil {
		c.t.Fatal(err)
	}
	if w := p.Warnings(); len(w) > 0 {
		c.t.Errorf("warned: %q", w)
	}
	return jobs(c.t, p)[0]
}

// swap replaces the content of the video behind the cache's back: same size, same time.
func (c *cached) swap() {
	c.t.Helper()
	name := filepath.Join(c.m.Dir, "v.mp4")
	info, err := os.Stat(name)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(name, film{seconds: 9}.bytes(), 0o644); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chtimes(name, info.ModTime(), info.ModTime()); err != nil {
		c.t.Fatal(err)
	}
}

// A file that is as it was is not read again: a swap that leaves size and time alone goes unseen,
// and any other is seen.
func TestMediaCache(t *testing.T) {
	c := newCached(t)
	first := c.plan()
	if info, err := os.Stat(c.cache); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("cache: %v, %v", info, err)
	}
	c.swap()
	if diff := cmp.Diff(first, c.plan()); diff != "" {
		t.Errorf("the cache was not used (-first +second):\n%s", diff)
	}
	c.age("v.mp4", 2*time.Hour)
	if second := c.plan(); second.Length.Decimal.String() != "9" || second.ContentKey == first.ContentKey {
		t.Errorf("a changed file was not read again: %v", second.Length)
	}
}

// Whatever is done to a cache, it is either believed whole or read past.
func TestMediaCacheDamage(t *testing.T) {
	c := newCached(t)
	first := c.plan()
	good := readFile(t, c.cache)
	c.swap()
	for name, bad := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "cut": good[:len(good)/2], "null": []byte("null"), "list": []byte("[]"),
		"another version": bytes.Replace(good, []byte(`"version":1`), []byte(`"version":2`), 1),
		"another length":  bytes.Replace(good, []byte("5000000000"), []byte("2000000000"), 1),
		"no files":        []byte(`{"version":1,"sha256":"74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b","files":null}`),
	} {
		if err := os.WriteFile(c.cache, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := c.plan(); got.Length.Decimal.String() != "9" {
			t.Errorf("%s: believed, length %v", name, got.Length)
		}
	}
	// Some bits do not matter, in the space between names; none makes another length.
	for at := 0; at < len(good); at += 7 {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := os.WriteFile(c.cache, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := c.plan().Length.Decimal.String(); got != "9" && got != first.Length.Decimal.String() {
			t.Fatalf("byte %d flipped: length %s", at, got)
		}
	}
}

// A file that was just written may be written again within one tick of its clock.
func TestMediaCacheMistrustsFreshFiles(t *testing.T) {
	c := newCached(t)
	c.age("v.mp4", 0)
	c.plan()
	c.swap()
	if got := c.plan(); got.Length.Decimal.String() != "9" {
		t.Errorf("length %v of a file that was cached too early", got.Length)
	}
}

// A cache that can't be written is no reason not to plan; a folder is not made for it.
func TestMediaCacheNeedsItsFolder(t *testing.T) {
	c := newCached(t)
	c.cache = filepath.Join(t.TempDir(), "output", "c", ".media.json")
	c.plan()
	if _, err := os.Stat(path.Dir(path.Dir(c.cache))); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
	c.cache = filepath.Join(c.m.Dir, "a.png", ".media.json") // below a file
	p, err := pipeline.NewPlan(t.Context(), c.m, pipeline.PlanOptions{Cache: c.cache})
	if err != nil || len(p.Warnings()) != 1 {
		t.Errorf("%q, %v; want one warning", p.Warnings(), err)
	}
}
