package gateway

import (
	"maps"
	"strings"
	"sync/atomic"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// Stats are the counters of a [Handler] at one moment. All but Open, QueuedBytes and
// ReceivingBytes count since New.
type Stats struct {
	QueuedBytes, ReceivingBytes int64 // now held of Options.MaxQueuedBytes and MaxReceivingBytes

	Resting int // open sockets that are silent and have no goroutine

	Open   int    // sockets that are open or closing; requests in Authorize are none yet
	Opened uint64 // sockets ever opened

	MessagesIn, BytesIn   uint64 // delivered to endpoints; bytes of payload, inflated
	MessagesOut, BytesOut uint64 // accepted for sending, once for each socket; bytes of payload

	RateDelayed, RateDropped uint64 // messages above the rate, by policy
	QueueFull                uint64 // messages refused because a queue was full
	// of these: because all queues together were, Options.MaxQueuedBytes
	NoMemory       uint64
	GaveWay        uint64 // sockets closed because what they held was in the way of others
	EndpointErrors uint64 // events whose endpoint returned an error or panicked

	// Lost counts messages that were accepted and not written: "oldest" and
	// "newest" gave way in a full queue, "replaced" by a newer one of the same
	// key, "closed" with their socket.
	Lost map[string]uint64

	// Closed counts sockets by cause, Refused requests by error type. Causes and
	// types of your own have a counter each up to 100 of them and 100 bytes; the
	// rest are counted together as "other".
	Closed  map[Cause]uint64
	Refused map[string]uint64
}

// A stats counts. Counters of single messages are in the hub's shards, so that
// cores do not share them.
type stats struct {
	opened, rateDelayed, rateDropped    atomic.Uint64
	queueFull, noMemory, endpointErrors atomic.Uint64

	lost [len(lostNames)]atomic.Uint64

	closed  counts[Cause]
	refused counts[string]
}

// A lostReason says why an accepted message was not written.
type lostReason int

const (
	lostOldest lostReason = iota
	lostNewest
	lostReplaced
	lostClosed
)

var lostNames = [...]string{"oldest", "newest", "replaced", "closed"}

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
	open, _ := h.hub.count()
	st := Stats{
		Open:           open,
		Opened:         h.stats.opened.Load(),
		RateDelayed:    h.stats.rateDelayed.Load(),
		RateDropped:    h.stats.rateDropped.Load(),
		QueueFull:      h.stats.queueFull.Load(),
		NoMemory:       h.stats.noMemory.Load(),
		GaveWay:        h.memory.cut.Load(),
		Resting:        int(h.rester.count.Load()),
		QueuedBytes:    h.memory.queued.Used(),
		ReceivingBytes: h.memory.received.Used(),
		EndpointErrors: h.stats.endpointErrors.Load(),
		Closed:         h.stats.closed.copy(),
		Refused:        h.stats.refused.copy(),
	}
	st.Lost = make(map[string]uint64, len(lostNames))
	for i, name := range lostNames {
		st.Lost[name] = h.stats.lost[i].Load()
	}
	for i := range h.hub.shards {
		sh := &h.hub.shards[i]
		st.MessagesIn += sh.messagesIn.Load()
		st.BytesIn += sh.bytesIn.Load()
		st.MessagesOut += sh.messagesOut.Load()
		st.BytesOut += sh.bytesOut.Load()
	}
	return st
}
