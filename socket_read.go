package gateway

import (
	"errors"
	"runtime"
	"runtime/pprof"
	"time"
)

// slowTalker is the silence after which a socket is taken for one that says
// something only now and then.
const slowTalker = 100 * time.Millisecond

// run is the first goroutine of the socket's life.
func (s *Socket) run() {
	growStack()
	pprof.SetGoroutineLabels(labelReader)
	s.begin()
	if s.route.ignoresOpen {
		s.loop()
	} else {
		go s.loop() // on a stack that has not grown
	}
}

// growStack makes the stack of a new goroutine grow to 4 KB, while there is next to nothing
// on it. It has to grow for the first message anyway, and in the middle of a read that costs
// microseconds, for each call has to be moved.
//
//go:noinline
func growStack() {
	var room [2 << 10]byte
	runtime.KeepAlive(&room)
}

// begin opens the endpoint.
func (s *Socket) begin() {
	opened := false
	defer func() {
		if !opened { // the endpoint has ended the goroutine
			s.finish()
		}
	}()
	s.h.logOpened(s)
	s.observeOpened()
	s.out.flushOwn()
	s.event(&Event{Type: EventOpen, Time: s.opened})
	opened = true
}

// loop is the rest of the socket's life, in the goroutine that is its reader. An
// endpoint makes the stack grow, and it would stay large while the socket is
// silent; so the reader of a slow talker is followed by a new one.
func (s *Socket) loop() {
	pprof.SetGoroutineLabels(labelReader)
	followed := false
	defer func() {
		if !followed {
			s.finish()
		}
	}()
	c := &s.conn
	if c.reading == nil { // it was at rest
		c.beginReading()
	}
	silent, came := time.Duration(0), false
	for silent < slowTalker {
		err := s.serveHere()
		if err == nil && (c.early || came && s.restsEarly()) {
			c.early, came = false, false
			if s.rest() {
				followed = true
				return
			}
			continue // something may have come
		}
		before := c.at
		if err == nil {
			err = c.wait()
		}
		if err == errRest {
			if s.rest() {
				followed = true
				return
			}
			continue
		}
		if err != nil {
			s.ended(err)
			return
		}
		silent, came = c.at.Sub(before), true
		if silent >= slowTalker {
			err = s.serveHere()
		}
		if err != nil {
			s.ended(err)
			return
		}
	}
	followed = true
	// Who has said one thing after a long silence will be silent again.
	if !s.silentLong(silent) && !s.restsEarly() || !s.rest() {
		go s.loop()
	}
}

// serveHere serves the messages that have come as a whole, and returns the error that
// ends reading, or nil when it needs more to come. Inside the read that brought them it
// does not wait for more: a message in several frames is left to the reader then.
func (s *Socket) serveHere() error {
	c := &s.conn
	if c.err != nil {
		return c.err
	}
	if p := c.parked; p != nil {
		c.parked = nil
		s.deliverLater(&p.m, p.at, p.wait)
	}
	var m Message
	for c.parked == nil {
		what, err := c.take(&m)
		if what == fragments && err == nil {
			if c.inside {
				return nil
			}
			err = c.assemble(&m)
		}
		if errors.Is(err, errAbandoned) {
			continue // what comes now is only counted
		}
		if err != nil {
			return err
		}
		if what == nothing {
			return nil
		}
		s.serve(&m)
	}
	return nil
}

// A parked is a message that the rate delays. It was taken inside the read that brought
// it, and the reader leaves that before it waits.
type parked struct {
	m    Message
	at   time.Time
	wait time.Duration
}

// serve delivers a message, as far as the rate allows it.
func (s *Socket) serve(m *Message) {
	if s.isClosing() {
		m.Release()
		return
	}
	at := s.conn.at
	wait, ok := s.withinRate(at)
	switch {
	case !ok:
		m.Release()
	case wait > 0 && s.conn.inside:
		s.conn.parked = &parked{*m, at, wait}
	default:
		s.deliverLater(m, at, wait)
	}
}

// deliverLater delivers a message when it has waited, unless the socket closes before.
func (s *Socket) deliverLater(m *Message, at time.Time, wait time.Duration) {
	if wait > 0 && !s.delay(wait) {
		m.Release()
		return
	}
	s.traffic.messagesIn.Add(1)
	s.traffic.bytesIn.Add(uint64(len(m.Data)))
	s.event(&Event{Type: EventData, Time: at, Message: *m})
}

// rests reports, inside the read, whether the reader would only come back to wait for
// what comes next.
func (s *Socket) rests() bool {
	c := &s.conn
	if !c.frames.idle() || len(c.in) > 0 || c.parked != nil || c.ahead.buf != nil ||
		s.isClosing() || s.out.flushOwn() {
		return false
	}
	c.in = nil
	if s.restsEarly() {
		c.early = true
		return false
	}
	if s.unsure.CompareAndSwap(false, true) {
		s.h.sweeper.doubt(s)
	}
	return true
}

// beforeWait is called before the reader may block: what was collected for the client
// leaves, and too many pongs that it does not read hold it up.
func (s *Socket) beforeWait(boundary bool) {
	if s.out.flushOwn() && boundary {
		s.out.waitControl()
	}
}
