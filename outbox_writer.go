package gateway

import (
	"runtime/pprof"
	"sync"
	"time"

	"github.com/wsgateway/gateway/internal/frameq"
)

// The writer's role. Whoever has it may write to the connection, and nobody else does.
// This file is the one place where it is acquired, passed on and released:
//
//	free ──acquireLocked, acquireIdleLocked──► held ──passOnLocked──► held by another
//	  ▲                                          │
//	  └──────────── releaseLocked ───────────────┘
//
// It is acquired by whoever queues the first frame, or wants what waits to be written,
// and then appoints one of these to write, or is one of them:
//
//   - the upgrade request's goroutine, for the answer to it;
//   - the socket's reader, for the replies of its own events (outbox_replies.go);
//   - a worker of the flusher, for what others send (flusher.go);
//   - a drainer, a goroutine that lives only while the client does not read.
//
// The writer takes everything that is queued and writes it with one system call, again
// and again until nothing is left. It releases the role in the same critical section in
// which it finds nothing more to write, so nothing is ever queued without a writer.
type role uint8

const (
	free role = iota
	held
)

// acquireLocked takes the role if there is work and nobody has it.
func (o *outbox) acquireLocked() bool {
	if o.role != free || o.dead || o.emptyLocked() {
		return false
	}
	o.role = held
	return true
}

// acquireIdleLocked takes the role to write what is not queued, if nothing is.
func (o *outbox) acquireIdleLocked() bool {
	if o.role != free || o.dead || o.closed || !o.emptyLocked() {
		return false
	}
	o.role = held
	return true
}

// releaseLocked gives up the role if nothing is left to write, and reports whether it
// has. With closeSent the close frame was the last that was written, and the caller must
// tell the socket, without o.mu.
func (o *outbox) releaseLocked() (released, closeSent bool) {
	if !o.dead && !o.emptyLocked() {
		return false, false
	}
	o.role = free
	o.changedLocked()
	return true, o.closed && !o.dead
}

// appoint has somebody else write what is queued; the caller has the role and passes it
// on.
func (o *outbox) appoint() { o.s.h.flusher.add(o.s) }

// fail gives up the role because the connection takes no more, and closes the socket:
// nobody can be told anything.
func (o *outbox) fail(err error) {
	o.s.fail(err) // first: nobody finds the outbox closed of a socket that is open
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.dead = true, true
	o.role = free
	if o.aside != nil {
		o.aside.ctlTaken = 0
	}
	o.queue.Take(0)
	o.changedLocked()
}

const batchSize = 64 << 10 // of what one write takes together

// Frames are put together in these. A write that can only block holds its buffer until its
// client reads, so that one is small: TLS takes no more at a time.
var batchBufs, blockingBufs = bufPool(batchSize), bufPool(frameq.MaxChunk)

func bufPool(size int) *sync.Pool {
	return &sync.Pool{New: func() any { b := make([]byte, size); return &b }}
}

func (b *batch) bufs() *sync.Pool {
	if b.o.s.conn.raw == nil {
		return blockingBufs
	}
	return batchBufs
}

// A batch is the writer's side of an outbox: what it writes at a time. It implements
// rawio.Source.
type batch struct {
	o    *outbox
	buf  *[]byte // frames are put together here
	once bool    // stop after the first write even if there is more
	more bool    // there is
	n    int     // writes
}

// batches are those of flush, which is called for every few messages.
var batches = sync.Pool{New: func() any { return new(batch) }}

// Next takes note of what was written and returns what comes next. When it returns nil
// the caller is no longer the writer, unless there is more.
func (b *batch) Next(written int) []byte {
	o := b.o
	o.mu.Lock()
	o.wroteLocked(written)
	o.since = 0
	if released, closeSent := o.releaseLocked(); released {
		o.mu.Unlock()
		b.free()
		if closeSent {
			o.s.closeSent()
		}
		return nil
	}
	if b.n++; b.once && b.n > 1 {
		b.more = true
		o.mu.Unlock()
		b.free()
		return nil
	}
	p := b.takeLocked()
	o.mu.Unlock()
	return p
}

// Blocked takes note of what was written, and that the client takes no more now.
func (b *batch) Blocked(written int) {
	o := b.o
	o.mu.Lock()
	o.wroteLocked(written)
	began := o.since == 0
	if began || written > 0 {
		o.since = o.s.h.since(time.Now())
	}
	if began {
		o.timedLocked()
	}
	o.reportLocked()
	o.mu.Unlock()
	b.free()
}

func (b *batch) free() {
	if b.buf != nil {
		b.bufs().Put(b.buf)
		b.buf = nil
	}
}

// takeLocked takes what fits into one write: the rest of a frame that is begun, then
// pings and pongs, then frames. A large frame goes alone and uncopied. Nothing goes
// before the answer to the upgrade request.
func (b *batch) takeLocked() []byte {
	o := b.o
	q := &o.queue
	frames := q.Waiting()
	off := 0
	if !q.Empty() {
		_, off = q.First()
	}
	if !q.Empty() && (len(o.controlLocked()) == 0 || off > 0 || o.opening) {
		if rest := frames[0].B[off:]; len(frames) == 1 || len(rest) > frameq.MaxChunk {
			q.Take(1)
			return rest
		}
	}
	if b.buf == nil {
		b.buf = b.bufs().Get().(*[]byte)
	}
	p := (*b.buf)[:0]
	taken := 0
	if !q.Empty() && (off > 0 || o.opening) {
		p = append(p, frames[0].B[off:]...)
		frames, taken = frames[1:], 1
	}
	if a := o.aside; a != nil {
		a.ctlTaken = copy(p[len(p):cap(p)], a.control)
		p = p[:len(p)+a.ctlTaken]
	}
	for _, f := range frames {
		if len(f.B) > frameq.MaxChunk || len(p)+len(f.B) > cap(p) {
			break
		}
		p = append(p, f.B...)
		taken++
	}
	q.Take(taken)
	return p
}

// wroteLocked accounts for n bytes of what takeLocked returned.
func (o *outbox) wroteLocked(n int) {
	if n > 0 && !o.queue.Empty() {
		if _, off := o.queue.First(); off > 0 || o.opening {
			n = o.wroteFrameLocked(n)
		}
	}
	if a := o.aside; a != nil {
		k := min(n, a.ctlTaken)
		a.control = append(a.control[:0], a.control[k:]...)
		n, a.ctlTaken = n-k, 0
	}
	for n > 0 {
		n = o.wroteFrameLocked(n)
	}
	o.queue.Settle()
	if a := o.aside; a != nil {
		o.unreportLocked()
		if a.full != 0 && o.relievedLocked() {
			a.full = 0
		}
		o.tidyLocked()
	}
}

// relievedLocked reports whether a queue that was full has half of its room again.
func (o *outbox) relievedLocked() bool {
	lim := o.limits()
	return o.queue.Count() <= lim.Messages/2 && o.queue.Size() <= lim.Bytes/2
}

// wroteFrameLocked accounts for up to n bytes of the first frame and returns what is
// left of n.
func (o *outbox) wroteFrameLocked(n int) int {
	left, f := o.queue.Wrote(n)
	if f == nil {
		return 0
	}
	o.opening = false
	if f.Notice != nil {
		f.Notice.Written = true
	}
	f.Free()
	o.changedLocked()
	return left
}

// flush writes what is queued, for the writer; at most one write if once, and then it
// reports whether there is more and the caller is still the writer. Where the client
// does not read, a drainer goes on; but a connection that can only block makes the
// caller wait.
func (o *outbox) flush(once bool) (more bool) {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	*b = batch{o: o, once: once}
	var stuck bool
	var err error
	if raw := o.s.conn.raw; raw != nil {
		stuck, err = raw.WriteAll(b, false)
	} else {
		err = o.writeBlocking(b)
	}
	if err != nil {
		b.free()
	}
	b.o = nil
	switch {
	case err != nil:
		o.fail(err)
	case stuck:
		go o.drain()
	}
	return b.more
}

// drain writes what is queued and waits for the client where it must. It is the writer;
// it ends when nothing is queued or the connection is gone, and the socket does not end
// before it.
func (o *outbox) drain() {
	pprof.SetGoroutineLabels(labelDrainer)
	b := batch{o: o}
	if _, err := o.s.conn.raw.WriteAll(&b, true); err != nil {
		b.free()
		o.fail(err)
	}
}

// writeBlocking writes to a connection that can only block.
func (o *outbox) writeBlocking(b *batch) error {
	for p := b.Next(0); p != nil; {
		o.mu.Lock()
		o.since = o.s.h.since(time.Now())
		o.mu.Unlock()
		n, err := o.s.conn.nc.Write(p[:min(len(p), batchSize)])
		if err != nil {
			b.Blocked(n)
			return err
		}
		p = b.Next(n)
	}
	return nil
}

// begin has nothing written before the answer to the upgrade request, which writeAnswer
// writes, or the first flush where a write can only block.
func (o *outbox) begin(answer []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opening = true
	if o.s.conn.raw != nil {
		o.role = held // by who calls writeAnswer
	} else {
		o.queue.Push(frameq.NewRaw(answer), false)
	}
}

// writeAnswer writes the answer to the upgrade request, for the writer. It needs little of
// the stack, so that the request's goroutine does not have to make its own grow.
func (o *outbox) writeAnswer(answer []byte) {
	n, err := o.s.conn.raw.TryWrite(answer)
	if err != nil {
		o.fail(err)
		return
	}
	o.mu.Lock()
	if n < len(answer) {
		o.queue.Unshift(frameq.NewRaw(answer), n)
		o.mu.Unlock()
		go o.drain()
		return
	}
	o.opening = false
	o.endDirectLocked()
}

// endDirectLocked ends a write past the queue: the role is released, or passed on to who
// writes what was queued meanwhile. It unlocks o.mu.
func (o *outbox) endDirectLocked() {
	released, closeSent := o.releaseLocked()
	o.mu.Unlock()
	switch {
	case !released:
		o.appoint()
	case closeSent:
		o.s.closeSent()
	}
}

// writeNow writes one message, for the writer, without queueing it.
func (o *outbox) writeNow(m *outgoing) {
	reserved := o.queue.Reserve(m.size())
	defer o.queue.Release(reserved)
	f := m.frame
	if f == nil {
		f = frameq.New(m.first, m.data, m.key)
	}
	f.Keep = m.keep
	n, err := o.s.conn.raw.TryWrite(f.B)
	o.mu.Lock()
	switch {
	case err != nil:
		o.lostLocked(f, n, lostClosed)
		o.mu.Unlock()
		o.fail(err)
		return
	case n < len(f.B):
		o.queue.Unshift(f, n)
		o.mu.Unlock()
		go o.drain()
		return
	}
	o.endDirectLocked()
	f.Free()
}
