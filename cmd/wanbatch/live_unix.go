//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// resumptions tells when the program goes on after Ctrl-Z.
func resumptions() (resumed <-chan os.Signal, ignore func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCONT)
	return signals, func() { signal.Stop(signals) }
}

// obeys reports whether a terminal understands escape sequences.
func obeys(*os.File) bool { return true }
