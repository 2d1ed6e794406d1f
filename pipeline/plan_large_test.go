package pipeline_test

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// rowsOf writes a CSV file of n pairs beside a manifest, half of them with media
// on disk, and returns the folder. Ids and URLs are as long as people make them.
func rowsOf(t testing.TB, n int) string {
	t.Helper()
	files := map[string][]byte{}
	for i := range 10 {
		files[fmt.Sprintf("characters/c%d.png", i)] = picture(300, 300)
		files[fmt.Sprintf("dances/d%d.mp4", i)] = movie(time.Duration(2500+997*i)*time.Millisecond, 300, 300)
	}
	dir := folder(t, "version: 1\nname: large\nlane: {region: singapore}\npairs_from: more.csv\n", files)
	f, err := os.Create(filepath.Join(dir, "more.csv"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "id,image,video,mode,label:client")
	for i := range n {
		image := fmt.Sprintf("https://media.example.com/characters/dancer-%07d.png", i)
		if i%2 == 0 {
			image = fmt.Sprintf("characters/c%d.png", i%10)
		}
		fmt.Fprintf(w, "dancer-%07d,%s,dances/d%d.mp4,%s,client-%d\n", i, image, i/10%10, []string{"", "wan-pro"}[i%2], i%100)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

const million = 1_000_000

// A batch far larger than memory is planned in the memory of a small one.
func TestNewPlanOfAMillionRows(t *testing.T) {
	if testing.Short() || pipeline.RaceEnabled {
		t.Skip("takes half a minute, and the race detector multiplies memory")
	}
	dir := rowsOf(t, million)
	var p *pipeline.Plan
	peak := peakOf(func() { p = mustPlan(t, dir) })
	if p.Len() != million {
		t.Errorf("%d jobs", p.Len())
	}
	if limit := uint64(64 << 20); peak > limit {
		t.Errorf("took %d MiB, more than %d", peak>>20, limit>>20)
	}
	t.Logf("%d MiB for %d jobs, %s to %s %s", peak>>20, p.Len(), p.Estimate().Money.Low, p.Estimate().Money.High, p.Currency)
}

// BenchmarkNewPlan sets the plan of a million rows beside reading the file whole,
// which checks nothing. Goal: at most 64 MiB.
func BenchmarkNewPlan(b *testing.B) {
	dir := rowsOf(b, million)
	report := func(b *testing.B, f func()) {
		var peak uint64
		for b.Loop() {
			debug.FreeOSMemory()
			peak = max(peak, peakOf(f))
		}
		b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/million*1e6, "µs/row")
		b.ReportMetric(0, "B/op")
	}
	b.Run("streamed", func(b *testing.B) {
		report(b, func() { mustPlan(b, dir) })
	})
	b.Run("saved", func(b *testing.B) {
		p := mustPlan(b, dir)
		f, err := os.Create(filepath.Join(b.TempDir(), "plan.json"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		report(b, func() {
			if err := p.Save(f); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("baseline: encoding/csv, whole file", func(b *testing.B) {
		report(b, func() {
			f, err := os.Open(filepath.Join(dir, "more.csv"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if rows, err := csv.NewReader(f).ReadAll(); err != nil || len(rows) != million+1 {
				b.Fatal(len(rows), err)
			}
		})
	})
}
