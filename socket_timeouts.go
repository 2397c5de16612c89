package gateway

import "time"

// The sweeper looks at every socket this often in the shortest timeout, but not
// more or less often than the bounds say.
const (
	sweepsPerTimeout = 10
	minSweep         = 10 * time.Millisecond
	maxSweep         = time.Second
)

// A sweeper watches the timeouts of all sockets, so that no socket needs a timer
// or a goroutine for them: a timeout is late by one sweep at most. It runs while
// there are sockets.
type sweeper struct {
	h    *Handler
	stop chan struct{}
}

func startSweeper(h *Handler) *sweeper {
	sw := &sweeper{h, make(chan struct{})}
	h.background.Go(sw.run)
	return sw
}

func (sw *sweeper) run() {
	t := time.NewTimer(sw.interval())
	defer t.Stop()
	for {
		select {
		case <-sw.stop:
			return
		case at := <-t.C:
			now := sw.h.since(at)
			for s := range sw.h.hub.all() {
				s.sweep(now)
			}
			t.Reset(sw.interval())
		}
	}
}

func (sw *sweeper) interval() time.Duration {
	return min(max(sw.h.routes.load().shortest/sweepsPerTimeout, minSweep), maxSweep)
}

// sweep enforces the timeouts of one socket.
func (s *Socket) sweep(now int64) {
	lim := &s.route.lim
	over := func(since int64, limit time.Duration) bool { return limit > 0 && now-since >= int64(limit) }

	if since := s.out.waitingSince(); since != 0 && over(since, lim.WriteTimeout) {
		s.beginClose(Closed{Cause: CauseSlowConsumer, Code: closePolicy})
		return
	}
	if s.admit != nil && !s.admit.Expires.IsZero() && !time.Now().Before(s.admit.Expires) {
		s.beginClose(Closed{Cause: CauseExpired, Code: closePolicy})
		return
	}
	if s.delays.Load() || s.out.mode.Load() != modeQueue { // the reader is not reading
		s.sweepBusy(now, over)
		return
	}
	if over(s.lastIn.Load(), slowTalker) && s.unsure.CompareAndSwap(true, false) {
		s.link.knock()
	}
	if start := s.msgStart.Load(); start != 0 && over(start, lim.MessageTimeout) {
		s.beginClose(Closed{Cause: CauseMessageTimeout, Code: closePolicy})
		return
	}
	if over(s.lastMsg.Load(), lim.IdleTimeout) {
		s.beginClose(Closed{Cause: CauseIdle, Code: closeGoingAway})
		return
	}
	s.keepAlive(now, over)
}

// sweepBusy is sweep while the socket's endpoint runs. Nobody listens, so nothing
// is held against the peer's silence. But a ping shows whether it is still there:
// the endpoint may be waiting for its context to end.
func (s *Socket) sweepBusy(now int64, over func(int64, time.Duration) bool) {
	if s.out.isDead() {
		s.beginClose(Closed{Cause: CauseConnectionLost, Code: closeAbnormal})
		return
	}
	s.pingAt = 0
	s.lastMsg.Store(now)
	if s.msgStart.Load() != 0 {
		s.msgStart.Store(now)
	}
	if over(s.lastIn.Load(), s.route.lim.PingInterval) {
		s.lastIn.Store(now)
		s.out.ping()
	}
}

// keepAlive pings a silent peer, and closes when it stays silent. Any byte counts
// as life: a peer in the middle of one long message cannot answer a ping.
func (s *Socket) keepAlive(now int64, over func(int64, time.Duration) bool) {
	interval := s.route.lim.PingInterval
	lastIn := s.lastIn.Load()
	if s.pingAt != 0 && lastIn >= s.pingAt {
		s.pingAt = 0
	}
	switch {
	case s.pingAt != 0:
		if over(s.pingAt, interval) && !s.pingStuck() {
			s.beginClose(Closed{Cause: CausePingTimeout, Code: closeGoingAway})
		}
	case over(lastIn, interval):
		s.pingAt = now
		s.out.ping()
	}
}

// pingStuck reports whether the ping has probably not left, for the client does not
// read. Then it is the write timeout that finds it.
func (s *Socket) pingStuck() bool {
	return s.route.lim.WriteTimeout > 0 && s.out.waitingSince() != 0
}
