//go:build !unix

package command

import "os"

// columnsOf returns 0: the terminal is not asked how many columns it has.
func columnsOf(*os.File) int { return 0 }
