package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/journal"
)

// Findings is what [Audit] found in a batch folder.
type Findings struct {
	Records   int64  `json:"records"`   // of the journal that are proven, its header included
	Head      string `json:"head"`      // hash over all of them; "" if there is none
	Artifacts int    `json:"artifacts"` // videos that are what was verified when they were fetched
	Bytes     int64  `json:"bytes"`     // of those videos
	Elsewhere int    `json:"elsewhere"` // videos that lie only in a bucket, into which audit does not look

	// Problems is empty if the folder is proven. They stand in the order in which
	// the proof goes: journal, money, report, videos.
	Problems []Finding `json:"problems"`
	// Notes are the normal traces of a crash, which the next run puts right, or of
	// a run that goes on; and that a damaged journal proves nothing of the report.
	Notes []Finding `json:"notes"`
}

// Finding is one thing that an audit has to tell.
type Finding struct {
	Where   string `json:"where"` // a file of the folder, with a line, a field or a column where there is one
	Message string `json:"what"`  // what is wrong there
	Hint    string `json:"do"`    // what to do about it
}

// Proven reports whether nothing is wrong.
func (f *Findings) Proven() bool { return len(f.Problems) == 0 }

// Audit proves a batch folder by its own evidence, all problems at once:
//
//   - the journal's chain: no bit changed, no line removed or moved;
//   - its records follow from each other, one by one;
//   - the money, added up anew from the records, is what the core says, and every
//     billed amount is usage x unit price to the last digit;
//   - report.json and report.csv are what the journal gave at the head that
//     report.json carries, and so is the report in report.html. A head that the
//     journal does not have means that the journal's tail was cut off or written
//     anew. A report of an older program is proven as far as that one knew, its
//     sentences aside, and a note says so;
//   - every artifact is there with its length and SHA-256, and nothing else
//     stands among the videos. Those that were put into a bucket and not kept here
//     are only counted.
//
// It uses no network, takes no lock, writes and repairs nothing, and may run
// beside a run, which it sees at one instant. It reads every video once.
//
// What it cannot see: a folder of which everything, the report included, was
// replaced by an older or another consistent state; and, as a note then says, the end
// of the journal of a batch that has no report yet, because at most one run came to an
// end. Keep Findings.Head elsewhere to notice either.
//
// An error means that there was nothing to audit (it matches [ErrUsage] if the
// folder holds no batch) or that the journal could not be read.
func Audit(folder string) (*Findings, error) {
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, plainUsagef("there is no batch folder %s", folder)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer root.Close() // read only: nothing can be lost
	a := &auditor{path: folder, root: root, core: batch.New(batch.Settings{}, nil), books: newBooks(),
		stored: map[string]bool{}, found: &Findings{Problems: []Finding{}, Notes: []Finding{}}}
	holder, _ := HolderOf(folder) // where it cannot be told, nobody is assumed
	a.held = holder != nil
	a.readReports() // before the journal: a report is never ahead of it
	if err := a.auditJournal(); err != nil {
		return nil, err
	}
	a.auditMoney()
	a.auditReports()
	a.auditVideos()
	return a.found, nil
}

// auditor is one audit. Each part of the proof rests on the ones before it.
type auditor struct {
	path  string
	root  *os.Root
	found *Findings
	held  bool // a run goes on
	ended int  // runs that ended on purpose: such a one writes a report, unless it is killed just then
	files map[string]reportFile

	core    *batch.Batch    // fold of the records that are proven
	books   *books          // the same money, added up by other code
	stored  map[string]bool // every path at which an artifact was ever stored
	head    journal.Head
	damaged bool // the journal does not prove all of itself
}

func (a *auditor) problem(where, hint, message string, args ...any) {
	a.found.Problems = append(a.found.Problems, Finding{Where: where, Message: fmt.Sprintf(message, args...), Hint: hint})
}

func (a *auditor) note(where, hint, message string) {
	a.found.Notes = append(a.found.Notes, Finding{Where: where, Message: message, Hint: hint})
}

const restoreJournal = "put an intact copy of the journal back; do not run this batch before: what is behind that line is not known"

// auditJournal proves the chain and folds it.
func (a *auditor) auditJournal() error {
	f, err := a.root.Open(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		return plainUsagef("%s holds no batch: there is no %s in it", a.path, journalName)
	}
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer f.Close() // read only: nothing can be lost
	head, torn, err := journal.Replay(f, a.fold)
	a.head, a.found.Records, a.found.Head = head, head.Records, head.Hash
	var corrupt *journal.CorruptError
	switch {
	case errors.As(err, &corrupt):
		a.damaged = true
		a.problem(lineOf(corrupt.Line), restoreJournal, "%s", corrupt.Reason)
	case errors.Is(err, journal.ErrVersion):
		a.damaged = true
		a.problem(lineOf(1), "audit it with the wanbatch that wrote it, or a newer one", "%v", err)
	case err != nil:
		return fmt.Errorf("audit %s: %w", a.path, err)
	}
	if torn {
		a.note(lineOf(int(head.Records)+1), "nothing: it was never acknowledged, and the next run cuts it off",
			"an incomplete last record, the trace of a crash")
	}
	return nil
}

// fold takes in one record whose place in the chain is proven. After the first
// that does not follow from the others nothing is folded, but the chain is still
// proven to its end.
func (a *auditor) fold(line int, payload json.RawMessage) error {
	if a.damaged {
		return nil
	}
	e, err := journal.Decode(payload)
	if err == nil {
		err = a.core.Apply(e)
	}
	if err != nil {
		a.damaged = true
		a.problem(lineOf(line), "wanbatch never writes such a record; keep the folder unchanged and find out what wrote it",
			"its checksum holds, but it does not follow from the records before: %v", err)
		return nil
	}
	for _, wrong := range a.books.enter(e) {
		a.problem(lineOf(line), "compare with the provider's bill; the report repeats the recorded amount", "%s", wrong)
	}
	if e.Kind == batch.Closed {
		a.ended++
	}
	if e.Artifact != nil {
		a.stored[e.Artifact.Path] = true
	}
	return nil
}

func lineOf(n int) string { return fmt.Sprintf("%s:%d", journalName, n) }
