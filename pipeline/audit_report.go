package pipeline

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

const (
	reportJSON = "report.json"
	reportCSV  = "report.csv"
	reportHTML = "report.html"

	writeReportAgain = "wanbatch report writes it anew from the journal"
	cutJournal       = "put an intact copy of the journal back; if the report is what was changed, " + writeReportAgain
)

// auditReports proves report.json, report.csv and report.html against the journal
// as it was when they were written: it may have grown since.
func (a *auditor) auditReports() {
	if a.damaged { // wanbatch report refuses such a journal, so no advice about a report would help
		a.note(reportJSON, "audit again when the journal is whole", "not compared with the damaged journal, and neither are "+reportCSV+" and "+reportHTML)
		return
	}
	if a.core.Begin() == nil {
		return // no run came as far as a report
	}
	if a.firstReport() && a.without(reportJSON, reportCSV, reportHTML) {
		what := "there is no report yet"
		if a.ended > 0 {
			what = "there is no report: the run was killed after its last record, or the report was removed"
		}
		a.note(reportJSON, "nothing: wanbatch run or wanbatch report writes it", what+", so nothing vouches for the end of the journal")
		return
	}
	var want *Report
	revision := reportRevision
	text, ok := a.reportText(reportJSON)
	if ok {
		want, revision = a.auditJSON(text)
	}
	page := a.auditPage(want)
	if want == nil { // the table is then compared with the journal as it is
		want, _ = newReport(a.core, a.head, a.path) // no error: there is a begin
	}
	if ok && a.firstReport() && a.without(reportCSV, reportHTML) { // report.json is written first
		a.note(reportCSV, writeReportAgain, "it is missing")
		return
	}
	table, ok := a.reportText(reportCSV)
	switch {
	case !ok:
	case page != nil && page.Journal != want.Journal && bytes.Equal(table, encoded(page.CSV)):
		a.note(reportCSV, writeReportAgain, "it is that of an earlier report, as "+reportHTML+" is: a run was killed between them")
	default:
		a.auditCSV(table, want, revision)
	}
}

// firstReport reports whether the first report may be yet to be written, or be written
// in part: all runs so far were killed before they had, the last one perhaps just before.
func (a *auditor) firstReport() bool { return a.ended <= 1 && !a.held }

// without reports whether none of these files is there.
func (a *auditor) without(names ...string) bool {
	for _, name := range names {
		if !errors.Is(a.files[name].err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// reportFile is what reading a file of the report gave.
type reportFile struct {
	text []byte
	err  error
}

func (a *auditor) readReports() {
	a.files = map[string]reportFile{}
	for _, name := range []string{reportJSON, reportCSV, reportHTML} {
		text, err := a.root.ReadFile(name)
		a.files[name] = reportFile{text, err}
	}
}

func (a *auditor) reportText(name string) ([]byte, bool) {
	text, err := a.files[name].text, a.files[name].err
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.held:
		a.note(name, "nothing: its run writes it at the end", "it is missing, so nothing vouches for the end of the journal yet")
	case errors.Is(err, fs.ErrNotExist):
		a.problem(name, writeReportAgain, "it is missing, so nothing vouches for the end of the journal")
	case err != nil:
		a.problem(name, "make it readable", "%v", err)
	}
	return text, err == nil
}

// auditJSON compares report.json with the fold of the journal at the head that
// it carries, which is returned with the report's revision; nil if there is no such
// fold.
func (a *auditor) auditJSON(text []byte) (*Report, int) {
	var got Report
	if err := json.Unmarshal(text, &got); err != nil {
		a.problem(reportJSON, writeReportAgain, "it is not a report: %v", err)
		return nil, reportRevision
	}
	want, err := a.reportAt(got.Journal, commandFolder(&got))
	if err != nil {
		a.problem(reportJSON+": journal", cutJournal, "%v", err)
		return nil, got.Revision
	}
	expected := encoded(want.JSON)
	if bytes.Equal(text, expected) {
		return want, reportRevision
	}
	d := &mismatch{auditor: a, file: reportJSON, revision: got.Revision}
	d.json("", parsed(text), parsed(expected))
	d.end()
	return want, got.Revision
}

// reportAt is the report as the journal gave it when it had this head.
func (a *auditor) reportAt(at JournalHead, folder string) (*Report, error) {
	if at.Records < 1 || at.Records > a.head.Records {
		return nil, fmt.Errorf("it was made from %d records, of which the journal has %d intact: its tail was cut off, or the report changed",
			at.Records, a.head.Records)
	}
	f, err := a.root.Open(journalName)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing can be lost
	core := batch.New(batch.Settings{}, nil)
	head, _, err := journal.Replay(&firstLines{bufio.NewReader(f), at.Records}, replayInto(core))
	if err != nil {
		return nil, fmt.Errorf("it rests on records that prove nothing: %w", err)
	}
	if head.Hash != at.Head {
		return nil, fmt.Errorf("the journal's record %d has another hash: its tail was written anew, or the report changed", at.Records)
	}
	return newReport(core, head, folder)
}

// firstLines reads the first lines of a file and no more.
type firstLines struct {
	from *bufio.Reader
	left int64
}

func (l *firstLines) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, io.EOF
	}
	n, err := l.from.Read(p)
	for i, c := range p[:n] {
		if c != '\n' {
			continue
		}
		if l.left--; l.left == 0 {
			return i + 1, nil
		}
	}
	return n, err
}

// commandFolder is the folder as the report's own commands name it: it depends on
// where the run was started, which no record tells. "" if no command does.
func commandFolder(r *Report) string {
	for _, j := range r.Jobs {
		if j.Error != nil && len(j.Error.Commands) > 0 {
			return resolveFolder(j.Error.Commands[0])
		}
	}
	return ""
}

// auditPage proves the report in report.html, which is the page's only source of
// what it shows, at the head that it carries. Without the page nothing is missing:
// report.json vouches for the journal. want is the fold at the head that report.json
// carries, nil if there is none; returned is that at the page's own head, nil if there is
// none.
func (a *auditor) auditPage(want *Report) *Report {
	page, err := a.files[reportHTML].text, a.files[reportHTML].err
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.held:
		return nil // its run writes it at the end
	case errors.Is(err, fs.ErrNotExist):
		a.note(reportHTML, writeReportAgain, "it is missing")
		return nil
	case err != nil:
		a.problem(reportHTML, "make it readable", "%v", err)
		return nil
	}
	var got Report
	text := pageReport(page)
	if err := json.Unmarshal(text, &got); err != nil {
		a.problem(reportHTML, writeReportAgain, "it holds no report: %v", err)
		return nil
	}
	if want == nil || want.Journal != got.Journal {
		if want, err = a.reportAt(got.Journal, commandFolder(&got)); err != nil {
			a.problem(reportHTML+": journal", cutJournal, "%v", err)
			return nil
		}
	}
	expected := encoded(want.HTML)
	if bytes.Equal(page, expected) {
		return want
	}
	if bytes.Equal(bytes.TrimSpace(text), bytes.TrimSpace(pageReport(expected))) {
		a.note(reportHTML, writeReportAgain, "its report is right, but the page around it is not what this wanbatch writes: another version did, or somebody changed it")
		return want
	}
	d := &mismatch{auditor: a, file: reportHTML, revision: got.Revision}
	d.json("", parsed(text), parsed(pageReport(expected)))
	d.end()
	return want
}

// auditCSV compares report.csv with the same fold, cell by cell.
func (a *auditor) auditCSV(text []byte, want *Report, revision int) {
	expected := encoded(want.CSV)
	if bytes.Equal(text, expected) {
		return
	}
	d := &mismatch{auditor: a, file: reportCSV, revision: revision}
	got, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		a.problem(reportCSV, writeReportAgain, "it is not a table of this form: %v", err)
		return
	}
	rows, _ := csv.NewReader(bytes.NewReader(expected)).ReadAll() // no error: it was just written
	if d.older() && len(got) > 0 {
		rows = knownColumns(rows, got[0])
	}
	if len(got) != len(rows) {
		d.add("", fmt.Sprintf("%d lines", len(got)), fmt.Sprintf("%d", len(rows)))
	}
	for i := range min(len(got), len(rows)) {
		d.row(i+1, rows[0], got[i], rows[i])
	}
	d.end()
}

// knownColumns are the columns of a table that an older program knew, given the header
// that it wrote: a new column goes to the end of those before the labels.
func knownColumns(rows [][]string, header []string) [][]string {
	all := len(reportColumns())
	known := slices.IndexFunc(header, func(name string) bool { return strings.HasPrefix(name, "label:") })
	if known < 0 {
		known = len(header)
	}
	var cut [][]string
	for _, row := range rows {
		cut = append(cut, slices.Concat(row[:min(known, all)], row[all:]))
	}
	return cut
}

func encoded(write func(io.Writer) error) []byte {
	var b bytes.Buffer
	_ = write(&b) // no error: a buffer takes everything
	return b.Bytes()
}

// parsed reads JSON that was read before, keeping numbers as they are spelled.
func parsed(text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	_ = d.Decode(&v)
	return v
}

// mostDifferences is how many of one file are named.
const mostDifferences = 20

// mismatch names where a file differs from what it should be.
type mismatch struct {
	*auditor
	file     string
	revision int // of the report
	n        int
}

// older reports whether an older program wrote the file.
func (d *mismatch) older() bool { return d.revision < reportRevision }

// inSentences are the fields that a program writes in its own words, which others may
// put otherwise.
var inSentences = []string{"note", "jobs[].error.message", "jobs[].error.hint", "error.message", "error.hint"}

var listElement = regexp.MustCompile(`\[[^\]]*\]`)

// unknown reports whether an older program could not write what this one does at a
// place: the field came later, or is in sentences.
func (d *mismatch) unknown(at string, there bool) bool {
	at = listElement.ReplaceAllString(at, "[]")
	return d.older() && (!there && fieldsSince[at] > d.revision || slices.Contains(inSentences, at))
}

func (d *mismatch) add(at, got, want string) {
	if d.n++; d.n <= mostDifferences {
		where := d.file
		if at != "" {
			where += ": " + at
		}
		d.problem(where, writeReportAgain, "it says %s, the journal says %s", got, want)
	}
}

// end tells what was not named.
func (d *mismatch) end() {
	switch {
	case d.n == 0 && d.older():
		d.note(d.file, writeReportAgain, "an older wanbatch wrote it; all that it knew is right")
	case d.n == 0:
		d.problem(d.file, writeReportAgain, "its values are right, but its text is not what wanbatch writes")
	case d.n > mostDifferences:
		d.problem(d.file, writeReportAgain, "it differs in %d more places", d.n-mostDifferences)
	}
}

func (d *mismatch) json(at string, got, want any) {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			d.object(at, g, w)
			return
		}
	case []any:
		if g, ok := got.([]any); ok && len(g) == len(w) {
			for i := range w {
				d.json(fmt.Sprintf("%s[%s]", at, element(i, w[i])), g[i], w[i])
			}
			return
		}
	}
	if g, w := shortJSON(got), shortJSON(want); g != w {
		d.add(at, g, w)
	}
}

func (d *mismatch) object(at string, got, want map[string]any) {
	both := maps.Clone(want)
	maps.Copy(both, got)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		g, inGot := got[name]
		w, inWant := want[name]
		path := strings.TrimPrefix(at+"."+name, ".")
		switch {
		case d.unknown(path, inGot):
		case path == "revision" && d.revision > reportRevision:
			d.n++
			d.problem(d.file+": "+path, "audit it with the wanbatch that wrote it, or a newer one", "it is %d, and this wanbatch knows reports up to %d",
				d.revision, reportRevision)
		case !inWant:
			d.add(path, shortJSON(g), "nothing of it")
		case !inGot:
			d.add(path, "nothing of it", shortJSON(w))
		default:
			d.json(path, g, w)
		}
	}
}

// element names one of a list: by its id if it has one.
func element(i int, v any) string {
	if object, ok := v.(map[string]any); ok {
		if id, ok := object["id"].(string); ok {
			return id
		}
	}
	return fmt.Sprint(i)
}

// shortJSON is a value as a message can show it.
func shortJSON(v any) string {
	switch v := v.(type) {
	case []any:
		return fmt.Sprintf("a list of %d", len(v))
	case map[string]any:
		return fmt.Sprintf("an object of %d", len(v))
	}
	text, _ := json.Marshal(v) // no error: it was just parsed
	return string(text)
}

func (d *mismatch) row(line int, header, got, want []string) {
	for i, name := range header {
		switch {
		case d.unknown(name, i < len(got)):
		case i >= len(got):
			d.add(fmt.Sprintf("line %d, %s", line, name), "nothing", fmt.Sprintf("%q", want[i]))
		case got[i] != want[i]:
			d.add(fmt.Sprintf("line %d, %s", line, name), fmt.Sprintf("%q", got[i]), fmt.Sprintf("%q", want[i]))
		}
	}
}
