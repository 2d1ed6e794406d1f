package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/batch"
)

// growing makes a batch folder that grows, with a record of one more job at each call
// of plan.
func growing(t *testing.T, jobs int) (f *folder, plan func()) {
	t.Helper()
	f, err := openFolder(t.Context(), filepath.Join(t.TempDir(), "b"), batch.New(batch.Settings{}, nil), true, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	n := 0
	record := func(e batch.Event) {
		n++
		e.At = time.Date(2026, 10, 1, 0, 0, n, 0, time.UTC)
		if err := f.record(e); err != nil {
			t.Fatal(err)
		}
	}
	record(batch.Event{Kind: batch.Begun, Begin: &batch.Begin{Batch: "b", Currency: "USD"}})
	plan = func() {
		id := fmt.Sprintf("job-%03d", n)
		record(batch.Event{Kind: batch.Planned, Job: id, Plan: &batch.Plan{Key: id, File: id + ".mp4"}})
	}
	for range jobs {
		plan()
	}
	return f, plan
}

// Two who write the reports of one folder at once both succeed, and whoever reads
// report.json meanwhile finds a whole one.
func TestReportWritersAtOnce(t *testing.T) {
	f, _ := growing(t, 200)
	stop := make(chan struct{})
	var reader, writers sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if text, err := os.ReadFile(filepath.Join(f.path, reportJSON)); err == nil && !json.Valid(text) {
				t.Errorf("report.json of %d bytes is no JSON", len(text))
				return
			}
		}
	})
	for what, write := range map[string]func() error{
		"a run, at its end": func() error { _, err := writeReports(t.Context(), f); return err },
		"wanbatch report":   func() error { _, err := WriteReport(f.path); return err },
	} {
		writers.Go(func() {
			for range 50 {
				if err := write(); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	reader.Wait()
	for _, name := range []string{reportJSON, reportCSV, reportHTML} {
		if info, err := os.Stat(filepath.Join(f.path, name)); err != nil || info.Size() == 0 {
			t.Errorf("what is left of %s: %v", name, err)
		}
	}
}

// A report that had to wait for another writer tells what is true when its turn comes:
// else an older one would replace the last report of a run.
func TestReportTellsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, plan := growing(t, 1)
		lock, err := lockReports(t.Context(), f.path) // another writes
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := WriteReport(f.path)
			done <- err
		}()
		synctest.Wait() // until it waits, or has come too early
		plan()
		if err := lock.Release(true); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if told, err := reportedHead(f.path); err != nil || told.Records != f.log.Head().Records {
			t.Errorf("report.json is of %d records, the journal has %d: %v", told.Records, f.log.Head().Records, err)
		}
	})
}

// A run does not wait for ever for one who hangs, nor at all once it was told to leave
// at once; it says where the report went, and has it.
func TestReportOfHangingWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := growing(t, 1)
		lock, err := lockReports(t.Context(), f.path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lock.Release(true) }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, want := range []time.Duration{reportLockWait, 0} {
			begun := time.Now()
			r, err := writeReports(ctx, f)
			if took := time.Since(begun); took < want || took > want+time.Second {
				t.Errorf("waited %v, want %v", took, want)
			}
			if r == nil || r.Totals.Jobs != 1 || err == nil || !strings.Contains(err.Error(), "the journal has all of it: wanbatch report "+f.path) {
				t.Errorf("%v, %v", r, err)
			}
			cancel()
		}
	})
}

// The lock of reports is nobody else's to read, is opened without following a link,
// and is not left where there is no batch.
func TestReportLockFile(t *testing.T) {
	f, _ := growing(t, 1)
	if _, err := WriteReport(f.path); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(f.path, reportLockName)
	if info, err := os.Stat(at); err != nil || info.Mode() != 0o600 || info.Size() != 0 {
		t.Errorf("the lock: %v, %v", info, err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := errors.Join(os.Remove(at), os.Symlink(other, at)); err != nil {
		t.Skip(err)
	}
	if _, err := WriteReport(f.path); err == nil || !strings.Contains(err.Error(), "it is not a regular file") {
		t.Errorf("with a link in place of the lock: %v", err)
	}
	empty := t.TempDir()
	if _, err := WriteReport(empty); !errors.Is(err, ErrUsage) {
		t.Errorf("of no batch: %v", err)
	}
	for _, none := range []string{other, filepath.Join(empty, reportLockName)} {
		if _, err := os.Lstat(none); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was made", none)
		}
	}
}
