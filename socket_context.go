package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// A socketContext is the context of a socket's events. It costs nothing until
// somebody asks whether it has ended, as most events never do; then it becomes
// one of package context's own, so that contexts derived from it need no
// goroutine.
type socketContext struct {
	s    *Socket
	base context.Context // its values count, its end does not
	last bool            // it is that of the close event: the end of Shutdown ends it as well

	ended atomic.Bool // set first of all
	mu    lockorder.Mutex[rankContext]
	inner *innerContext // nil until it is needed
}

type innerContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

type socketKey struct{}

func (c *socketContext) get() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		inner, cancel := context.WithCancelCause(context.WithoutCancel(c.base))
		c.inner = &innerContext{inner, cancel}
		if c.last {
			stop := context.AfterFunc(c.s.h.hardStop, func() { cancel(nil) })
			c.inner.cancel = func(cause error) { stop(); cancel(cause) }
		}
		if c.ended.Load() {
			c.inner.cancel(errSocketClosing)
		}
	}
	return c.inner.Context
}

// finish ends the context.
func (c *socketContext) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended.Store(true)
	if c.inner != nil {
		c.inner.cancel(errSocketClosing)
	}
}

func (c *socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *socketContext) Done() <-chan struct{}       { return c.get().Done() }

func (c *socketContext) Err() error {
	if !c.last && !c.ended.Load() {
		return nil
	}
	c.mu.Lock()
	inner, ended := c.inner, c.ended.Load()
	c.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case ended:
		return context.Canceled
	case c.last:
		return c.s.h.hardStop.Err()
	}
	return nil
}

func (c *socketContext) Value(key any) any {
	if key == (socketKey{}) {
		return c.s
	}
	c.mu.Lock()
	inner := c.inner
	c.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Value(key)
	case c.ended.Load():
		return c.get().Value(key) // package context asks for the cause this way
	}
	return c.base.Value(key)
}

// ownContext reports whether ctx is that of one of s's events, or derived from
// it.
func (s *Socket) ownContext(ctx context.Context) bool {
	if c, ok := ctx.(*socketContext); ok {
		return c.s == s
	}
	own, _ := ctx.Value(socketKey{}).(*Socket)
	return own == s
}
