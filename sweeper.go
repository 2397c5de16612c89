package gateway

import (
	"math"
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
// goroutine for them: a timeout is late by one sweep at most. It is a timer, which sets
// itself again while there are sockets. It neither logs nor calls what the host has given.
type sweeper struct {
	h *Handler

	mu       lockorder.Mutex[rankWatch]
	lists    [sweepClasses]watchList
	doubts   []*Socket   // that may have left something unread
	lookDue  int64       // when they are looked at
	timer    *time.Timer // made when first needed
	due      int64       // when it fires
	armed    bool        // it is set, or sweeps; Shutdown waits until it is not
	sweeping bool
	stopped  bool // Shutdown is through: not set again
}

// A watchList is the sockets that are looked at equally often. Times are nanoseconds
// since the gateway's start.
//
// A socket at rest is left out while none of its timeouts can be over. That is noted here:
// to find it out from the sockets, which are in none of the processor's caches, takes
// nearly as long as the look. What may make a timeout come sooner calls sweeper.look.
type watchList struct {
	sockets []*Socket
	skips   []uint8 // of each: how many sweeps leave it out, or looking
	due     int64
}

const (
	mostSkips   = 10   // what nobody has thought of is late by so many sweeps at most
	looking     = 0xff // the sweep has the socket in hand
	scanAtATime = 4096 // sockets that are passed with the lock held
)

// add has the socket watched.
func (sw *sweeper) add(s *Socket) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	l := &sw.lists[s.route.sweepClass]
	s.watch.at = len(l.sockets)
	l.sockets, l.skips = append(l.sockets, s), append(l.skips, 0)
	if len(l.sockets) == 1 {
		now := sw.h.since(time.Now())
		l.due = now + int64(sweepInterval(s.route.sweepClass))
		sw.hurryLocked(now, l.due)
	}
}

// remove ends that. A sweep that is under way may still look at it once.
func (sw *sweeper) remove(s *Socket) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	l := &sw.lists[s.route.sweepClass]
	last := len(l.sockets) - 1
	at := s.watch.at
	l.sockets[at], l.skips[at] = l.sockets[last], l.skips[last]
	l.sockets[at].watch.at = at
	l.sockets[last] = nil
	if l.sockets, l.skips = l.sockets[:last], l.skips[:last]; last == 0 {
		l.sockets, l.skips = nil, nil
	}
}

// look has the next sweep look at a socket that it may leave out.
func (sw *sweeper) look(s *Socket) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if skip := sw.skipLocked(s); skip != nil {
		*skip = 0
	}
}

// skipLocked returns the socket's entry in skips, or nil if it is not watched.
func (sw *sweeper) skipLocked(s *Socket) *uint8 {
	l := &sw.lists[s.route.sweepClass]
	if at := s.watch.at; at < len(l.sockets) && l.sockets[at] == s {
		return &l.skips[at]
	}
	return nil
}

// doubt has the socket looked at soon after it has fallen silent.
func (sw *sweeper) doubt(s *Socket) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if sw.doubts = append(sw.doubts, s); len(sw.doubts) == 1 {
		now := sw.h.since(time.Now())
		sw.lookDue = now + int64(slowTalker)
		sw.hurryLocked(now, sw.lookDue)
	}
}

// hurryLocked sees to it that the timer fires by the time due.
func (sw *sweeper) hurryLocked(now, due int64) {
	if sw.sweeping || sw.armed && sw.due <= due {
		return // it is set when the sweep is over, or soon enough
	}
	if !sw.armed {
		sw.armed = true
		sw.h.background.Add(1)
	}
	sw.setLocked(now, due)
}

func (sw *sweeper) setLocked(now, due int64) {
	sw.due = due
	if wait := time.Duration(max(due-now, 0)); sw.timer == nil {
		sw.timer = time.AfterFunc(wait, sw.tick)
	} else {
		sw.timer.Reset(wait)
	}
}

// restLocked ends the sweeping, until there is a socket again.
func (sw *sweeper) restLocked() {
	sw.doubts = nil
	sw.h.rester.stop()
	sw.armed = false
	sw.h.background.Done()
}

// stop ends the sweeping, for no socket will come any more.
func (sw *sweeper) stop() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.stopped = true
	if sw.armed && !sw.sweeping && sw.timer.Stop() {
		sw.restLocked()
	}
}

// tick is one look at everything that is due.
func (sw *sweeper) tick() {
	sw.mu.Lock()
	if sw.sweeping || !sw.armed { // the timer was set while it fired
		sw.mu.Unlock()
		return
	}
	sw.sweeping = true
	sw.mu.Unlock()
	now := sw.h.since(time.Now())
	sw.lookAgain(now)
	for class := range sw.lists {
		sw.sweep(class, now)
	}
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.sweeping = false
	if due, ok := sw.nextLocked(); ok && !sw.stopped {
		sw.setLocked(sw.h.since(time.Now()), due)
	} else {
		sw.restLocked()
	}
}

// nextLocked returns when something is due next, or false when nobody is left to be
// watched.
func (sw *sweeper) nextLocked() (due int64, ok bool) {
	due = math.MaxInt64
	for i := range sw.lists {
		if l := &sw.lists[i]; len(l.sockets) > 0 {
			due, ok = min(due, l.due), true
		}
	}
	if ok && len(sw.doubts) > 0 {
		due = min(due, sw.lookDue)
	}
	return due, ok
}

// sweep looks at the sockets of one class, if it is due.
func (sw *sweeper) sweep(class int, now int64) {
	var some [256]*Socket
	var skips [len(some)]uint8
	dozed := 0
	for from := 0; ; {
		n, next := sw.some(class, from, now, some[:])
		for i, s := range some[:n] {
			s.sweep(now)
			if dozed < restsPerSweep && s.doze(now) {
				if dozed++; dozed%restsAtOnce == 0 {
					time.Sleep(restPause)
				}
			}
			skips[i] = s.skips(now)
		}
		sw.looked(some[:n], skips[:n])
		if from = next; next == 0 {
			return
		}
	}
}

// some returns sockets of a class that are to be looked at, from an index on, and the next
// index; 0 if the class is not due, or there are no more, which makes it due again. One that
// moves to the place of one that leaves may be left out, until the next sweep.
func (sw *sweeper) some(class, from int, now int64, to []*Socket) (n, next int) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	l := &sw.lists[class]
	if now < l.due {
		return 0, 0
	}
	next = from
	for ; next < min(len(l.sockets), from+scanAtATime) && n < len(to); next++ {
		if skip := &l.skips[next]; *skip > 0 && *skip != looking {
			*skip--
		} else {
			*skip = looking
			to[n] = l.sockets[next]
			n++
		}
	}
	if next >= len(l.sockets) {
		l.due = now + int64(sweepInterval(class))
		next = 0
	}
	return n, next
}

// looked notes how many sweeps are to leave out sockets that were looked at. One that is
// awake by now, or was asked for meanwhile, is not left out.
func (sw *sweeper) looked(sockets []*Socket, skips []uint8) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	for i, s := range sockets {
		if skip := sw.skipLocked(s); skip != nil && *skip == looking {
			*skip = 0
			if s.resting.Load() {
				*skip = skips[i]
			}
		}
		sockets[i] = nil
	}
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
