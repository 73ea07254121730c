package portal

import (
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// parseProxies skips what Config.Validate refuses.
func parseProxies(names []string) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range names {
		if p, err := parseNetwork(n); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// clientOf returns the address of the client, invalid when it is unknown, and whether
// the peer is a proxy whose headers count. A unix socket's peer is one: the socket's
// mode says who may connect.
func (s *site) clientOf(c *fiber.Ctx) (addr netip.Addr, trusted bool) {
	peer, isTCP := c.Context().RemoteAddr().(*net.TCPAddr)
	if isTCP {
		addr = peer.AddrPort().Addr().Unmap()
		for _, p := range s.proxies {
			trusted = trusted || p.Contains(addr.WithZone(""))
		}
	} else {
		trusted = true
	}
	if !trusted {
		return addr, false
	}
	lines := c.Request().Header.PeekAll(fiber.HeaderXForwardedFor)
	if len(lines) == 0 {
		return addr, true
	}
	// Only the last element is the proxy's own; the client may have written the others.
	last := string(lines[len(lines)-1])
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	forwarded, err := netip.ParseAddr(last)
	if err != nil {
		return netip.Addr{}, true
	}
	return forwarded.Unmap(), true
}

// requestID returns the proxy's id of the request, or a fresh one.
func requestID(c *fiber.Ctx, trusted bool) string {
	if id := string(c.Request().Header.Peek(fiber.HeaderXRequestID)); trusted && plainID(id) {
		return id
	}
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// plainID says that id is short and holds nothing that could upset a log or a page.
func plainID(id string) bool {
	return id != "" && len(id) <= 80 &&
		strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:") == ""
}
