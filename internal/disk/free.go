package disk

import "path/filepath"

// Free returns how many bytes this user may still write below a folder, which need
// not exist yet; false if the system does not tell.
func Free(name string) (int64, bool) {
	at, err := filepath.Abs(name)
	if err != nil {
		return 0, false
	}
	return free(Existing(at))
}
