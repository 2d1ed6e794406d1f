package disktest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"
)

// A Cut is one state that a power cut may leave behind.
type Cut struct {
	Name string // what it is like, for people

	keep []int // the pending changes that persist, by index
	torn int   // of the last one, a write: only so many bytes persist; 0: all
	hole bool  // of the last one, a write: its length persists, its bytes are zero
}

// Cuts returns states that a power cut may leave behind now: nothing that is
// pending persists, or a first part of it, or all but one, or all names without
// any bytes, or all bytes without any names; and each time the last write that
// persists may be torn at any byte, or be a hole. A write of more than every bytes
// is torn at some of its bytes only.
func (d *Disk) Cuts(every int) []Cut {
	d.mu.Lock()
	defer d.mu.Unlock()
	cuts := []Cut{{Name: "what was synced"}}
	all := make([]int, len(d.pending))
	var names, data []int
	for i, c := range d.pending {
		all[i] = i
		if c.ofNames() {
			names = append(names, i)
		} else {
			data = append(data, i)
		}
	}
	for i, c := range d.pending {
		cuts = append(cuts, Cut{Name: fmt.Sprintf("up to %v", c), keep: all[:i+1]})
		if i+1 < len(all) {
			cuts = append(cuts, Cut{Name: fmt.Sprintf("without %v", c), keep: slices.Concat(all[:i], all[i+1:])})
		}
	}
	if len(names) > 0 && len(data) > 0 {
		cuts = append(cuts, Cut{Name: "names without bytes", keep: names}, Cut{Name: "bytes without names", keep: data})
	}
	if len(data) > 0 && d.pending[data[len(data)-1]].kind == Write {
		last := data[len(data)-1]
		cuts = append(cuts, d.pending[last].damaged(all[:last+1], every)...)
	}
	return cuts
}

// damaged returns the ways in which the last of the kept changes, a write, may have
// persisted badly.
func (c change) damaged(keep []int, every int) []Cut {
	cuts := []Cut{{Name: fmt.Sprintf("a hole by %v", c), keep: keep, hole: true}}
	n := len(c.bytes)
	step := max(1, n/max(every, 1))
	for b := 1; b < n; b += step {
		cuts = append(cuts, Cut{Name: fmt.Sprintf("%d bytes of %v", b, c), keep: keep, torn: b})
	}
	if step > 1 {
		cuts = append(cuts, Cut{Name: fmt.Sprintf("%d bytes of %v", n-1, c), keep: keep, torn: n - 1})
	}
	return cuts
}

// PowerCut returns the disk as it is after the power cut: all that is there is
// durable. The old disk stays as it is.
func (d *Disk) PowerCut(c Cut) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := New()
	after.inodes, after.Full = d.inodes, d.Full
	t := d.durable.clone()
	for i, k := range c.keep {
		change := d.pending[k]
		if last := i == len(c.keep)-1; last && c.torn > 0 {
			change.bytes = change.bytes[:c.torn]
		} else if last && c.hole {
			change.bytes = make([]byte, len(change.bytes))
		}
		t.apply(change)
	}
	t.prune()
	after.now, after.durable = t, t.clone()
	return after
}

// Kill returns the disk as the next process finds it when only the process died:
// the kernel still holds everything. The old disk stays as it is.
func (d *Disk) Kill() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	after := New()
	after.Full, after.Room, after.inodes = d.Full, d.Room, d.inodes
	after.now, after.durable = d.now.clone(), d.durable.clone()
	after.pending = slices.Clone(d.pending)
	after.failed = maps.Clone(d.failed)
	return after
}

// Sum tells disks apart: equal sums mean that no process can tell the two disks
// apart, nor after any power cut.
func (d *Disk) Sum() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := sha256.New()
	trees := []tree{d.durable}
	if len(d.pending) > 0 {
		trees = append(trees, d.now)
	}
	for _, t := range trees {
		for _, name := range slices.Sorted(maps.Keys(t.names)) {
			fmt.Fprintf(h, "%q %v %d\n", name, t.dirs[t.names[name]], len(t.data[t.names[name]]))
			h.Write(t.data[t.names[name]])
		}
	}
	for _, c := range d.pending {
		fmt.Fprintf(h, "%v %d %q\n", c, c.off, c.bytes)
	}
	return string(h.Sum(nil))
}

// A change is what one operation does to a tree.
type change struct {
	kind   Kind // Create, Mkdir, Remove, Rename, Write or Truncate
	name   string
	from   string // rename
	ino    int
	off    int64 // write; truncate: the new size
	bytes  []byte
	doomed bool // a sync of it failed: no other one makes it durable
}

func (c change) String() string {
	if c.kind == Write {
		return fmt.Sprintf("write of %d bytes to %s", len(c.bytes), c.name)
	}
	return fmt.Sprintf("%s %s", c.kind, c.name)
}

// ofNames reports whether the change is one of a folder, not of a file.
func (c change) ofNames() bool { return c.kind != Write && c.kind != Truncate }

// A tree is what lies on a disk. Files are known by inode, so that a name and the
// bytes behind it can persist one without the other.
type tree struct {
	names map[string]int
	dirs  map[int]bool
	data  map[int][]byte
}

func newTree() tree {
	return tree{names: map[string]int{}, dirs: map[int]bool{}, data: map[int][]byte{}}
}

func (t tree) clone() tree {
	c := tree{maps.Clone(t.names), maps.Clone(t.dirs), make(map[int][]byte, len(t.data))}
	for ino, data := range t.data {
		c.data[ino] = bytes.Clone(data)
	}
	return c
}

func (t tree) apply(c change) {
	switch c.kind {
	case Create:
		t.names[c.name] = c.ino
	case Mkdir:
		t.names[c.name], t.dirs[c.ino] = c.ino, true
	case Remove:
		if t.names[c.name] == c.ino {
			delete(t.names, c.name)
		}
	case Rename:
		if t.names[c.from] == c.ino {
			delete(t.names, c.from)
		}
		t.names[c.name] = c.ino
	case Write:
		end := int(c.off) + len(c.bytes)
		copy(t.resized(c.ino, max(end, len(t.data[c.ino])))[c.off:], c.bytes)
	case Truncate:
		t.resized(c.ino, int(c.off))
	}
}

// resized gives a file another length; what is new of it is zero.
func (t tree) resized(ino, size int) []byte {
	data := t.data[ino]
	if grow := size - len(data); grow > 0 {
		data = append(data, make([]byte, grow)...)
	}
	t.data[ino] = data[:size]
	return t.data[ino]
}

// prune drops what no name leads to.
func (t tree) prune() {
	for name := range t.names {
		if !t.hasDir(path.Dir(name)) {
			delete(t.names, name)
		}
	}
	named := map[int]bool{}
	for _, ino := range t.names {
		named[ino] = true
	}
	maps.DeleteFunc(t.data, func(ino int, _ []byte) bool { return !named[ino] })
}

// hasDir reports whether a folder can be reached.
func (t tree) hasDir(name string) bool {
	if name == "." {
		return true
	}
	ino, found := t.names[name]
	return found && t.dirs[ino] && t.hasDir(path.Dir(name))
}

// inside returns the names right below a folder.
func (t tree) inside(dir string) []string {
	var names []string
	for name := range t.names {
		if path.Dir(name) == dir {
			names = append(names, name)
		}
	}
	return names
}

// file returns a copy of what stands under a name that can be reached.
func (t tree) file(name string) ([]byte, bool) {
	ino, found := t.names[name]
	if !found || t.dirs[ino] || !t.hasDir(path.Dir(name)) {
		return nil, false
	}
	return bytes.Clone(t.data[ino]), true
}
