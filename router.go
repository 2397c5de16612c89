package gateway

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/wsgateway/gateway/internal/lockorder"
	"github.com/wsgateway/gateway/internal/pattern"
)

// A boundRoute is a Route in the table. It never changes, but for what is counted and
// learned; a socket keeps the one it opened on.
type boundRoute struct {
	Route                       // as registered
	pattern     pattern.Pattern //
	names       []string        // of the pattern's parameters
	lim         Limits          // with the gateway's defaults filled in; negative still means off
	ep          Endpoint        // with the gateway's middleware around it
	owner       string          // of Replace; "" for Handle
	where       string          // file and line of the registration
	ignoresOpen bool            // the endpoint does nothing in the open event
	sweepClass  int             // how often its sockets are looked at
	stats       *routeStats     // of the pattern
	plain       received        // of large messages, until the endpoint releases one
}

// A table is all routes at one time. It never changes.
type table struct {
	tree   pattern.Tree[*boundRoute]
	byText map[string]*boundRoute
}

// A routes holds the current table.
type routes struct {
	current atomic.Pointer[table]

	mu         lockorder.Mutex[rankRoutes] // never held while middleware runs
	middleware []func(Endpoint) Endpoint
	used       bool // a route was registered
	binding    int  // registrations that have taken the middleware and are not done
}

var emptyTable = &table{}

func (rs *routes) load() *table {
	if t := rs.current.Load(); t != nil {
		return t
	}
	return emptyTable
}

// match finds the request's route and the values of its parameters.
func (h *Handler) match(r *http.Request) (*boundRoute, []string, *Error) {
	rt, path, err := h.routes.load().match(r.URL.EscapedPath())
	if err != nil {
		return nil, nil, err
	}
	if err := pattern.CheckQuery(r.URL.RawQuery); err != nil {
		return nil, nil, invalidf("the query is %w", err)
	}
	return rt, path, nil
}

func (t *table) match(escapedPath string) (*boundRoute, []string, *Error) {
	segs, err := pattern.SplitPath(escapedPath)
	switch {
	case errors.Is(err, pattern.ErrDots):
		return nil, nil, ErrNoRoute
	case err != nil:
		return nil, nil, invalidf("the path is %w", err)
	}
	rt, path, ok := t.tree.Match(segs)
	if !ok {
		return nil, nil, ErrNoRoute
	}
	return rt, path, nil
}

// Use puts middleware around the endpoints of every route of every owner; the
// first is the outermost. It panics once there is a route, or one is being
// registered.
func (h *Handler) Use(mw ...func(Endpoint) Endpoint) {
	h.routes.mu.Lock()
	defer h.routes.mu.Unlock()
	if h.routes.used || h.routes.binding > 0 {
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
	if err := h.register("", where, []Route{rt}, false); err != nil {
		panic(fmt.Sprintf("gateway: route %q registered at %s: %v", rt.Pattern, where,
			errors.Unwrap(err)))
	}
}

// Replace makes routes the only routes of the owner, in one step: either all of them, or,
// with an error of type invalid_request, none. No routes removes the owner's. The owner ""
// is that of [Handler.Handle].
//
// Open sockets keep the endpoint they opened on. Sockets whose pattern is gone
// are closed with 1012, cause route_removed; Replace begins that and does not wait
// for it, so an endpoint may call it. Of several calls at the same time, the routes
// of the last one to finish are in place.
func (h *Handler) Replace(owner string, routes []Route) error {
	if err := h.register(owner, callerLine(), routes, true); err != nil {
		return err
	}
	for s := range h.hub.all() {
		s.checkRoute()
	}
	return nil
}

// register binds routes and publishes a table with them, in which they stand beside
// the owner's others or take the place of these.
//
// Middleware is foreign code and may itself register routes. So it runs between two
// checks and without the lock: the first saves it the work for routes that cannot be,
// the second decides.
func (h *Handler) register(owner, where string, routes []Route, replace bool) error {
	bound := make([]*boundRoute, len(routes))
	for i, rt := range routes {
		b, err := h.bind(owner, where, rt)
		if err != nil {
			return routeError(rt, owner, err)
		}
		bound[i] = b
	}
	if _, err := h.routes.load().with(owner, bound, replace); err != nil {
		return err
	}
	mws, done := h.routes.takeMiddleware()
	defer done()
	for _, b := range bound {
		if err := b.wrap(mws); err != nil {
			return routeError(b.Route, owner, err)
		}
	}
	return h.routes.publish(func(now *table) (*table, error) {
		return now.with(owner, bound, replace)
	})
}

func routeError(rt Route, owner string, err error) error {
	return invalidf("route %q of %q: %w", rt.Pattern, owner, err)
}

// takeMiddleware returns the middleware and holds off Use until done.
func (rs *routes) takeMiddleware() (mws []func(Endpoint) Endpoint, done func()) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.binding++
	return rs.middleware, func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		rs.binding--
	}
}

// publish puts what edit makes of the current table into its place.
func (rs *routes) publish(edit func(now *table) (*table, error)) error {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	t, err := edit(rs.load())
	if err != nil {
		return err
	}
	for _, rt := range t.byText {
		t.tree.Add(rt.pattern, rt)
	}
	rs.used = true
	rs.current.Store(t)
	return nil
}

// with returns the routes of t and the bound ones, without those of the owner that
// they replace; its tree is still empty.
func (t *table) with(owner string, bound []*boundRoute, replace bool) (*table, error) {
	all := make(map[string]*boundRoute, len(t.byText)+len(bound))
	maps.Copy(all, t.byText)
	if replace {
		maps.DeleteFunc(all, func(_ string, rt *boundRoute) bool { return rt.owner == owner })
	}
	for _, b := range bound {
		for _, other := range all {
			if b.pattern.Conflicts(other.pattern) {
				return nil, routeError(b.Route, owner,
					fmt.Errorf("conflicts with %q registered at %s", other.Pattern, other.where))
			}
		}
		all[b.Pattern] = b
	}
	return &table{byText: all}, nil
}

// bind checks all of a route but its conflicts.
func (h *Handler) bind(owner, where string, rt Route) (*boundRoute, error) {
	p, err := pattern.Parse(rt.Pattern)
	if err != nil {
		return nil, err
	}
	if rt.Endpoint == nil {
		return nil, errors.New("nil endpoint")
	}
	if err := rt.Limits.check(); err != nil {
		return nil, err
	}
	for _, sub := range rt.Subprotocols {
		if !isToken(sub) {
			return nil, fmt.Errorf("subprotocol %q is not a token", sub)
		}
	}
	rt.Subprotocols, rt.FixedValues = slices.Clone(rt.Subprotocols), slices.Clone(rt.FixedValues)
	lim := rt.Limits.over(h.opts.Limits).unbounded()
	h.memory.fit(&lim)
	b := &boundRoute{
		Route: rt, pattern: p, names: p.Names(), owner: owner, where: where,
		lim: lim, stats: h.counted.of(rt.Pattern),
	}
	shortest := lim.shortest()
	if before := b.expiringBefore(); before > 0 {
		shortest = min(shortest, before)
	}
	b.sweepClass = sweepClass(shortest)
	return b, nil
}

// wrap puts the middleware around the route's endpoint.
func (b *boundRoute) wrap(mws []func(Endpoint) Endpoint) error {
	b.ep = b.Endpoint
	for _, mw := range slices.Backward(mws) {
		if b.ep = mw(b.ep); b.ep == nil {
			return errors.New("middleware returned a nil endpoint")
		}
	}
	if c, ok := b.ep.(Callbacks); ok {
		b.ep, b.ignoresOpen = (*boundCallbacks)(&c), c.OnOpen == nil
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
