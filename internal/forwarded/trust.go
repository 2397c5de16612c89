// Package forwarded reads what a request says of its origin and of the way it came:
// forwarding headers and who is believed to write them, and the origins of pages.
// Its functions are pure; what they return depends on their arguments alone.
package forwarded

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The headers that can be believed.
const (
	xFor      = "X-Forwarded-For"
	xProto    = "X-Forwarded-Proto"
	xHost     = "X-Forwarded-Host"
	forwarded = "Forwarded" // RFC 7239
)

// A Trust says which peers are proxies that are believed, and in which headers. The
// zero Trust believes nobody. It is safe for concurrent use.
type Trust struct {
	proxies []netip.Prefix
	unix    bool
	headers []string
}

// NewTrust returns a Trust of the proxies with these addresses and, with unix, of
// every peer on a Unix socket. It fails if one of the proxies is not a valid prefix.
func NewTrust(proxies []netip.Prefix, unix bool) (Trust, error) {
	t := Trust{unix: unix, headers: []string{xFor, xProto}}
	for _, p := range proxies {
		if !p.IsValid() {
			return Trust{}, errors.New("a prefix is not valid")
		}
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 { // or no address would match it
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		t.proxies = append(t.proxies, p)
	}
	return t, nil
}

// Believe sets the headers that each of the proxies writes or removes; none means
// X-Forwarded-For and X-Forwarded-Proto. It fails if there is an unknown name, or
// Forwarded together with others: which of two kinds a proxy wrote, and which its
// client, could not be told.
func (t *Trust) Believe(headers []string) error {
	if len(headers) == 0 {
		return nil
	}
	t.headers = nil
	for _, name := range headers {
		name = http.CanonicalHeaderKey(name)
		if !slices.Contains([]string{xFor, xProto, xHost, forwarded}, name) {
			return fmt.Errorf("%q is not one of %s, %s, %s and %s",
				name, xFor, xProto, xHost, forwarded)
		}
		t.headers = append(t.headers, name)
	}
	if slices.Contains(t.headers, forwarded) && slices.ContainsFunc(t.headers, isX) {
		return errors.New("the X-Forwarded headers and Forwarded exclude each other: " +
			"name the kind that the proxies write")
	}
	return nil
}

func isX(name string) bool { return name != forwarded }

// A Client is who sent a request: the peer, or whom a trusted proxy forwarded.
type Client struct {
	Addr   netip.Addr // unmapped, without zone; not valid if unknown, as on a Unix socket
	Remote string     // host:port, with port 0 if unknown; or what the server calls the peer
	Secure bool       // TLS
	Host   string     // that the client asked for
	Exempt bool       // from a cap per address: nobody's, our own or a proxy's
}

// Peer returns the client that is the peer itself.
func Peer(remote, host string, secure bool) Client {
	return Client{Addr: AddrOf(remote), Remote: remote, Host: host, Secure: secure}
}

// AddrOf returns the Addr of the client with that Remote.
func AddrOf(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return clean(ap.Addr())
}

// Client returns who sent a request that came from the peer, whose connection is a
// Unix socket or not. Where the peer is no trusted proxy it is the peer itself.
//
// Of a chain of proxies, the last that is not trusted is the client; the client could have
// invented everything before it.
func (t *Trust) Client(peer Client, unix bool, header http.Header) Client {
	c, readable := peer, true
	if t.trusts(peer.Addr) || unix && t.unix {
		readable = t.forward(&c, header)
	}
	// Who makes a proxy write what cannot be read must not gain by it.
	c.Exempt = readable && (!c.Addr.IsValid() || c.Addr.IsLoopback() || t.trusts(c.Addr))
	return c
}

func (t *Trust) trusts(a netip.Addr) bool {
	for _, p := range t.proxies {
		if p.Contains(a) { // never one that is not valid
			return true
		}
	}
	return false
}

// forward replaces in c what the headers tell. It reports false if they are malformed
// where the client should be named.
func (t *Trust) forward(c *Client, header http.Header) (readable bool) {
	readable = true
	var chosen hop
	for _, chosen = range slices.Backward(t.hops(header)) {
		addr, remote, ok := chosen.client()
		if !ok {
			readable = chosen.isHidden()
			break
		}
		c.Addr, c.Remote = addr, remote
		if !t.trusts(addr) {
			break
		}
	}
	switch strings.ToLower(chosen.proto) {
	case "https", "wss":
		c.Secure = true
	case "http", "ws":
		c.Secure = false
	}
	if isHost(chosen.host) {
		c.Host = chosen.host
	}
	return readable
}

// hops returns what the believed headers say, the nearest hop last.
func (t *Trust) hops(header http.Header) []hop {
	if slices.Contains(t.headers, forwarded) {
		return parseForwarded(header[forwarded])
	}
	believed := func(name string) []string {
		if !slices.Contains(t.headers, name) {
			return nil
		}
		return splitFields(header[name])
	}
	return zipHops(believed(xFor), believed(xProto), believed(xHost))
}

// isHost reports whether s can be a Host: a name or an address, and a port.
func isHost(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c == 0x7f || c == '\uFFFD' || strings.ContainsRune("\"#,/;<>?@\\^`{|}", c)
	})
}

// clean is the one form of an address: an IPv4 address is one, however it is written.
func clean(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
