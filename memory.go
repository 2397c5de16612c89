package gateway

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/internal/budget"
	"github.com/wsgateway/gateway/internal/frameq"
	"github.com/wsgateway/gateway/internal/lockorder"
)

// A memory bounds the bytes that all sockets of a gateway hold together.
type memory struct {
	queued   pool // what waits for clients, and is kept of them: Options.MaxQueuedBytes
	waiting  pool // what senders hold that wait for room; the same bound once more
	fits     bool // received grows with the routes' ReadLimit, for no bound was given
	received pool // what has come of incomplete messages: Options.MaxReceivingBytes
	cut      atomic.Uint64
}

// A pool is one such bound, and how room is made in it. A client that reads, or sends at
// a pace, is not harmed by those that do not: the budget leaves room for those that hold
// little, and when it is short, those that have stood still for stalledFor give way, the
// ones that hold most, for longest, first.
type pool struct {
	*budget.Budget
	holds func(s *Socket) holding
	gives Closed // how a socket is closed that gives way

	freed atomic.Uint64 // searches that found somebody

	mu     lockorder.Mutex[rankPool] // one search at a time: others find what it has freed
	barren time.Time                 // until when no search is worth it, for one found nobody
}

const (
	stalledFor  = time.Second
	freeAtOnce  = 16                    // a search frees this part of the bound, or what is needed
	leastToGive = frameq.Allowance      // bytes that nobody is closed for: those that do not count
	keepFree    = 512                   // bytes of a latest message that are not counted
	requestFree = 4 << 10               // bytes of a request that are not counted
	barrenPause = 50 * time.Millisecond // after a search that found nobody, at least
	barrenTimes = 20                    // and this many times what it took

	firstPause = 10 * time.Millisecond  // of who waits for a pool, until the next look at it
	mostPause  = 160 * time.Millisecond // the pause doubles
)

func nextPause(pause time.Duration) time.Duration {
	return min(max(2*pause, firstPause), mostPause)
}

// A holding is what one socket holds of a pool.
type holding struct {
	s     *Socket
	bytes int
	since int64 // since when its client does nothing that would free them; 0: it does
}

// The errors of a queue without room, by the bound that it met.
var fullErrors = [...]*Error{
	frameq.ByMessages: NewError(ErrQueueFull,
		"the socket's queue has its most messages (Limits.QueueMessages)"),
	frameq.ByBytes: NewError(ErrQueueFull,
		"the message and those that wait exceed Limits.QueueBytes"),
	frameq.ByMemory: NewError(ErrQueueFull,
		"the small messages that wait need twice the memory of Limits.QueueBytes"),
	frameq.ByBudget: NewError(ErrQueueFull,
		"the queues of all sockets together leave too little room (Options.MaxQueuedBytes)"),
}

// errNoMemory is what a queue is told that the pool has no room for.
var errNoMemory = fullErrors[frameq.ByBudget]

func (m *memory) init(o *Options) {
	slow := Closed{Cause: CauseSlowConsumer, Code: closePolicy, Err: errGaveWay}
	m.queued = pool{Budget: budget.New(o.MaxQueuedBytes), holds: (*Socket).queued, gives: slow}
	m.waiting = pool{Budget: budget.New(o.MaxQueuedBytes), holds: (*Socket).waiting, gives: slow}
	m.received = pool{
		Budget: budget.New(o.MaxReceivingBytes), holds: (*Socket).receiving,
		gives: Closed{Cause: CauseMessageTimeout, Code: closePolicy, Err: errGaveWayReceiving},
	}
}

var (
	errGaveWay = NewError(ErrQueueFull,
		"the client has read nothing for a second, and memory was short (Options.MaxQueuedBytes)")
	errGaveWayReceiving = NewError(ErrTooLarge,
		"the message took more than a second to arrive, and memory was short (Options.MaxReceivingBytes)")
	errNoRoomToReceive = NewError(ErrTooLarge,
		"the messages that are arriving leave too little room for it (Options.MaxReceivingBytes)")
)

// over returns how many bytes more than the bound are counted.
func (p *pool) over() int64 {
	if most := p.Most(); most >= 0 {
		return max(p.Used()-most, 0)
	}
	return 0
}

// stalled reports whether the socket itself is one of those that give way.
func (s *Socket) stalled(p *pool) bool { return p.holds(s).stalled(s.h.since(time.Now())) }

func (v holding) stalled(now int64) bool {
	return v.bytes > leastToGive && v.since != 0 && now-v.since >= int64(stalledFor)
}

// relieve makes room for a socket, unless it stands still itself. It reports whether it
// is worth trying again.
func (h *Handler) relieve(p *pool, asker *Socket) bool {
	return !asker.stalled(p) && h.makeRoom(p, asker, 0)
}

// makeRoom closes sockets that stand still until at least a part of the bound, and want
// bytes, are freed. It reports whether there were any.
func (h *Handler) makeRoom(p *pool, asker *Socket, want int64) bool {
	freed := p.freed.Load()
	closed, found := h.giveWay(p, asker, max(want, p.Most()/freeAtOnce), freed)
	for _, s := range closed {
		s.letGo()
	}
	return found
}

// giveWay is makeRoom but for what must not be done under p.mu. With another number of
// searches that found somebody, one has, in the meantime.
func (h *Handler) giveWay(
	p *pool, asker *Socket, want int64, before uint64,
) (closed []*Socket, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freed.Load() != before {
		return nil, true
	}
	began := time.Now()
	if began.Before(p.barren) {
		return nil, false
	}
	for _, v := range h.standingStill(p, asker) {
		if want <= 0 {
			break
		}
		if v.s.close(p.gives) {
			closed = append(closed, v.s)
			want -= int64(v.bytes)
		}
	}
	if len(closed) == 0 {
		now := time.Now()
		p.barren = now.Add(max(barrenPause, barrenTimes*now.Sub(began)))
		return nil, false
	}
	h.memory.cut.Add(uint64(len(closed)))
	p.freed.Add(1)
	return closed, true
}

// standingStill returns the sockets that hold something of the pool and do nothing with
// it: those that hold most, for longest, come first.
func (h *Handler) standingStill(p *pool, but *Socket) []holding {
	now := h.since(time.Now())
	var all []holding
	for s := range h.hub.all() {
		if v := p.holds(s); s != but && v.stalled(now) && !s.isClosing() {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b holding) int {
		return cmp.Compare(float64(b.bytes)*float64(now-b.since), float64(a.bytes)*float64(now-a.since))
	})
	return all
}

// letGo has a socket that gave way give up now what it would hold until its client reads
// or sends again: a frame that is begun, and a message that has come in part.
func (s *Socket) letGo() {
	switch {
	case s.queued().bytes > leastToGive:
		s.conn.abort(true)
	case s.arriving.Load() > 0:
		s.conn.wake()
	}
}

// queued is what waits for the socket's client.
func (s *Socket) queued() holding {
	bytes, _, since := s.out.holds()
	return holding{s, bytes, since}
}

// waiting is what senders hold that wait for room in the socket's queue.
func (s *Socket) waiting() holding {
	_, bytes, since := s.out.holds()
	return holding{s, bytes, since}
}

// receiving is what has come of the message that is arriving.
func (s *Socket) receiving() holding {
	return holding{s, int(s.arriving.Load()), s.msgStart.Load()}
}

// charge notes that the message that is arriving holds size bytes, 0 when it has come or
// nobody wants it. Where the messages of all sockets together leave no room it waits, and
// nothing is read meanwhile. It fails with errAbandoned when the socket closes, and with
// errNoRoomToReceive where there can be no room, or has been none for the message timeout.
func (c *conn) charge(size int) error {
	if size <= frameq.Allowance {
		size = 0
	}
	mine := int(c.s.arriving.Load())
	if size == mine {
		return nil // as with most messages: they came as a whole
	}
	p := &c.s.h.memory.received
	if !p.Grants(mine, size) {
		if err := c.waitToReceive(mine, size); err != nil {
			return err
		}
	}
	p.Add(size - mine)
	c.s.arriving.Store(int64(size))
	return nil
}

func (c *conn) waitToReceive(mine, size int) error {
	p := &c.s.h.memory.received
	if int64(size) > p.Most() {
		return errNoRoomToReceive
	}
	began, longest := time.Now(), c.s.route.lim.MessageTimeout
	if c.frames.began == 0 {
		c.frames.began = c.s.h.since(began)
	}
	c.s.msgStart.Store(c.frames.began) // it may have to give way itself
	defer c.s.msgStart.Store(0)
	for pause := time.Duration(0); !p.Grants(mine, size); {
		c.s.h.makeRoom(p, c.s, 0)
		pause = nextPause(pause)
		if !c.s.pause(pause) {
			return errAbandoned
		}
		if longest > 0 && time.Since(began) >= longest {
			return errNoRoomToReceive
		}
	}
	return nil
}

// chargeRequest counts what the socket keeps of a long request for its life, or refuses
// the upgrade.
func (h *Handler) chargeRequest(s *Socket) *Error {
	n := s.req.size()
	if n <= requestFree {
		return nil
	}
	p := &h.memory.queued
	if !p.GrantsLasting(n) && !(h.relieve(p, s) && p.GrantsLasting(n)) {
		return NewError(ErrTooMany, "the memory of the gateway has no room for a request of %d bytes"+
			" (Options.MaxQueuedBytes)", n)
	}
	s.charged = true
	p.Add(n)
	return nil
}

// freeRequest is the opposite of chargeRequest.
func (s *Socket) freeRequest() {
	if s.charged {
		s.h.memory.queued.Add(-s.req.size())
	}
}

// keepLocked keeps a copy of the latest message for Info, if it is short enough and there
// is room for it in the pool.
func (s *Socket) keepLocked(data []byte) {
	n := cap(s.last.kept)
	keep := len(data) > 0 && len(data) <= s.h.opts.KeepMessage
	if keep && n >= len(data) && n <= 4*len(data)+64 {
		s.last.kept = append(s.last.kept[:0], data...)
		return
	}
	p := &s.h.memory.queued
	p.Add(-countKept(n))
	s.last.kept = nil
	if keep && p.GrantsLasting(countKept(len(data))) {
		s.last.kept = append(s.last.kept, data...)
		p.Add(countKept(cap(s.last.kept)))
	}
}

// countKept is what counts of n bytes that are kept.
func countKept(n int) int {
	if n <= keepFree {
		return 0
	}
	return n
}

// fit sees to it that a few of a route's largest messages can arrive at a time, where the
// host has given no bound.
func (m *memory) fit(lim *Limits) {
	if m.fits && lim.ReadLimit > 0 && lim.ReadLimit < math.MaxInt64/messagesAtOnce {
		m.received.Raise(messagesAtOnce * lim.ReadLimit)
	}
}

// messagesAtOnce is 8 messages of the largest size, each of which may need twice that.
const messagesAtOnce = 16
