package pipeline_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

var update = flag.Bool("update", false, "write the golden files again")

// Beside each wrong manifest stands everything we say about it.
func TestReadManifestReportsEveryProblem(t *testing.T) {
	paths, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = pipeline.ReadManifest(bytes.NewReader(text), "manifest.yaml")
			var problems *pipeline.ManifestError
			if !errors.As(err, &problems) {
				t.Fatalf("err = %v, want a *ManifestError", err)
			}
			got := problems.Error() + "\n"
			golden(t, filepath.Join("testdata/wrong", name+".want"), got)
			if strings.Contains(got, "secret") || strings.Contains(got, "sk-0123") {
				t.Errorf("a secret is repeated:\n%s", got)
			}
		})
	}
}

// golden compares a text with a file, or writes the file with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

const whole = `version: 1
name: spring-dance
model: wan2.2-animate-mix
mode: wan-pro
watermark: true
check_image: false
labels: {client: acme, campaign: spring}
lane:
  region: singapore
  workspace: ws-abc123
  api_key_env: ACME_KEY
  endpoint: http://127.0.0.1:8080/api/v1
  exclusive: true
limits:
  running: 5
  queue_ahead: 0
  create_per_second: 0.5
  query_per_second: 20
  poll_min: 500ms
  poll_max: 1m30s
  settle: 0s
  task_life: 12h
  burst_wait: 2m
  tries: 1
budget: {max_cost: 300.10, currency: USD}
output: {file: "{mode}/{id}.mp4"}
pairs:
  - id: alice-salsa
    image: media/alice.png
    video: https://media.example.com/salsa.mp4?X-Amz-Signature=abc
    mode: wan-std
    labels: {campaign: launch}
  - {image: /abs/Bob the 1st.JPEG, video: oss://bucket/k%C3%A9y/tango.v2.mov}
`

func TestReadManifest(t *testing.T) {
	got, err := pipeline.ReadManifest(strings.NewReader(whole), "some/folder/batch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &pipeline.Manifest{
		Version: 1, Name: "spring-dance", Model: pipeline.ModelMix, Mode: pipeline.ModePro, Watermark: true,
		Labels: map[string]string{"client": "acme", "campaign": "spring"},
		Lane: pipeline.Lane{
			Region: "singapore", Workspace: "ws-abc123", APIKeyEnv: "ACME_KEY",
			Endpoint: "http://127.0.0.1:8080/api/v1", Exclusive: pipeline.ExclusiveYes,
		},
		Limits: pipeline.Limits{
			Running: 5, CreatePerSecond: 0.5, QueryPerSecond: 20, PollMin: 500 * time.Millisecond, PollMax: 90 * time.Second,
			TaskLife: 12 * time.Hour, BurstWait: 2 * time.Minute, Tries: 1,
		},
		Budget: pipeline.Budget{MaxCost: decimal.NewNullDecimal(decimal.RequireFromString("300.10")), Currency: "USD"},
		Output: pipeline.Output{File: "{mode}/{id}.mp4"},
		Pairs: []pipeline.Pair{
			{
				ID: "alice-salsa", Image: "media/alice.png", Video: "https://media.example.com/salsa.mp4?X-Amz-Signature=abc",
				Mode: pipeline.ModeStd, Labels: map[string]string{"campaign": "launch"}, Line: 28,
			},
			{ID: "Bob-the-1st--tango.v2", Image: "/abs/Bob the 1st.JPEG", Video: "oss://bucket/k%C3%A9y/tango.v2.mov", Line: 33},
		},
		File: "some/folder/batch.yaml", Dir: "some/folder",
		SHA256: "2b9c73c99b158191dcdfe85db526f9341146a92954719c02e7057fd0faf590c9",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(pipeline.Manifest{}, pipeline.Pair{})); diff != "" {
		t.Errorf("manifest differs (-want +got):\n%s", diff)
	}
	if got.Budget.MaxCost.Decimal.String() != "300.1" {
		t.Errorf("max_cost is %s", got.Budget.MaxCost.Decimal)
	}
}

const smallest = `version: 1
lane: {region: beijing}
pairs: [{image: a.png, video: b.mp4}]
`

func TestReadManifestDefaults(t *testing.T) {
	got, err := pipeline.ReadManifest(strings.NewReader(smallest), "night run.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := pipeline.NewManifest()
	want.Name = "night-run"
	want.Lane.Region = "beijing"
	want.Budget.Currency = "CNY"
	want.Pairs = []pipeline.Pair{{ID: "a--b", Image: "a.png", Video: "b.mp4", Line: 3}}
	want.File, want.Dir = "night run.yaml", "."
	ignore := cmpopts.IgnoreFields(pipeline.Manifest{}, "SHA256")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(pipeline.Manifest{}, pipeline.Pair{}), ignore); diff != "" {
		t.Errorf("manifest differs (-want +got):\n%s", diff)
	}
	if !want.CheckImage || want.Limits.Settle != 2*time.Minute || want.Limits.Running != 1 || want.Limits.QueueAhead != 2 {
		t.Errorf("defaults are %+v", want)
	}
}

func TestManifestHas(t *testing.T) {
	m, err := pipeline.ReadManifest(strings.NewReader(whole), "batch.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"name", "limits.settle", "lane.exclusive", "labels.client", "lane"} {
		if !m.Has(path) {
			t.Errorf("Has(%q) = false", path)
		}
	}
	for _, path := range []string{"", "matrix", "limits.nothing", "settle"} {
		if m.Has(path) {
			t.Errorf("Has(%q) = true", path)
		}
	}
}

func TestReadManifestFromStdin(t *testing.T) {
	m, err := pipeline.ReadManifest(strings.NewReader(smallest), pipeline.StdinName)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "" || m.Dir != "." {
		t.Errorf("name %q, dir %q; want none and the working directory", m.Name, m.Dir)
	}
	_, err = pipeline.ReadManifest(strings.NewReader("version: 2\n"), pipeline.StdinName)
	if err == nil || !strings.HasPrefix(err.Error(), "stdin:1:1: ") {
		t.Errorf("err = %v, want problems at stdin", err)
	}
}

func TestReadManifestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "batch.yaml")
	// A byte order mark and carriage returns are what some editors leave.
	text := "\ufeff" + strings.ReplaceAll(smallest, "\n", "\r\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := pipeline.ReadManifestFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if m.Name != "batch" || m.Dir != dir || m.Pairs[0].Line != 3 {
		t.Errorf("name %q, dir %q, line %d", m.Name, m.Dir, m.Pairs[0].Line)
	}
	if _, err := pipeline.ReadManifestFile(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v, want one that says the file does not exist", err)
	}
}

// However much is wrong, the list ends.
func TestProblemsAreBounded(t *testing.T) {
	text := "version: 1\nlane: {region: beijing}\npairs:\n" + strings.Repeat("- {}\n", 5000)
	_, err := pipeline.ReadManifest(strings.NewReader(text), "m.yaml")
	var problems *pipeline.ManifestError
	if !errors.As(err, &problems) {
		t.Fatalf("err = %v, want a *ManifestError", err)
	}
	last := problems.Problems[len(problems.Problems)-1]
	if len(problems.Problems) != 1001 || !strings.Contains(last.Message, "more problems follow") {
		t.Errorf("%d problems, the last %q", len(problems.Problems), last)
	}
}
