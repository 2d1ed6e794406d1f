package pipeline

import (
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/pricing"
)

// price looks the list prices up, once for all jobs.
func (p *Plan) price() error {
	m := &p.Manifest
	p.units = map[Mode]decimal.Decimal{}
	var lower []string
	for _, mode := range []Mode{ModeStd, ModePro} {
		price, err := p.prices.Lookup(m.Lane.Region, m.Model, string(mode))
		if err != nil {
			return fmt.Errorf("%w: %s: %w; give both modes", ErrUsage, p.prices.Source, err)
		}
		p.Currency, p.units[mode] = price.Currency, price.Unit
		if builtIn := p.builtIn(mode); price.Unit.LessThan(builtIn) {
			lower = append(lower, fmt.Sprintf("%s %s instead of %s %s a second", mode, price.Unit, builtIn, p.Currency))
		}
	}
	if len(lower) > 0 {
		// A low price makes a cap reach further than it seems. It becomes part of
		// the source, and so of plan, journal and report.
		note := "lower than the built-in prices of " + pricing.Date + ": " + strings.Join(lower, ", ")
		p.prices.Source += "; " + note
		p.warnings.add("prices", "the prices given are "+note)
	}
	return nil
}

// builtIn is the price of the program's own table.
func (p *Plan) builtIn(mode Mode) decimal.Decimal {
	price, err := pricing.Lookup(p.Manifest.Lane.Region, p.Manifest.Model, string(mode))
	if err != nil {
		return decimal.Zero // unreachable: a manifest's region and model are in the table
	}
	return price.Unit
}

func (p *Plan) priceTable() PriceTable {
	return PriceTable{Date: p.prices.Date, Source: p.prices.Source, SHA256: p.prices.Hash}
}

// The keys under which the settings of a run have its price table.
const (
	priceDateKey   = "price_date"
	priceSourceKey = "price_source"
	priceHashKey   = "price_sha256"
)

// editionOf is the price table of a run, the zero one if it did not tell.
func editionOf(run *batch.Run) pricing.Edition {
	return pricing.Edition{Date: run.Settings[priceDateKey], Source: run.Settings[priceSourceKey], Hash: run.Settings[priceHashKey]}
}

// latestPrices is the price table of a run, nil if it is the one that the batch
// began with.
func latestPrices(run *batch.Run, begun PriceTable) *PriceTable {
	e := editionOf(run)
	if e.Hash == "" || e.Hash == begun.SHA256 {
		return nil
	}
	return &PriceTable{Date: e.Date, Source: e.Source, SHA256: e.Hash}
}
