package gateway

import (
	"time"

	"github.com/wsgateway/gateway/internal/rawio"
)

// A watch is what the sweeper keeps of a socket. Times are nanoseconds since the
// gateway's start.
type watch struct {
	at     int   // of its place in a watchList; guarded by sweeper.mu
	pingAt int64 // a ping was sent and nothing came since; 0: none
}

// sweep enforces the timeouts of one socket.
func (s *Socket) sweep(now int64) {
	if s.closedBelow() {
		s.Awake()
		return
	}
	lim := &s.route.lim
	over := func(since int64, limit time.Duration) bool {
		return limit > 0 && now-since >= int64(limit)
	}

	if b := s.out.backlog(); b.since != 0 || b.full != 0 {
		if s.slow(b, now, over) {
			return
		}
	} else if r := s.rareState.Load(); r != nil && r.unsent != 0 {
		r.unsent = 0
	}
	if s.sweepExpiry() {
		return
	}
	if s.delays.Load() || s.out.mode.Load() != modeQueue { // the reader is not reading all
		s.sweepBusy(now, over)
		return
	}
	if began := s.msgStart.Load(); began != 0 && over(began, lim.MessageTimeout) &&
		s.msgStart.CompareAndSwap(began, 0) {
		s.close(Closed{Cause: CauseMessageTimeout, Code: closePolicy})
		return
	}
	if last := s.lastMsg.Load(); over(last, lim.IdleTimeout) && s.lastMsg.CompareAndSwap(last, now) {
		s.close(Closed{Cause: CauseIdle, Code: closeGoingAway})
		return
	}
	s.keepAlive(now, over)
}

// skips returns how many of the next sweeps may leave the socket out, because it rests and
// none of its timeouts is over before. Whatever brings one forward calls sweeper.look.
func (s *Socket) skips(now int64) uint8 {
	if !s.resting.Load() || s.known { // its connection may be closed without a word
		return 0
	}
	if b := s.out.backlog(); b.since != 0 || b.full != 0 {
		return 0
	}
	interval := int64(sweepInterval(s.route.sweepClass))
	wait := (mostSkips + 1) * interval
	until := func(since int64, limit time.Duration) {
		if limit > 0 {
			wait = min(wait, since-now+int64(limit))
		}
	}
	lim := &s.route.lim
	until(s.lastMsg.Load(), lim.IdleTimeout)
	until(max(s.lastIn.Load(), s.watch.pingAt), lim.PingInterval)
	if a := s.admission(); a != nil && !a.Expires.IsZero() {
		before := s.route.expiringBefore()
		if r := s.rareState.Load(); r != nil && r.told.Equal(a.Expires) {
			before = 0
		}
		wait = min(wait, int64(time.Until(a.Expires)-before))
	}
	return uint8(max(wait-1, 0) / interval)
}

// slow closes a socket whose client takes nothing for the write timeout, or whose queue
// has been full for as long, without a time in which half of it was free. What counts
// is what the client takes and not what the kernel does: where that can tell, what it
// still holds for the client is looked at.
func (s *Socket) slow(b backlog, now int64, over func(int64, time.Duration) bool) bool {
	timeout := s.route.lim.WriteTimeout
	if b.full != 0 && over(b.full, timeout) {
		s.close(Closed{Cause: CauseSlowConsumer, Code: closePolicy, Err: errStaysFull})
		return true
	}
	if b.since == 0 {
		return false
	}
	if unsent, known := rawio.Unsent(s.conn.tcp()); known {
		r := s.rare()
		if unsent < r.unsent {
			s.out.took(now)
			b.since = now
		}
		r.unsent = unsent
	}
	if !over(b.since, timeout) {
		return false
	}
	s.close(Closed{Cause: CauseSlowConsumer, Code: closePolicy, Err: errTakesNothing})
	return true
}

var (
	errStaysFull = NewError(ErrQueueFull,
		"the queue has refused messages for WriteTimeout without half of it becoming free")
	errTakesNothing = NewError(ErrQueueFull, "the client has taken nothing for WriteTimeout")
)

// sweepBusy is sweep while the socket's endpoint runs. The reader is not reading, so the
// peer's silence proves nothing. But a ping shows whether it is still there: the endpoint
// may be waiting for its context to end.
func (s *Socket) sweepBusy(now int64, over func(int64, time.Duration) bool) {
	s.watch.pingAt = 0
	s.lastMsg.Store(now)
	if over(s.lastIn.Load(), s.route.lim.PingInterval) {
		s.lastIn.Store(now)
		s.out.ping()
	}
	s.listen()
}

// keepAlive pings a silent peer, and closes when it stays silent. Any byte counts
// as life: a peer in the middle of one long message cannot answer a ping.
func (s *Socket) keepAlive(now int64, over func(int64, time.Duration) bool) {
	interval := s.route.lim.PingInterval
	lastIn := s.lastIn.Load()
	if s.watch.pingAt != 0 && lastIn >= s.watch.pingAt {
		s.watch.pingAt = 0
	}
	switch {
	case s.watch.pingAt != 0:
		if over(s.watch.pingAt, interval) && !s.pingStuck() {
			s.close(Closed{Cause: CausePingTimeout, Code: closeGoingAway})
		}
	case over(lastIn, interval):
		s.watch.pingAt = now
		s.out.ping()
	}
}

// pingStuck reports whether the ping has probably not left, for the client does not
// read. Then it is the write timeout that finds it.
func (s *Socket) pingStuck() bool {
	return s.route.lim.WriteTimeout > 0 && s.out.backlog().since != 0
}

// lookAgain has the reader read if there is something that the poller does not report any
// more, see rawio.Conn.Read. It reports false while the client is talking.
func (s *Socket) lookAgain(now int64) bool {
	if now-s.lastIn.Load() < int64(slowTalker) {
		return false
	}
	if s.unsure.CompareAndSwap(true, false) && s.conn.raw.More() {
		s.conn.wake()
	}
	return true
}
