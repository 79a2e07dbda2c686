//go:build !unix

package run

// isOpen cannot tell on this system.
func isOpen(string) bool { return false }

// isShown cannot tell on this system.
func isShown(string) bool { return false }
