//go:build !unix

package gateway

// Umask does nothing: new files have the permissions of their folder.
func Umask() {}

// isOpen is not known here.
func isOpen(string) bool { return false }
