package intake

import (
	"net/netip"
	"testing"
)

func TestSender(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string // empty is none
	}{
		{"no proxy", "192.0.2.1", nil, "192.0.2.1"},
		{"nobody's word but a proxy's", "192.0.2.1", []string{"203.0.113.9"}, "192.0.2.1"},
		{"a proxy that says nothing", "10.0.0.1", nil, "10.0.0.1"},
		{"a proxy that says nothing, at length", "10.0.0.1", []string{" ", ""}, "10.0.0.1"},
		{"a proxy", "10.0.0.1", []string{"203.0.113.9"}, "203.0.113.9"},
		{"a proxy in IPv6", "2001:db8::1", []string{"2001:0:0::9"}, "2001::9"},
		{"an IPv4-mapped IPv6 address", "::ffff:10.0.0.1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		{"what the sender wrote", "10.0.0.1", []string{"10.9.9.9, 1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		{"several lines", "10.0.0.1", []string{"1.1.1.1", "203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"a line below", "10.0.0.1", []string{"203.0.113.9", "10.0.0.2,10.0.0.3"}, "203.0.113.9"},
		{"only proxies", "10.0.0.1", []string{"10.0.0.4, 10.0.0.3"}, "10.0.0.4"},
		{"with a port", "10.0.0.1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		{"IPv6 with a port", "10.0.0.1", []string{"[2001::9]:4711"}, "2001::9"},
		{"IPv6 in brackets", "10.0.0.1", []string{"[2001::9]"}, "2001::9"},
		{"no address", "10.0.0.1", []string{"203.0.113.9, unknown"}, ""},
		{"an address of one link", "10.0.0.1", []string{"fe80::1%eth0"}, "fe80::1"},
		{"on the socket", "", []string{"203.0.113.9"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var peer netip.Addr
			if tt.peer != "" {
				peer = netip.MustParseAddr(tt.peer)
			}
			var lines [][]byte
			for _, line := range tt.forwarded {
				lines = append(lines, []byte(line))
			}
			got := ""
			if from := sender(peer, proxies, lines); from.IsValid() {
				got = from.String()
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
