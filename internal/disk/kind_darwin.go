package disk

import "syscall"

func kind(path string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return ""
	}
	var name []byte
	for _, c := range s.Fstypename {
		if c == 0 {
			break
		}
		name = append(name, byte(c))
	}
	return map[string]string{"nfs": "nfs", "smbfs": "smb", "macfuse": "fuse", "osxfuse": "fuse", "tmpfs": "tmpfs", "msdos": "vfat", "exfat": "vfat"}[string(name)]
}
