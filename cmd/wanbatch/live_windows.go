package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// resumeSignals never tells anything: there is no Ctrl-Z.
func resumeSignals() (resumed <-chan os.Signal, ignore func()) { return nil, func() {} }

// muteTerminal does nothing: a console shows what is typed only to a program that reads it.
func muteTerminal(*os.File) (restore func()) { return func() {} }

// supportsEscapes asks a console to understand escape sequences, and reports whether it will.
func supportsEscapes(f *os.File) bool {
	var mode uint32
	console := windows.Handle(f.Fd())
	if windows.GetConsoleMode(console, &mode) != nil {
		return true // a terminal of Cygwin
	}
	return windows.SetConsoleMode(console, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
