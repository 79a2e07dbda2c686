//go:build !unix

package outbound

// peek is not available on this system.
type peek struct{}

// quiet cannot look ahead on this system.
func (c *conn) quiet() bool { return true }
