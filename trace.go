package gateway

import (
	"bytes"
	"context"
	"iter"
	"strings"
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
)

const (
	defaultTraceBuffer = 1024
	mostTraceBuffer    = 64 << 10
	mostTraceBody      = 4 << 10
)

// TraceOptions say what [Handler.TraceWith] follows: one of Socket, Route and Group.
type TraceOptions struct {
	Socket string // the id of one socket
	Route  string // the pattern of a route: its sockets, those that open later too
	Group  string // the members of a named group, those that join later too

	// Sample is the part of the sockets of a route or a group that is followed: 0.01 is one
	// of a hundred. A socket is followed from its beginning to its end, or not at all. Zero
	// means all.
	Sample float64

	// Body is how many bytes of each message are shown, up to 4 KiB. Zero means none.
	Body int

	// Buffer is how many records wait for the one who reads, up to 65,536. More are lost, and
	// counted. Zero means 1,024.
	Buffer int
}

// A TraceKind says what a record of a trace is about.
type TraceKind string

const (
	TraceEvent   TraceKind = "event"   // an endpoint has had an event
	TraceSent    TraceKind = "sent"    // a message was accepted for the client
	TraceRefused TraceKind = "refused" // a message was not accepted
	TraceClosing TraceKind = "closing" // the socket begins to close
	TraceLost    TraceKind = "lost"    // nothing but Lost: there is no record after those, yet
)

// A TraceRecord is one thing that has happened to a socket.
type TraceRecord struct {
	Time     time.Time // of an event, when it was received
	SocketID string    // as of [Socket.ID]; of lost ones that of the trace, or ""
	Route    string    // the pattern; of lost ones that of the trace, or ""
	Kind     TraceKind // which of the other fields count
	Lost     uint64    // records before this one that found no room in the buffer

	Event    EventType     // of an event
	Duration time.Duration // of the endpoint's call for an event
	Err      error         // what the endpoint returned, or why a message was refused

	Type  MessageType // of a data event, or of a message to the client
	Bytes int         // of its payload
	Body  []byte      // its beginning; nil unless TraceOptions.Body asks for it

	Closed Closed // of closing, and of a close event
}

// Trace follows one socket: its events, messages to it, refusals and its end, live. The
// sequence begins when it is iterated over; nothing is seen of before. It ends when the
// socket has ended or ctx does. An error is the last that it yields, with a zero record:
// ErrInvalid for the id, ErrNotFound, or ErrUnsupported for a socket of another node of a
// cluster: a trace sees its own node alone, and the text says which one to ask.
//
// Whoever reads too slowly loses records and is told how many, see [TraceRecord]; what is
// told and what is lost together are all. The
// gateway waits for no trace, and one that nobody makes costs nothing. See TraceWith for
// routes and groups, and to see what messages say.
func (h *Handler) Trace(ctx context.Context, id string) iter.Seq2[TraceRecord, error] {
	return h.TraceWith(ctx, TraceOptions{Socket: id})
}

// TraceWith is Trace with options. A trace of a route or group ends only with ctx. It fails
// with ErrInvalid for the options, with ErrNotFound for a socket or a route that does not
// exist, and with ErrUnsupported for a socket of another node.
func (h *Handler) TraceWith(ctx context.Context, o TraceOptions) iter.Seq2[TraceRecord, error] {
	return func(yield func(TraceRecord, error) bool) {
		tr, err := h.startTrace(o)
		if err != nil {
			yield(TraceRecord{}, err)
			return
		}
		defer h.stopTrace(tr)
		for ctx.Err() == nil {
			r, ok, over := tr.next()
			switch {
			case ok:
				if !yield(r, nil) {
					return
				}
				continue
			case over:
				return
			}
			select {
			case <-tr.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}

// A tracer is one trace that somebody reads.
type tracer struct {
	o    TraceOptions
	wake chan struct{} // there is something to read; holds one value

	mu      lockorder.Mutex[rankTracer]
	records []TraceRecord // that wait
	lost    uint64        // since the last of them
	over    bool          // there come no more
}

// check returns the options with defaults filled in.
func (o TraceOptions) check(h *Handler) (TraceOptions, error) {
	n := 0
	for _, s := range []string{o.Socket, o.Route, o.Group} {
		if s != "" {
			n++
		}
	}
	switch {
	case n != 1:
		return o, invalidf("a trace follows one of a socket, a route and a group")
	case !(o.Sample >= 0 && o.Sample <= 1):
		return o, invalidf("TraceOptions.Sample is %v, and not between 0 and 1", o.Sample)
	case o.Body < 0 || o.Body > mostTraceBody:
		return o, invalidf("TraceOptions.Body is %d, and not between 0 and %d", o.Body, mostTraceBody)
	case o.Buffer < 0 || o.Buffer > mostTraceBuffer:
		return o, invalidf("TraceOptions.Buffer is %d, and not between 0 and %d",
			o.Buffer, mostTraceBuffer)
	case o.Route != "" && h.routes.load().byText[o.Route] == nil:
		return o, NewError(ErrNotFound, "no route has the pattern %.100q", o.Route)
	}
	if o.Buffer == 0 {
		o.Buffer = defaultTraceBuffer
	}
	if o.Sample == 0 {
		o.Sample = 1
	}
	return o, nil
}

func (h *Handler) startTrace(o TraceOptions) (*tracer, error) {
	o, err := o.check(h)
	if err != nil {
		return nil, err
	}
	tr := &tracer{o: o, wake: make(chan struct{}, 1)}
	if o.Socket != "" {
		s, err := h.find(o.Socket)
		if err != nil && h.isForeign(o.Socket) {
			err = NewError(ErrUnsupported, "the socket is of node %s: it can be traced there",
				o.Socket[:nodeLen])
		}
		if err == nil && !s.follow(tr) {
			err = ErrNotFound
		}
		return tr, err
	}
	h.tracers.add(tr) // before those that are here: none slips through
	if o.Route != "" {
		for s := range h.hub.all() {
			s.traceRoute(tr)
		}
		return tr, nil
	}
	for _, m := range h.groups.members(o.Group) {
		if s := m.socket.Load(); s != nil && sampled(s.id, o.Sample) {
			s.follow(tr)
		}
	}
	return tr, nil
}

func (h *Handler) stopTrace(tr *tracer) {
	tr.end()
	if tr.o.Socket != "" {
		if s := h.hub.get(tr.o.Socket); s != nil {
			s.unfollow(tr)
		}
		return
	}
	h.tracers.remove(tr)
	for s := range h.hub.all() {
		s.unfollow(tr)
	}
}

// follow has the tracer told what happens to the socket, and reports false if that has
// ended.
func (s *Socket) follow(tr *tracer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.followLocked(tr)
}

func (s *Socket) followLocked(tr *tracer) bool {
	if s.forgotten {
		return false
	}
	s.traced.add(tr)
	if tr.isOver() { // stopTrace may have looked here before
		s.traced.remove(tr)
	}
	return true
}

func (s *Socket) unfollow(tr *tracer) {
	if s.traced.current.Load() != nil {
		s.traced.remove(tr)
	}
}

// traceRoute follows the socket if the tracer is for its route, and it is among the sample.
func (s *Socket) traceRoute(tr *tracer) {
	if tr.o.Route == s.route.Pattern && sampled(s.id, tr.o.Sample) {
		s.follow(tr)
	}
}

// traceOpened is called when the socket is in the registry.
func (s *Socket) traceOpened() {
	for _, tr := range s.h.tracers.all() {
		s.traceRoute(tr)
	}
}

// traceJoinedLocked is called when the socket is in the group.
func (s *Socket) traceJoinedLocked(group string) {
	for _, tr := range s.h.tracers.all() {
		if tr.o.Group == group && sampled(s.id, tr.o.Sample) {
			s.followLocked(tr)
		}
	}
}

// traceLeft ends what traceJoinedLocked began.
func (s *Socket) traceLeft(group string) {
	for _, tr := range s.h.tracers.all() {
		if tr.o.Group == group {
			s.unfollow(tr)
		}
	}
}

// sampled reports whether a socket is in a part of all. The end of an id is random, 5 bits
// a character.
func sampled(id string, part float64) bool {
	const chars, letters = 4, "abcdefghijklmnopqrstuvwxyz234567"
	v := 0
	for _, c := range id[len(id)-chars:] {
		v = v<<5 | strings.IndexRune(letters, c)
	}
	return float64(v) < part*(1<<(5*chars))
}

// traceForget is called when the socket has ended: there is nothing more to tell.
func (s *Socket) traceForget() {
	s.mu.Lock()
	s.forgotten = true
	all := s.traced.all()
	s.mu.Unlock()
	for _, tr := range all {
		if tr.o.Socket != "" {
			tr.end()
		}
	}
}

// trace tells the tracers of the socket. Callers ask traced.current before, so that it
// costs nothing where nobody looks.
func (s *Socket) trace(r *TraceRecord, body []byte) {
	r.SocketID, r.Route = s.id, s.route.Pattern
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	for _, tr := range s.traced.all() {
		tr.put(*r, body)
	}
}

func (s *Socket) isTraced() bool { return s.traced.current.Load() != nil }

// traceEvent tells of an event that the endpoint has had; body is the message as it came, or
// nil if nobody followed the socket then.
func (s *Socket) traceEvent(ev *Event, body []byte, took time.Duration, err error) {
	s.trace(&TraceRecord{
		Kind: TraceEvent, Event: ev.Type, Duration: took, Err: err, Time: ev.Time,
		Type: ev.Message.Type, Bytes: len(ev.Message.Data), Closed: ev.Closed,
	}, body)
}

// traceSent and traceClosing are functions of their own, or every send and close would need
// the stack for a record.
//
//go:noinline
func (s *Socket) traceSent(m *Message) {
	s.trace(&TraceRecord{Kind: TraceSent, Type: m.Type, Bytes: len(m.Data)}, m.Data)
}

//go:noinline
func (s *Socket) traceClosing(c Closed) {
	s.trace(&TraceRecord{Kind: TraceClosing, Closed: c}, nil)
}

// put keeps a record if there is room.
func (tr *tracer) put(r TraceRecord, body []byte) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch {
	case tr.over:
		return
	case len(tr.records) >= tr.o.Buffer:
		tr.lost++
		return
	}
	if n := min(tr.o.Body, len(body)); n > 0 {
		r.Body = bytes.Clone(body[:n])
	}
	r.Lost, tr.lost = tr.lost, 0
	tr.records = append(tr.records, r)
	tr.signal()
}

// end says that there come no more records.
func (tr *tracer) end() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.over = true
	tr.signal()
}

func (tr *tracer) isOver() bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.over
}

func (tr *tracer) signal() {
	select {
	case tr.wake <- struct{}{}:
	default:
	}
}

// next takes the first record that waits.
func (tr *tracer) next() (r TraceRecord, ok, over bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if len(tr.records) == 0 {
		tr.records = nil
		if lost := tr.lost; lost > 0 { // perhaps the last that would have been said
			tr.lost = 0
			return TraceRecord{Time: time.Now(), SocketID: tr.o.Socket, Route: tr.o.Route,
				Kind: TraceLost, Lost: lost}, true, false
		}
		return TraceRecord{}, false, tr.over
	}
	r = tr.records[0]
	tr.records[0] = TraceRecord{}
	tr.records = tr.records[1:]
	return r, true, false
}
