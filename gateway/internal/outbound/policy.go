package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strings"

	"github.com/surveygate/surveygate/connectors"
)

// Policy says where requests may go. The zero value reaches public addresses over https and nothing else.
type Policy struct {
	// AllowAddresses are networks that destinations from the file may reach although they are not public.
	// They are also reached over plain http.
	AllowAddresses []netip.Prefix `yaml:"allow_addresses,omitempty"`
	// AllowHTTP permits plain http to every address that may be reached.
	AllowHTTP bool `yaml:"allow_http,omitempty"`
	// Proxy is the URL of an egress proxy (http, https, socks5). Everything then goes through it, whatever a
	// destination's transport says, and the proxy resolves the names: only literal addresses are still checked here.
	Proxy connectors.Secret `yaml:"proxy,omitempty"`
	// CA is PEM, or a file of it: authorities that are trusted beside the machine's, as your company's own. A path counts
	// from the folder of this file.
	CA string `yaml:"ca,omitempty"`
}

// equal reports whether two policies are equal. It compares all fields, including any added later.
func (p Policy) equal(q Policy) bool { return reflect.DeepEqual(p, q) }

// Check returns the fault of the policy itself.
func (p Policy) Check() error {
	if p.Proxy.IsZero() {
		return nil
	}
	_, err := p.proxy()
	return err
}

func (p Policy) proxy() (*url.URL, error) {
	u, err := url.Parse(p.Proxy.Expose())
	if err != nil || u.Hostname() == "" {
		// The parser's error would repeat the URL, which may hold a password.
		return nil, errors.New("outbound.proxy is not a URL like http://proxy.example:3128")
	}
	if err := connectors.CheckPort(u.Port()); err != nil {
		return nil, fmt.Errorf("outbound.proxy: %w", err)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, fmt.Errorf("outbound.proxy: `%s` is no scheme of a proxy; one of http, https, socks5", u.Scheme)
}

// allows reports whether AllowAddresses contains the address.
func (p Policy) allows(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, prefix := range p.AllowAddresses {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// Transport is the client that carries a destination's requests. The zero value is Fast.
type Transport string

// The transports.
const (
	// Fast is HTTP/1.1 by fasthttp, at the least cost.
	Fast Transport = "fast"
	// Std is net/http, which also speaks HTTP/2.
	Std Transport = "std"
)

// UnmarshalText takes `fast` or `std`.
func (t *Transport) UnmarshalText(b []byte) error {
	switch v := Transport(b); v {
	case Fast, Std:
		*t = v
		return nil
	}
	return fmt.Errorf("`%s` is no transport; one of fast, std", b)
}

// URLError is a fault of a destination's URL with its remedy.
type URLError struct {
	Message string
	Remedy  string
}

func (e *URLError) Error() string {
	if e.Remedy == "" {
		return e.Message
	}
	return e.Message + ": " + e.Remedy
}

// CheckURL returns the fault of a destination's URL before anything is sent. Policy.AllowAddresses counts for trusted
// destinations only (see Attempt.Trusted). The error is a *URLError; it repeats the host at most, since a URL may itself
// be a secret.
func CheckURL(text string, p Policy, trusted bool) error {
	u, err := url.Parse(text)
	if err != nil {
		return &URLError{"the URL cannot be read", "write it as https://host/path"}
	}
	return checkURL(u, p, trusted)
}

// CheckAddress is CheckURL for a secret that is itself an address, such as a channel's webhook; other secrets pass.
func CheckAddress(s connectors.Secret, p Policy, trusted bool) error {
	text := s.Expose()
	if scheme, _, found := strings.Cut(text, "://"); !found || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return nil
	}
	return CheckURL(text, p, trusted)
}

func checkURL(u *url.URL, p Policy, trusted bool) error {
	if err := checkForm(u); err != nil {
		return err
	}
	return p.checkReach(u, trusted)
}

// checkForm returns the fault of a URL under any policy.
func checkForm(u *url.URL) error {
	host := u.Hostname()
	switch {
	case u.Scheme == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return &URLError{"the URL does not begin with https://", "write it as https://host/path"}
	case u.Opaque != "" || host == "":
		return &URLError{"the URL has no host", "write it as https://host/path"}
	case u.User != nil:
		return &URLError{"the URL holds a user or password", "send credentials in a header instead"}
	case u.Fragment != "" || u.RawFragment != "":
		return &URLError{"the URL has a fragment", "take away what begins with #"}
	}
	if strings.HasSuffix(u.Host, ":") {
		return &URLError{"the URL's port is empty", "take away the colon"}
	}
	if connectors.CheckPort(u.Port()) != nil {
		return &URLError{fmt.Sprintf("`%s` is not a port", u.Port()), "write a number from 1 to 65535"}
	}
	addr, literal := literalAddress(host)
	if addr.Zone() != "" {
		return &URLError{"the address has a zone", "take away what begins with %"}
	}
	if !literal {
		if fault := checkName(host); fault != nil {
			return fault
		}
	}
	return nil
}

// checkReach returns why the policy forbids a URL.
func (p Policy) checkReach(u *url.URL, trusted bool) error {
	host := u.Hostname()
	addr, literal := literalAddress(host)
	if !literal {
		if u.Scheme == "http" && !p.AllowHTTP {
			return &URLError{"plain http is not allowed", "use https, or set outbound.allow_http: true"}
		}
		return nil
	}
	allowed := trusted && p.allows(addr)
	if why := refusal(addr); why != "" && !allowed {
		if trusted {
			return &URLError{fmt.Sprintf("`%s` is %s", host, why), "name its network in outbound.allow_addresses"}
		}
		return &URLError{fmt.Sprintf("`%s` is %s", host, why), "use a public address"}
	}
	if u.Scheme == "http" && !p.AllowHTTP && !allowed {
		return &URLError{"plain http is not allowed", "use https, set outbound.allow_http: true, or name the address in outbound.allow_addresses"}
	}
	return nil
}

// literalAddress returns the address of a host that needs no resolver.
func literalAddress(host string) (netip.Addr, bool) {
	if name := strings.ToLower(strings.TrimSuffix(host, ".")); name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	}
	a, err := netip.ParseAddr(host)
	return a, err == nil
}

// checkName refuses hosts that are neither a name nor an address in its usual form. Resolvers of the C library read
// `2130706433`, `0x7f.1` and `0177.0.0.1` as 127.0.0.1; a host that ends in a number is never a public name.
func checkName(host string) *URLError {
	name := strings.TrimSuffix(host, ".")
	if name == "" || len(name) > 253 {
		return &URLError{"the URL has no usable host", "write it as https://host/path"}
	}
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_':
		default:
			return &URLError{"the host has characters that no name has", "write international names in their xn-- form"}
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	digits := strings.TrimLeft(last, "0123456789")
	hex := len(last) > 1 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X')
	if last == "" || digits == "" || hex {
		return &URLError{fmt.Sprintf("`%s` is neither a name nor an address", host), "write the address as four decimal numbers"}
	}
	return nil
}
