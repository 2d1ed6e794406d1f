// Package pricing knows what a second of output costs, and how much money one
// job may reserve before it is sent.
//
// It is the only place where a price is written down. A price belongs to a
// region, a model and a mode; the region also decides the currency, so amounts
// of two regions are never added. The table is dated and carries its source and
// its hash, because a report is worth as much as the prices it was made with:
// journal and report repeat all three.
//
// Everything is decimal and exact. Nothing here rounds, and nothing is a float.
// The package imports nothing of the module.
package pricing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// Date is the month in which the table below was last compared with its sources.
const Date = "2026-09"

// Source says where the prices come from and how far they can be trusted. The
// provider's own price page could not be read; one figure (animate-move,
// wan-std, Beijing) was seen confirmed by a charge.
const Source = "list prices as quoted by public clients of the provider, not the provider's own price page; " +
	"animate-move wan-std in Beijing confirmed by a charge, the rest second-hand"

// Price is the list price of one second of output, before free quota, discounts
// and tax.
type Price struct {
	Unit     decimal.Decimal // per second of output, in Currency
	Currency string          // ISO 4217: CNY or USD
}

// Edition identifies one state of the price table, for journal, report and estimate.
type Edition struct {
	Date   string // year and month, "2026-09"
	Source string // where the figures come from and how sure they are
	Hash   string // SHA-256 of the table's canonical text, 64 hex digits
}

// row is one line of the table. The unit is kept as text: it is the source of
// truth, and of the hash.
type row struct{ region, model, mode, unit, confidence string }

// rows returns the table, ordered by region, model and mode. The provider bills
// usage.video_duration times the unit price and never rounds up; input is free
// and a failed task costs nothing.
func rows() []row {
	return []row{
		// One source quotes 1.20 for mix wan-pro in Beijing; the others agree on 0.90.
		{"beijing", "wan2.2-animate-mix", "wan-pro", "0.90", "second-hand, sources disagree"},
		{"beijing", "wan2.2-animate-mix", "wan-std", "0.60", "second-hand"},
		{"beijing", "wan2.2-animate-move", "wan-pro", "0.60", "second-hand"},
		{"beijing", "wan2.2-animate-move", "wan-std", "0.40", "confirmed by a charge"},
		{"singapore", "wan2.2-animate-mix", "wan-pro", "0.26", "second-hand"},
		{"singapore", "wan2.2-animate-mix", "wan-std", "0.18", "second-hand"},
		{"singapore", "wan2.2-animate-move", "wan-pro", "0.18", "second-hand"},
		{"singapore", "wan2.2-animate-move", "wan-std", "0.12", "second-hand"},
	}
}

// Lookup returns the built-in price of a second of output. The error names the
// part that the table does not know.
func Lookup(region, model, mode string) (Price, error) { return BuiltIn().Lookup(region, model, mode) }

// Currency returns the currency in which a region is billed: CNY in Beijing, USD
// in Singapore.
func Currency(region string) (string, error) {
	switch region {
	case "beijing":
		return "CNY", nil
	case "singapore":
		return "USD", nil
	}
	return "", fmt.Errorf("no prices for region %q; the models are offered in beijing and singapore", region)
}

// Table returns date, source and hash of the built-in table.
func Table() Edition {
	sum := sha256.Sum256([]byte(Canonical()))
	return Edition{Date: Date, Source: Source, Hash: hex.EncodeToString(sum[:])}
}

// Canonical returns the text that the table's hash is taken over: a dated first
// line, then one line per price with its fields separated by single spaces,
// region, model, mode, currency, unit price, and the confidence last.
func Canonical() string {
	var b strings.Builder
	fmt.Fprintf(&b, "wanbatch prices %s\n", Date)
	for _, r := range rows() {
		currency, err := Currency(r.region)
		if err != nil {
			panic("pricing: the table names a region without a currency: " + r.region)
		}
		fmt.Fprintf(&b, "%s %s %s %s %s %s\n", r.region, r.model, r.mode, currency, r.unit, r.confidence)
	}
	return b.String()
}
