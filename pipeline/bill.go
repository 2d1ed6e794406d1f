package pipeline

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"

	"github.com/shopspring/decimal"
)

// Bill is many batches in one: who is billed how much for which month. Like each
// report it counts confirmed usage at list price, exact. Amounts in different
// currencies are never added. The JSON form is version 1 of a public format, under
// the same rule as that of [Report].
type Bill struct {
	Version int         `json:"version"`
	Note    string      `json:"note"`
	Batches []BillBatch `json:"batches"` // as they were given
	Labels  []string    `json:"labels"`  // the names that the lines are told apart by
	Lines   []BillLine  `json:"lines"`   // by month, then currency, labels, model and mode
	Totals  []BillTotal `json:"totals"`  // one for each currency
}

// BillBatch is one of the batches in a bill.
type BillBatch struct {
	Batch    string      `json:"batch"`
	Journal  JournalHead `json:"journal"`
	Complete bool        `json:"complete"` // if not, its bill may grow
	BillTotal
}

// BillLine is a group of tasks. Every billed task is in exactly one, so the lines of
// one currency add up to its total.
type BillLine struct {
	Month    string            `json:"month"` // the provider's, in UTC+8: "2026-10"
	Labels   map[string]string `json:"labels"`
	Model    string            `json:"model"`
	Mode     string            `json:"mode"`
	Currency string            `json:"currency"`
	Tasks    int               `json:"tasks"`
	Sum
}

// BillTotal is what is billed in one currency.
type BillTotal struct {
	Currency string `json:"currency"`
	Tasks    int    `json:"tasks"`
	Sum
	BilledMax decimal.Decimal `json:"billed_max"` // Billed plus all that may have been billed besides
}

// NewBill adds up the reports of some batches. Its lines are told apart by the given
// labels, or by all that any job has. An error that matches [ErrUsage] says that a
// task is in two of the reports.
func NewBill(reports []*Report, labels []string) (*Bill, error) {
	all, err := charges(reports)
	if err != nil {
		return nil, err
	}
	b := &Bill{Version: 1, Note: reportNote, Batches: []BillBatch{}, Labels: labels, Lines: []BillLine{}, Totals: []BillTotal{}}
	if labels == nil {
		b.Labels = labelNames(reports)
	}
	tasks := map[*Report]int{}
	lines := map[string]*BillLine{}
	for _, c := range all {
		tasks[c.report]++
		b.count(lines, c)
	}
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		b.Lines = append(b.Lines, *lines[key])
	}
	totals := map[string]BillTotal{}
	for _, r := range reports {
		part := BillTotal{Currency: r.Currency, Tasks: tasks[r], Sum: r.Totals.Sum, BilledMax: r.Totals.BilledMax}
		b.Batches = append(b.Batches, BillBatch{r.Batch, r.Journal, r.Complete, part})
		totals[r.Currency] = totals[r.Currency].plus(part)
	}
	b.Totals = slices.SortedFunc(maps.Values(totals), func(x, y BillTotal) int { return cmp.Compare(x.Currency, y.Currency) })
	return b, nil
}

func labelNames(reports []*Report) []string {
	names := map[string]bool{}
	for _, r := range reports {
		for name := range r.Totals.ByLabel {
			names[name] = true
		}
	}
	return append([]string{}, slices.Sorted(maps.Keys(names))...)
}

// count adds a charge to its line. Keys sort as the lines shall.
func (b *Bill) count(lines map[string]*BillLine, c charge) {
	month := c.month().Format("2006-01")
	labels := map[string]string{}
	key := month + c.report.Currency
	for _, name := range b.Labels {
		value, has := c.attempt.Labels[name]
		if has {
			labels[name] = value
		}
		key += strconv.FormatBool(has) + strconv.Quote(value)
	}
	key += strconv.Quote(c.report.Model) + strconv.Quote(c.attempt.Mode)
	line := lines[key]
	if line == nil {
		line = &BillLine{Month: month, Labels: labels, Model: c.report.Model, Mode: c.attempt.Mode, Currency: c.report.Currency}
		lines[key] = line
	}
	line.Tasks++
	line.Sum = line.plus(Sum{c.attempt.Seconds.Decimal, c.attempt.Billed.Decimal})
}

func (t BillTotal) plus(o BillTotal) BillTotal {
	return BillTotal{o.Currency, t.Tasks + o.Tasks, t.Sum.plus(o.Sum), t.BilledMax.Add(o.BilledMax)}
}

// JSON writes the bill as indented JSON.
func (b *Bill) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(b)
}

// CSV writes one row per line of the bill, as safe for spreadsheets as that of a
// report. It has no totals, so that its columns can be summed.
func (b *Bill) CSV(w io.Writer) error {
	t := newTable(w)
	t.row(append([]string{"month", "currency", "model", "mode", "tasks", "billed_seconds", "billed"}, labelColumns(b.Labels)...)...)
	for _, l := range b.Lines {
		row := []string{l.Month, l.Currency, l.Model, l.Mode, strconv.Itoa(l.Tasks), l.BilledSeconds.String(), l.Billed.String()}
		for _, name := range b.Labels {
			row = append(row, l.Labels[name])
		}
		t.row(row...)
	}
	return t.flush()
}
