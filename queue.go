package gateway

import "slices"

const chunkGrowth = 4 // how much larger the next chunk is than a full one

// A queue holds the frames that wait for one client, in the order in which they
// leave. Small messages that wait behind each other share a frame's buffer, a
// chunk, so that each costs neither memory of its own nor an entry. All of it is
// guarded by the outbox's lock; the bytes of frames that the writer has in hand
// are not changed.
type queue struct {
	frames []*frame // data frames, then at most one close frame
	head   int      // of frames: what is before it is written
	off    int      // bytes of the first frame that are written
	taken  int      // frames that the writer has in hand
	size   int      // bytes
	count  int      // messages, and the close frame
	few    [4]*frame
}

func (q *queue) empty() bool { return q.head == len(q.frames) }

// waiting returns the frames that are not written, the first perhaps in part.
func (q *queue) waiting() []*frame { return q.frames[q.head:] }

// untouched returns the index of the first frame that the writer has not begun.
func (q *queue) untouched() int {
	if q.taken == 0 && q.off > 0 {
		return q.head + 1
	}
	return q.head + q.taken
}

// push appends a frame and takes it over. With join it may become part of the
// last one.
func (q *queue) push(f *frame, join bool) {
	q.size += len(f.b)
	q.count += f.messages()
	if join {
		if f = q.join(f); f == nil {
			return
		}
	}
	switch n := len(q.frames); {
	case q.frames == nil:
		q.frames = q.few[:0]
	case n == cap(q.frames) && q.head >= n/2: // or the written part would grow for ever
		left := copy(q.frames, q.frames[q.head:])
		clear(q.frames[left:])
		q.frames, q.head = q.frames[:left], 0
	}
	q.frames = append(q.frames, f)
}

// chunk returns the last frame if its buffer can be shared and the writer has not begun
// it, or nil.
func (q *queue) chunk() *frame {
	last := len(q.frames) - 1
	if last < q.untouched() || !q.frames[last].joins() {
		return nil
	}
	return q.frames[last]
}

// join puts the frame's bytes behind those of the last one, if both are of the kind
// that can share a buffer and the writer has not begun. It returns what is still to
// be pushed, in a larger chunk if the last one is full.
func (q *queue) join(f *frame) *frame {
	chunk := q.chunk()
	if chunk == nil || !f.joins() {
		return f
	}
	if len(chunk.b)+len(f.b) > cap(chunk.b) {
		size := min(chunkGrowth*cap(chunk.b), maxChunk)
		if cap(f.b) >= size {
			return f
		}
		chunk = emptyFrame(size)
		chunk.b, chunk.more = append(chunk.b[:0], f.b...), f.more
		f.release()
		return chunk
	}
	chunk.b = append(chunk.b, f.b...)
	chunk.more += f.messages()
	f.release()
	return nil
}

// write puts a message into the last frame's buffer, if there is room and join would.
func (q *queue) write(first byte, payload []byte) bool {
	chunk := q.chunk()
	if chunk == nil || len(chunk.b)+len(payload)+maxHeader > cap(chunk.b) {
		return false
	}
	before := len(chunk.b)
	chunk.b = appendFrame(chunk.b, first, payload)
	chunk.more++
	q.size += len(chunk.b) - before
	q.count++
	return true
}

// unshift puts a frame of which off bytes are written before all others.
func (q *queue) unshift(f *frame, off int) {
	q.frames = slices.Insert(q.frames, q.head, f)
	q.off = off
	q.size += len(f.b)
	q.count += f.messages()
}

// remove takes a frame out that the writer has not begun.
func (q *queue) remove(i int) *frame {
	f := q.frames[i]
	q.frames = slices.Delete(q.frames, i, i+1)
	q.size -= len(f.b)
	q.count -= f.messages()
	return f
}

// wrote accounts for up to n written bytes of the first frame, and returns what is
// left of n, and the frame once it is written: it is the caller's then.
func (q *queue) wrote(n int) (left int, done *frame) {
	f := q.frames[q.head]
	rest := len(f.b) - q.off
	if n < rest {
		q.off += n
		return 0, nil
	}
	q.off = 0
	q.frames[q.head] = nil
	q.head++
	q.size -= len(f.b)
	q.count -= f.messages()
	return n - rest, f
}

// settle ends a write: the writer has nothing in hand, and what many frames needed
// is given up when none waits.
func (q *queue) settle() {
	q.taken = 0
	if q.empty() {
		q.frames, q.head = q.few[:0], 0
	}
}
