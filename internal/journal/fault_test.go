package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/internal/journal"
)

var errDisk = errors.New("disk on fire")

// scenario writes a little of everything and returns the payloads whose append
// returned nil.
func scenario(disk journal.Disk) (acknowledged []string, err error) {
	log, err := journal.Create(disk, name)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	steps := []struct {
		call     func() error
		payloads []string
	}{
		{func() error { return log.AppendAll([]any{1, 2, 3}) }, []string{"1", "2", "3"}},
		{func() error { return log.AppendIntent(4) }, []string{"4"}},
		{func() error { return log.Append(5) }, []string{"5"}},
		{func() error { return log.AppendIntent(6) }, []string{"6"}},
		{func() error { return log.Append(7) }, []string{"7"}},
	}
	for _, step := range steps {
		if e := step.call(); e != nil {
			err = errors.Join(err, e)
			continue
		}
		if err != nil {
			return acknowledged, fmt.Errorf("%w: an append succeeded after a failure", err)
		}
		acknowledged = append(acknowledged, step.payloads...)
	}
	return acknowledged, err
}

// Each operation fails once, in each way; then the power goes, with any number
// of unsynced bytes kept. All that was acknowledged must come back, in order,
// and nothing that was not written.
func TestEveryFaultThenPowerCut(t *testing.T) {
	all := []string{"1", "2", "3", "4", "5", "6", "7"}
	for _, mode := range []struct {
		name  string
		err   error
		short bool
	}{{"nothing written", errDisk, false}, {"half written", errDisk, true}, {"short", errShort, true}} {
		for k := 1; ; k++ {
			disk, fired := newMemDisk(), false
			disk.short = mode.short
			disk.fault = func(op int, kind string) error {
				if op != k || (errors.Is(mode.err, errShort) && kind != "write") {
					return nil
				}
				fired = true
				return mode.err
			}
			acknowledged, _ := scenario(disk)
			if !fired && k > disk.ops {
				if len(acknowledged) != len(all) {
					t.Fatalf("without a fault only %v were acknowledged", acknowledged)
				}
				break
			}
			for _, keep := range []int{0, 1, 40, 90, 1 << 20} {
				fn, got := collect()
				after := disk.crash(keep)
				if after.names[name] == nil {
					if len(acknowledged) > 0 {
						t.Fatalf("%s, operation %d: the journal is gone", mode.name, k)
					}
					continue
				}
				log, err := journal.Open(after, name, fn)
				if err != nil {
					t.Fatalf("%s, operation %d, keep %d: %v", mode.name, k, keep, err)
				}
				log.Close()
				if len(*got) < len(acknowledged) || !slices.Equal(*got, all[:len(*got)]) {
					t.Fatalf("%s, operation %d, keep %d: got %v, acknowledged %v", mode.name, k, keep, *got, acknowledged)
				}
			}
		}
	}
}

// Recovery itself is interrupted at every operation, and then completed.
func TestFaultInsideRecovery(t *testing.T) {
	whole := build(t, "1", "2")
	for _, cut := range []int{0, 10, len(whole) - 1, len(whole)} {
		for k := 1; ; k++ {
			disk := newMemDisk()
			f := &memFile{disk: disk, data: bytes.Clone(whole[:cut]), synced: bytes.Clone(whole[:cut])}
			disk.names[name], disk.durable[name] = f, f
			disk.fault = func(op int, _ string) error {
				if op == k {
					return errDisk
				}
				return nil
			}
			log, err := journal.Open(disk, name, nil)
			if err == nil {
				log.Close()
				if k > disk.ops {
					break
				}
				continue // the fault met the close
			}
			if _, err := journal.Open(disk.crash(1<<20), name, nil); err != nil {
				t.Fatalf("cut %d, operation %d: second recovery: %v", cut, k, err)
			}
		}
	}
}

func TestDeadStaysDeadAndNeverSyncsAgain(t *testing.T) {
	for _, kind := range []string{"sync", "write"} {
		disk := newMemDisk()
		log, err := journal.Create(disk, name)
		if err != nil {
			t.Fatal(err)
		}
		disk.fault = func(_ int, k string) error {
			if k == kind {
				return errDisk
			}
			return nil
		}
		first := log.Append(1)
		if !errors.Is(first, journal.ErrDead) || !errors.Is(first, errDisk) {
			t.Fatalf("%s: %v", kind, first)
		}
		disk.fault, disk.log = nil, nil
		head := log.Head()
		for _, again := range []error{log.Append(2), log.AppendAll([]any{3}), log.AppendIntent(4)} {
			if !errors.Is(again, first) {
				t.Errorf("%s: later append returned %v", kind, again)
			}
		}
		if len(disk.log) != 0 || log.Head() != head || head.Records != 1 {
			t.Errorf("%s: operations %v after death, head %+v", kind, disk.log, head)
		}
	}
}

// The order of operations is the promise itself: a newline only behind durable
// bytes, an intent only behind a durable reserve.
func TestSequenceOfOperations(t *testing.T) {
	commit := []string{"write", "sync", "write", "sync"}
	reserve := []string{"remove", "open", "write", "sync", "close", "syncdir"}
	disk := newMemDisk()
	log, err := journal.Create(disk, name)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		call func() error
		want []string
	}{
		{"append", func() error { return log.Append(1) }, commit},
		{"batch", func() error { return log.AppendAll([]any{2, 3}) }, commit},
		{"first intent", func() error { return log.AppendIntent(4) }, slices.Concat(reserve, commit)},
		{"next intent", func() error { return log.AppendIntent(5) }, commit},
	} {
		disk.log = nil
		if err := step.call(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, disk.log); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}

// A killed process can leave records, and even the file's name, in the page
// cache alone. What Open has replayed must survive a power cut from then on.
func TestOpenMakesWhatItReplayedDurable(t *testing.T) {
	whole := build(t, "1", "2")
	for _, tail := range []string{"", `{"seq":4,`} {
		disk := newMemDisk()
		disk.names[name] = &memFile{disk: disk, data: append(bytes.Clone(whole), tail...)}
		if _, err := journal.Open(disk, name, nil); err != nil {
			t.Fatal(err)
		}
		after := disk.crash(0).names[name]
		if after == nil || !bytes.Equal(after.data, whole) {
			t.Errorf("tail %q: after the power cut %v", tail, after)
		}
	}
}

// The disk fills up at every possible byte. Whenever an intent was recorded,
// its outcome must find room.
func TestOutcomeAlwaysFindsRoom(t *testing.T) {
	intent, outcome := json.RawMessage(`{"type":"intended"}`), json.RawMessage(`{"type":"accepted","task":"t-1"}`)
	recorded, refused := 0, 0
	for room := range 300 {
		disk := newMemDisk()
		if room%2 == 1 {
			disk.full = syscall.EDQUOT
		}
		log, err := journal.Create(disk, name)
		if err != nil {
			t.Fatal(err)
		}
		if room%3 == 0 { // a log that was opened must know its length, too
			log.Close()
			if log, err = journal.Open(disk, name, nil); err != nil {
				t.Fatal(err)
			}
		}
		disk.room = journal.ReserveBytes - 20 + room
		err = log.AppendIntent(intent)
		if errors.Is(err, journal.ErrFull) {
			refused++
			if errors.Is(err, journal.ErrDead) {
				t.Fatalf("room %d: %v", room, err)
			}
			disk.room = -1 // somebody made room
			err = log.AppendIntent(intent)
		} else {
			recorded++
		}
		if err != nil {
			t.Fatalf("room %d: %v", room, err)
		}
		if disk.room > 0 {
			disk.room = 0 // somebody took the rest
		}
		if err := log.Append(outcome); err != nil {
			t.Fatalf("room %d: outcome lost: %v", room, err)
		}
		if _, torn, err := journal.Replay(bytes.NewReader(disk.names[name].data), nil); err != nil || torn {
			t.Fatalf("room %d: torn %v, %v", room, torn, err)
		}
		if err := log.AppendIntent(intent); disk.room >= 0 && !errors.Is(err, journal.ErrFull) {
			t.Fatalf("room %d: an intent without reserve: %v", room, err)
		}
	}
	if recorded == 0 || refused == 0 {
		t.Errorf("%d recorded and %d refused: the range misses a side", recorded, refused)
	}
}

func TestFullDiskWithoutReserveIsDeath(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		disk := newMemDisk()
		log, err := journal.Create(disk, name)
		if err != nil {
			t.Fatal(err)
		}
		disk.fault = func(_ int, kind string) error {
			if kind == "write" {
				return fault
			}
			return nil
		}
		if err := log.Append(1); !errors.Is(err, journal.ErrDead) || !errors.Is(err, fault) {
			t.Errorf("%v: %v", fault, err)
		}
	}
	// fsync may report it as well, when blocks are allocated late: never undone.
	disk := newMemDisk()
	log, err := journal.Create(disk, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.AppendIntent(1); err != nil {
		t.Fatal(err)
	}
	disk.fault = func(_ int, kind string) error {
		if kind == "sync" {
			return syscall.ENOSPC
		}
		return nil
	}
	if err := log.AppendIntent(2); !errors.Is(err, journal.ErrDead) || errors.Is(err, journal.ErrFull) {
		t.Errorf("full disk met by fsync: %v", err)
	}
}

// TestModel compares long random histories, with closes and power cuts in
// them, with a plain list.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		disk := newMemDisk()
		log, err := journal.Create(disk, name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		reopen := func(next *memDisk) {
			disk = next
			fn, got := collect()
			if log, err = journal.Open(disk, name, fn); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Fatalf("records (-want +got):\n%s", diff)
			}
		}
		wrote := func(err error, payloads ...any) {
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range payloads {
				text, _ := json.Marshal(p)
				want = append(want, string(text))
			}
		}
		payload := rapid.MapOf(rapid.String(), rapid.Int())
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				p := payload.Draw(t, "payload")
				wrote(log.Append(p), p)
			},
			"intent": func(t *rapid.T) {
				p := payload.Draw(t, "payload")
				wrote(log.AppendIntent(p), p)
			},
			"batch": func(t *rapid.T) {
				ps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) any { return payload.Draw(t, "payload") }), 0, 5).Draw(t, "batch")
				wrote(log.AppendAll(ps), ps...)
			},
			"close": func(*rapid.T) {
				if err := log.Close(); err != nil {
					t.Fatal(err)
				}
				reopen(disk)
			},
			"power cut": func(*rapid.T) { reopen(disk.crash(0)) },
			"power cut in an append": func(t *rapid.T) {
				f := disk.names[name]
				f.data = append(f.data, `{"seq":`[:rapid.IntRange(1, 7).Draw(t, "written")]...)
				reopen(disk.crash(rapid.IntRange(0, 9).Draw(t, "kept")))
			},
			"": func(t *rapid.T) {
				if got := log.Head().Records; int(got) != len(want)+1 {
					t.Fatalf("head counts %d records, want %d and the header", got, len(want))
				}
			},
		})
	})
}
