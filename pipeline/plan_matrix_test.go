package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

// gallery is a folder with media in many places, and the manifest's matrix.
func gallery(t testing.TB, matrix string) string {
	t.Helper()
	files := map[string][]byte{"dances/salsa.mp4": movie(3*time.Second, 300, 300), "dances/Tango.MOV": movie(4*time.Second, 300, 300)}
	for _, name := range []string{
		"characters/bo.PNG", "characters/alice.png", "characters/old/zoe.png", "characters/.hidden.png", "characters/.trash/x.png",
		"characters/new/deep/kim.png", "other/alice.png", "[odd] *.png",
	} {
		files[name] = picture(300, 300)
	}
	for _, name := range []string{"characters/readme.txt", "dances/readme.txt", "empty/.keep", "texts/a.txt"} {
		files[name] = nil
	}
	return folder(t, "version: 1\nname: m\nlane: {region: beijing}\nmatrix:\n"+matrix, files)
}

func TestMatrix(t *testing.T) {
	for _, tt := range []struct{ images, videos, want string }{
		{"[characters]", "[dances/]", "alice--Tango alice--salsa bo--Tango bo--salsa"},
		{"[characters/bo.PNG, characters/]", "[dances/*.mp4]", "bo--salsa alice--salsa"},
		{"['characters/*.png']", "['dances/*.mov', 'dances/s*']", "alice--Tango alice--salsa bo--Tango bo--salsa"},
		{"['characters/**/*.png']", "[dances/salsa.mp4]", "alice--salsa bo--salsa kim--salsa zoe--salsa"},
		{"['characters/**/**']", "[dances/salsa.mp4]", "alice--salsa bo--salsa kim--salsa zoe--salsa"},
		{"['**/deep/*']", "[dances/salsa.mp4]", "kim--salsa"},
		{"['characters/*/*.png']", "[dances/salsa.mp4]", "zoe--salsa"},
		{"['characters/.h*']", "[dances/salsa.mp4]", "-hidden--salsa"},
		{"['cha*/[ab]?*.png']", "[dances/salsa.mp4]", "alice--salsa bo--salsa"},
		{"['[odd] *.png']", "[dances/salsa.mp4]", "-odd-----salsa"},
		{"[./other/../other/alice.png, other/]", "['https://h.example/x.mp4?a=[*]']", "alice--x"},
	} {
		dir := gallery(t, fmt.Sprintf("  images: %s\n  videos: %s\n", tt.images, tt.videos))
		var ids []string
		for _, j := range jobs(t, mustPlan(t, dir)) {
			ids = append(ids, j.ID)
		}
		if got := strings.Join(ids, " "); got != tt.want {
			t.Errorf("%s with %s: %s, want %s", tt.images, tt.videos, got, tt.want)
		}
	}
}

// Everything that is wrong with a matrix is said once, with what is there instead.
func TestNewPlanReportsMatrix(t *testing.T) {
	dir := gallery(t, `  images:
    - characters/*.gif
    - empty/
    - characters/bob.png
    - nowhere/*.png
    - texts
    - "[a"
    - characters/readme.txt
    - characters/
    - other/alice.png
    - ftp://h/a.png
  videos:
    - dances/**/*.avi
    - dances/salsa.mp4
`)
	_, err := plan(t, dir)
	if err == nil {
		t.Fatal("no error")
	}
	golden(t, "testdata/matrix.want", strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")+"\n")
}

// A link to a folder is a folder, but ** does not follow it: it may lead back.
func TestMatrixFollowsLinks(t *testing.T) {
	dir := gallery(t, "  images: ['**/*.png', link, 'ali*/zoe.png']\n  videos: [dances/salsa.mp4]\n")
	for name, target := range map[string]string{"link": "characters", "ali-link": "characters/old", "characters/back": "..", "characters/linked.png": "old/zoe.png"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "other/alice.png")); err != nil {
		t.Fatal(err)
	}
	_, err := plan(t, dir)
	if err == nil || !strings.Contains(err.Error(), "matrix.images[1]: characters/alice.png and link/alice.png would give the same ids") {
		t.Errorf("err = %v, want a collision through the link alone", err)
	}
}

// A manifest from standard input has its media in the working directory.
func TestMatrixFromStdin(t *testing.T) {
	t.Chdir(gallery(t, ""))
	text := "version: 1\nname: m\nlane: {region: beijing}\nmatrix: {images: [characters/], videos: [dances/]}\n"
	m, err := pipeline.ReadManifest(strings.NewReader(text), pipeline.StdinName)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := jobs(t, p)[0]; p.Len() != 4 || got.Image != filepath.Join("characters", "alice.png") {
		t.Errorf("%d jobs, the first with %s", p.Len(), got.Image)
	}
}

// Every image meets every video exactly once, images first, in the order of their
// names, whatever order the disk has them in.
func TestMatrixOrder(t *testing.T) {
	image, video := picture(300, 300), movie(3*time.Second, 300, 300)
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9 _é-]{1,5}`)
		images := rapid.SliceOfNDistinct(name, 1, 5, rapid.ID[string]).Draw(rt, "images")
		videos := rapid.SliceOfNDistinct(name, 1, 5, rapid.ID[string]).Draw(rt, "videos")
		files := map[string][]byte{}
		for _, name := range images {
			files["i/"+name+".png"] = image
		}
		for _, name := range videos {
			files["v/"+name+".mp4"] = video
		}
		dir := folder(t, "version: 1\nname: m\nlane: {region: beijing}\nmatrix: {images: [i], videos: [v]}\n", files)
		p, err := plan(t, dir)
		if err != nil {
			if !strings.Contains(err.Error(), "would give the same ids") && !strings.Contains(err.Error(), "is taken by") {
				rt.Fatal(err)
			}
			return // two names that are one once they are safe
		}
		byFile := func(ext string) func(a, b string) int {
			return func(a, b string) int { return strings.Compare(a+ext, b+ext) }
		}
		slices.SortFunc(images, byFile(".png"))
		slices.SortFunc(videos, byFile(".mp4"))
		var want, got []string
		for _, i := range images {
			for _, v := range videos {
				want = append(want, "i/"+i+".png v/"+v+".mp4 "+strings.ReplaceAll(i+"--"+v, " ", "-"))
			}
		}
		for _, j := range jobs(t, p) {
			got = append(got, j.ImageName+" "+j.VideoName+" "+j.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("jobs differ (-want +got):\n%s", diff)
		}
	})
}

// A matrix is not held either: its size is its product.
func TestMatrixIsBounded(t *testing.T) {
	m := pipeline.NewManifest()
	m.Name, m.Lane.Region = "m", "beijing"
	for i := range 1500 {
		m.Matrix.Images = append(m.Matrix.Images, fmt.Sprintf("https://h.example/%d.png", i))
		m.Matrix.Videos = append(m.Matrix.Videos, fmt.Sprintf("https://h.example/%d.mp4", i))
	}
	if _, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{}); err == nil || !strings.Contains(err.Error(), "more than 2000000 jobs") {
		t.Errorf("err = %v, want one about the number of jobs", err)
	}
}
