package cluster

import (
	"runtime"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
)

// A peer is another node, as far as this one knows it.
type peer struct {
	// Immutable.
	n    *Node
	name string

	groups peerGroups // has its own lock

	mu     sync.Mutex
	sent   sync.Cond // the writer has ended
	stream streamIn  // guarded by mu, like all that follows
	life   life
	frames []*outFrame  // to be sent, the last is being filled
	few    [4]*outFrame // where frames begin
	queued int          // bytes in frames
	spare  *outFrame    // to be used again
	number uint64       // of the last frame
	writer bool         // somebody sends frames
	calls  map[uint64]pending
	lastID uint64 // of a call
}

// streamIn is where the stream from a peer is.
type streamIn struct {
	incarnation uint64
	number      uint64 // of the last frame; 0: none has come
}

// A pending call waits for the answer of one peer.
type pending struct {
	frame    uint64 // in which it went
	waiter   waiter
	deadline time.Time // when nobody waits any longer; zero: the caller says
}

// A waiter takes an answer; it does not wait. It is called with locks held.
type waiter interface{ answered(a answer) }

// An answer is the result of a call, or its error. More says that further parts come.
type answer struct {
	from *peer
	res  gateway.Result
	err  error
	more bool
}

// meet returns the peer of this name, perhaps a new one of which nothing was heard; nil
// if there can be no more.
func (n *Node) meet(name string) *peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.peers[name]; p != nil {
		return p
	}
	if len(n.peers) >= n.opts.MaxNodes {
		return nil
	}
	p := &peer{n: n, name: name, calls: map[uint64]pending{}, number: n.numbers.Add(1 << 32)}
	p.sent.L = &p.mu
	left := n.left.byName[name]
	p.stream, p.life.number = left.stream, left.beat
	n.peers[name] = p
	return p
}

// ask puts an operation into the stream to the peer. The waiter gets the answer, or an
// error; if ask returns one, it gets nothing. The caller flushes.
func (p *peer) ask(op *gateway.Op, deadline time.Time, patience time.Duration, w waiter) (id uint64,
	err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.askableLocked(); err != nil {
		return 0, err
	}
	p.lastID++
	f, at := p.beginLocked(recRequest)
	f.b = appendRequest(f.b, p.lastID, patience, op)
	if f, err = p.endLocked(f, at); err != nil {
		return 0, err
	}
	p.calls[p.lastID] = pending{frame: f.number, waiter: w, deadline: deadline}
	p.n.counts.calls.Add(1)
	p.n.asked()
	return p.lastID, nil
}

func (p *peer) askableLocked() error {
	switch {
	case p.life.foreign:
		return errForeign
	case p.life.state == lost:
		return errLost
	case p.queued > p.n.opts.MaxQueuedBytes:
		return errBacklog
	}
	return nil
}

// forget gives a call up. It reports false if the answer is there already.
func (p *peer) forget(id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, waiting := p.calls[id]
	delete(p.calls, id)
	return waiting
}

// answered passes an answer on to who waits for it.
func (p *peer) answered(id uint64, a answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.calls[id]
	if !ok {
		return // given up
	}
	if !a.more {
		delete(p.calls, id)
		p.n.counts.answers.Add(1)
	}
	a.from = p
	c.waiter.answered(a)
}

// failAll ends all calls with an error.
func (p *peer) failAll(err error) {
	p.failIf(err, func(pending) bool { return true })
}

func (p *peer) failIf(err error, which func(pending) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failLocked(err, which)
}

func (p *peer) failLocked(err error, which func(pending) bool) {
	for id, c := range p.calls {
		if which(c) {
			delete(p.calls, id)
			c.waiter.answered(answer{from: p, err: err})
		}
	}
}

// beginLocked begins a record at the end of the stream.
func (p *peer) beginLocked(kind byte) (f *outFrame, at int) {
	if len(p.frames) == 0 || len(p.frames[len(p.frames)-1].b) >= goodFrame {
		p.newFrameLocked()
	}
	f = p.frames[len(p.frames)-1]
	at = len(f.b)
	f.b = beginRecord(f.b, kind)
	return f, at
}

// goodFrame is the size in bytes from which on a frame takes no further record: more in
// one would save nothing, and hold up what is in it.
const goodFrame = 32 << 10

func (p *peer) newFrameLocked() *outFrame {
	f := p.spare
	if p.spare = nil; f == nil {
		f = new(outFrame)
	}
	f.begin()
	p.number++
	f.number = p.number
	p.frames = append(p.frames, f)
	p.queued += headerLen
	return f
}

// endLocked completes the record. If the frame has become too large, the record moves to
// one of its own; if it is too large for that, too, it is taken back.
func (p *peer) endLocked(f *outFrame, at int) (*outFrame, error) {
	endRecord(f.b, at)
	size := len(f.b) - at
	switch {
	case len(f.b) <= p.n.maxFrame:
	case size+headerLen > p.n.maxFrame:
		f.b = f.b[:at]
		if f.count == 0 {
			p.frames = p.frames[:len(p.frames)-1]
			p.queued -= headerLen
			p.number-- // or a frame would seem to be lost
		}
		return nil, tooLarge(p.n.maxFrame)
	default:
		record := f.b[at:]
		f.b = f.b[:at]
		f = p.newFrameLocked()
		f.b = append(f.b, record...)
	}
	f.count++
	p.queued += size
	return f, nil
}

// append puts a record that asks for no answer into the stream. It waits there for the
// next flush.
//
// Above twice MaxQueuedBytes it fails: a caller misses its answer then, and what was to be
// told of groups is asked for again.
func (p *peer) append(kind byte, write func(b []byte) []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.queued > 2*p.n.opts.MaxQueuedBytes {
		return errBacklog
	}
	f, at := p.beginLocked(kind)
	f.b = write(f.b)
	_, err := p.endLocked(f, at)
	return err
}

// flush sends what is in the stream, unless somebody does so already. Who sends takes
// what others add meanwhile, so the busier the node, the fuller its frames.
func (p *peer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writer || !p.n.started.Load() {
		return
	}
	p.writer = true
	if len(p.calls) > 1 {
		// Callers come in crowds, for answers come in frames: let the others of this
		// crowd put their calls into the same one.
		p.mu.Unlock()
		runtime.Gosched()
		p.mu.Lock()
	}
	for len(p.frames) > 0 {
		f := p.frames[0]
		p.frames[0] = nil
		p.frames = p.frames[1:]
		version := min(p.n.max, max(p.life.maxVersion, p.n.min))
		p.mu.Unlock()
		f.seal(version, p.n.name, p.name, p.n.incarnation)
		err := p.n.transport.Send(p.name, f.number, f.b)
		p.n.counts.framesOut.Add(1)
		p.n.counts.bytesOut.Add(uint64(len(f.b)))
		p.mu.Lock()
		p.queued -= len(f.b)
		if err != nil {
			p.failLocked(sendError(err, p.n.maxFrame), func(c pending) bool { return c.frame == f.number })
		}
		if cap(f.b) <= 2*goodFrame {
			p.spare = f
		}
	}
	p.frames = p.few[:0]
	p.writer = false
	p.sent.Broadcast()
}

// flushAll sends what is in the stream, and returns when all of it is handed over.
func (p *peer) flushAll() {
	p.flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.writer {
		p.sent.Wait()
	}
}
