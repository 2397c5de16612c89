package gateway

import (
	"bytes"
	"context"
	"runtime/debug"
	"time"
)

// An Observer is told what happens on a gateway: for metrics, traces and audit logs. Nil
// functions are skipped, and cost nothing.
//
// The functions are called from many goroutines at once, as each of them says, without a
// lock of the gateway. They must not block: what happens next on the socket, or to the
// sender, waits for them. They may call operations, but not Shutdown or Drain. A panic in
// one is logged and changes nothing else. None of them sees the content of a message,
// headers, or the query of a request.
type Observer struct {
	// SocketOpened is called in the socket's goroutine, before its open event.
	SocketOpened func(SocketOpened)

	// SocketClosed is called in the socket's goroutine, when its close event has returned.
	// Each SocketOpened has one.
	SocketClosed func(SocketClosed)

	// UpgradeRefused is called in the goroutine of ServeHTTP, when the answer is written.
	UpgradeRefused func(UpgradeRefused)

	// EventServed is called in the socket's goroutine, when its endpoint has returned.
	EventServed func(EventServed)

	// SendRefused is called in the goroutine of the sender for each socket that did not
	// accept a message; of a group, when the message has been offered to all members, and
	// those that accepted it wait for nobody. An id that nobody has is no socket.
	SendRefused func(SendRefused)

	// ScriptRun is called in the socket's goroutine, when a script has run for an event.
	ScriptRun func(ScriptRun)
}

// SocketOpened describes a new socket.
type SocketOpened struct {
	SocketID string    // as of [Socket.ID]
	Route    string    // the pattern
	Opened   time.Time // when its upgrade was accepted
}

// SocketClosed describes a socket that has ended.
type SocketClosed struct {
	SocketID string        // as of [Socket.ID]
	Route    string        // the pattern
	Closed   Closed        // of the close event
	Open     time.Duration // how long it was open, until closing began
}

// UpgradeRefused describes a request that became no socket.
type UpgradeRefused struct {
	Route      string // the pattern, or "" if the request met none
	RemoteAddr string // host:port of the connection, which may be a proxy's
	Type       string // of the error
	Status     int    // of the answer

	Context context.Context // of the request, for its values
}

// EventServed describes an event that an endpoint has had.
type EventServed struct {
	SocketID string        // as of [Socket.ID]
	Route    string        // the pattern
	Event    EventType     // which of the three
	Bytes    int           // of the payload of a data event
	Duration time.Duration // of the endpoint's call
	Err      error         // what it returned, also if that is a verdict; of a panic, its value
}

// SendRefused describes a message that a socket did not accept.
type SendRefused struct {
	SocketID string      // as of [Socket.ID]
	Route    string      // the pattern
	Type     MessageType // of the message
	Bytes    int         // of its payload
	Err      error       // of type queue_full, too_large, closed or timeout
}

// ScriptRun describes the run of a script for one event.
type ScriptRun struct {
	SocketID     string        // as of [Socket.ID]
	Route        string        // the pattern
	Event        EventType     // for which it ran
	Script       string        // FILE:LINE where it begins
	Duration     time.Duration // without what operations and services took
	Instructions int64         // of the VM
	Err          error         // what went wrong in the script, or nil
}

// observerPanicked ends the call of an observer's function; it is deferred.
func (h *Handler) observerPanicked(name string) {
	if v := recover(); v != nil {
		h.log.Error("observer panicked", "function", name, "error", v, "stack", string(debug.Stack()))
	}
}

func (s *Socket) observeOpened() {
	if fn := s.h.opts.Observer.SocketOpened; fn != nil {
		defer s.h.observerPanicked("SocketOpened")
		fn(SocketOpened{s.id, s.route.Pattern, s.opened})
	}
}

func (s *Socket) observeClosed() {
	if fn := s.h.opts.Observer.SocketClosed; fn != nil {
		defer s.h.observerPanicked("SocketClosed")
		s.mu.Lock()
		ev := s.over
		s.mu.Unlock()
		fn(SocketClosed{s.id, s.route.Pattern, ev.Closed, ev.Time.Sub(s.opened)})
	}
}

func (h *Handler) observeRefused(u UpgradeRefused) {
	if fn := h.opts.Observer.UpgradeRefused; fn != nil {
		defer h.observerPanicked("UpgradeRefused")
		fn(u)
	}
}

// serveEvent has the endpoint handle an event, and tells who wants to know.
func (s *Socket) serveEvent(ctx context.Context, ev *Event) error {
	if s.h.opts.Observer.EventServed == nil && !s.isTraced() {
		return s.handle(ctx, ev)
	}
	return s.handleObserved(ctx, ev)
}

func (s *Socket) handleObserved(ctx context.Context, ev *Event) error {
	var body []byte // the message is the endpoint's, which may change it, or give its memory back
	if s.isTraced() {
		body = bytes.Clone(ev.Message.Data[:min(len(ev.Message.Data), mostTraceBody)])
	}
	began := time.Now()
	err := s.handle(ctx, ev)
	took := time.Since(began)
	if fn := s.h.opts.Observer.EventServed; fn != nil {
		s.observeServed(fn, ev, took, err)
	}
	if s.isTraced() {
		s.traceEvent(ev, body, took, err)
	}
	return err
}

func (s *Socket) observeServed(fn func(EventServed), ev *Event, took time.Duration, err error) {
	defer s.h.observerPanicked("EventServed")
	fn(EventServed{s.id, s.route.Pattern, ev.Type, len(ev.Message.Data), took, err})
}

// sendRefused counts a message that the socket did not accept, tells who wants to know,
// and returns the error.
func (s *Socket) sendRefused(m *Message, err error) error {
	s.countRefused(m, err)
	s.observeSendRefused(m, err)
	return err
}

func (s *Socket) countRefused(m *Message, err error) {
	s.route.stats.sendsRefused[refusalOf(err)].Add(1)
	if s.isTraced() {
		s.trace(&TraceRecord{Kind: TraceRefused, Err: err, Type: m.Type, Bytes: len(m.Data)}, m.Data)
	}
}

func (s *Socket) observeSendRefused(m *Message, err error) {
	if fn := s.h.opts.Observer.SendRefused; fn != nil {
		defer s.h.observerPanicked("SendRefused")
		fn(SendRefused{s.id, s.route.Pattern, m.Type, len(m.Data), err})
	}
}

// ScriptRan tells the gateway's observer of a script that has run for an event of this
// socket; id and route are filled in. It is for packages that run scripts, as package lua
// does.
func (s *Socket) ScriptRan(run ScriptRun) {
	if fn := s.h.opts.Observer.ScriptRun; fn != nil {
		defer s.h.observerPanicked("ScriptRun")
		run.SocketID, run.Route = s.id, s.route.Pattern
		fn(run)
	}
}
