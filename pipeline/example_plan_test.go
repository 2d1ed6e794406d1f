package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wanbatch/wanbatch/pipeline"
)

// A manifest tells everything that is wrong with it at once.
func ExampleReadManifest() {
	_, err := pipeline.ReadManifest(strings.NewReader(`
version: 1
lane: {region: singapur}
pairs:
  - image: alice.png
    vido: salsa.mp4
`), "spring.yaml")

	var wrong *pipeline.ManifestError
	if errors.As(err, &wrong) {
		for _, problem := range wrong.Problems {
			fmt.Println(problem)
		}
	}
	// Output:
	// spring.yaml:3:16: lane.region: is "singapur", must be beijing or singapore; did you mean "singapore"?
	// spring.yaml:5:5: pairs[0]: video is missing
	// spring.yaml:6:5: pairs[0]: unknown key "vido"; did you mean "video"?
}

// A plan says what a run would cost, before there is a key or a charge.
func ExampleNewPlan() {
	m := pipeline.NewManifest()
	m.Name = "spring"
	m.Lane.Region = "singapore"
	m.Pairs = []pipeline.Pair{{Image: "https://media.example.com/alice.png", Video: "https://media.example.com/salsa.mp4"}}

	plan, err := pipeline.NewPlan(context.Background(), m, pipeline.PlanOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for job, err := range plan.Jobs() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(job.ID, "goes to", job.File, "and reserves", job.Hold)
	}
	estimate := plan.Estimate()
	fmt.Printf("%s to %s %s\n", estimate.Money.Low, estimate.Money.High, estimate.Currency)
	// Output:
	// alice--salsa goes to alice--salsa.mp4 and reserves 3.6
	// 0.24 to 3.6 USD
}
