package gateway

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A boundRoute is a Route in the table. It never changes; a socket keeps the one
// it opened on.
type boundRoute struct {
	Route                // as registered
	pattern     pattern  //
	names       []string // of the pattern's parameters
	lim         Limits   // with the gateway's defaults filled in; negative still means off
	ep          Endpoint // with the gateway's middleware around it
	owner       string   // of Replace; "" for Handle
	where       string   // file and line of the registration
	ignoresOpen bool     // the endpoint does nothing in the open event
	sweepClass  int      // how often its sockets are looked at
	stats       *routeStats
}

// A table is all routes at one time. It never changes.
type table struct {
	root   node
	byText map[string]*boundRoute
}

// A routes holds the current table.
type routes struct {
	current atomic.Pointer[table]

	mu         sync.Mutex // held while a new table is made
	middleware []func(Endpoint) Endpoint
	used       bool // a route was registered
}

func (rs *routes) load() *table {
	if t := rs.current.Load(); t != nil {
		return t
	}
	return &table{}
}

// Use puts middleware around the endpoints of every route of every owner; the
// first is the outermost. It panics once there is a route.
func (h *Handler) Use(mw ...func(Endpoint) Endpoint) {
	h.routes.mu.Lock()
	defer h.routes.mu.Unlock()
	if h.routes.used {
		panic(fmt.Sprintf("gateway: Use at %s comes after the first route", callerLine()))
	}
	for _, m := range mw {
		if m == nil {
			panic(fmt.Sprintf("gateway: Use at %s: nil middleware", callerLine()))
		}
	}
	h.routes.middleware = append(h.routes.middleware, mw...)
}

// Handle registers the endpoint for a pattern. It panics, with the pattern and
// the caller's line, if the pattern is not valid, conflicts with another one, or
// the endpoint is nil. It is for start-up; see [Handler.Replace] for later.
func (h *Handler) Handle(pattern string, ep Endpoint) {
	h.HandleRoute(Route{Pattern: pattern, Endpoint: ep})
}

// HandleFunc registers a function for a pattern, like [Handler.Handle].
func (h *Handler) HandleFunc(pattern string, fn EndpointFunc) {
	if fn == nil {
		h.HandleRoute(Route{Pattern: pattern})
		return
	}
	h.HandleRoute(Route{Pattern: pattern, Endpoint: fn})
}

// HandleRoute registers a route, like [Handler.Handle].
func (h *Handler) HandleRoute(rt Route) {
	where := callerLine()
	err := h.change(func(all map[string]*boundRoute) error {
		return h.bind(all, "", where, rt)
	})
	if err != nil {
		panic(fmt.Sprintf("gateway: route %q registered at %s: %v", rt.Pattern, where, err))
	}
}

// Replace makes routes the only routes of the owner, in one step: all of them,
// or with an error of type invalid_request none. No routes removes the owner's.
// The owner "" is that of [Handler.Handle].
//
// Open sockets keep the endpoint they opened on. Sockets whose pattern is gone
// are closed with 1012, cause route_removed.
func (h *Handler) Replace(owner string, routes []Route) error {
	where := callerLine()
	err := h.change(func(all map[string]*boundRoute) error {
		maps.DeleteFunc(all, func(_ string, rt *boundRoute) bool { return rt.owner == owner })
		for _, rt := range routes {
			if err := h.bind(all, owner, where, rt); err != nil {
				return invalidf("route %q of %q: %v", rt.Pattern, owner, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for s := range h.hub.all() {
		s.checkRoute()
	}
	return nil
}

// change makes a new table from a changed copy of the current routes.
func (h *Handler) change(edit func(all map[string]*boundRoute) error) error {
	h.routes.mu.Lock()
	defer h.routes.mu.Unlock()
	all := maps.Clone(h.routes.load().byText)
	if all == nil {
		all = map[string]*boundRoute{}
	}
	if err := edit(all); err != nil {
		return err
	}
	t := &table{byText: all}
	for _, rt := range all {
		t.root.add(rt.pattern.segs, rt)
	}
	h.routes.used = true
	h.routes.current.Store(t)
	return nil
}

// bind adds a route to the set if nothing is wrong with it.
func (h *Handler) bind(all map[string]*boundRoute, owner, where string, rt Route) error {
	p, err := parsePattern(rt.Pattern)
	if err != nil {
		return err
	}
	if rt.Endpoint == nil {
		return fmt.Errorf("nil endpoint")
	}
	if err := rt.Limits.check(); err != nil {
		return err
	}
	for _, sub := range rt.Subprotocols {
		if !isToken(sub) {
			return fmt.Errorf("subprotocol %q is not a token", sub)
		}
	}
	for _, other := range all {
		if p.conflicts(&other.pattern) {
			return fmt.Errorf("conflicts with %q registered at %s", other.Pattern, other.where)
		}
	}
	ep := rt.Endpoint
	for _, mw := range slices.Backward(h.routes.middleware) {
		ep = mw(ep)
	}
	callbacks, ok := ep.(Callbacks)
	rt.Subprotocols = slices.Clone(rt.Subprotocols)
	lim := rt.Limits.over(h.opts.Limits).unbounded()
	all[rt.Pattern] = &boundRoute{
		Route: rt, pattern: p, names: p.names(), owner: owner, where: where,
		lim: lim, ep: ep, stats: h.counted.of(rt.Pattern), ignoresOpen: ok && callbacks.OnOpen == nil, sweepClass: sweepClass(lim.shortest()),
	}
	return nil
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c) {
			return false
		}
	}
	return s != ""
}
