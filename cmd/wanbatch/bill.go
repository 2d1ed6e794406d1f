package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wanbatch/wanbatch/pipeline"
)

// mergedReport prints what many batches are billed together.
func (p *program) mergedReport(args []string, o reportOptions) error {
	var reports []*pipeline.Report
	given := map[string]string{} // argument by folder
	for _, arg := range args {
		folder, err := p.folderOf(arg, o.folderFlags)
		if err != nil {
			return err
		}
		if err := refuseDuplicate(given, folder, arg); err != nil {
			return err
		}
		r, err := pipeline.Status(folder)
		if err != nil {
			return err
		}
		why, billed, err := unbilled(folder, r)
		if err != nil {
			return err
		}
		if why != "" {
			p.err.line("%s: %s; left out", arg, why)
		}
		if billed == nil {
			continue
		}
		r = billed
		reports = append(reports, r)
	}
	if o.format == "focus" {
		return p.focus(reports, o)
	}
	p.unknownLabels(reports, o.by)
	bill, err := pipeline.NewBill(reports, o.labels())
	if err != nil {
		return err
	}
	switch o.format {
	case "json":
		return bill.JSON(p.out)
	case "csv":
		return bill.CSV(p.out)
	}
	p.out.bill(bill)
	return nil
}

// refuseDuplicate refuses a folder that is given twice, under whatever name.
func refuseDuplicate(given map[string]string, folder, arg string) error {
	path, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil { // else there is no such folder, as will be told
		path = real
	}
	if first, twice := given[path]; twice {
		return usagef("%s and %s are the same batch, in %s; give every batch once, and no copy of it", first, arg, path)
	}
	given[path] = arg
	return nil
}

// unknownLabels tells of names that are no label of any job: a slip of the pen would
// otherwise look like a batch without labels.
func (p *program) unknownLabels(reports []*pipeline.Report, names []string) {
	for _, name := range names {
		has := func(r *pipeline.Report) bool { return r.Totals.ByLabel[name] != nil }
		if name != "" && len(reports) > 0 && !slices.ContainsFunc(reports, has) {
			p.err.line("no batch has the label %s", name)
		}
	}
}

// unbilled tells why the provider bills nothing of a batch, or not all of it, "" if it
// does: a server on this machine made its tasks. billed is the report without those,
// nil if there is nothing else.
func unbilled(folder string, r *pipeline.Report) (why string, billed *pipeline.Report, err error) {
	if r.Rehearsed() {
		return "a rehearsal", nil, nil
	}
	places, err := pipeline.Endpoints(folder)
	if err != nil {
		return "", nil, err
	}
	here := slices.DeleteFunc(slices.Clone(places), func(place string) bool { return !loopbackURL(place) })
	switch at := strings.Join(here, " and "); len(here) {
	case 0:
		return "", r, nil
	case len(places):
		return "made at " + at + ", not at the provider", nil, nil
	default:
		billed, err = pipeline.StatusWithout(folder, here...)
		return "some of it made at " + at + ", not at the provider", billed, err
	}
}

// labels are those of --by: nil for all, empty for none.
func (o *reportOptions) labels() []string {
	if o.by == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(o.by), func(name string) bool { return name == "" })
}

// bill prints a bill as a table, with a sum for each month that has several lines.
func (p *printer) bill(b *pipeline.Bill) {
	open := 0
	for _, batch := range b.Batches {
		if !batch.Complete {
			open++
		}
	}
	batches := count(len(b.Batches), "batch")
	if open > 0 {
		batches += fmt.Sprintf(", %d of them not finished", open)
	}
	p.line("%s", batches)
	columns := billColumns(b)
	rows := [][]string{append(columns.header(), "tasks", "seconds", "billed", "")}
	several := len(b.Lines) > 0 && b.Lines[0].Month != b.Lines[len(b.Lines)-1].Month
	for i, first := 0, 0; i < len(b.Lines); i++ {
		l := b.Lines[i]
		rows = append(rows, append(columns.cells(l), amounts(l.Currency, l.Tasks, l.Sum)...))
		if i+1 < len(b.Lines) && b.Lines[i+1].Month == l.Month && b.Lines[i+1].Currency == l.Currency {
			continue
		}
		if several && first < i {
			rows = append(rows, columns.sum(l.Month+" in all", b.Lines[first:i+1]))
		}
		first = i + 1
	}
	for _, t := range b.Totals {
		rows = append(rows, append(columns.blank("total"), amounts(t.Currency, t.Tasks, t.Sum)...))
	}
	p.aligned(rows, len(columns.header()))
	for _, t := range b.Totals {
		if !t.BilledMax.Equal(t.Billed) {
			text := fmt.Sprintf("at most %s: the rest may have been billed too, only the provider's bill shows it", money(t.BilledMax, t.Currency))
			for _, line := range wrapped(text, 80-2) {
				p.line("  %s", line)
			}
		}
	}
}

// columnsOf are the columns of a bill before its figures.
type columnsOf struct {
	labels []string
	models bool // there are several
}

func billColumns(b *pipeline.Bill) columnsOf {
	c := columnsOf{labels: b.Labels}
	for _, l := range b.Lines {
		c.models = c.models || l.Model != b.Lines[0].Model
	}
	return c
}

func (c columnsOf) header() []string {
	header := append([]string{"month"}, c.labels...)
	if c.models {
		header = append(header, "model")
	}
	return append(header, "mode")
}

func (c columnsOf) cells(l pipeline.BillLine) []string {
	cells := []string{l.Month}
	for _, name := range c.labels {
		cells = append(cells, l.Labels[name])
	}
	if c.models {
		cells = append(cells, strings.TrimPrefix(l.Model, "wan2.2-"))
	}
	return append(cells, l.Mode)
}

// blank is the beginning of a row that stands for several lines.
func (c columnsOf) blank(name string) []string {
	row := make([]string, len(c.header()))
	row[0] = name
	return row
}

// sum is the row that stands for lines of one currency.
func (c columnsOf) sum(name string, lines []pipeline.BillLine) []string {
	tasks, sum := 0, pipeline.Sum{}
	for _, l := range lines {
		tasks += l.Tasks
		sum.BilledSeconds, sum.Billed = sum.BilledSeconds.Add(l.BilledSeconds), sum.Billed.Add(l.Billed)
	}
	return append(c.blank(name), amounts(lines[0].Currency, tasks, sum)...)
}

func amounts(currency string, tasks int, sum pipeline.Sum) []string {
	return []string{strconv.Itoa(tasks), sum.BilledSeconds.String(), sum.Billed.String(), currency}
}
