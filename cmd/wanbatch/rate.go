package main

import (
	"regexp"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/pipeline"
)

// rate converts an estimate for a person who thinks in another currency. It is
// for show: what it gives never enters a plan, a journal or a report.
type rate struct {
	currency string // the other one
	factor   func(decimal.Decimal) decimal.Decimal
	text     string
}

// converted is an estimate's money in another currency, rounded to 2 places.
type converted struct {
	Currency string         `json:"currency"`
	Rate     string         `json:"rate"`
	Money    pipeline.Range `json:"money"`
}

var rateForm = regexp.MustCompile(`^ *(?:1 +)?([A-Z]{3}) *= *([0-9]{1,9}(?:\.[0-9]{1,9})?) *([A-Z]{3})? *$`)

// parseExchangeRate reads USD=7.1CNY, also written as "1 USD = 7.1 CNY", where one of the
// two is the batch's own currency. USD=7.1 is short for it in a batch of CNY.
func parseExchangeRate(text, own string) (*rate, error) {
	if text == "" {
		return nil, nil
	}
	parts := rateForm.FindStringSubmatch(text)
	if parts == nil {
		return nil, usagef("--rate %q is not of the form USD=7.1CNY: what 1 USD is in CNY", text)
	}
	one, amount, other := parts[1], decimal.RequireFromString(parts[2]), parts[3]
	if other == "" && one != own {
		other = own
	}
	switch {
	case !amount.IsPositive():
		return nil, usagef("--rate %q: a rate is above 0", text)
	case other == "":
		return nil, usagef("--rate %q: say in what currency, like %s=%sEUR", text, one, amount)
	case one == other || one != own && other != own:
		return nil, usagef("--rate %q: this batch is billed in %s, by its region; give a rate between that and another currency", text, own)
	}
	r := &rate{text: "1 " + one + " = " + amount.String() + " " + other}
	if one == own {
		r.currency, r.factor = other, amount.Mul
	} else {
		r.currency, r.factor = one, func(d decimal.Decimal) decimal.Decimal { return d.DivRound(amount, 16) }
	}
	return r, nil
}

// of converts a range, nil without a rate.
func (r *rate) of(m pipeline.Range) *converted {
	if r == nil {
		return nil
	}
	return &converted{r.currency, r.text, pipeline.Range{Low: r.factor(m.Low).Round(2), High: r.factor(m.High).Round(2)}}
}
