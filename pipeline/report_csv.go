package pipeline

import (
	"bufio"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// reportColumns are the columns of report.csv before those of the labels. The
// order is part of the format: a new one goes to the end, none is ever moved,
// renamed or removed.
func reportColumns() []string {
	return []string{"batch", "currency", "id", "key", "state", "mode", "lane", "image", "video",
		"task_id", "request_id", "submitted_at", "scheduled_at", "ended_at", "stored_at", "queue_seconds", "run_seconds",
		"usage.video_duration", "usage.video_ratio", "unit_price", "estimated", "billed",
		"file.path", "file.bytes", "file.sha256", "file.duration", "attempts",
		"error.code", "error.message", "error.hint", "error.charged", "reused_from", "file.url"}
}

// CSV writes one row per job under the names of the JSON form, nested ones with
// a dot, and after them a column for each label, by name. What is null in the JSON
// form is an empty cell. No cell can be run by a spreadsheet: an apostrophe stands
// where a formula might begin, and every cell is quoted.
func (r *Report) CSV(w io.Writer) error {
	names := map[string]bool{}
	for _, j := range r.Jobs {
		for name := range j.Labels {
			names[name] = true
		}
	}
	labels := slices.Sorted(maps.Keys(names))
	t := newTable(w)
	t.row(append(reportColumns(), labelColumns(labels)...)...)
	for _, j := range r.Jobs {
		t.row(append([]string{r.Batch, r.Currency}, j.cells(labels)...)...)
	}
	return t.flush()
}

// labelColumns are the names of labels as columns.
func labelColumns(names []string) []string {
	columns := make([]string, len(names))
	for i, name := range names {
		columns[i] = "label:" + name
	}
	return columns
}

func (r Result) cells(labels []string) []string {
	usage, file, failure := []string{"", ""}, []string{"", "", "", ""}, []string{"", "", "", ""}
	url := ""
	if r.Usage != nil {
		usage = []string{r.Usage.VideoDuration.String(), r.Usage.VideoRatio}
	}
	if r.File != nil {
		file = []string{r.File.Path, strconv.FormatInt(r.File.Bytes, 10), r.File.SHA256, r.File.Duration.String()}
		url = text(r.File.URL)
	}
	if e := r.Error; e != nil {
		failure = []string{e.Code, e.Message, e.Hint, ""}
		if e.Charged != nil {
			failure[3] = strconv.FormatBool(*e.Charged)
		}
	}
	row := []string{r.ID, r.ContentKey, string(r.State), r.Mode, r.Lane, r.Image, r.Video, text(r.TaskID), text(r.RequestID),
		stamp(r.SubmittedAt), stamp(r.ScheduledAt), stamp(r.EndedAt), stamp(r.StoredAt), amount(r.QueueSeconds), amount(r.RunSeconds)}
	row = append(row, usage...)
	row = append(row, r.UnitPrice.String(), r.Estimated.String(), amount(r.Billed))
	row = append(row, file...)
	row = append(row, strconv.Itoa(len(r.Attempts)))
	row = append(row, failure...)
	row = append(row, text(r.ReusedFrom))
	row = append(row, url)
	for _, name := range labels {
		row = append(row, r.Labels[name])
	}
	return row
}

// table writes CSV (RFC 4180, with bare line feeds) that is safe to open in a
// spreadsheet. Every cell is quoted, so that no other separator can split one; an
// empty cell is nothing at all, which databases read as null.
type table struct{ w *bufio.Writer }

func newTable(w io.Writer) table { return table{bufio.NewWriter(w)} }

func (t table) row(cells ...string) {
	for i, cell := range cells {
		if i > 0 {
			_ = t.w.WriteByte(',') // flush tells of a failure
		}
		if cell != "" {
			_, _ = t.w.WriteString(`"` + strings.ReplaceAll(neutralizeFormula(cell), `"`, `""`) + `"`)
		}
	}
	_ = t.w.WriteByte('\n')
}

func (t table) flush() error { return t.w.Flush() }

// What makes a spreadsheet run a cell that begins with it, and what it may take for
// the end of a cell, quotes included, where its separator is another than ours.
// The full-width forms count in some languages.
const (
	formulaSigns = "=+-@\t\r\n\x00＝＋－＠"
	cellEnds     = ",;|\t\r\n\""
)

// neutralizeFormula keeps a spreadsheet from running a cell: an apostrophe goes before every
// sign that could begin a formula, at the start and after whatever could be taken
// for the start of another cell. Amounts are never negative here, so no honest
// number is touched.
func neutralizeFormula(cell string) string {
	return guarded(cell, func(b *strings.Builder, sign rune) {
		b.WriteByte('\'')
		b.WriteRune(sign)
	})
}

// guarded returns a text in which write has written each sign that could begin a
// formula.
func guarded(text string, write func(b *strings.Builder, sign rune)) string {
	var b strings.Builder
	begins := true
	for _, r := range text { // bytes that are no UTF-8 become U+FFFD
		if begins && strings.ContainsRune(formulaSigns, r) {
			write(&b, r)
		} else {
			b.WriteRune(r)
		}
		begins = begins && r == ' ' || strings.ContainsRune(cellEnds, r)
	}
	return b.String()
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func amount(d decimal.NullDecimal) string {
	if !d.Valid {
		return ""
	}
	return d.Decimal.String()
}
