package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruptible gives a run its two ways to end early. The first Ctrl-C or
// SIGTERM closes stop and calls first; the next one cancels the context. Both are
// safe at any point. release gives the signals back and waits for the goroutine
// that listens.
func interruptible(ctx context.Context, first func()) (_ context.Context, stop <-chan struct{}, release func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	stopping, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-signals:
			close(stopping)
			first()
		case <-ctx.Done():
			return
		}
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, stopping, func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}
