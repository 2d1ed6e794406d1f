package pipeline_test

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// hostile returns texts that were made to cost time or memory, each built when it
// is asked for. At scale 1 they have the size where they hurt most: just below the
// bound on bytes or on nodes, or far above; at scale n about a n-th of it.
func hostile(scale int) map[string]func() string {
	const whole, most, some = 16 << 20, 4<<20 - 100, 120_000
	texts := map[string]func() string{
		"alias bomb":   aliasBomb,
		"deep indents": func() string { return deepIndents(1500 / scale) },
		"many keys":    func() string { return manyKeys(60_000 / scale) },
	}
	for name, t := range map[string]struct {
		before, unit string
		bytes        int
		after        string
	}{
		"16 MiB of commas":      {flow, "a,", whole, "]"},
		"16 MiB of one scalar":  {block, "a", whole, ""},
		"16 MiB of lines":       {"", "a: b\n", whole, ""},
		"16 MiB of NUL":         {"", "\x00", whole, ""},
		"many aliases":          {"a: &a x\nb: [", "*a,", some * 3 / 2, "]"},
		"many anchors":          {flow, "&a x,", some * 5 / 2, "]"},
		"merge chain":           {"a: &a {b: c}\n", "d: {<<: *a}\n", some, ""},
		"deep flow":             {flow, "[", some / 3, ""},
		"deep flow, closed":     {flow, "[", 9000, strings.Repeat("]", 9000/scale+1)},
		"deep mappings":         {flow, "{a: ", 9000 * 4, ""},
		"deep dashes":           {block, "- ", some / 3 * 2, ""},
		"deep questions":        {"", "? ", some / 3 * 2, ""},
		"one large scalar":      {flow, "a", most, "]"},
		"one large quoted":      {flow + `"`, `\n`, most, `"]`},
		"one large folded":      {block + "- >\n", " a\n", some * 3, ""},
		"one large literal":     {block + "- |\n  ", "a b ", most, ""},
		"many equal keys":       {"", "a: b\n", some / 2 * 5, ""},
		"one pair, many keys":   {flow + "{", "a: b,", some / 3 * 5, "}]"},
		"many commas":           {flow, "a,", some, "]"},
		"many empty values":     {flow, ":,", some / 3 * 2, "]"},
		"many nulls":            {flow + "{", "a,", some, "}]"},
		"many empty mappings":   {flow, "{},", some / 5 * 3, "]"},
		"many wrong pairs":      {block, "- {}\n", some / 7 * 5, ""},
		"comments":              {"", "# c\n", some * 4, ""},
		"comments between":      {"a: b\n", "\n# c\n\n", some / 3 * 6, ""},
		"comments after values": {"", "a: b # c\n", some / 2 * 9, ""},
		"one long comment":      {"#", "c", most, ""},
		"tabs and blanks":       {"", " \t", most, ""},
		"blank lines":           {"", "\n", some, "a"},
		"long plain line":       {block + "- image: ", "a b ", most, ""},
		"documents":             {"", "---\n", some, ""},
		"tags":                  {flow, "!!str a,", some / 2 * 8, "]"},
		"directives":            {"", "%TAG ! !a\n", some * 10, ""},
		"escapes":               {flow + `"`, `\U0001F600`, most, `"]`},
		"broken UTF-8":          {"", "\xff\xfe", most, ""},
		"UTF-16":                {"\xff\xfe", "a\x00", most, ""},
	} {
		texts[name] = func() string { return t.before + strings.Repeat(t.unit, t.bytes/scale/len(t.unit)) + t.after }
	}
	return texts
}

const (
	block = "version: 1\nlane: {region: beijing}\npairs:\n"
	flow  = "version: 1\nlane: {region: beijing}\npairs: ["
)

func aliasBomb() string {
	bomb := "a0: &a0 [x]\n"
	for i := range 40 {
		alias := strings.Repeat(fmt.Sprintf("*a%d,", i), 9)
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, alias)
	}
	return bomb
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: v\n", i)
	}
	return b.String()
}

func deepIndents(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// None of them is read as a manifest, and what we say about it stays short. What
// it costs to say so is for the benchmark below.
func TestReadManifestRefusesHostileText(t *testing.T) {
	for name, build := range hostile(32) {
		t.Run(name, func(t *testing.T) {
			text := build()
			m, err := pipeline.ReadManifest(strings.NewReader(text), "hostile.yaml")
			if err == nil {
				t.Fatalf("read %d bytes as a manifest", len(text))
			}
			if m != nil { // what was understood of it is no manifest either
				_, planned := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
				if planned == nil {
					t.Fatalf("planned %d bytes that are no manifest", len(text))
				}
				err = errors.Join(err, planned)
			}
			if len(err.Error()) > 1<<20 {
				t.Errorf("the answer is %d bytes long", len(err.Error()))
			}
		})
	}
}

// What a person may well write is read: a batch of 10,000 pairs, a month's work.
func TestReadManifestReadsLargeBatches(t *testing.T) {
	m, err := pipeline.ReadManifest(strings.NewReader(large(10_000)), "large.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Pairs) != 10_000 || m.Pairs[9999].ID != "dancer-9999" {
		t.Errorf("read %d pairs", len(m.Pairs))
	}
	_, err = pipeline.ReadManifest(strings.NewReader(large(40_000)), "larger.yaml")
	var problems *pipeline.ManifestError
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), "pairs_from") {
		t.Errorf("err = %v, want one that names the way out", err)
	}
}

func large(pairs int) string {
	var b strings.Builder
	b.WriteString(block)
	for i := range pairs {
		fmt.Fprintf(&b, "  - id: dancer-%d\n    image: characters/dancer-%d.png\n    video: https://media.example.com/dances/%d.mp4\n", i, i, i%50)
	}
	return b.String()
}

// BenchmarkReadManifest reports time and peak memory of every hostile text and of
// an honest one. Goal: at most 1 s and 64 MiB each.
func BenchmarkReadManifest(b *testing.B) {
	texts := hostile(1)
	texts["honest, 10,000 pairs"] = func() string { return large(10_000) }
	for name, build := range texts {
		b.Run(name, func(b *testing.B) {
			text := build()
			var peak uint64
			for b.Loop() {
				peak = max(peak, peakOf(func() { _, _ = pipeline.ReadManifest(strings.NewReader(text), "m.yaml") }))
			}
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			b.ReportMetric(0, "B/op")
		})
	}
}

// peakOf returns by how much the heap grows at most while f runs, sampled every
// millisecond, garbage that has not been collected included.
func peakOf(f func()) uint64 {
	heap := func() uint64 {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before := heap()
	done, result := make(chan struct{}), make(chan uint64)
	go func() {
		peak := before
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				peak = max(peak, heap())
			case <-done:
				result <- peak
				return
			}
		}
	}()
	f()
	close(done)
	return <-result - before
}
