package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"iter"
)

// Bounds of a batch. Jobs are never held all at once, but what tells them apart
// takes 16 bytes for each, and each local file takes a few hundred.
const (
	maxJobs  = 2_000_000
	maxFiles = 100_000
)

// source is one of the places where a manifest's pairs are listed.
type source uint8

const (
	fromPairs  source = iota // in the manifest itself, or in code
	fromMatrix               // every image with every video
	fromRows                 // the file that pairs_from names
)

// listing is all pairs of a manifest, in order: the explicit ones, the matrix,
// and the rows of pairs_from. It can be gone through any number of times; matrix
// pairs are put together and rows are read anew each time, so that a batch may
// have more pairs than fit into memory.
type listing struct {
	manifest       *Manifest
	template       bool     // the manifest's output template is good
	images, videos []string // of the matrix, in order
	rows           *rowFile // nil when there are none
}

// listPairs lists the explicit pairs alone.
func (m *Manifest) listPairs() *listing {
	problem, _ := templateProblem(m.Output.File)
	return &listing{manifest: m, template: problem == ""}
}

// list finds out what a manifest's matrix and pairs_from stand for. What is wrong
// with them is reported; they are empty then.
func (m *Manifest) list(found *problems) *listing {
	l := m.listPairs()
	l.rows = openRows(m, found)
	if !m.Matrix.empty() {
		l.images, l.videos = m.expandMatrix(found)
	}
	if listed := len(m.Pairs) + len(l.images)*len(l.videos); listed > maxJobs {
		found.addNew(m.placeOf("matrix"), "split it into several batches", "matrix: %d images with %d videos are more than %d jobs",
			len(l.images), len(l.videos), maxJobs)
		l.images = nil
	}
	return l
}

// each yields every pair; one that is yielded is valid until the next. Rows that
// are no pairs are reported and left out. An error means that the rows can't be
// read, or are not those of the first time; it is the last thing yielded.
func (l *listing) each(found *problems) iter.Seq2[*Pair, error] {
	return func(yield func(*Pair, error) bool) {
		for i := range l.manifest.Pairs {
			if !yield(&l.manifest.Pairs[i], nil) {
				return
			}
		}
		for i := range len(l.images) * len(l.videos) {
			if !yield(l.matrixPair(i), nil) {
				return
			}
		}
		if l.rows == nil {
			return
		}
		for p, err := range l.rows.pairs(found) {
			if !yield(p, err) {
				return
			}
		}
	}
}

// matrixPair is the i-th pair of the matrix, from 0.
func (l *listing) matrixPair(i int) *Pair {
	at := l.manifest.placeOf("matrix")
	p := &Pair{
		Image: l.images[i/len(l.videos)], Video: l.videos[i%len(l.videos)],
		Line: int(at.line), column: at.column, from: fromMatrix, index: int32(i),
	}
	p.identify()
	return p
}

// check reports what is wrong with the pairs and can be told without looking at
// their media, and notes these in files (if not nil): each pair by itself, then
// that no two of them share an id or an output file. Only the context's errors
// and those of reading are returned.
func (l *listing) check(ctx context.Context, found *problems, files *fileSet) error {
	ids, outputs := newTally(), newTally()
	n := 0
	for p, err := range l.each(found) {
		if err == nil && n%1024 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if n++; n > maxJobs {
			found.add(p.place(), "split it into several batches", "the batch has more than %d jobs", maxJobs)
			break
		}
		if output, ok := l.checkPair(found, p); ok {
			ids.add(folded(p.ID))
			outputs.add(folded(output))
		}
		if files != nil && !files.add(p) {
			found.add(p.place(), "split it into several batches", "the batch has more than %d different local files", maxFiles)
			break
		}
		if found.full {
			break // a hostile list is not judged to its end
		}
	}
	return l.checkUnique(found, ids.repeated(), outputs.repeated())
}

// checkPair judges one pair. If its id is good, it is ok and has an output file,
// however good that is.
func (l *listing) checkPair(found *problems, p *Pair) (output string, ok bool) {
	if p.Mode != "" && !p.Mode.valid() {
		found.addNew(p.mode.or(p.place()), "", "%s: must be %s or %s", p.path("mode"), ModeStd, ModePro)
	}
	if p.from != fromMatrix { // a matrix's media were judged when it was expanded, once for all pairs
		if problem, hint := mediaProblem(p.Image, imageExtensions()); problem != "" {
			found.addNew(p.image.or(p.place()), hint, "%s: %s", p.path("image"), problem)
		}
		if problem, hint := mediaProblem(p.Video, videoExtensions()); problem != "" {
			found.addNew(p.video.or(p.place()), hint, "%s: %s", p.path("video"), problem)
		}
	}
	checkLabels(found, p.place(), p.path(""), p.Labels)
	if p.ID == "" {
		return "", false // there is nothing to derive it from, which has been said
	}
	if problem := nameProblem(p.ID, maxIDBytes); problem != "" {
		hint := ""
		if p.id == (position{}) { // it was derived
			hint = "give the pair an id"
		}
		found.addNew(p.idPlace(), hint, "%sid %s %s", p.prefix(), quote(p.ID), problem)
		return "", false
	}
	output = l.output(p)
	if problem := fileProblem(output); problem != "" && l.template {
		found.addNew(p.idPlace(), "output.file is a path below videos/, such as {id}.mp4 or {mode}/{id}.mp4", "%soutput file %s %s", p.prefix(), quote(output), problem)
	}
	return output, true
}

// checkUnique goes through the pairs once more to tell which of them share a
// name, if any do.
func (l *listing) checkUnique(found *problems, ids, outputs *duplicates) error {
	if ids.none() && outputs.none() {
		return nil
	}
	for p, err := range l.each(&problems{}) { // problems of rows have been told
		if err != nil {
			return err
		}
		if found.full {
			return nil
		}
		if p.ID == "" || nameProblem(p.ID, maxIDBytes) != "" {
			continue
		}
		if first, taken := ids.claim(folded(p.ID), p.ref()); taken {
			found.addNew(p.idPlace(), "give one of them another id", "%sid %s is taken by %s", p.prefix(), quote(p.ID), l.describe(first))
			continue
		}
		file := l.output(p)
		if first, taken := outputs.claim(folded(file), p.ref()); taken && l.template {
			found.addNew(p.idPlace(), "put {id} into output.file", "%soutput file %s is taken by %s", p.prefix(), quote(file), l.describe(first))
		}
	}
	return nil
}

// output is where a pair's video goes.
func (l *listing) output(p *Pair) string {
	return expand(l.manifest.Output.File, p, cmp.Or(p.Mode, l.manifest.Mode))
}

// describe names a pair in a message about another one.
func (l *listing) describe(p pairRef) string {
	switch {
	case p.from == fromMatrix:
		m := l.matrixPair(int(p.index))
		return fmt.Sprintf("matrix pair %s with %s", shown(withoutQuery(m.Image)), shown(withoutQuery(m.Video)))
	case p.from == fromRows:
		return fmt.Sprintf("%s:%d", l.rows.path, p.line)
	case p.line == 0:
		return fmt.Sprintf("pairs[%d]", p.index)
	}
	return fmt.Sprintf("pairs[%d] in line %d", p.index, p.line)
}

// pairRef is what is kept of a pair to find it again.
type pairRef struct {
	from        source
	index, line int32
}

func (p *Pair) ref() pairRef { return pairRef{from: p.from, index: p.index, line: int32(p.Line)} }

// path is how problems name a value of the pair, "pairs[3].image", or with an
// empty field the prefix of one.
func (p *Pair) path(field string) string {
	switch {
	case p.from == fromPairs:
		return fmt.Sprintf("pairs[%d].%s", p.index, field)
	case p.from == fromMatrix && field != "":
		return "matrix." + field + "s"
	}
	return field
}

// prefix is how a problem of the pair as a whole begins.
func (p *Pair) prefix() string {
	switch p.from {
	case fromPairs:
		return fmt.Sprintf("pairs[%d]: ", p.index)
	case fromMatrix:
		return fmt.Sprintf("matrix: %s with %s: ", shown(withoutQuery(p.Image)), shown(withoutQuery(p.Video)))
	}
	return ""
}

// place is where a problem of the pair as a whole is shown.
func (p *Pair) place() position {
	return position{line: int32(p.Line), column: p.column, rows: p.from == fromRows}
}

// idPlace is where a problem of the pair's id is shown.
func (p *Pair) idPlace() position { return p.id.or(p.place()) }
