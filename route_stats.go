package gateway

import (
	"errors"
	"maps"
	"math/bits"
	"runtime"
	"sync/atomic"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// Counters are what [Stats] has for all sockets, and for those of each route.
type Counters struct {
	Open   int    // sockets that are open or closing
	Opened uint64 // sockets ever opened

	MessagesIn, BytesIn   uint64 // delivered to endpoints; bytes of payload, inflated
	MessagesOut, BytesOut uint64 // accepted for sending, once for each socket; bytes of payload

	RateDelayed, RateDropped uint64 // messages above the rate, by policy
	QueueFull                uint64 // messages refused because a queue was full
	// of these: because all queues together were, Options.MaxQueuedBytes
	NoMemory       uint64
	EndpointErrors uint64 // events whose endpoint returned an error or panicked

	// Lost counts messages that were accepted and not written. The keys are "oldest" and
	// "newest" for messages dropped from a full queue, "replaced" for those replaced by a
	// newer one with the same key, and "closed" for those whose socket closed first.
	Lost map[string]uint64

	Closed  map[Cause]uint64  // sockets closed, by cause
	Refused map[string]uint64 // requests refused, by error type

	// SendsRefused counts messages that a socket did not accept, by error type:
	// queue_full, too_large, closed or timeout.
	SendsRefused map[string]uint64

	// What waits now for clients that do not take it at once: messages, and their bytes
	// with headers. It is a second old at most, and includes no message that is on its
	// way to the network within that time.
	WaitingMessages, WaitingBytes int64

	Memberships int64 // now, of sockets in groups
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

// A sendRefusal says why a message was not accepted.
type sendRefusal int

const (
	sendQueueFull sendRefusal = iota
	sendNoMemory              // also of type queue_full
	sendTooLarge
	sendClosed
	sendTimeout
	sendOther
	sendRefusals
)

func refusalOf(err error) sendRefusal {
	switch {
	case err == errNoMemory:
		return sendNoMemory
	case errors.Is(err, ErrQueueFull):
		return sendQueueFull
	case errors.Is(err, ErrTooLarge):
		return sendTooLarge
	case errors.Is(err, ErrClosed):
		return sendClosed
	case errors.Is(err, ErrTimeout):
		return sendTimeout
	}
	return sendOther
}

// A routeStats counts what happens to the sockets of one pattern, for as long as the
// gateway lives: a pattern that comes back goes on counting.
type routeStats struct {
	open, memberships        atomic.Int64
	waitingMessages          atomic.Int64
	waitingBytes             atomic.Int64
	opened                   atomic.Uint64
	rateDelayed, rateDropped atomic.Uint64
	endpointErrors           atomic.Uint64
	sendsRefused             [sendRefusals]atomic.Uint64
	lost                     [len(lostNames)]atomic.Uint64
	closed                   counts[Cause]
	refused                  counts[string]
	traffic                  []traffic // a power of two; a socket has one of them
}

// A traffic counts the messages of some of a route's sockets, so that cores do not share
// the counters of single messages.
type traffic struct {
	messagesIn, bytesIn, messagesOut, bytesOut atomic.Uint64

	_ [96]byte // keeps two of them out of one cache line, and out of the pair of lines
}

func newRouteStats() *routeStats {
	const perCore, least, most = 4, 8, shardCount
	n := min(max(perCore*runtime.GOMAXPROCS(0), least), most)
	return &routeStats{traffic: make([]traffic, 1<<bits.Len(uint(n-1)))}
}

// trafficOf returns where a socket counts its messages. The end of an id is random.
func (rs *routeStats) trafficOf(id string) *traffic {
	n := len(id)
	return &rs.traffic[(uint(id[n-1])*31+uint(id[n-2]))%uint(len(rs.traffic))]
}

// An allRouteStats has the counters by pattern. They are made when a pattern is registered
// for the first time.
type allRouteStats struct {
	mu        lockorder.Mutex[rankCounts]
	byPattern map[string]*routeStats
}

func (all *allRouteStats) of(pattern string) *routeStats {
	all.mu.Lock()
	defer all.mu.Unlock()
	rs := all.byPattern[pattern]
	if rs == nil {
		if all.byPattern == nil {
			all.byPattern = map[string]*routeStats{}
		}
		rs = newRouteStats()
		all.byPattern[pattern] = rs
	}
	return rs
}

func (all *allRouteStats) copy() map[string]*routeStats {
	all.mu.Lock()
	defer all.mu.Unlock()
	return maps.Clone(all.byPattern)
}

// counters returns the counters as they are now.
func (rs *routeStats) counters() Counters {
	c := Counters{
		Open:            int(rs.open.Load()),
		Opened:          rs.opened.Load(),
		RateDelayed:     rs.rateDelayed.Load(),
		RateDropped:     rs.rateDropped.Load(),
		NoMemory:        rs.sendsRefused[sendNoMemory].Load(),
		EndpointErrors:  rs.endpointErrors.Load(),
		Lost:            make(map[string]uint64, len(lostNames)),
		Closed:          rs.closed.copy(),
		Refused:         rs.refused.copy(),
		WaitingMessages: rs.waitingMessages.Load(),
		WaitingBytes:    rs.waitingBytes.Load(),
		Memberships:     rs.memberships.Load(),
	}
	c.QueueFull = rs.sendsRefused[sendQueueFull].Load() + c.NoMemory
	c.SendsRefused = map[string]uint64{
		ErrQueueFull.Type: c.QueueFull,
		ErrTooLarge.Type:  rs.sendsRefused[sendTooLarge].Load(),
		ErrClosed.Type:    rs.sendsRefused[sendClosed].Load(),
		ErrTimeout.Type:   rs.sendsRefused[sendTimeout].Load(),
		ErrInternal.Type:  rs.sendsRefused[sendOther].Load(),
	}
	for i, name := range lostNames {
		c.Lost[name] = rs.lost[i].Load()
	}
	for i := range rs.traffic {
		t := &rs.traffic[i]
		c.MessagesIn += t.messagesIn.Load()
		c.BytesIn += t.bytesIn.Load()
		c.MessagesOut += t.messagesOut.Load()
		c.BytesOut += t.bytesOut.Load()
	}
	return c
}

// add adds those of one route to the sum.
func (c *Counters) add(d *Counters) {
	c.Open += d.Open
	c.Opened += d.Opened
	c.MessagesIn += d.MessagesIn
	c.BytesIn += d.BytesIn
	c.MessagesOut += d.MessagesOut
	c.BytesOut += d.BytesOut
	c.RateDelayed += d.RateDelayed
	c.RateDropped += d.RateDropped
	c.QueueFull += d.QueueFull
	c.NoMemory += d.NoMemory
	c.EndpointErrors += d.EndpointErrors
	addAll(c.Lost, d.Lost)
	addAll(c.Closed, d.Closed)
	addAll(c.Refused, d.Refused)
	addAll(c.SendsRefused, d.SendsRefused)
	c.WaitingMessages += d.WaitingMessages
	c.WaitingBytes += d.WaitingBytes
	c.Memberships += d.Memberships
}

func addAll[K comparable](to, from map[K]uint64) {
	for k, n := range from {
		to[k] += n
	}
}

// A waiting is what an outbox has reported of its queue.
type waiting struct{ messages, bytes int }

// reportLocked has the route's counters show what waits here, or 0 when that has gone.
// It is called when the client takes nothing, by the sweep, and while there is something
// to take back; so a message for a client that reads costs nothing here.
func (o *outbox) reportLocked() {
	now := waiting{o.queue.Count(), o.queue.Size()}
	if now.messages == 0 {
		now.bytes = 0 // a close frame, or pongs
	}
	if o.aside == nil && now.messages == 0 {
		return
	}
	a := o.asideLocked()
	if now == a.reported {
		return
	}
	rs := o.s.route.stats
	rs.waitingMessages.Add(int64(now.messages - a.reported.messages))
	rs.waitingBytes.Add(int64(now.bytes - a.reported.bytes))
	a.reported = now
}

// unreportLocked is reportLocked where it was called before and something was written.
func (o *outbox) unreportLocked() {
	if o.aside != nil && o.aside.reported.messages > 0 {
		o.reportLocked()
	}
}
