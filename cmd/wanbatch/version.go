package main

import (
	"context"
	"encoding/json"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "which build this is",
		Long:    "Prints version, commit and platform of this program.\n\nExits 0.",
		Example: "  wanbatch version --json",
		Args:    takes(),
		RunE: p.verb(func(context.Context, []string) error {
			return p.version(asJSON)
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document")
	return cmd
}

func (p *program) version(asJSON bool) error {
	b := currentVersion()
	if asJSON {
		enc := json.NewEncoder(p.out)
		enc.SetIndent("", "  ")
		return enc.Encode(b)
	}
	p.out.line("wanbatch %s, %s %s", b.Version, b.Go, b.Platform)
	if b.Commit != "" {
		state := ""
		if b.Modified {
			state = ", with changes"
		}
		p.out.line("commit %s of %s%s", b.Commit, b.Time, state)
	}
	return nil
}

// build is what the Go toolchain recorded about this program.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit
	Modified bool   `json:"modified"`       // since the commit
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func currentVersion() build {
	b := build{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
