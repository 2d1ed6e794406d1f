//go:build !linux && !darwin && !windows

package disk

func kind(string) string { return "" }
