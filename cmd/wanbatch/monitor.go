package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/wanbatch/wanbatch/pipeline"
)

// monitorOptions are what a run leaves for those who were not there.
type monitorOptions struct {
	metrics string // file
	notify  string // URL; it may be a credential
}

func (o *monitorOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.metrics, "metrics-file", "", "keep `file` up to date with figures in OpenMetrics text, for a collector of text files")
	f.StringVar(&o.notify, "notify", "", "post a summary in JSON to `url` at the end, however it ends (https, or loopback)")
}

// monitor follows one run, and tells of it when it is over. What it cannot tell is
// a warning: no exit code depends on it.
type monitor struct {
	p             *program
	metrics       string
	notifier      *pipeline.Notifier // nil: nobody is notified
	began         time.Time
	batch, folder string           // folder is "" before the manifest was understood
	report        *pipeline.Report // at the end; nil if the run came to none
}

// newMonitor refuses what could not be written or reached in the end, before
// anything is spent.
func (p *program) newMonitor(arg string, o runOptions) (*monitor, error) {
	m := &monitor{p: p, metrics: o.metrics, began: time.Now(), batch: o.name}
	if m.batch == "" && arg != pipeline.StdinName {
		m.batch = strings.TrimSuffix(filepath.Base(arg), filepath.Ext(arg))
	}
	if o.metrics != "" {
		if info, err := os.Stat(filepath.Dir(o.metrics)); err != nil || !info.IsDir() {
			return nil, usagef("--metrics-file %s: there is no folder for it", o.metrics)
		}
	}
	if o.notify != "" {
		var err error
		if m.notifier, err = pipeline.NewNotifier(o.notify, http.ProxyFromEnvironment); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Metrics are written again at this interval while the run goes on, or at longer
// ones, if reading a large journal would take more than a hundredth of the time.
const (
	metricsEvery = time.Minute
	metricsShare = 100
)

// follow keeps the metrics up to date until the returned function is called.
func (m *monitor) follow(batch, folder string) (stop func()) {
	m.batch, m.folder = batch, folder
	if m.metrics == "" {
		return func() {}
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			start := time.Now()
			_ = m.write(m.look(), nil) // the end tells of a file that cannot be written
			pause := max(metricsEvery, metricsShare*time.Since(start))
			select {
			case <-done:
				return
			case <-time.After(pause):
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// look is the batch as its journal has it, nil if there is none.
func (m *monitor) look() *pipeline.Report {
	if m.folder == "" {
		return nil
	}
	r, err := pipeline.Status(m.folder)
	if err != nil {
		return nil // the run itself tells what is wrong with it
	}
	return r
}

// end tells how the run ended. A context that has ended does not keep it from that.
func (m *monitor) end(ctx context.Context, runErr error) {
	if m.metrics == "" && m.notifier == nil {
		return
	}
	if m.report == nil {
		m.report = m.look()
	}
	e := &runEnd{code: exitCode(runErr), err: runErr, at: time.Now()}
	if m.metrics != "" {
		if err := m.write(m.report, e); err != nil {
			m.p.err.line("warning: the metrics were not written: %v", err)
		}
	}
	if m.notifier != nil {
		document, err := json.Marshal(m.notice(e))
		if err == nil {
			err = m.notifier.Post(context.WithoutCancel(ctx), document)
		}
		if err != nil {
			m.p.err.line("warning: %v", err)
		}
	}
}

// runEnd is how a run ended.
type runEnd struct {
	code int
	err  error
	at   time.Time
}

// notice is what --notify posts: a public format like that of the report, of which
// it takes its parts.
type notice struct {
	Version   int               `json:"version"`
	Batch     string            `json:"batch"`
	Folder    string            `json:"folder"` // "" if the manifest was not understood
	ExitCode  int               `json:"exit_code"`
	Meaning   string            `json:"meaning"` // of the exit code
	Message   string            `json:"message"` // why it stopped, "" if the jobs say it
	StartedAt time.Time         `json:"started_at"`
	EndedAt   time.Time         `json:"ended_at"`
	Complete  bool              `json:"complete"`
	Currency  string            `json:"currency"`
	Totals    *pipeline.Totals  `json:"totals"`   // null if there is no journal
	Problems  []noticeOfProblem `json:"problems"` // the first 20
	Program   string            `json:"program"`
}

type noticeOfProblem struct {
	Job   string         `json:"id"`
	State pipeline.State `json:"state"`
	*pipeline.Failure
}

func (m *monitor) notice(e *runEnd) notice {
	n := notice{Version: 1, Batch: m.batch, ExitCode: e.code, StartedAt: m.began.UTC(), EndedAt: e.at.UTC(),
		Problems: []noticeOfProblem{}, Program: "wanbatch " + currentVersion().Version}
	if m.folder != "" {
		n.Folder, _ = filepath.Abs(m.folder) // a courtesy: none is no error
	}
	for _, row := range exits() {
		if row.code == e.code {
			n.Meaning = row.meaning
		}
	}
	if e.err != nil && !errors.Is(e.err, errReported) {
		n.Message = e.err.Error()
	}
	if r := m.report; r != nil {
		n.Complete, n.Currency, n.Totals = r.Complete, r.Currency, &r.Totals
		for _, j := range r.Jobs {
			if j.Error != nil && len(n.Problems) < shownProblems {
				n.Problems = append(n.Problems, noticeOfProblem{j.ID, j.State, j.Error})
			}
		}
	}
	return n
}
