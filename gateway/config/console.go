package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// Console is where the console is served. The zero value is the gateway's own address.
type Console struct {
	// Off: there is no console, and no portal.
	Off bool
	// Listen is the address of the console alone; empty: it has none of its own.
	Listen string
	// PublicURL is the address under which a proxy serves Listen, without a slash at its end; empty: none does.
	PublicURL string
}

// The words that `console` can be, in place of a mapping.
const (
	consoleOn  = "on"
	consoleOff = "off"
)

// BindNode reads a word, or a mapping.
func (s *consoleSettings) BindNode(n *document.Node, name string) document.Faults {
	if n.Kind == document.Mapping {
		type mapping consoleSettings // without this method
		return document.Bind(n, (*mapping)(s), document.Options{})
	}
	if n.Kind == document.Scalar && (n.Unset || n.Text == consoleOn || n.Text == consoleOff) {
		s.off = n.Text == consoleOff
		return nil
	}
	return document.Faults{n.Fault("`"+name+"` is neither `on`, `off` nor an address of its own", "write console: off, or console: {listen: 127.0.0.1:8081}")}
}

// console applies where the console is.
func (l *loader) console(f *fileSettings) {
	c := Console{Off: f.Console.off, Listen: string(f.Console.Listen)}
	if node := f.Node.Key("console").Key("public_url"); node != nil && !l.hasFault(node) {
		c.PublicURL = l.checkedURL(node, f.Console.PublicURL, "write the address that a browser reaches, such as https://console.example.com")
	}
	l.config.Console = c
}

// checkConsole refuses an address that the gateway's other requests come to. It runs after flags and the environment have been applied.
func (l *loader) checkConsole() {
	own := l.config.Console.Listen
	if own == "" || !clash(own, l.config.Listen) {
		return
	}
	at := l.single["console"]
	for _, f := range l.files {
		if listen := f.Node.Key("console").Key("listen"); listen != nil {
			at = listen
		}
	}
	l.fault(at.Fault(
		fmt.Sprintf("the console cannot have `%s` for itself: the gateway listens on `%s`", own, l.config.Listen),
		"write another port, such as 127.0.0.1:8081, or console: on to serve it there"))
}

// clash reports whether two addresses cannot both be listened on. Port 0 is one that is free.
func clash(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || strings.Trim(portA, "0") == "" {
		return false
	}
	return covers(hostA, hostB) || covers(hostB, hostA)
}

// covers reports whether a listener on one host takes what comes to another.
func covers(host, other string) bool {
	if strings.EqualFold(host, other) || host == "" {
		return true
	}
	known, unknown := addressOf(host), addressOf(other)
	switch {
	case !known.IsValid():
		return false
	case !known.IsUnspecified():
		return known == unknown
	case known.Is4():
		return !unknown.Is6()
	}
	return true
}

// addressOf returns the address that a host is; the zero value of a name that only the system knows.
func addressOf(host string) netip.Addr {
	if host == "localhost" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap()
}
