package pipeline_test

import (
	"errors"
	"math"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// Settings that make no sense are refused before anything is done.
func TestConfigRefused(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	plan := r.plan(1, "true")
	for _, tt := range []struct {
		name string
		edit func(*pipeline.Config)
	}{
		{"MaxCost", func(c *pipeline.Config) { c.MaxCost = decimal.NewNullDecimal(decimal.NewFromInt(-1)) }},
		{"Limit", func(c *pipeline.Config) { c.Limit = -1 }},
		{"Fetches", func(c *pipeline.Config) { c.Fetches = -1 }},
		{"Fetches", func(c *pipeline.Config) { c.Fetches = 1001 }},
		{"Speed", func(c *pipeline.Config) { c.Speed = -1 }},
		{"Speed", func(c *pipeline.Config) { c.Speed = math.NaN() }},
		{"Speed", func(c *pipeline.Config) { c.Speed = math.Inf(1) }},
		{"Version", func(c *pipeline.Config) { c.Version = "1\r\nX: y" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for verb, do := range map[string]func() (*pipeline.Report, error){
				"run":    func() (*pipeline.Report, error) { return r.try(t.Context(), plan, tt.edit) },
				"cancel": func() (*pipeline.Report, error) { return r.tryCancel(t.Context(), tt.edit) },
			} {
				_, err := do()
				if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "Config."+tt.name) {
					t.Errorf("%s: %v", verb, err)
				}
			}
		})
	}
	if _, err := os.Stat(r.folder()); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

// Every server is told which version calls: for tasks, uploads and downloads.
func TestUserAgent(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	var mu sync.Mutex
	agents := map[string]int{}
	r.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		agents[req.UserAgent()]++
		mu.Unlock()
		r.provider.ServeHTTP(w, req)
	})
	r.run(r.matrixOf(1, 1), func(c *pipeline.Config) { c.Version = "1.2.3" })
	if len(agents) != 1 || agents["wanbatch/1.2.3"] == 0 {
		t.Errorf("%v", agents)
	}
}
