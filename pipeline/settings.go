package pipeline

import (
	"fmt"
	"strconv"
	"time"
)

// setting is one of a manifest's settings as the journal keeps it.
type setting struct {
	name string
	text func() string
	set  func(string) error
}

// settings are those of a manifest that decide how a run works, each spelled here
// and nowhere else: a run writes them down, and what continues without a manifest
// takes them back.
func (m *Manifest) settings() []setting {
	l := &m.Limits
	return []setting{
		kept("exclusive", &m.Lane.Exclusive, func(e Exclusive) string { return string(e) }, func(s string) (Exclusive, error) { return Exclusive(s), nil }),
		kept("running", &l.Running, strconv.Itoa, strconv.Atoi),
		kept("queue_ahead", &l.QueueAhead, strconv.Itoa, strconv.Atoi),
		kept("create_per_second", &l.CreatePerSecond, perSecondText, parsePerSecond),
		kept("query_per_second", &l.QueryPerSecond, perSecondText, parsePerSecond),
		kept("poll_min", &l.PollMin, time.Duration.String, time.ParseDuration),
		kept("poll_max", &l.PollMax, time.Duration.String, time.ParseDuration),
		kept("settle", &l.Settle, time.Duration.String, time.ParseDuration),
		kept("task_life", &l.TaskLife, time.Duration.String, time.ParseDuration),
		kept("burst_wait", &l.BurstWait, time.Duration.String, time.ParseDuration),
		kept("tries", &l.Tries, strconv.Itoa, strconv.Atoi),
	}
}

// kept is a setting that lies in a variable.
func kept[T any](name string, at *T, text func(T) string, parse func(string) (T, error)) setting {
	return setting{name,
		func() string { return text(*at) },
		func(s string) (err error) {
			*at, err = parse(s)
			return err
		}}
}

func perSecondText(perSecond float64) string { return strconv.FormatFloat(perSecond, 'g', -1, 64) }

func parsePerSecond(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

// restore takes back the settings of a run. What an older program did not write
// keeps its default.
func (m *Manifest) restore(written map[string]string) error {
	for _, s := range m.settings() {
		if text, ok := written[s.name]; ok {
			if err := s.set(text); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}
