package pipeline

import (
	"math"
	"time"

	"github.com/shopspring/decimal"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// etaSpread tells how far a guess of the time that is left may be off, judged by
// how much the run times of the tasks that have ended differ from what mode and
// length make one expect. It is for people: no decision depends on it.
type etaSpread struct {
	n        int
	mean, m2 float64 // of run time / expected run time, and squared distances from it (Welford)
}

// What is believed before tasks have ended: run times differ by 40%, which counts
// as much as two tasks would.
const (
	priorSpread = 0.4
	priorWeight = 2
)

// newETASpread learns from what the journal holds.
func newETASpread(core *batch.Batch) etaSpread {
	var f etaSpread
	for job := range core.Jobs() {
		for _, a := range job.Attempts {
			if a.End != nil {
				f.learn(job.Plan, *a.End)
			}
		}
	}
	return f
}

// learn takes in the run time of a task that ended well. Both times are the
// provider's.
func (f *etaSpread) learn(p batch.Plan, end batch.End) {
	run := end.Ended.Sub(end.Scheduled)
	if end.Status != batch.StatusSucceeded || end.Scheduled.IsZero() || run <= 0 {
		return
	}
	length := decimal.NewFromInt(10)
	if p.Length.Valid {
		length = p.Length.Decimal
	}
	ratio := float64(run) / float64(prior().of(Mode(p.Mode), 1, Range{length, length}).Low)
	f.n++
	off := ratio - f.mean
	f.mean += off / float64(f.n)
	f.m2 += off * (ratio - f.mean)
}

// spread makes a range of a guess for so many jobs: two standard errors to each
// side. It narrows as tasks end, and a long batch evens out what single tasks do.
func (f *etaSpread) spread(guess time.Duration, jobs int) TimeRange {
	if guess <= 0 || jobs <= 0 {
		return TimeRange{}
	}
	squares := priorSpread * priorSpread * priorWeight
	if f.n > 0 {
		squares += f.m2 / (f.mean * f.mean)
	}
	spread := math.Sqrt(squares / float64(priorWeight+f.n))
	off := 1 + 2*spread*math.Sqrt(1/float64(f.n+1)+1/float64(jobs))
	return TimeRange{Low: time.Duration(float64(guess) / off), High: time.Duration(float64(guess) * off)}
}
