package batch

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"
)

// The explorer: every schedule of the submit protocol, breadth first, over the
// real core. The world around it is small on purpose: two pairs, three attempts,
// crashes at every step, requests that are lost or come late, replies that are
// lost, lists that lag and miss a row, a stranger. Tasks never end, because a
// second task is only a second payment while nothing has failed.
//
//	explore_test.go        how large it is, which bugs are planted, the search
//	explore_world_test.go  the world, and all that can happen next in it

// bounds are the size and the nature of one exploration. The flags below the
// line are planted bugs: with each of them the search must find a violation.
type bounds struct {
	exclusive  Exclusive
	batches    int // that share the lane; more than one breaks the lane lock
	jobs       int // of each batch
	attempts   int
	crashes    int
	strangers  int
	refusals   int
	misses     int // rows that lists leave out
	settle     time.Duration
	late, lag  int // seconds
	retry      bool
	undurable  bool
	wantBroken bool
}

func TestExploreSubmitProtocol(t *testing.T) {
	base := bounds{exclusive: ExclusiveAll, batches: 1, jobs: 2, attempts: 3, crashes: 2, refusals: 1, misses: 1,
		settle: 5 * time.Second, late: 2, lag: 2}
	shared := base
	shared.exclusive, shared.strangers = Shared, 1
	if testing.Short() || raceEnabled { // one thread has no races, and is ten times slower when they are looked for
		base.crashes, shared.crashes, shared.refusals = 1, 1, 0
	}
	with := func(b bounds, change func(*bounds)) bounds { change(&b); b.wantBroken = true; return b }
	small := base
	small.crashes, small.refusals, small.misses = 1, 0, 0
	tests := []struct {
		name string
		b    bounds
	}{
		{"exclusive lane", base},
		{"shared lane with a stranger", shared},
		{"planted: create again after an error", with(small, func(b *bounds) { b.retry = true })},
		{"planted: intent not durable", with(small, func(b *bounds) { b.undurable = true })},
		{"planted: lists asked too early", with(small, func(b *bounds) { b.settle = 0 })},
		{"planted: adoption although strangers create", with(small, func(b *bounds) { b.strangers = 1 })},
		{"planted: two batches on one lane", with(small, func(b *bounds) { b.batches, b.jobs = 2, 1 })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			states, story := explore(test.b)
			switch {
			case test.b.wantBroken && story == "":
				t.Fatalf("%d states, and the planted bug was not found", states)
			case test.b.wantBroken:
				t.Logf("%d states; found as it must be:\n%s", states, story)
			case story != "":
				t.Fatalf("after %d states:\n%s", states, story)
			default:
				t.Logf("%d states, all hold", states)
			}
		})
	}
}

// explore visits every state, and returns the shortest way to a violation.
func explore(bo bounds) (states int, story string) {
	type node struct {
		parent int32
		label  string
	}
	seed := [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	seen := map[[2]uint64]bool{}
	var nodes []node
	path := func(i int32) string {
		var steps []string
		for ; i >= 0; i = nodes[i].parent {
			steps = append(steps, nodes[i].label)
		}
		slices.Reverse(steps)
		return strings.Join(steps, "\n")
	}
	type item struct {
		w  *world
		at int32
	}
	var queue, next []item
	var buf []byte
	add := func(m move, parent int32) string {
		if m.err == nil {
			buf = m.w.key(buf[:0], bo)
			k := [2]uint64{maphash.Bytes(seed[0], buf), maphash.Bytes(seed[1], buf)}
			if seen[k] {
				return ""
			}
			seen[k] = true
		}
		nodes = append(nodes, node{parent, m.label})
		if m.err != nil {
			return fmt.Sprintf("%s\n=> %v", path(int32(len(nodes)-1)), m.err)
		}
		next = append(next, item{m.w, int32(len(nodes) - 1)})
		return ""
	}
	for _, m := range begin(bo) {
		if story := add(m, -1); story != "" {
			return len(seen), story
		}
	}
	for len(next) > 0 {
		queue, next = next, queue[:0]
		for i, it := range queue {
			queue[i] = item{}
			moves := it.w.moves(bo)
			if len(moves) == 0 {
				moves = it.w.stuck()
			}
			for _, m := range moves {
				if story := add(m, it.at); story != "" {
					return len(seen), story
				}
			}
		}
	}
	return len(seen), ""
}
