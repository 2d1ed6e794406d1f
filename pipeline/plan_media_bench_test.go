package pipeline_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// BenchmarkEstimate plans every of 40 images of 3 MB with every of 12 videos of 15 MB, from disk.
// Cold reads them all; warm has a media cache. The target for cold is 3 s on two cores.
func BenchmarkEstimate(b *testing.B) {
	m := pipeline.NewManifest()
	m.Name, m.Lane.Region = "bench", "singapore"
	files := map[string][]byte{}
	noise := func(data []byte, size int) []byte {
		more := make([]byte, size-len(data))
		_, _ = rand.Read(more)
		return append(data, more...)
	}
	for i := range 40 {
		files[fmt.Sprintf("i%d.png", i)] = noise(still("png", 720, 1280), 3_000_000)
	}
	for i := range 12 {
		files[fmt.Sprintf("v%d.mp4", i)] = noise(film{open: true}.bytes(), 15_000_000)
	}
	for i := range 40 * 12 {
		m.Pairs = append(m.Pairs, pipeline.Pair{Image: fmt.Sprintf("i%d.png", i%40), Video: fmt.Sprintf("v%d.mp4", i/40)})
	}
	m.Dir = folder(b, "", files)
	old := time.Now().Add(-time.Hour) // files that were just written are not cached
	for name := range files {
		if err := os.Chtimes(filepath.Join(m.Dir, name), old, old); err != nil {
			b.Fatal(err)
		}
	}
	for name, options := range map[string]pipeline.PlanOptions{"cold": {}, "warm": {Cache: filepath.Join(m.Dir, ".media.json")}} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				p, err := pipeline.NewPlan(b.Context(), m, options)
				if err != nil {
					b.Fatal(err)
				}
				if e := p.Estimate(); e.Jobs != 480 || !e.Money.Exact().Valid {
					b.Fatalf("estimate %+v", e)
				}
			}
		})
	}
}
