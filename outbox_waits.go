package gateway

import (
	"context"
	"time"

	"github.com/wsgateway/gateway/internal/frameq"
)

// putWait queues a message, and waits for room until ctx ends. It never makes others
// give way.
func (o *outbox) putWait(ctx context.Context, m *outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.putWaitLocked(ctx, m)
}

// putWaitLocked is putWait for who holds o.mu, which it gives up while it waits.
func (o *outbox) putWaitLocked(ctx context.Context, m *outgoing) error {
	if !o.closed && o.pushLocked(m, frameq.Nobody, false) == nil {
		return nil // as nearly always, and without what a wait has to account for
	}
	var w wait
	defer o.endWaitLocked(&w)
	for {
		if o.closed {
			m.free()
			return ErrClosed
		}
		err := o.pushLocked(m, frameq.Nobody, false)
		if err == nil {
			return nil
		}
		o.beginWaitLocked(&w, m)
		if o.acquireLocked() { // nothing would change if nobody wrote
			o.unlocked(o.appoint)
			continue
		}
		if err = o.waitForRoomLocked(ctx, &w, m, err == errNoMemory); err != nil {
			m.free()
			return err
		}
	}
}

// A wait is that of a message for room.
type wait struct {
	begun bool
	bytes int           // that it holds
	pause time.Duration // until the next look at a pool
}

// beginWaitLocked counts what a sender holds while it waits for room. That is the message
// alone, and its frame is made again later: only what took time to deflate is kept.
func (o *outbox) beginWaitLocked(w *wait, m *outgoing) {
	if w.begun {
		return
	}
	w.begun = true
	if m.frame != nil && m.first == m.frame.B[0] {
		m.free()
	}
	w.bytes = len(m.data)
	if m.frame != nil {
		w.bytes += cap(m.frame.B)
	}
	if w.bytes <= frameq.Allowance {
		w.bytes = 0
	}
	o.asideLocked().waits += w.bytes
	o.s.h.memory.waiting.Add(w.bytes)
}

func (o *outbox) endWaitLocked(w *wait) {
	if w.bytes == 0 {
		return
	}
	o.asideLocked().waits -= w.bytes
	o.tidyLocked()
	o.s.h.memory.waiting.Add(-w.bytes)
}

// waitForRoomLocked waits until there may be room: in this queue, or where memory is
// short, in the pool of all. It fails when ctx ends, and where there never can be room.
func (o *outbox) waitForRoomLocked(ctx context.Context, w *wait, m *outgoing, short bool) error {
	mem := &o.s.h.memory
	switch over := mem.waiting.over(); {
	case short && o.emptyLocked(): // it is not this client that it waits for
		if int64(frameq.Needs(m.size())) > mem.queued.Most() {
			return errNoMemory // there never will be room
		}
		o.unlocked(func() { o.s.h.relieve(&mem.queued, o.s) })
	case over > 0:
		o.unlocked(func() { o.s.h.makeRoom(&mem.waiting, nil, over) })
	default:
		return o.waitLocked(ctx)
	}
	w.pause = nextPause(w.pause)
	return o.waitWithinLocked(ctx, w.pause)
}

// putSync queues a message like putWait, and waits until it is handed to the operating
// system. It reports whether it was queued, whatever became of it.
func (o *outbox) putSync(ctx context.Context, m *outgoing) (queued bool, err error) {
	sent := new(frameq.Notice)
	m.notice = sent
	if err := o.putWait(ctx, m); err != nil {
		return false, err
	}
	o.uncork()
	o.mu.Lock()
	defer o.mu.Unlock()
	// finish, which takes what is left, may be waiting for the caller: so the end is o.dead.
	for !sent.Written && !sent.Lost && !o.dead {
		if err := o.waitLocked(ctx); err != nil {
			return true, err
		}
	}
	switch {
	case sent.Written:
		return true, nil
	case o.closed:
		return true, ErrClosed
	}
	return true, ErrDropped
}

// unlocked calls fn without o.mu, which is held before and after.
func (o *outbox) unlocked(fn func()) {
	o.mu.Unlock()
	defer o.mu.Lock()
	fn()
}

// waitLocked gives up o.mu until something changes.
func (o *outbox) waitLocked(ctx context.Context) error {
	return o.waitWithinLocked(ctx, 0)
}

// waitWithinLocked is waitLocked for at most a time; 0 means any.
func (o *outbox) waitWithinLocked(ctx context.Context, most time.Duration) error {
	a := o.asideLocked()
	if a.progress == nil {
		a.progress = make(chan struct{})
	}
	ch := a.progress
	o.mu.Unlock()
	defer o.mu.Lock()
	var late <-chan time.Time
	if most > 0 {
		late = time.After(most)
	}
	select {
	case <-ch:
		return nil
	case <-late:
		return nil
	case <-ctx.Done():
		return timeout(ctx)
	}
}

func (o *outbox) changedLocked() {
	if a := o.aside; a != nil && a.progress != nil {
		close(a.progress)
		a.progress = nil
	}
}
