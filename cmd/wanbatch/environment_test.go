package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/wanbatch/wanbatch/pipeline"
)

// with is a program in an environment.
func with(env map[string]string) *program {
	return &program{out: &printer{w: &bytes.Buffer{}}, err: &printer{w: &bytes.Buffer{}}, getenv: func(name string) string { return env[name] }}
}

func TestAPIKey(t *testing.T) {
	home := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file(".dashscope/api_key", "sk-home\n")
	named, two := file("named", " sk-file\n"), file("two", "sk-one\nsk-two\n")

	tests := []struct {
		name string
		lane pipeline.Lane
		env  map[string]string
		want string // "" for an error
	}{
		{"environment first", pipeline.Lane{}, map[string]string{"HOME": home, keyVariable: " sk-env ", keyFileVariable: named}, "sk-env"},
		{"then the named file", pipeline.Lane{}, map[string]string{"HOME": home, keyFileVariable: named}, "sk-file"},
		{"then the file at home", pipeline.Lane{}, map[string]string{"HOME": home}, "sk-home"},
		{"then none", pipeline.Lane{}, map[string]string{}, ""},
		{"a named file must be there", pipeline.Lane{}, map[string]string{"HOME": home, keyFileVariable: named + "x"}, ""},
		{"and hold one key", pipeline.Lane{}, map[string]string{"HOME": home, keyFileVariable: two}, ""},
		{"a manifest's variable", pipeline.Lane{APIKeyEnv: "ACME"}, map[string]string{"ACME": "sk-acme", keyVariable: "sk-env"}, "sk-acme"},
		{"has no fallback", pipeline.Lane{APIKeyEnv: "ACME"}, map[string]string{"HOME": home, keyVariable: "sk-env", keyFileVariable: named}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := with(tt.env).apiKey(tt.lane)
			if string(got) != tt.want || err == nil != (tt.want != "") {
				t.Errorf("got %q (%v), want %q", string(got), err, tt.want)
			}
			if err != nil && exitCode(err) != 2 {
				t.Errorf("%v exits %d, want 2", err, exitCode(err))
			}
		})
	}
}

func TestEndpointPrecedence(t *testing.T) {
	lane := pipeline.Lane{Endpoint: "https://manifest.example"}
	env := map[string]string{endpointVariable: "https://env.example/api/v1"}
	tests := []struct {
		flag string
		env  map[string]string
		lane pipeline.Lane
		want string
	}{
		{"https://flag.example", env, lane, "https://flag.example"},
		{"", env, lane, "https://env.example/api/v1"},
		{"", nil, lane, "https://manifest.example"},
		{"", nil, pipeline.Lane{}, ""},
	}
	for _, tt := range tests {
		if got, err := with(tt.env).endpoint(tt.flag, tt.lane); got != tt.want || err != nil {
			t.Errorf("endpoint(%q) = %q (%v), want %q", tt.flag, got, err, tt.want)
		}
	}
}

func TestStateFolder(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the custom of another system")
	}
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"XDG_STATE_HOME": "/state", "HOME": "/home/a"}, "/state/wanbatch"},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/home/a"}, "/home/a/.local/state/wanbatch"},
		{map[string]string{}, ""},
	} {
		if got := with(tt.env).stateFolder(); got != tt.want {
			t.Errorf("with %v: %q, want %q", tt.env, got, tt.want)
		}
	}
}
