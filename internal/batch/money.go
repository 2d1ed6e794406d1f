package batch

import "github.com/shopspring/decimal"

// ledger is the batch's money, in one currency, exact. At every instant
//
//	spent + held + possible <= cap
//
// unless the provider billed more than a hold, which is counted in overruns.
type ledger struct {
	spent    decimal.Decimal // confirmed usage
	held     decimal.Decimal // may still be released: in flight, in doubt, quarantined
	possible decimal.Decimal // may have been billed, and nobody will tell us
	overruns int
}

// hold reserves the most that the attempt can cost.
func (m *ledger) hold(a *Attempt) {
	m.held = m.held.Add(a.Hold)
	a.Money = MoneyHeld
}

// free releases a hold: the attempt is proved to cost nothing.
func (m *ledger) free(a *Attempt) {
	m.held = m.held.Sub(a.Hold)
	a.Money = MoneyFreed
}

// bill replaces a hold by what was used.
func (m *ledger) bill(a *Attempt, billed decimal.Decimal) {
	m.held = m.held.Sub(a.Hold)
	m.spent = m.spent.Add(billed)
	a.Money = MoneyBilled
	a.Billed = decimal.NewNullDecimal(billed)
	if billed.GreaterThan(a.Hold) {
		m.overruns++
	}
}

// keep turns a hold into money that may be gone: it is never released. It is more than
// the hold if the provider tells of more usage.
func (m *ledger) keep(a *Attempt) {
	if a.Money != MoneyHeld {
		return
	}
	most := a.Hold
	if a.End != nil && a.End.Usage.Valid {
		if used := a.End.Usage.Decimal.Mul(a.Price); used.GreaterThan(most) {
			most = used
			m.overruns++
		}
	}
	m.held = m.held.Sub(a.Hold)
	m.possible = m.possible.Add(most)
	a.Money = MoneyPossible
}

// fits reports whether one more attempt of the job keeps the cap.
func (b *Batch) fits(j *job) bool { return b.affords(j.plan.Hold) }

// affords reports whether holding that much more keeps the cap.
func (b *Batch) affords(more decimal.Decimal) bool {
	if !b.settings.Cap.Valid {
		return true
	}
	m := b.money
	return m.spent.Add(m.held).Add(m.possible).Add(more).LessThanOrEqual(b.settings.Cap.Decimal)
}
