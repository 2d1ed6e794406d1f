package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible gives a run its two ways to end early. The first Ctrl-C, SIGTERM or
// SIGHUP closes stop; the second Ctrl-C or SIGTERM cancels the context. Both are safe
// at any point. told is called when stop closes, and at the first Ctrl-C or SIGTERM
// after a SIGHUP; hangup says which of both it was. release gives the signals back and
// waits for the goroutine that listens.
//
// SIGHUP is a terminal that went away. The kernel, the shell and others may all send it:
// said again, it hurries nothing. Who ignores it, as nohup does, is not stopped.
//
// Until the program ends, a write whose reader is gone is an error and not its death: a
// create on its way needs somebody who waits for its answer.
func interruptible(ctx context.Context, told func(hangup bool)) (_ context.Context, stop <-chan struct{}, release func()) {
	signals, hangups := make(chan os.Signal, 2), make(chan os.Signal, 1)
	signal.Ignore(syscall.SIGPIPE)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(hangups, syscall.SIGHUP)
	}
	ctx, cancel := context.WithCancel(ctx)
	stopping, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		asked, hungUp := false, false
		for {
			select {
			case <-hangups:
				signal.Ignore(syscall.SIGHUP) // also while the end is told
				if !hungUp && !asked {
					close(stopping)
					told(true)
				}
				hungUp = true
			case <-signals:
				if asked {
					cancel()
					return
				}
				asked = true
				if !hungUp {
					close(stopping)
				}
				told(false)
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, stopping, func() {
		signal.Stop(signals)
		signal.Stop(hangups)
		cancel()
		<-done
	}
}
