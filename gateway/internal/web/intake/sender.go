package intake

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/gofiber/fiber/v2"
)

// Remote returns the address of the sender of a request; none on the unix socket, which fasthttp calls 0.0.0.0. Forwarding headers count
// only if a trusted proxy sent them: any client can write them.
func Remote(c *fiber.Ctx, proxies []netip.Prefix) netip.Addr {
	peer, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	peer = peer.Unmap()
	if peer.IsUnspecified() {
		return netip.Addr{}
	}
	if len(proxies) == 0 {
		return peer
	}
	return sender(peer, proxies, c.Request().Header.PeekAll(fiber.HeaderXForwardedFor))
}

// sender is the last address of a chain of proxies that is none of theirs: each proxy adds whom it saw at the end, and
// what stands further ahead may be the sender's own invention. An entry that is no address ends the chain with nobody,
// whom no list of networks allows; where all are proxies, the first of them sent it.
func sender(peer netip.Addr, proxies []netip.Prefix, lines [][]byte) netip.Addr {
	from := peer.Unmap()
	for _, line := range slices.Backward(lines) {
		for rest := line; len(rest) > 0; {
			if !within(proxies, from) {
				return from
			}
			entry := rest
			if at := bytes.LastIndexByte(rest, ','); at >= 0 {
				entry, rest = rest[at+1:], rest[:at]
			} else {
				rest = nil
			}
			if entry = bytes.TrimSpace(entry); len(entry) > 0 {
				if from = forwarded(string(entry)); !from.IsValid() {
					return from
				}
			}
		}
	}
	return from
}

// forwarded returns the address of an entry, which may have a port, and brackets around IPv6.
func forwarded(entry string) netip.Addr {
	if n := len(entry); n > 2 && entry[0] == '[' && entry[n-1] == ']' {
		entry = entry[1 : n-1]
	}
	from, err := netip.ParseAddr(entry)
	if err != nil {
		withPort, _ := netip.ParseAddrPort(entry) // zero where it is none
		from = withPort.Addr()
	}
	return from.Unmap().WithZone("")
}

func within(networks []netip.Prefix, address netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
