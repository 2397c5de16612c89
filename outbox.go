package gateway

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	batchSize    = 64 << 10 // of what one write takes together
	maxPending   = 4 << 10  // bytes of pongs that may wait before we stop reading
	keepQueueCap = 8        // of the slice of an empty queue
	corkDelay    = time.Millisecond
)

var batchBufs = sync.Pool{New: func() any { return new([batchSize]byte) }}

// An outbox is the bounded queue of encoded frames between the senders and one
// client. It has no goroutine of its own. Whoever puts the first frame into an
// empty outbox becomes, or appoints, its writer, which takes everything that is
// queued and writes it with one system call, again and again until nothing is
// left:
//
//   - the socket's reader, for the replies of its own events;
//   - one of the gateway's flushers, for what others send (flusher.go);
//   - a drainer, a goroutine that lives only while the client does not read.
//
// There is never more than one writer, so frames leave in the order in which
// they were put.
type outbox struct {
	s *Socket

	mu       sync.Mutex
	queue    []*frame      // data frames, then at most one close frame
	head     int           // of queue: what is before it is written
	off      int           // bytes of the first frame that are written
	size     int           // bytes in queue
	taken    int           // frames that the writer has in hand
	control  []byte        // pings and pongs; they go before data frames
	ctlTaken int           // bytes of control that the writer has in hand
	writing  bool          // there is a writer
	closed   bool          // takes no more data
	dead     bool          // writes no more: the connection is gone
	progress chan struct{} // closed when something changed for a waiter; nil if nobody waits
	since    int64         // when the writer began to wait for the client; 0 if it does not
	timer    *time.Timer   // bounds how long replies are collected; made when first needed
	timed    bool          // timer runs

	mode atomic.Int32 // of replies: sendNow, ...
}

// What sendOwn does with a message.
const (
	modeQueue   = iota // no event is running: as if another had sent it
	modeNow            // the first reply of an event leaves at once
	modeCollect        // more input is waiting, or one reply has left: collect
)

// fullLocked reports whether a frame of n bytes has no room. An empty queue takes
// any.
func (o *outbox) fullLocked(n int) bool {
	lim := &o.s.route.lim
	count := len(o.queue) - o.head
	return count > 0 && (count >= lim.QueueMessages || o.size+n > lim.QueueBytes)
}

func (o *outbox) emptyLocked() bool { return o.head == len(o.queue) && len(o.control) == 0 }

func (o *outbox) pushLocked(f *frame) {
	o.queue = append(o.queue, f)
	o.size += len(f.b)
}

// replaceLocked drops the waiting message of the same key, if there is one: a
// newer value takes its place at the end of the queue.
func (o *outbox) replaceLocked(key string) {
	if key == "" {
		return
	}
	for i := o.untouchedLocked(); i < len(o.queue); i++ {
		if o.queue[i].key == key {
			o.dropLocked(i, lostReplaced)
			return
		}
	}
}

// untouchedLocked returns the index of the first frame that the writer has not
// begun.
func (o *outbox) untouchedLocked() int {
	if o.taken == 0 && o.off > 0 {
		return o.head + 1
	}
	return o.head + o.taken
}

// dropLocked drops a frame that the writer has not begun.
func (o *outbox) dropLocked(i int, why lostReason) {
	f := o.queue[i]
	o.queue = slices.Delete(o.queue, i, i+1)
	o.size -= len(f.b)
	o.lostLocked(f, why)
}

// lostLocked accounts for a frame that will not be written.
func (o *outbox) lostLocked(f *frame, why lostReason) {
	if f.b[0]&0x08 == 0 { // not the close frame
		o.s.h.stats.lost[why].Add(1)
	}
	if f.notify != nil {
		f.notify.lost = true
		o.changedLocked()
	}
	f.release()
}

// makeRoomLocked makes room for n bytes as the route's policy says, and reports
// whether there is.
func (o *outbox) makeRoomLocked(n int) bool {
	policy := o.s.route.lim.OnQueueFull
	for o.fullLocked(n) {
		first := o.untouchedLocked()
		switch {
		case first == len(o.queue):
			return false
		case policy == QueueDropOldest:
			o.dropLocked(first, lostOldest)
		case policy == QueueDropNewest:
			o.dropLocked(len(o.queue)-1, lostNewest)
		default:
			return false
		}
	}
	return true
}

// beWriterLocked makes the caller the writer if there is work and no writer.
func (o *outbox) beWriterLocked() bool {
	if o.writing || o.dead || o.emptyLocked() {
		return false
	}
	o.writing = true
	return true
}

// start ends the time in which only the answer to the handshake could be
// written; err is how that went.
func (o *outbox) start(err error) {
	if err != nil {
		o.fail()
		return
	}
	o.mu.Lock()
	o.writing = false
	o.mu.Unlock()
	o.uncork()
}

// put queues a frame, or refuses it at once. It takes over the frame.
func (o *outbox) put(f *frame) error {
	start, err := o.offer(f, nil)
	if start {
		o.appoint()
	}
	if err != nil {
		f.release()
		o.s.refused(err)
	}
	return err
}

// offer is put without the work that must not be done for many sockets one by
// one: start says that the caller has become the writer. With a membership, it
// does nothing once that has ended.
func (o *outbox) offer(f *frame, m *membership) (start bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case m != nil && m.socket.Load() == nil:
		return false, errNotMember
	case o.closed:
		return false, ErrClosed
	}
	o.replaceLocked(f.key)
	if o.fullLocked(len(f.b)) && !o.makeRoomLocked(len(f.b)) {
		return false, ErrQueueFull
	}
	o.pushLocked(f)
	return o.beWriterLocked(), nil
}

// putWait queues a frame, and waits for room until ctx ends. It takes over the
// frame.
func (o *outbox) putWait(ctx context.Context, f *frame) error {
	err := o.wait(ctx, func() bool {
		o.replaceLocked(f.key)
		if o.fullLocked(len(f.b)) {
			return false
		}
		o.pushLocked(f)
		return true
	})
	if err != nil {
		f.release()
	}
	return err
}

// putSync queues a frame like putWait, and waits until it is handed to the
// operating system.
func (o *outbox) putSync(ctx context.Context, f *frame) error {
	sent := new(notice)
	f.notify = sent
	if err := o.putWait(ctx, f); err != nil {
		return err
	}
	o.uncork()
	o.mu.Lock()
	defer o.mu.Unlock()
	for !sent.written && !sent.lost {
		if err := o.waitLocked(ctx); err != nil {
			return err
		}
	}
	if sent.lost {
		return ErrClosed
	}
	return nil
}

// wait calls try, with o.mu held, until it returns true, again after every
// change. It fails with ErrClosed when the outbox takes no more.
func (o *outbox) wait(ctx context.Context, try func() bool) error {
	o.mu.Lock()
	for !o.closed && !try() {
		if o.beWriterLocked() { // nothing would change if nobody wrote
			o.mu.Unlock()
			o.appoint()
			o.mu.Lock()
			continue
		}
		if err := o.waitLocked(ctx); err != nil {
			o.mu.Unlock()
			return err
		}
	}
	closed := o.closed
	o.mu.Unlock()
	if closed {
		return ErrClosed
	}
	return nil
}

// waitLocked gives up o.mu until something changes.
func (o *outbox) waitLocked(ctx context.Context) error {
	if o.progress == nil {
		o.progress = make(chan struct{})
	}
	ch := o.progress
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return timeout(ctx)
	}
}

func (o *outbox) changedLocked() {
	if o.progress != nil {
		close(o.progress)
		o.progress = nil
	}
}

// putControl queues a ping or pong.
func (o *outbox) putControl(first byte, payload []byte) {
	o.mu.Lock()
	if !o.closed && len(o.control) < 2*readBufSize+maxPending {
		o.control = append(append(o.control, first, byte(len(payload))), payload...)
	}
	o.mu.Unlock()
}

// ping queues a ping and has it written.
func (o *outbox) ping() {
	o.putControl(finBit|opPing, nil)
	o.uncork()
}

// waitingSince returns since when the writer waits for the client to read, 0 if
// it does not.
func (o *outbox) waitingSince() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since
}

// isDead reports whether writing has failed.
func (o *outbox) isDead() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dead
}

// waitControl waits while too many pongs are pending: a client that does not
// read its pongs is not read from either.
func (o *outbox) waitControl() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.control) > maxPending && !o.dead && o.writing {
		o.waitLocked(context.Background())
	}
}

// close takes no more data. With send it queues a close frame after what was
// accepted before; discard drops what no writer has begun to write. It reports
// whether the caller has become the writer.
func (o *outbox) close(payload []byte, send, discard bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if discard {
		o.discardLocked()
	}
	if send && !o.dead {
		o.pushLocked(newFrame(finBit|opClose, payload, ""))
	}
	o.changedLocked()
	return o.beWriterLocked()
}

// discardLocked drops the frames that are neither in the writer's hand nor begun.
func (o *outbox) discardLocked() {
	keep := o.untouchedLocked()
	for _, f := range o.queue[keep:] {
		o.size -= len(f.b)
		o.lostLocked(f, lostClosed)
	}
	o.queue = o.queue[:keep]
}

// kill ends all writing and waits for the writer, if there is one; the
// connection is closed.
func (o *outbox) kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.dead = true, true
	o.changedLocked()
	for o.writing {
		o.waitLocked(context.Background())
	}
	o.off = 0
	o.discardLocked()
	o.queue, o.head, o.control = nil, 0, nil
	o.stopTimerLocked()
}

// fail notes that writing is over because the connection is.
func (o *outbox) fail() {
	o.mu.Lock()
	o.closed, o.dead = true, true
	o.writing, o.taken, o.ctlTaken = false, 0, 0
	o.changedLocked()
	o.mu.Unlock()
}

// drained waits until everything is written, or writing is over.
func (o *outbox) drained() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.dead && (o.writing || !o.emptyLocked()) {
		o.waitLocked(context.Background())
	}
}

// pending reports whether something is not written.
func (o *outbox) pending() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.emptyLocked()
}

// appoint has somebody else write what is queued; the caller has become the
// writer and passes that on.
func (o *outbox) appoint() {
	if o.s.link.raw != nil {
		o.s.h.flusher.add(o.s)
	} else {
		go o.drain()
	}
}

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
	frames := o.queue[o.head:]
	if len(o.control) == 0 || o.off > 0 {
		if rest := frames[0].b[o.off:]; len(frames) == 1 || len(rest) > batchSize/4 {
			o.taken = 1
			return rest
		}
	}
	if b.buf == nil {
		b.buf = batchBufs.Get().(*[batchSize]byte)
	}
	p := b.buf[:0]
	if o.off > 0 {
		p = append(p, frames[0].b[o.off:]...)
		frames, o.taken = frames[1:], 1
	}
	o.ctlTaken = copy(p[len(p):cap(p)], o.control)
	p = p[:len(p)+o.ctlTaken]
	for _, f := range frames {
		if len(f.b) > batchSize/4 || len(p)+len(f.b) > batchSize {
			break
		}
		p = append(p, f.b...)
		o.taken++
	}
	return p
}

// wroteLocked accounts for n bytes of what takeLocked returned.
func (o *outbox) wroteLocked(n int) {
	if n > 0 && o.off > 0 {
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
	o.taken, o.ctlTaken = 0, 0
	if o.head == len(o.queue) {
		if o.head = 0; cap(o.queue) > keepQueueCap {
			o.queue = nil
		}
		o.queue = o.queue[:0]
	}
	if len(o.control) == 0 && cap(o.control) > 2*maxControl {
		o.control = nil
	}
}

// wroteFrameLocked accounts for up to n bytes of the first frame and returns
// what is left of n.
func (o *outbox) wroteFrameLocked(n int) int {
	f := o.queue[o.head]
	if rest := len(f.b) - o.off; n < rest {
		o.off += n
		return 0
	} else {
		n -= rest
	}
	o.off = 0
	o.queue[o.head] = nil
	o.head++
	o.size -= len(f.b)
	if f.notify != nil {
		f.notify.written = true
	}
	f.release()
	o.changedLocked()
	return n
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
	var err error
	if raw := o.s.link.raw; raw != nil {
		_, err = raw.writeAll(&b, true)
	} else {
		err = o.drainBlocking(&b)
	}
	if err != nil {
		b.release()
		o.fail()
	}
}

// drainBlocking is drain for a connection that can only block.
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
	collect := mode != modeQueue && !o.closed && o.size < batchSize
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
		o.queue = slices.Insert(o.queue, o.head, f)
		o.off = n
		o.size += len(f.b)
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
