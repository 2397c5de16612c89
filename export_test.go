package gateway

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"reflect"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/wsgateway/gateway/internal/pattern"
	"github.com/wsgateway/gateway/internal/rawio"
)

// Leftovers names what a gateway still holds of sockets that have ended.
func Leftovers(h *Handler) []string {
	var left []string
	for i := range h.hub.shards {
		sh := &h.hub.shards[i]
		sh.mu.RLock()
		for id := range sh.sockets {
			left = append(left, "the registry knows socket "+id)
		}
		sh.mu.RUnlock()
	}
	left = append(left, leftInMemory(h)...)
	h.hub.mu.Lock()
	defer h.hub.mu.Unlock()
	if h.hub.n != 0 || h.hub.pending != 0 {
		left = append(left,
			fmt.Sprintf("%d sockets are counted, %d of them to come", h.hub.n, h.hub.pending))
	}
	for addr, n := range h.hub.perAddr {
		left = append(left, fmt.Sprintf("%d sockets are counted for %v", n, addr))
	}
	if names := h.groups.names(); len(names) != 0 || h.everyone.len() != 0 {
		left = append(left, fmt.Sprintf("groups %q and %d members of everyone", names, h.everyone.len()))
	}
	for _, c := range []*crew{&h.flusher.quick, &h.flusher.patient} {
		c.mu.Lock()
		if c.waiting != 0 || c.workers != 0 || c.stuck != 0 || len(c.writing) != 0 || c.looked {
			left = append(left,
				fmt.Sprintf("the flusher has %d sockets and %d workers, and is looked at: %v", c.waiting,
					c.workers, c.looked))
		}
		c.mu.Unlock()
	}
	return left
}

// leftInMemory names what is still counted, and who still sweeps.
func leftInMemory(h *Handler) []string {
	var left []string
	for name, n := range map[string]int64{"queued": h.memory.queued.Used(),
		"waiting": h.memory.waiting.Used(), "received": h.memory.received.Used()} {
		if n != 0 {
			left = append(left, fmt.Sprintf("%d bytes are counted as %s", n, name))
		}
	}
	closed := h.hub.isClosed()
	h.sweeper.mu.Lock()
	defer h.sweeper.mu.Unlock()
	if h.sweeper.armed && closed { // otherwise it ends itself a second after the last socket
		left = append(left, "the sweeper runs")
	}
	for _, l := range h.sweeper.lists {
		if len(l.sockets) > 0 {
			left = append(left, fmt.Sprintf("%d sockets are swept", len(l.sockets)))
		}
	}
	return left
}

// Limiter is the rate limiter of one socket.
type Limiter struct{ l limiter }

// Take is limiter.take at a time after the start.
func (l *Limiter) Take(at time.Duration, rate float64, burst int) time.Duration {
	return l.l.take(int64(at), rate, burst)
}

// Note keeps an event for Info, as the arrival of a message does.
func (s *Socket) Note(ev Event) bool { return s.note(&ev) }

// Match finds the route for an escaped path as an upgrade does: its pattern and
// the values of its parameters, or the error that refuses it.
func Match(h *Handler, escaped string) (text string, values []string, err *Error) {
	rt, values, err := h.routes.load().match(escaped)
	if err != nil {
		return "", nil, err
	}
	return rt.Pattern, values, nil
}

// Sweep is one look of the sweeper at every socket.
func Sweep(h *Handler) {
	now := h.since(time.Now())
	sweepAlone(h, func() {
		for s := range h.hub.all() {
			s.sweep(now)
		}
	})
}

// SweepAt is one look of the sweeper at a socket, at a time since the gateway's start.
func SweepAt(s *Socket, now time.Duration) { sweepAlone(s.h, func() { s.sweep(int64(now)) }) }

// sweepAlone does it in the sweeper's place, which never sweeps twice at a time.
func sweepAlone(h *Handler, fn func()) {
	for !takeSweeps(h) {
		runtime.Gosched()
	}
	fn()
	SweepHangs(h, false)
}

func takeSweeps(h *Handler) bool {
	h.sweeper.mu.Lock()
	defer h.sweeper.mu.Unlock()
	free := !h.sweeper.sweeping
	h.sweeper.sweeping = true
	return free
}

// SweepHangs makes it seem as if a sweep were under way, or ends that.
func SweepHangs(h *Handler, hangs bool) {
	sw := &h.sweeper
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.sweeping = hangs
	now := h.since(time.Now())
	due, ok := sw.nextLocked()
	switch {
	case hangs:
	case ok:
		sw.hurryLocked(now, due)
		sw.setLocked(now, due) // it may have fired meanwhile
	case sw.armed:
		sw.setLocked(now, now)
	}
}

// Arriving is when the message began that is arriving, and Said when the latest came or
// went, in nanoseconds since the gateway's start.
func Arriving(s *Socket) *atomic.Int64 { return &s.msgStart }
func Said(s *Socket) *atomic.Int64     { return &s.lastMsg }

// ServedInside reports whether messages of the socket may be served inside the read.
func ServedInside(s *Socket) bool { return s.conn.raw != nil && s.conn.raw.Stays() }

// Doubted returns how many sockets are to be looked at again because their last read may
// have left something, and whether that is soon: a moment from now, and the timer is set.
func Doubted(h *Handler) (n int, soon bool) {
	sw := &h.sweeper
	sw.mu.Lock()
	defer sw.mu.Unlock()
	set := sw.sweeping || sw.armed && sw.due <= sw.lookDue
	return len(sw.doubts), set && sw.lookDue <= h.since(time.Now())+int64(slowTalker)
}

// Rest sends to rest who has been silent for long enough, as the sweeper does.
func Rest(h *Handler) {
	now := h.since(time.Now())
	for s := range h.hub.all() {
		s.doze(now)
	}
}

// Flushing reports whether a worker of the flusher runs that writes to descriptors.
func Flushing(h *Handler) bool {
	h.flusher.quick.mu.Lock()
	defer h.flusher.quick.mu.Unlock()
	return h.flusher.quick.workers > 0
}

// Wake ends a read that waits, as a sweeper does that wants the reader to go to rest.
func Wake(s *Socket) { s.conn.wake() }

// Heard reports whether somebody reads in the reader's place.
func Heard(s *Socket) bool { return s.bare.Load() == heard }

// TLSBuffers is the capacity of the buffers that TLS reads into for a socket at rest, and how
// many there are. It takes the reader's place, and reports false where there is a reader.
func TLSBuffers(s *Socket) (n, buffers int, rested bool) {
	if !s.stir() {
		return 0, 0, false
	}
	defer func() { go s.loop() }()
	t := s.conn.nc.(*tls.Conn)
	for _, offset := range tlsBuffers {
		n += (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(t), offset)).Cap()
	}
	return n, len(tlsBuffers), true
}

// Unread reports whether the kernel has something of the socket's client.
func Unread(s *Socket) bool { return s.conn.fd.More() }

// CanRest reports whether the socket's connection can be waited for without a reader.
func CanRest(s *Socket) bool { return s.conn.fd.Valid() }

// QueueCap returns how many frames the socket's queue has room for.
func QueueCap(s *Socket) int {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.queue.Cap()
}

// ParseQuery reads a query as an upgrade does, or says why it is refused.
func ParseQuery(raw string) (Parameters, error) {
	if err := pattern.CheckQuery(raw); err != nil {
		return nil, err
	}
	return pattern.ParseQuery(raw)
}

// ReadBufferTwice reports whether one of the pooled read buffers is in the pool twice,
// as far as n of them show it.
func ReadBufferTwice(n int) bool {
	seen := map[*rawio.Buffer]bool{}
	for range n {
		buf := rawio.GetBuffer()
		if seen[buf] {
			return true
		}
		seen[buf] = true
	}
	return false
}

// SweepInterval returns how often a socket with this shortest timeout is looked at.
func SweepInterval(shortest time.Duration) time.Duration {
	return sweepInterval(sweepClass(shortest))
}

// SweepsLeftOut returns how many of the next sweeps leave the socket out.
func SweepsLeftOut(s *Socket) int {
	sw := &s.h.sweeper
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if skip := sw.skipLocked(s); skip != nil && *skip != looking {
		return int(*skip)
	}
	return 0
}

// SweptEvery returns how often the socket is looked at.
func SweptEvery(s *Socket) time.Duration { return sweepInterval(s.route.sweepClass) }

// RequestSize returns what the socket keeps of its upgrade request, in bytes.
func RequestSize(s *Socket) int { return s.req.size() }

// SocketSize is the size of a Socket in bytes.
var SocketSize = reflect.TypeFor[Socket]().Size()

// Traced reports whether some socket is followed by a trace, or would be.
func Traced(h *Handler) bool {
	for s := range h.hub.all() {
		if s.isTraced() {
			return true
		}
	}
	return h.tracers.current.Load() != nil
}

// WaitTurn is what a reader does whose client sends faster than it is read.
func WaitTurn(h *Handler) { h.turns.wait() }

// TakeAllTurns has every such reader wait until the function is called that it returns.
func TakeAllTurns(h *Handler) (end func()) {
	for range cap(h.turns) {
		h.turns <- struct{}{}
	}
	return func() {
		for range cap(h.turns) {
			<-h.turns
		}
	}
}
