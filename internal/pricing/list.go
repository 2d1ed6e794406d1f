package pricing

import (
	"fmt"
	"slices"

	"github.com/shopspring/decimal"
)

// Free quota of the provider, quoted second-hand: so many seconds of output per
// model, both modes together, once per account, within so many days of the
// model's activation. No figure here takes it off.
const (
	FreeSeconds = 50
	FreeDays    = 90
)

// Row is one price of a [List].
type Row struct {
	Region string
	Model  string
	Mode   string
	Unit   decimal.Decimal // per second of output, in the region's currency
}

// List is a table of prices: the built-in one, or one that the operator has from
// elsewhere and answers for. It never changes once made.
type List struct {
	Edition
	rows []Row
}

// BuiltIn returns the table of this package.
func BuiltIn() List {
	l := List{Edition: Table()}
	for _, r := range rows() {
		l.rows = append(l.rows, Row{r.region, r.model, r.mode, decimal.RequireFromString(r.unit)})
	}
	return l
}

// New returns a list of other prices. Each row must be for a region, model and
// mode that the built-in table has, stand once, and be above zero: under a price
// of nothing no cap would ever hold. The error of a row names it by its number,
// from 1.
func New(e Edition, rows []Row) (List, error) {
	l := List{Edition: e}
	for i, r := range rows {
		if _, err := Lookup(r.Region, r.Model, r.Mode); err != nil {
			return List{}, fmt.Errorf("price %d: %w", i+1, err)
		}
		if !r.Unit.IsPositive() {
			return List{}, fmt.Errorf("price %d: %s a second is no price; it must be above 0", i+1, r.Unit)
		}
		if first := l.index(r.Region, r.Model, r.Mode); first >= 0 {
			return List{}, fmt.Errorf("price %d: %s in %s of %s stands already as price %d", i+1, r.Mode, r.Region, r.Model, first+1)
		}
		l.rows = append(l.rows, r)
	}
	return l, nil
}

// Lookup returns the price of a second of output. The error names the part that
// the list does not know.
func (l List) Lookup(region, model, mode string) (Price, error) {
	currency, err := Currency(region)
	if err != nil {
		return Price{}, err
	}
	if i := l.index(region, model, mode); i >= 0 {
		return Price{Unit: l.rows[i].Unit, Currency: currency}, nil
	}
	return Price{}, fmt.Errorf("no price for model %q, mode %q in %s", model, mode, region)
}

func (l List) index(region, model, mode string) int {
	return slices.IndexFunc(l.rows, func(r Row) bool { return r.Region == region && r.Model == model && r.Mode == mode })
}
