//go:build unix

package command

import (
	"os"

	"golang.org/x/sys/unix"
)

// columnsOf returns how many columns a terminal has now; 0 if it does not say.
func columnsOf(terminal *os.File) int {
	size, err := unix.IoctlGetWinsize(int(terminal.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
