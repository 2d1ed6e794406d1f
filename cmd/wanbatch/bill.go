package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/wanbatch/wanbatch/pipeline"
)

// mergedReport prints what many batches are billed together.
func (p *program) mergedReport(args []string, o reportOptions) error {
	var reports []*pipeline.Report
	for _, arg := range args {
		folder, err := p.folderOf(arg, o.place)
		if err != nil {
			return err
		}
		r, err := pipeline.Status(folder)
		if err != nil {
			return err
		}
		if isRehearsal(r, r.Batch) {
			p.err.line("%s: a rehearsal, left out", arg)
			continue
		}
		reports = append(reports, r)
	}
	if o.format == "focus" {
		return p.focus(reports, o)
	}
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
			p.line("  at most %s: the rest may have been billed besides, only the provider's bill tells", money(t.BilledMax, t.Currency))
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
