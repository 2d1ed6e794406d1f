package dashscope

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// form is the body of an upload. A transport may read it from a goroutine of
// its own that outlives the request, so it can be cut off from its source.
type form struct {
	contentType string
	length      int64  // of the whole body
	moved       func() // called after each 64 KiB that were taken, and at the end

	mu     sync.Mutex // guards everything below
	parts  io.Reader  // head, file, tail
	source io.Reader  // nil once detached
	left   int64      // bytes of the file that are still to come
	passed int
	crc    hash.Hash64
	err    error // of the source
}

// Read gives the next bytes of the form.
func (f *form) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.parts.Read(b)
	if f.passed += n; f.passed >= stallMinimum || err == io.EOF {
		f.passed = 0
		f.moved()
	}
	return n, err
}

// file gives the next bytes of the source, exactly as many as were announced.
func (f *form) file(b []byte) (int, error) {
	switch {
	case f.source == nil:
		return 0, errors.New("upload is over")
	case f.left == 0:
		return 0, io.EOF
	}
	n, err := f.source.Read(b[:min(int64(len(b)), f.left)])
	f.left -= int64(n)
	_, _ = f.crc.Write(b[:n]) // a hash takes everything
	if err == io.EOF {
		err = nil
		if f.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		f.err = fmt.Errorf("%w: %w", ErrSource, err)
	}
	return n, f.err
}

// Close does nothing: the source belongs to the caller.
func (f *form) Close() error { return nil }

// detach waits until nobody reads the source, and lets nobody read it again.
func (f *form) detach() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.source = nil
}

// failure is what went wrong with the source.
func (f *form) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// sum is the CRC-64 of the file, and whether all of it was taken.
func (f *form) sum() (uint64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crc.Sum64(), f.left == 0
}
