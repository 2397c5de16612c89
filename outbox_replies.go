package gateway

import (
	"context"
	"time"
)

// corkDelay is how long collected replies wait at most.
const corkDelay = time.Millisecond

// What sendOwn does with a message.
const (
	modeQueue   = iota // no event is running: as if another had sent it
	modeNow            // the first reply of an event leaves at once
	modeCollect        // more input is waiting, or one reply has left: collect
)

// sendOwn sends a message for the socket's own event, or for what Socket.Go
// runs. The first reply of an event is written at once if nothing else is to be
// done; others are collected until the event is over or corkDelay has passed.
func (o *outbox) sendOwn(ctx context.Context, f *frame) error {
	mode := o.mode.Load()
	if mode == modeNow && o.beFirst() {
		o.mode.CompareAndSwap(modeNow, modeCollect)
		o.writeNow(f)
		return nil
	}
	if err := o.putWait(ctx, f); err != nil {
		return err
	}
	o.mu.Lock()
	collect := mode != modeQueue && !o.closed && o.queue.size < batchSize
	if collect && !o.writing {
		o.startTimerLocked()
	}
	start := !collect && o.beWriterLocked()
	o.mu.Unlock()
	if start {
		o.appoint()
	}
	return nil
}

// beFirst makes the caller the writer if it can write at once.
func (o *outbox) beFirst() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing || o.closed || !o.emptyLocked() || o.s.link.raw == nil {
		return false
	}
	o.writing = true
	return true
}

// startTimerLocked bounds how long collected replies wait, even if the event
// goes on for long.
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

func (o *outbox) uncork() {
	o.mu.Lock()
	o.timed = false
	start := o.beWriterLocked()
	o.mu.Unlock()
	if start {
		o.appoint()
	}
}

// flushOwn writes what is queued if nobody else does; for the reader, before it
// may block. It reports whether many pongs are pending.
func (o *outbox) flushOwn() (pending bool) {
	o.mode.Store(modeQueue)
	o.mu.Lock()
	o.stopTimerLocked()
	start := o.beWriterLocked()
	pending = len(o.control) > maxPending
	o.mu.Unlock()
	if start && o.flush(true) {
		o.appoint()
	}
	return pending
}

// writeNow writes one message, for the writer, without queueing it.
func (o *outbox) writeNow(f *frame) {
	n, err := o.s.link.raw.tryWrite(f.b)
	if err != nil {
		f.release()
		o.fail()
		return
	}
	o.mu.Lock()
	if n < len(f.b) {
		o.queue.unshift(f, n)
		o.mu.Unlock()
		go o.drain()
		return
	}
	more := !o.emptyLocked() && !o.dead
	o.writing = more
	if !more {
		o.changedLocked()
		if o.closed && !o.dead {
			o.s.closeWritten()
		}
	}
	o.mu.Unlock()
	f.release()
	if more {
		o.appoint()
	}
}
