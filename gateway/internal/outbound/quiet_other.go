//go:build !unix

package outbound

// peek is not available on this system.
type peek struct{}

// quiet reports true, because this system cannot read ahead.
func (c *conn) quiet() bool { return true }
