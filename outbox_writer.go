package gateway

import (
	"sync"
	"time"
)

const batchSize = 64 << 10 // of what one write takes together

var batchBufs = sync.Pool{New: func() any { return new([batchSize]byte) }}

// A writeSource is what rawConn.writeAll writes.
type writeSource interface {
	next(written int) []byte // takes note of what was written and returns what comes next, nil if nothing
	blocked(written int)     // the client does not read
}

// A batch is the writer's side of an outbox: what it writes at a time.
type batch struct {
	o    *outbox
	buf  *[batchSize]byte // frames are put together here
	once bool             // stop after the first write even if there is more
	more bool             // there is
	n    int              // writes
}

// batches are those of flush, which is called for every few messages.
var batches = sync.Pool{New: func() any { return new(batch) }}

// next implements writeSource. When it returns nil the caller is no longer the
// writer, unless there is more.
func (b *batch) next(written int) []byte {
	o := b.o
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wroteLocked(written)
	o.since = 0
	if o.dead || o.emptyLocked() {
		b.release()
		o.writing = false
		o.changedLocked()
		if o.closed && !o.dead {
			o.s.closeWritten()
		}
		return nil
	}
	if b.n++; b.once && b.n > 1 {
		b.more = true
		b.release()
		return nil
	}
	return b.takeLocked()
}

// blocked implements writeSource.
func (b *batch) blocked(written int) {
	o := b.o
	o.mu.Lock()
	o.wroteLocked(written)
	if o.since == 0 || written > 0 {
		o.since = max(1, o.s.h.since(time.Now()))
	}
	o.mu.Unlock()
	b.release()
}

func (b *batch) release() {
	if b.buf != nil {
		batchBufs.Put(b.buf)
		b.buf = nil
	}
}

// takeLocked takes what fits into one write: the rest of a frame that is begun,
// then pings and pongs, then frames. A large frame goes alone and uncopied.
func (b *batch) takeLocked() []byte {
	o := b.o
	q := &o.queue
	frames := q.waiting()
	if len(o.control) == 0 || q.off > 0 {
		if rest := frames[0].b[q.off:]; len(frames) == 1 || len(rest) > maxChunk {
			q.taken = 1
			return rest
		}
	}
	if b.buf == nil {
		b.buf = batchBufs.Get().(*[batchSize]byte)
	}
	p := b.buf[:0]
	if q.off > 0 {
		p = append(p, frames[0].b[q.off:]...)
		frames, q.taken = frames[1:], 1
	}
	o.ctlTaken = copy(p[len(p):cap(p)], o.control)
	p = p[:len(p)+o.ctlTaken]
	for _, f := range frames {
		if len(f.b) > maxChunk || len(p)+len(f.b) > batchSize {
			break
		}
		p = append(p, f.b...)
		q.taken++
	}
	return p
}

// wroteLocked accounts for n bytes of what takeLocked returned.
func (o *outbox) wroteLocked(n int) {
	if n > 0 && o.queue.off > 0 {
		n = o.wroteFrameLocked(n)
	}
	if n > 0 && o.ctlTaken > 0 {
		k := min(n, o.ctlTaken)
		o.control = append(o.control[:0], o.control[k:]...)
		n -= k
	}
	for n > 0 {
		n = o.wroteFrameLocked(n)
	}
	o.ctlTaken = 0
	o.queue.settle()
	if len(o.control) == 0 && cap(o.control) > 2*maxControl {
		o.control = nil
	}
}

// wroteFrameLocked accounts for up to n bytes of the first frame and returns
// what is left of n.
func (o *outbox) wroteFrameLocked(n int) int {
	left, f := o.queue.wrote(n)
	if f == nil {
		return 0
	}
	if f.notify != nil {
		f.notify.written = true
	}
	f.release()
	o.changedLocked()
	return left
}

// flush writes what is queued, for the writer; at most one write if once. Where
// the client does not read, a drainer goes on; but a connection that can only
// block makes the caller wait.
func (o *outbox) flush(once bool) (more bool) {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	*b = batch{o: o, once: once}
	var stuck bool
	var err error
	if raw := o.s.link.raw; raw != nil {
		stuck, err = raw.writeAll(b, false)
	} else {
		err = o.drainBlocking(b)
	}
	b.o = nil
	switch {
	case err != nil:
		b.release()
		o.fail()
	case stuck:
		go o.drain()
	}
	return b.more
}

// drain writes what is queued and waits for the client where it must. It is the
// writer; it ends when nothing is queued or the connection is gone, and the
// socket does not end before it.
func (o *outbox) drain() {
	b := batch{o: o}
	if _, err := o.s.link.raw.writeAll(&b, true); err != nil {
		b.release()
		o.fail()
	}
}

// drainBlocking writes to a connection that can only block.
func (o *outbox) drainBlocking(b *batch) error {
	for p := b.next(0); p != nil; {
		o.mu.Lock()
		o.since = max(1, o.s.h.since(time.Now()))
		o.mu.Unlock()
		n, err := o.s.link.conn.Write(p[:min(len(p), batchSize)])
		if err != nil {
			return err
		}
		p = b.next(n)
	}
	return nil
}
