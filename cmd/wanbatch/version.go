package main

import (
	"cmp"
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

// version replaces the build info's where a build has no commit to look at, such as
// one of a source archive: go build -ldflags "-X main.version=1.2.3".
var version string

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
	b := build{Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		b.describe(info)
	}
	b.Version = cmp.Or(version, b.Version, "(unknown)")
	return b
}

// describe takes over what the toolchain recorded.
func (b *build) describe(info *debug.BuildInfo) {
	b.Version = info.Main.Version
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
}
