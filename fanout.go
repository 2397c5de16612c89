package gateway

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/wsgateway/gateway/internal/frameq"
	"github.com/wsgateway/gateway/internal/lockorder"
	"github.com/wsgateway/gateway/internal/ws"
)

const fanoutChunk = 512 // members that one core takes at a time

// A fanout is one message on its way into many outboxes.
type fanout struct {
	g       Group
	m       Message
	members []*membership
	plain   *frameq.Shared

	deflate  sync.Once // by the first socket that takes it deflated
	deflated *frameq.Shared

	next     atomic.Int64 // of members: the first that nobody has taken
	accepted atomic.Int64

	mu      lockorder.Mutex[rankFanout]
	refused []refusal // guarded by mu; kept only if somebody wants to know
}

type refusal struct {
	s   *Socket
	err error
}

// run offers the message to every member. A large group is shared among the
// cores; the caller does its part and waits for the rest, so that its messages
// keep their order.
func (f *fanout) run() {
	if len(f.members) <= fanoutChunk {
		f.work()
		return
	}
	flusher := &f.g.h.flusher
	flusher.beginFanout()
	defer flusher.endFanout()
	var helpers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(f.members)+fanoutChunk-1)/fanoutChunk) - 1 {
		helpers.Go(f.work)
	}
	f.work()
	helpers.Wait()
}

func (f *fanout) work() {
	var few [32]*Socket
	start := few[:0]
	which := urgent
	if len(f.members) > fanoutChunk {
		which = bulk
	}
	for {
		end := int(f.next.Add(fanoutChunk))
		if end-fanoutChunk >= len(f.members) {
			return
		}
		start = f.chunk(f.members[end-fanoutChunk:min(end, len(f.members))], start[:0])
		f.g.h.flusher.addAll(which, start)
	}
}

// chunk offers the message to some members and returns those whose outbox needs
// a writer.
func (f *fanout) chunk(members []*membership, start []*Socket) []*Socket {
	start, short := f.offerAll(members, start, nil, false)
	if len(short) > 0 {
		f.relieve(short)
		start, short = f.offerAll(short, start, short[:0], true)
	}
	for _, m := range short {
		if s := m.socket.Load(); s != nil {
			f.refuse(s, errNoMemory)
		}
	}
	return start
}

// relieve makes room for one of those for which there was no memory: for the others, too.
func (f *fanout) relieve(short []*membership) {
	p := &f.g.h.memory.queued
	for _, m := range short {
		if s := m.socket.Load(); s != nil && !s.stalled(p) {
			f.g.h.relieve(p, s)
			return
		}
	}
}

// offerAll appends to start the sockets whose outbox needs a writer, and to short the
// members for which there was no memory.
func (f *fanout) offerAll(
	members []*membership, start []*Socket, short []*membership, lastResort bool,
) ([]*Socket, []*membership) {
	accepted := 0
	for _, m := range members {
		s := m.socket.Load()
		if s == nil || f.g.excepts(s) {
			continue
		}
		mine, err := f.offer(s, m, lastResort)
		switch err {
		case nil:
			accepted++
			if mine {
				start = append(start, s)
			}
		case errNotMember:
		case errNoMemory:
			short = append(short, m)
		default:
			f.refuse(s, err)
		}
	}
	f.accepted.Add(int64(accepted))
	return start, short
}

func (f *fanout) offer(s *Socket, m *membership, lastResort bool) (write bool, err error) {
	if err := s.tooLarge(&f.m); err != nil {
		return false, err
	}
	shared := f.plain
	if s.deflates(&f.m) {
		f.deflate.Do(func() {
			ws.Deflate(f.m.Data, func(p []byte) { f.deflated = f.share(p, true) })
		})
		shared = f.deflated
	}
	write, err = s.out.offer(&outgoing{shared: shared, member: m}, lastResort)
	if err == nil {
		s.sent(&f.m, nil)
	}
	return write, err
}

// share encodes the message for all.
func (f *fanout) share(payload []byte, deflated bool) *frameq.Shared {
	return frameq.NewShared(dataByte(f.m.Type, deflated), payload, f.m.Key, f.g.h.memory.queued.Budget)
}

// refuse accounts for a member that did not accept the message. Who wants to know is told
// later, for members that did accept it may still wait for a writer.
func (f *fanout) refuse(s *Socket, err error) {
	s.refused(err)
	s.countRefused(&f.m, err)
	if f.g.refused != nil || s.h.opts.Observer.SendRefused != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.refused = append(f.refused, refusal{s, err})
	}
}

// tellRefused tells who wants to know which members did not accept the message, when it
// was offered to all and each of the others has a writer.
func (f *fanout) tellRefused() {
	for _, r := range f.refused {
		r.s.observeSendRefused(&f.m, r.err)
		if f.g.refused != nil {
			f.g.refused(r.s.id, r.err)
		}
	}
}

// errNotMember means that a membership ended while a message was on its way.
var errNotMember = errors.New("gateway: no longer a member")
