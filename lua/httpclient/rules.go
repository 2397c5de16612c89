package httpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/wsgateway/gateway"
)

// A rule is an entry of Options.Allow.
type rule struct {
	host string // in lower case; "" is any
	sub  bool   // also the names below host, but not host itself
	port string // "" is that of the scheme, "*" is any
}

// parseRules panics if an entry is none.
func parseRules(entries []string) []rule {
	var rules []rule
	for _, entry := range entries {
		r, ok := parseRule(strings.ToLower(entry))
		if !ok {
			panic(
				fmt.Sprintf(
					"httpclient: New: %q is no server: expected a name, *.name, or * for all, and :port if it "+
						"needs one",
					entry,
				),
			)
		}
		rules = append(rules, r)
	}
	return rules
}

func parseRule(entry string) (rule, bool) {
	if entry == "*" {
		return rule{port: "*"}, true
	}
	r := rule{host: entry}
	if addr, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return rule{host: addr.Unmap().String()}, true
	}
	if host, port, err := net.SplitHostPort(entry); err == nil {
		r.host, r.port = host, port
		if port == "" || port != "*" && strings.Trim(port, "0123456789") != "" {
			return r, false
		}
		if addr, err := netip.ParseAddr(host); err == nil {
			r.host = addr.Unmap().String()
			return r, true
		}
	}
	r.host, r.sub = strings.CutPrefix(r.host, "*.")
	return r, r.host != "" && !strings.ContainsAny(r.host, "*/:@?# ")
}

func (r rule) allows(host, port, schemePort string) bool {
	switch {
	case r.host == "":
	case r.sub && !strings.HasSuffix(host, "."+r.host), !r.sub && host != r.host:
		return false
	}
	return r.port == "*" || port == r.port || r.port == "" && port == schemePort
}

// check returns why a URL may not be called, or nil.
func (c *Client) check(u *url.URL) error {
	ports := map[string]string{"http": "80", "https": "443"}
	schemePort, ok := ports[u.Scheme]
	if !ok || u.Host == "" || u.Hostname() == "" || u.Opaque != "" {
		return gateway.NewError(
			gateway.ErrInvalid,
			"url: expected http://… or https://…, found %.200q",
			u.Redacted(),
		)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	}
	port := u.Port()
	if port == "" {
		port = schemePort
	}
	for _, r := range c.allow {
		if r.allows(host, port, schemePort) {
			return nil
		}
	}
	return gateway.NewError(
		gateway.ErrForbidden,
		"the host does not allow scripts to call %.200s",
		u.Host,
	)
}

// errPrivate is what the dialer says of an address that scripts may not call.
var errPrivate = errors.New("a private address")

// control is called with the address that is about to be dialed, after DNS.
func (c *Client) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if c.opts.InsecurePrivateAddresses {
		return nil
	}
	addr, err := netip.ParseAddrPort(address)
	if err != nil || !public(addr.Addr()) {
		return errPrivate
	}
	return nil
}

// special are ranges that are none of the public Internet's, beside those that
// netip.Addr knows; among them those whose addresses have another one inside.
var special = func() []netip.Prefix {
	var all []netip.Prefix
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
		"2002::/16", "3fff::/20",
		"5f00::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}()

// public reports whether an address is one of the public Internet.
func public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return false // loopback, link-local and multicast ones are no global unicast
	}
	for _, p := range special {
		if p.Contains(addr) {
			return false
		}
	}
	return true
}

// checkRedirect holds every redirect to the rules of a call. Headers of the script are
// for the server that it has named; another one gets none.
func (c *Client) checkRedirect(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return gateway.NewError(gateway.ErrUnreachable, "more than %d redirects", maxRedirects)
	}
	first := via[0].URL
	if via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return gateway.NewError(gateway.ErrForbidden, "a redirect from https to %s", r.URL.Scheme)
	}
	if !strings.EqualFold(r.URL.Host, first.Host) || r.URL.Scheme != first.Scheme {
		kept := http.Header{}
		for _, name := range []string{"Accept", "Content-Type", "User-Agent"} {
			if v := r.Header.Values(name); v != nil {
				kept[name] = v
			}
		}
		r.Header = kept
	}
	return c.check(r.URL)
}
