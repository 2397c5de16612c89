package gateway

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// An Endpoint reacts to the events of the sockets on one route.
//
// For one socket the calls never overlap and come in the order open, data...,
// close; the close event comes exactly once and last, whatever happened. Calls
// for different sockets run concurrently. The gateway holds no lock during a
// call: an endpoint may use every operation, on its own socket and on others.
//
// The context of an open or data event ends when the socket begins to close,
// for whatever cause. That of a close event ends with the context of Shutdown.
// Both carry the values of the [Admission]'s Context, or of the connection's: what
// the BaseContext and ConnContext of the http.Server put there.
//
// What ServeEvent returns says what becomes of its socket. Nil leaves it open. A
// *[CloseError] closes it with that code and reason. The error of an operation
// that is merely passed on (not_found, closed, queue_full, unreachable,
// timeout, shutting_down) is logged and leaves it open. Any other error, and a
// panic, is logged and closes it with 1011. What a close event returns is only
// logged.
type Endpoint interface {
	// ServeEvent handles one event. Its result says what becomes of the socket.
	ServeEvent(ctx context.Context, s *Socket, ev Event) error
}

// EndpointFunc adapts a function to an [Endpoint].
type EndpointFunc func(ctx context.Context, s *Socket, ev Event) error

// ServeEvent calls fn.
func (fn EndpointFunc) ServeEvent(ctx context.Context, s *Socket, ev Event) error {
	return fn(ctx, s, ev)
}

// Callbacks is an [Endpoint] with a function per event. Nil functions are
// skipped. OnClose is also called after an OnOpen that failed.
type Callbacks struct {
	OnOpen  func(ctx context.Context, s *Socket) error            // the socket is registered
	OnData  func(ctx context.Context, s *Socket, m Message) error // a message has come
	OnClose func(ctx context.Context, s *Socket, c Closed)        // the last call, exactly once
}

// ServeEvent calls the function for the event's type, if there is one.
func (c Callbacks) ServeEvent(ctx context.Context, s *Socket, ev Event) error {
	return (*boundCallbacks)(&c).ServeEvent(ctx, s, ev)
}

// A boundCallbacks is the Callbacks of a route. To call a method of those as an Endpoint
// would copy them, and the event once more.
type boundCallbacks Callbacks

func (c *boundCallbacks) ServeEvent(ctx context.Context, s *Socket, ev Event) error {
	switch {
	case ev.Type == EventOpen && c.OnOpen != nil:
		return c.OnOpen(ctx, s)
	case ev.Type == EventData && c.OnData != nil:
		return c.OnData(ctx, s, ev.Message)
	case ev.Type == EventClose && c.OnClose != nil:
		c.OnClose(ctx, s, ev.Closed)
	}
	return nil
}

// PerSocket gives each socket an endpoint of its own. It is the place for state that
// belongs to one socket. The [Endpoint] that it returns calls open for the open event
// of each socket. The endpoint that open returns gets the socket's data and close
// events, also where open returns an error as well; nil stands for none. The error of
// open is the result of the open event, see [Endpoint]. A nil open panics.
func PerSocket(open func(ctx context.Context, s *Socket) (Endpoint, error)) Endpoint {
	if open == nil {
		panic("gateway: PerSocket: nil function")
	}
	return &perSocket{open}
}

type perSocket struct {
	open func(ctx context.Context, s *Socket) (Endpoint, error)
}

func (p *perSocket) ServeEvent(ctx context.Context, s *Socket, ev Event) error {
	if ev.Type == EventOpen {
		ep, err := p.open(ctx, s)
		if ep != nil {
			s.own = &ownEndpoint{p, ep, s.own}
		}
		return err
	}
	for o := s.own; o != nil; o = o.next {
		if o.by == p {
			return o.ep.ServeEvent(ctx, s, ev)
		}
	}
	return nil
}

// ownEndpoint is what one PerSocket made for one socket. A socket may have
// several: middleware can be a PerSocket too.
type ownEndpoint struct {
	by *perSocket
	ep Endpoint

	next *ownEndpoint
}

// A Route binds an endpoint to a pattern.
type Route struct {
	// Pattern has the syntax of the paths of http.ServeMux, without method and
	// host: "/fixed/path", "/with/{param}", "/tail/{rest...}", "/subtree/",
	// "/exactly/{$}". Of several patterns that match, the most specific wins.
	Pattern string
	// Endpoint gets the events of the route's sockets. Nil is refused.
	Endpoint Endpoint

	// Authorize is asked after [Options].Authorize; both must admit. Their
	// admissions are merged, and where they disagree this one wins. Groups and
	// header fields are added.
	Authorize func(r *http.Request) (*Admission, error)

	// Subprotocols are offered to the client in order of preference (RFC 6455,
	// section 1.9).
	Subprotocols []string

	// OnExpiring is called some time before what admitted a socket runs out: the endpoint may
	// ask its client for a new token, and then calls [Socket.Renew]. It is called once for
	// each time of expiry, in a goroutine of its own as by [Socket.Go]: its error decides
	// over the socket, the close event waits for it, and it may run beside an event. Nil
	// means that nobody is told.
	OnExpiring func(ctx context.Context, s *Socket, expires time.Time) error

	// ExpiringBefore is how long before the end OnExpiring is called, or at once where less
	// is left. It is late by a tenth of that at most, by 10 milliseconds at least and by a
	// second at most; where that is all that is left it may not be called. Zero means a
	// minute; negative: never.
	ExpiringBefore time.Duration

	// FixedValues names the values of the admission that RenewWith cannot change, as the
	// user.
	FixedValues []string

	// Limits are those of the route's sockets; zero fields are those of the Options.
	Limits
}

// An Admission is what Authorize attaches to the socket that is about to open.
// A nil *Admission attaches nothing.
type Admission struct {
	// Values say who the socket is. They are shown in [Info], to scripts and on
	// other nodes.
	Values map[string]string

	// Groups are joined in the step that registers the socket. Names that are
	// not valid, and groups above Options.MaxGroupsPerSocket, are logged and
	// not joined.
	Groups []string

	// Context gives the events of the socket its values, but not its end. It
	// must not be the request's context: routers reuse what they put there as soon
	// as the upgrade is done. Nil means the context of the connection, as the
	// BaseContext and ConnContext of the http.Server have made it. Where
	// middleware hides that behind a context of a type of its own that does not
	// embed the one it was made of, there are no values: set them here then.
	Context context.Context

	// Subprotocol is the one that is agreed on, in place of the first of
	// [Route].Subprotocols that the client offers. The client must have offered
	// it, or the request is refused with 500. Empty means no choice.
	Subprotocol string

	// Header has fields for the answer that opens the socket, such as cookies.
	// They are added to those of middleware. Fields of the handshake and fields
	// that describe a body are left out. For those of a refusal see
	// [Error.WithHeader].
	Header http.Header

	// Expires is when the socket is closed, with 1008, cause expired, unless it is renewed
	// before: [Socket.Renew]. The zero time means never.
	Expires time.Time
}

// header returns the fields for the answer. A nil Admission has none.
func (a *Admission) header() http.Header {
	if a == nil {
		return nil
	}
	return a.Header
}

// merge returns a with what b sets; b wins. Either may be nil.
func (a *Admission) merge(b *Admission) *Admission {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	m := *a
	if len(b.Values) > 0 {
		m.Values = make(map[string]string, len(a.Values)+len(b.Values))
		for k, v := range a.Values {
			m.Values[k] = v
		}
		for k, v := range b.Values {
			m.Values[k] = v
		}
	}
	m.Groups = slices.Concat(a.Groups, b.Groups)
	if len(b.Header) > 0 {
		m.Header = a.Header.Clone()
		if m.Header == nil {
			m.Header = http.Header{}
		}
		for name, values := range b.Header {
			m.Header[name] = slices.Concat(m.Header[name], values)
		}
	}
	if b.Subprotocol != "" {
		m.Subprotocol = b.Subprotocol
	}
	if b.Context != nil {
		m.Context = b.Context
	}
	if !b.Expires.IsZero() && (m.Expires.IsZero() || b.Expires.Before(m.Expires)) {
		m.Expires = b.Expires
	}
	return &m
}
