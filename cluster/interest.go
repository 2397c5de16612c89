package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
)

// A groupHash stands for a group's name: other nodes need not know names, and memory for
// a group does not depend on how long its is.
type groupHash [16]byte

func hashOf(group string) (h groupHash) {
	sum := sha256.Sum256([]byte(group))
	copy(h[:], sum[:])
	return h
}

// interest is of which groups this node has members.
type interest struct {
	mu      sync.Mutex
	version uint64 // grows with every change
	groups  map[groupHash]struct{}
}

// Interest is called by the gateway when a group may have begun or ended here. The change
// is in the stream to every peer before it returns.
func (n *Node) Interest(group string) {
	hash := hashOf(group)
	in := &n.interest
	in.mu.Lock()
	defer in.mu.Unlock() // so that changes reach every stream in one order
	res, err := n.here(context.Background(), gateway.Op{Kind: gateway.OpMember, Group: group})
	_, told := in.groups[hash]
	has := res.N > 0
	if err != nil || has == told {
		return
	}
	if has {
		in.groups[hash] = struct{}{}
	} else {
		delete(in.groups, hash)
		if len(in.groups) == 0 {
			in.groups = map[groupHash]struct{}{} // maps do not shrink
		}
	}
	in.version++
	for _, p := range n.list() {
		if p.state() == leased {
			p.append(recInterest, func(b []byte) []byte {
				return append(append(binary.AppendUvarint(b, in.version), flag(has)), hash[:]...)
			})
		}
	}
	notify(n.flushSoon)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// current returns the version of what this node has told.
func (in *interest) current() uint64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.version
}

// Flags of a snapshot.
const (
	snapshotFirst = 1
	snapshotLast  = 2
)

// hashesInPart is how many hashes go into one record: half of the smallest frame.
const hashesInPart = minFrame / 2 / len(groupHash{})

// tell puts all groups into the stream to the peer, in parts. Nothing comes between
// them, and changes that follow are later than all of it.
func (in *interest) tell(p *peer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	flags := byte(snapshotFirst)
	part := make([]byte, 0, min(len(in.groups), hashesInPart)*len(groupHash{}))
	send := func() {
		p.append(recSnapshot, func(b []byte) []byte {
			return append(append(binary.AppendUvarint(b, in.version), flags), part...)
		})
		flags, part = 0, part[:0]
	}
	for hash := range in.groups {
		if part = append(part, hash[:]...); len(part) == cap(part) &&
			len(part) == hashesInPart*len(hash) {
			send()
		}
	}
	flags |= snapshotLast
	send()
}

// peerGroups is of which groups a peer has members.
type peerGroups struct {
	mu       sync.RWMutex
	known    bool // otherwise it may have members of all
	tooMany  bool // it has more than are kept, and nobody asks again
	version  uint64
	groups   map[groupHash]struct{}
	building map[groupHash]struct{} // of a snapshot that has not come in full
	asked    time.Time
	beat     uint64 // the version that its last sign of life told
}

// mayHave reports whether the peer has members of the group, or is not known to have
// none.
func (g *peerGroups) mayHave(hash groupHash) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.known {
		return true
	}
	_, has := g.groups[hash]
	return has
}

// doubt notes that changes may have been missed.
func (g *peerGroups) doubt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known, g.groups, g.building = false, nil, nil
}

// wantGroups asks the peer for all its groups, unless that was done a moment ago.
func (p *peer) wantGroups() {
	g := &p.groups
	g.mu.Lock()
	now := time.Now()
	ask := !g.known && !g.tooMany && (g.asked.IsZero() || now.Sub(g.asked) >= 2*p.n.opts.Heartbeat)
	if ask {
		g.asked = now
	}
	g.mu.Unlock()
	if ask {
		p.append(recWant, func(b []byte) []byte { return b })
		notify(p.n.flushSoon)
	}
}

// interestBeat compares what is known with the version that a sign of life tells. That
// comes on a way of its own, so only what is missing for a whole beat is missing.
func (p *peer) interestBeat(version uint64) {
	g := &p.groups
	g.mu.Lock()
	if g.known && g.version < g.beat {
		g.known, g.groups = false, nil
	}
	g.beat = version
	g.mu.Unlock()
	p.wantGroups()
}

func (p *peer) interestRecord(r *reader) bool {
	version, has := r.uvarint(), r.byte()
	hash := groupHash(append(make([]byte, 0, 16), r.take(16)...)[:16])
	if r.bad {
		return false
	}
	g := &p.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !g.known:
	case version != g.version+1:
		g.known, g.groups = false, nil // the next sign of life asks
	case has == 1:
		g.groups[hash] = struct{}{}
		g.boundLocked(p.n.opts.MaxGroups)
	default:
		delete(g.groups, hash)
		if len(g.groups) == 0 {
			g.groups = map[groupHash]struct{}{}
		}
	}
	g.version = version
	return true
}

// boundLocked gives up knowing the groups of a peer that has more than may be kept, and
// reports whether it did.
func (g *peerGroups) boundLocked(most int) bool {
	if max(len(g.groups), len(g.building)) <= most {
		return false
	}
	g.known, g.tooMany, g.groups, g.building = false, true, nil, nil
	return true
}

func (p *peer) snapshotRecord(r *reader) bool {
	version, flags := r.uvarint(), r.byte()
	if r.bad || len(r.b)%len(groupHash{}) != 0 {
		return false
	}
	g := &p.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	if flags&snapshotFirst != 0 {
		g.building = make(map[groupHash]struct{}, len(r.b)/len(groupHash{}))
	}
	if g.building == nil {
		return true // its beginning was lost
	}
	for len(r.b) > 0 {
		g.building[groupHash(r.take(len(groupHash{})))] = struct{}{}
	}
	if g.boundLocked(p.n.opts.MaxGroups) {
		return true
	}
	if flags&snapshotLast != 0 {
		g.known, g.version, g.groups, g.building = true, version, g.building, nil
	}
	return true
}
