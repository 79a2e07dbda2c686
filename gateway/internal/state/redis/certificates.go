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

// certificates are the files that an address names: whom to trust, and who we are. They are read again for each new
// connection, so that certificates which are renewed while the gateway runs need no restart.
type certificates struct {
	ca, cert, key string
	readFile      func(path string) ([]byte, error)
	log           *slog.Logger

	mu      sync.Mutex
	last    *tls.Config // of the files as they could be read last
	problem string      // as it was logged
}

// parseToConnect is parseWith for who connects. The files were read through gateway/internal/files when the configuration
// was checked, so whoever watches it knows them.
func parseToConnect(address string, log *slog.Logger) (*goredis.UniversalOptions, kind, error) {
	return parseWith(address, os.ReadFile, log)
}

// certificatesOf are those of an address. They must be readable; secure says that the address is one of TLS.
func certificatesOf(q url.Values, secure bool, readFile func(string) ([]byte, error), log *slog.Logger) (*certificates, error) {
	if !secure {
		if q.Has("ca") || q.Has("cert") || q.Has("key") {
			return nil, errors.New("the address of Redis names certificates, and does not begin with rediss://")
		}
		return nil, nil
	}
	c := &certificates{ca: q.Get("ca"), cert: q.Get("cert"), key: q.Get("key"), readFile: readFile, log: log}
	config, err := c.read()
	if err != nil {
		return nil, err
	}
	c.last = config
	return c, nil
}

// read reads the files as they are now. Both of a pair are read whatever the other is, so that a change in either is
// noticed by whoever watches what was read.
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

// now are the files as they are now, or as they could be read last: one half of a pair is replaced before the other.
func (c *certificates) now() *tls.Config {
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

// keepAlive is how often an idle connection is probed, as the client does by itself.
const keepAlive = 5 * time.Minute

// dialer connects with the certificates of the moment.
func (c *certificates) dialer(o *goredis.UniversalOptions) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
		defer cancel()
		d := tls.Dialer{NetDialer: &net.Dialer{KeepAlive: keepAlive}, Config: c.now()}
		return d.DialContext(ctx, network, address)
	}
}
