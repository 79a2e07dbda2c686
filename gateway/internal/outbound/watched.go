package outbound

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// watched is an HTTP/1.1 connection of net/http. It keeps the beginning of the answer, because net/http does not return the
// status of a faulty head, and silently corrects framing.
type watched struct {
	net.Conn

	mu     sync.Mutex
	answer []byte // the first HeaderCap bytes of the current answer
}

func (c *watched) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.mu.Lock()
		c.answer = append(c.answer, b[:min(n, HeaderCap-len(c.answer))]...)
		c.mu.Unlock()
	}
	return n, err
}

// begin is called before each request. It closes a connection whose last answer was faulty; net/http then makes another
// one, since nothing of the request was written.
func (c *watched) begin() {
	if c.fault() != "" {
		_ = c.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = c.answer[:0]
}

// head returns the head of the final answer, or the part of it that arrived.
func (c *watched) head() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.answer
	for {
		end := headEnd(rest)
		if status, _ := cutStatus(rest); end == 0 || status < 100 || status > 199 {
			if end > 0 {
				rest = rest[:end]
			}
			return append([]byte(nil), rest...)
		}
		rest = rest[end:]
	}
}

// fault returns the framing fault of an answer that net/http accepted; "" without one.
func (c *watched) fault() string {
	switch lengths, coded := framingOf(c.head()); {
	case len(lengths) == 0:
		return ""
	case coded:
		return faultBoth
	default:
		_, fault := agreed(lengths)
		return fault
	}
}

// dialContext makes a connection.
type dialContext func(ctx context.Context, network, address string) (net.Conn, error)

// plain dials without TLS and watches the connection.
func (dial dialContext) plain(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watched{Conn: nc}, nil
}

// secure dials with TLS, and watches connections that do not speak HTTP/2.
func (dial dialContext) secure(config *tls.Config) dialContext {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		tc, auth, err := handshake(ctx, nc, config, host, ConnectTimeout, "h2", "http/1.1")
		if err != nil {
			return nil, err
		}
		if t, ok := ctx.Value(forTrace{}).(*trace); ok {
			t.auth.Store(uint32(auth))
		}
		if tc.ConnectionState().NegotiatedProtocol == "h2" {
			return tc, nil
		}
		return &watched{Conn: tc}, nil
	}
}
