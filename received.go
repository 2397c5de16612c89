package gateway

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// A received is the memory that one message arrived in, until it is released. The
// memory is recycled then: making it anew, and collecting it, is most of what an echo of
// 64 KiB costs. There is a new received for each message, so a second release, or one of a
// copy, does nothing to the message that has the memory by then.
//
// Whose endpoint releases nothing pays nothing for it: until the first release by a route's
// endpoint, its messages share the one received of the route, which has no memory.
type received struct {
	memory *[]byte     // nil for that of a route
	gone   atomic.Bool // released; of a route: its endpoint releases
}

// Memory that is recycled has a power of two of bytes. Smaller messages cost next to
// nothing, and larger ones are few.
const (
	leastReceived = 512
	mostReceived  = 1 << 20
)

var receivedPools [12]sync.Pool // of *[]byte, by receivedClass

// receivedClass is the place of the pool whose memory has room for size bytes.
func receivedClass(size int) int { return bits.Len(uint((size - 1) / leastReceived)) }

// receivedSize is how much memory newReceived returns for size bytes, or size where it
// returns none.
func receivedSize(size int) int {
	if size < leastReceived || size > mostReceived {
		return size
	}
	return leastReceived << receivedClass(size)
}

// newReceived returns memory for size bytes, or nil where that is not recycled.
func newReceived(size int) *received {
	if size < leastReceived || size > mostReceived {
		return nil
	}
	if p, ok := receivedPools[receivedClass(size)].Get().(*[]byte); ok {
		return &received{memory: p}
	}
	b := make([]byte, receivedSize(size))
	return &received{memory: &b}
}

// memoryFor returns an empty slice with room for size bytes; with recycled in memory that can
// be released, if there is any of that size.
func memoryFor(size int, recycled bool) (*received, []byte) {
	if recycled {
		if r := newReceived(size); r != nil {
			return r, (*r.memory)[:0]
		}
	}
	return nil, make([]byte, 0, size)
}

// release gives the memory back, once.
func (r *received) release() {
	if r == nil || r.gone.Swap(true) || r.memory == nil {
		return
	}
	receivedPools[receivedClass(len(*r.memory))].Put(r.memory)
}
