package pipeline_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/emulator"
	"github.com/wanbatch/wanbatch/pipeline"
)

// priceFile is a price file for the batches of these tests.
func priceFile(std, pro string) string {
	const row = "  - {region: singapore, model: wan2.2-animate-move, mode: %s, currency: USD, per_second: %q}\n"
	return "version: 1\ndate: 2026-10-01\nsource: contract 4711\nprices:\n" + fmt.Sprintf(row, "wan-std", std) + fmt.Sprintf(row, "wan-pro", pro)
}

func readPrices(t *testing.T, text string) (*pipeline.Prices, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "prices.yaml")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return pipeline.ReadPricesFile(file)
}

// priced is [rig.plan] on an exclusive lane at the prices of a file.
func (r *rig) priced(n int, text string, edit ...func(*pipeline.Manifest)) *pipeline.Plan {
	r.t.Helper()
	prices, err := readPrices(r.t, text)
	if err != nil {
		r.t.Fatal(err)
	}
	m := r.plan(n, "true", edit...).Manifest
	p, err := pipeline.NewPlan(r.t.Context(), &m, pipeline.PlanOptions{Prices: prices})
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func TestReadPricesRefuses(t *testing.T) {
	good := priceFile("0.10", "0.20")
	tests := []struct{ name, old, new, want string }{
		{"nothing", good, "", "it is empty"},
		{"another version", "version: 1", "version: 2", "version is 2"},
		{"no date", "date: 2026-10-01\n", "", "date \"\" is not"},
		{"a date that is none", "2026-10-01", "2026-13", "is not a month like"},
		{"no source", "contract 4711", `" "`, "source says where"},
		{"an unknown key", "source:", "sauce:", "key sauce not found"},
		{"a key twice", "version: 1", "version: 1\nversion: 1", "already"},
		{"another region", "singapore", "frankfurt", "frankfurt"},
		{"another model", "animate-move", "s2v", "price 1: no price for model"},
		{"another mode", "wan-std", "wan-max", "wan-max"},
		{"the currency of another region", "USD", "CNY", `price 1: currency "CNY": singapore is billed in USD`},
		{"a mode twice", "wan-pro", "wan-std", "price 2: wan-std in singapore of wan2.2-animate-move stands already as price 1"},
		{"nothing to pay", `"0.10"`, "0", "must be above 0"},
		{"less than nothing", "0.10", "-0.10", "is not an amount"},
		{"an exponent", "0.10", "1e-1", "is not an amount"},
		{"no price", `per_second: "0.10"`, `per_second: ""`, "is not an amount"},
		{"a list of nothing", good, "version: 1\ndate: 2026-10\nsource: x\nprices: []\n", "it lists no prices"},
		{"no list", good, "version: 1\ndate: 2026-10\nsource: x\nprices: 12\n", "cannot unmarshal"},
		{"two documents", good, good + "---\n" + good, "more follows"},
		{"too much", good, good + strings.Repeat("#", 64<<10), "64 KiB"},
		{"no text", good, "\xff", "not a text"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readPrices(t, strings.Replace(good, tt.old, tt.new, 1))
			if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want one with %q", err, tt.want)
			}
		})
	}
}

// JSON is YAML, so a file may be either. The hash is the file's own.
func TestPrices(t *testing.T) {
	text := `{"version": 1, "date": "2026-10", "source": "contract 4711", "prices": [
		{"region": "singapore", "model": "wan2.2-animate-move", "mode": "wan-std", "currency": "USD", "per_second": "0.119"},
		{"region": "singapore", "model": "wan2.2-animate-move", "mode": "wan-pro", "currency": "USD", "per_second": "0.3"}]}`
	r := newRig(t, 1, emulator.Options{})
	p := r.priced(1, text)
	e := p.Estimate()
	sum := sha256.Sum256([]byte(text))
	if e.Prices.Date != "2026-10" || e.Prices.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("price table is %+v", e.Prices)
	}
	if got, want := e.Units[pipeline.ModeStd].Price.String()+" "+e.Units[pipeline.ModeStd].BuiltIn.String(), "0.119 0.12"; got != want {
		t.Errorf("wan-std costs %s, want %s", got, want)
	}
	const note = "lower than the built-in prices of 2026-09: wan-std 0.119 instead of 0.12 USD a second"
	if !strings.Contains(e.Prices.Source, note) || !strings.Contains(strings.Join(p.Warnings(), "\n"), note) {
		t.Errorf("a price below the built-in one is hidden: source %q, warnings %q", e.Prices.Source, p.Warnings())
	}
	if strings.Contains(e.Prices.Source, "wan-pro") {
		t.Errorf("wan-pro is dearer than built in, yet told of: %q", e.Prices.Source)
	}
}

// A second run under other prices bills what it submits by them, and leaves alone
// what was submitted before; journal and report tell of both tables.
func TestPricesOfASecondRun(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-input:1")
	first := r.run(r.priced(4, priceFile("0.10", "0.20")), func(c *pipeline.Config) { c.Limit = 2 })
	if first.LatestPrices != nil || first.PriceTable.Date != "2026-10-01" {
		t.Errorf("prices %+v, latest %+v", first.PriceTable, first.LatestPrices)
	}
	report := r.run(r.priced(4, priceFile("0.30", "0.40")), func(c *pipeline.Config) { c.RetryFailed = true })
	if report.Totals.Done != 4 {
		t.Fatalf("totals %+v\n%s", report.Totals, r.trail())
	}
	// The first job failed in the first run, free of charge, and was paid for in the second.
	var want decimal.Decimal
	for i, j := range report.Jobs {
		unit := decimal.RequireFromString([]string{"0.3", "0.1", "0.3", "0.3"}[i])
		if !j.UnitPrice.Equal(unit) || !j.Billed.Decimal.Equal(unit.Mul(j.Usage.VideoDuration)) {
			t.Errorf("%s: %s at %s, want %s a second", j.ID, j.Billed.Decimal, j.UnitPrice, unit)
		}
		want = want.Add(unit.Mul(j.Usage.VideoDuration))
	}
	if !report.Totals.Billed.Equal(want) {
		t.Errorf("billed %s, want %s", report.Totals.Billed, want)
	}
	if report.PriceTable != first.PriceTable || report.LatestPrices == nil || report.LatestPrices.SHA256 == first.PriceTable.SHA256 {
		t.Errorf("prices %+v, latest %+v", report.PriceTable, report.LatestPrices)
	}
	if findings, err := pipeline.Audit(r.folder()); err != nil || !findings.Proven() {
		t.Errorf("audit: %+v, %v", findings, err)
	}
}

// A task that is under way while prices change keeps its price; if it fails and is
// created again, the new one counts.
func TestPricesOfARetry(t *testing.T) {
	r := newRig(t, 600, emulator.Options{}, "failed-algo:1")
	stop := make(chan struct{})
	_, err := r.try(t.Context(), r.priced(2, priceFile("0.10", "0.20")), func(c *pipeline.Config) {
		created := 0
		c.Stop = stop
		c.OnEvent = func(e pipeline.Event) {
			if e.Kind != "accepted" {
				return
			}
			if created++; created == 2 {
				close(stop)
			}
		}
	})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	report := r.run(r.priced(2, priceFile("0.30", "0.40")))
	for i, j := range report.Jobs {
		unit := decimal.RequireFromString([]string{"0.3", "0.1"}[i])
		if !j.UnitPrice.Equal(unit) || !j.Billed.Decimal.Equal(unit.Mul(j.Usage.VideoDuration)) {
			t.Errorf("%s after %d tasks: %s at %s, want %s a second", j.ID, len(j.Attempts), j.Billed.Decimal, j.UnitPrice, unit)
		}
	}
	if findings, err := pipeline.Audit(r.folder()); err != nil || !findings.Proven() {
		t.Errorf("audit: %+v, %v", findings, err)
	}
}

// A task under way keeps its file, whatever prices do: no other job gets it.
func TestPricesMoveNoFile(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	stop := make(chan struct{})
	_, err := r.try(t.Context(), r.priced(1, priceFile("0.10", "0.20"), func(m *pipeline.Manifest) { m.Output.File = "{id}-x.mp4" }),
		func(c *pipeline.Config) {
			c.Stop = stop
			c.OnEvent = func(e pipeline.Event) {
				if e.Kind == "accepted" {
					close(stop)
				}
			}
		})
	if !errors.Is(err, pipeline.ErrInterrupted) {
		t.Fatalf("error %v", err)
	}
	twin := func(m *pipeline.Manifest) { m.Pairs[1].ID = "job-000-x" }
	_, err = r.try(t.Context(), r.priced(2, priceFile("0.30", "0.40"), twin))
	if !errors.Is(err, pipeline.ErrUsage) || !strings.Contains(err.Error(), "belongs to job job-000 ") {
		t.Errorf("error %v", err)
	}
}

// The cap counts by the prices given: what was paid at the old, and what is held
// at the new.
func TestPricesAndTheCap(t *testing.T) {
	r := newRig(t, 600, emulator.Options{})
	r.run(r.priced(3, priceFile("0.10", "0.20")), func(c *pipeline.Config) { c.Limit = 1 }) // 0.32
	_, err := r.try(t.Context(), r.priced(3, priceFile("1", "2")), func(c *pipeline.Config) {
		c.MaxCost = decimal.NewNullDecimal(decimal.RequireFromString("5.31"))
	})
	const want = "the next job needs up to 5, all 2 left up to 10; raise --max-cost to at least 5.32, or to 10.32 for all of them (5.31 USD is the cap, 0.32 billed, 0 held)"
	if !errors.Is(err, pipeline.ErrBudget) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if got := r.provider.Meter().Creates; got != 1 {
		t.Errorf("%d creates", got)
	}
}

// FuzzPrices checks that no price file stops the program, and that what it accepts
// is above zero.
func FuzzPrices(f *testing.F) {
	f.Add(priceFile("0.10", "0.20"))
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "prices.yaml")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := pipeline.ReadPricesFile(file); err != nil && !errors.Is(err, pipeline.ErrUsage) {
			t.Errorf("error %v", err)
		}
	})
}
