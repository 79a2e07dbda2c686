package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// certificates are the files that an address names: the authorities to trust, and the client's certificate with its key.
// They are read again for each new connection, so renewed certificates need no restart.
type certificates struct {
	ca, cert, key string
	readFile      func(path string) ([]byte, error)
	log           *slog.Logger

	mu      sync.Mutex
	last    *tls.Config // from the last successful read
	problem string      // the last error that was logged; empty after a successful read
}

// newCertificates reads the certificates of an address once, to refuse bad ones. It returns nil for an address without TLS.
// A nil readFile is os.ReadFile.
func newCertificates(q url.Values, secure bool, readFile func(string) ([]byte, error), log *slog.Logger) (*certificates, error) {
	if !secure {
		if q.Has("ca") || q.Has("cert") || q.Has("key") {
			return nil, errors.New("the address of Redis names certificates, and does not begin with rediss://")
		}
		return nil, nil
	}
	if readFile == nil {
		readFile = os.ReadFile
	}
	c := &certificates{ca: q.Get("ca"), cert: q.Get("cert"), key: q.Get("key"), readFile: readFile, log: log}
	config, err := c.read()
	if err != nil {
		return nil, err
	}
	c.last = config
	return c, nil
}

// read reads the files. It reads both files of a pair even if one is bad, so that both are watched.
func (c *certificates) read() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.ca != "" {
		text, err := c.readFile(c.ca)
		if err != nil {
			return nil, fmt.Errorf("ca in the address of Redis: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca in the address of Redis: %s has no certificate in PEM", c.ca)
		}
	}
	if c.cert != "" || c.key != "" {
		cert, err := c.readFile(c.cert)
		key, errKey := c.readFile(c.key)
		if err = errors.Join(err, errKey); err != nil {
			return nil, fmt.Errorf("cert and key in the address of Redis: %w", err)
		}
		own, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert and key in the address of Redis: %w", err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

// current reads the files and falls back to the last good ones: during a renewal, certificate and key may not match.
func (c *certificates) current() *tls.Config {
	config, err := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.last, c.problem = config, ""
		return config
	}
	if text := err.Error(); text != c.problem {
		c.problem = text
		c.log.Error("the certificates for Redis cannot be used, those read before stay in use", "err", err)
	}
	return c.last
}

// keepAlive is the probe interval of idle connections; the same as the client's default.
const keepAlive = 5 * time.Minute

// dialer returns a function that connects with the current certificates.
func (c *certificates) dialer(o *goredis.UniversalOptions) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
		defer cancel()
		d := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: keepAlive}, Config: c.current()}
		return d.DialContext(ctx, network, address)
	}
}
