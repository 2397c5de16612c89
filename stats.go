package gateway

import (
	"maps"
	"strings"
	"time"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// Stats are the counters of a [Handler] at one moment. What is said to be now, and the
// number of open sockets, are of that moment; all others count since New.
type Stats struct {
	// The counters of all sockets together. Refused has also the requests of Unrouted.
	Counters

	// Unrouted counts requests that met no route, by error type.
	Unrouted map[string]uint64

	// Routes has the counters of each pattern that is registered, and of those that were
	// and had sockets or refused some.
	Routes map[string]Counters

	Resting int // now, open sockets that are silent and have no goroutine

	QueuedBytes, ReceivingBytes int64 // now held of Options.MaxQueuedBytes, MaxReceivingBytes

	GaveWay uint64 // sockets closed because what they held was in the way of others
	Groups  int    // now, named ones with members

	Draining   bool      // Drain was called
	DrainLeft  int       // sockets whose close event has not returned; 0 while Draining is false
	DrainUntil time.Time // when the last one is closed; zero while Draining is false
}

// counts is a set of counters by name. Hosts choose names too, at worst without end, so
// only maxForeign of theirs have a counter of their own.
type counts[K ~string] struct {
	mu      lockorder.Mutex[rankCounts]
	m       map[K]uint64
	foreign int // names that are not the gateway's own
}

const (
	maxForeign    = 100
	maxForeignLen = 100 // bytes
	otherName     = "other"
)

// ownNames are the causes and error types of the gateway.
var ownNames = func() map[string]bool {
	own := map[string]bool{otherName: true}
	for _, c := range allCauses {
		own[string(c)] = true
	}
	for _, e := range allErrors {
		own[e.Type] = true
	}
	return own
}()

func (c *counts[K]) add(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[K]uint64{}
	}
	if _, counted := c.m[k]; !counted && !ownNames[string(k)] {
		if c.foreign >= maxForeign || len(k) > maxForeignLen {
			k = otherName
		} else {
			c.foreign++
			k = K(strings.Clone(string(k)))
		}
	}
	c.m[k]++
}

func (c *counts[K]) copy() map[K]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		return map[K]uint64{}
	}
	return maps.Clone(c.m)
}

// Stats returns the counters. It looks at no socket and is cheap at any number
// of them.
func (h *Handler) Stats() Stats {
	st := Stats{
		Counters: Counters{
			Lost:         map[string]uint64{},
			Closed:       map[Cause]uint64{},
			Refused:      map[string]uint64{},
			SendsRefused: map[string]uint64{},
		},
		Unrouted:       h.refused.copy(),
		Routes:         map[string]Counters{},
		GaveWay:        h.memory.cut.Load(),
		Resting:        int(h.rester.count.Load()),
		QueuedBytes:    h.memory.queued.Used(),
		ReceivingBytes: h.memory.received.Used(),
		Groups:         h.groups.count(),
	}
	addAll(st.Refused, st.Unrouted)
	registered := h.routes.load().byText
	for pattern, rs := range h.counted.copy() {
		c := rs.counters()
		st.add(&c)
		if registered[pattern] != nil || c.Opened > 0 || len(c.Refused) > 0 {
			st.Routes[pattern] = c
		}
	}
	if st.DrainUntil, st.Draining = h.hub.drainTime(); st.Draining {
		st.DrainLeft = st.Open
	}
	return st
}
