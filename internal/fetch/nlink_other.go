//go:build !unix

package fetch

import "io/fs"

// linked reports whether a file has a second name somewhere; here it cannot be
// told.
func linked(fs.FileInfo) bool { return false }
