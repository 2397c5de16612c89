package gateway

import (
	"time"
)

// beginClose marks the socket closing and returns at once; it reports false if
// that had happened before. What was accepted is still written, then the close
// frame. The reader goes on until the peer's close frame, the end of the
// connection, or the cut that ends every wait.
func (s *Socket) beginClose(c Closed) bool {
	began, write := s.markClosing(c)
	if began {
		s.arm(c.Cause)
	}
	if write {
		s.out.appoint()
	}
	return began
}

// markClosing is beginClose but for the writing and its time limit: write says
// that the caller has become the outbox's writer.
func (s *Socket) markClosing(c Closed) (began, write bool) {
	if c.Reason == "" && c.Cause != CauseClient && c.Cause != CauseConnectionLost {
		c.Reason = string(c.Cause)
	}
	s.mu.Lock()
	if s.closing.Load() {
		s.mu.Unlock()
		return false, false
	}
	s.closing.Store(true)
	s.last, s.size, s.kept = Event{Type: EventClose, Time: time.Now(), Closed: c}, 0, nil
	s.mu.Unlock()

	s.leaveAll()
	s.ctx.finish()
	send := c.Cause != CauseConnectionLost
	write = s.out.close(closePayload(c.Code, c.Reason), send, !send || c.Cause == CauseSlowConsumer)
	s.h.stats.closed.add(c.Cause)
	s.h.logClosed(s, c)
	return true, write
}

// arm starts the timer that cuts the connection if the close frame cannot be
// written, or later is not answered, in time.
func (s *Socket) arm(cause Cause) {
	lim := &s.route.lim
	wait := lim.WriteTimeout
	if cause == CauseSlowConsumer || cause == CausePingTimeout || cause == CauseConnectionLost {
		wait = lim.CloseTimeout // it is not expected to read
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cutter == nil && (wait >= 0 || wait == lim.CloseTimeout) {
		s.cutter = time.AfterFunc(max(wait, 0), s.cutLate)
	}
}

// closeWritten is called when the outbox has written the close frame: from now
// on the peer has the close timeout to answer. If it closed first, there is
// nothing to wait for.
func (s *Socket) closeWritten() {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := max(s.route.lim.CloseTimeout, 0)
	switch {
	case s.cutter != nil:
		s.cutter.Reset(wait)
	case s.last.Closed.Cause != CauseClient:
		s.cutter = time.AfterFunc(wait, s.cutLate)
	}
}

// cutLate ends a close that took too long. Where the kernel has our close frame, it
// still delivers that to a client which reads late.
func (s *Socket) cutLate() { s.link.abort(s.out.pending()) }

// ended takes the error that ended reading.
func (s *Socket) ended(err error) {
	c := s.link.end(err)
	if began, write := s.markClosing(c); began {
		more := write && s.out.flush(true)
		if s.out.pending() {
			s.arm(c.Cause)
		}
		if more {
			s.out.appoint()
		}
	}
	switch c.Cause {
	case CauseConnectionLost:
		s.gone = true
	case CauseProtocolError, CauseTooLarge, CauseInvalidUTF8:
		// The peer may be sending still. Closing now would answer with a reset,
		// which can overtake the close frame.
		s.out.flushOwn()
		s.out.drained()
		s.link.closeWrite()
		s.link.discard()
	}
}

// finish is the end of the socket, in its reader's goroutine.
func (s *Socket) finish() {
	s.beginClose(Closed{Cause: CausePanic, Code: closeInternal}) // the reader never ends before, but for Goexit
	if !s.gone {
		s.out.flushOwn()
		s.out.drained()
	}
	s.link.cut(s.out.pending())
	s.out.kill()
	s.mu.Lock()
	if s.cutter != nil {
		s.cutter.Stop()
	}
	s.mu.Unlock()
	s.tasks.Wait()
	s.link.releaseBuf()
	s.link.release()
	defer s.forget() // also when the endpoint ends the goroutine
	s.deliverClose()
}

// forget takes the socket out of the registry.
func (s *Socket) forget() {
	s.h.hub.remove(s)
	s.h.hub.release(s.req.addr, s.req.exempt)
}

// deliverClose gives the endpoint its last event. The context is alive: it ends
// with that of Shutdown. There is nothing left that a verdict could decide.
func (s *Socket) deliverClose() {
	s.mu.Lock()
	ev := s.last
	s.mu.Unlock()
	ctx := &socketContext{s: s, base: s.ctx.base, end: s.h.hardStop}
	defer ctx.finish()
	s.verdict(s.call(func() error { return s.route.ep.ServeEvent(ctx, s, ev) }))
}

// checkRoute closes the socket if its pattern is no longer registered by the
// owner it belongs to.
func (s *Socket) checkRoute() {
	now := s.h.routes.load().byText[s.route.Pattern]
	if now == nil || now.owner != s.route.owner {
		s.beginClose(Closed{Cause: CauseRouteRemoved, Code: closeRestart})
	}
}
