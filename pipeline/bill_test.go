package pipeline_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

func bill(t *testing.T, labels []string, reports ...*pipeline.Report) *pipeline.Bill {
	t.Helper()
	b, err := pipeline.NewBill(reports, labels)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lines writes a bill's lines one by one.
func lines(b *pipeline.Bill) (text []string) {
	for _, l := range b.Lines {
		text = append(text, fmt.Sprintf("%s %v %s %d %s s %s %s", l.Month, l.Labels, l.Mode, l.Tasks, l.BilledSeconds, l.Billed, l.Currency))
	}
	return text
}

func TestBill(t *testing.T) {
	acme, zoo := map[string]string{"client": "acme", "shot": "1"}, map[string]string{"client": "zoo"}
	day := 24 * time.Hour
	reports := []*pipeline.Report{
		billed("a", "singapore", "USD", "0.12", acme, newYear.Add(-time.Second), newYear, newYear.Add(day)),
		billed("b", "singapore", "USD", "0.12", zoo, newYear.Add(-day)),
		billed("c", "beijing", "CNY", "0.40", acme, newYear),
		billed("d", "singapore", "USD", "0.12", nil, newYear),
	}
	reports[1].Totals.BilledMax = decimal.NewFromInt(1)
	b := bill(t, []string{"client"}, reports...)
	want := []string{
		"2026-12 map[client:acme] wan-std 1 1 s 0.12 USD",
		"2026-12 map[client:zoo] wan-std 1 1 s 0.12 USD",
		"2027-01 map[client:acme] wan-std 1 1 s 0.4 CNY",
		"2027-01 map[] wan-std 1 1 s 0.12 USD",
		"2027-01 map[client:acme] wan-std 2 2 s 0.24 USD",
	}
	if d := cmp.Diff(want, lines(b)); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	if len(b.Totals) != 2 || b.Totals[0].Billed.String() != "0.4" || b.Totals[1].Billed.String() != "0.6" || b.Totals[1].BilledMax.String() != "1.48" {
		t.Errorf("totals %+v", b.Totals)
	}
	if all := bill(t, nil, reports...); !slices.Equal(all.Labels, []string{"client", "shot"}) {
		t.Errorf("labels %v", all.Labels)
	}
	if none := bill(t, []string{}, reports...); len(none.Lines) != 3 {
		t.Errorf("without labels: %v", lines(none))
	}
}

// Whatever the batches and the labels are, every task is in one line, and lines and
// batches add up to the totals, in each currency by itself.
func TestBillAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var reports []*pipeline.Report
		for i := range rapid.IntRange(1, 5).Draw(t, "batches") {
			place := rapid.SampledFrom([][3]string{{"singapore", "USD", "0.12"}, {"beijing", "CNY", "0.40"}}).Draw(t, "place")
			labels := rapid.MapOfN(rapid.SampledFrom([]string{"client", "shot", "=x"}), rapid.SampledFrom([]string{"", "a", "b\x00", `b"`, "=1"}), 0, 3).Draw(t, "labels")
			var ends []time.Time
			for range rapid.IntRange(0, 5).Draw(t, "tasks") {
				ends = append(ends, newYear.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "hours"))*time.Hour))
			}
			reports = append(reports, billed(fmt.Sprint(i), place[0], place[1], place[2], labels, ends...))
		}
		by := rapid.SampledFrom([][]string{nil, {}, {"client"}, {"shot", "client"}, {"nobody"}}).Draw(t, "by")
		b, err := pipeline.NewBill(reports, by)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]decimal.Decimal{}
		for _, r := range reports {
			want[r.Currency] = want[r.Currency].Add(r.Totals.Billed)
		}
		got, seen := map[string]decimal.Decimal{}, map[string]bool{}
		for _, l := range b.Lines {
			got[l.Currency] = got[l.Currency].Add(l.Billed)
			if key := fmt.Sprintf("%q", []string{l.Month, fmt.Sprintf("%q", l.Labels), l.Model, l.Mode, l.Currency}); seen[key] {
				t.Errorf("two lines of %s", key)
			} else {
				seen[key] = true
			}
		}
		for _, total := range b.Totals {
			if !total.Billed.Equal(want[total.Currency]) || !total.Billed.Equal(got[total.Currency]) {
				t.Errorf("%s: total %s, batches %s, lines %s", total.Currency, total.Billed, want[total.Currency], got[total.Currency])
			}
		}
		var text bytes.Buffer
		if err := b.CSV(&text); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&text).ReadAll()
		if err != nil || len(rows) != len(b.Lines)+1 {
			t.Fatalf("%d rows for %d lines: %v", len(rows), len(b.Lines), err)
		}
	})
}

func TestBillCSV(t *testing.T) {
	var b bytes.Buffer
	if err := bill(t, nil, billed("a", "singapore", "USD", "0.12", map[string]string{"client": "=1+1"}, newYear)).CSV(&b); err != nil {
		t.Fatal(err)
	}
	wantNoFormula(t, b.String())
	const want = `"month","currency","model","mode","tasks","billed_seconds","billed","label:client"
"2027-01","USD","wan2.2-animate-move","wan-std","1","1","0.12","'=1+1"
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s, want\n%s", strings.TrimSpace(got), want)
	}
}
