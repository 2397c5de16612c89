package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/wsgateway/gateway"
)

// Flags of a reply.
const (
	replyMore  = 1 // further parts follow
	replyError = 2
)

// Frame is called by the transport.
func (n *Node) Frame(b []byte) {
	if !n.started.Load() {
		return // nobody knows this node yet
	}
	if len(b) > 0 && (b[0] < n.min || b[0] > n.max) {
		n.drop(dropVersion)
		return
	}
	h, records, ok := parseHeader(b)
	switch {
	case !ok:
		n.drop(dropMalformed)
		return
	case h.to != n.name || h.from == n.name:
		n.drop(dropMisrouted)
		return
	}
	p := n.sender(h.from)
	if p == nil {
		return
	}
	next, missed := p.advance(h.incarnation, h.number)
	if !next {
		n.drop(dropReplayed)
		return
	}
	n.heard(p)
	if missed {
		p.groups.doubt()
		p.wantGroups()
	}
	n.counts.framesIn.Add(1)
	n.counts.bytesIn.Add(uint64(len(b)))
	var group burst
	for i := range h.count {
		kind, body, rest, ok := nextRecord(records)
		group.more = i+1 < h.count
		if !ok || !n.record(p, kind, body, &group) {
			n.drop(dropMalformed)
		}
		if records = rest; !ok {
			break
		}
	}
	group.end(n)
	p.flush()
}

// advance reports whether the frame is the next in the stream from the peer, and whether
// some before it are missing: they may have told of groups.
func (p *peer) advance(incarnation, number uint64) (next, missed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := &p.stream
	if incarnation < in.incarnation || incarnation == in.incarnation && number <= in.number {
		return false, false
	}
	missed = incarnation == in.incarnation && number != in.number+1
	*in = streamIn{incarnation, number}
	return true, missed
}

// A burst is several messages to groups that came in one frame. Their members get them
// with fewer writes, if nothing is written before some of them are queued.
type burst struct {
	more bool // records follow this one
	held int  // messages since the gateway holds back; 0: it does not
}

// longestBurst is after how many messages the first is written all the same.
const longestBurst = 32

// next is called before a message to a group, end behind the frame.
func (b *burst) next(n *Node) {
	if b.held == longestBurst {
		b.end(n)
	}
	if b.held == 0 {
		if !b.more {
			return
		}
		n.here(context.Background(), gateway.Op{Kind: gateway.OpHold})
	}
	b.held++
}

func (b *burst) end(n *Node) {
	if b.held > 0 {
		b.held = 0
		n.here(context.Background(), gateway.Op{Kind: gateway.OpGo})
	}
}

// record takes one record, and reports whether it makes sense.
func (n *Node) record(p *peer, kind byte, body []byte, b *burst) bool {
	r := reader{b: body}
	switch kind {
	case recRequest:
		id, patience := r.uvarint(), r.int()
		op := r.op(n.name)
		if r.bad {
			return false
		}
		n.serve(p, id, time.Duration(patience)*time.Millisecond, op, b)
	case recReply:
		id, a := r.reply(p.name)
		if r.bad {
			return false
		}
		p.answered(id, a)
	case recInterest:
		return p.interestRecord(&r)
	case recWant:
		n.interest.tell(p)
	case recSnapshot:
		return p.snapshotRecord(&r)
	case recBye:
		n.departed(p, "it said good-bye")
	}
	return true
}

// serve carries out what a peer asks for. What may take long does not hold up the stream.
func (n *Node) serve(p *peer, id uint64, patience time.Duration, op gateway.Op, b *burst) {
	n.counts.served.Add(1)
	switch op.Kind {
	case gateway.OpSendSync, gateway.OpSendWait, gateway.OpList, gateway.OpGroups, gateway.OpMembers:
	case gateway.OpHold, gateway.OpGo: // these are between a node and its own gateway
		p.reply(id, gateway.Result{}, gateway.NewError(gateway.ErrUnsupported,
			"no node does the operation %d for another", op.Kind))
		return
	default:
		if op.Kind == gateway.OpGroupSend {
			b.next(n)
		}
		res, err := n.here(context.Background(), op)
		p.reply(id, res, err)
		return
	}
	select {
	case n.slow <- struct{}{}:
	default:
		p.reply(id, gateway.Result{}, gateway.NewError(gateway.ErrUnreachable,
			"node %s answers as many questions as it may at a time: ask again", n.name))
		return
	}
	op.Message.Data = bytes.Clone(op.Message.Data)
	op.Limit = min(max(op.Limit, 1), n.maxFrame/2)
	n.running.Go(func() {
		defer func() { <-n.slow }()
		ctx, cancel := n.callContext(patience)
		defer cancel()
		res, err := n.here(ctx, op)
		p.reply(id, res, err)
		p.flush()
	})
}

// callContext is that of an operation that takes longer: it ends when the caller waits no
// more, or this node leaves.
func (n *Node) callContext(patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	if patience > 0 {
		ctx, cancel = context.WithTimeout(context.Background(), patience)
	}
	stop := context.AfterFunc(stopContext{n.stop}, cancel)
	return ctx, func() { stop(); cancel() }
}

// A stopContext ends when its channel is closed.
type stopContext struct{ done <-chan struct{} }

func (c stopContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c stopContext) Done() <-chan struct{}       { return c.done }
func (c stopContext) Value(any) any               { return nil }

func (c stopContext) Err() error {
	select {
	case <-c.done:
		return context.Canceled
	default:
		return nil
	}
}

// refusalsInPart is how many refusals go into one record.
const refusalsInPart = 500

// reply puts an answer into the stream to the peer.
func (p *peer) reply(id uint64, res gateway.Result, err error) {
	for err == nil && len(res.Refused) > refusalsInPart {
		part := gateway.Result{Refused: res.Refused[:refusalsInPart]}
		res.Refused = res.Refused[refusalsInPart:]
		p.appendReply(id, replyMore, part, nil)
	}
	if failed := p.appendReply(id, 0, res, err); failed != nil {
		p.appendReply(id, 0, gateway.Result{}, gateway.NewError(gateway.ErrInternal,
			"the answer cannot be sent: %w", failed))
	}
}

func (p *peer) appendReply(id uint64, flags byte, res gateway.Result, err error) error {
	if err != nil {
		flags |= replyError
	}
	var failed error
	appended := p.append(recReply, func(b []byte) []byte {
		b = append(binary.AppendUvarint(b, id), flags)
		if err != nil {
			return appendError(b, err)
		}
		whole, badResult := appendResult(b, &res)
		if badResult != nil {
			failed = badResult
			return appendError(append(b[:len(b)-1], replyError), gateway.NewError(gateway.ErrInternal,
				"the answer cannot be written down"))
		}
		return whole
	})
	if failed != nil {
		return nil // the error went
	}
	return appended
}

func (r *reader) reply(from string) (id uint64, a answer) {
	id = r.uvarint()
	flags := r.byte()
	a.more = flags&replyMore != 0
	if flags&replyError != 0 {
		a.err = r.error()
	} else {
		a.res = r.result(from)
	}
	return id, a
}

// Undelivered is called by the transport.
func (n *Node) Undelivered(to string, number uint64) {
	n.mu.RLock()
	p := n.peers[to]
	n.mu.RUnlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	p.failLocked(errNobody, func(c pending) bool { return c.frame == number })
	isNew := p.life.isNew()
	p.mu.Unlock()
	if !isNew {
		n.lose(p, "nobody listens for it")
	}
}
