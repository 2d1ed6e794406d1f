package pipeline_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wanbatch/wanbatch/pipeline"
)

// hostileRows are files of rows that were made to cost time or memory, about 16
// MiB each at scale 1. The key ends in the extension.
func hostileRows(scale int) map[string]func(w *bufio.Writer) {
	repeat := func(before, unit string) func(w *bufio.Writer) {
		return func(w *bufio.Writer) {
			_, _ = w.WriteString(before)
			for range (16 << 20) / scale / len(unit) {
				_, _ = w.WriteString(unit)
			}
		}
	}
	const header = "image,video\n"
	row := header + "https://h/a.png,https://h/b.mp4\n"
	return map[string]func(w *bufio.Writer){
		"one line.csv":           repeat("", "a"),
		"one header.csv":         repeat("", "label:a,"),
		"one row.csv":            repeat(row, "a,"),
		"quotes.csv":             repeat(row, `"`),
		"lines of quotes.csv":    repeat(row, strings.Repeat(`"`, 60_000)+"\n"),
		"open quotes.csv":        repeat(row, "\"\n"),
		"commas.csv":             repeat(row, strings.Repeat(",", 60_000)+"\n"),
		"blank lines.csv":        repeat(row, "\n"),
		"empty rows.csv":         repeat(row, ",\n"),
		"same ids.csv":           repeat(header, "https://h/a.png,https://h/b.mp4\n"),
		"NUL.csv":                repeat("", "\x00"),
		"UTF-16.csv":             repeat("\xff\xfe", "i\x00"),
		"long header.csv":        repeat(strings.TrimSpace(header)+strings.Repeat(",label:"+strings.Repeat("x", 60), 61)+"\n", "a\n"),
		"deep.jsonl":             repeat("", strings.Repeat("[", 60_000)+"\n"),
		"deep objects.jsonl":     repeat("", strings.Repeat(`{"labels":`, 6_000)+"\n"),
		"many keys.jsonl":        repeat("", "{"+strings.Repeat(`"label:x":"",`, 4_000)+"\n"),
		"different labels.jsonl": manyLabels,
		"objects.jsonl":          repeat("", "{}\n"),
		"one object.jsonl":       repeat(`{"image":"`, `\u0000`),
		"folded ids.jsonl":       repeat("", `{"id":"`+strings.Repeat("ẞ", 33)+`","image":"https://h/a.png","video":"https://h/b.mp4"}`+"\n"),
	}
}

func manyLabels(w *bufio.Writer) {
	for range 200 {
		_, _ = w.WriteString("{")
		for i := range 3_000 {
			_, _ = fmt.Fprintf(w, `"label:%d":"",`, i)
		}
		_, _ = w.WriteString("\n")
	}
}

// hostilePlan plans such a file.
func hostilePlan(t testing.TB, name string, write func(*bufio.Writer)) func() error {
	t.Helper()
	m := pipeline.NewManifest()
	m.Name, m.Dir, m.Lane.Region, m.PairsFrom = "hostile", t.TempDir(), "beijing", name
	f, err := os.Create(filepath.Join(m.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() error {
		_, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
		return err
	}
}

// None of them is planned, unless it is as good as blank, and what we say stays short.
func TestNewPlanRefusesHostileRows(t *testing.T) {
	for name, write := range hostileRows(64) {
		t.Run(name, func(t *testing.T) {
			err := hostilePlan(t, name, write)()
			if blank := name == "blank lines.csv" || name == "empty rows.csv"; (err == nil) != blank {
				t.Fatalf("err = %v", err)
			}
			if err != nil && len(err.Error()) > 1<<20 {
				t.Errorf("the answer is %d bytes long", len(err.Error()))
			}
		})
	}
}

// BenchmarkHostileRows reports time and peak memory of every hostile file. Goal: at
// most 1 s and 64 MiB each.
func BenchmarkHostileRows(b *testing.B) {
	for name, write := range hostileRows(1) {
		b.Run(name, func(b *testing.B) {
			plan := hostilePlan(b, name, write)
			var peak uint64
			for b.Loop() {
				peak = max(peak, peakOf(func() { _ = plan() }))
			}
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			b.ReportMetric(0, "B/op")
		})
	}
}
