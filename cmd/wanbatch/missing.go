package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wanbatch/wanbatch/pipeline"
)

// missing tells of finished videos that a batch folder does not have any more, and how
// to have them again. arg is the manifest, or the folder where it is not known; same
// are the flags of a run that pays the same account the same prices.
func (p *printer) missing(list []pipeline.Missing, r *pipeline.Report, folder, arg string, same []string) {
	if len(list) == 0 {
		return
	}
	verb := "are"
	if len(list) == 1 {
		verb = "is"
	}
	p.labeled("missing", fmt.Sprintf("%s %s not in the batch folder as stored there; what was paid for is never paid again by itself",
		count(len(list), "finished video"), verb))
	for _, m := range list[:min(len(list), shownProblems)] {
		p.prose("  " + m.Job + ": " + m.Path + " " + m.What + elsewhere(m))
	}
	if more := len(list) - shownProblems; more > 0 {
		p.line("  and %d more; wanbatch status --json has them all", more)
	}
	if r.Rehearsed() {
		p.labeled("again", "the next rehearsal makes all of them anew")
		return
	}
	p.command("restore", pipeline.CommandLine("audit", []string{folder}), "proves copies of them that are put back from a backup")
	if slices.ContainsFunc(list, func(m pipeline.Missing) bool { return m.TaskID != "" }) {
		p.labeled("for free", "GET "+r.Lane.Endpoint+"/api/v1/tasks/TASK, sent with the key, tells the video_url of a result that the provider still has")
	}
	p.command("pay again", payAgain(list, r, arg, same), "makes them in a batch of its own")
}

// elsewhere says where else a video is.
func elsewhere(m pipeline.Missing) string {
	switch {
	case m.URL != "":
		return "; the bucket has it at " + m.URL
	case m.CopyOf != "":
		return "; it was a copy of " + m.CopyOf
	case m.TaskID != "":
		return "; the provider has it until " + m.Until.Local().Format(time.DateTime) + ", task " + m.TaskID
	}
	return ""
}

// payAgain is the run that makes videos a second time, on purpose.
func payAgain(list []pipeline.Missing, r *pipeline.Report, arg string, same []string) string {
	only := "ID,..."
	if len(list) <= shownProblems {
		var ids []string
		for _, m := range list {
			ids = append(ids, m.Job)
		}
		only = strings.Join(ids, ",")
	}
	flags := append(slices.Clone(same), "--name", r.Batch+"-again", "--only", only)
	return pipeline.CommandLine("run", []string{arg}, flags...)
}

// outside are the flags that let a batch lie beside the one in a folder.
func outside(folder string) []string {
	if output := filepath.Dir(filepath.Clean(folder)); output != "output" {
		return []string{"--output", output}
	}
	return nil
}
