package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/wanbatch/wanbatch/pipeline"
)

// launch runs a plan and lets people see it: the live view on a terminal, log lines
// elsewhere, problems in any case. It listens to Ctrl-C, SIGTERM and SIGHUP meanwhile.
func (p *program) launch(ctx context.Context, plan *pipeline.Plan, cfg pipeline.Config, v logFlags, events bool) (*pipeline.Report, error) {
	return p.runWithProgress(ctx, cfg, v, events, func(ctx context.Context, cfg pipeline.Config) (*pipeline.Report, error) {
		return pipeline.Run(ctx, plan, cfg)
	})
}

// runWithProgress is launch for whatever works on a batch.
func (p *program) runWithProgress(ctx context.Context, cfg pipeline.Config, v logFlags, events bool,
	do func(context.Context, pipeline.Config) (*pipeline.Report, error),
) (*pipeline.Report, error) {
	screen := io.Writer(p.err)
	show, halt := func(pipeline.Event) {}, func() {}
	tty := terminal(p.err.w)
	if tty != nil && v.format != "json" {
		screen = wrapper{p.err, widthOf(tty)}
	}
	log := v.logger(screen, tty != nil && p.wantsColor(v), false)
	if tty != nil && p.wantsLive(v) && supportsEscapes(tty) && !(events && terminal(p.out.w) != nil) {
		resumed, ignore := resumeSignals()
		defer ignore()
		view := newLive(p.panel(tty), max(cfg.Speed, 1), p.wantsColor(v), resumed)
		defer view.close()
		screen, show, halt = view, view.show, view.halt
		log = v.logger(screen, p.wantsColor(v), true).Level(zerolog.WarnLevel)
	}
	log = log.Level(max(log.GetLevel(), v.level()))

	paid := ", paid tasks continue at the provider"
	if cfg.APIKey == pipeline.RehearsalKey {
		paid = "" // and their provider ends with us
	}
	ctx, stop, release := interruptible(ctx, func(hangup bool) {
		again := "; press Ctrl-C again to stop immediately"
		if hangup {
			again = "" // where nobody sits
		}
		_, _ = io.WriteString(screen, "stopping: finishing current downloads"+paid+again+"\n")
		halt()
	})
	defer release()
	cfg.Stop = stop
	lines := json.NewEncoder(p.out)
	told := repeatFilter{}
	var last pipeline.Event // trouble
	cfg.OnEvent = func(e pipeline.Event) {
		if e.Kind == pipeline.EventTrouble {
			last = e
		}
		if events {
			_ = lines.Encode(e) // the printer remembers a failure
		}
		show(e)
		if v.verbose || v.format == "json" || told.shouldLog(log, e) {
			logEvent(log, e)
		}
	}
	report, err := do(ctx, cfg)
	if v.quiet && err != nil && last.Message != "" {
		p.err.line("last failed call at %s: %s", last.Time.Local().Format(time.DateTime), last.Message)
	}
	return report, err
}

// panel is where the live view is drawn. Of the terminals that get narrower, xterm
// alone cuts its lines; it says who it is, but so it does to a tmux inside.
func (p *program) panel(tty *os.File) panel {
	return panel{w: p.err, size: sizeOf(tty), muteTerminal: func() func() { return muteTerminal(tty) },
		truncates: p.getenv("XTERM_VERSION") != "" && p.getenv("TMUX") == ""}
}

// wantsLive reports whether a terminal gets the live view. NO_COLOR takes the
// colors out of it and nothing else, as its makers mean it and as users of restic
// and rclone know it, whose progress stays; TERM=dumb and CI leave log lines.
func (p *program) wantsLive(v logFlags) bool {
	return !v.quiet && !v.verbose && v.format == "" && !p.dumb() && !p.onCI()
}

func (p *program) wantsColor(v logFlags) bool {
	return !v.noColor && p.getenv("NO_COLOR") == "" && !p.dumb()
}

func (v logFlags) level() zerolog.Level {
	switch {
	case v.quiet: // what is tried again is no problem yet
		return zerolog.ErrorLevel
	case v.verbose:
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}
