// Package frameq holds encoded frames that wait for a client: recycled buffers, small
// messages that share one, and the queue with its bounds. It knows no connection.
// Nothing in it is safe from several goroutines at once: who has a queue has a lock
// around it.
package frameq

import (
	"sync"
	"sync/atomic"

	"github.com/wsgateway/gateway/internal/budget"
	"github.com/wsgateway/gateway/internal/ws"
)

// A Frame is one encoded server frame: header and payload, not masked. Small messages
// that wait behind each other in a queue are put into one.
type Frame struct {
	B      []byte
	Key    string  // of the latest value that it is, or ""
	Notice *Notice // who waits for it, or nil
	Keep   bool    // is not dropped to make room for others

	messages int     // that it counts for; 0 for control frames and the like
	of       *Shared // the frame is that of a Shared, and so in many queues
	counted  bool    // of only: the queue is one of its holders
}

// A Notice tells what became of a frame. It is guarded by the lock around the queue.
type Notice struct{ Written, Lost bool }

// frameOverhead is about what a waiting frame needs in bytes besides its buffer.
const frameOverhead = 96

// Allowance is up to how many bytes of a queue's own and of shared frames the budget
// does not count: what is written soon anyway shall cost nothing.
const Allowance = 4 << 10

// MaxChunk is the size in bytes of the largest frame buffer that messages share. It is
// copied once more if more frames wait.
const MaxChunk = 16 << 10

// pools recycle frames by the capacity of their buffers; larger ones are left to the
// collector.
var (
	sizes = [...]int{
		128, 256, 512, 1 << 10, 2 << 10, 4 << 10, 8 << 10, MaxChunk, 32 << 10, 64<<10 + ws.MaxHeader,
	}
	pools [len(sizes)]sync.Pool
)

// New returns a frame with a message, whose first byte is FIN, RSV1 and opcode.
func New(first byte, payload []byte, key string) *Frame {
	f := empty(len(payload) + ws.MaxHeader)
	f.B = ws.AppendFrame(f.B[:0], first, payload)
	f.Key, f.messages = key, 1
	return f
}

// NewControl returns a frame that is not counted as a message.
func NewControl(first byte, payload []byte) *Frame {
	f := New(first, payload, "")
	f.messages = 0
	return f
}

// NewRaw returns a frame of bytes that are no WebSocket frame, a copy of p.
func NewRaw(p []byte) *Frame {
	f := empty(len(p))
	f.B = append(f.B[:0], p...)
	f.messages = 0
	return f
}

// bufferFor is the capacity of a new frame's buffer for so many bytes.
func bufferFor(size int) int {
	for _, most := range sizes {
		if size <= most {
			return most
		}
	}
	return size
}

func empty(size int) *Frame {
	for i, most := range sizes {
		if size <= most {
			if f, ok := pools[i].Get().(*Frame); ok {
				return f
			}
			return &Frame{B: make([]byte, 0, most)}
		}
	}
	return new(Frame)
}

// Messages returns how many messages the frame counts for.
func (f *Frame) Messages() int { return f.messages }

// Unwritten returns how many of the frame's messages are not written when off of its
// bytes are.
func (f *Frame) Unwritten(off int) int {
	if f.messages == 0 || off == 0 {
		return f.messages
	}
	return max(f.messages-ws.CountFrames(f.B[:off]), 0)
}

// Free gives up the frame: nobody may use it any more.
func (f *Frame) Free() {
	if f.of != nil {
		if f.counted {
			f.of.drop()
		}
		return
	}
	f.Key, f.Notice, f.Keep, f.messages = "", nil, false, 0
	for i, most := range sizes {
		if cap(f.B) == most {
			pools[i].Put(f)
			return
		}
	}
}

// cost is what the frame holds in bytes for its queue alone.
func (f *Frame) cost() int {
	if f.of != nil {
		return frameOverhead
	}
	return cap(f.B) + frameOverhead
}

// common and held are the bytes of a shared frame: common where the budget does not count
// them for its queue, held where it does.
func (f *Frame) common() int {
	if f.of == nil || f.counted {
		return 0
	}
	return len(f.B)
}

func (f *Frame) held() int {
	if !f.counted {
		return 0
	}
	return len(f.B)
}

// joins reports whether the frame can share a buffer with others like it.
func (f *Frame) joins() bool {
	return f.of == nil && f.Key == "" && f.Notice == nil && !f.Keep && cap(f.B) <= MaxChunk
}

// A Shared is one message for many queues. Its buffer is left to the collector, for
// counting all its holders would cost more than a pool saves. Only the queues in which
// it would stay beyond the Allowance are counted, so that the budget is told of the
// buffer once, by the first of them, until the last has let go.
type Shared struct {
	plain, counted Frame // of queues that the budget counts not, and counts; never changed
	budget         *budget.Budget
	holders        atomic.Int64 // queues with counted
}

// NewShared encodes a message for many queues.
func NewShared(first byte, payload []byte, key string, b *budget.Budget) *Shared {
	s := &Shared{budget: b}
	s.plain = Frame{B: ws.AppendFrame(nil, first, payload), Key: key, messages: 1, of: s}
	s.counted = s.plain
	s.counted.counted = true
	return s
}

// Len returns the size of the frame in bytes.
func (s *Shared) Len() int { return len(s.plain.B) }

// Key returns the message's key.
func (s *Shared) Key() string { return s.plain.Key }

// hold returns the frame for a queue that is counted.
func (s *Shared) hold() *Frame {
	if s.holders.Add(1) == 1 {
		s.budget.Add(cap(s.plain.B))
	}
	return &s.counted
}

func (s *Shared) drop() {
	if s.holders.Add(-1) == 0 {
		s.budget.Add(-cap(s.plain.B))
	}
}
