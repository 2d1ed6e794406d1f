//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package main

import posix "golang.org/x/sys/unix"

// Requests for the modes of a terminal.
const (
	getModes = posix.TIOCGETA
	setModes = posix.TIOCSETA
)
