package gateway

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// A Socket is one client's WebSocket connection. Its methods are safe from any
// goroutine.
type Socket struct {
	// Immutable.
	h      *Handler
	id     string
	route  *boundRoute
	req    request
	admit  *Admission // may be nil
	shard  *shard
	opened time.Time
	link   link // mostly owned by the reader

	out outbox        // has its own lock
	ctx socketContext // of open and data events

	// Owned by the reader, the goroutine of run.
	lim      limiter
	lastWarn int64
	gone     bool // the connection has ended; nothing can be written

	own []ownEndpoint // what PerSocket made; owned by the endpoint's calls

	nextFlush *Socket // guarded by flusher.mu

	// What the sweeper watches. Times are nanoseconds since the gateway's start.
	lastIn   atomic.Int64 // bytes came
	lastMsg  atomic.Int64 // a message came or went
	msgStart atomic.Int64 // the message that is arriving began; 0: none is
	busy     atomic.Bool  // the reader is not reading: an endpoint runs, or the rate delays
	unsure   atomic.Bool  // the connection may have ended when the reader last went to wait; see rawConn.read
	pingAt   int64        // a ping was sent and nothing came since; 0: none. Owned by the sweeper

	tasks sync.WaitGroup // of Go; none is added once closing is set

	closing atomic.Bool // set under mu

	all membership // of everyone

	mu     sync.Mutex
	last   Event  // the latest event; its message is in kept; guarded by mu, like all that follows
	size   int    // of the latest message
	kept   []byte // a copy of it, if it is short enough
	groups []*membership
	cutter *time.Timer
}

// ID returns the socket's id: the 10 characters of its node and 128 random bits.
// It is never used again.
func (s *Socket) ID() string { return s.id }

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
	if s.admit == nil {
		return ""
	}
	return s.admit.Values[name]
}

// Context returns the context of the socket's open and data events. It ends when
// the socket begins to close.
func (s *Socket) Context() context.Context { return &s.ctx }

// Info returns the socket's info with all headers.
func (s *Socket) Info() Info {
	info := Info{
		SocketID: s.id, Node: s.h.node, URI: s.req.uri, Route: s.route.Pattern, RemoteAddr: s.req.remote,
		Subprotocol: s.req.subprotocol, Header: s.req.header(), Parameters: s.req.parameters(s.route.names),
		Opened: s.opened, secret: s.h.secret,
	}
	if s.admit != nil && len(s.admit.Values) > 0 {
		info.Values = make(map[string]string, len(s.admit.Values))
		for k, v := range s.admit.Values {
			info.Values[k] = v
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info.Groups = groupNames(s.groups)
	info.Last, info.LastSize = s.last, s.size
	info.Last.Message.Data = slices.Clone(s.kept)
	return info
}

// Send sends a message to this socket's client, like [Handler.Send]. With the
// context of one of the socket's own events, or of [Socket.Go], it waits while
// the queue is full, until the context ends: the client does not read, so it is
// not read from either.
func (s *Socket) Send(ctx context.Context, m Message) error {
	if err := checkMessage(m); err != nil {
		return err
	}
	return s.send(ctx, m)
}

// SendSync sends a message and waits until it is handed to the operating system,
// like [Handler.SendSync].
func (s *Socket) SendSync(ctx context.Context, m Message) error {
	if err := checkMessage(m); err != nil {
		return err
	}
	return s.sendSync(ctx, m)
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
	if !s.beginClose(Closed{Cause: CauseOperation, Code: code, Reason: reason}) {
		return ErrClosed
	}
	return nil
}

// Go runs fn in a goroutine of its own as part of the socket: its context is that
// of the events and ends when closing begins, a panic closes the socket, and
// what it returns decides over the socket as the result of an event does. The
// close event waits until fn has returned. Once closing has begun, Go does
// nothing.
func (s *Socket) Go(fn func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return
	}
	s.tasks.Go(func() {
		s.verdict(s.call(func() error { return fn(&s.ctx) }))
	})
}

// checkMessage finds what no socket takes.
func checkMessage(m Message) error {
	switch m.Type {
	case MessageText:
		if !utf8.Valid(m.Data) {
			return invalidf("a text message must be UTF-8; send other bytes with Binary")
		}
	case MessageBinary:
	default:
		return invalidf("a message is made with Text, Binary or JSON; its type is %d", m.Type)
	}
	return nil
}

// encode turns a checked message into a frame for this socket.
func (s *Socket) encode(m Message) (*frame, error) {
	if err := s.checkSize(m); err != nil {
		return nil, err
	}
	if s.deflates(m) {
		return newFrame(dataByte(m.Type, true), deflate(m.Data), m.Key), nil
	}
	return newFrame(dataByte(m.Type, false), m.Data, m.Key), nil
}

func (s *Socket) checkSize(m Message) error {
	if limit := s.route.lim.SendLimit; limit >= 0 && int64(len(m.Data)) > limit {
		return ErrTooLarge.withf("the message has %d bytes, the limit is %d", len(m.Data), limit)
	}
	return nil
}

// deflates reports whether the message is compressed for this socket.
func (s *Socket) deflates(m Message) bool {
	return s.link.scan.deflate && len(m.Data) >= deflateThreshold
}

// joinSize is up to how many bytes of payload a message is copied under the outbox's
// lock.
const joinSize = 1 << 10

// joins reports whether the message can share a buffer with others.
func (s *Socket) joins(m Message) bool {
	return m.Key == "" && len(m.Data) <= joinSize && s.checkSize(m) == nil && !s.deflates(m)
}

// send is Send after checkMessage.
func (s *Socket) send(ctx context.Context, m Message) error {
	if ctx.Err() != nil {
		return s.closedError(timeout(ctx))
	}
	own := s.ownContext(ctx)
	if !own && s.joins(m) && s.out.join(dataByte(m.Type, false), m.Data) {
		return s.sent(m, nil)
	}
	f, err := s.encode(m)
	if err != nil {
		return err
	}
	if own {
		err = s.out.sendOwn(ctx, f)
	} else {
		err = s.out.put(f)
	}
	return s.sent(m, err)
}

func (s *Socket) sendSync(ctx context.Context, m Message) error {
	f, err := s.encode(m)
	if err != nil {
		return err
	}
	return s.sent(m, s.out.putSync(ctx, f))
}

// sent counts what was accepted.
func (s *Socket) sent(m Message, err error) error {
	if err != nil {
		return s.closedError(err)
	}
	s.shard.messagesOut.Add(1)
	s.shard.bytesOut.Add(uint64(len(m.Data)))
	if s.route.lim.IdleTimeout > 0 {
		s.lastMsg.Store(s.h.since(time.Now()))
	}
	return nil
}

// closedError turns the end of the socket's own context, under which a send
// waited, into what it means.
func (s *Socket) closedError(err error) error {
	if errors.Is(err, ErrTimeout) && s.isClosing() {
		return ErrClosed
	}
	return err
}

// isClosing reports whether closing has begun.
func (s *Socket) isClosing() bool { return s.closing.Load() }

// slowTalker is the silence after which a socket is taken for one that says
// something only now and then.
const slowTalker = 100 * time.Millisecond

// run begins the socket's life.
func (s *Socket) run() {
	opened := false
	defer func() {
		if !opened { // the endpoint has ended the goroutine
			s.finish()
		}
	}()
	s.event(Event{Type: EventOpen, Time: s.opened})
	opened = true
	if s.route.ignoresOpen {
		s.loop()
	} else {
		go s.loop() // on a stack that has not grown
	}
}

// loop is the rest of the socket's life, in the goroutine that is its reader. An
// endpoint makes the stack grow, and it would stay large while the socket is
// silent; so the reader of a slow talker is followed by a new one.
func (s *Socket) loop() {
	followed := false
	defer func() {
		if !followed {
			s.finish()
		}
	}()
	for silent := time.Duration(0); silent < slowTalker || s.link.waiting() > 0; {
		before := s.link.at
		if err := s.link.await(); err != nil {
			s.ended(err)
			return
		}
		if silent = s.link.at.Sub(before); !s.read() {
			return
		}
	}
	followed = true
	go s.loop()
}

// read reads a message and has it served. It reports false at the end of the
// socket.
func (s *Socket) read() bool {
	m, err := s.link.receiveMessage()
	if errors.Is(err, errIdle) {
		return true // only control frames have come
	}
	if err != nil {
		s.ended(err)
		return false
	}
	s.serve(m)
	return true
}

// serveWhole serves, inside the read that brought them, the messages that are here
// as a whole and of the simplest kind. It reports whether that was all, and the
// reader would only come back to wait for more.
func (s *Socket) serveWhole() (done bool) {
	l := &s.link
	for !s.isClosing() {
		f, ok := l.wholeFrame()
		if !ok {
			break
		}
		m, err := l.takeFrame(f)
		if err != nil {
			l.refuse(err)
			return false
		}
		s.serve(m)
	}
	if !l.scan.idle() || len(l.in) > 0 || s.isClosing() || s.out.flushOwn() {
		return false
	}
	if !s.unsure.Load() {
		s.unsure.Store(true)
	}
	return true
}

// serve delivers a message, if the rate allows it.
func (s *Socket) serve(m Message) {
	at := s.link.at
	if s.isClosing() || !s.withinRate(at) {
		return
	}
	s.shard.messagesIn.Add(1)
	s.shard.bytesIn.Add(uint64(len(m.Data)))
	s.event(Event{Type: EventData, Time: at, Message: m})
}

// event delivers an open or data event and acts on the verdict. The open event
// comes even if closing has begun, for a close event will.
func (s *Socket) event(ev Event) {
	if !s.note(ev) && ev.Type != EventOpen {
		return
	}
	s.busy.Store(true)
	mode := int32(modeNow)
	if s.link.waiting() > 0 {
		mode = modeCollect
	}
	s.out.mode.Store(mode)
	s.verdict(s.call(func() error { return s.route.ep.ServeEvent(&s.ctx, s, ev) }))
	s.busy.Store(false)
}

// note keeps the event for Info. It reports false once closing has begun.
func (s *Socket) note(ev Event) bool {
	data := ev.Message.Data
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.last, s.size = ev, len(data)
	s.last.Message.Data = nil
	switch {
	case len(data) > s.h.opts.KeepMessage:
		s.kept = nil
	case cap(s.kept) < len(data) || cap(s.kept) > 4*len(data)+64:
		s.kept = append([]byte(nil), data...)
	default:
		s.kept = append(s.kept[:0], data...)
	}
	if s.route.lim.IdleTimeout > 0 {
		s.lastMsg.Store(s.h.since(ev.Time))
	}
	return true
}

// A panicError is what was recovered, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// call runs user code and turns a panic into an error. Code that ends the
// goroutine is a panic too; then call does not return, and the caller's deferred
// calls find the socket closing.
func (s *Socket) call(fn func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v != nil {
			err = &panicError{v, debug.Stack()}
			return
		}
		s.verdict(&panicError{"runtime.Goexit", debug.Stack()})
	}()
	err = fn()
	returned = true
	return err
}

// verdict acts on what an endpoint returned. Its error's methods are the
// endpoint's code too, and may panic.
func (s *Socket) verdict(err error) {
	if err == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			s.panicked(&panicError{v, debug.Stack()})
		}
	}()
	var wanted *CloseError
	var panicked *panicError
	switch {
	case errors.As(err, &panicked):
		s.panicked(panicked)
	case errors.As(err, &wanted):
		c := wanted.closed()
		c.Err = err
		s.beginClose(c)
	case fromOperation(err):
		s.failed("endpoint passed on the error of an operation", err)
	default:
		s.failed("endpoint failed", err)
		s.beginClose(Closed{Cause: CauseEndpoint, Code: closeInternal, Err: err})
	}
}

// panicked closes the socket whose endpoint panicked.
func (s *Socket) panicked(p *panicError) {
	s.h.stats.endpointErrors.Add(1)
	s.h.log.Error("endpoint panicked", s.attrs("error", p.Error(), "stack", string(p.stack))...)
	s.beginClose(Closed{Cause: CausePanic, Code: closeInternal, Err: p})
}

// failed notes what an endpoint returned.
func (s *Socket) failed(text string, err error) {
	s.h.stats.endpointErrors.Add(1)
	s.h.log.Warn(text, s.attrs("error", err.Error())...)
}

func (s *Socket) attrs(more ...any) []any {
	return append([]any{"socket_id", s.id, "route", s.route.Pattern}, more...)
}

// withinRate takes a token for a message, or does what the route's policy says.
func (s *Socket) withinRate(at time.Time) bool {
	lim := &s.route.lim
	if lim.MessagesPerSecond < 0 {
		return true
	}
	now := s.h.since(at)
	wait := s.lim.take(now, lim.MessagesPerSecond, lim.Burst)
	if wait == 0 {
		return true
	}
	s.warnRate(now)
	switch lim.OnRateExceeded {
	case RateDrop:
		s.h.stats.rateDropped.Add(1)
		return false
	case RateClose:
		s.beginClose(Closed{Cause: CauseRateLimited, Code: closePolicy})
		return false
	}
	s.h.stats.rateDelayed.Add(1)
	return s.delay(wait)
}

// delay waits until the rate allows a message. Meanwhile nothing is read: TCP
// pushes back. It reports false if the socket begins to close.
func (s *Socket) delay(wait time.Duration) bool {
	s.out.flushOwn()
	s.busy.Store(true)
	defer s.busy.Store(false)
	lim := &s.route.lim
	for wait > 0 {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-s.ctx.Done():
			t.Stop()
			return false
		}
		wait = s.lim.take(s.h.since(time.Now()), lim.MessagesPerSecond, lim.Burst)
	}
	return true
}

// warnRate logs at most once a second for a socket.
func (s *Socket) warnRate(now int64) {
	if s.lastWarn == 0 || now-s.lastWarn >= int64(time.Second) {
		s.lastWarn = now
		s.h.log.Warn("message above the rate", s.attrs("policy", s.route.lim.OnRateExceeded.String())...)
	}
}

// refused is told of every message that the outbox refused.
func (s *Socket) refused(err error) {
	if err != ErrQueueFull {
		return
	}
	s.h.stats.queueFull.Add(1)
	if s.route.lim.OnQueueFull == QueueClose {
		s.beginClose(Closed{Cause: CauseSlowConsumer, Code: closePolicy})
	}
}

// beforeRead is called before the reader may block: what was collected for the
// client leaves, and too many pongs that it does not read hold it up.
func (s *Socket) beforeRead(boundary bool) {
	if s.out.flushOwn() && boundary {
		s.out.waitControl()
	}
}
