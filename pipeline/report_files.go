package pipeline

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// Status folds the journal of a batch folder into a report, without network,
// lock or repair, also while a run goes on. It writes nothing.
func Status(folder string) (*Report, error) {
	core := batch.New(batch.Settings{}, nil)
	head, err := readFolder(folder, core)
	if err != nil {
		return nil, err
	}
	return newReport(core, head, folder)
}

// WriteReport is [Status], written to report.json and report.csv in the folder.
func WriteReport(folder string) (*Report, error) {
	r, err := Status(folder)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return r, r.write(root)
}

// writeReports writes the report of a folder that this process holds.
func writeReports(f *folder) (*Report, error) {
	if f.core.Begin() == nil {
		return nil, nil // refused before anything was recorded
	}
	r, err := newReport(f.core, f.log.Head(), f.path)
	if err != nil {
		return nil, err
	}
	return r, r.write(f.root)
}

func (r *Report) write(root *os.Root) error {
	if err := replaceFile(root, "report.json", r.JSON); err != nil {
		return err
	}
	return replaceFile(root, "report.csv", r.CSV)
}

// replaceFile writes a file whole or not at all. It is not synced: a report can
// be written again from the journal.
func replaceFile(root *os.Root, name string, write func(io.Writer) error) error {
	part := name + ".part"
	if err := root.Remove(part); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// JSON writes the report as indented JSON.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// CSV writes one row per job under the names of the JSON form, nested ones with
// a dot, and a column for each label. Cells that a spreadsheet would take for a
// formula are prefixed by an apostrophe.
func (r *Report) CSV(w io.Writer) error {
	labels := r.labelNames()
	out := csv.NewWriter(w)
	header := []string{"batch", "currency", "id", "key", "state", "mode", "lane", "image", "video",
		"task_id", "request_id", "submitted_at", "scheduled_at", "ended_at", "stored_at", "queue_seconds", "run_seconds",
		"usage.video_duration", "usage.video_ratio", "unit_price", "estimated", "billed",
		"file.path", "file.bytes", "file.sha256", "file.duration", "attempts",
		"error.code", "error.message", "error.hint", "error.charged"}
	for _, name := range labels {
		header = append(header, "label:"+name)
	}
	rows := [][]string{header}
	for _, j := range r.Jobs {
		rows = append(rows, append([]string{r.Batch, r.Currency}, j.cells(labels)...))
	}
	for _, row := range rows {
		for i, cell := range row {
			row[i] = inert(cell)
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (r *Report) labelNames() []string {
	return slices.Sorted(maps.Keys(r.Totals.ByLabel))
}

func (r Result) cells(labels []string) []string {
	usage, file, failure := []string{"", ""}, []string{"", "", "", ""}, []string{"", "", "", ""}
	if r.Usage != nil {
		usage = []string{r.Usage.VideoDuration.String(), r.Usage.VideoRatio}
	}
	if r.File != nil {
		file = []string{r.File.Path, strconv.FormatInt(r.File.Bytes, 10), r.File.SHA256, r.File.Duration.String()}
	}
	if e := r.Error; e != nil {
		failure = []string{e.Code, e.Message, e.Hint, ""}
		if e.Charged != nil {
			failure[3] = strconv.FormatBool(*e.Charged)
		}
	}
	row := []string{r.ID, r.Key, r.State, r.Mode, r.Lane, r.Image, r.Video, text(r.TaskID), text(r.RequestID),
		stamp(r.SubmittedAt), stamp(r.ScheduledAt), stamp(r.EndedAt), stamp(r.StoredAt), amount(r.QueueSeconds), amount(r.RunSeconds)}
	row = append(row, usage...)
	row = append(row, r.UnitPrice.String(), r.Estimated.String(), amount(r.Billed))
	row = append(row, file...)
	row = append(row, strconv.Itoa(len(r.Attempts)))
	row = append(row, failure...)
	for _, name := range labels {
		row = append(row, r.Labels[name])
	}
	return row
}

// inert keeps a spreadsheet from running a cell. Numbers are never negative
// here, so no honest number begins like a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		return "'" + cell
	}
	return cell
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

// FolderOf returns the batch folder of a manifest: output joined with its name.
func FolderOf(output string, m *Manifest) string { return filepath.Join(output, m.Name) }
