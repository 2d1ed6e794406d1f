//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	posix "golang.org/x/sys/unix"
)

// resumeSignals tells when the program goes on after Ctrl-Z.
func resumeSignals() (resumed <-chan os.Signal, ignore func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCONT)
	return signals, func() { signal.Stop(signals) }
}

// supportsEscapes reports whether a terminal understands escape sequences.
func supportsEscapes(*os.File) bool { return true }

// muteTerminal keeps a terminal from changing its picture by itself until restore is
// called. What a person types is not shown: Enter would move the panel. And Ctrl-C
// does not discard what is on its way to the screen, which counts as drawn.
func muteTerminal(tty *os.File) (restore func()) {
	fd := int(tty.Fd())
	before, err := posix.IoctlGetTermios(fd, getModes)
	if err != nil || !inForeground(fd) {
		return func() {}
	}
	modes := *before
	modes.Lflag = modes.Lflag&^posix.ECHO | posix.NOFLSH
	_ = posix.IoctlSetTermios(fd, setModes, &modes) // a terminal that refuses is as it was
	return func() {
		if inForeground(fd) {
			_ = posix.IoctlSetTermios(fd, setModes, before)
		}
	}
}

// inForeground reports whether this program is in the foreground. One that is not would be
// stopped if it touched the terminal.
func inForeground(fd int) bool {
	group, err := posix.IoctlGetInt(fd, posix.TIOCGPGRP)
	return err == nil && group == posix.Getpgrp()
}
