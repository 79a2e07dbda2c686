//go:build unix

package run

import (
	"fmt"
	"syscall"
)

// descriptorLimit is how many file descriptors the process may have. Go has raised it to what the system allows.
func descriptorLimit() (int, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, fmt.Errorf("find out how many files may be open: %w", err)
	}
	return int(min(r.Cur, mostDescriptors)), nil
}
