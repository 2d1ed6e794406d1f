//go:build !unix

package journal

// noFollow has no counterpart here; [Acquire] looks before it opens.
const noFollow = 0
