//go:build !unix

package disk_test

import "os"

func plants() map[string]func(at string) error {
	return map[string]func(at string) error{
		"link":   func(at string) error { return os.Symlink("victim", at) },
		"folder": func(at string) error { return os.Mkdir(at, 0o700) },
	}
}
