package gateway

import (
	"runtime"
	"time"

	"github.com/wsgateway/gateway/internal/rawio"
)

// Turns are how readers whose clients send faster than they are read go on: after each
// full buffer behind everybody who is ready to run, and only a few at a time. The others
// wait in line, and are not ready to run meanwhile. So those who say little are served
// soon, however many there are that never stop.
type turns chan struct{}

// turnsPerCore is how many of those readers, for each core, are ready to run.
const turnsPerCore = 2

func newTurns() turns { return make(turns, turnsPerCore*runtime.GOMAXPROCS(0)) }

// wait returns when it is the caller's turn. Nothing is held then: what an endpoint does
// afterwards keeps nobody waiting.
func (t turns) wait() {
	t <- struct{}{}
	runtime.Gosched()
	<-t
}

// yield is called when n bytes have come where there was room for so many. With enough of
// them in one go, others are read first. That time is not the client's: it does not count
// for the message that is arriving.
func (c *conn) yield(n, room int) {
	if c.unbroken += n; n < room {
		c.unbroken = 0
	}
	if c.unbroken < rawio.BufferSize {
		return
	}
	c.unbroken = 0
	began := c.s.msgStart.Load()
	if began == 0 || !c.s.msgStart.CompareAndSwap(began, 0) {
		c.s.h.turns.wait()
		return
	}
	waits := time.Now()
	c.s.h.turns.wait()
	c.frames.began = began + int64(time.Since(waits))
	c.s.msgStart.Store(c.frames.began)
}
