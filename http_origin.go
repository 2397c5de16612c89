package gateway

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/internal/forwarded"
)

// checkTrust reads who is believed in what, and panics where that can only be a mistake.
func checkTrust(o *Options) forwarded.Trust {
	trust, err := forwarded.NewTrust(o.TrustedProxies, o.TrustUnixSockets)
	if err != nil {
		panic("gateway: Options.TrustedProxies: " + err.Error())
	}
	if err := trust.Believe(o.ForwardedHeaders); err != nil {
		panic("gateway: Options.ForwardedHeaders: " + err.Error())
	}
	return trust
}

// clientOf returns who sent the request: the peer, or whom a trusted proxy forwarded.
func (h *Handler) clientOf(r *http.Request) forwarded.Client {
	peer := forwarded.Peer(r.RemoteAddr, r.Host, r.TLS != nil)
	return h.trust.Client(peer, onUnixSocket(r), r.Header)
}

// onUnixSocket asks for our side of the connection: the peer's has no name in general.
func onUnixSocket(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && strings.HasPrefix(local.Network(), "unix")
}

// checkOrigin refuses the pages of foreign sites: a browser sends the
// visitor's cookies with their requests too. A request without Origin does not
// come from a browser.
func (h *Handler) checkOrigin(r *http.Request, c *forwarded.Client) *Error {
	origins := r.Header["Origin"]
	if len(origins) == 0 || h.opts.InsecureAnyOrigin {
		return nil
	}
	if len(origins) > 1 {
		return NewError(ErrForbidden, "the request has %d Origin headers", len(origins))
	}
	sent := strings.TrimSpace(origins[0])
	if forwarded.SameHost(sent, c.Host) {
		return nil
	}
	if origin, err := forwarded.Origin(sent); err == nil && slices.Contains(h.opts.AllowOrigins,
		origin) {
		return nil
	}
	return NewError(ErrForbidden, "pages of origin %.100q may not connect: see Options.AllowOrigins",
		sent)
}

// checkAllowOrigins returns the list in the form that checkOrigin compares, and
// panics where an entry could never match.
func checkAllowOrigins(list []string) []string {
	var out []string
	for _, s := range list {
		if s == "*" {
			panic(`gateway: Options.AllowOrigins: "*" admits every page on the web; ` +
				`if that is meant, set InsecureAnyOrigin`)
		}
		o, err := forwarded.ListedOrigin(s)
		if err != nil {
			panic(fmt.Sprintf("gateway: Options.AllowOrigins: %q can never match: %v", s, err))
		}
		out = append(out, o)
	}
	return out
}
