// Package redis parses the address of a Redis and connects to it: for the engine that keeps the gateway's state there, and
// for streams of other programs. An address holds passwords, so no error of this package contains its user, password, hosts or
// the values of its parameters; only its scheme, and the names of parameters and certificate files.
package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Form is how a Redis is run.
type Form int

// The forms that an address can have.
const (
	Single Form = iota
	Sentinel
	Cluster
)

// Address is a parsed address.
type Address struct {
	Form Form
	// Options are what Client connects with. A caller may change them before.
	Options *goredis.UniversalOptions
}

// Parse parses an address to connect to:
//
//	redis://user:password@host:6379/0                                    one Redis; rediss:// with TLS
//	redis://host-1:26379,host-2:26379,host-3:26379/0?sentinel=NAME       the master NAME of these sentinels
//	redis://host-1:6379,host-2:6379?cluster=true                         a Cluster, reached through any of these nodes
//
// Parameters: sentinel_user, sentinel_password; pool (connections for each node), timeout (of one call, 5s); with TLS
// also ca (a file of certificates to trust instead of the system's), cert and key (files of the client's own certificate).
//
// The certificate files are read here and again for each connection. A failure to read them later is written to log.
// They are not read through gateway/internal/files: Check does that when the configuration is loaded, so they are watched.
func Parse(address string, log *slog.Logger) (*Address, error) {
	return parse(address, nil, log)
}

// Check returns what is wrong with an address. It reads the certificate files with readFile.
func Check(address string, readFile func(path string) ([]byte, error)) error {
	_, err := parse(address, readFile, slog.New(slog.DiscardHandler))
	return err
}

// parse parses an address. A nil readFile is os.ReadFile.
func parse(address string, readFile func(path string) ([]byte, error), log *slog.Logger) (*Address, error) {
	u, err := url.Parse(address)
	if err != nil {
		// url.Error repeats its input. Of several hosts with ports, net/url checks the last port only.
		return nil, errors.New("the address of Redis is not a URL")
	}
	o := &goredis.UniversalOptions{
		Protocol: 2, MaxRetries: -1, DialTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		PoolSize: 16, MinIdleConns: 2, ContextTimeoutEnabled: true,
	}
	switch u.Scheme {
	case "redis":
	case "rediss":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	default:
		return nil, fmt.Errorf("the address of Redis begins with %q, want redis:// or rediss://", u.Scheme)
	}
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	q := u.Query()
	form, err := parseForm(q, o)
	if err != nil {
		return nil, err
	}
	if err := parseHosts(u.Host, form, o); err != nil {
		return nil, err
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		if o.DB, err = strconv.Atoi(path); err != nil || o.DB < 0 {
			return nil, errors.New("the database in the address of Redis is not a number")
		}
		if form == Cluster && o.DB != 0 {
			return nil, errors.New("a Redis Cluster has database 0 only")
		}
	}
	if err := parseLimits(q, o); err != nil {
		return nil, err
	}
	certificates, err := newCertificates(q, o.TLSConfig != nil, readFile, log)
	if err != nil {
		return nil, err
	}
	if certificates != nil {
		o.Dialer = certificates.dialer(o)
	}
	if err := checkParameters(u.RawQuery, q); err != nil {
		return nil, err
	}
	return &Address{Form: form, Options: o}, nil
}

func parseForm(q url.Values, o *goredis.UniversalOptions) (Form, error) {
	switch {
	case q.Get("sentinel") != "" && q.Get("cluster") != "":
		return 0, errors.New("the address of Redis names a sentinel and a cluster, want one of them")
	case q.Get("sentinel") != "":
		o.MasterName = q.Get("sentinel")
		o.SentinelUsername, o.SentinelPassword = q.Get("sentinel_user"), q.Get("sentinel_password")
		return Sentinel, nil
	case q.Get("cluster") == "true":
		o.IsClusterMode = true
		return Cluster, nil
	case q.Get("cluster") != "" && q.Get("cluster") != "false":
		return 0, errors.New("cluster in the address of Redis is neither true nor false")
	}
	return Single, nil
}

func parseHosts(hosts string, form Form, o *goredis.UniversalOptions) error {
	port := "6379"
	if form == Sentinel {
		port = "26379"
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			return errors.New("the address of Redis names no host")
		}
		if !hasPort(host) {
			host += ":" + port
		} else if _, port, _ := net.SplitHostPort(host); !isPort(port) {
			return errors.New("a port in the address of Redis is not a number from 1 to 65535")
		}
		o.Addrs = append(o.Addrs, host)
	}
	if len(o.Addrs) > 1 && form == Single {
		return errors.New("the address of Redis names several hosts: add ?cluster=true, or ?sentinel= and the master's name")
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func hasPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	return i >= 0 && !strings.Contains(host[i:], "]")
}

func parseLimits(q url.Values, o *goredis.UniversalOptions) (err error) {
	if v := q.Get("pool"); v != "" {
		if o.PoolSize, err = strconv.Atoi(v); err != nil || o.PoolSize < 4 {
			return errors.New("pool in the address of Redis is not a number of at least 4")
		}
	}
	if v := q.Get("timeout"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return errors.New("timeout in the address of Redis is not a duration")
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout = d, d, d
	}
	return nil
}

func checkParameters(raw string, q url.Values) error {
	for name := range q {
		switch name {
		case "sentinel", "cluster", "sentinel_user", "sentinel_password", "pool", "timeout", "ca", "cert", "key":
		default:
			if strings.Contains(raw, "@") {
				return errors.New("the address of Redis has a password with a question mark: write it as %3F")
			}
			return fmt.Errorf("the address of Redis has an unknown parameter %q", name)
		}
	}
	return nil
}
