package gateway

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/wsgateway/gateway/internal/forwarded"
)

// authorize asks the gateway's hook and then the route's.
func (h *Handler) authorize(rt *boundRoute, path []string, r *http.Request,
	c *forwarded.Client) (*Admission, *Error) {
	var admit *Admission
	for _, hook := range []func(*http.Request) (*Admission, error){h.opts.Authorize, rt.Authorize} {
		if hook == nil {
			continue
		}
		a, err := hook(viewOf(r, rt, path, c))
		if err != nil {
			return nil, h.refusal(err)
		}
		admit = admit.merge(a)
	}
	if admit == nil {
		return nil, nil
	}
	a := *admit
	a.Values = maps.Clone(a.Values)
	return &a, nil
}

// viewOf is the copy of the request that a hook sees: the pattern and the path values
// are ours, and the peer, the host and the scheme the client's and not its proxy's.
func viewOf(r *http.Request, rt *boundRoute, path []string, c *forwarded.Client) *http.Request {
	v := r.Clone(r.Context())
	v.Pattern = rt.Pattern
	for i, name := range rt.names {
		v.SetPathValue(name, path[i])
	}
	v.RemoteAddr, v.Host = c.Remote, c.Host
	v.URL.Scheme, v.URL.Host = schemeOf(c), c.Host
	return v
}

// refusal is what the client sees of a hook's error: the whole of an *Error, which was
// meant for it, and nothing of any other error, whose text may name internals.
func (h *Handler) refusal(err error) *Error {
	e := ErrorOf(err)
	own := (*Error)(nil)
	if errors.As(err, &own) && own != nil && !e.Is(ErrInternal) && e.Status >= 400 && e.Status <= 599 {
		return &e
	}
	h.log.Error("Authorize failed", "error", err)
	if e.Is(ErrTimeout) {
		return NewError(ErrTimeout, "the check of this request took too long")
	}
	return ErrInternal
}

// subprotocol returns what is agreed on with the client: what the admission chose, or
// the first of the route's that the client offers.
func (h *Handler) subprotocol(rt *boundRoute, admit *Admission, r *http.Request) (string, *Error) {
	if admit == nil || admit.Subprotocol == "" {
		return selectSubprotocol(rt.Subprotocols, r), nil
	}
	// A client fails on what it did not offer (RFC 6455, section 4.1).
	chosen := admit.Subprotocol
	if !isToken(chosen) || !slices.Contains(offeredSubprotocols(r), chosen) {
		h.log.Error("Authorize chose a subprotocol that the client does not offer", "route", rt.Pattern)
		return "", ErrInternal
	}
	return chosen, nil
}
