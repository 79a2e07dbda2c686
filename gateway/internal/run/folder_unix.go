//go:build unix

package run

import (
	"os"
	"syscall"
)

// isOpen says that others than its owner may write to a folder, or that somebody else owns it, whose permissions are then
// his to change.
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
