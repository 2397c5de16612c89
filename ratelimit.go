package gateway

import "time"

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
	return time.Duration(missing/rate*1e9) + 1
}
