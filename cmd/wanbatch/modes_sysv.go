//go:build aix || linux || solaris

package main

import posix "golang.org/x/sys/unix"

// Requests for the modes of a terminal.
const (
	getModes = posix.TCGETS
	setModes = posix.TCSETS
)
