package pipeline_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/pipeline"
)

func TestCommandLine(t *testing.T) {
	for _, tt := range []struct {
		want  string
		args  []string
		flags []string
	}{
		{`wanbatch run output/spring-dance.yaml`, []string{"output/spring-dance.yaml"}, nil},
		{`wanbatch run 舞/Größe.yaml --yes`, []string{"舞/Größe.yaml"}, []string{"--yes"}},
		{`wanbatch run - --name x`, []string{"-"}, []string{"--name", "x"}},
		{`wanbatch run "my batch.yaml"`, []string{"my batch.yaml"}, nil},
		{`wanbatch run "it's.yaml"`, []string{"it's.yaml"}, nil},
		{`wanbatch run '$(reboot)'`, []string{"$(reboot)"}, nil},
		{`wanbatch run 'it'\''s $5'`, []string{"it's $5"}, nil},
		{`wanbatch run ""`, []string{""}, nil},
		{`wanbatch run "~/x" "a=b" "a\b"`, []string{"~/x", "a=b", `a\b`}, nil},
		{`wanbatch run 'a\'`, []string{`a\`}, nil},
		{`wanbatch run "a?b?"`, []string{"a\x1bb\n"}, nil},
		{`wanbatch run --plan -p.json -- -x.yaml y`, []string{"-x.yaml", "y"}, []string{"--plan", "-p.json"}},
	} {
		t.Run(tt.want, func(t *testing.T) {
			if got := pipeline.CommandLine("run", tt.args, tt.flags...); got != tt.want {
				t.Errorf("CommandLine(%q, %q) = %s, want %s", tt.args, tt.flags, got, tt.want)
			}
		})
	}
}

// A shell takes every word for itself, and so does whoever reads it back.
func TestCommandLineInAShell(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs sh")
	}
	seen := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune(" -'\"\\$`!%~*?=&|;<>()[]{}#,@\u201cé舞")), rapid.Rune()).
		Filter(func(r rune) bool {
			return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && r != unicode.ReplacementChar
		}))
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(seen, 1, 20).Draw(t, "args")
		line := pipeline.CommandLine("run", args, "--end")
		out, err := exec.CommandContext(t.Context(), shell, "-c", `wanbatch() { shift; printf '%s\n' "$@"; }; `+line).Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		want := append(slices.Clone(args), "--end")
		if slices.ContainsFunc(args, func(a string) bool { return len(a) > 1 && a[0] == '-' }) {
			want = append([]string{"--end", "--"}, args...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s gave %q, want %q", line, got, want)
		}
		if word := pipeline.FirstWord(strings.TrimPrefix(pipeline.CommandLine("run", args[:1]), "wanbatch run ")); word != args[0] && word != "--" {
			t.Fatalf("read back %q, want %q", word, args[0])
		}
	})
}

// To cmd a single quote is nothing: no sign of a word gets out of double quotes.
func TestShellWordOnWindows(t *testing.T) {
	for name, want := range map[string]string{
		`output\duo`:       `"output\duo"`,
		`\\host\share\a b`: `"\\host\share\a b"`,
		`C:\`:              `"C:\\"`,
		`100% & calc`:      `"100? & calc"`,
		`a" & calc`:        `"a? & calc"`,
		"a.b-c":            "a.b-c",
	} {
		if got := pipeline.ShellWord(name, true); got != want {
			t.Errorf("%s is written %s, want %s", name, got, want)
		}
	}
}
