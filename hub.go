package gateway

import (
	"iter"
	"net/http"
	"net/netip"

	"github.com/wsgateway/gateway/internal/forwarded"
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
	n       int                // of sockets, and of requests that may become one
	pending int                // those of n that are no sockets yet
	perAddr map[netip.Addr]int // by capKey
	empty   chan struct{}      // closed when n becomes 0; nil while nobody waits
}

// A shard is a part of the registry.
type shard struct {
	mu      lockorder.RWMutex[rankShard]
	sockets map[string]*Socket
	most    int // that sockets has had
}

// smallMap is up to how many sockets an empty map is kept for: the next one needs it again.
const smallMap = 8

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
	sh := b.shard(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.sockets == nil {
		sh.sockets = map[string]*Socket{}
	}
	sh.sockets[s.id] = s
	sh.most = max(sh.most, len(sh.sockets))
}

func (b *hub) remove(s *Socket) {
	sh := b.shard(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.sockets, s.id)
	if len(sh.sockets) == 0 && sh.most > smallMap {
		sh.sockets, sh.most = nil, 0 // maps do not shrink
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
func (b *hub) reserve(h *Handler, c *forwarded.Client) *Error {
	key := capKey(c.Addr)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch most := h.opts.MaxSocketsPerAddr; {
	case b.closed:
		return ErrShutdown
	case b.drain.on:
		return errDraining
	case h.opts.MaxSockets >= 0 && b.n >= h.opts.MaxSockets:
		return NewError(ErrTooMany, "the gateway has its %d sockets", b.n)
	case most >= 0 && !c.Exempt && b.perAddr[key] >= most:
		err := NewError(ErrTooMany, "this address has too many sockets")
		err.Status = http.StatusTooManyRequests
		return err
	}
	b.n++
	b.pending++
	if !c.Exempt {
		if b.perAddr == nil {
			b.perAddr = map[netip.Addr]int{}
		}
		b.perAddr[key]++
	}
	return nil
}

// opened turns what was reserved into a socket.
func (b *hub) opened() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending--
}

// withdraw gives up what was reserved: the request has become no socket.
func (b *hub) withdraw(addr netip.Addr, exempt bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending--
	b.releaseLocked(addr, exempt)
}

// release is the end of a socket.
func (b *hub) release(addr netip.Addr, exempt bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.releaseLocked(addr, exempt)
}

func (b *hub) releaseLocked(addr netip.Addr, exempt bool) {
	b.n--
	if !exempt {
		key := capKey(addr)
		if b.perAddr[key]--; b.perAddr[key] == 0 {
			delete(b.perAddr, key)
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

// capKey is what MaxSocketsPerAddr counts an address under. One line has a whole /64
// of IPv6 addresses. Those of a gateway from IPv4 (RFC 6052) have one for all of IPv4.
func capKey(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	octets := a.As16()
	if nat64.Contains(a) {
		return netip.AddrFrom4([4]byte(octets[12:]))
	}
	clear(octets[8:])
	return netip.AddrFrom16(octets)
}

var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// count returns the number of sockets, and of requests that may become one.
func (b *hub) count() (open, pending int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n - b.pending, b.pending
}

// close makes the hub refuse new sockets.
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
