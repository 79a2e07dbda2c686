//go:build unix

package run

import (
	"os"
	"syscall"
)

// isOpen reports whether users other than the process's may write to a folder, or change its permissions as its owner.
func isOpen(folder string) bool {
	info, err := os.Stat(folder)
	if err != nil {
		return false
	}
	if info.Mode().Perm()&0o022 != 0 {
		return true
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid()
}

// isShown reports whether users other than a file's owner may read it.
func isShown(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().Perm()&0o077 != 0
}
