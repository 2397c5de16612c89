package gateway

import (
	"iter"
	"net/http"
	"net/netip"

	"github.com/wsgateway/gateway/internal/lockorder"
)

const shardCount = 64 // a power of two

// A hub is the registry: it knows every socket by its id, and how many there
// are. A socket is in it from just before its handshake is answered until its
// close event has returned.
type hub struct {
	shards [shardCount]shard

	mu      lockorder.Mutex[rankHub]
	closed  bool // takes no more sockets
	drain   drainState
	n       int
	perAddr map[netip.Addr]int
	empty   chan struct{} // closed when n becomes 0; nil while nobody waits
}

// A shard is a part of the registry.
type shard struct {
	mu      lockorder.RWMutex[rankShard]
	sockets map[string]*Socket
}

func (b *hub) shard(id string) *shard {
	n := len(id)
	if n < 2 {
		return &b.shards[0]
	}
	// The end of an id is random, 5 bits a character.
	return &b.shards[(uint(id[n-1])*31+uint(id[n-2]))%shardCount]
}

// get returns the socket with the id, or nil.
func (b *hub) get(id string) *Socket {
	sh := b.shard(id)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.sockets[id]
}

func (b *hub) add(s *Socket) {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sockets == nil {
		sh.sockets = map[string]*Socket{}
	}
	sh.sockets[s.id] = s
}

func (b *hub) remove(s *Socket) {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.sockets, s.id)
	if len(sh.sockets) == 0 {
		sh.sockets = nil // maps do not shrink
	}
}

// all yields the sockets, a shard at a time and without holding a lock.
func (b *hub) all() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		var some []*Socket
		for i := range b.shards {
			some = b.shards[i].copy(some[:0])
			for _, s := range some {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func (sh *shard) copy(to []*Socket) []*Socket {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, s := range sh.sockets {
		to = append(to, s)
	}
	return to
}

// reserve counts one more socket, or says why there can be none.
func (b *hub) reserve(h *Handler, c *client) *Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch most := h.opts.MaxSocketsPerAddr; {
	case b.closed:
		return ErrShutdown
	case b.drain.on:
		return errDraining
	case h.opts.MaxSockets >= 0 && b.n >= h.opts.MaxSockets:
		return NewError(ErrTooMany, "the gateway has its %d sockets", b.n)
	case most >= 0 && !c.exempt && b.perAddr[c.addr] >= most:
		err := NewError(ErrTooMany, "this address has too many sockets")
		err.Status = http.StatusTooManyRequests
		return err
	}
	b.n++
	if !c.exempt {
		if b.perAddr == nil {
			b.perAddr = map[netip.Addr]int{}
		}
		b.perAddr[c.addr]++
	}
	return nil
}

// release is the opposite of reserve.
func (b *hub) release(addr netip.Addr, exempt bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n--
	if !exempt {
		if b.perAddr[addr]--; b.perAddr[addr] == 0 {
			delete(b.perAddr, addr)
		}
	}
	if b.n > 0 {
		return
	}
	if b.empty != nil {
		close(b.empty)
		b.empty = nil
	}
}

func (b *hub) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// close takes no more sockets.
func (b *hub) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

var closedChan = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// idle returns a channel that is closed when there are no sockets.
func (b *hub) idle() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.n == 0 {
		return closedChan
	}
	if b.empty == nil {
		b.empty = make(chan struct{})
	}
	return b.empty
}
