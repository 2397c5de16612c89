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
	end  context.Context // that ends this one as well, or nil

	mu     lockorder.Mutex[rankContext]
	inner  context.Context // nil until it is needed
	cancel context.CancelCauseFunc
	ended  atomic.Bool // set first of all
}

type socketKey struct{}

func (c *socketContext) get() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		var cancel context.CancelCauseFunc
		c.inner, cancel = context.WithCancelCause(context.WithoutCancel(c.base))
		c.cancel = cancel
		if c.end != nil {
			stop := context.AfterFunc(c.end, func() { cancel(nil) })
			c.cancel = func(cause error) { stop(); cancel(cause) }
		}
		if c.ended.Load() {
			c.cancel(errSocketClosing)
		}
	}
	return c.inner
}

// finish ends the context.
func (c *socketContext) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended.Store(true)
	if c.cancel != nil {
		c.cancel(errSocketClosing)
	}
}

func (c *socketContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *socketContext) Done() <-chan struct{}       { return c.get().Done() }

func (c *socketContext) Err() error {
	if c.end == nil && !c.ended.Load() {
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
	case c.end != nil:
		return c.end.Err()
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
	if inner == nil && c.ended.Load() {
		inner = c.get() // package context asks for the cause this way
	}
	if inner != nil {
		return inner.Value(key)
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
