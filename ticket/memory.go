package ticket

import (
	"context"
	"errors"
	"sync"
	"time"
)

// mostRemembered bounds the tickets that were redeemed within the time they are good for.
// All of them were signed here, so it takes an issuer without any limit to reach it.
const mostRemembered = 1 << 20

// A memory is the Store of one process. What it remembers is in two generations: the older
// one is forgotten as a whole when all of its tickets have expired.
type memory struct {
	age time.Duration

	mu         sync.Mutex
	young, old map[string]struct{}
	born       time.Time // of young
	youngUntil time.Time // when the last of its tickets expires
	oldUntil   time.Time
}

func newMemory(ttl time.Duration) *memory {
	return &memory{age: ttl, young: map[string]struct{}{}, born: time.Now()}
}

var errMemoryFull = errors.New("too many tickets were redeemed at once")

// Redeem implements Store.
func (m *memory) Redeem(_ context.Context, id string, until time.Time) (first bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.born) > m.age && now.After(m.oldUntil) {
		m.old, m.oldUntil = m.young, m.youngUntil
		m.young, m.youngUntil, m.born = map[string]struct{}{}, time.Time{}, now
	}
	if _, seen := m.young[id]; seen {
		return false, nil
	}
	if _, seen := m.old[id]; seen {
		return false, nil
	}
	if len(m.young)+len(m.old) >= mostRemembered {
		return false, errMemoryFull
	}
	m.young[id] = struct{}{}
	if until.After(m.youngUntil) {
		m.youngUntil = until
	}
	return true, nil
}
