package pipeline_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

const rowsManifest = "version: 1\nname: rows\nlane: {region: beijing}\nlabels: {client: acme}\npairs_from: %s\n"

// rowsFolder is a folder with a manifest, a file of rows and the media they name.
func rowsFolder(t testing.TB, name, rows string) string {
	t.Helper()
	return folder(t, fmt.Sprintf(rowsManifest, name), map[string][]byte{
		name: []byte(rows), "a.png": picture(300, 300), "b.mp4": movie(3*time.Second, 300, 300),
	})
}

// Beside each wrong file of rows stands everything we say about it.
func TestNewPlanReportsEveryRow(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"testdata/rows/*.csv", "testdata/rows/*.jsonl", "testdata/rows/*.txt"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no test data: %v", err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			dir := rowsFolder(t, filepath.Base(path), string(readFile(t, path)))
			_, err := plan(t, dir)
			var problems *pipeline.ManifestError
			if !errors.As(err, &problems) {
				t.Fatalf("err = %v, want a *ManifestError", err)
			}
			got := strings.ReplaceAll(problems.Error(), dir+string(filepath.Separator), "") + "\n"
			golden(t, path+".want", got)
			if strings.Contains(got, "secret") {
				t.Errorf("a secret is repeated:\n%s", got)
			}
		})
	}
}

// A file of rows that can't be read at all is a problem of the manifest.
func TestNewPlanNeedsRows(t *testing.T) {
	dir := rowsFolder(t, "more.csv", "image,video\na.png,b.mp4\n")
	if err := os.Mkdir(filepath.Join(dir, "folder.csv"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"none.csv":              "manifest.yaml:5:13: pairs_from: none.csv can't be read: no such file or directory",
		"folder.csv":            "manifest.yaml:5:13: pairs_from: folder.csv is a folder; name a CSV or JSON-lines file, or use matrix",
		"https://h/x.csv?k=abc": "manifest.yaml:5:13: pairs_from: https://h/x.csv is a URL; download it, and name the file",
	} {
		if err := os.WriteFile(filepath.Join(dir, "manifest.yaml"), fmt.Appendf(nil, rowsManifest, name), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := plan(t, dir); err == nil || strings.TrimPrefix(err.Error(), dir+string(filepath.Separator)) != want {
			t.Errorf("err = %v, want %s", err, want)
		}
	}
}

// Spreadsheets leave byte order marks, carriage returns and empty rows; columns
// stand in any order, and what a file does not say comes from the manifest.
func TestRows(t *testing.T) {
	const jsonl = `{"image": "a.png", "video": "b.mp4", "id": "one", "mode": "wan-pro", "labels": {"shot": "3, \"wide\""}}
{"image": "a.png", "video": "b.mp4", "id": null, "label:client": "other"}`
	const table = "\ufeffvideo,label:shot,mode,id,image,label:client\r\n\r\n" +
		"b.mp4,\"3, \"\"wide\"\"\",wan-pro,one,a.png,\r\n" + "b.mp4,,,,a.png,other\r\n" + ",,,,,\r\n"
	for name, text := range map[string]string{
		"more.csv": table, "more.CSV": table, "more.txt": table, "more": jsonl, "more.jsonl": jsonl + "\n", "more.ndjson": "\n" + jsonl,
	} {
		t.Run(name, func(t *testing.T) {
			dir := rowsFolder(t, name, text)
			type job struct {
				ID     string
				Mode   pipeline.Mode
				Image  string
				Labels map[string]string
			}
			var got []job
			for _, j := range jobs(t, mustPlan(t, dir)) {
				got = append(got, job{j.ID, j.Mode, j.Image, j.Labels})
			}
			image := filepath.Join(dir, "a.png")
			want := []job{
				{"one", pipeline.ModePro, image, map[string]string{"client": "acme", "shot": `3, "wide"`}},
				{"a--b", pipeline.ModeStd, image, map[string]string{"client": "other"}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("jobs differ (-want +got):\n%s", diff)
			}
		})
	}
}

// What was planned is what is run: a file of rows that changes in between ends
// the road, also when neither its size nor its time tells.
func TestJobsNoticeChangedRows(t *testing.T) {
	const before = "id,image,video\none,a.png,b.mp4\ntwo,a.png,b.mp4\n"
	silently := func(old, new string) func(path string) error {
		return func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			text := strings.Replace(before, old, new, 1)
			return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, info.ModTime(), info.ModTime()))
		}
	}
	for name, change := range map[string]func(path string) error{
		"longer":                       func(path string) error { return os.WriteFile(path, []byte(before+"three,a.png,b.mp4\n"), 0o600) },
		"gone":                         os.Remove,
		"an id, same size and time":    silently("two", "TWO"),
		"an image, same size and time": silently("two,a", "two,c"),
		"a header, same size and time": silently("image", "imago"),
	} {
		t.Run(name, func(t *testing.T) {
			dir := rowsFolder(t, "more.csv", before)
			p := mustPlan(t, dir)
			if err := change(filepath.Join(dir, "more.csv")); err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range p.Jobs() {
				if last != nil {
					t.Fatal("an error was not the last thing yielded")
				}
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), "more.csv") {
				t.Errorf("err = %v, want one about the file", last)
			}
			if err := p.Save(&strings.Builder{}); err == nil {
				t.Error("the changed plan was saved")
			}
		})
	}
}

// However a batch is written down, it is the same plan, byte for byte.
func TestSourcesAreEqual(t *testing.T) {
	text := rapid.StringMatching(`[a-zé .,"'ß-]{0,6}`)
	rapid.Check(t, func(rt *rapid.T) {
		m := pipeline.NewManifest()
		m.Name, m.Lane.Region = "same", "singapore"
		header := []string{"mode", "image", "label:x", "id", "label:y.z", "video"}
		rows := [][]string{header}
		var lines []string
		for i := range rapid.IntRange(1, 5).Draw(rt, "pairs") {
			p := pipeline.Pair{
				ID: rapid.SampledFrom([]string{"", "x", "Y.z"}).Draw(rt, "id"), Labels: map[string]string{},
				Image: fmt.Sprintf("https://h.example/%d/%s.png?Signature=s,%d", i, rapid.StringMatching(`[a-z]{1,3}`).Draw(rt, "image"), i),
				Video: "oss://bucket/v.mp4", Mode: rapid.SampledFrom([]pipeline.Mode{"", pipeline.ModePro, pipeline.ModeStd}).Draw(rt, "mode"),
			}
			if p.ID != "" {
				p.ID += fmt.Sprint(i)
			}
			for _, name := range []string{"x", "y.z"} {
				if value := strings.TrimSpace(text.Draw(rt, name)); value != "" {
					p.Labels[name] = value
				}
			}
			m.Pairs = append(m.Pairs, p)
			rows = append(rows, []string{string(p.Mode), p.Image, p.Labels["x"], p.ID, p.Labels["y.z"], p.Video})
			line, err := json.Marshal(map[string]any{"id": p.ID, "image": p.Image, "video": p.Video, "mode": p.Mode, "labels": p.Labels})
			if err != nil {
				rt.Fatal(err)
			}
			lines = append(lines, string(line))
		}
		var table strings.Builder
		w := csv.NewWriter(&table)
		w.UseCRLF = rapid.Bool().Draw(rt, "CRLF")
		if err := w.WriteAll(rows); err != nil {
			rt.Fatal(err)
		}
		want, wantErr := saved(t, m)
		pairs := m.Pairs
		for name, text := range map[string]string{"more.csv": table.String(), "more.jsonl": strings.Join(lines, "\n")} {
			m.Pairs, m.Dir, m.PairsFrom = nil, t.TempDir(), name
			if err := os.WriteFile(filepath.Join(m.Dir, name), []byte(text), 0o600); err != nil {
				rt.Fatal(err)
			}
			got, err := saved(t, m)
			if (err == nil) != (wantErr == nil) || got != want {
				rt.Fatalf("%s: %v, want %v; (-want +got)\n%s", name, err, wantErr, cmp.Diff(want, got))
			}
		}
		m.Pairs = pairs
	})
}

func saved(t *testing.T, m *pipeline.Manifest) (string, error) {
	p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
	if err != nil {
		return "", err
	}
	return string(save(t, p)), nil
}

// Ids and output files are unique over all sources, and the message names both.
func TestUniqueOverAllSources(t *testing.T) {
	const text = `version: 1
name: all
lane: {region: beijing}
output: {file: "%s"}
pairs:
  - {id: A--B, image: a.png, video: c.mp4}
matrix: {images: [a.png], videos: [b.mp4, c.mp4]}
pairs_from: more.csv
`
	files := func() map[string][]byte {
		return map[string][]byte{
			"a.png": picture(300, 300), "b.mp4": movie(3*time.Second, 300, 300), "c.mp4": movie(4*time.Second, 300, 300),
			"more.csv": []byte("id,image,video\nnew,a.png,b.mp4\na--C,a.png,b.mp4\nnew,a.png,c.mp4\nlast,a.png,c.mp4\n"),
		}
	}
	for template, want := range map[string][]string{
		"{id}.mp4": {
			`manifest.yaml:7:9: matrix: a.png with b.mp4: id "a--b" is taken by pairs[0] in line 6; give one of them another id`,
			`more.csv:3: id "a--C" is taken by matrix pair a.png with c.mp4; give one of them another id`,
			`more.csv:4: id "new" is taken by DIRmore.csv:2; give one of them another id`,
		},
		"{video}.mp4": {
			`manifest.yaml:7:9: matrix: a.png with b.mp4: id "a--b" is taken by pairs[0] in line 6; give one of them another id`,
			`manifest.yaml:7:9: matrix: a.png with c.mp4: output file "c.mp4" is taken by pairs[0] in line 6; put {id} into output.file`,
			`more.csv:3: id "a--C" is taken by matrix pair a.png with c.mp4; give one of them another id`,
			`more.csv:4: id "new" is taken by DIRmore.csv:2; give one of them another id`,
			`more.csv:5: output file "c.mp4" is taken by pairs[0] in line 6; put {id} into output.file`,
		},
	} {
		dir := folder(t, fmt.Sprintf(text, template), files())
		_, err := plan(t, dir)
		if err == nil {
			t.Fatalf("%s: no error", template)
		}
		var got []string
		for line := range strings.Lines(err.Error()) {
			line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), dir+"/")
			got = append(got, strings.ReplaceAll(line, dir+"/", "DIR"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: problems differ (-want +got):\n%s", template, diff)
		}
	}
}

// Part is the plan of some jobs, with its own estimate.
func TestPart(t *testing.T) {
	p := mustPlan(t, folder(t, mixed, mixedFiles()))
	part, err := p.Part(func(j pipeline.Job) bool { return j.ID == "known" || j.ID == "avi" })
	if err != nil {
		t.Fatal(err)
	}
	all := jobs(t, p)
	if diff := cmp.Diff([]pipeline.Job{all[0], all[3]}, jobs(t, part)); diff != "" {
		t.Errorf("jobs differ (-want +got):\n%s", diff)
	}
	money := all[0].Estimated.Low.Add(all[3].Estimated.Low)
	if e := part.Estimate(); part.Len() != 2 || e.Jobs != 2 || !e.Money.Low.Equal(money) || len(e.ByMode) != 1 {
		t.Errorf("estimate is %+v", e)
	}
	if p.Len() != 4 || len(jobs(t, p)) != 4 {
		t.Error("the whole plan was changed")
	}
	sub, err := part.Part(func(j pipeline.Job) bool { return j.ID == "pro" || j.ID == "avi" })
	if err != nil || sub.Len() != 1 {
		t.Errorf("a part of a part has %d jobs, %v", sub.Len(), err)
	}
}

// FuzzRows compares the reader with encoding/csv: what we accept, it reads the
// same. It never stops the program nor passes with unsafe names.
func FuzzRows(f *testing.F) {
	for _, pattern := range []string{"testdata/rows/*.csv", "testdata/rows/*.jsonl", "testdata/rows/*.txt"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			f.Add(readFile(f, path), strings.HasSuffix(path, ".jsonl"))
		}
	}
	f.Add([]byte("image,video,label:x\nhttps://h/a.png,https://h/b.mp4,\"a \"\"b\"\", c\"\n"), false)
	f.Add([]byte(`{"image":"https://h/a.png","video":"https://h/b.mp4","labels":{"x":"\u00e9"}}`), true)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte, lines bool) {
		m := pipeline.NewManifest()
		m.Name, m.Dir, m.Lane.Region, m.PairsFrom = "fuzz", dir, "beijing", "more.csv"
		if lines {
			m.PairsFrom = "more.jsonl"
		}
		if err := os.WriteFile(filepath.Join(dir, m.PairsFrom), text, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
		var problems *pipeline.ManifestError
		switch {
		case err == nil:
			checkRows(t, p, text, lines)
		case errors.As(err, &problems):
			for _, p := range problems.Problems {
				if line := p.String(); strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
					t.Errorf("a problem holds control characters: %q", line)
				}
			}
		default:
			t.Error(err)
		}
	})
}

// checkRows holds a plan against what a reader of the standard library makes of
// its file.
func checkRows(t *testing.T, p *pipeline.Plan, text []byte, lines bool) {
	all := jobs(t, p)
	listed := &pipeline.Manifest{}
	for _, j := range all {
		listed.Pairs = append(listed.Pairs, pipeline.Pair{ID: j.ID})
	}
	checkSafe(t, listed)
	if lines {
		return
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(text), "\ufeff")))
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("accepted what encoding/csv refuses: %v", err)
	}
	column := func(row []string, name string) string {
		if i := slices.Index(rows[0], name); i >= 0 {
			return row[i]
		}
		return ""
	}
	var want, got []pipeline.Pair
	for _, row := range rows[1:] {
		if strings.Join(row, "") == "" {
			continue
		}
		labels := map[string]string{}
		for i, name := range rows[0] {
			if label, ok := strings.CutPrefix(name, "label:"); ok && row[i] != "" {
				labels[label] = row[i]
			}
		}
		want = append(want, pipeline.Pair{Image: column(row, "image"), Video: column(row, "video"), Mode: pipeline.Mode(column(row, "mode")), Labels: labels})
	}
	for i, j := range all {
		pair := pipeline.Pair{Image: j.Image, Video: j.Video, Mode: j.Mode, Labels: maps.Clone(j.Labels)}
		if i < len(want) && want[i].Mode == "" {
			pair.Mode = ""
		}
		got = append(got, pair)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(pipeline.Pair{}), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("reads other than encoding/csv (-want +got):\n%s", diff)
	}
}
