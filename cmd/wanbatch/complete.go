package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

// arrangeCompletion lets the shell complete what a command's synopsis names:
// manifests, batch folders, and the ids of jobs. Nothing is completed where nothing
// is taken.
func (p *program) arrangeCompletion(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		switch words := strings.Fields(cmd.Use); {
		case cmd.ValidArgsFunction != nil || cmd.HasSubCommands() || cmd.Name() == "init":
		case len(words) == 1:
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		case slices.Contains(words, "JOB"):
			cmd.ValidArgsFunction = p.completeQuarantined
		case strings.HasPrefix(strings.Trim(words[1], "["), "MANIFEST"):
			cmd.ValidArgsFunction = completeManifest(strings.HasSuffix(words[1], "..."))
		}
		if cmd.Flags().Lookup("only") != nil {
			cobra.CheckErr(cmd.RegisterFlagCompletionFunc("only", p.completeJobs))
		}
		if cmd.Flags().Lookup("log-format") != nil {
			cobra.CheckErr(cmd.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"console", "json"}, cobra.ShellCompDirectiveNoFileComp)))
		}
		if cmd.Flags().Lookup("output") != nil && cmd.Name() != "init" {
			cobra.CheckErr(cmd.MarkFlagDirname("output"))
		}
	}
}

// completeManifest offers files of YAML, and folders on the way to them; a batch
// folder is one too.
func completeManifest(several bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 && !several {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
	}
}

// completeQuarantined offers the jobs that a person must settle.
func (p *program) completeQuarantined(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeManifest(false)(cmd, args, typed)
	}
	var where folderFlags
	where.output, _ = cmd.Flags().GetString("output")
	where.name, _ = cmd.Flags().GetString("name")
	folder, err := p.folderOf(args[0], where)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	r, err := pipeline.Status(folder)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, j := range r.Jobs {
		if j.State == pipeline.StateQuarantined {
			ids = append(ids, j.ID)
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeJobs offers the pairs that the manifest lists, behind those that are typed
// already. Rows and combinations would have to be read or made first: too slow.
func (p *program) completeJobs(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 || !exists(args[0]) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	m, err := pipeline.ReadManifestFile(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	before := typed[:strings.LastIndex(typed, ",")+1]
	var ids []string
	for _, pair := range m.Pairs {
		ids = append(ids, before+pair.ID)
	}
	return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
