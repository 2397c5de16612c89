package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/internal/frameq"
	"github.com/wsgateway/gateway/internal/lockorder"
	"github.com/wsgateway/gateway/internal/rawio"
	"github.com/wsgateway/gateway/internal/ws"
)

const (
	// bytes of pongs that may wait before we stop reading
	maxPending  = 4 << 10
	mostControl = 2*rawio.BufferSize + maxPending // bytes of pongs that are kept at all
)

// An outbox is the bounded queue of encoded frames between the senders and one client.
// It has no goroutine of its own: outbox_writer.go says who writes. There is never more
// than one writer, so frames leave in the order in which they were put. The first of
// them is the answer to the upgrade request.
type outbox struct {
	s *Socket

	mu      lockorder.Mutex[rankOutbox]
	queue   frameq.Queue
	aside   *aside       // outbox_aside.go; nil for most
	role    role         // outbox_writer.go
	opening bool         // the answer to the upgrade request is not written
	closed  bool         // takes no more data
	dead    bool         // writes no more: the connection is gone
	timed   bool         // timer runs
	mode    atomic.Int32 // of replies: modeNow, ...; of everyone
	since   int64        // when the client was last seen to take nothing; 0 if it is not waited for
	timer   *time.Timer  // bounds how long replies are collected; made when first needed
}

// limitsLocked returns the bounds of the queue.
func (o *outbox) limits() frameq.Limits {
	lim := &o.s.route.lim
	return frameq.Limits{Messages: lim.QueueMessages, Bytes: lim.QueueBytes}
}

// order says who gives way in a full queue, by the route's policy. Where single messages
// do, each keeps a frame of its own.
func (o *outbox) order() frameq.Order {
	switch o.s.route.lim.OnQueueFull {
	case QueueDropOldest:
		return frameq.Oldest
	case QueueDropNewest:
		return frameq.Newest
	}
	return frameq.Nobody
}

func (o *outbox) emptyLocked() bool { return o.queue.Empty() && len(o.controlLocked()) == 0 }

// An outgoing is a message on its way into an outbox: a frame that others get too, one
// encoded frame, or a payload that has no frame yet, for it may find room behind the
// message before it, or has to wait for room.
type outgoing struct {
	shared *frameq.Shared
	frame  *frameq.Frame
	first  byte   // of the frame of payload
	data   []byte // the payload, also where there is a frame
	key    string
	keep   bool           // is not dropped to make room for others
	notice *frameq.Notice // who waits for it, or nil
	member *membership    // that it is sent through, or nil
}

// size is how many bytes the frame has, or may have.
func (m *outgoing) size() int {
	switch {
	case m.frame != nil:
		return len(m.frame.B)
	case m.shared != nil:
		return m.shared.Len()
	}
	return len(m.data) + ws.MaxHeader
}

func (m *outgoing) want() frameq.Want {
	w := frameq.Want{N: m.size(), Shared: m.shared, Key: m.key}
	if m.shared != nil {
		w.Key = m.shared.Key()
	}
	return w
}

// joins reports whether the message has no frame yet and can share one with others.
func (m *outgoing) joins() bool {
	return m.frame == nil && m.shared == nil && m.key == "" && !m.keep && m.notice == nil
}

// free gives up what was not queued.
func (m *outgoing) free() {
	if m.frame != nil {
		m.frame.Free()
		m.frame = nil
	}
}

// put queues a message, or refuses it at once.
func (o *outbox) put(m *outgoing) error {
	write, err := o.offer(m, false)
	if err == errNoMemory && (o.s.h.relieve(&o.s.h.memory.queued, o.s) || o.order() != frameq.Nobody) {
		write, err = o.offer(m, true)
	}
	if write {
		o.appoint()
	}
	if err != nil {
		m.free()
		return o.s.refused(err)
	}
	return nil
}

// offer is put without what must not be done for many sockets one by one: write says
// that the caller has become the writer. Through a membership that has ended it does
// nothing. Only in the last resort do waiting messages give way because all sockets
// together hold too much.
func (o *outbox) offer(m *outgoing, lastResort bool) (write bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case m.member != nil && m.member.socket.Load() == nil:
		return false, errNotMember
	case o.closed:
		return false, ErrClosed
	}
	if err := o.pushLocked(m, o.order(), lastResort); err != nil {
		if err != errNoMemory {
			o.refusedLocked()
		}
		return false, err
	}
	return o.acquireLocked(), nil
}

// pushLocked queues a message if there is room, or can be made in the order. It changes
// nothing otherwise.
func (o *outbox) pushLocked(m *outgoing, order frameq.Order, lastResort bool) error {
	q, lim := &o.queue, o.limits()
	join := o.order() == frameq.Nobody
	if join && m.joins() && q.Write(m.first, m.data, lim) {
		return nil
	}
	w := m.want()
	room, bound := q.Room(&w, lim, order, lastResort)
	if bound != frameq.None {
		return fullErrors[bound]
	}
	q.Make(&room, o.gaveWayLocked)
	if m.shared != nil {
		q.PushShared(m.shared)
		return nil
	}
	reserved := 0
	if m.frame == nil {
		reserved = q.Reserve(w.N) // a large one may have to wait for the memory itself
		m.frame = frameq.New(m.first, m.data, m.key)
	}
	m.frame.Keep, m.frame.Notice = m.keep, m.notice
	q.Push(m.frame, join)
	q.Release(reserved)
	return nil
}

// gaveWayLocked accounts for a message that another one took the place of.
func (o *outbox) gaveWayLocked(f *frameq.Frame, replaced bool) {
	why := lostReplaced
	switch {
	case replaced:
	case o.order() == frameq.Oldest:
		why = lostOldest
	default:
		why = lostNewest
	}
	o.lostLocked(f, 0, why)
}

// lostLocked accounts for a frame of which only off bytes will ever be written.
func (o *outbox) lostLocked(f *frameq.Frame, off int, why lostReason) {
	o.s.route.stats.lost[why].Add(uint64(f.Unwritten(off)))
	if f.Notice != nil {
		f.Notice.Lost = true
		o.changedLocked()
	}
	f.Free()
}

// pong queues the answer to a ping: behind the replies to what came before the ping, as
// long as the client reads them.
func (o *outbox) pong(payload []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a := o.asideLocked()
	if o.queue.Empty() {
		a.pongs = 0
	}
	switch {
	case o.closed:
	case o.queue.Empty() || o.since != 0 || a.pongs >= mostControl:
		a.add(ws.Fin|ws.OpPong, payload)
	default:
		f := frameq.NewControl(ws.Fin|ws.OpPong, payload)
		a.pongs += cap(f.B)
		o.queue.Push(f, o.order() == frameq.Nobody)
	}
}

// ping queues a ping, ahead of everything that waits, and has it written.
func (o *outbox) ping() {
	o.mu.Lock()
	if !o.closed {
		o.asideLocked().add(ws.Fin|ws.OpPing, nil)
	}
	o.mu.Unlock()
	o.uncork()
}

// A backlog is what the sweeper wants to know of an outbox.
type backlog struct {
	// when the client was last seen to take something while it is waited for; 0 if it is not
	since int64
	full  int64 // since when senders are refused; 0 if they are not
	dead  bool
}

func (o *outbox) backlog() backlog {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reportLocked()
	b := backlog{since: o.since, dead: o.dead}
	if o.aside != nil {
		b.full = o.aside.full
	}
	return b
}

// took notes that the client has taken something of what the kernel holds for it.
func (o *outbox) took(now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since != 0 {
		o.since = now
	}
}

// waitControl waits while too many pongs are pending: a client that does not read its
// pongs is not read from either.
func (o *outbox) waitControl() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.unreadLocked() && !o.dead && o.role != free {
		o.waitLocked(context.Background())
	}
}

// close takes no more data. With send it queues a close frame after what was accepted
// before; discard drops what no writer has begun to write. It reports whether the caller
// has become the writer.
func (o *outbox) close(payload []byte, send, discard bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if discard {
		o.queue.DropUntouched(func(f *frameq.Frame) { o.lostLocked(f, 0, lostClosed) })
		// Where not even the answer will go, no frame may.
		if o.opening && o.role == free && o.queue.Empty() {
			send = false
			o.dropControlLocked()
		}
	}
	if send && !o.dead {
		o.queue.Push(frameq.NewControl(ws.Fin|ws.OpClose, payload), false)
	}
	o.changedLocked()
	return o.acquireLocked()
}

// finish ends all writing and waits for the writer, if there is one; the connection is
// closed.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.dead = true, true
	o.changedLocked()
	for o.role != free {
		o.waitLocked(context.Background())
	}
	o.queue.Clear(func(f *frameq.Frame, off int) { o.lostLocked(f, off, lostClosed) })
	o.unreportLocked()
	o.dropControlLocked()
	o.tidyLocked()
	o.stopTimerLocked()
}

// drained waits until the close frame and everything before it is written, or writing is
// over. Whoever has marked the socket closing may not have queued the frame yet.
func (o *outbox) drained() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.dead && (!o.closed || o.role != free || !o.emptyLocked()) {
		o.waitLocked(context.Background())
	}
}

// pending reports whether something is not written.
func (o *outbox) pending() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.emptyLocked()
}

// holds returns how many bytes count for what waits here, how many senders hold that wait
// for room, and since when the client takes nothing; 0 if it does.
func (o *outbox) holds() (queued, waits int, since int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.aside != nil {
		waits = o.aside.waits
	}
	return o.queue.Counted(), waits, o.since
}
