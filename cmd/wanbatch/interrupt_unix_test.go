//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// Only a person, or who sends SIGTERM, may hurry a run, and only with the second word.
func TestInterruptible(t *testing.T) {
	const hup, term = syscall.SIGHUP, syscall.SIGTERM
	for _, tt := range []struct {
		name  string
		sends []syscall.Signal
		told  []bool // each time: was it a hangup?
		ends  bool
	}{
		{"once", []syscall.Signal{term}, []bool{false}, false},
		{"twice", []syscall.Signal{term, syscall.SIGINT}, []bool{false}, true},
		{"hangup", []syscall.Signal{hup}, []bool{true}, false},
		{"session ends", []syscall.Signal{hup, hup, term, hup}, []bool{true, false}, false},
		{"session ends, and twice", []syscall.Signal{hup, hup, term, hup, term}, []bool{true, false}, true},
		{"hangup last", []syscall.Signal{term, hup}, []bool{false}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			handled := make(chan os.Signal, 8)
			signal.Notify(handled, hup, term, syscall.SIGINT) // not ignored, whoever started the test
			defer signal.Stop(handled)
			told := make(chan bool, 8)
			ctx, stop, release := interruptible(context.Background(), func(hangup bool) { told <- hangup })
			var heard []bool
			for _, s := range tt.sends {
				if err := syscall.Kill(os.Getpid(), s); err != nil {
					t.Fatal(err)
				}
				if s != hup || len(heard) == 0 { // the others may be dropped
					select {
					case hangup := <-told:
						heard = append(heard, hangup)
					case <-ctx.Done():
					}
					<-stop
				}
			}
			if ended := ctx.Err() != nil; ended != tt.ends {
				t.Errorf("ended %v, want %v", ended, tt.ends)
			}
			release()
			signal.Notify(handled, hup, syscall.SIGPIPE) // no longer ignored
			if len(heard) != len(tt.told) || len(told) > 0 {
				t.Fatalf("told %v and %d more, want %v", heard, len(told), tt.told)
			}
			for i := range heard {
				if heard[i] != tt.told[i] {
					t.Errorf("told %v, want %v", heard, tt.told)
				}
			}
		})
	}
}
