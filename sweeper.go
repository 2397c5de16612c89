package gateway

import (
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// A socket is looked at this often in the shortest of its own timeouts, but not more or
// less often than the bounds say.
const (
	sweepsPerTimeout = 10
	minSweep         = 10 * time.Millisecond
	maxSweep         = time.Second
	sweepClasses     = 8 // minSweep, twice as long, and so on; the last is maxSweep
)

// sweepClass returns the class of sockets with this shortest timeout.
func sweepClass(shortest time.Duration) int {
	class := 0
	for class < sweepClasses-1 && sweepInterval(class+1) <= shortest/sweepsPerTimeout {
		class++
	}
	return class
}

func sweepInterval(class int) time.Duration { return min(minSweep<<class, maxSweep) }

// A sweeper watches the timeouts of all sockets, so that no socket needs a timer or a
// goroutine for them: a timeout is late by one sweep at most. Its goroutine runs while
// there are sockets, and ends itself when it finds none. It neither logs nor calls what
// the host has given.
type sweeper struct {
	h    *Handler
	wake chan struct{} // something is due earlier than was thought, or stop

	mu      lockorder.Mutex[rankWatch]
	lists   [sweepClasses]watchList
	doubts  []*Socket // that may have left something unread
	lookDue int64     // when they are looked at
	waits   int64     // until when run waits
	running bool
	stopped bool // Shutdown is through: end at once
}

// A watchList is the sockets that are looked at equally often. Times are nanoseconds
// since the gateway's start.
type watchList struct {
	sockets []*Socket
	due     int64
}

func (sw *sweeper) init(h *Handler) { sw.h, sw.wake = h, make(chan struct{}, 1) }

// add has the socket watched.
func (sw *sweeper) add(s *Socket) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	l := &sw.lists[s.route.sweepClass]
	s.watch.at = len(l.sockets)
	l.sockets = append(l.sockets, s)
	if len(l.sockets) == 1 {
		l.due = sw.h.since(time.Now()) + int64(sweepInterval(s.route.sweepClass))
		sw.hurryLocked(l.due)
	}
	if !sw.running {
		sw.running = true
		sw.h.background.Go(sw.run) // Shutdown waits for it
	}
}

// remove ends that. A sweep that is under way may still look at it once.
func (sw *sweeper) remove(s *Socket) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	l := &sw.lists[s.route.sweepClass]
	last := len(l.sockets) - 1
	l.sockets[s.watch.at] = l.sockets[last]
	l.sockets[s.watch.at].watch.at = s.watch.at
	l.sockets[last] = nil
	if l.sockets = l.sockets[:last]; last == 0 {
		l.sockets = nil
	}
}

// doubt has the socket looked at soon after it has fallen silent.
func (sw *sweeper) doubt(s *Socket) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if sw.doubts = append(sw.doubts, s); len(sw.doubts) == 1 {
		sw.lookDue = sw.h.since(time.Now()) + int64(slowTalker)
		sw.hurryLocked(sw.lookDue)
	}
}

// hurryLocked sees to it that run does not wait longer than until due.
func (sw *sweeper) hurryLocked(due int64) {
	if due < sw.waits {
		sw.waits = due
		sw.signal()
	}
}

func (sw *sweeper) signal() {
	select {
	case sw.wake <- struct{}{}:
	default:
	}
}

// stop ends the sweeper, for no socket will come any more.
func (sw *sweeper) stop() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.stopped = true
	sw.signal()
}

func (sw *sweeper) run() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		now := sw.h.since(time.Now())
		sw.lookAgain(now)
		for class := range sw.lists {
			sw.sweep(class, now)
		}
		wait, ok := sw.next(now)
		if !ok {
			return
		}
		t.Reset(wait)
		select {
		case <-t.C:
		case <-sw.wake:
		}
	}
}

// next returns how long nothing is due, or false when nobody is left to be watched, and
// the sweeper ends.
func (sw *sweeper) next(now int64) (wait time.Duration, ok bool) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.waits = now + int64(maxSweep)
	some := false
	for i := range sw.lists {
		if l := &sw.lists[i]; len(l.sockets) > 0 {
			some = true
			sw.waits = min(sw.waits, l.due)
		}
	}
	if !some {
		sw.doubts = nil
		sw.h.rester.stop()
		sw.running = false
		return 0, false
	}
	if len(sw.doubts) > 0 {
		sw.waits = min(sw.waits, sw.lookDue)
	}
	return time.Duration(max(sw.waits-now, 0)), true
}

// sweep looks at the sockets of one class, if it is due.
func (sw *sweeper) sweep(class int, now int64) {
	var some [256]*Socket
	dozed := 0
	for from := 0; ; {
		n := sw.some(class, from, now, some[:])
		for _, s := range some[:n] {
			s.sweep(now)
			if dozed < restsPerSweep && s.doze(now) {
				if dozed++; dozed%restsAtOnce == 0 {
					time.Sleep(restPause)
				}
			}
		}
		if from += n; n == 0 {
			return
		}
	}
}

// some copies sockets of a class from an index on, if the class is due, and makes it due
// again when there are no more. One that moves to the place of one that leaves may be
// left out, until the next sweep.
func (sw *sweeper) some(class, from int, now int64, to []*Socket) int {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	l := &sw.lists[class]
	if now < l.due || len(l.sockets) == 0 {
		return 0
	}
	n := 0
	if from < len(l.sockets) {
		n = copy(to, l.sockets[from:])
	}
	if n == 0 {
		l.due = now + int64(sweepInterval(class))
	}
	return n
}

// lookAgain looks at the sockets that may have left something unread, if it is due.
func (sw *sweeper) lookAgain(now int64) {
	sw.mu.Lock()
	if len(sw.doubts) == 0 || now < sw.lookDue {
		sw.mu.Unlock()
		return
	}
	doubts := sw.doubts
	sw.doubts = nil
	sw.mu.Unlock()
	talking := doubts[:0]
	for _, s := range doubts {
		if !s.lookAgain(now) {
			talking = append(talking, s)
		}
	}
	clear(doubts[len(talking):])
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.doubts = append(talking, sw.doubts...)
	sw.lookDue = now + int64(slowTalker)
}
