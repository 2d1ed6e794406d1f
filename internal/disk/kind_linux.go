package disk

import "syscall"

// kind goes by the magic numbers of statfs(2).
func kind(path string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(path, &s); err != nil {
		return ""
	}
	return map[uint32]string{
		0x6969: "nfs", 0x517b: "smb", 0xfe534d42: "smb", 0xff534d42: "smb", 0x01021997: "9p", 0x65735546: "fuse",
		0x01021994: "tmpfs", 0x858458f6: "tmpfs", 0x794c7630: "overlay", 0x4d44: "vfat", 0x2011bab0: "vfat",
	}[uint32(s.Type)]
}
