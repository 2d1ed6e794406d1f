package batch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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
	rnd     *rand.Rand
	disk    *disktest.Disk
	log     *journal.Log
	written [][]byte // the records that are durable
	tearing []byte   // the record that a crash cut
	torn    bool     // the newest process found it
}

const storeName = "journal.jsonl"

func (s *store) Append(e batch.Event) error {
	if s.log == nil {
		if err := s.Reopen(false); err != nil {
			return err
		}
	}
	payload, err := record(e)
	if err != nil {
		return err
	}
	if err := s.append(e.Kind, payload); err != nil {
		return err
	}
	s.written = append(s.written, payload)
	return nil
}

func (s *store) append(kind batch.Kind, payload []byte) error {
	if kind == batch.Intended {
		return s.log.AppendIntent(json.RawMessage(payload))
	}
	return s.log.Append(json.RawMessage(payload))
}

// record is an event as the journal writes it, once it is sure that it reads it
// back as the same.
func record(e batch.Event) ([]byte, error) {
	payload, err := json.Marshal(journal.Encode(e))
	if err != nil {
		return nil, err
	}
	again, err := journal.Decode(payload)
	if err != nil {
		return nil, err
	}
	if reflect.DeepEqual(e, again) { // most are, and the difference is slow
		return payload, nil
	}
	if d := cmp.Diff(e, again, cmpopts.EquateEmpty()); d != "" {
		return nil, fmt.Errorf("a record is read as another (-written +read):\n%s", d)
	}
	return payload, nil
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
	payload, err := record(e)
	if err == nil {
		err = s.append(e.Kind, payload)
	}
	if err != nil && !errors.Is(err, disktest.ErrDead) {
		panic(err)
	}
	s.tearing = payload
}

func (s *store) Torn() bool { return s.torn }

// Reopen reads the journal after a power cut, or after the death of the process
// alone, and makes it ready for the next. What is read must be what was written,
// byte by byte; only of the record that was torn nobody knows.
func (s *store) Reopen(crashed bool) error {
	switch cuts := s.disk.Cuts(64); {
	case !crashed:
		s.disk = s.disk.Kill()
	default:
		s.disk = s.disk.PowerCut(cuts[s.rnd.IntN(len(cuts))])
	}
	n, want := 0, s.written
	if s.tearing != nil {
		want = append(slices.Clip(want), s.tearing)
	}
	log, err := journal.Open(s.disk, storeName, func(_ int, payload json.RawMessage) error {
		if n == len(want) || !bytes.Equal(payload, want[n]) {
			return fmt.Errorf("record %d is read as %s", n+1, payload)
		}
		n++
		return nil
	})
	if err != nil && s.log == nil {
		log, err = journal.Create(s.disk, storeName)
	}
	if err == nil && n < len(s.written) {
		err = fmt.Errorf("%d records are read, but %d were durable", n, len(s.written))
	}
	s.torn = n > len(s.written)
	s.log, s.written, s.tearing = log, want[:n], nil
	return err
}
