package pipeline

import (
	"hash/maphash"
	"slices"
)

// tally remembers names in 8 bytes each, to tell afterwards which of them came
// more than once: of a million names a map would take 100 MiB. Its hash is seeded
// anew each time, so that nobody can prepare names that meet.
type tally struct {
	seed    maphash.Seed
	buckets [256][]uint64 // by the first byte, so that growing copies little at a time
}

func newTally() *tally { return &tally{seed: maphash.MakeSeed()} }

func (t *tally) add(name string) {
	h := maphash.String(t.seed, name)
	t.buckets[h>>56] = append(t.buckets[h>>56], h)
}

// repeated returns the names that were added more than once, and empties the
// tally.
func (t *tally) repeated() *duplicates {
	r := &duplicates{seed: t.seed, proof: maphash.MakeSeed()}
	for i, bucket := range t.buckets {
		slices.Sort(bucket)
		for j := 1; j < len(bucket); j++ {
			if bucket[j] != bucket[j-1] {
				continue
			}
			r.more++
			if j == 1 || bucket[j] != bucket[j-2] {
				r.hashes = append(r.hashes, bucket[j])
			}
		}
		t.buckets[i] = nil
	}
	r.firsts = make([]first, len(r.hashes))
	return r
}

// duplicates are names of which each was seen more than once, in order of their
// hashes. Two names that merely share a hash are told apart by a second one, 128
// bits together.
type duplicates struct {
	seed, proof maphash.Seed
	hashes      []uint64
	firsts      []first // in the same order
	more        int     // how often a name came after its first time
}

// first is the pair that came first with a name.
type first struct {
	known bool
	proof uint64
	pair  pairRef
}

func (r *duplicates) none() bool { return len(r.hashes) == 0 }

// has reports whether a name was seen more than once.
func (r *duplicates) has(name string) bool {
	_, found := slices.BinarySearch(r.hashes, maphash.String(r.seed, name))
	return found
}

// claim notes that a pair uses a name, and returns the pair that has it already.
func (r *duplicates) claim(name string, by pairRef) (pairRef, bool) {
	i, found := slices.BinarySearch(r.hashes, maphash.String(r.seed, name))
	if !found {
		return pairRef{}, false
	}
	proof := maphash.String(r.proof, name)
	if f := &r.firsts[i]; !f.known {
		*f = first{known: true, proof: proof, pair: by}
		return pairRef{}, false
	}
	return r.firsts[i].pair, r.firsts[i].proof == proof
}
