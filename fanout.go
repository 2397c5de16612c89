package gateway

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

func sharedFrame(m Message, payload []byte, deflated bool) *frame {
	return &frame{b: appendFrame(nil, dataByte(m.Type, deflated), payload), key: m.Key, shared: true}
}

const fanoutChunk = 512 // members that one core takes at a time

// A fanout is one message on its way into many outboxes.
type fanout struct {
	g       Group
	m       Message
	members []*membership
	plain   *frame

	deflate  sync.Once // by the first socket that takes it deflated
	deflated *frame

	next     atomic.Int64 // of members: the first that nobody has taken
	accepted atomic.Int64

	mu      sync.Mutex
	refused []refusal // guarded by mu; kept only if somebody wants to know
}

type refusal struct {
	id  string
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
	accepted := 0
	for _, m := range members {
		s := m.socket.Load()
		if s == nil || f.g.excepts(s.id) {
			continue
		}
		mine, err := f.offer(s, m)
		switch err {
		case nil:
			accepted++
			if mine {
				start = append(start, s)
			}
		case errNotMember:
		default:
			f.refuse(s, err)
		}
	}
	f.accepted.Add(int64(accepted))
	return start
}

func (f *fanout) offer(s *Socket, m *membership) (mine bool, err error) {
	if err := s.checkSize(f.m); err != nil {
		return false, err
	}
	frame := f.plain
	if s.deflates(f.m) {
		f.deflate.Do(func() { f.deflated = sharedFrame(f.m, deflate(f.m.Data), true) })
		frame = f.deflated
	}
	if mine, err = s.out.offer(frame, m); err == nil {
		s.sent(f.m, nil)
	}
	return mine, err
}

func (f *fanout) refuse(s *Socket, err error) {
	s.refused(err)
	if f.g.refused != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.refused = append(f.refused, refusal{s.id, err})
	}
}

// errNotMember means that a membership ended while a message was on its way.
var errNotMember = errors.New("gateway: no longer a member")
