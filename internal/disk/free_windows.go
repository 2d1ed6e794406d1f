package disk

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

func free(path string) (int64, bool) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, false
	}
	var mine, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &mine, &total, &all); err != nil {
		return 0, false
	}
	return int64(mine), true
}

// kind tells only what is not on this machine.
func kind(path string) string {
	name, err := windows.UTF16PtrFromString(filepath.VolumeName(path) + `\`)
	if err == nil && windows.GetDriveType(name) == windows.DRIVE_REMOTE {
		return "smb"
	}
	return ""
}
