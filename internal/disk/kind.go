package disk

import "path/filepath"

// Kind names the file system below a folder, which need not exist yet, as far as it
// matters here: "nfs", "smb", "9p", "fuse", "tmpfs", "overlay", "vfat"; "" for any
// other, and where the system does not tell.
func Kind(name string) string {
	at, err := filepath.Abs(name)
	if err != nil {
		return ""
	}
	return kind(Existing(at))
}

// Existing returns the nearest folder above name, or name itself, that exists.
func Existing(name string) string {
	for !exists(name) && name != filepath.Dir(name) {
		name = filepath.Dir(name)
	}
	return name
}
