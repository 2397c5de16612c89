package gateway

import (
	"container/heap"
	"context"
	"runtime/pprof"
	"time"
)

// drainStep is how often a drain closes sockets.
const drainStep = 10 * time.Millisecond

// Drain empties the gateway without sending all clients away at once, as a deploy asks
// for. New upgrades are refused with 503 and Retry-After, and ServeHealth answers 503,
// from the start. The sockets are closed with 1012, cause drain, spread evenly over the
// time; those whose clients have said nothing for longest go first. What was accepted for
// them is written before. A time of zero or less closes all at once.
//
// Drain returns nil when the last close event has returned. If ctx ends first, the error
// is of type timeout and says how many sockets are left; the drain goes on. [Stats] has
// its progress. A second call waits too, and makes the time shorter, never longer. Shutdown
// ends a drain: what is left is closed at once. Nothing makes a gateway that was
// drained take sockets again; call Shutdown next, which then has nobody to wait for.
//
// It waits for what the sockets' endpoints do, so they cannot call it: from inside an
// event, a function of [Socket.Go] or Authorize it changes nothing and fails with
// ErrInvalid. There, call it in a goroutine of its own, with a context of its own, and do
// not wait for that.
func (h *Handler) Drain(ctx context.Context, over time.Duration) error {
	if err := h.checkOutside(ctx, "Drain"); err != nil {
		return err
	}
	if h.hub.startDrain(h, time.Now().Add(max(over, 0))) {
		h.log.Info("drain began", "sockets", h.everyone.len(), "over", max(over, 0))
	}
	idle := h.hub.idle()
	select {
	case <-idle:
		return nil
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		open, requests := h.hub.count()
		return NewError(ErrTimeout, "drain: %d sockets are not closed yet: %w",
			open+requests, context.Cause(ctx))
	}
}

// A drainState is what the hub knows of a drain; guarded by hub.mu.
type drainState struct {
	on    bool
	over  bool          // the time has run out: what opens still is closed at once
	until time.Time     // when the last socket is closed
	hurry chan struct{} // until is earlier than it was; holds one value
}

// startDrain takes no more sockets and has those that are here closed until then. It
// reports whether the drain is a new one.
func (b *hub) startDrain(h *Handler, until time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := &b.drain
	switch {
	case b.closed:
		return false // Shutdown closes all
	case !d.on:
		*d = drainState{on: true, until: until, hurry: make(chan struct{}, 1)}
		h.background.Go(func() { h.drain(d.hurry) }) // Shutdown waits for it
		return true
	case until.Before(d.until):
		d.until = until
		select {
		case d.hurry <- struct{}{}:
		default:
		}
	}
	return false
}

// refuses reports whether no more sockets are taken.
func (b *hub) refuses() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed || b.drain.on
}

// drainTime returns until when a drain closes sockets, if there is or was one.
func (b *hub) drainTime() (until time.Time, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.drain.until, b.drain.on
}

func (b *hub) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// drainOver ends the time of a drain.
func (b *hub) drainOver() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drain.over = true
}

// lateEnd says how a socket is to end that opens although no more are taken: its request
// was being looked at when that began.
func (b *hub) lateEnd() (end Closed, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return Closed{Cause: CauseDrain, Code: closeGoingAway}, true
	case b.drain.over:
		return drained, true
	}
	return Closed{}, false
}

var errDraining = NewError(ErrShutdown,
	"this server is being drained: connect again, to another one")

var drained = Closed{Cause: CauseDrain, Code: closeRestart}

// drain closes the sockets, a few at each step, so that of those that are left the same
// part goes in every moment of the time that is left.
func (h *Handler) drain(hurry <-chan struct{}) {
	pprof.SetGoroutineLabels(labelDrain)
	var line silentLine
	step := time.NewTimer(0)
	defer step.Stop()
	last, due := time.Now(), 0.0 // of a socket, a part may be due
	for {
		if h.hub.isClosed() {
			return // Shutdown closes all
		}
		until, _ := h.hub.drainTime()
		now := time.Now()
		if !now.Before(until) {
			break
		}
		left := float64(h.everyone.len()) - due
		due += left * float64(now.Sub(last)) / float64(until.Sub(last))
		for ; due >= 1 && h.closeSilent(&line, now); due-- {
		}
		last = now
		step.Reset(untilNext(until.Sub(now), left, due))
		select {
		case <-step.C:
		case <-hurry:
		case <-h.hub.idle():
			return
		}
	}
	h.hub.drainOver()
	for s := range h.hub.all() {
		s.close(drained)
	}
}

// untilNext is how long nothing is due of what is left, or not worth the while.
func untilNext(rest time.Duration, left, due float64) time.Duration {
	next := time.Duration((1 - due) * float64(rest) / max(left, 1))
	return min(max(next, drainStep), time.Second, rest)
}

// closeSilent closes the socket that has been silent for longest, and reports whether
// there was one.
func (h *Handler) closeSilent(line *silentLine, now time.Time) bool {
	for refilled := false; ; {
		if len(*line) == 0 {
			if refilled {
				return false
			}
			refilled = true
			h.lineUp(line) // at the beginning, and for those that have come late
			continue
		}
		first := &(*line)[0]
		if spoke := first.s.latest(); spoke.After(first.since) && spoke.Before(now) {
			first.since = spoke
			heap.Fix(line, 0)
			continue
		}
		if heap.Pop(line).(silence).s.close(drained) {
			return true
		}
	}
}

// lineUp puts the open sockets into the line.
func (h *Handler) lineUp(line *silentLine) {
	for s := range h.hub.all() {
		if !s.isClosing() {
			*line = append(*line, silence{s, s.latest()})
		}
	}
	heap.Init(line)
}

// latest returns when the socket's latest event was received.
func (s *Socket) latest() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastLocked().Time
}

// A silence is a socket and since when its client is thought to have said nothing. When
// its turn comes, it is asked again.
type silence struct {
	s     *Socket
	since time.Time
}

// A silentLine is a heap of sockets, the one that is silent for longest in front.
type silentLine []silence

func (l silentLine) Len() int           { return len(l) }
func (l silentLine) Less(i, j int) bool { return l[i].since.Before(l[j].since) }
func (l silentLine) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *silentLine) Push(x any)        { *l = append(*l, x.(silence)) }
func (l *silentLine) Pop() any {
	last := len(*l) - 1
	x := (*l)[last]
	(*l)[last] = silence{}
	*l = (*l)[:last]
	return x
}
