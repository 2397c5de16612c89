package cluster

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/wsgateway/gateway"
)

// State of a peer.
type state uint8

const (
	unheard state = iota // somebody asked for it; no sign of it has come
	leased               // heard of within its lease
	lost                 // not heard of, or nobody listens for it
)

// life is what is known of whether a peer lives.
type life struct {
	state      state
	since      time.Time     // when it started, as it says
	first      time.Time     // when it was first heard of
	heard      time.Time     // when it was last heard of
	excused    time.Duration // since then in which this process did not run
	probed     time.Time     // when it was last asked whether it is there
	lease      time.Duration
	number     uint64 // of its last sign of life
	maxVersion byte   // of the codec; 0: not known
	foreign    bool   // there is no version that both read
	sockets    int
	draining   bool
	version    string
}

// isNew reports whether the node may not be known everywhere yet.
func (l *life) isNew() bool {
	return l.state == unheard || time.Since(l.first) < newFor
}

func (p *peer) isNew() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.isNew()
}

func (p *peer) isForeign() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.foreign
}

func (p *peer) state() state {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.state
}

// isNew reports whether nobody has to know the node of this name yet.
func (n *Node) isNew(name string) bool {
	n.mu.RLock()
	p, left := n.peers[name], n.left.has(name)
	n.mu.RUnlock()
	return p == nil && !left || p != nil && p.isNew()
}

// A leaver is a node that has left: by good-bye, for ever, or by long silence. What came
// of it last stays known, so that nothing of before is taken for a sign of life.
type leaver struct {
	bye    bool
	stream streamIn
	beat   uint64
}

// leavers are the latest that have left.
type leavers struct {
	byName map[string]leaver
	order  []string // in which they left
}

const maxLeavers = 4096

func (l *leavers) has(name string) bool {
	_, has := l.byName[name]
	return has
}

func (l *leavers) add(name string, who leaver) {
	if l.byName == nil {
		l.byName = map[string]leaver{}
	}
	if !l.has(name) {
		l.order = append(l.order, name)
	}
	l.byName[name] = who
	if len(l.order) > maxLeavers {
		delete(l.byName, l.order[0])
		l.order = slices.Delete(l.order, 0, 1)
	}
}

func (l *leavers) remove(name string) {
	delete(l.byName, name)
	l.order = slices.DeleteFunc(l.order, func(s string) bool { return s == name })
}

// sender returns the peer from which something came, or nil if that counts for nothing.
func (n *Node) sender(name string) *peer {
	n.mu.RLock()
	p, left := n.peers[name], n.left.byName[name]
	n.mu.RUnlock()
	if p != nil {
		return p
	}
	if left.bye {
		n.drop(dropDeparted)
		return nil
	}
	if p = n.meet(name); p == nil {
		n.drop(dropCrowded)
	}
	return p
}

// heard notes that a sign of the peer came.
func (n *Node) heard(p *peer) {
	now := time.Now()
	p.mu.Lock()
	before, foreign := p.life.state, p.life.foreign
	p.life.state, p.life.heard, p.life.excused = leased, now, 0
	if p.life.first.IsZero() {
		p.life.first = now
		p.life.lease = leases * n.opts.Heartbeat
	}
	p.mu.Unlock()
	if before == leased {
		return
	}
	n.mu.Lock()
	n.left.remove(p.name)
	n.mu.Unlock()
	n.log.Info("node is there", "peer", p.name, "again", before == lost, "readable", !foreign)
	if foreign {
		return
	}
	if before == lost { // it was told of nothing meanwhile
		n.interest.tell(p)
		notify(n.flushSoon)
	}
	p.wantGroups()
}

// lose notes that a node does not answer. Whoever waits for it waits no more.
func (n *Node) lose(p *peer, why string) {
	p.mu.Lock()
	was := p.life.state
	if was == leased {
		p.life.state = lost
	}
	p.failLocked(errSilent, func(pending) bool { return true })
	p.mu.Unlock()
	if was == leased {
		n.log.Warn("node lost", "peer", p.name, "why", why)
	}
}

// departed takes a node out that has said good-bye.
func (n *Node) departed(p *peer, why string) {
	n.remove(p, true)
	n.log.Info("node left", "peer", p.name, "why", why)
}

func (n *Node) remove(p *peer, bye bool) {
	p.mu.Lock()
	who := leaver{bye: bye, stream: p.stream, beat: p.life.number}
	p.mu.Unlock()
	n.mu.Lock()
	if n.peers[p.name] == p {
		delete(n.peers, p.name)
	}
	n.left.add(p.name, who)
	n.mu.Unlock()
	p.failAll(errSilent)
}

// forgetUnheard forgets a node that somebody asked for and that is not there. It reports
// false if a sign of it has come.
func (n *Node) forgetUnheard(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[name]
	if p == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life.state != unheard {
		return false
	}
	if len(p.calls) == 0 && !p.writer {
		delete(n.peers, name)
	}
	return true
}

// heart beats, and looks after the leases of the others.
func (n *Node) heart() {
	tick := time.NewTicker(n.opts.Heartbeat)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-tick.C:
			n.sendBeat(beatAlive)
			now := time.Now()
			n.checkLeases(now, max(0, now.Sub(last)-n.opts.Heartbeat))
			last = now
		case <-n.answerHello:
			// Many may have said hello at once, and many answer: one beat does for all.
			if !sleep(stopContext{n.stop}, n.opts.Heartbeat/20) {
				return
			}
			n.sendBeat(beatAlive)
		case <-n.stop:
			return
		}
	}
}

// A beat is a sign of life. Its layout never changes; what later versions add comes at
// the end:
//
//	 0  0
//	 1  what it is
//	 2  10 bytes: the sender
//	12  8 bytes: its incarnation
//	20  8 bytes: the beat's number, which grows
//	28  the oldest version of the codec that it reads, and the newest
//	30  flags: 1 it is draining
//	31  8 bytes: the version of its interest
//	39  4 bytes: milliseconds between its beats
//	43  8 bytes: when it started, in milliseconds since the Unix epoch
//	51  8 bytes: its sockets
//	59  the length of its program's version, which follows
const beatLen = 60

const (
	beatAlive byte = 1
	beatHello byte = 2 // asks for a sign of the others
)

func (n *Node) sendBeat(kind byte) {
	status, err := n.here(context.Background(), gateway.Op{Kind: gateway.OpStatus})
	if err != nil {
		status = gateway.Result{}
	}
	b := make([]byte, 0, beatLen+len(n.opts.Version))
	b = append(b, 0, kind)
	b = append(b, n.name...)
	b = binary.BigEndian.AppendUint64(b, n.incarnation)
	b = binary.BigEndian.AppendUint64(b, n.numbers.Add(1))
	b = append(b, n.min, n.max, flag(status.Draining))
	b = binary.BigEndian.AppendUint64(b, n.interest.current())
	b = binary.BigEndian.AppendUint32(b, uint32(n.opts.Heartbeat/time.Millisecond))
	b = binary.BigEndian.AppendUint64(b, uint64(n.since.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(status.N))
	b = append(append(b, byte(len(n.opts.Version))), n.opts.Version...)
	if err := n.transport.Beat(b); err != nil && n.up.Load() {
		n.log.Warn("no sign of life could be sent", "error", err)
	}
}

// Beat is called by the transport.
func (n *Node) Beat(b []byte) {
	if !n.started.Load() {
		return
	}
	if len(b) < beatLen || b[0] != 0 || len(b) < beatLen+int(b[59]) ||
		!gateway.ValidNode(string(b[2:12])) {
		n.drop(dropMalformed)
		return
	}
	name := string(b[2:12])
	incarnation := binary.BigEndian.Uint64(b[12:])
	if name == n.name {
		if incarnation != n.incarnation {
			n.drop(dropMisrouted)
			n.log.Error("another node uses the name of this one")
		}
		return
	}
	p := n.sender(name)
	if p == nil {
		return
	}
	p.mu.Lock()
	l := &p.life
	number := binary.BigEndian.Uint64(b[20:])
	fresh := number > l.number
	if fresh {
		l.number = number
		l.maxVersion = b[29]
		l.foreign = b[29] < n.min || b[28] > n.max
		l.draining = b[30]&1 != 0
		l.lease = leases * min(max(time.Duration(binary.BigEndian.Uint32(b[39:]))*time.Millisecond,
			minHeartbeat), maxHeartbeat)
		l.since = time.UnixMilli(int64(binary.BigEndian.Uint64(b[43:])))
		l.sockets = int(min(binary.BigEndian.Uint64(b[51:]), 1<<31-1))
		l.version = string(b[beatLen : beatLen+int(b[59])])
	}
	p.mu.Unlock()
	if !fresh {
		n.drop(dropReplayed)
		return
	}
	n.heard(p)
	if p.isForeign() {
		n.drop(dropVersion)
		return
	}
	p.interestBeat(binary.BigEndian.Uint64(b[31:]))
	if b[1] == beatHello {
		notify(n.answerHello)
	}
}

// Nodes lists the nodes in the order of their names, see [gateway.Handler.Nodes]. It
// cannot fail.
func (n *Node) Nodes(ctx context.Context) ([]gateway.Node, error) {
	status, err := n.here(ctx, gateway.Op{Kind: gateway.OpStatus})
	if err != nil {
		return nil, err
	}
	nodes := []gateway.Node{{
		Name: n.name, Self: true, State: nodeState(leased, status.Draining), Sockets: status.N,
		Version: n.opts.Version, Since: n.since, Heard: time.Now(),
	}}
	for _, p := range n.list() {
		p.mu.Lock()
		l := p.life
		p.mu.Unlock()
		if l.state == unheard {
			continue
		}
		if l.foreign {
			l.state = lost // as good as
		}
		nodes = append(nodes, gateway.Node{
			Name: p.name, State: nodeState(l.state, l.draining), Sockets: l.sockets,
			Version: l.version, Since: l.since, Heard: l.heard,
		})
	}
	slices.SortFunc(nodes, func(a, b gateway.Node) int { return cmp.Compare(a.Name, b.Name) })
	return nodes, nil
}

func nodeState(s state, draining bool) gateway.NodeState {
	switch {
	case s == lost:
		return gateway.NodeLost
	case draining:
		return gateway.NodeDraining
	}
	return gateway.NodeUp
}

// appendBye puts the good-bye into the stream to the peer.
func (p *peer) appendBye() {
	p.append(recBye, func(b []byte) []byte { return b })
}
