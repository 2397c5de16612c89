package gateway

import (
	"sync"
	"time"
)

// An aside is what an outbox holds besides its queue: pings and pongs, and what is noted of
// a client that does not read. Most outboxes have none of it, most of the time.
type aside struct {
	progress chan struct{} // closed when something changed for a waiter; nil if nobody waits

	control  []byte // pings and pongs that go before the queue
	ctlTaken int    // bytes of control that the writer has in hand
	pongs    int    // bytes of pongs put into the queue since it was last empty

	// since when senders are refused, without a time of relief; 0 if they are not
	full     int64
	waits    int     // bytes that senders hold that wait for room
	reported waiting // what the route's counters show of the queue
}

var asides = sync.Pool{New: func() any { return new(aside) }}

// asideLocked returns the outbox's aside, the first time a new one.
func (o *outbox) asideLocked() *aside {
	if o.aside == nil {
		o.aside = asides.Get().(*aside)
	}
	return o.aside
}

// tidyLocked gives up an aside that holds nothing.
func (o *outbox) tidyLocked() {
	a := o.aside
	if a == nil || len(a.control) > 0 || a.ctlTaken > 0 || !o.queue.Empty() || a.full != 0 ||
		a.waits != 0 || a.progress != nil || a.reported != (waiting{}) {
		return
	}
	o.aside = nil
	*a = aside{control: a.control[:0]}
	if cap(a.control) > mostIdleControl {
		a.control = nil
	}
	asides.Put(a)
}

const mostIdleControl = 256 // bytes of an empty buffer for pings and pongs that are kept

// controlLocked returns the pings and pongs that go before the queue.
func (o *outbox) controlLocked() []byte {
	if o.aside == nil {
		return nil
	}
	return o.aside.control
}

// add appends a ping or a pong, unless too many wait.
func (a *aside) add(first byte, payload []byte) {
	if len(a.control) < mostControl {
		a.control = append(append(a.control, first, byte(len(payload))), payload...)
	}
}

func (o *outbox) dropControlLocked() {
	if o.aside != nil {
		o.aside.control, o.aside.ctlTaken = nil, 0
	}
}

// timedLocked is called when a timeout has begun to run that the sweeper may not expect of
// a socket at rest.
func (o *outbox) timedLocked() {
	if o.s.resting.Load() {
		o.s.h.sweeper.look(o.s)
	}
}

// refusedLocked notes that the queue's own bounds have refused a message.
func (o *outbox) refusedLocked() {
	if a := o.asideLocked(); a.full == 0 {
		a.full = o.s.h.since(time.Now())
		o.timedLocked()
	}
}
