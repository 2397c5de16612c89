package gateway

import (
	"math"
	"time"
)

// A limiter is a token bucket over the messages of one socket; its reader owns
// it. The zero value is a full bucket.
type limiter struct {
	used float64 // tokens that are missing from a full bucket
	last int64   // when used was right, in nanoseconds since the gateway's start
}

// take takes a token and returns 0, or returns how long it takes until there is
// one and takes none.
func (l *limiter) take(now int64, rate float64, burst int) time.Duration {
	if now > l.last { // a message that waited here came before the last one left
		l.used = max(0, l.used-float64(now-l.last)*rate/1e9)
		l.last = now
	}
	if l.used+1 <= float64(burst) {
		l.used++
		return 0
	}
	missing := l.used + 1 - float64(burst)
	return time.Duration(min(missing/rate*1e9, math.MaxInt64/2)) + 1
}

// withinRate takes a token for a message, or does what the route's policy says. It
// reports how long the message has to wait, and whether it is to be delivered then.
func (s *Socket) withinRate(at time.Time) (wait time.Duration, ok bool) {
	lim := &s.route.lim
	if lim.MessagesPerSecond < 0 {
		return 0, true
	}
	now := s.h.since(at)
	wait = s.lim.take(now, lim.MessagesPerSecond, lim.Burst)
	if wait == 0 {
		return 0, true
	}
	// The message may have waited here behind others, whose endpoint took its time: that
	// counts as well.
	now = s.h.since(time.Now())
	if wait = s.lim.take(now, lim.MessagesPerSecond, lim.Burst); wait == 0 {
		return 0, true
	}
	s.warnRate(now)
	switch lim.OnRateExceeded {
	case RateDrop:
		s.route.stats.rateDropped.Add(1)
		return 0, false
	case RateClose:
		s.close(Closed{Cause: CauseRateLimited, Code: closePolicy})
		return 0, false
	}
	s.route.stats.rateDelayed.Add(1)
	return wait, true
}

// delay waits until the rate allows a message. Meanwhile what the client sends is read
// ahead, up to a bound; beyond, TCP pushes back. It reports false if the socket begins to
// close.
func (s *Socket) delay(wait time.Duration) bool {
	s.delays.Store(true)
	defer s.delays.Store(false)
	lim := &s.route.lim
	for wait > 0 && !s.isClosing() {
		s.conn.readAhead(time.Now().Add(wait))
		wait = s.lim.take(s.h.since(time.Now()), lim.MessagesPerSecond, lim.Burst)
	}
	return !s.isClosing()
}

// pause has the reader wait. Meanwhile nothing is read: TCP pushes back. It reports false
// if the socket begins to close.
func (s *Socket) pause(d time.Duration) bool {
	s.out.flushOwn()
	defer s.delays.Store(s.delays.Swap(true))
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// warnRate logs at most once a second for a socket.
func (s *Socket) warnRate(now int64) {
	r := s.rare()
	if r.lastWarn == 0 || now-r.lastWarn >= int64(time.Second) {
		r.lastWarn = now
		s.h.log.Warn("message above the rate", s.attrs("policy", s.route.lim.OnRateExceeded.String())...)
	}
}
