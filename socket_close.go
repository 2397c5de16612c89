package gateway

import (
	"errors"
	"io"
	"time"

	"github.com/wsgateway/gateway/internal/forwarded"
	"github.com/wsgateway/gateway/internal/ws"
)

// How a socket ends. Each of these words has one meaning, here and everywhere:
//
//	close    the socket begins to close: it takes nothing new, and its close frame is
//	         queued behind what was accepted. Returns at once.
//	fail     reading or writing has failed: nobody can be told anything. The socket
//	         closes, with connection_lost, if it did not already.
//	discard  what the client still sends is read and dropped.
//	cut      TCP is dropped. abort is cut for others than the reader.
//	finish   the reader's last work: it waits for the writer, cuts, and delivers the
//	         close event.
//	forget   the registry knows the id no more.

// close begins to close the socket and returns at once; it reports false if that had
// happened before. What was accepted is still written, then the close frame. The reader
// goes on until the peer's close frame, the end of the connection, or the cut that ends
// every wait.
func (s *Socket) close(c Closed) bool {
	began, write := s.startClose(c, true)
	if write {
		s.out.appoint()
	}
	if began && s.delays.Load() {
		s.conn.wake() // from reading ahead
	}
	return began
}

// startClose is close but for the writing: write says that the caller has become the
// outbox's writer. All of it happens before anybody can see that the socket is closing
// and act on it: nothing is queued for it afterwards, and no close event comes earlier.
func (s *Socket) startClose(c Closed, arm bool) (began, write bool) {
	began, write, over := s.markClosing(c, arm)
	for _, group := range over {
		s.h.interest(group)
	}
	return began, write
}

// markClosing is startClose but for the groups that are over with this socket.
func (s *Socket) markClosing(c Closed, arm bool) (began, write bool, over []string) {
	if c.Reason == "" && c.Cause != CauseClient && c.Cause != CauseConnectionLost {
		c.Reason = ws.CleanReason(string(c.Cause))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false, false, nil
	}
	s.closing.Store(true)
	s.keepLocked(nil)
	s.over = newEnding(c)
	over = s.leaveAllLocked()
	send := c.Cause != CauseConnectionLost
	write = s.out.close(ws.ClosePayload(c.Code, c.Reason), send, !send || c.Cause == CauseSlowConsumer)
	s.ctx.finish() // whoever sees its end finds the socket closed
	s.route.stats.closed.add(c.Cause)
	if s.isTraced() {
		s.traceClosing(c)
	}
	if arm {
		s.armLocked()
	}
	s.Awake() // whoever rests is to learn of it
	return true, write, over
}

func newEnding(c Closed) *ending {
	return &ending{Event: Event{Type: EventClose, Time: time.Now(), Closed: c}}
}

// armLocked starts the timer that cuts the connection if the close frame cannot be
// written in time. It comes before every write that may block.
func (s *Socket) armLocked() {
	lim := &s.route.lim
	wait := lim.WriteTimeout
	switch s.over.Closed.Cause {
	case CauseSlowConsumer, CausePingTimeout, CauseConnectionLost: // it is not expected to read
		wait = max(lim.CloseTimeout, 0)
	}
	if s.over.cutter == nil && wait >= 0 && !s.over.finished {
		s.over.cutter = time.AfterFunc(wait, s.cutLate)
	}
}

func (s *Socket) arm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armLocked()
}

// closeSent is called when the close frame is written: from now on the peer has the
// close timeout to answer. If it closed first, there is nothing to wait for.
func (s *Socket) closeSent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := max(s.route.lim.CloseTimeout, 0)
	switch {
	case s.over.finished:
	case s.over.cutter != nil:
		s.over.cutter.Reset(wait)
	case s.over.Closed.Cause != CauseClient:
		s.over.cutter = time.AfterFunc(wait, s.cutLate)
	}
}

// armCut bounds a cut that may wait for the client by the close timeout.
func (s *Socket) armCut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wait := max(s.route.lim.CloseTimeout, 0); s.over.cutter != nil {
		s.over.cutter.Reset(wait)
	} else {
		s.over.cutter = time.AfterFunc(wait, s.cutLate)
	}
}

// cutLate ends a close that took too long. If the kernel already has our close frame, a
// client that reads late still gets it.
func (s *Socket) cutLate() { s.conn.abort(s.out.pending()) }

// fail is called when a write has failed. The reader, who may be waiting for a client
// that still talks, ends the socket.
func (s *Socket) fail(err error) {
	s.close(Closed{Cause: CauseConnectionLost, Code: closeAbnormal, Err: err})
	s.conn.broken.Store(true)
	s.conn.wake()
}

// ended takes the error that ended reading.
func (s *Socket) ended(err error) {
	c := closedBy(err)
	blocks := s.conn.raw == nil
	if began, write := s.startClose(c, blocks); began {
		more := write && s.out.flush(true)
		if !blocks && s.out.pending() {
			s.arm()
		}
		if more {
			s.out.appoint()
		}
	}
	switch c.Cause {
	case CauseConnectionLost:
		s.lost = true
	case CauseProtocolError, CauseTooLarge, CauseInvalidUTF8:
		// The peer may be sending still. Closing now would answer with a reset,
		// which can overtake the close frame.
		s.out.flushOwn()
		s.out.drained()
		s.conn.closeWrite()
		s.conn.discardAll()
	}
}

// closedBy says what an error that ended reading means.
func closedBy(err error) Closed {
	if err == io.EOF { // as it often is, and on a stack that has not grown
		return Closed{Cause: CauseConnectionLost, Code: closeAbnormal, Err: err}
	}
	if peer, ok := err.(*peerClosed); ok { // as it is in general
		return peer.closed()
	}
	var peer *peerClosed
	var v *ws.Violation
	switch {
	case errors.As(err, &peer):
		return peer.closed()
	case errors.Is(err, errNoRoomToReceive):
		return Closed{Cause: CauseTooLarge, Code: closeTooLarge, Err: err}
	case errors.As(err, &v):
		cause := CauseProtocolError
		switch v.Code {
		case ws.CodeTooLarge:
			cause = CauseTooLarge
		case ws.CodeInvalidUTF8:
			cause = CauseInvalidUTF8
		}
		return Closed{Cause: cause, Code: v.Code, Err: v}
	}
	return Closed{Cause: CauseConnectionLost, Code: closeAbnormal, Err: err}
}

// finish is the end of the socket, in its reader's goroutine.
func (s *Socket) finish() {
	s.readsAgain()
	// the reader never ends before, but for Goexit
	s.close(Closed{Cause: CausePanic, Code: closeInternal})
	blocks := s.conn.raw == nil
	if blocks {
		s.arm() // what follows may wait for the client
	}
	if !s.lost {
		s.out.flushOwn()
		s.out.drained()
	}
	if blocks {
		s.armCut()
	}
	if s.rested {
		s.h.rester.forget(s)
	}
	s.conn.cut(s.out.pending())
	s.out.finish()
	s.mu.Lock()
	s.over.finished = true
	if s.over.cutter != nil {
		s.over.cutter.Stop()
	}
	c := s.over.Closed
	s.mu.Unlock()
	s.conn.charge(0)
	s.conn.endReading()
	s.h.logClosed(s, c)
	if r := s.rareState.Load(); r != nil {
		r.tasks.Wait()
	}
	defer s.forget() // also when the endpoint ends the goroutine
	s.deliverClose()
}

// forget takes the socket out of the registry.
func (s *Socket) forget() {
	s.observeClosed()
	s.traceForget()
	s.route.stats.open.Add(-1)
	s.h.sweeper.remove(s)
	s.h.hub.remove(s)
	s.freeRequest()
	s.h.hub.release(forwarded.AddrOf(s.req.remote()), s.req.exempt)
}

// deliverClose gives the endpoint its last event. The context is alive: it ends with that
// of Shutdown. What the endpoint returns changes nothing any more.
func (s *Socket) deliverClose() {
	s.mu.Lock()
	ev := s.over.Event
	s.mu.Unlock()
	ctx := &socketContext{s: s, base: s.ctx.base, last: true}
	defer ctx.finish()
	s.verdict(s.serveEvent(ctx, &ev))
}

// checkRoute closes the socket if its pattern is no longer registered by the
// owner it belongs to.
func (s *Socket) checkRoute() {
	now := s.h.routes.load().byText[s.route.Pattern]
	if now == nil || now.owner != s.route.owner {
		s.close(Closed{Cause: CauseRouteRemoved, Code: closeRestart})
	}
}
