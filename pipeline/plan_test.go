package pipeline_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// folder makes a folder of media and a manifest in it, and returns its path.
func folder(t testing.TB, manifest string, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	files["manifest.yaml"] = []byte(manifest)
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func picture(width, height int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// movie is the least MP4 that has a picture size and a length.
func movie(length time.Duration, width, height int) []byte {
	box := func(kind string, parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
	}
	words := func(values ...uint32) []byte {
		var b []byte
		for _, v := range values {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	ms := uint32(length.Milliseconds())
	one := uint32(1 << 16)
	matrix := words(one, 0, 0, 0, one, 0, 0, 0, 1<<30)
	sampleEntry := make([]byte, 78)
	binary.BigEndian.PutUint16(sampleEntry[24:], uint16(width))
	binary.BigEndian.PutUint16(sampleEntry[26:], uint16(height))
	return bytes.Join([][]byte{
		box("ftyp", []byte("isom"), words(0)),
		box("moov",
			box("mvhd", words(0, 0, 0, 1000, ms, one, 0, 0, 0), matrix, make([]byte, 28)),
			box("trak",
				box("tkhd", words(3, 0, 0, 1, 0, ms, 0, 0, 0, 0), matrix, words(uint32(width)<<16, uint32(height)<<16)),
				box("mdia",
					box("mdhd", words(0, 0, 0, 1000, ms, 0)),
					box("hdlr", words(0, 0), []byte("vide"), make([]byte, 13)),
					box("minf", box("stbl",
						box("stsd", words(0, 1), box("avc1", sampleEntry)),
						box("stts", words(0, 1, 1, ms))))))),
		box("mdat", make([]byte, 8)),
	}, nil)
}

// avi is an AVI that was never finished: it does not say how long it is.
func avi() []byte { return film{container: "avi"}.bytes() }

func plan(t testing.TB, dir string) (*pipeline.Plan, error) {
	t.Helper()
	m, err := pipeline.ReadManifestFile(filepath.Join(dir, "manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
}

func mustPlan(t testing.TB, dir string) *pipeline.Plan {
	t.Helper()
	p, err := plan(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func jobs(t testing.TB, p *pipeline.Plan) []pipeline.Job {
	t.Helper()
	var all []pipeline.Job
	for job, err := range p.Jobs() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, job)
	}
	return all
}

const mixed = `version: 1
name: mixed
labels: {client: acme, campaign: spring}
lane: {region: singapore}
output: {file: "{mode}/{id}.mp4"}
pairs:
  - {id: known, image: a.png, video: dances/salsa.mp4}
  - {id: pro, image: a.png, video: dances/salsa.mp4, mode: wan-pro, labels: {campaign: launch}}
  - {id: unknown, image: a.png, video: "https://h.example/v.mp4?Signature=secret#t"}
  - {id: avi, image: a.png, video: old.avi}
`

func mixedFiles() map[string][]byte {
	return map[string][]byte{
		"a.png": picture(512, 512), "dances/salsa.mp4": movie(5200*time.Millisecond, 720, 1280), "old.avi": avi(),
	}
}

func TestNewPlan(t *testing.T) {
	dir := folder(t, mixed, mixedFiles())
	got := jobs(t, mustPlan(t, dir))
	num := decimal.RequireFromString
	known := decimal.NewNullDecimal(num("5.2"))
	amounts := func(low, high string) pipeline.Range { return pipeline.Range{Low: num(low), High: num(high)} }
	spring := map[string]string{"client": "acme", "campaign": "spring"}
	sum := func(name string) string { return fmt.Sprintf("%x", sha256.Sum256(mixedFiles()[name])) }
	image, salsa := sum("a.png"), sum("dances/salsa.mp4")
	want := []pipeline.Job{
		{
			ID: "known", Image: filepath.Join(dir, "a.png"), Video: filepath.Join(dir, "dances/salsa.mp4"),
			ImageName: "a.png", VideoName: "dances/salsa.mp4", Mode: pipeline.ModeStd, Labels: spring,
			Length: known, UnitPrice: num("0.12"), Estimated: amounts("0.624", "0.624"), Hold: num("0.84"), File: "wan-std/known.mp4",
			ImageSHA256: image, VideoSHA256: salsa,
		},
		{
			ID: "pro", Image: filepath.Join(dir, "a.png"), Video: filepath.Join(dir, "dances/salsa.mp4"),
			ImageName: "a.png", VideoName: "dances/salsa.mp4", Mode: pipeline.ModePro,
			Labels: map[string]string{"client": "acme", "campaign": "launch"},
			Length: known, UnitPrice: num("0.18"), Estimated: amounts("0.936", "0.936"), Hold: num("1.26"), File: "wan-pro/pro.mp4",
			ImageSHA256: image, VideoSHA256: salsa,
		},
		{
			ID: "unknown", Image: filepath.Join(dir, "a.png"), Video: "https://h.example/v.mp4?Signature=secret#t",
			ImageName: "a.png", VideoName: "https://h.example/v.mp4", Mode: pipeline.ModeStd, Labels: spring,
			UnitPrice: num("0.12"), Estimated: amounts("0.24", "3.6"), Hold: num("3.6"), File: "wan-std/unknown.mp4",
			ImageSHA256: image,
		},
		{
			ID: "avi", Image: filepath.Join(dir, "a.png"), Video: filepath.Join(dir, "old.avi"),
			ImageName: "a.png", VideoName: "old.avi", Mode: pipeline.ModeStd, Labels: spring,
			UnitPrice: num("0.12"), Estimated: amounts("0.24", "3.6"), Hold: num("3.6"), File: "wan-std/avi.mp4",
			ImageSHA256: image, VideoSHA256: sum("old.avi"),
		},
	}
	keys := map[string]bool{}
	for i := range got {
		keys[got[i].ContentKey] = len(got[i].ContentKey) == 64
		got[i].ContentKey = ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("jobs differ (-want +got):\n%s", diff)
	}
	if len(keys) != 4 || slices.Contains(slices.Collect(maps.Values(keys)), false) {
		t.Errorf("keys are not four different SHA-256: %v", keys)
	}
}

// Every medium that the provider would refuse is named at once, with its own value.
func TestNewPlanReportsEveryMedium(t *testing.T) {
	const text = `version: 1
lane: {region: beijing}
pairs:
  - {id: a, image: none.png, video: long.mp4}
  - {id: b, image: folder.png, video: short.mp4}
  - {id: c, image: empty.png, video: text.mp4}
  - {id: d, image: large.png, video: small.mp4}
  - {id: e, image: narrow.png, video: long.mp4}
  - {id: f, image: text.png, video: tall.mp4}
  - {id: g, image: huge.png, video: text.avi}
  - {id: h, image: fine.png, video: https://h/v.mp4}
`
	files := map[string][]byte{
		"folder.png/x": nil, "empty.png": nil, "text.png": []byte("hello"), "text.mp4": []byte("hello"), "text.avi": []byte("hello"),
		"large.png": append(picture(512, 512), make([]byte, 5_000_000)...), "narrow.png": picture(200, 601),
		"huge.png": picture(4097, 4000), "fine.png": picture(200, 600),
		"long.mp4": movie(31200*time.Millisecond, 720, 720), "short.mp4": movie(1999*time.Millisecond, 720, 720),
		"small.mp4": movie(5*time.Second, 199, 720), "tall.mp4": movie(5*time.Second, 720, 2050),
	}
	_, err := plan(t, folder(t, text, files))
	var problems *pipeline.ManifestError
	if !errors.As(err, &problems) {
		t.Fatalf("err = %v, want a *ManifestError", err)
	}
	dir := filepath.Dir(problems.Problems[0].File)
	got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "") + "\n"
	details := regexp.MustCompile(`(is not a readable \w+): .+`) // in the words of another package
	golden(t, "testdata/media.want", details.ReplaceAllString(got, "$1: ..."))
}

// A manifest built in code is checked like one that was read, and left alone.
// What is wrong with a manifest's text and with its media is told in one go, each
// thing once.
func TestNewPlanTellsWhatReadingFound(t *testing.T) {
	dir := folder(t, "version: 1\nname: x\nmoode: wan-pro\nlane: {region: singapore}\npairs:\n"+
		"  - {image: a.png, video: v.mp4}\n  - {image: a.png, video: nobody.mp4, mode: slow}\n",
		map[string][]byte{"a.png": picture(300, 300), "v.mp4": movie(40*time.Second, 640, 360)})
	path := filepath.Join(dir, "manifest.yaml")
	m, read := pipeline.ReadManifestFile(path)
	if m == nil || read == nil {
		t.Fatalf("manifest %v, %v", m, read)
	}
	_, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
	var all *pipeline.ManifestError
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	wants := []string{":3:1: unknown key", ":6:.*v.mp4 lasts 40 s", ":7:.*nobody.mp4 can't be read", ":7:.*slow"}
	if len(all.Problems) != len(wants) {
		t.Errorf("%d problems, want %d:\n%v", len(all.Problems), len(wants), err)
	}
	for _, want := range wants {
		if !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

func TestNewPlanChecksManifestsBuiltInCode(t *testing.T) {
	m := &pipeline.Manifest{
		Lane:   pipeline.Lane{Region: "berlin", Exclusive: "perhaps", Endpoint: "http://example.com"},
		Mode:   "fast",
		Limits: pipeline.Limits{Running: -1, PollMin: time.Second},
		Labels: map[string]string{"a": "\x1b"},
		Pairs:  []pipeline.Pair{{Image: "a.png"}, {ID: "..", Image: "a.png", Video: "b.txt", Mode: "slow"}},
	}
	_, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
	if err == nil {
		t.Fatal("no error")
	}
	golden(t, "testdata/code.want", err.Error()+"\n")
	if m.Model != "" || m.Pairs[0].ID != "" {
		t.Error("the caller's manifest was changed")
	}
}

func TestNewPlanNeedsName(t *testing.T) {
	m, err := pipeline.ReadManifest(strings.NewReader(block+"- {image: https://h/a.png, video: https://h/b.mp4}\n"), pipeline.StdinName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{}); err == nil || !strings.Contains(err.Error(), "stdin: name is missing") {
		t.Errorf("err = %v, want one about the name", err)
	}
	m.Name = "nightly"
	if _, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{}); err != nil {
		t.Error(err)
	}
}

func TestNewPlanStopsWithItsContext(t *testing.T) {
	dir := folder(t, mixed, mixedFiles())
	m, err := pipeline.ReadManifestFile(filepath.Join(dir, "manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pipeline.NewPlan(ctx, m, pipeline.PlanOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

// The key is the identity of the work: bytes, model, mode and options, not names.
func TestContentKey(t *testing.T) {
	key := func(manifest string, files map[string][]byte) string {
		return jobs(t, mustPlan(t, folder(t, manifest, files)))[0].ContentKey
	}
	const text = "version: 1\nlane: {region: beijing}\npairs: [{image: a.png, video: b.mp4}]\n"
	files := func() map[string][]byte {
		return map[string][]byte{"a.png": picture(300, 300), "b.mp4": movie(3*time.Second, 400, 400)}
	}
	base := key(text, files())

	renamed := map[string][]byte{"x/1.png": files()["a.png"], "2.mov": files()["b.mp4"]}
	same := map[string]string{
		"name, id, labels": key("name: other\nlabels: {a: b}\n"+strings.Replace(text, "{image", "{id: x, image", 1), files()),
		"region":           key(strings.Replace(text, "beijing", "singapore", 1), files()),
		"explicit default": key("mode: wan-std\nwatermark: false\ncheck_image: true\n"+text, files()),
		"file names":       key(strings.NewReplacer("a.png", "x/1.png", "b.mp4", "2.mov").Replace(text), renamed),
	}
	for what, got := range same {
		if got != base {
			t.Errorf("%s: the key changed", what)
		}
	}
	otherImage, otherVideo := files(), files()
	otherImage["a.png"] = picture(300, 301)
	otherVideo["b.mp4"] = movie(3*time.Second, 400, 401)
	different := map[string]string{
		"model":       key("model: wan2.2-animate-mix\n"+text, files()),
		"mode":        key("mode: wan-pro\n"+text, files()),
		"watermark":   key("watermark: true\n"+text, files()),
		"check_image": key("check_image: false\n"+text, files()),
		"image":       key(text, otherImage),
		"video":       key(text, otherVideo),
	}
	seen := map[string]string{base: "base"}
	for what, got := range different {
		if other, taken := seen[got]; taken {
			t.Errorf("%s has the key of %s", what, other)
		}
		seen[got] = what
	}
}

// A URL that is signed anew is the same object; any other parameter makes it another.
func TestContentKeyIgnoresSignatures(t *testing.T) {
	key := func(video string) string {
		m := pipeline.NewManifest()
		m.Name, m.Lane.Region = "x", "beijing"
		m.Pairs = []pipeline.Pair{{Image: "https://h.example/a.png", Video: video}}
		p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return jobs(t, p)[0].ContentKey
	}
	signature := rapid.SampledFrom([]string{
		"X-Amz-Signature", "x-amz-date", "X-AMZ-Security-Token", "x-oss-signature", "X-Oss-Date", "OSSAccessKeyId",
		"ossaccesskeyid", "Expires", "expires", "Signature", "SIGNATURE", "%53ignature",
	})
	rapid.Check(t, func(t *rapid.T) {
		keep := rapid.SliceOfN(rapid.StringMatching(`(v|size|Expire|Signatures|amz)=[a-z0-9]{0,3}`), 0, 3).Draw(t, "kept")
		mixedIn := slices.Clone(keep)
		for range rapid.IntRange(0, 3).Draw(t, "signatures") {
			at := rapid.IntRange(0, len(mixedIn)).Draw(t, "at")
			mixedIn = slices.Insert(mixedIn, at, signature.Draw(t, "name")+"="+rapid.StringMatching(`[A-Za-z0-9%2F]{0,8}`).Draw(t, "value"))
		}
		with := func(query []string) string {
			if len(query) == 0 {
				return "https://h.example/v.mp4"
			}
			return "https://h.example/v.mp4?" + strings.Join(query, "&")
		}
		if key(with(keep)) != key(with(mixedIn)) {
			t.Fatalf("%s and %s have different keys", with(keep), with(mixedIn))
		}
		if key(with(append(keep, "page=2"))) == key(with(keep)) {
			t.Fatalf("a parameter that is no signature was ignored")
		}
	})
}

func TestWarnings(t *testing.T) {
	const text = `version: 1
lane: {region: beijing, workspace: ws-1, endpoint: "https://h"}
limits: {running: 5, create_per_second: 5, query_per_second: 20.5}
budget: {max_cost: 2}
pairs:
  - {id: a, image: jpeg.png, video: two.mp4}
  - {id: b, image: jpeg.png, video: two.mp4}
  - {id: c, image: jpeg.png, video: two.mp4}
  - {id: d, image: "https://h/a", video: "https://h/v?x=.mp4"}
`
	bmp := append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x2c\x01\x00\x00\x2c\x01\x00\x00\x01\x00\x18\x00"), make([]byte, 64)...)
	p := mustPlan(t, folder(t, text, map[string][]byte{"jpeg.png": bmp, "two.mp4": movie(2*time.Second, 300, 300)}))
	golden(t, "testdata/warnings.want", strings.Join(p.Warnings(), "\n")+"\n")

	quiet := mustPlan(t, folder(t, smallest, map[string][]byte{"a.png": picture(400, 400), "b.mp4": movie(3*time.Second, 400, 400)}))
	if got := quiet.Warnings(); len(got) > 0 {
		t.Errorf("warned about nothing: %q", got)
	}
}
