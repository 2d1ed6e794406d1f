package main

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

// folderFlags says where a batch's folder lies.
type folderFlags struct {
	output string // folder of batch folders
	name   string // replaces the manifest's name if not empty
}

func (w *folderFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&w.output, "output", "o", "output", "`folder` that holds the batch folders")
	w.nameFlag(cmd)
}

func (w *folderFlags) nameFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.name, "name", "", "`name` of the batch and its folder, instead of the manifest's")
}

// flagged is the place as flags that must be given again.
func (w *folderFlags) flagged() []string {
	var flags []string
	if w.output != "output" {
		flags = append(flags, "--output", w.output)
	}
	if w.name != "" {
		flags = append(flags, "--name", w.name)
	}
	return flags
}

// folder is the batch folder of a manifest.
func (w *folderFlags) folder(m *pipeline.Manifest) string { return pipeline.FolderOf(w.output, m) }

// manifest reads the manifest that an argument names; "-" is standard input. One
// that has problems is returned with them, so that its media can be looked at too.
func (p *program) manifest(arg string, w folderFlags) (*pipeline.Manifest, error) {
	m, err := p.read(arg)
	if m == nil {
		return nil, err
	}
	if w.name != "" {
		if err := m.Rename(w.name); err != nil {
			return nil, usagef("--name: %v", err)
		}
	}
	if m.Name == "" && err == nil {
		return nil, usagef("the manifest from standard input has no name; set name in it or give --name")
	}
	return m, err
}

func (p *program) read(arg string) (*pipeline.Manifest, error) {
	if arg == pipeline.StdinName {
		return pipeline.ReadManifest(p.stdin, arg)
	}
	if isFolder(arg) {
		return nil, usagef("%s is a folder; give the manifest, or - for standard input", arg)
	}
	m, err := pipeline.ReadManifestFile(arg)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("there is no manifest %s", arg)
	}
	return m, err
}

// plan reads a manifest and plans it. What looks like a mistake is told at once.
func (p *program) plan(ctx context.Context, arg string, w folderFlags, prices *pipeline.Prices) (*pipeline.Plan, error) {
	m, err := p.manifest(arg, w)
	if m == nil {
		return nil, err // all others are planned, which tells of their problems and of their media's
	}
	cache := ""
	if w.output != "" {
		cache = filepath.Join(w.folder(m), mediaCache)
	}
	return p.planOf(ctx, m, arg, pipeline.PlanOptions{Cache: cache, Prices: prices})
}

// mediaCache keeps what was found out about local files beside the journal.
const mediaCache = ".media.json"

// planOf plans a manifest that was read from arg. Remote files are looked into as
// far as they can be reached within seconds.
func (p *program) planOf(ctx context.Context, m *pipeline.Manifest, arg string, opts pipeline.PlanOptions) (*pipeline.Plan, error) {
	opts.Remote = &pipeline.Remote{Proxy: http.ProxyFromEnvironment}
	plan, err := pipeline.NewPlan(ctx, m, opts)
	if err != nil {
		return nil, err
	}
	for _, sentence := range plan.Warnings() {
		p.warn(arg + ": warning: " + sentence)
	}
	return plan, nil
}

func isFolder(arg string) bool {
	info, err := os.Stat(arg)
	return err == nil && info.IsDir()
}

// folderOf returns the batch folder that an argument names: the folder itself, or
// the manifest that it was run from.
func (p *program) folderOf(arg string, w folderFlags) (string, error) {
	if isFolder(arg) {
		return arg, nil
	}
	if _, err := os.Stat(arg); arg != pipeline.StdinName && errors.Is(err, fs.ErrNotExist) {
		return "", usagef("there is no manifest or folder %s", arg)
	}
	m, err := p.manifest(arg, w)
	if err != nil {
		return "", err
	}
	return w.begun(arg, m)
}

// begun returns the batch folder of a manifest that was read from arg, if it was ever
// run.
func (w *folderFlags) begun(arg string, m *pipeline.Manifest) (string, error) {
	folder := w.folder(m)
	for _, left := range []string{"journal.jsonl", "report.json"} { // what is wrong with one of these alone is told by whoever reads it
		if exists(filepath.Join(folder, left)) {
			return folder, nil
		}
	}
	where := "there is no batch in " + folder
	if exists(filepath.Join(folder+pipeline.RehearsalSuffix, "journal.jsonl")) {
		where += ", only its rehearsal in " + folder + pipeline.RehearsalSuffix
	}
	name := arg
	if arg == pipeline.StdinName {
		name = "the manifest from standard input"
	}
	return "", usagef("%s has not been run yet: %s; %s begins it", name, where, pipeline.CommandLine("run", []string{arg}, w.flagged()...))
}
