package gateway

import (
	"runtime"
	"time"

	"github.com/wsgateway/gateway/internal/rawio"
)

// Turns are how readers whose clients send faster than they are read go on: after every two
// full buffers behind everybody who is ready to run, and only a few at a time. The others
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

// filled notes that n bytes have come, and whether there was no room for more.
func (c *conn) filled(n int, full bool) {
	if c.unbroken += n; !full {
		c.unbroken = 0
	}
}

// yield has others read first if enough has come in one go. It is called when that has been
// dealt with, while it was in the processor's cache. The time is not the client's: it does not
// count for the message that is arriving.
func (c *conn) yield() {
	if c.unbroken <= rawio.BufferSize {
		return
	}
	c.unbroken = 0
	waits := time.Now()
	c.s.h.turns.wait()
	if f := &c.frames; f.began != 0 {
		f.began += int64(time.Since(waits))
	}
}
