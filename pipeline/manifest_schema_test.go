package pipeline_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/wanbatch/wanbatch/pipeline"
)

// Every part of the schema that can refuse a value has the title that completes
// "must be ...".
func TestSchemaHasTitles(t *testing.T) {
	var schema any
	if err := json.Unmarshal(pipeline.ManifestSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	var visit func(path string, node any)
	visit = func(path string, node any) {
		object, ok := node.(map[string]any)
		if !ok {
			return
		}
		_, typed := object["type"]
		if title, _ := object["title"].(string); typed && title == "" {
			t.Errorf("%s has no title", path)
		}
		for key, child := range object {
			visit(path+"/"+key, child)
		}
	}
	visit("#", schema)
}

// The published schema is draft-07, which editors know best.
func TestSchemaIsDraft7(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(pipeline.ManifestSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:wanbatch:manifest:1", document); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("urn:wanbatch:manifest:1")
	if err != nil {
		t.Fatal(err)
	}
	if schema.DraftVersion != 7 {
		t.Errorf("the schema is of draft %d", schema.DraftVersion)
	}
	for _, path := range examples(t) {
		var values any
		if err := yaml.Unmarshal(readFile(t, path), &values); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(values); err != nil {
			t.Errorf("%s: an editor would complain: %v", path, err)
		}
	}
}

// examples are the manifests that we hand out.
func examples(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../manifests/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no example manifests: %v", err)
	}
	return paths
}

// The manifests that we hand out as examples can be planned as they are.
func TestExampleManifests(t *testing.T) {
	for _, path := range examples(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			m, err := pipeline.ReadManifestFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p, err := pipeline.NewPlan(t.Context(), m, pipeline.PlanOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if p.Len() == 0 || !p.Estimate().Money.Low.IsPositive() {
				t.Errorf("%d jobs for %s", p.Len(), p.Estimate().Money.Low)
			}
		})
	}
}
