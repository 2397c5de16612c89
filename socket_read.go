package gateway

import (
	"errors"
	"time"
)

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
	s.event(&Event{Type: EventOpen, Time: s.opened})
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
	s.event(&Event{Type: EventData, Time: at, Message: m})
}

// beforeRead is called before the reader may block: what was collected for the
// client leaves, and too many pongs that it does not read hold it up.
func (s *Socket) beforeRead(boundary bool) {
	if s.out.flushOwn() && boundary {
		s.out.waitControl()
	}
}
