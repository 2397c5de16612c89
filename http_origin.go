package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A client is who sent a request: the peer, or whom a trusted proxy forwarded.
type client struct {
	addr   netip.Addr // not valid if unknown, as on a Unix socket
	remote string     // host:port, or what the server calls the peer
	secure bool       // TLS
	host   string     // that the client asked for
	exempt bool       // from the cap per address
}

// clientOf reads the forwarding headers of a trusted proxy, and no others.
func (h *Handler) clientOf(r *http.Request) client {
	c := client{remote: r.RemoteAddr, secure: r.TLS != nil, host: r.Host}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.addr = ap.Addr().Unmap().WithZone("")
	}
	if c.addr.IsValid() && h.trusts(c.addr) {
		h.forwarded(r, &c)
	}
	c.exempt = !c.addr.IsValid() || c.addr.IsLoopback() || h.trusts(c.addr)
	return c
}

func (h *Handler) trusts(a netip.Addr) bool {
	for _, p := range h.opts.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// A hop is what one proxy says of who connected to it.
type hop struct{ addr, proto, host string }

// forwarded replaces what the proxy's headers tell. Forwarded (RFC 7239) wins
// over the X-Forwarded headers. Of a chain, the last hop that we do not trust is
// the client; what stands before it could be invented.
func (h *Handler) forwarded(r *http.Request, c *client) {
	hops := parseForwarded(r.Header["Forwarded"])
	if len(hops) == 0 {
		hops = parseXForwarded(r.Header)
	}
	var chosen hop
	for _, chosen = range slices.Backward(hops) {
		addr, remote, ok := parseHop(chosen.addr)
		if !ok {
			break
		}
		c.addr, c.remote = addr, remote
		if !h.trusts(addr) {
			break
		}
	}
	switch strings.ToLower(chosen.proto) {
	case "https", "wss":
		c.secure = true
	case "http", "ws":
		c.secure = false
	}
	if chosen.host != "" {
		c.host = chosen.host
	}
}

// parseHop reads an address with or without a port.
func parseHop(hop string) (addr netip.Addr, remote string, ok bool) {
	if ap, err := netip.ParseAddrPort(hop); err == nil {
		return ap.Addr().Unmap().WithZone(""), hop, true
	}
	addr, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	if err != nil {
		return netip.Addr{}, "", false
	}
	addr = addr.Unmap().WithZone("")
	return addr, netip.AddrPortFrom(addr, 0).String(), true
}

// parseForwarded returns the elements of Forwarded in order.
func parseForwarded(fields []string) []hop {
	var hops []hop
	for _, element := range splitFields(fields) {
		var p hop
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(pair, "=")
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "for":
				p.addr = value
			case "proto":
				p.proto = value
			case "host":
				p.host = value
			}
		}
		hops = append(hops, p)
	}
	return hops
}

// parseXForwarded makes hops of the X-Forwarded headers. Proxies often set
// proto and host once for the whole chain, or only the first of them does.
func parseXForwarded(header http.Header) []hop {
	addrs := splitFields(header["X-Forwarded-For"])
	protos := splitFields(header["X-Forwarded-Proto"])
	hosts := splitFields(header["X-Forwarded-Host"])
	hops := make([]hop, max(len(addrs), min(1, len(protos)+len(hosts))))
	for i := range hops {
		fromEnd := len(hops) - 1 - i
		hops[i] = hop{proto: nthFromEnd(protos, fromEnd), host: nthFromEnd(hosts, fromEnd)}
		if len(addrs) > 0 {
			hops[i].addr = addrs[i]
		}
	}
	return hops
}

// nthFromEnd returns the first where the list is too short.
func nthFromEnd(list []string, n int) string {
	if len(list) == 0 {
		return ""
	}
	return list[max(0, len(list)-1-n)]
}

func splitFields(fields []string) []string {
	var all []string
	for _, f := range fields {
		for v := range strings.SplitSeq(f, ",") {
			if v = strings.TrimSpace(v); v != "" {
				all = append(all, v)
			}
		}
	}
	return all
}

// checkOrigin refuses the pages of foreign sites: a browser sends the
// visitor's cookies with their requests too. A request without Origin does not
// come from a browser.
func (h *Handler) checkOrigin(r *http.Request, c *client) *Error {
	origins := r.Header["Origin"]
	if len(origins) == 0 || h.opts.InsecureAnyOrigin {
		return nil
	}
	if len(origins) > 1 {
		return NewError(ErrForbidden, "the request has %d Origin headers", len(origins))
	}
	origin := strings.ToLower(strings.TrimSpace(origins[0]))
	if slices.Contains(h.opts.AllowOrigins, origin) || sameHost(origin, strings.ToLower(c.host)) {
		return nil
	}
	return NewError(ErrForbidden, "pages of origin %.100q may not connect: see Options.AllowOrigins", origin)
}

// sameHost compares host and port. The scheme does not matter, for a proxy in
// front may speak TLS; a default port is that of the origin's scheme.
func sameHost(origin, host string) bool {
	scheme, authority, ok := strings.Cut(origin, "://")
	port := defaultPort(scheme)
	return ok && authority != "" && port != "" && strings.TrimSuffix(authority, port) == strings.TrimSuffix(host, port)
}

// defaultPort is that of the schemes that a page's or a client's origin can have.
func defaultPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return ":80"
	case "https", "wss":
		return ":443"
	}
	return ""
}

// checkAllowOrigins returns the list in the form that checkOrigin compares, and
// panics where an entry could never match.
func checkAllowOrigins(list []string) []string {
	var out []string
	for _, o := range list {
		o = strings.ToLower(o)
		scheme, host, ok := strings.Cut(o, "://")
		switch {
		case o == "*":
			panic(`gateway: Options.AllowOrigins: "*" admits every page on the web; if that is meant, set InsecureAnyOrigin`)
		case o == "null":
		case !ok, scheme == "", host == "", strings.ContainsAny(host, "/?#*@ "):
			panic(fmt.Sprintf(`gateway: Options.AllowOrigins: %q is not of the form "scheme://host[:port]"`, o))
		}
		out = append(out, strings.TrimSuffix(o, defaultPort(scheme))) // as browsers write it
	}
	return out
}
