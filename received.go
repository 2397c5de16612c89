package gateway

import (
	"sync"
	"sync/atomic"
)

// A received is the memory that one large message arrived in, until it is released. The
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

// receivedSizes are those of the memory that is recycled, in bytes.
var (
	receivedSizes = [...]int{32 << 10, 64 << 10, 256 << 10, 1 << 20}
	receivedPools [len(receivedSizes)]sync.Pool // of *[]byte
)

// leastReceived is from how many bytes on memory is recycled: what is smaller comes as a
// whole and in one read, mostly.
const leastReceived = 16 << 10

// newReceived returns memory of at least size bytes, or nil where that is not recycled.
func newReceived(size int) *received {
	if size < leastReceived {
		return nil
	}
	for i, n := range receivedSizes {
		if size <= n {
			if p, ok := receivedPools[i].Get().(*[]byte); ok {
				return &received{memory: p}
			}
			b := make([]byte, n)
			return &received{memory: &b}
		}
	}
	return nil
}

// release gives the memory back, once.
func (r *received) release() {
	if r == nil || r.gone.Swap(true) || r.memory == nil {
		return
	}
	for i, n := range receivedSizes {
		if len(*r.memory) == n {
			receivedPools[i].Put(r.memory)
		}
	}
}
