package main

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/wanbatch/wanbatch/pipeline"
)

// again is the command by which a person goes on with a batch that was named by its
// manifest or its folder. Of a folder nobody knows the manifest.
func (w *folderFlags) again(arg string, r *pipeline.Report, flags ...string) string {
	named := *w
	if isFolder(arg) {
		named, arg = folderFlags{output: filepath.Join(arg, "..")}, pipeline.AnyManifest
	}
	if r.Rehearsed() {
		named.name = strings.TrimSuffix(named.name, pipeline.RehearsalSuffix) // which rehearse adds
	}
	return r.Again(arg, append(named.flagged(), flags...)...)
}

// next tells how to go on with a batch, whose last run ended early for a reason or for
// none. again writes the command, with further flags.
func (p *printer) next(r *pipeline.Report, stopped error, again func(flags ...string) string) {
	switch {
	case r.Rehearsed():
		if !r.Complete {
			p.command("again", again(), "rehearses it afresh: a rehearsal is not continued")
		}
	case errors.Is(stopped, pipeline.ErrBudget):
		p.command("continue", again("--max-cost", r.Budget.NeedAll().String()), "pays for all that is left")
	case stopped != nil:
		p.command("continue", again(), "(with the same flags)")
	case r.Totals.Quarantined > 0:
		p.labeled("continue", "settle each quarantined job with one of its commands, then")
		p.command("", again(), "")
	case !r.Complete:
		p.command("continue", again(), "goes on with the jobs that are left")
	case r.Totals.Failed+r.Totals.Lost > 0:
		p.command("continue", again("--retry-failed"), "submits failed and lost jobs again")
	}
}

// stopped is why the newest run of a batch ended before its jobs did, nil if it did not.
func stopped(r *pipeline.Report) error {
	switch {
	case r.Complete || r.Stopped == nil || r.Stopped.Message == "":
		return nil
	case r.Stopped.Reason == "budget":
		return pipeline.ErrBudget
	}
	return errors.New(r.Stopped.Message)
}
