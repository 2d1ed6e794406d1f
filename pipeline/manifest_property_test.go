package pipeline_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

// yamlString writes any valid text as a YAML scalar that reads back as it is.
func yamlString(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	b.WriteByte('"')
	return b.String()
}

// checkSafe asserts what everything after a plan relies on: each job has a file
// name of its own that stays where it belongs on every file system.
func checkSafe(t interface{ Fatalf(string, ...any) }, m *pipeline.Manifest) {
	seen := map[string]string{}
	for _, p := range m.Pairs {
		name := p.ID + ".mp4"
		if !filepath.IsLocal(name) || strings.ContainsAny(name, `/\:*?"<>|`) || strings.HasPrefix(name, ".") {
			t.Fatalf("id %q is no safe file name", p.ID)
		}
		if !utf8.ValidString(p.ID) || strings.ContainsFunc(p.ID, func(c rune) bool { return !unicode.IsPrint(c) || unicode.IsSpace(c) }) {
			t.Fatalf("id %q holds characters that can't be seen", p.ID)
		}
		if len(p.ID) > 100 || !norm.NFC.IsNormalString(p.ID) {
			t.Fatalf("id %q is %d bytes or not NFC", p.ID, len(p.ID))
		}
		key := norm.NFC.String(strings.ToLower(strings.ToUpper(p.ID)))
		if other, taken := seen[key]; taken {
			t.Fatalf("ids %q and %q are the same file where case is ignored", other, p.ID)
		}
		seen[key] = p.ID
	}
}

// Whatever ids and file names an author invents, what is accepted is safe.
func TestAcceptedIDsAreSafeAndDistinct(t *testing.T) {
	piece := rapid.OneOf(
		rapid.StringMatching(`[a-cA-C._\-]{0,4}`),
		rapid.SampledFrom([]string{"con", "NUL", "com1", "e\u0301", "é", "É", "ß", "SS", "ſ", "K", "ไทย", "हिन्दी", "..", "a/b", "日本", " "}),
		rapid.StringN(0, 4, 8),
	)
	text := rapid.Custom(func(t *rapid.T) string {
		joined := strings.Join(rapid.SliceOfN(piece, 1, 3).Draw(t, "pieces"), "")
		return strings.Map(func(c rune) rune {
			if unicode.IsControl(c) || c == utf8.RuneError || c == '\ufeff' || !unicode.IsPrint(c) && c != ' ' {
				return -1
			}
			return c
		}, joined)
	})
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString(block)
		for range rapid.IntRange(1, 4).Draw(t, "pairs") {
			b.WriteString("- image: " + yamlString(text.Draw(t, "image")+".png") + "\n")
			b.WriteString("  video: " + yamlString(text.Draw(t, "video")+".mp4") + "\n")
			if rapid.Bool().Draw(t, "named") {
				b.WriteString("  id: " + yamlString(text.Draw(t, "id")) + "\n")
			}
		}
		m, err := pipeline.ReadManifest(strings.NewReader(b.String()), "m.yaml")
		if err == nil {
			accepted++
			checkSafe(t, m)
		}
	})
	if accepted == 0 {
		t.Error("no manifest was accepted: the property was never put to the test")
	}
}

// Text that anybody may have written is a manifest or a list of problems; it
// never stops the program, and never passes with unsafe names.
func FuzzReadManifest(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(smallest))
	paths, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		f.Add(readFile(f, path))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := pipeline.ReadManifest(strings.NewReader(string(text)), "fuzz.yaml")
		var problems *pipeline.ManifestError
		switch {
		case err == nil:
			checkSafe(t, m)
			if len(m.Pairs)+len(m.Matrix.Images) == 0 && m.PairsFrom == "" || m.Lane.Region == "" || m.Budget.Currency == "" {
				t.Errorf("accepted an incomplete manifest: %+v", m)
			}
		case errors.As(err, &problems):
			for _, p := range problems.Problems {
				if line := p.String(); strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
					t.Errorf("a problem holds control characters: %q", line)
				}
			}
		}
	})
}
