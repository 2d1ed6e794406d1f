package pricing_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/internal/pricing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLookup(t *testing.T) {
	tests := []struct{ region, model, mode, unit, currency string }{
		{"beijing", "wan2.2-animate-move", "wan-std", "0.4", "CNY"},
		{"beijing", "wan2.2-animate-move", "wan-pro", "0.6", "CNY"},
		{"beijing", "wan2.2-animate-mix", "wan-std", "0.6", "CNY"},
		{"beijing", "wan2.2-animate-mix", "wan-pro", "0.9", "CNY"},
		{"singapore", "wan2.2-animate-move", "wan-std", "0.12", "USD"},
		{"singapore", "wan2.2-animate-move", "wan-pro", "0.18", "USD"},
		{"singapore", "wan2.2-animate-mix", "wan-std", "0.18", "USD"},
		{"singapore", "wan2.2-animate-mix", "wan-pro", "0.26", "USD"},
	}
	for _, tt := range tests {
		t.Run(tt.region+" "+tt.model+" "+tt.mode, func(t *testing.T) {
			got, err := pricing.Lookup(tt.region, tt.model, tt.mode)
			if err != nil {
				t.Fatal(err)
			}
			if got.Unit.String() != tt.unit || got.Currency != tt.currency {
				t.Errorf("price is %s %s, want %s %s", got.Unit, got.Currency, tt.unit, tt.currency)
			}
		})
	}
}

func TestLookupNamesWhatIsUnknown(t *testing.T) {
	tests := []struct{ region, model, mode, want string }{
		{"frankfurt", "wan2.2-animate-move", "wan-std", "frankfurt"},
		{"beijing", "wan2.2-s2v", "wan-std", "wan2.2-s2v"},
		{"beijing", "wan2.2-animate-move", "wan-max", "wan-max"},
		{"", "", "", "region"},
	}
	for _, tt := range tests {
		price, err := pricing.Lookup(tt.region, tt.model, tt.mode)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Lookup(%q, %q, %q) = %v, %v; want an error about %q", tt.region, tt.model, tt.mode, price, err, tt.want)
		}
	}
}

// A price changes only on purpose: together with the date, and with this hash.
func TestTable(t *testing.T) {
	got := pricing.Table()
	const want = "145cc5dd691fc1b39ec56fa7e0e37786f9f204314ff938f088004aa5c57d6c22"
	if got.Hash != want {
		t.Errorf("hash of the price table is %s, want %s; the table's text is now\n%s", got.Hash, want, pricing.Canonical())
	}
	if got.Date != "2026-09" || got.Source == "" {
		t.Errorf("table of %q from %q", got.Date, got.Source)
	}
}

func TestHold(t *testing.T) {
	tests := []struct{ name, unit, length, want string }{
		{"whole second", "0.12", "5", "0.72"},
		{"part of a second", "0.12", "5.2", "0.84"},
		{"a hair above", "0.12", "5.000000001", "0.84"},
		{"last below the cap", "0.4", "29", "12"},
		{"at the cap", "0.4", "30", "12"},
		{"above the cap", "0.4", "31.5", "12"},
		{"unknown", "0.26", "", "7.8"},
		{"nothing", "0.26", "0", "0.26"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var length decimal.NullDecimal
			if tt.length != "" {
				length = decimal.NewNullDecimal(decimal.RequireFromString(tt.length))
			}
			got := pricing.Hold(decimal.RequireFromString(tt.unit), length)
			if got.String() != tt.want {
				t.Errorf("Hold(%s, %q) = %s, want %s", tt.unit, tt.length, got, tt.want)
			}
		})
	}
}

// The hold is what the rule says when computed in fractions, and it covers what
// the length itself would cost.
func TestHoldIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := decimal.New(rapid.Int64Range(0, 1_000_000).Draw(t, "unit"), -6)
		length := decimal.New(rapid.Int64Range(0, 30_000_000_000).Draw(t, "nanoseconds"), -9)

		seconds := new(big.Int).Add(ceil(length.Rat()), big.NewInt(1))
		if seconds.Cmp(big.NewInt(30)) > 0 {
			seconds.SetInt64(30)
		}
		want := new(big.Rat).Mul(unit.Rat(), new(big.Rat).SetInt(seconds))
		got := pricing.Hold(unit, decimal.NewNullDecimal(length))
		if got.Rat().Cmp(want) != 0 {
			t.Fatalf("Hold(%s, %s) = %s, want %s", unit, length, got, want.RatString())
		}
		if got.LessThan(unit.Mul(length)) {
			t.Fatalf("Hold(%s, %s) = %s does not cover the length itself", unit, length, got)
		}
	})
}

func ceil(r *big.Rat) *big.Int {
	quotient, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		quotient.Add(quotient, big.NewInt(1))
	}
	return quotient
}
