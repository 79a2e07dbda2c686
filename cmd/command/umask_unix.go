//go:build unix

package command

import "syscall"

// umask denies other users access to files that the process creates.
func umask() { syscall.Umask(0o077) }
