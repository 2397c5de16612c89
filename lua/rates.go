package lua

import (
	"sync"
	"time"
)

// A window counts what happens within a second.
type window struct {
	most int // immutable

	mu      sync.Mutex
	second  int64 // guarded by mu, as all below
	count   int
	dropped int
}

// allow reports whether one more may happen. told is true for the first that may
// not within a second; before is then how many were dropped since it was last true.
func (w *window) allow(now time.Time) (ok, told bool, before int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := now.Unix(); s != w.second {
		w.second, w.count = s, 0
	}
	w.count++
	if w.count <= w.most {
		return true, false, 0
	}
	w.dropped++
	if w.count > w.most+1 {
		return false, false, 0
	}
	before, w.dropped = w.dropped-1, 1
	return false, true, before
}

// A bucket lets an amount pass per second, and as much at once.
type bucket struct {
	perSecond int64 // immutable

	mu   sync.Mutex
	free time.Time // guarded by mu; when all that has passed is paid for
}

// take notes that n pass, and returns how long to wait before.
func (b *bucket) take(n int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if earliest := now.Add(-time.Second); b.free.Before(earliest) {
		b.free = earliest // no more than a second is saved
	}
	b.free = b.free.Add(time.Duration(float64(n) / float64(b.perSecond) * float64(time.Second)))
	return b.free.Sub(now)
}
