package forwarded

import (
	"net/netip"
	"strings"
)

// A hop is what one proxy says of who connected to it.
type hop struct {
	addr, proto, host string
	malformed         bool
}

// client returns the address of the hop, and with a port; ok is false if there is none
// or it cannot be read.
func (h hop) client() (addr netip.Addr, remote string, ok bool) {
	if ap, err := netip.ParseAddrPort(h.addr); err == nil {
		return clean(ap.Addr()), h.addr, true
	}
	text := h.addr
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		text = text[1 : len(text)-1]
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, "", false
	}
	addr = clean(addr)
	return addr, netip.AddrPortFrom(addr, 0).String(), true
}

// isHidden reports whether the proxy chose not to name the address: it says nothing of
// it, or gives an identifier of RFC 7239, section 6.2 or 6.3.
func (h hop) isHidden() bool {
	return !h.malformed && (h.addr == "" || h.addr[0] == '_' ||
		h.addr == "unknown" || strings.HasPrefix(h.addr, "unknown:"))
}

// zipHops makes hops of the X-Forwarded headers. Proxies often set proto and host once
// for the whole chain, or only the first of them does.
func zipHops(addrs, protos, hosts []string) []hop {
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

// nthFromEnd returns the n-th element from the end, or the first if the list is shorter.
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

// parseForwarded returns the elements of Forwarded in order. A field that is not of
// RFC 7239 is one malformed hop: a quote that a client left open would otherwise hide
// what the proxy wrote behind it.
func parseForwarded(fields []string) []hop {
	var hops []hop
	for _, f := range fields {
		some, ok := parseField(f)
		if !ok {
			some = []hop{{malformed: true}}
		}
		hops = append(hops, some...)
	}
	return hops
}

// parseField parses elements, divided by commas, of pairs, divided by semicolons.
func parseField(f string) (hops []hop, ok bool) {
	var h hop
	seen := map[string]bool{} // names of this element
	for {
		name, value, rest, ok := parsePair(f)
		if !ok || name != "" && seen[name] {
			return nil, false
		}
		seen[name] = true
		switch name {
		case "for":
			h.addr = value
		case "proto":
			h.proto = value
		case "host":
			h.host = value
		}
		if rest == "" || rest[0] == ',' {
			if len(seen) > 1 || !seen[""] { // lists may have empty elements
				hops = append(hops, h)
			}
			h = hop{}
			clear(seen)
		}
		if rest == "" {
			return hops, true
		}
		f = rest[1:]
	}
}

// parsePair parses one name=value up to its separator, with which rest begins. A pair
// of nothing has no name. Values without quotes may have colons and brackets: proxies
// write addresses so.
func parsePair(f string) (name, value, rest string, ok bool) {
	f = strings.TrimLeft(f, " \t")
	if f == "" || f[0] == ',' || f[0] == ';' {
		return "", "", f, true
	}
	i := strings.IndexAny(f, `=,;"`)
	if i <= 0 || f[i] != '=' {
		return "", "", "", false
	}
	name, f = strings.ToLower(strings.TrimSpace(f[:i])), strings.TrimLeft(f[i+1:], " \t")
	if name == "" {
		return "", "", "", false
	}
	if strings.HasPrefix(f, `"`) {
		value, f, ok = cutQuoted(f[1:])
		f = strings.TrimLeft(f, " \t")
		return name, value, f, ok && (f == "" || f[0] == ',' || f[0] == ';')
	}
	end := strings.IndexAny(f, ",;")
	if end < 0 {
		end = len(f)
	}
	value = strings.TrimSpace(f[:end])
	return name, value, f[end:], !strings.ContainsAny(value, `"= `)
}

// cutQuoted returns a quoted string, without its quotes, and what follows it.
func cutQuoted(f string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(f); i++ {
		switch c := f[i]; {
		case c == '"':
			return b.String(), f[i+1:], true
		case c == '\\' && i+1 < len(f):
			i++
			b.WriteByte(f[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
