package pipeline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// audited is a finished batch of two jobs, one of which took two attempts.
func audited(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, 600, emulator.Options{}, "failed-algo:1")
	r.settled(r.run(r.plan(2, "true")), 2)
	return r
}

func audit(t *testing.T, path string) *pipeline.Findings {
	t.Helper()
	f, err := pipeline.Audit(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wantProven fails the test for each problem.
func wantProven(t *testing.T, path string) *pipeline.Findings {
	t.Helper()
	f := audit(t, path)
	for _, p := range f.Problems {
		t.Errorf("%s: %s (%s)", p.Where, p.Message, p.Hint)
	}
	return f
}

// wantProblem expects exactly one problem at a place, with a word of its story
// and a sentence on what to do.
func wantProblem(t *testing.T, path, where, word string) {
	t.Helper()
	f := audit(t, path)
	if len(f.Problems) != 1 || f.Problems[0].Where != where || !strings.Contains(f.Problems[0].Message, word) || f.Problems[0].Hint == "" {
		t.Errorf("problems %+v, want one at %s with %q", f.Problems, where, word)
	}
}

func TestAuditOfAFinishedBatch(t *testing.T) {
	r := audited(t)
	before := snapshot(t, r.folder())
	f := wantProven(t, r.folder())
	report, err := pipeline.Status(r.folder())
	if err != nil {
		t.Fatal(err)
	}
	want := &pipeline.Findings{Records: report.Journal.Records, Head: report.Journal.Head, Artifacts: 2, Bytes: report.Totals.Bytes,
		Problems: []pipeline.Finding{}, Notes: []pipeline.Finding{}}
	if d := cmp.Diff(want, f); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
	if d := cmp.Diff(before, snapshot(t, r.folder())); d != "" {
		t.Errorf("the audit changed the folder:\n%s", d)
	}
	moved := filepath.Join(r.dir, "archive")
	if err := os.Rename(r.folder(), moved); err != nil {
		t.Fatal(err)
	}
	wantProven(t, moved)
}

// Whatever way a batch ended, its folder is proven: the report carries the
// command that settles a quarantine, with the folder as the run was given it.
func TestAuditOfUnfinishedBatches(t *testing.T) {
	t.Run("quarantined", func(t *testing.T) {
		r := newRig(t, 600, emulator.Options{}, "lost-reply:2")
		if report := r.run(r.plan(3, "false")); report.Totals.Quarantined != 1 {
			t.Fatalf("totals %+v", report.Totals)
		}
		wantProven(t, r.folder())
		t.Chdir(r.folder())
		wantProven(t, ".")
		if _, err := pipeline.Resolve(".", "job-001", pipeline.Abandon, ""); err != nil {
			t.Fatal(err)
		}
		wantProven(t, r.folder())
	})
	t.Run("canceled", func(t *testing.T) {
		r, _ := slowRig(t)
		r.leave(r.plan(3, "true"), onRunning(3))
		wantProven(t, r.folder())
		r.cancel()
		wantProven(t, r.folder())
	})
	for _, v := range []pipeline.Verdict{pipeline.Resubmit, pipeline.Abandon} {
		t.Run(string(v), func(t *testing.T) {
			r := newRig(t, 600, emulator.Options{}, "lost-reply:1")
			r.run(r.plan(2, "false"))
			if _, err := pipeline.Resolve(r.folder(), "job-000", v, ""); err != nil {
				t.Fatal(err)
			}
			r.run(r.plan(2, "false"))
			wantProven(t, r.folder())
		})
	}
	for _, fault := range []string{"missing-usage", "failed-algo:50%", "lost-reply:30%", "lost-request:30%", "create-429:40%", "failed-input:1"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 600, emulator.Options{}, fault)
			r.run(r.plan(6, "true"))
			wantProven(t, r.folder())
		})
	}
	t.Run("lost", func(t *testing.T) {
		r := newRig(t, 600, emulator.Options{}, "expired-url")
		if report := r.run(r.plan(1, "true")); report.Totals.Lost != 1 {
			t.Fatalf("totals %+v", report.Totals)
		}
		wantProven(t, r.folder())
	})
	t.Run("changed", func(t *testing.T) {
		r := newRig(t, 600, emulator.Options{})
		r.run(r.plan(2, "true"))
		r.run(r.plan(2, "true", func(m *pipeline.Manifest) {
			m.Pairs[1].Mode, m.Output.File = pipeline.ModePro, "{id}-{mode}.mp4"
		}), func(c *pipeline.Config) { c.AcceptChanges = true })
		wantProven(t, r.folder())
	})
}

// An audit beside a run finds nothing wrong, whenever it looks.
func TestAuditBesideARun(t *testing.T) {
	r := newRig(t, 2000, emulator.Options{})
	plan, cfg := r.plan(12, "true"), r.config()
	begun, done := make(chan struct{}), make(chan error, 1)
	once := sync.OnceFunc(func() { close(begun) })
	cfg.OnEvent = func(pipeline.Event) { once() }
	go func() {
		_, err := pipeline.Run(t.Context(), plan, cfg)
		done <- err
	}()
	<-begun
	for audits := 1; ; audits++ {
		wantProven(t, r.folder())
		select {
		case err := <-done:
			if err != nil || audits < 5 {
				t.Errorf("%d audits, run: %v", audits, err)
			}
			wantProven(t, r.folder())
			return
		default:
		}
	}
}

// The journal may have grown since the report was written, and may end in a torn
// record: neither is damage.
func TestAuditAfterACrash(t *testing.T) {
	r := audited(t)
	report, sheet := read(t, r.folder(), "report.json"), read(t, r.folder(), "report.csv")
	r.run(r.plan(3, "true"))
	write(t, r.folder(), "report.json", report)
	write(t, r.folder(), "report.csv", sheet)
	write(t, r.folder(), "journal.jsonl", read(t, r.folder(), "journal.jsonl")+`{"seq":99,"sum":"0`)
	write(t, r.folder(), "videos/job-000.mp4.tag.part", "x")
	f := wantProven(t, r.folder())
	if len(f.Notes) != 2 || !strings.Contains(f.Notes[0].Message, "crash") || f.Notes[1].Where != "videos/job-000.mp4.tag.part" {
		t.Errorf("notes %+v", f.Notes)
	}
	if !strings.HasSuffix(read(t, r.folder(), "journal.jsonl"), `"0`) {
		t.Error("the audit repaired the journal")
	}
}

// Each kind of change is named at its place.
func TestAuditNamesTheChange(t *testing.T) {
	r := audited(t)
	clean := snapshot(t, r.folder())
	lines := strings.SplitAfter(strings.TrimSuffix(clean["journal.jsonl"], "\n"), "\n")
	tests := []struct {
		name        string
		change      func()
		where, word string
	}{
		{"a byte of a video", func() { flip(t, r.folder(), "videos/job-001.mp4", 8*100) }, "videos/job-001.mp4", "other bytes"},
		{"a video's end", func() { write(t, r.folder(), "videos/job-000.mp4", clean["videos/job-000.mp4"][1:]) }, "videos/job-000.mp4", "bytes, not"},
		{"a missing video", func() { remove(t, r.folder(), "videos/job-000.mp4") }, "videos/job-000.mp4", "missing"},
		{"a link instead of a video", func() {
			remove(t, r.folder(), "videos/job-000.mp4")
			if err := os.Symlink("job-001.mp4", filepath.Join(r.folder(), "videos/job-000.mp4")); err != nil {
				t.Fatal(err)
			}
		}, "videos/job-000.mp4", "regular"},
		{"a stray video", func() { write(t, r.folder(), "videos/more/x.mp4", "x") }, "videos/more/x.mp4", "does not know"},
		{"a number of the report", func() {
			write(t, r.folder(), "report.json", strings.Replace(clean["report.json"], `"billed_max": "0.768"`, `"billed_max": "0.768001"`, 1))
		}, "report.json: totals.billed_max", `"0.768001", the journal says "0.768"`},
		{"a field of a job", func() {
			write(t, r.folder(), "report.json", strings.Replace(clean["report.json"], `"mode": "wan-std"`, `"mode": "wan-pro"`, 1))
		}, "report.json: jobs[job-000].mode", "wan-pro"},
		{"a field too many", func() {
			write(t, r.folder(), "report.json", strings.Replace(clean["report.json"], `"complete": true`, `"complete": true, "paid": true`, 1))
		}, "report.json: paid", "nothing"},
		{"the spacing of the report", func() { write(t, r.folder(), "report.json", clean["report.json"]+"\n") }, "report.json", "text"},
		{"the report's head", func() {
			write(t, r.folder(), "report.json", strings.Replace(clean["report.json"], `"head": "`, `"head": "0`, 1))
		}, "report.json: journal", "hash"},
		{"no report", func() { remove(t, r.folder(), "report.json") }, "report.json", "missing"},
		{"no JSON", func() { write(t, r.folder(), "report.json", "{") }, "report.json", "not a report"},
		{"a cell of the table", func() {
			write(t, r.folder(), "report.csv", strings.Replace(clean["report.csv"], `,"0.384",`, `,"0.38",`, 1))
		}, "report.csv: line 2, estimated", "0.38"},
		{"a row of the table", func() {
			write(t, r.folder(), "report.csv", clean["report.csv"][:strings.LastIndex(strings.TrimSpace(clean["report.csv"]), "\n")+1])
		}, "report.csv", "2 lines"},
		{"no table", func() { remove(t, r.folder(), "report.csv") }, "report.csv", "missing"},
		{"a number of the page", func() {
			write(t, r.folder(), "report.html", strings.Replace(clean["report.html"], `"billed_max":"0.768"`, `"billed_max":"0.7"`, 1))
		}, "report.html: totals.billed_max", `"0.7", the journal says "0.768"`},
		{"the page's head", func() {
			write(t, r.folder(), "report.html", strings.Replace(clean["report.html"], `"head":"`, `"head":"0`, 1))
		}, "report.html: journal", "hash"},
		{"no report in the page", func() { write(t, r.folder(), "report.html", "<h1>billed 0.1</h1>") }, "report.html", "holds no report"},
		{"the journal's last line", func() {
			write(t, r.folder(), "journal.jsonl", strings.Join(lines[:len(lines)-1], ""))
			write(t, r.folder(), "report.csv", clean["report.csv"])
		}, "report.json: journal", "tail was cut off"},
		{"a line in the middle", func() {
			remove(t, r.folder(), "report.json")
			remove(t, r.folder(), "report.csv")
			write(t, r.folder(), "journal.jsonl", strings.Join(slices.Delete(slices.Clone(lines), 4, 5), "")+"\n")
		}, "journal.jsonl:5", "removed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			restore(t, r.folder(), clean)
			tt.change()
			if tt.name == "a line in the middle" || tt.name == "the journal's last line" {
				wantAmong(t, r.folder(), tt.where, tt.word)
				return
			}
			wantProblem(t, r.folder(), tt.where, tt.word)
		})
	}
}

// Another version of the program frames the same report otherwise, and an older
// one wrote no page at all: told, but no problem.
func TestAuditOfAPageFromElsewhere(t *testing.T) {
	r := audited(t)
	page := read(t, r.folder(), "report.html")
	write(t, r.folder(), "report.html", strings.Replace(page, "<h1", "<h2", 1))
	f := wantProven(t, r.folder())
	if len(f.Notes) != 1 || f.Notes[0].Where != "report.html" || !strings.Contains(f.Notes[0].Message, "another version") {
		t.Errorf("notes %+v", f.Notes)
	}
	remove(t, r.folder(), "report.html")
	if f := wantProven(t, r.folder()); len(f.Notes) != 1 || !strings.Contains(f.Notes[0].Message, "missing") {
		t.Errorf("notes %+v", f.Notes)
	}
	if _, err := pipeline.WriteReport(r.folder()); err != nil {
		t.Fatal(err)
	}
	if read(t, r.folder(), "report.html") != page {
		t.Error("the same journal gave another page")
	}
}

// wantAmong expects a problem at a place among others.
func wantAmong(t *testing.T, path, where, word string) {
	t.Helper()
	f := audit(t, path)
	if !slices.ContainsFunc(f.Problems, func(p pipeline.Finding) bool { return p.Where == where && strings.Contains(p.Message, word) }) {
		t.Errorf("problems %+v, want one at %s with %q", f.Problems, where, word)
	}
}

// Many differences are bounded, and all kinds of problems are told at once.
func TestAuditTellsAllAtOnce(t *testing.T) {
	r := audited(t)
	write(t, r.folder(), "report.json", strings.ReplaceAll(read(t, r.folder(), "report.json"), "0", "1"))
	write(t, r.folder(), "report.csv", "a,b\n")
	flip(t, r.folder(), "videos/job-001.mp4", 77)
	write(t, r.folder(), "videos/x.mp4", "x")
	f := audit(t, r.folder())
	var files []string
	for _, p := range f.Problems {
		file, _, _ := strings.Cut(p.Where, ":")
		files = append(files, file)
	}
	if d := cmp.Diff([]string{"report.json", "report.csv", "videos/job-001.mp4", "videos/x.mp4"}, slices.Compact(files)); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
	if len(f.Problems) > 45 {
		t.Errorf("%d problems", len(f.Problems))
	}
}

// A damaged journal says nothing about the report: one line about each.
func TestAuditOfADamagedJournal(t *testing.T) {
	r := audited(t)
	lines := strings.SplitAfter(read(t, r.folder(), "journal.jsonl"), "\n")
	write(t, r.folder(), "journal.jsonl", strings.Join(slices.Delete(lines, 4, 5), ""))
	wantProblem(t, r.folder(), "journal.jsonl:5", "removed")
	f := audit(t, r.folder())
	if len(f.Notes) != 1 || f.Notes[0].Where != "report.json" || !strings.Contains(f.Notes[0].Message, "not compared") {
		t.Errorf("notes %+v", f.Notes)
	}
}

func TestAuditNeedsABatch(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "nowhere")} {
		if f, err := pipeline.Audit(path); !errors.Is(err, pipeline.ErrUsage) {
			t.Errorf("%s: %+v, %v", path, f, err)
		}
	}
	write(t, dir, "journal.jsonl", "") // the trace of a crash before anything was recorded
	if f := wantProven(t, dir); f.Records != 0 {
		t.Errorf("findings %+v", f)
	}
}

// Findings are for programs too: never null, always three texts.
func TestFindingsAsJSON(t *testing.T) {
	r := audited(t)
	text, err := json.Marshal(audit(t, r.folder()))
	if err != nil || !strings.Contains(string(text), `"problems":[],"notes":[]`) {
		t.Errorf("%s, %v", text, err)
	}
}

// snapshot reads all files of a folder but locks.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, pattern := range []string{"*.*", "videos/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.ToSlash(rel)] = read(t, dir, rel)
		}
	}
	return files
}

// restore makes a folder what it was, videos included.
func restore(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, "videos")); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		write(t, dir, name, text)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit of a file.
func flip(t *testing.T, dir, name string, bit int) {
	t.Helper()
	text := []byte(read(t, dir, name))
	text[bit/8] ^= 1 << (bit % 8)
	write(t, dir, name, string(text))
}

// A batch that was killed before its first report is no damage: the report is yet to
// be written, and everything else is proven.
func TestAuditBeforeTheFirstReport(t *testing.T) {
	r := audited(t)
	lines := strings.SplitAfter(read(t, r.folder(), "journal.jsonl"), "\n")
	if closed := lines[len(lines)-2]; !strings.Contains(closed, `"closed"`) {
		t.Fatalf("the journal ends with %s", closed)
	}
	wantNote := func(where, word string) *pipeline.Findings {
		t.Helper()
		f := wantProven(t, r.folder())
		if len(f.Notes) == 0 || f.Notes[0].Where != where || !strings.Contains(f.Notes[0].Message, word) || !strings.Contains(f.Notes[0].Hint, "wanbatch report") {
			t.Errorf("notes %+v, want %q of %s", f.Notes, word, where)
		}
		return f
	}
	remove(t, r.folder(), "report.html")
	remove(t, r.folder(), "report.csv") // the one that is written second
	wantNote("report.html", "missing")
	remove(t, r.folder(), "report.json")
	wantNote("report.json", "after its last record")
	write(t, r.folder(), "journal.jsonl", strings.Join(lines[:len(lines)-2], ""))
	f := wantNote("report.json", "no report yet")
	if len(f.Notes) != 1 {
		t.Errorf("notes %+v", f.Notes)
	}
	if f.Artifacts != 2 {
		t.Errorf("%d videos are proven", f.Artifacts)
	}
	flip(t, r.folder(), "videos/job-001.mp4", 77)
	wantProblem(t, r.folder(), "videos/job-001.mp4", "other bytes")
}

// A run that is killed between the files of its report leaves an earlier table, and an
// earlier page. Such a table is no damage, one of no report is.
func TestAuditBetweenTheFilesOfAReport(t *testing.T) {
	r := audited(t)
	earlier := snapshot(t, r.folder())
	r.run(r.plan(3, "true"))
	for _, name := range []string{"report.csv", "report.html"} {
		write(t, r.folder(), name, earlier[name])
	}
	f := wantProven(t, r.folder())
	if len(f.Notes) != 1 || f.Notes[0].Where != "report.csv" || !strings.Contains(f.Notes[0].Message, "earlier") {
		t.Errorf("notes %+v", f.Notes)
	}
	write(t, r.folder(), "report.csv", strings.Replace(earlier["report.csv"], `"job-000"`, `"job-007"`, 1))
	wantAmong(t, r.folder(), "report.csv: line 2, id", "")
	for _, name := range []string{"report.json", "report.csv", "report.html"} {
		remove(t, r.folder(), name)
	}
	wantAmong(t, r.folder(), "report.json", "missing") // of two runs that ended, one wrote a report
}

// A report of an older program is proven as far as that program knew, and called what
// it is; one of a newer program is neither proven nor damaged.
func TestAuditOfAnOlderReport(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "lost-reply:2")
	r.run(r.plan(2, "false"))
	wantProven(t, r.folder())
	older := snapshot(t, r.folder())
	for name, changes := range map[string][]string{
		"report.json": {`\n  "revision": \d+,`, "", `\s+"mode": "[a-z-]+",\s+"labels": {},`, "", `(?s),\s+"commands": \[[^]]*\]`, "", `"hint": "wanbatch`, `"hint": "animate`},
		"report.html": {`"revision":\d+,`, "", `"mode":"[a-z-]+","labels":{},`, "", `,"commands":\[[^]]*\]`, "", `"hint":"wanbatch`, `"hint":"animate`},
		"report.csv":  {`,"file.url"`, "", `(?m),$`, "", `"wanbatch resolve`, `"animate resolve`},
	} {
		for ; len(changes) > 0; changes = changes[2:] {
			text := regexp.MustCompile(changes[0]).ReplaceAllString(older[name], changes[1])
			if text == older[name] {
				t.Fatalf("%s has no %s", name, changes[0])
			}
			older[name] = text
		}
	}
	restore(t, r.folder(), older)
	f := wantProven(t, r.folder())
	var files []string
	for _, n := range f.Notes {
		files = append(files, n.Where)
		if !strings.Contains(n.Message, "older wanbatch") || !strings.Contains(n.Hint, "wanbatch report") {
			t.Errorf("note %+v", n)
		}
	}
	if d := cmp.Diff([]string{"report.json", "report.html", "report.csv"}, files); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
	for _, tt := range []struct{ file, from, to, where string }{
		{"report.json", `"billed_max": "`, `"billed_max": "1`, "report.json: totals.billed_max"},
		{"report.json", `"complete": `, `"paid": true, "complete": `, "report.json: paid"},
		{"report.json", `"jobs": 2,`, ``, "report.json: totals.jobs"},
		{"report.json", `"version": 1,`, `"version": 1, "revision": 99,`, "report.json: revision"},
		{"report.html", `"billed_max":"`, `"billed_max":"1`, "report.html: totals.billed_max"},
		{"report.csv", `"job-000"`, `"job-007"`, "report.csv: line 2, id"},
		{"report.csv", `"state"`, `"stage"`, "report.csv: line 1, state"},
	} {
		restore(t, r.folder(), older)
		write(t, r.folder(), tt.file, strings.Replace(older[tt.file], tt.from, tt.to, 1))
		wantAmong(t, r.folder(), tt.where, "")
	}
	if _, err := pipeline.WriteReport(r.folder()); err != nil {
		t.Fatal(err)
	}
	if f := wantProven(t, r.folder()); len(f.Notes) != 0 {
		t.Errorf("notes %+v", f.Notes)
	}
}

// Whoever adds a field to the report raises its revision and enters the field there.
func TestReportRevision(t *testing.T) {
	is := append([]string{fmt.Sprintf("revision %d", pipeline.ReportRevision)}, fieldsOf(reflect.TypeFor[pipeline.Report](), "")...)
	was := strings.Split(strings.TrimSpace(read(t, "testdata", "report-fields.txt")), "\n")
	if d := cmp.Diff(was, is); d != "" {
		t.Errorf("the report has other fields: raise reportRevision, enter the new ones in fieldsSince, and take over (-was +is):\n%s", d)
	}
}

// fieldsOf lists the fields of a type's JSON form.
func fieldsOf(of reflect.Type, at string) (names []string) {
	switch {
	case of.Implements(reflect.TypeFor[json.Marshaler]()):
		return []string{at}
	case of.Kind() == reflect.Pointer:
		return fieldsOf(of.Elem(), at)
	case of.Kind() == reflect.Slice:
		return fieldsOf(of.Elem(), at+"[]")
	case of.Kind() == reflect.Map:
		return fieldsOf(of.Elem(), at+"{}")
	case of.Kind() != reflect.Struct:
		return []string{at}
	}
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous {
			names = append(names, fieldsOf(f.Type, at)...)
			continue
		}
		names = append(names, fieldsOf(f.Type, strings.TrimPrefix(at+"."+name, "."))...)
	}
	return names
}
