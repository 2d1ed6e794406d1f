package pipeline_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// A program runs a manifest and reads the bill. Running it again continues, and
// costs nothing once everything is done.
func ExampleRun() {
	// An emulator stands in for the provider, so nothing is paid here.
	provider := emulator.New(emulator.Options{RunTime: func(string, float64) time.Duration { return time.Millisecond }, StartDelay: -1})
	defer provider.Close()
	server := httptest.NewServer(provider)
	defer server.Close()
	output, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(output)

	m := pipeline.NewManifest()
	m.Name = "spring"
	m.Lane.Region = "singapore"
	m.Dir = "../manifests"
	m.Limits.PollMax = 2 * time.Second
	m.Pairs = []pipeline.Pair{{ID: "alice-jump", Image: "media/characters/alice.png", Video: "media/dances/jump.mov"}}
	plan, err := pipeline.NewPlan(context.Background(), m, pipeline.PlanOptions{})
	if err != nil {
		log.Fatal(err)
	}

	report, err := pipeline.Run(context.Background(), plan, pipeline.Config{
		Output:   output,
		Endpoint: server.URL,
		APIKey:   "sk-example",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, job := range report.Jobs {
		fmt.Println(job.ID, job.State, job.File.Path, job.Billed.Decimal, report.Currency)
	}
	// Output: alice-jump done videos/alice-jump.mp4 0.384 USD
}
