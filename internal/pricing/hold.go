package pricing

import "github.com/shopspring/decimal"

// LongestSeconds is the longest output that can be billed: the provider accepts
// driving videos of 2 to 30 seconds and its output follows their length.
const LongestSeconds = 30

// Hold returns the money a job reserves from before its create is sent until the
// provider's own usage is known: the unit price times the length rounded up to
// whole seconds plus one, at most 30 seconds. A length that is not known
// (length.Valid is false) reserves 30 seconds. The extra second covers an output
// that comes out longer than its driving video.
//
// The result is exact and never less than unit times the length, for lengths up
// to 30 seconds. Unit and length must not be negative.
func Hold(unit decimal.Decimal, length decimal.NullDecimal) decimal.Decimal {
	longest := decimal.NewFromInt(LongestSeconds)
	if !length.Valid {
		return unit.Mul(longest)
	}
	seconds := length.Decimal.Ceil().Add(decimal.NewFromInt(1))
	return unit.Mul(decimal.Min(seconds, longest))
}
