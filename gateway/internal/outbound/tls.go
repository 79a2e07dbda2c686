package outbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// ClientTLS is a destination's own TLS: authorities trusted beside the common ones, and the certificate shown to the
// receiver. It is immutable; nil has neither.
type ClientTLS struct {
	// id is a hash that identifies the settings.
	id          string
	authorities []*x509.Certificate
	certificate *tls.Certificate
}

// TLSError is a fault of one of the settings `ca`, `cert` and `key` with its remedy. It repeats nothing of their content.
type TLSError struct{ Setting, Message, Remedy string }

func (e *TLSError) Error() string { return e.Message + ": " + e.Remedy }

// NewClientTLS reads PEM: authorities, a certificate with those between it and its authority, and its key. Each may be empty, but
// not one of certificate and key alone. The error is a *TLSError.
func NewClientTLS(ca, cert, key []byte, now time.Time) (*ClientTLS, error) {
	t := &ClientTLS{}
	sum := sha256.New()
	for _, text := range [][]byte{ca, cert, key} {
		_, _ = fmt.Fprintf(sum, "%d ", len(text)) // a hash takes everything
		_, _ = sum.Write(text)
	}
	t.id = hex.EncodeToString(sum.Sum(nil))
	if len(ca) > 0 {
		authorities, err := Authorities(ca, now)
		if err != nil {
			return nil, err
		}
		t.authorities = authorities
	}
	switch {
	case len(cert) == 0 && len(key) == 0:
		return t, nil
	case len(key) == 0:
		return nil, &TLSError{"key", "`cert` has no `key` beside it", "add the certificate's private key"}
	case len(cert) == 0:
		return nil, &TLSError{"cert", "`key` has no `cert` beside it", "add the certificate that the key belongs to"}
	}
	chain, err := certificates("cert", cert)
	if err != nil {
		return nil, err
	}
	if err := inTime("cert", chain[0], now); err != nil {
		return nil, err
	}
	if err := isKey(key); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // its text may repeat the key
		return nil, &TLSError{"key", "`key` does not belong to the certificate in `cert`", "write the key that the certificate was made for"}
	}
	t.certificate = &pair
	return t, nil
}

// Authorities reads the certificates of authorities. The error is a *TLSError about `ca`.
func Authorities(ca []byte, now time.Time) ([]*x509.Certificate, error) {
	all, err := certificates("ca", ca)
	if err != nil {
		return nil, err
	}
	valid := false
	for _, c := range all { // a bundle may hold old ones beside new ones
		valid = valid || inTime("ca", c, now) == nil
	}
	if !valid {
		return nil, inTime("ca", all[0], now)
	}
	return all, nil
}

func certificates(setting string, text []byte) (all []*x509.Certificate, err error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &TLSError{setting, "`" + setting + "` holds a certificate that cannot be read", "write it as it was issued, in PEM"}
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		message := "`" + setting + "` is not PEM"
		if bytes.Contains(text, []byte("-----BEGIN")) {
			message = "`" + setting + "` holds no certificate"
		}
		return nil, &TLSError{setting, message, "write a certificate that begins with -----BEGIN CERTIFICATE-----, or the path of its file"}
	}
	return all, nil
}

func isKey(text []byte) error {
	encrypted, other := false, false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.Contains(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			encrypted = true
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil
		default:
			other = true
		}
	}
	switch {
	case encrypted:
		return &TLSError{"key", "`key` is protected by a passphrase", "write the key without one, and protect its file instead"}
	case other:
		return &TLSError{"key", "`key` holds no private key", "write one that begins with -----BEGIN PRIVATE KEY-----, or the path of its file"}
	}
	return &TLSError{"key", "`key` is not PEM", "write one that begins with -----BEGIN PRIVATE KEY-----, or the path of its file"}
}

func inTime(setting string, c *x509.Certificate, now time.Time) error {
	switch {
	case now.After(c.NotAfter):
		return &TLSError{setting, fmt.Sprintf("the certificate in `%s` expired on %s", setting, c.NotAfter.Format(time.DateOnly)), "replace it by a new one"}
	case now.Before(c.NotBefore):
		return &TLSError{setting, fmt.Sprintf("the certificate in `%s` is valid from %s on only", setting, c.NotBefore.Format(time.DateOnly)), "use it then, or check the clock of this machine"}
	}
	return nil
}

// Expires returns when the certificate ends to be valid; zero without one.
func (t *ClientTLS) Expires() time.Time {
	if t.certificate == nil {
		return time.Time{}
	}
	return t.certificate.Leaf.NotAfter
}

// Fingerprint identifies the settings; "" for nil.
func (t *ClientTLS) Fingerprint() string {
	if t == nil {
		return ""
	}
	return t.id
}

// identity holds what the connections of one destination with its own TLS are made with. Destinations share neither
// connections nor sessions, even with equal settings: a receiver resumes a session as that of the certificate that began
// it.
type identity struct {
	id     string
	config *tls.Config
	used   time.Time // last; guarded by the mu of its identities

	mu      sync.Mutex
	clients [2][2]*http.Transport // of std, made when they are first used
}

// identities are the identities under one policy.
type identities struct {
	mu            sync.Mutex
	byDestination map[string]*identity
}

// identityUnusedFor is how long an identity stays that no request uses, as that of a destination that was removed.
const identityUnusedFor = time.Hour

// find returns a destination's identity, and replaces it if a reload changed its TLS.
func (ids *identities) find(a *Attempt, base *tls.Config) *identity {
	now := wall.Now()
	ids.mu.Lock()
	defer ids.mu.Unlock()
	old := ids.byDestination[a.owner()]
	if old != nil && old.id == a.TLS.id {
		old.used = now
		return old
	}
	if old != nil {
		old.close()
	}
	ids.prune(now)
	config := base.Clone()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	if len(a.TLS.authorities) > 0 {
		config.RootCAs = withAuthorities(base.RootCAs, a.TLS.authorities)
	}
	if a.TLS.certificate != nil {
		config.Certificates = []tls.Certificate{*a.TLS.certificate}
	}
	if ids.byDestination == nil {
		ids.byDestination = map[string]*identity{}
	}
	made := &identity{id: a.TLS.id, config: config, used: now}
	ids.byDestination[a.owner()] = made
	return made
}

// prune removes identities that no request uses any more. ids.mu is held.
func (ids *identities) prune(now time.Time) {
	for owner, i := range ids.byDestination {
		if now.Sub(i.used) >= identityUnusedFor {
			i.close()
			delete(ids.byDestination, owner)
		}
	}
}

func (ids *identities) close() {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	for _, i := range ids.byDestination {
		i.close()
	}
}

func (i *identity) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, byPlain := range i.clients {
		for _, c := range byPlain {
			if c != nil {
				c.CloseIdleConnections()
			}
		}
	}
}

// client returns the client for a trust and scheme, and makes it at first use.
func (i *identity) client(trusted, plain bool, make func(*tls.Config) *http.Transport) *http.Transport {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := &i.clients[index(trusted)][index(plain)]
	if *c == nil {
		*c = make(i.config)
	}
	return *c
}

// withAuthorities returns a copy of a pool with more authorities; a nil pool is the machine's.
func withAuthorities(pool *x509.CertPool, more []*x509.Certificate) *x509.CertPool {
	if pool != nil {
		pool = pool.Clone()
	} else {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			pool = x509.NewCertPool()
		}
	}
	for _, c := range more {
		pool.AddCert(c)
	}
	return pool
}

// clientAuth says how the gateway answered a receiver's request for a client certificate.
type clientAuth uint8

const (
	notAsked clientAuth = iota
	noneSent            // asked, and there is none
	sent
)

// authError is a failure of a connection whose receiver asked for a client certificate.
type authError struct {
	auth clientAuth
	err  error
}

func (e *authError) Error() string { return e.err.Error() }
func (e *authError) Unwrap() error { return e.err }

// handshake makes a TLS connection, or closes the connection.
func handshake(ctx context.Context, nc net.Conn, config *tls.Config, host string, within time.Duration, protocols ...string) (*tls.Conn, clientAuth, error) {
	config = config.Clone()
	config.ServerName, config.NextProtos = host, protocols
	own, auth := config.Certificates, notAsked
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(own) == 0 {
			auth = noneSent
			return new(tls.Certificate), nil
		}
		auth = sent
		return &own[0], nil
	}
	tc := tls.Client(nc, config)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, auth, &phaseError{phaseTLS, withClientAuth(auth, err)}
	}
	return tc, auth, nil
}

// withClientAuth adds to a failure that the receiver asked for a client certificate.
func withClientAuth(auth clientAuth, err error) error {
	if auth == notAsked || err == nil {
		return err
	}
	return &authError{auth, err}
}

// alertOf returns the TLS alert that a peer sent, in Go's words; "" without one.
func alertOf(err error) string {
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		return strings.TrimPrefix(remote.Err.Error(), "tls: ")
	}
	return ""
}

const wantsCertificate = "the receiver wants a client certificate, and this destination has none: set `tls: {cert, key}`"

// certificateReason returns the reason if a receiver refused the client certificate or the lack of one, else "". With
// TLS 1.3 a receiver says so only after the request, and some just close the connection.
func certificateReason(err error, closed bool) string {
	alert := alertOf(err)
	auth := notAsked
	if authErr, ok := errors.AsType[*authError](err); ok {
		auth = authErr.auth
	}
	switch {
	case alert == "certificate required", auth == noneSent && alert != "":
		return wantsCertificate
	case auth == noneSent && closed:
		return "the connection was closed without an answer, after the receiver asked for a client certificate: set `tls: {cert, key}`"
	case auth == sent && alert != "":
		return "the receiver refused the client certificate: " + alert
	case auth == sent && closed:
		return "the connection was closed without an answer, after the receiver had seen the client certificate: it may refuse it"
	}
	return ""
}
