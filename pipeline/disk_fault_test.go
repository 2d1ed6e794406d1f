package pipeline

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wanbatch/wanbatch/internal/disk/disktest"
)

// A diskFault makes the k-th operation of a kind fail, or all from there on.
type diskFault struct {
	kind    disktest.Kind
	k       int
	lasting bool
	err     error
}

func (f diskFault) String() string {
	return fmt.Sprintf("%s number %d: %v, lasting %v", f.kind, f.k, f.err, f.lasting)
}

// armed returns the fault as a disk asks for it, and whether it struck.
func (f diskFault) armed() (fault func(disktest.Op) error, struck *bool) {
	seen := 0
	struck = new(bool)
	return func(op disktest.Op) error {
		if op.Kind != f.kind {
			return nil
		}
		if seen++; seen == f.k || f.lasting && seen > f.k {
			*struck = true
			return f.err
		}
		return nil
	}, struck
}

// play tells the story on a disk with a fault, and then again on a sound one.
func (f diskFault) play(t *testing.T, s scenario, p *Plan, want string) (struck bool) {
	synctest.Test(t, func(t *testing.T) {
		w := s.newWorld(t, p)
		defer w.provider.Close()
		fault, hit := f.armed()
		w.fault = fault
		err := s.tell(w, p)
		struck = *hit
		_, report := w.read()
		w.wantTrueBill(f.String(), report)
		if err == nil && canonical(report) != want {
			t.Errorf("%v: no error, but the outcome\n%s", f, canonical(report))
		}
		if sins := w.disk.Sins(); sins != nil {
			t.Errorf("%v: %v", f, sins)
		}
		// What a failed sync left in the kernel's memory is a lie (see the journal's
		// BUG notes); only a machine that starts anew sees the truth.
		next := w.disk.Kill()
		if w.sealed {
			next = w.disk.PowerCut(w.disk.Cuts(0)[0])
		}
		w.disk, w.fault, w.sealed = next, nil, false
		time.Sleep(time.Minute)
		var l life
		s.finish(w, p, &l, nil)
		if l.outcome != want {
			t.Errorf("%v: on a sound disk again, want\n%sgot\n%s", f, want, l.outcome)
		}
	})
	return struck
}

// Every operation of every kind fails in turn, once or from then on. The run ends
// safely or goes on: never two live tasks, no create after a failed sync of the
// journal, no sync tried again; and once the disk is sound the story comes to its
// usual end.
func TestEveryDiskFault(t *testing.T) {
	kinds := []disktest.Kind{disktest.Open, disktest.Create, disktest.Read, disktest.Write, disktest.Truncate, disktest.Sync,
		disktest.Close, disktest.Mkdir, disktest.Remove, disktest.Rename, disktest.SyncDir}
	for _, name := range []string{"one job", "reply lost: adopted", "download cut and resumed"} {
		all := scenarios()
		s := all[slices.IndexFunc(all, func(s scenario) bool { return s.name == name })]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := s.plans(t)
			want := (&explorer{scenario: s, plan: p}).play(t, nil, 0, nil).outcome
			faults := 0
			for _, kind := range kinds {
				for _, err := range []error{syscall.EIO, syscall.ENOSPC, disktest.Half{Err: syscall.EDQUOT}} {
					if _, half := err.(disktest.Half); half && kind != disktest.Write {
						continue
					}
					for _, lasting := range []bool{false, true} {
						step := 1
						if testing.Short() || raceEnabled {
							step = 7
						}
						for k := 1; (diskFault{kind, k, lasting, err}).play(t, s, p, want); k += step {
							faults++
						}
						if t.Failed() {
							return
						}
					}
				}
			}
			t.Logf("%d faults", faults)
		})
	}
}
