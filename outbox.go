package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxPending  = 4 << 10                    // bytes of pongs that may wait before we stop reading
	mostControl = 2*readBufSize + maxPending // bytes of pongs that are kept at all
)

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
	queue    queue
	pongs    int           // bytes of pongs put into the queue since it was last empty
	control  []byte        // pings and pongs that go before the queue
	ctlTaken int           // bytes of control that the writer has in hand
	writing  bool          // there is a writer
	closed   bool          // takes no more data
	dead     bool          // writes no more: the connection is gone
	progress chan struct{} // closed when something changed for a waiter; nil if nobody waits
	since    int64         // when the writer began to wait for the client; 0 if it does not
	timer    *time.Timer   // bounds how long replies are collected; made when first needed
	timed    bool          // timer runs

	mode atomic.Int32 // of replies: modeNow, ...
}

// fullLocked reports whether a frame of n bytes has no room. An empty queue takes
// any.
func (o *outbox) fullLocked(n int) bool {
	lim := &o.s.route.lim
	q := &o.queue
	return q.count > 0 && (q.count >= lim.QueueMessages || q.size+n > lim.QueueBytes)
}

func (o *outbox) emptyLocked() bool { return o.queue.empty() && len(o.control) == 0 }

// pushLocked queues a message. Where a policy drops single messages, each keeps a
// frame of its own.
func (o *outbox) pushLocked(f *frame) {
	o.queue.push(f, !o.dropsSingly())
}

// dropsSingly reports whether the route's policy drops single messages.
func (o *outbox) dropsSingly() bool {
	policy := o.s.route.lim.OnQueueFull
	return policy == QueueDropOldest || policy == QueueDropNewest
}

// replaceLocked drops the waiting message of the same key, if there is one: a
// newer value takes its place at the end of the queue.
func (o *outbox) replaceLocked(key string) {
	if key == "" {
		return
	}
	for i := o.queue.untouched(); i < len(o.queue.frames); i++ {
		if o.queue.frames[i].key == key {
			o.dropLocked(i, lostReplaced)
			return
		}
	}
}

// dropLocked drops a frame that the writer has not begun.
func (o *outbox) dropLocked(i int, why lostReason) {
	o.lostLocked(o.queue.remove(i), why)
}

// lostLocked accounts for a frame that will not be written.
func (o *outbox) lostLocked(f *frame, why lostReason) {
	if f.b[0] != finBit|opClose {
		o.s.h.stats.lost[why].Add(uint64(f.messages()))
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
		first := o.queue.untouched()
		switch {
		case first == len(o.queue.frames):
			return false
		case policy == QueueDropOldest:
			o.dropLocked(first, lostOldest)
		case policy == QueueDropNewest:
			o.dropLocked(len(o.queue.frames)-1, lostNewest)
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

// join is put for a message that finds room in the buffer of the one before it: it
// needs no frame then. Otherwise it reports false, and nothing has happened.
func (o *outbox) join(first byte, payload []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writing && !o.closed && !o.dropsSingly() && !o.fullLocked(len(payload)+maxHeader) && o.queue.write(first, payload)
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
// operating system. It reports whether the frame was queued, whatever became of it.
func (o *outbox) putSync(ctx context.Context, f *frame) (queued bool, err error) {
	sent := new(notice)
	f.notify = sent
	if err := o.putWait(ctx, f); err != nil {
		return false, err
	}
	o.uncork()
	o.mu.Lock()
	defer o.mu.Unlock()
	for !sent.written && !sent.lost && !o.dead { // kill, which takes what is left, may be waiting for the caller
		if err := o.waitLocked(ctx); err != nil {
			return true, err
		}
	}
	if !sent.written {
		return true, ErrClosed
	}
	return true, nil
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

// pong queues the answer to a ping: behind the replies to what came before the
// ping, as long as the client reads them.
func (o *outbox) pong(payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queue.empty() {
		o.pongs = 0
	}
	switch {
	case o.closed:
	case o.queue.empty() || o.since != 0 || o.pongs >= mostControl:
		o.controlLocked(finBit|opPong, payload)
	default:
		f := newFrame(finBit|opPong, payload, "")
		f.more = noMessage
		o.pongs += len(f.b)
		o.pushLocked(f)
	}
}

// ping queues a ping, ahead of everything that waits, and has it written.
func (o *outbox) ping() {
	o.mu.Lock()
	if !o.closed {
		o.controlLocked(finBit|opPing, nil)
	}
	o.mu.Unlock()
	o.uncork()
}

func (o *outbox) controlLocked(first byte, payload []byte) {
	if len(o.control) < mostControl {
		o.control = append(append(o.control, first, byte(len(payload))), payload...)
	}
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
		o.queue.push(newFrame(finBit|opClose, payload, ""), false)
	}
	o.changedLocked()
	return o.beWriterLocked()
}

// discardLocked drops the frames that are neither in the writer's hand nor begun.
func (o *outbox) discardLocked() {
	for keep := o.queue.untouched(); keep < len(o.queue.frames); {
		o.dropLocked(len(o.queue.frames)-1, lostClosed)
	}
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
	o.queue.off = 0
	o.discardLocked()
	o.queue, o.control = queue{}, nil
	o.stopTimerLocked()
}

// fail notes that writing is over because the connection is.
func (o *outbox) fail() {
	o.mu.Lock()
	o.closed, o.dead = true, true
	o.writing, o.queue.taken, o.ctlTaken = false, 0, 0
	o.changedLocked()
	o.mu.Unlock()
}

// drained waits until the close frame and everything before it is written, or
// writing is over. Whoever has marked the socket closing may not have queued the
// frame yet.
func (o *outbox) drained() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.dead && (!o.closed || o.writing || !o.emptyLocked()) {
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
func (o *outbox) appoint() { o.s.h.flusher.add(o.s) }
