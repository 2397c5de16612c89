package frameq

import (
	"math"
	"slices"
	"sync"

	"github.com/wsgateway/gateway/internal/budget"
	"github.com/wsgateway/gateway/internal/ws"
)

const chunkGrowth = 4 // how much larger the next chunk is than a full one

// A Queue holds the frames that wait for one client, in the order in which they leave.
// Small messages that wait behind each other share a frame's buffer, a chunk, so that
// each costs neither memory of its own nor an entry. The bytes of frames that the
// writer has in hand are not changed. The zero value is empty and has no budget.
type Queue struct {
	Budget *budget.Budget // told of what is held beyond the Allowance; nil for none

	// Every socket has one: in few bytes, and in few of the processor's cache lines.
	frames []*Frame
	head   int32 // of frames: what is before it is written
	taken  int32 // frames that the writer has in hand
	count  int32 // messages; Limits have no more, see MaxMessages
	common int32 // bytes of shared frames that the budget does not count: at most the Allowance
	off    int   // bytes of the first frame that are written
	size   int   // bytes to be written
	own    int   // bytes that its frames hold for this queue alone
	held   int   // bytes of shared frames that the budget counts for this queue
	one    [1]*Frame
}

// MaxMessages is how many messages a queue has room for at most, whatever its Limits.
const MaxMessages = math.MaxInt32

// Empty reports whether nothing waits.
func (q *Queue) Empty() bool { return int(q.head) == len(q.frames) }

// Size returns the bytes that wait, headers included.
func (q *Queue) Size() int { return q.size }

// Count returns the messages that wait.
func (q *Queue) Count() int { return int(q.count) }

// Held returns about how many bytes of memory the queue holds for itself.
func (q *Queue) Held() int { return q.own }

// Counted returns how many bytes the budget counts for this queue. Those of a shared
// frame are counted for each queue that holds it, though the budget has them once.
func (q *Queue) Counted() int { return counted(q.own) + q.held }

// Cap returns how many frames the queue has room for as it is.
func (q *Queue) Cap() int { return cap(q.frames) }

// First returns the first frame, and how many bytes of it are written. There is one.
func (q *Queue) First() (f *Frame, off int) { return q.frames[q.head], q.off }

// Waiting returns the frames that are not written, the first perhaps in part.
func (q *Queue) Waiting() []*Frame { return q.frames[q.head:] }

// Take tells that the writer has the first n frames in hand.
func (q *Queue) Take(n int) { q.taken = int32(n) }

// untouched returns the index of the first frame that the writer has not begun.
func (q *Queue) untouched() int {
	if q.taken == 0 && q.off > 0 {
		return int(q.head) + 1
	}
	return int(q.head + q.taken)
}

// Push appends a frame and takes it over. With join it may become part of the last one.
func (q *Queue) Push(f *Frame, join bool) {
	q.size += len(f.B)
	q.count += int32(f.messages)
	if join {
		if f = q.join(f); f == nil {
			return
		}
	}
	q.append(f)
}

// PushShared appends a message that others have too.
func (q *Queue) PushShared(s *Shared) {
	f := &s.plain
	if q.holds(s, int(q.common)) {
		f = s.hold()
	}
	q.common += int32(f.common())
	q.held += f.held()
	q.size += len(f.B)
	q.count++
	q.append(f)
}

// holds reports whether the budget would count a shared frame for the queue, with so many
// common bytes before it.
func (q *Queue) holds(s *Shared, common int) bool {
	return q.Budget != nil && common+s.Len() > Allowance
}

func (q *Queue) append(f *Frame) {
	q.reckon(f.cost())
	switch n := len(q.frames); {
	case q.frames == nil:
		q.frames = q.one[:0]
	case n < cap(q.frames):
	case int(q.head) >= (n+1)/2: // or the written part would grow for ever
		left := copy(q.frames, q.frames[q.head:])
		clear(q.frames[left:])
		q.frames, q.head = q.frames[:left], 0
	case n < fewFrames:
		q.moveTo(fews.Get().(*[fewFrames]*Frame)[:0])
	case n < manyFrames:
		q.moveTo(manies.Get().(*[manyFrames]*Frame)[:0])
	default:
		q.moveTo(make([]*Frame, 0, n+max(n/4, manyFrames)))
	}
	q.frames = append(q.frames, f)
}

// Where more frames wait than a queue has room for in itself, as in every burst of
// broadcasts, they are in one of these, which are recycled: growing step by step cost a
// third of what a fan-out takes.
const (
	fewFrames  = 8
	manyFrames = 64
)

var (
	fews   = sync.Pool{New: func() any { return new([fewFrames]*Frame) }}
	manies = sync.Pool{New: func() any { return new([manyFrames]*Frame) }}
)

// moveTo moves the frames that wait to another place, which is empty. Where they were
// nothing is left, which would keep a frame's memory.
func (q *Queue) moveTo(place []*Frame) {
	place = append(place, q.frames[q.head:]...)
	clear(q.frames)
	switch cap(q.frames) {
	case fewFrames:
		fews.Put((*[fewFrames]*Frame)(q.frames[:fewFrames]))
	case manyFrames:
		manies.Put((*[manyFrames]*Frame)(q.frames[:manyFrames]))
	}
	q.frames, q.head = place, 0
}

// reckon notes that the queue holds n bytes more.
func (q *Queue) reckon(n int) {
	told := counted(q.own)
	q.own += n
	if now := counted(q.own); now != told {
		q.Budget.Add(now - told)
	}
}

// counted is what the budget counts of so many bytes: nothing up to the Allowance, and
// whole steps of it beyond, so that the counter which all share is seldom touched.
func counted(own int) int {
	if own <= Allowance {
		return 0
	}
	return (own + Allowance - 1) / Allowance * Allowance
}

// chunk returns the last frame if its buffer can be shared and the writer has not begun
// it, or nil.
func (q *Queue) chunk() *Frame {
	last := len(q.frames) - 1
	if last < q.untouched() || !q.frames[last].joins() {
		return nil
	}
	return q.frames[last]
}

// join puts the frame's bytes behind those of the last one, if both are of the kind that
// can share a buffer and the writer has not begun. It returns what is still to be
// pushed, in a larger chunk if the last one is full.
func (q *Queue) join(f *Frame) *Frame {
	chunk := q.chunk()
	if chunk == nil || !f.joins() {
		return f
	}
	if len(chunk.B)+len(f.B) > cap(chunk.B) {
		size := min(chunkGrowth*cap(chunk.B), MaxChunk)
		if cap(f.B) >= size {
			return f
		}
		chunk = empty(size)
		chunk.B, chunk.messages = append(chunk.B[:0], f.B...), f.messages
		f.Free()
		return chunk
	}
	chunk.B = append(chunk.B, f.B...)
	chunk.messages += f.messages
	f.Free()
	return nil
}

// Write puts a message into the last frame's buffer, if Push would, and there is room there
// and within the bounds. It needs no frame then, and no memory that is not counted yet.
func (q *Queue) Write(first byte, payload []byte, lim Limits) bool {
	n := len(payload) + ws.MaxHeader
	chunk := q.chunk()
	if chunk == nil || len(chunk.B)+n > cap(chunk.B) || !q.within(n, lim) {
		return false
	}
	before := len(chunk.B)
	chunk.B = ws.AppendFrame(chunk.B, first, payload)
	chunk.messages++
	q.size += len(chunk.B) - before
	q.count++
	return true
}

// Unshift puts a frame of which off bytes are written before all others.
func (q *Queue) Unshift(f *Frame, off int) {
	if q.frames == nil {
		q.frames = q.one[:0]
	}
	q.frames = slices.Insert(q.frames, int(q.head), f)
	q.off = off
	q.size += len(f.B)
	q.count += int32(f.messages)
	q.reckon(f.cost())
}

// Wrote accounts for up to n written bytes of the first frame, and returns what is left of
// n, and the frame if it is now written; it belongs to the caller then.
func (q *Queue) Wrote(n int) (left int, done *Frame) {
	f := q.frames[q.head]
	rest := len(f.B) - q.off
	if n < rest {
		q.off += n
		return 0, nil
	}
	q.off = 0
	q.frames[q.head] = nil
	q.head++
	q.forget(f)
	return n - rest, f
}

// forget accounts for a frame that has left the queue.
func (q *Queue) forget(f *Frame) {
	q.size -= len(f.B)
	q.count -= int32(f.messages)
	q.common -= int32(f.common())
	q.held -= f.held()
	q.reckon(-f.cost())
}

// Settle ends a write: the writer has nothing in hand, and what many frames needed is
// given up when none waits.
func (q *Queue) Settle() {
	q.taken = 0
	if q.Empty() {
		q.moveTo(q.one[:0])
	}
}

// Clear empties the queue of everything, whatever the writer had in hand, and calls lost
// with each frame and the bytes of it that are written. The frames are lost's then.
func (q *Queue) Clear(lost func(f *Frame, off int)) {
	for !q.Empty() {
		f, off := q.First()
		q.frames[q.head] = nil
		q.head, q.off = q.head+1, 0
		q.forget(f)
		lost(f, off)
	}
	q.moveTo(nil)
	q.taken = 0
}
