package cluster

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/wsgateway/gateway"
)

// Stats are the counters of a [Node] at one moment, since Join.
type Stats struct {
	FramesIn, BytesIn   uint64 // taken from other nodes, signs of life not among them
	FramesOut, BytesOut uint64 // handed to the transport
	Calls, Answers      uint64 // asked of other nodes; answers that came to them in time
	Served              uint64 // operations that other nodes asked for

	Sends  uint64            // messages for one socket of another node
	Failed map[string]uint64 // operations on other nodes, by the type of their error: the
	// owner's answer, such as not_found, or what this node found, such as unreachable

	// Dropped counts what came and was not used: "malformed", "version" (of a codec
	// that this node does not read), "misrouted" (for or from nobody), "replayed"
	// (twice, or late), "departed" (from who has left), "crowded" (above MaxNodes).
	Dropped map[string]uint64
}

type counts struct {
	framesIn, bytesIn, framesOut, bytesOut, calls, answers, served, sends atomic.Uint64

	dropped [len(dropNames)]atomic.Uint64
	failed  failures
}

// failures counts errors by type. Types come from other nodes, too, so not all of them can
// have a counter of their own.
type failures struct {
	mu     sync.Mutex
	byType map[string]uint64
}

const (
	maxFailures  = 64
	otherFailure = "other"
)

func (f *failures) add(err error) {
	kind := gateway.ErrorOf(err).Type
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byType == nil {
		f.byType = map[string]uint64{}
	}
	if _, counted := f.byType[kind]; !counted && (len(f.byType) >= maxFailures || len(kind) > 64) {
		kind = otherFailure
	}
	f.byType[kind]++
}

func (f *failures) copy() map[string]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]uint64, len(f.byType))
	maps.Copy(all, f.byType)
	return all
}

type dropReason int

const (
	dropMalformed dropReason = iota
	dropVersion
	dropMisrouted
	dropReplayed
	dropDeparted
	dropCrowded
)

var dropNames = [...]string{"malformed", "version", "misrouted", "replayed", "departed", "crowded"}

func (n *Node) drop(why dropReason) { n.counts.dropped[why].Add(1) }

// Stats returns the counters.
func (n *Node) Stats() Stats {
	c := &n.counts
	s := Stats{
		FramesIn: c.framesIn.Load(), BytesIn: c.bytesIn.Load(), FramesOut: c.framesOut.Load(),
		BytesOut: c.bytesOut.Load(),
		Calls:    c.calls.Load(), Answers: c.answers.Load(), Served: c.served.Load(),
		Sends: c.sends.Load(), Failed: c.failed.copy(), Dropped: map[string]uint64{},
	}
	for i, name := range dropNames {
		s.Dropped[name] = c.dropped[i].Load()
	}
	return s
}
