package gateway

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// event delivers an open or data event and acts on the verdict. The open event
// comes even if closing has begun, for a close event will.
func (s *Socket) event(ev *Event) {
	if !s.note(ev) && ev.Type != EventOpen {
		return
	}
	mode := int32(modeNow)
	if len(s.conn.in) > 0 {
		mode = modeCollect
	} else if s.conn.frames.boundary() {
		s.events++
		s.bare.Store(max(s.events%heard, 1))
	}
	s.out.mode.Store(mode)
	s.verdict(s.serveEvent(&s.ctx, ev))
	s.readsAgain()
}

// note keeps the event for Info. It reports false once closing has begun.
func (s *Socket) note(ev *Event) bool {
	data := ev.Message.Data
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.last.event, s.last.message = ev.Type, ev.Message.Type
	s.last.at, s.last.size = ev.Time.UnixNano(), len(data)
	s.keepLocked(data)
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

// handle has the endpoint handle an event, and turns a panic into an error. Code that ends
// the goroutine is a panic too; then handle does not return, and the caller's deferred
// calls find the socket closing.
func (s *Socket) handle(ctx context.Context, ev *Event) (err error) {
	returned := false
	defer s.unlessReturned(&returned, &err)
	err = s.route.ep.ServeEvent(ctx, s, *ev)
	returned = true
	return err
}

// call is handle for a function.
func (s *Socket) call(fn func() error) (err error) {
	returned := false
	defer s.unlessReturned(&returned, &err)
	err = fn()
	returned = true
	return err
}

// unlessReturned is deferred around user code: it ends a panic, of which it makes err.
func (s *Socket) unlessReturned(returned *bool, err *error) {
	if *returned {
		return
	}
	if v := recover(); v != nil {
		*err = &panicError{v, debug.Stack()}
		return
	}
	s.verdict(&panicError{"runtime.Goexit", debug.Stack()})
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
		s.close(c)
	case s.ordinaryEnd(err):
	case fromOperation(err):
		s.failed("endpoint passed on the error of an operation", err)
	default:
		s.failed("endpoint failed", err)
		s.close(Closed{Cause: CauseEndpoint, Code: closeInternal, Err: err})
	}
}

// ordinaryEnd reports whether err only says that the socket closes, which the endpoint
// has noticed: the end of its context, or of a send.
func (s *Socket) ordinaryEnd(err error) bool {
	return s.isClosing() &&
		(fromOperation(err) || errors.Is(err, context.Canceled) || errors.Is(err, errSocketClosing))
}

// panicked closes the socket whose endpoint panicked.
func (s *Socket) panicked(p *panicError) {
	s.route.stats.endpointErrors.Add(1)
	s.h.log.Error("endpoint panicked", s.attrs("error", p.Error(), "stack", string(p.stack))...)
	s.close(Closed{Cause: CausePanic, Code: closeInternal, Err: p})
}

// failed notes what an endpoint returned.
func (s *Socket) failed(text string, err error) {
	s.route.stats.endpointErrors.Add(1)
	s.h.log.Warn(text, s.attrs("error", err.Error())...)
}

func (s *Socket) attrs(more ...any) []any {
	return append([]any{"socket_id", s.id, "route", s.route.Pattern}, more...)
}
