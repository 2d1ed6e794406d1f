package media

import (
	"fmt"
)

// reach is the offset after the last sample that a trak box lists, 0 when it lists none. Samples
// lie in chunks: stco or co64 says where each chunk starts, stsc how many samples it has, and
// stsz how large each of them is (ISO/IEC 14496-12, 8.7). The compact stz2 is not followed.
func reach(trak []byte) (uint64, error) {
	stbl, ok, err := find(trak, "mdia", "minf", "stbl")
	if err != nil || !ok {
		return 0, err
	}
	sizes, err := readSizes(stbl)
	if err != nil || sizes.left == 0 {
		return 0, err
	}
	chunks, err := readChunks(stbl)
	if err != nil {
		return 0, err
	}
	var far uint64
	for sizes.left > 0 && chunks.left > 0 {
		start, samples := chunks.next()
		far = max(far, plus(start, sizes.take(samples)))
	}
	return far, nil
}

// sampleSizes reads stsz from its front: sizes of samples in order.
type sampleSizes struct {
	each uint32 // of every sample; 0 when each has its own
	left uint32 // samples not taken yet
	list fields
}

func readSizes(stbl []byte) (sampleSizes, error) {
	data, ok, err := first(stbl, "stsz")
	if err != nil || !ok {
		return sampleSizes{}, err
	}
	f := fields{data: data}
	f.head()
	s := sampleSizes{each: f.u32(), left: f.u32()}
	s.list = f
	if s.each == 0 && uint64(s.left)*4 > uint64(len(f.data)) {
		return sampleSizes{}, fmt.Errorf("sizes of %d samples in %d bytes: %w", s.left, len(f.data), ErrTruncated)
	}
	return s, f.err("stsz")
}

// take returns how many bytes the next n samples have, or all that are left.
func (s *sampleSizes) take(n uint32) uint64 {
	n = min(n, s.left)
	s.left -= n
	if s.each != 0 {
		return uint64(n) * uint64(s.each)
	}
	var sum uint64
	for range n {
		sum += uint64(s.list.u32()) // at most 2^24 of 32 bits: the box was read whole
	}
	return sum
}

// chunkList reads stco or co64 and stsc from their fronts: chunks in order.
type chunkList struct {
	left    uint32 // chunks not taken yet
	number  uint32 // of the chunk taken last, from 1
	wide    uint8  // 1 for the 64-bit offsets of co64
	offsets fields
	samples uint32 // in each chunk from here on
	change  uint32 // number of the chunk from which another count holds; 0 when none follows
	rules   fields
	more    uint32 // entries of stsc not read yet
}

func readChunks(stbl []byte) (chunkList, error) {
	var c chunkList
	data, ok, err := first(stbl, "stco")
	if err == nil && !ok {
		c.wide = 1
		data, ok, err = first(stbl, "co64")
	}
	if err != nil || !ok {
		return chunkList{}, err
	}
	rules, ok, err := first(stbl, "stsc")
	if err != nil || !ok {
		return chunkList{}, err
	}
	c.offsets, c.rules = fields{data: data}, fields{data: rules}
	c.offsets.head()
	c.rules.head()
	c.left, c.more = c.offsets.u32(), c.rules.u32()
	if room := uint64(len(c.offsets.data)) / (4 << c.wide); uint64(c.left) > room {
		return chunkList{}, fmt.Errorf("offsets of %d chunks where %d fit: %w", c.left, room, ErrTruncated)
	}
	c.rule()
	return c, c.offsets.err("stco")
}

// next takes a chunk: where it starts and how many samples it has.
func (c *chunkList) next() (start uint64, samples uint32) {
	c.left--
	c.number++
	for c.change != 0 && c.number >= c.change {
		c.samples = c.rules.u32()
		c.rules.skip(4) // sample description
		c.rule()
	}
	return c.offsets.word(c.wide), c.samples
}

// rule reads the first number of the next entry of stsc.
func (c *chunkList) rule() {
	c.change = 0
	if c.more > 0 && len(c.rules.data) >= 12 {
		c.change = c.rules.u32()
		c.more--
	}
}
