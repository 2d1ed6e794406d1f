//go:build unix

package disk_test

import (
	"os"
	"syscall"
)

// plants are what somebody may have put under a name, beside a file "victim".
func plants() map[string]func(at string) error {
	return map[string]func(at string) error{
		"link":          func(at string) error { return os.Symlink("victim", at) },
		"dangling link": func(at string) error { return os.Symlink("nowhere", at) },
		"link outside":  func(at string) error { return os.Symlink("/etc/passwd", at) },
		"folder":        func(at string) error { return os.Mkdir(at, 0o700) },
		"fifo":          func(at string) error { return syscall.Mkfifo(at, 0o600) },
	}
}
