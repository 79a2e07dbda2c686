package outbound

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// reserved are the networks that are not the public internet, the most specific reason first. Sources: the IANA special-purpose
// address registries for IPv4 and IPv6, and the metadata services of the clouds.
var reserved = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("169.254.169.254/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("100.100.100.200/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("192.0.0.192/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("fd20:ce::254/128"), "a cloud's metadata service"},

	{netip.MustParsePrefix("0.0.0.0/8"), "an unspecified address"},
	{netip.MustParsePrefix("10.0.0.0/8"), "a private address"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a carrier's private address"},
	{netip.MustParsePrefix("127.0.0.0/8"), "a loopback address"},
	{netip.MustParsePrefix("169.254.0.0/16"), "a link-local address"},
	{netip.MustParsePrefix("172.16.0.0/12"), "a private address"},
	{netip.MustParsePrefix("192.0.0.0/24"), "a reserved address"},
	{netip.MustParsePrefix("192.0.2.0/24"), "an address for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a 6to4 relay"},
	{netip.MustParsePrefix("192.168.0.0/16"), "a private address"},
	{netip.MustParsePrefix("198.18.0.0/15"), "an address for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "an address for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "an address for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "a multicast address"},
	{netip.MustParsePrefix("255.255.255.255/32"), "the broadcast address"},
	{netip.MustParsePrefix("240.0.0.0/4"), "a reserved address"},

	{netip.MustParsePrefix("::/128"), "an unspecified address"},
	{netip.MustParsePrefix("::1/128"), "a loopback address"},
	{netip.MustParsePrefix("fe80::/10"), "a link-local address"},
	{netip.MustParsePrefix("fec0::/10"), "a private address"},
	{netip.MustParsePrefix("fc00::/7"), "a private address"},
	{netip.MustParsePrefix("ff00::/8"), "a multicast address"},
	{netip.MustParsePrefix("2001::/32"), "a Teredo address, which hides an IPv4 address"},
	{netip.MustParsePrefix("2001::/23"), "a reserved address"},
	{netip.MustParsePrefix("2001:db8::/32"), "an address for documentation"},
	{netip.MustParsePrefix("3fff::/20"), "an address for documentation"},
	{netip.MustParsePrefix("2002::/16"), "a 6to4 address, which hides an IPv4 address"},
}

var (
	// nat64 carries an IPv4 address in its last 32 bits; networks without IPv4 reach public hosts through it.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	// global is the range of public IPv6 addresses.
	global = netip.MustParsePrefix("2000::/3")
)

// refusal returns why an address is not public, as the end of a sentence; "" if it is.
func refusal(a netip.Addr) string {
	if !a.IsValid() {
		return "no address"
	}
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, r := range reserved {
		if r.prefix.Contains(a) {
			return r.why
		}
	}
	if a.Is6() && !global.Contains(a) {
		return "not a public address"
	}
	return ""
}

// guardError is the refusal of an address by the guard.
type guardError struct {
	addr    netip.Addr
	why     string
	trusted bool
}

func (e *guardError) Error() string {
	if !e.trusted {
		// It must not reveal the internal network to users of the API.
		return "the host's address is not public"
	}
	return fmt.Sprintf("%s is %s; outbound.allow_addresses does not name it", e.addr, e.why)
}

// guard checks an address when it is dialled, so that a name cannot resolve to another address in between.
type guard struct {
	policy  Policy
	trusted bool
	// plain connections carry http: without AllowHTTP they may reach allowed addresses only.
	plain bool
}

func (g *guard) check(a netip.Addr) error {
	if g.trusted && g.policy.allows(a) {
		return nil
	}
	if why := refusal(a); why != "" {
		return &guardError{addr: a, why: why, trusted: g.trusted}
	}
	if g.plain && !g.policy.AllowHTTP {
		return &guardError{addr: a, why: "reached over plain http without outbound.allow_http", trusted: g.trusted}
	}
	return nil
}

// control is the Control of a net.Dialer: it sees every resolved address before the connection is made.
func (g *guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		host, _, splitErr := net.SplitHostPort(address)
		a, addrErr := netip.ParseAddr(host)
		if splitErr != nil || addrErr != nil {
			return &guardError{why: "no address", trusted: g.trusted}
		}
		return g.check(a)
	}
	return g.check(ap.Addr())
}
