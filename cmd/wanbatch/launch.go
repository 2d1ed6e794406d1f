package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/rs/zerolog"

	"github.com/wanbatch/wanbatch/pipeline"
)

// launch runs a plan and lets people see it: a live line on a terminal, log lines
// elsewhere, problems in any case. It listens to Ctrl-C and SIGTERM meanwhile.
func (p *program) launch(ctx context.Context, plan *pipeline.Plan, cfg pipeline.Config, v voice, events bool) (*pipeline.Report, error) {
	return p.attend(ctx, cfg, v, events, func(ctx context.Context, cfg pipeline.Config) (*pipeline.Report, error) {
		return pipeline.Run(ctx, plan, cfg)
	})
}

// attend is launch for whatever works on a batch.
func (p *program) attend(ctx context.Context, cfg pipeline.Config, v voice, events bool,
	do func(context.Context, pipeline.Config) (*pipeline.Report, error),
) (*pipeline.Report, error) {
	screen := io.Writer(p.err)
	update := func(pipeline.Progress) {}
	tty := terminal(p.err.w)
	log := v.logger(screen, tty != nil && p.wantsColor(v), false)
	if tty != nil && p.wantsLive(v) {
		line := newLive(p.err, widthOf(tty), max(cfg.Speed, 1))
		defer line.close()
		screen, update = line, line.show
		log = v.logger(screen, p.wantsColor(v), true).Level(zerolog.WarnLevel)
	}
	log = log.Level(max(log.GetLevel(), v.level()))

	ctx, stop, release := interruptible(ctx, func() {
		_, _ = io.WriteString(screen, "stopping: downloads under way are finished, paid tasks go on; press Ctrl-C again to leave at once\n")
	})
	defer release()
	cfg.Stop = stop
	lines := json.NewEncoder(p.out)
	cfg.OnEvent = func(e pipeline.Event) {
		if events {
			_ = lines.Encode(e) // the printer remembers a failure
		}
		update(e.Progress)
		tell(log, e)
	}
	return do(ctx, cfg)
}

// wantsLive reports whether a terminal gets the live line.
func (p *program) wantsLive(v voice) bool {
	return !v.quiet && !v.verbose && v.format == "" && !p.dumb() && !p.onCI()
}

func (p *program) wantsColor(v voice) bool {
	return !v.noColor && p.getenv("NO_COLOR") == "" && !p.dumb()
}

func (v voice) level() zerolog.Level {
	switch {
	case v.quiet:
		return zerolog.WarnLevel
	case v.verbose:
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}
