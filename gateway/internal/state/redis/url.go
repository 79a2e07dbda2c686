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

// kind is how Redis is run.
type kind int

const (
	single kind = iota
	sentinel
	cluster
)

// parse is parseToConnect without a log.
func parse(address string) (*goredis.UniversalOptions, kind, error) {
	return parseToConnect(address, slog.New(slog.DiscardHandler))
}

// parseWith reads an address:
//
//	redis://user:password@host:6379/0                                    one Redis; rediss:// with TLS
//	redis://host-1:26379,host-2:26379,host-3:26379/0?sentinel=NAME       the master NAME of these sentinels
//	redis://host-1:6379,host-2:6379?cluster=true                         a Cluster that any of these leads to
//
// Parameters: sentinel_user, sentinel_password; pool (connections for each node), timeout (of one call, 5s); with TLS
// also ca (a file of certificates to trust instead of the system's), cert and key (files of our own certificate).
// Nothing of the address is in an error, as it holds a password. Files are read by readFile; log hears of certificates
// that cannot be read later on.
func parseWith(address string, readFile func(path string) ([]byte, error), log *slog.Logger) (*goredis.UniversalOptions, kind, error) {
	u, err := url.Parse(address)
	if err != nil {
		// url.Error repeats its input. Several hosts with ports are refused by no check of net/url but the last port's.
		return nil, 0, errors.New("the address of Redis is not a URL")
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
		return nil, 0, fmt.Errorf("the address of Redis begins with %q, want redis:// or rediss://", u.Scheme)
	}
	if u.User != nil {
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	q := u.Query()
	k := single
	switch {
	case q.Get("sentinel") != "" && q.Get("cluster") != "":
		return nil, 0, errors.New("the address of Redis names a sentinel and a cluster, want one of them")
	case q.Get("sentinel") != "":
		k, o.MasterName = sentinel, q.Get("sentinel")
		o.SentinelUsername, o.SentinelPassword = q.Get("sentinel_user"), q.Get("sentinel_password")
	case q.Get("cluster") == "true":
		k, o.IsClusterMode = cluster, true
	case q.Get("cluster") != "" && q.Get("cluster") != "false":
		return nil, 0, errors.New("cluster in the address of Redis is neither true nor false")
	}
	for host := range strings.SplitSeq(u.Host, ",") {
		if host == "" {
			return nil, 0, errors.New("the address of Redis names no host")
		}
		if !hasPort(host) {
			host += map[bool]string{true: ":26379", false: ":6379"}[k == sentinel]
		} else if _, port, _ := net.SplitHostPort(host); !isPort(port) {
			return nil, 0, errors.New("a port in the address of Redis is not a number from 1 to 65535")
		}
		o.Addrs = append(o.Addrs, host)
	}
	if len(o.Addrs) > 1 && k == single {
		return nil, 0, errors.New("the address of Redis names several hosts: add ?cluster=true, or ?sentinel= and the master's name")
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		if o.DB, err = strconv.Atoi(path); err != nil || o.DB < 0 {
			return nil, 0, errors.New("the database in the address of Redis is not a number")
		}
		if k == cluster && o.DB != 0 {
			return nil, 0, errors.New("a Redis Cluster has database 0 only")
		}
	}
	if v := q.Get("pool"); v != "" {
		if o.PoolSize, err = strconv.Atoi(v); err != nil || o.PoolSize < 4 {
			return nil, 0, errors.New("pool in the address of Redis is not a number of at least 4")
		}
	}
	if v := q.Get("timeout"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return nil, 0, errors.New("timeout in the address of Redis is not a duration")
		}
		o.DialTimeout, o.ReadTimeout, o.WriteTimeout = d, d, d
	}
	certificates, err := certificatesOf(q, o.TLSConfig != nil, readFile, log)
	if err != nil {
		return nil, 0, err
	}
	if certificates != nil {
		o.Dialer = certificates.dialer(o)
	}
	for name := range q {
		switch name {
		case "sentinel", "cluster", "sentinel_user", "sentinel_password", "pool", "timeout", "ca", "cert", "key":
		default:
			if strings.Contains(u.RawQuery, "@") {
				return nil, 0, errors.New("the address of Redis has a password with a question mark: write it as %3F")
			}
			return nil, 0, fmt.Errorf("the address of Redis has an unknown parameter %q", name)
		}
	}
	return o, k, nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func hasPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	return i >= 0 && !strings.Contains(host[i:], "]")
}
