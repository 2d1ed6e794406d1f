package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/wanbatch/wanbatch/internal/emulator"
)

// emulatorServer is an emulator that listens on a loopback port. It owns the goroutine
// that serves; close ends both.
type emulatorServer struct {
	url    string // base URL, without a path
	emu    *emulator.Server
	server *http.Server
	done   chan error
}

// startEmulatorServer starts an emulator at a loopback address; port 0 takes a free one.
func startEmulatorServer(ctx context.Context, address string, opt emulator.Options) (*emulatorServer, error) {
	if err := loopbackOnly(address); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("start the emulator: %w", err)
	}
	s := &emulatorServer{url: "http://" + listener.Addr().String(), emu: emulator.New(opt), done: make(chan error, 1)}
	s.server = &http.Server{Handler: s.emu, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { s.done <- s.server.Serve(listener) }()
	return s, nil
}

// close stops at once: faults may keep connections open for ever.
func (s *emulatorServer) close() error {
	s.emu.Close()
	err := s.server.Close()
	if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// loopbackOnly refuses an address that other machines can reach: the emulator
// reads local files on request.
func loopbackOnly(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("--listen %q is not of the form 127.0.0.1:8080", address)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usagef("--listen %s: the emulator listens on loopback only, such as 127.0.0.1:0", address)
	}
	return nil
}
