package frameq

import "slices"

// A Bound is one of the bounds that a queue is full by.
type Bound int

// What a queue is full by.
const (
	None       Bound = iota
	ByMessages       // of Limits.Messages
	ByBytes          // of Limits.Bytes
	ByMemory         // buffers that hold much more than Limits.Bytes, for many small messages
	ByBudget         // of all queues together
)

const byHeldBytes = 2 // how many times Limits.Bytes the buffers may hold

// Limits are the bounds of a queue.
type Limits struct{ Messages, Bytes int }

// Order says which waiting frames give way when there is no room.
type Order int

// Who gives way.
const (
	Nobody Order = iota
	Oldest
	Newest
)

// A Want is a frame that wants to be pushed: one of N bytes, or Shared where that is not
// nil, with the key of a latest value or "".
type Want struct {
	N      int
	Shared *Shared
	Key    string
}

// full returns the bound that the frame would exceed when some frames had left. An empty
// queue takes any frame.
func (q *Queue) full(n int, lim Limits, gone *tally) Bound {
	switch count := int(q.count) - gone.messages; {
	case count <= 0: // nothing waits, or only what is no message, as pongs
		return None
	case count >= min(lim.Messages, MaxMessages):
		return ByMessages
	case n > lim.Bytes-(q.size-gone.size):
		return ByBytes
	case (q.own-gone.own-2*Allowance)/byHeldBytes > lim.Bytes:
		return ByMemory
	}
	return None
}

// granted reports whether the budget grants what the queue would hold with the frame.
func (q *Queue) granted(w *Want, gone *tally) bool {
	own, held := q.own-gone.own+frameOverhead, q.held-gone.held
	switch {
	case w.Shared == nil:
		own += bufferFor(w.N)
	case q.holds(w.Shared, int(q.common)-gone.common):
		held += w.N
	}
	return q.Budget.Grants(q.Counted(), counted(own)+held)
}

// A tally is what leaves with frames.
type tally struct{ messages, size, own, common, held int }

func (t *tally) add(f *Frame) {
	t.messages += f.messages
	t.size += len(f.B)
	t.own += f.cost()
	t.common += f.common()
	t.held += f.held()
}

// A Room is how a frame finds room: which waiting ones have to go for it. It holds until
// the queue changes.
type Room struct {
	older   int   // index of the frame with the same key, or -1
	victims []int // indices of frames that give way, in ascending order
	gone    tally
}

// Room looks for room for a frame, and changes nothing. Bound is None where there is, and
// what stands against it otherwise. The waiting frame of the same key leaves in any case,
// and then as many as have to, in the order. But for the budget, frames leave only in the
// last resort: what is short may be what others hold.
func (q *Queue) Room(w *Want, lim Limits, order Order, lastResort bool) (r Room, b Bound) {
	if q.roomy(w, lim) {
		return Room{older: -1}, None
	}
	first := q.untouched()
	r.older = q.older(w.Key, first)
	if r.older >= 0 {
		r.gone.add(q.frames[r.older])
	}
	b = q.bound(w, lim, &r.gone)
	if b == None || order == Nobody {
		return r, b
	}
	for k := range len(q.frames) - first {
		if b == ByBudget && !lastResort {
			return r, b
		}
		i := first + k
		if order == Newest {
			i = len(q.frames) - 1 - k
		}
		if f := q.frames[i]; i != r.older && f.messages > 0 && !f.Keep {
			r.victims = append(r.victims, i)
			r.gone.add(f)
			if b = q.bound(w, lim, &r.gone); b == None {
				slices.Sort(r.victims)
				return r, None
			}
		}
	}
	return r, b
}

// roomy is Room for what most frames meet: no bound is near, and the budget would count
// nothing.
func (q *Queue) roomy(w *Want, lim Limits) bool {
	own, common := q.own+frameOverhead, int(q.common)
	if w.Shared == nil {
		own += bufferFor(w.N)
	} else {
		common += w.N
	}
	return w.Key == "" && q.within(w.N, lim) && own <= Allowance && common <= Allowance
}

// within reports whether a frame of n bytes more exceeds no limit.
func (q *Queue) within(n int, lim Limits) bool {
	return int(q.count) < min(lim.Messages, MaxMessages) && n <= lim.Bytes-q.size
}

// Needs is what the budget counts of a queue with nothing in it but one frame of n bytes.
func Needs(n int) int { return counted(bufferFor(n) + frameOverhead) }

// Takes reports whether the budget grants a frame of n bytes in addition to all that waits.
func (q *Queue) Takes(n int) bool {
	return q.Budget.Grants(q.Counted(), counted(q.own+bufferFor(n)+frameOverhead)+q.held)
}

// Reserve counts a frame of n bytes that is being made, so that nobody else is granted what
// it needs. It returns what Release needs to end that. Small ones are not counted.
func (q *Queue) Reserve(n int) int {
	if n <= Allowance {
		return 0
	}
	n = bufferFor(n)
	q.Budget.Add(n)
	return n
}

// Release is the opposite of Reserve.
func (q *Queue) Release(n int) { q.Budget.Add(-n) }

func (q *Queue) bound(w *Want, lim Limits, gone *tally) Bound {
	if b := q.full(w.N, lim, gone); b != None || q.granted(w, gone) {
		return b
	}
	return ByBudget
}

// older returns the index of the frame with the key, from first on, or -1.
func (q *Queue) older(key string, first int) int {
	if key != "" {
		for i := first; i < len(q.frames); i++ {
			if q.frames[i].Key == key {
				return i
			}
		}
	}
	return -1
}

// Make makes the room: it removes the frames and calls lost with each, replaced for that
// of the same key. The frames are lost's then.
func (q *Queue) Make(r *Room, lost func(f *Frame, replaced bool)) {
	if r.older >= 0 {
		r.victims = append(r.victims, r.older)
		slices.Sort(r.victims)
	}
	moved := 0
	for _, i := range r.victims {
		replaced := i == r.older
		f, n := q.remove(i - moved)
		moved += n
		lost(f, replaced)
	}
}

// remove takes a frame out that the writer has not begun, and returns by how many places
// those behind it have moved forward: it moves what is on the shorter side.
func (q *Queue) remove(i int) (f *Frame, moved int) {
	f = q.frames[i]
	if i-int(q.head) < len(q.frames)-i {
		copy(q.frames[q.head+1:i+1], q.frames[q.head:i])
		q.frames[q.head] = nil
		q.head++
	} else {
		q.frames = slices.Delete(q.frames, i, i+1)
		moved = 1
	}
	q.forget(f)
	return f, moved
}

// DropUntouched removes every frame that the writer has not begun, the last one first,
// and calls lost with each.
func (q *Queue) DropUntouched(lost func(f *Frame)) {
	for keep := q.untouched(); keep < len(q.frames); {
		last := len(q.frames) - 1
		f := q.frames[last]
		q.frames[last] = nil
		q.frames = q.frames[:last]
		q.forget(f)
		lost(f)
	}
}
