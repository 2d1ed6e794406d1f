package pipeline_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wanbatch/wanbatch/pipeline"
)

func save(t testing.TB, p *pipeline.Plan) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The document is a public format: it changes only on purpose. It is the same in
// another folder and at another time, and holds no query of a URL.
func TestSave(t *testing.T) {
	first := save(t, mustPlan(t, folder(t, mixed, mixedFiles())))
	second := save(t, mustPlan(t, folder(t, "# a comment\n"+mixed, mixedFiles())))
	if !bytes.Equal(first, second) {
		t.Error("the same plan was saved in two ways")
	}
	golden(t, "testdata/plan.want", string(first))
	if bytes.Contains(first, []byte("secret")) {
		t.Error("the document holds a signature")
	}
}

func TestDiff(t *testing.T) {
	saved, err := pipeline.ReadPlan(bytes.NewReader(save(t, mustPlan(t, folder(t, mixed, mixedFiles())))))
	if err != nil {
		t.Fatal(err)
	}
	if len(saved.SHA256()) != 64 {
		t.Errorf("hash is %q", saved.SHA256())
	}
	otherFiles := mixedFiles()
	otherFiles["dances/salsa.mp4"] = movie(7*time.Second, 720, 1280)
	pairs := strings.SplitAfter(mixed, "\n")
	tests := []struct {
		name, manifest string
		files          map[string][]byte
		want           []string // prefixes
	}{
		{"nothing", mixed, mixedFiles(), nil},
		{"a setting", strings.Replace(mixed, "region: singapore", "region: singapore, exclusive: true", 1), mixedFiles(), []string{
			`settings.exclusive: was "false", is "true"`,
		}},
		{"a cap", mixed + "budget: {max_cost: 5}\n", mixedFiles(), []string{`max_cost: was null, is "5"`}},
		{"a file", mixed, otherFiles, []string{
			`estimated.high: was "8.76", is "9.3"`, `estimated.low: was "2.04", is "2.58"`,
			`jobs.known.estimated.high: `, `jobs.known.estimated.low: `, `jobs.known.hold: `, `jobs.known.key: `, `jobs.known.length_seconds: was "5.2", is "7"`,
			`jobs.pro.estimated.high: `, `jobs.pro.estimated.low: `, `jobs.pro.hold: `, `jobs.pro.key: `, `jobs.pro.length_seconds: `,
		}},
		{"a job less", strings.Replace(mixed, pairs[9], "", 1), mixedFiles(), []string{
			`estimated.high: `, `estimated.low: `, `jobs.avi: is gone`,
		}},
		{"a job more", mixed + `  - {id: more, image: a.png, video: https://h/v.mp4}` + "\n", mixedFiles(), []string{
			`estimated.high: `, `estimated.low: `, `jobs.more: is new`,
		}},
		{"the order", strings.Join(pairs[:6], "") + pairs[7] + pairs[6] + strings.Join(pairs[8:], ""), mixedFiles(), []string{
			`jobs: the order changed`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := saved.Diff(mustPlan(t, folder(t, tt.manifest, tt.files)))
			if err != nil {
				t.Fatal(err)
			}
			cut := make([]string, len(got))
			for i, line := range got {
				cut[i] = line
				if i < len(tt.want) && strings.HasPrefix(line, tt.want[i]) {
					cut[i] = tt.want[i]
				}
			}
			if diff := cmp.Diff(tt.want, cut, equateEmpty()); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

func equateEmpty() cmp.Option {
	return cmp.FilterValues(func(a, b []string) bool { return len(a)+len(b) == 0 }, cmp.Ignore())
}

// What a person approved is what is compared: a document that was touched is refused.
func TestReadPlanRefuses(t *testing.T) {
	good := string(save(t, mustPlan(t, folder(t, mixed, mixedFiles()))))
	tests := []struct{ name, text, want string }{
		{"a cheaper price", strings.Replace(good, `"unit_price": "0.12"`, `"unit_price": "0.01"`, 1), "was changed"},
		{"another version", strings.Replace(good, `"version": 1`, `"version": 2`, 1), "version 1"},
		{"no document", "{}", "version 1"},
		{"a cut one", good[:len(good)/2], "unexpected EOF"},
		{"more text", good + "{}", "more text"},
		{"nothing", "", "EOF"},
		{"a list", "[]", "cannot unmarshal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := pipeline.ReadPlan(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// FuzzReadPlan checks that no document stops the program and that only an
// untouched one is compared.
func FuzzReadPlan(f *testing.F) {
	good := save(f, mustPlan(f, folder(f, mixed, mixedFiles())))
	p := mustPlan(f, folder(f, mixed, mixedFiles()))
	f.Add(good)
	f.Add([]byte(`{"version":1,"jobs":[1,{"id":2}],"sha256":"x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		saved, err := pipeline.ReadPlan(bytes.NewReader(text))
		if err != nil {
			return
		}
		if _, err := saved.Diff(p); err != nil {
			t.Error(err)
		}
	})
}
