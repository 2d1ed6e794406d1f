package journal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/wanbatch/wanbatch/internal/disk"
	"github.com/wanbatch/wanbatch/internal/disk/disktest"
	"github.com/wanbatch/wanbatch/internal/journal"
)

var errDisk = errors.New("disk on fire")

// scenario writes a little of everything and returns the payloads whose append
// returned nil.
func scenario(disk disk.Disk) (acknowledged []string, err error) {
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

// failing makes one operation of a disk fail, counted from 1, and tells whether
// it came to that.
func failing(disk *disktest.Disk, k int, err error) (fired *bool) {
	fired = new(bool)
	n := 0
	disk.Before = func(op disktest.Op) error {
		half := disktest.Half{}
		if n++; n != k || errors.As(err, &half) && op.Kind != disktest.Write {
			return nil
		}
		*fired = true
		return err
	}
	return fired
}

// only makes every operation of one kind fail.
func only(kind disktest.Kind, err error) func(disktest.Op) error {
	return func(op disktest.Op) error {
		if op.Kind == kind {
			return err
		}
		return nil
	}
}

// Each operation fails once, in each way; then the power goes. Whatever it leaves,
// all that was acknowledged must come back, in order, and nothing that was not
// written.
func TestEveryFaultThenPowerCut(t *testing.T) {
	all := []string{"1", "2", "3", "4", "5", "6", "7"}
	states := 0
	for name, fault := range map[string]error{
		"nothing written": errDisk, "half written": disktest.Half{Err: errDisk}, "short": disktest.Half{},
	} {
		for k := 1; ; k++ {
			disk := disktest.New()
			fired := failing(disk, k, fault)
			acknowledged, _ := scenario(disk)
			if !*fired && k > len(disk.Log()) {
				if len(acknowledged) != len(all) {
					t.Fatalf("without a fault only %v were acknowledged", acknowledged)
				}
				break
			}
			if sins := disk.Sins(); sins != nil {
				t.Errorf("%s, operation %d: %v", name, k, sins)
			}
			for _, cut := range disk.Cuts(8) {
				states++
				got := reopened(t, disk.PowerCut(cut))
				if len(got) < len(acknowledged) || !slices.Equal(got, all[:len(got)]) {
					t.Fatalf("%s, operation %d, %s: got %v, acknowledged %v", name, k, cut.Name, got, acknowledged)
				}
			}
		}
	}
	t.Logf("%d states of the disk", states)
}

// reopened returns the records that the next process finds: none if there is no
// journal.
func reopened(t *testing.T, disk *disktest.Disk) []string {
	t.Helper()
	fn, got := collect()
	log, err := journal.Open(disk, name, fn)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatalf("open %q: %v", content(disk), err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return *got
}

// Recovery itself is interrupted at every operation, the power goes, and recovery
// is completed.
func TestFaultInsideRecovery(t *testing.T) {
	whole := build(t, "1", "2")
	for _, cut := range []int{0, 10, len(whole) - 1, len(whole)} {
		want := max(bytes.Count(whole[:cut], []byte("\n"))-1, 0)
		for k := 1; ; k++ {
			disk := planted(whole[:cut])
			fired := failing(disk, k, errDisk)
			if log, err := journal.Open(disk, name, nil); err == nil {
				log.Close()
				if !*fired {
					break
				}
			}
			for _, power := range disk.Cuts(1 << 10) {
				if got := reopened(t, disk.PowerCut(power)); len(got) != want {
					t.Fatalf("cut %d, operation %d, %s: found %v, want %d records", cut, k, power.Name, got, want)
				}
			}
		}
	}
}

func TestDeadStaysDeadAndNeverSyncsAgain(t *testing.T) {
	for _, kind := range []disktest.Kind{disktest.Sync, disktest.Write} {
		disk := disktest.New()
		log, err := journal.Create(disk, name)
		if err != nil {
			t.Fatal(err)
		}
		disk.Before = only(kind, errDisk)
		first := log.Append(1)
		if !errors.Is(first, journal.ErrDead) || !errors.Is(first, errDisk) {
			t.Fatalf("%s: %v", kind, first)
		}
		disk.Before = nil
		before, head := len(disk.Log()), log.Head()
		for _, again := range []error{log.Append(2), log.AppendAll([]any{3}), log.AppendIntent(4)} {
			if !errors.Is(again, first) {
				t.Errorf("%s: later append returned %v", kind, again)
			}
		}
		if after := disk.Log(); len(after) != before || log.Head() != head || head.Records != 1 {
			t.Errorf("%s: operations %v after death, head %+v", kind, after[before:], head)
		}
	}
}

// The order of operations is the promise itself: a newline only behind durable
// bytes, an intent only behind a durable reserve.
func TestSequenceOfOperations(t *testing.T) {
	const reserve = name + ".reserve"
	commit := []string{"write " + name, "sync " + name, "write " + name, "sync " + name}
	room := []string{"remove " + reserve, "create " + reserve, "write " + reserve, "sync " + reserve, "close " + reserve, "syncdir ."}
	disk := disktest.New()
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
		{"first intent", func() error { return log.AppendIntent(4) }, slices.Concat(room, commit)},
		{"next intent", func() error { return log.AppendIntent(5) }, commit},
	} {
		before := len(disk.Log())
		if err := step.call(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, op := range disk.Log()[before:] {
			got = append(got, op.String())
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
}

// A killed process can leave records, and even the file's name, in the page
// cache alone. What Open has replayed must survive a power cut from then on.
func TestOpenMakesWhatItReplayedDurable(t *testing.T) {
	whole := build(t, "1", "2")
	for _, tail := range []string{"", `{"seq":4,`} {
		disk := disktest.New()
		disk.Put(name, append(bytes.Clone(whole), tail...), false)
		if _, err := journal.Open(disk, name, nil); err != nil {
			t.Fatal(err)
		}
		if after, _ := disk.Durable(name); !bytes.Equal(after, whole) {
			t.Errorf("tail %q: certain to survive is %q", tail, after)
		}
	}
}

// The disk fills up at every possible byte. Whenever an intent was recorded,
// its outcome must find room.
func TestOutcomeAlwaysFindsRoom(t *testing.T) {
	intent, outcome := json.RawMessage(`{"type":"intended"}`), json.RawMessage(`{"type":"accepted","task":"t-1"}`)
	recorded, refused := 0, 0
	for room := range 300 {
		disk := disktest.New()
		if room%2 == 1 {
			disk.Full = syscall.EDQUOT
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
		disk.Room = journal.ReserveBytes - 20 + room
		err = log.AppendIntent(intent)
		if errors.Is(err, journal.ErrFull) {
			refused++
			if errors.Is(err, journal.ErrDead) {
				t.Fatalf("room %d: %v", room, err)
			}
			disk.Room = -1 // somebody made room
			err = log.AppendIntent(intent)
		} else {
			recorded++
		}
		if err != nil {
			t.Fatalf("room %d: %v", room, err)
		}
		if disk.Room > 0 {
			disk.Room = 0 // somebody took the rest
		}
		if err := log.Append(outcome); err != nil {
			t.Fatalf("room %d: outcome lost: %v", room, err)
		}
		if _, torn, err := journal.Replay(bytes.NewReader(content(disk)), nil); err != nil || torn {
			t.Fatalf("room %d: torn %v, %v", room, torn, err)
		}
		if err := log.AppendIntent(intent); disk.Room >= 0 && !errors.Is(err, journal.ErrFull) {
			t.Fatalf("room %d: an intent without reserve: %v", room, err)
		}
	}
	if recorded == 0 || refused == 0 {
		t.Errorf("%d recorded and %d refused: the range misses a side", recorded, refused)
	}
}

func TestFullDiskWithoutReserveIsDeath(t *testing.T) {
	for _, fault := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		disk := disktest.New()
		log, err := journal.Create(disk, name)
		if err != nil {
			t.Fatal(err)
		}
		disk.Before = only(disktest.Write, fault)
		if err := log.Append(1); !errors.Is(err, journal.ErrDead) || !errors.Is(err, fault) {
			t.Errorf("%v: %v", fault, err)
		}
	}
	// fsync may report it as well, when blocks are allocated late: never undone.
	disk := disktest.New()
	log, err := journal.Create(disk, name)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.AppendIntent(1); err != nil {
		t.Fatal(err)
	}
	disk.Before = only(disktest.Sync, syscall.ENOSPC)
	if err := log.AppendIntent(2); !errors.Is(err, journal.ErrDead) || errors.Is(err, journal.ErrFull) {
		t.Errorf("full disk met by fsync: %v", err)
	}
}

// TestModel compares long random histories, with closes and power cuts in
// them, with a plain list.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		disk := disktest.New()
		log, err := journal.Create(disk, name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		reopen := func(next *disktest.Disk) {
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
			"kill": func(*rapid.T) { reopen(disk.Kill()) },
			"power cut": func(t *rapid.T) {
				reopen(disk.PowerCut(rapid.SampledFrom(disk.Cuts(8)).Draw(t, "cut")))
			},
			"kill in an append": func(t *rapid.T) {
				torn := `{"seq":`[:rapid.IntRange(1, 7).Draw(t, "written")]
				next := disktest.New()
				next.Put(name, append(content(disk), torn...), false)
				reopen(next)
			},
			"": func(t *rapid.T) {
				if got := log.Head().Records; int(got) != len(want)+1 {
					t.Fatalf("head counts %d records, want %d and the header", got, len(want))
				}
			},
		})
	})
}
