package gateway

import (
	"context"
	"time"

	"github.com/wsgateway/gateway/internal/frameq"
)

// corkDelay is how long collected replies wait at most.
const corkDelay = time.Millisecond

// What reply does with a message.
const (
	modeQueue   = iota // no event is running: as if another had sent it
	modeNow            // the first reply of an event leaves at once
	modeCollect        // more input is waiting, or one reply has left: collect
)

// reply sends a message for the socket's own event, or for what Socket.Go runs. The
// first reply of an event is written at once if nothing else is to be done; others are
// collected until the event is over or corkDelay has passed. It waits for room, and a
// policy that drops messages does not drop replies.
func (o *outbox) reply(ctx context.Context, m *outgoing) error {
	m.keep = o.order() != frameq.Nobody
	mode := o.mode.Load()
	if mode == modeNow && o.beFirst(m) {
		o.mode.CompareAndSwap(modeNow, modeCollect)
		o.writeNow(m)
		return nil
	}
	o.mu.Lock()
	if err := o.putWaitLocked(ctx, m); err != nil {
		o.mu.Unlock()
		return err
	}
	collect := mode != modeQueue && !o.closed && o.queue.Size() < batchSize
	if collect && o.role == free {
		o.startTimerLocked()
	}
	write := !collect && o.acquireLocked()
	o.mu.Unlock()
	if write {
		o.appoint()
	}
	return nil
}

// beFirst makes the caller the writer if it can write the message at once, and its frame
// may wait if the client does not take all of it.
func (o *outbox) beFirst(m *outgoing) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.s.conn.raw != nil && o.queue.Takes(m.size()) && o.acquireIdleLocked()
}

// startTimerLocked bounds how long collected replies wait, even if the event goes on for
// long.
func (o *outbox) startTimerLocked() {
	switch {
	case o.timed:
		return
	case o.timer == nil:
		o.timer = time.AfterFunc(corkDelay, o.uncork)
	default:
		o.timer.Reset(corkDelay)
	}
	o.timed = true
}

func (o *outbox) stopTimerLocked() {
	if o.timed {
		o.timer.Stop()
		o.timed = false
	}
}

// forgetTimer lets go of the timer if it does not run, for a socket that goes to rest.
func (o *outbox) forgetTimer() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.timed {
		o.timer = nil
	}
}

// uncork has everything written that was collected.
func (o *outbox) uncork() {
	o.mu.Lock()
	o.timed = false
	write := o.acquireLocked()
	o.mu.Unlock()
	if write {
		o.appoint()
	}
}

// unreadLocked reports whether many pongs are pending: the client does not read them.
func (o *outbox) unreadLocked() bool { return len(o.controlLocked()) > maxPending }

func (o *outbox) unreadPongs() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unreadLocked()
}

// flushOwn writes what is queued if nobody else does; for the reader, before it may
// block. It reports whether many pongs are pending.
func (o *outbox) flushOwn() (pending bool) {
	o.mode.Store(modeQueue)
	o.mu.Lock()
	o.stopTimerLocked()
	write := o.acquireLocked()
	pending = o.unreadLocked()
	o.mu.Unlock()
	if write && o.flush(true) {
		o.appoint()
	}
	return pending
}
