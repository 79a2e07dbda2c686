//go:build unix

package command

import "syscall"

// umask keeps all others of the machine from files that the process makes from now on.
func umask() { syscall.Umask(0o077) }
