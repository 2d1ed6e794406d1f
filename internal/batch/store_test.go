package batch_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"

	"github.com/wanbatch/wanbatch/internal/batch"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/journal"
)

func init() {
	batch.NewStore = func(rnd *rand.Rand) batch.Store { return &store{rnd: rnd, disk: disktest.New()} }
}

// store is the real journal, with its real records, on a disk that loses what was
// not synced.
type store struct {
	rnd  *rand.Rand
	disk *disktest.Disk
	log  *journal.Log
}

const storeName = "journal.jsonl"

func (s *store) Append(e batch.Event) error {
	if s.log == nil {
		if _, err := s.Reopen(false); err != nil {
			return err
		}
	}
	if e.Kind == batch.Intended {
		return s.log.AppendIntent(journal.Encode(e))
	}
	return s.log.Append(journal.Encode(e))
}

// Tear lets the process die before one of the next few operations of the disk.
func (s *store) Tear(e batch.Event) {
	left := s.rnd.IntN(6)
	s.disk.Before = func(disktest.Op) error {
		if left--; left < 0 {
			return disktest.ErrDead
		}
		return nil
	}
	if err := s.Append(e); err != nil && !errors.Is(err, disktest.ErrDead) {
		panic(err)
	}
}

// Reopen reads the journal after a power cut, or after the death of the process
// alone, and makes it ready for the next.
func (s *store) Reopen(crashed bool) ([]batch.Event, error) {
	switch cuts := s.disk.Cuts(64); {
	case !crashed:
		s.disk = s.disk.Kill()
	default:
		s.disk = s.disk.PowerCut(cuts[s.rnd.IntN(len(cuts))])
	}
	var events []batch.Event
	log, err := journal.Open(s.disk, storeName, func(_ int, payload json.RawMessage) error {
		e, err := journal.Decode(payload)
		events = append(events, e)
		return err
	})
	if err != nil && s.log == nil {
		log, err = journal.Create(s.disk, storeName)
	}
	s.log = log
	return events, err
}
