//go:build !unix

package command

// umask does nothing: new files have the permissions of their folder.
func umask() {}
