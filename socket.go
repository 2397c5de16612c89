package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// A Socket is one client's WebSocket connection. Its methods are safe from any
// goroutine.
type Socket struct {
	// The fields that every send touches are next to each other: with many sockets none of
	// them is in the processor's caches, and each cache line costs. They are immutable, where
	// nothing else is said.
	h         *Handler
	route     *boundRoute
	traffic   *traffic
	traced    tracers // who follows the socket; has its own lock
	nextFlush *Socket // guarded by crew.mu
	deflate   bool    // permessage-deflate was agreed on
	charged   bool    // req counts in the pool
	lost      bool    // the connection has ended, nothing can be written; of the reader
	rested    bool    // it has been at rest; of the reader
	spoke     bool    // the client has said something; of the reader
	known     bool    // somebody else may have got hold of the connection, and close it
	forgotten bool    // the registry does not know it any more; guarded by mu
	expired   bool    // what admitted it has run out, and it is about to close; guarded by mu
	events    uint32  // counts those behind which nothing had come; of the reader
	out       outbox  // has its own lock
	conn      conn    // mostly owned by the reader

	// Immutable.
	id     string
	req    request
	opened time.Time

	ctx socketContext // of open and data events

	lim limiter // owned by the reader

	own *ownEndpoint // what PerSocket made; owned by the endpoint's calls

	// What the sweeper watches. Times are nanoseconds since the gateway's start.
	lastIn   atomic.Int64 // bytes came
	lastMsg  atomic.Int64 // a message came or went
	msgStart atomic.Int64 // the message that is arriving began; 0: none is
	delays   atomic.Bool  // the reader waits, for the rate delays or memory is short; see readAhead
	// there may have been more to read when the reader last went to wait; see rawio.Conn.Read
	unsure   atomic.Bool
	dozing   atomic.Bool   // the reader is to go to rest when it is woken
	resting  atomic.Bool   // there is no reader, see rest.go
	closing  atomic.Bool   // set under mu
	bare     atomic.Uint32 // number of an event that runs with nothing behind it; 0, or heard
	arriving atomic.Int64  // bytes that the pool counts for the message that is arriving
	watch    watch         // owned by the sweeper

	rareState atomic.Pointer[rareState] // made by rare

	admitted atomic.Pointer[Admission] // may be nil; set under mu

	all membership // of everyone

	mu     lockorder.Mutex[rankSocket]
	last   latest  // guarded by mu, like all that follows
	over   *ending // once closing has begun
	groups []*joined
}

// A latest is the latest event before the socket closes, in few bytes.
type latest struct {
	at      int64 // when, in nanoseconds since 1970
	event   EventType
	message MessageType
	size    int    // bytes of the message
	kept    []byte // a copy of it, if it is short enough
}

// An ending is what a socket that closes needs besides.
type ending struct {
	Event                // of the close
	cutter   *time.Timer // cuts a connection that closes too slowly
	finished bool        // the connection is cut, and cutter is not started any more
}

// A rareState is what few sockets need.
type rareState struct {
	lastWarn int64 // a message above the rate was logged; of the reader

	// Of the sweeper.
	told   time.Time // the end of an admission that the endpoint was told of
	unsent int       // bytes that the kernel held for the client at the last look
	event  uint32    // that ran at the last look; of listen

	listening sync.WaitGroup // of listen
	tasks     sync.WaitGroup // of Go; none is added once closing is set
}

// rare returns the socket's rareState.
func (s *Socket) rare() *rareState {
	if r := s.rareState.Load(); r != nil {
		return r
	}
	s.rareState.CompareAndSwap(nil, new(rareState)) // or another goroutine has
	return s.rareState.Load()
}

// ID returns the socket's id: the 10 characters of its node and 128 random bits.
// It is never used again.
func (s *Socket) ID() string { return s.id }

// Route returns the pattern that the socket's route was registered with.
func (s *Socket) Route() string { return s.route.Pattern }

// PathValue returns the value of a parameter of the route's pattern, or "". A
// query parameter cannot replace it.
func (s *Socket) PathValue(name string) string {
	if i := slices.Index(s.route.names, name); i >= 0 {
		return s.req.path[i]
	}
	return ""
}

// Value returns a value of the socket's [Admission], or "".
func (s *Socket) Value(name string) string {
	if a := s.admission(); a != nil {
		return a.Values[name]
	}
	return ""
}

// Context returns the context of the socket's open and data events. It ends when
// the socket begins to close.
func (s *Socket) Context() context.Context { return &s.ctx }

// Info returns the socket's info with all headers.
func (s *Socket) Info() Info {
	info := Info{
		SocketID: s.id, Node: s.h.node, URI: strings.Clone(s.req.uri()),
		Route: s.route.Pattern, RemoteAddr: strings.Clone(s.req.remote()),
		Subprotocol: strings.Clone(s.req.subprotocol()), Header: s.req.header(),
		Parameters: s.req.parameters(s.route.names),
		Opened:     s.opened, secret: s.h.secret,
	}
	if a := s.admission(); a != nil && len(a.Values) > 0 {
		info.Values = maps.Clone(a.Values)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Groups = groupNames(s.groups)
	info.Last = s.lastLocked()
	if s.over == nil {
		info.LastSize = s.last.size
		info.Last.Message.Data = slices.Clone(s.last.kept)
	}
	return info
}

// lastLocked returns the latest event without its message's data.
func (s *Socket) lastLocked() Event {
	if s.over != nil {
		return s.over.Event
	}
	return Event{Type: s.last.event, Time: time.Unix(0, s.last.at),
		Message: Message{Type: s.last.message}}
}

// Send sends a message to this socket's client, like [Handler.Send]. With the context of
// one of the socket's own events, or of [Socket.Go], it waits while the queue is full,
// until the context ends: nothing is read from a client that does not read.
func (s *Socket) Send(ctx context.Context, m Message) error {
	if err := checkMessage(&m); err != nil {
		return err
	}
	return s.send(ctx, &m)
}

// SendSync sends a message and waits until it is handed to the operating system,
// like [Handler.SendSync].
func (s *Socket) SendSync(ctx context.Context, m Message) error {
	if err := checkMessage(&m); err != nil {
		return err
	}
	return s.sendSync(ctx, &m)
}

// SendWait sends a message and waits for room in the queue, like [Handler.SendWait].
func (s *Socket) SendWait(ctx context.Context, m Message) error {
	if err := checkMessage(&m); err != nil {
		return err
	}
	return s.sendWait(ctx, &m)
}

// Close begins to close the socket with 1000 and returns. It fails with
// ErrClosed if the socket is closing already.
func (s *Socket) Close() error { return s.CloseWith(closeNormal, "") }

// CloseWith begins to close the socket with the code and reason, and returns. It
// fails with ErrInvalid if they cannot be sent, and with ErrClosed if the socket
// is closing already. An empty reason becomes the cause, "operation".
func (s *Socket) CloseWith(code int, reason string) error {
	code, err := checkClose(code, reason)
	if err != nil {
		return err
	}
	if !s.close(Closed{Cause: CauseOperation, Code: code, Reason: reason}) {
		return ErrClosed
	}
	return nil
}

// Go runs fn in a goroutine of its own as part of the socket: its context is that of the
// events and ends when closing begins, a panic closes the socket, and what it returns is
// treated like the result of an event. The close event waits until fn has returned. Once
// closing has begun, Go does nothing.
func (s *Socket) Go(fn func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return
	}
	s.rare().tasks.Go(func() {
		s.verdict(s.call(func() error { return fn(&s.ctx) }))
	})
}

// isClosing reports whether closing has begun.
func (s *Socket) isClosing() bool { return s.closing.Load() }
