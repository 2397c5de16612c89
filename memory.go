package gateway

import (
	"cmp"
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
	received pool // what has come of incomplete messages: Options.MaxReceivingBytes
	cut      atomic.Uint64
}

// A pool is one such bound, and how room is made in it. A client that reads, or sends at
// a pace, is not harmed by those that do not: those that have done nothing for stalledFor
// give way first, those that hold most before others, and then those that are behind and
// hold more than twice their share.
type pool struct {
	*budget.Budget
	holds func(s *Socket) holding
	gives Closed // how a socket is closed that gives way

	mu     lockorder.Mutex[rankPool] // one search at a time: others find what it has freed
	barren time.Time                 // the last search that found nobody
}

const (
	stalledFor  = time.Second
	barrenPause = 50 * time.Millisecond // after a search that found nobody
	freeAtOnce  = 16                    // a search frees this part of the bound, or what is needed
	leastToGive = 2 * frameq.Allowance  // bytes that nobody is closed for
	keepFree    = 512                   // bytes of a latest message that are not counted
)

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
		"the queues of all sockets together are full (Options.MaxQueuedBytes)"),
}

// errNoMemory is what a queue is told that the pool has no room for.
var errNoMemory = fullErrors[frameq.ByBudget]

func (m *memory) init(o *Options) {
	m.queued = pool{
		Budget: budget.New(o.MaxQueuedBytes), holds: (*Socket).queued,
		gives: Closed{Cause: CauseSlowConsumer, Code: closePolicy,
			Err: NewError(ErrQueueFull,
				"what waited for this client was in the way of others (Options.MaxQueuedBytes)")},
	}
	m.received = pool{
		Budget: budget.New(o.MaxReceivingBytes), holds: (*Socket).receiving,
		gives: Closed{Cause: CauseMessageTimeout, Code: closePolicy,
			Err: NewError(ErrTooLarge,
				"the message was in the way of others while it arrived (Options.MaxReceivingBytes)")},
	}
}

// relieve makes room for n bytes more of the asker's. It reports whether it is worth
// trying again.
func (h *Handler) relieve(p *pool, asker *Socket, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.Fits(n) {
		return true
	}
	now := time.Now()
	if now.Sub(p.barren) < barrenPause {
		return false
	}
	freed, want := int64(0), max(int64(n), p.Most()/freeAtOnce)
	for _, v := range h.giveWay(p, asker, n) {
		if freed >= want {
			break
		}
		if v.s.close(p.gives) {
			h.memory.cut.Add(1)
			freed += int64(v.bytes)
		}
	}
	if freed == 0 {
		p.barren = now
	}
	return freed > 0
}

// giveWay returns the sockets that may be closed for one that wants n bytes more, in the
// order in which they are.
func (h *Handler) giveWay(p *pool, asker *Socket, n int) []holding {
	mine := p.holds(asker)
	stalled := h.since(time.Now()) - int64(stalledFor)
	var all []holding
	holders := 0
	for s := range h.hub.all() {
		v := p.holds(s)
		if v.bytes > leastToGive {
			holders++
		}
		if s != asker && v.since != 0 && v.bytes > leastToGive && !s.isClosing() {
			all = append(all, v)
		}
	}
	share := int(p.Most()) / max(holders, 1)
	all = slices.DeleteFunc(all, func(v holding) bool {
		switch {
		case v.bytes > mine.bytes+n:
			return v.since > stalled && v.bytes <= 2*share
		default: // one that holds less gives way only if it is stalled and the asker is not
			return v.since > stalled || mine.since != 0
		}
	})
	slices.SortFunc(all, func(a, b holding) int {
		if aStalled := a.since <= stalled; aStalled != (b.since <= stalled) {
			if aStalled {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.bytes, a.bytes)
	})
	return all
}

// queued is what waits for the socket's client.
func (s *Socket) queued() holding {
	bytes, since := s.out.holds()
	return holding{s, bytes, since}
}

// receiving is what has come of the message that is arriving.
func (s *Socket) receiving() holding {
	v := holding{s: s, bytes: int(s.arriving.Load())}
	if s.msgStart.Load() != 0 {
		v.since = s.lastIn.Load()
	}
	return v
}

// charge notes that the message that is arriving holds size bytes, 0 when it has come or
// nobody wants it. It fails where the messages of all sockets together have no room.
func (c *conn) charge(size int) error {
	if size <= frameq.Allowance {
		size = 0
	}
	p := &c.s.h.memory.received
	more := size - int(c.s.arriving.Load())
	if more > 0 && !p.Fits(more) && !(c.s.h.relieve(p, c.s, more) && p.Fits(more)) {
		return errNoRoomToReceive
	}
	if more != 0 {
		p.Add(more)
		c.s.arriving.Store(int64(size))
	}
	return nil
}

var errNoRoomToReceive = NewError(ErrTooLarge,
	"the messages that are arriving have no room together (Options.MaxReceivingBytes)")

// keepLocked keeps a copy of the latest message for Info, if it is short enough and there
// is room for it in the pool.
func (s *Socket) keepLocked(data []byte) {
	n := cap(s.kept)
	keep := len(data) > 0 && len(data) <= s.h.opts.KeepMessage
	if keep && n >= len(data) && n <= 4*len(data)+64 {
		s.kept = append(s.kept[:0], data...)
		return
	}
	p := &s.h.memory.queued
	p.Add(-countKept(n))
	s.kept = nil
	if keep && p.Fits(countKept(len(data))) {
		s.kept = append(s.kept, data...)
		p.Add(countKept(cap(s.kept)))
	}
}

// countKept is what counts of n bytes that are kept.
func countKept(n int) int {
	if n <= keepFree {
		return 0
	}
	return n
}
