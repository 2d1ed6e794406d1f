package main

import (
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

// logFlags is how much is said while a batch runs, and in which form.
type logFlags struct {
	quiet, verbose, noColor bool
	format                  string // "", "console" or "json"
}

func (v *logFlags) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&v.quiet, "quiet", "q", false, "print problems only; nothing, if there are none")
	cmd.Flags().BoolVarP(&v.verbose, "verbose", "v", false, "log every step, also on a terminal")
	cmd.Flags().BoolVar(&v.noColor, "no-color", false, "no color in log lines (also: NO_COLOR)")
	cmd.Flags().StringVar(&v.format, "log-format", "", "log every step as `console|json` lines")
	cmd.MarkFlagsMutuallyExclusive("quiet", "verbose")
}

func (v *logFlags) check() error {
	if v.format != "" && v.format != "console" && v.format != "json" {
		return usagef("--log-format is console or json, not %q", v.format)
	}
	return nil
}

// logger writes to w in the chosen form. What a reader of lines has no use for is
// left to JSON and -v; above the live view only the problem itself is told, because
// the summary tells the rest.
func (v *logFlags) logger(w io.Writer, color, aboveLive bool) zerolog.Logger {
	if v.format == "json" {
		return zerolog.New(w)
	}
	var hidden []string
	switch {
	case aboveLive:
		hidden = []string{"task", "request", "by", "hint"}
	case !v.verbose:
		hidden = []string{"request"}
	}
	return zerolog.New(zerolog.ConsoleWriter{
		Out: w, NoColor: !color, TimeFormat: time.TimeOnly, TimeLocation: time.Local, FieldsExclude: hidden,
		FieldsOrder: []string{"job", "task", "billed", "currency", "seconds", "file"},
	})
}

// logEvent logs one event of a run.
func logEvent(log zerolog.Logger, e pipeline.Event) {
	level, text := describe(e)
	logEventAs(log, level, text, e)
}

// logEventAs logs an event in words of the caller's.
func logEventAs(log zerolog.Logger, level zerolog.Level, text string, e pipeline.Event) {
	line := log.WithLevel(level).Time("time", e.Time)
	for _, field := range []struct{ name, value string }{
		{"job", e.Job}, {"task", e.Task}, {"request", e.Request}, {"code", e.Code}, {"by", e.By},
		{"seconds", amount(e.Seconds)}, {"billed", amount(e.Billed)}, {"file", e.File}, {"hint", e.Hint},
	} {
		if field.value != "" {
			line = line.Str(field.name, clean(field.value))
		}
	}
	if e.Billed.Valid {
		line = line.Str("currency", e.Progress.Currency)
	}
	line.Msg(clean(text))
}

func amount(d decimal.NullDecimal) string {
	if !d.Valid {
		return ""
	}
	return d.Decimal.String()
}

// describe says what an event means and how much it matters. Kinds that are not
// listed are told as they are, to whoever wants to know everything.
func describe(e pipeline.Event) (zerolog.Level, string) {
	switch e.Kind {
	case pipeline.EventStarted:
		return zerolog.InfoLevel, "started: " + e.Message
	case pipeline.EventFetching:
		return zerolog.TraceLevel, "downloading"
	case pipeline.EventWaiting:
		return zerolog.WarnLevel, "waiting: " + e.Message
	case pipeline.EventTrouble:
		return zerolog.WarnLevel, "failed, will retry: " + e.Message
	case pipeline.EventUploaded:
		return zerolog.InfoLevel, "input uploaded"
	case pipeline.EventSpoiled:
		return zerolog.WarnLevel, "job not submitted, not charged: " + e.Message
	case pipeline.EventAccepted:
		return zerolog.InfoLevel, "task accepted"
	case pipeline.EventRefused:
		return zerolog.WarnLevel, "create refused, not charged: " + e.Message
	case pipeline.EventUnanswered:
		return zerolog.WarnLevel, "create in doubt, checking the provider's task lists: " + e.Message
	case pipeline.EventAbsent:
		return zerolog.InfoLevel, "create settled: no task was created"
	case pipeline.EventAdopted:
		return zerolog.InfoLevel, "create settled: the task was found"
	case pipeline.EventQuarantined:
		return zerolog.ErrorLevel, "quarantined: cannot tell whether a task was created; a person must decide"
	case pipeline.EventRunning:
		return zerolog.InfoLevel, "task running"
	case pipeline.EventWithdrawn:
		if e.By == "operator" {
			return zerolog.InfoLevel, "cancel requested, in case the task still waits"
		}
		return zerolog.InfoLevel, "task waited too long, cancel requested"
	case pipeline.EventEnded:
		return describeEnd(e)
	case pipeline.EventAgain:
		return zerolog.InfoLevel, "back in the queue"
	case pipeline.EventStored:
		return zerolog.InfoLevel, "video stored"
	case pipeline.EventReused:
		return zerolog.InfoLevel, "video reused, not charged: " + e.Message
	case pipeline.EventLost:
		return zerolog.ErrorLevel, "the result is lost"
	}
	return zerolog.DebugLevel, joinWords(string(e.Kind), e.Message)
}

func describeEnd(e pipeline.Event) (zerolog.Level, string) {
	switch e.Status {
	case "SUCCEEDED":
		return zerolog.InfoLevel, "task succeeded"
	case "CANCELED":
		return zerolog.InfoLevel, "task canceled"
	}
	return zerolog.WarnLevel, joinWords("task failed, not charged", e.Message)
}

func joinWords(a, b string) string {
	return strings.Join(present([]string{a, b}), ": ")
}
