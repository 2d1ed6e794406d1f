//go:build unix

package fetch

import (
	"io/fs"
	"syscall"
)

// linked reports whether a file has a second name somewhere.
func linked(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink > 1
}
