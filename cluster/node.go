package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway"
)

// A Node is this process as a member of a cluster. It is the engine of one
// [gateway.Handler]: hand it to gateway.New in Options.Engine. Its methods are safe from
// any goroutine.
type Node struct {
	// Immutable.
	opts        Options // with defaults filled in
	log         *slog.Logger
	name        string
	incarnation uint64
	since       time.Time
	transport   Transport
	maxFrame    int
	slow        chan struct{} // room for MaxSlow
	min, max    byte          // versions of the codec that are read

	local    atomic.Pointer[localFunc]
	up       atomic.Bool
	started  atomic.Bool   // the transport works; until then nothing is sent
	numbers  atomic.Uint64 // where the frames of the next peer begin
	interest interest
	counts   counts
	singles  sync.Pool // of *single

	mu    sync.RWMutex
	peers map[string]*peer // guarded by mu, like all that follows
	left  leavers
	ended bool // Close has begun

	answerHello chan struct{} // asks for a sign of life soon; room for 1
	flushSoon   chan struct{} // asks for what waits for the peers to be sent; room for 1
	callsWait   chan struct{} // wakes the prober; room for 1
	probing     atomic.Bool   // the prober is awake
	states      chan change
	stop        chan struct{} // closed by Close
	leaving     sync.Once
	running     sync.WaitGroup // the goroutines of the node, and slow answers
	closed      chan struct{}  // closed when the node has left
	closeErr    error          // read after closed
}

type localFunc = func(ctx context.Context, op gateway.Op) (gateway.Result, error)

var (
	_ gateway.Engine = (*Node)(nil)
	_ Handler        = (*Node)(nil)
)

// Join starts the transport and makes this process a node. It returns when the nodes
// that are there have had time to show themselves, half a heartbeat. It fails if an option
// is wrong, if the transport cannot start, or if ctx ends.
func Join(ctx context.Context, t Transport, opts *Options) (*Node, error) {
	o, err := opts.check()
	if err != nil {
		return nil, err
	}
	return join(ctx, t, o, oldestVersion, codecVersion)
}

func join(ctx context.Context, t Transport, o Options, oldest, newest byte) (*Node, error) {
	now := time.Now()
	n := &Node{
		opts: o, log: o.Logger.With("node", o.Name), name: o.Name, since: now, transport: t,
		incarnation: uint64(now.UnixNano()), slow: make(chan struct{}, o.MaxSlow),
		min: oldest, max: newest, peers: map[string]*peer{},
		answerHello: make(chan struct{}, 1), flushSoon: make(chan struct{}, 1),
		callsWait: make(chan struct{}, 1), states: make(chan change, 16),
		stop: make(chan struct{}), closed: make(chan struct{}),
	}
	n.up.Store(true)
	n.interest.groups = map[groupHash]struct{}{}
	if err := t.Start(ctx, n.name, n); err != nil {
		return nil, fmt.Errorf("cluster: join as %s: %w", n.name, err)
	}
	n.maxFrame = t.MaxFrame()
	if n.maxFrame < minFrame {
		n.transport.Close(ctx)
		return nil, fmt.Errorf("cluster: the transport carries frames of at most %d bytes; it must be "+
			"%d at least", n.maxFrame, minFrame)
	}
	n.started.Store(true)
	notify(n.flushSoon)
	n.running.Go(n.heart)
	n.running.Go(n.flusher)
	n.running.Go(n.prober)
	n.running.Go(n.reporter)
	n.sendBeat(beatHello)
	settle := time.NewTimer(o.Heartbeat / 2)
	defer settle.Stop()
	select {
	case <-settle.C:
	case <-ctx.Done():
		n.Close(ctx)
		return nil, fmt.Errorf("cluster: join as %s: %w", n.name, context.Cause(ctx))
	}
	n.log.Info("joined the cluster", "nodes", len(n.list()))
	return n, nil
}

// minFrame holds any operation without a message, and pages that are worth it.
const minFrame = 64 << 10

// Node returns the name of this node.
func (n *Node) Node() string { return n.name }

// Bind is called by gateway.New. It panics if the node serves a gateway already.
func (n *Node) Bind(local func(ctx context.Context, op gateway.Op) (gateway.Result, error)) {
	if !n.local.CompareAndSwap(nil, &local) {
		panic("gateway: Options: Engine: this node serves another Handler already; join once for each")
	}
}

// here carries out an operation on this node.
func (n *Node) here(ctx context.Context, op gateway.Op) (gateway.Result, error) {
	local := n.local.Load()
	if local == nil { // joined, but not yet given to a gateway
		if op.Socket != "" {
			return gateway.Result{}, gateway.ErrNotFound
		}
		return gateway.Result{}, nil
	}
	return (*local)(ctx, op)
}

// Close says good-bye to the other nodes and leaves the cluster. What was handed over
// before is sent first, as far as ctx allows; answers that have not come are given up.
// It returns nil, or why the transport could not send the rest. [gateway.Handler.Shutdown]
// calls it; only a node without a gateway needs it.
func (n *Node) Close(ctx context.Context) error {
	n.leaving.Do(func() { go n.leave(ctx) })
	select {
	case <-n.closed:
		return n.closeErr
	case <-ctx.Done():
	}
	select { // whoever gives it no time still wants the good-bye to be sent
	case <-n.closed:
		return n.closeErr
	case <-time.After(byeTime):
		return gateway.NewError(gateway.ErrTimeout, "leaving the cluster: %w", context.Cause(ctx))
	}
}

// byeTime is what Close takes at most to say good-bye when its context has ended.
const byeTime = 100 * time.Millisecond

// leave ends the node; Close waits for it.
func (n *Node) leave(ctx context.Context) {
	defer close(n.closed)
	n.mu.Lock()
	n.ended = true
	n.mu.Unlock()
	for _, p := range n.list() {
		p.appendBye()
		p.flushAll()
	}
	close(n.stop)
	if ctx.Err() != nil {
		short, cancel := context.WithTimeout(context.WithoutCancel(ctx), byeTime)
		defer cancel()
		ctx = short
	}
	if err := n.transport.Close(ctx); err != nil {
		n.closeErr = gateway.NewError(gateway.ErrInternal, "leaving the cluster: %w", err)
	}
	for _, p := range n.list() {
		p.failAll(errLeft)
	}
	n.running.Wait() // slow answers end with stop
}

// list returns the peers.
func (n *Node) list() []*peer {
	n.mu.RLock()
	defer n.mu.RUnlock()
	peers := make([]*peer, 0, len(n.peers))
	for _, p := range n.peers {
		peers = append(peers, p)
	}
	return peers
}

// flusher sends what was left for later: changes of interest.
func (n *Node) flusher() {
	for {
		select {
		case <-n.flushSoon:
			for _, p := range n.list() {
				p.flush()
			}
		case <-n.stop:
			return
		}
	}
}

// notify puts a mark into a channel with room for one.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

type change struct {
	up    bool
	cause error
}

// State is called by the transport.
func (n *Node) State(up bool, cause error) {
	if n.up.Swap(up) == up {
		return
	}
	if up {
		notify(n.answerHello)
	} else {
		for _, p := range n.list() {
			p.failAll(errCut)
		}
	}
	select {
	case n.states <- change{up, cause}:
	default: // the program does not keep up; it hears of a later change
	}
}

// reporter tells the log and the program of lost and new connections.
func (n *Node) reporter() {
	for {
		select {
		case c := <-n.states:
			if c.up {
				n.log.Info("connected to the cluster again")
				n.sendBeat(beatHello)
			} else {
				n.log.Warn("connection to the cluster lost", "cause", c.cause)
			}
			if n.opts.OnState != nil {
				n.opts.OnState(c.up, c.cause)
			}
		case <-n.stop:
			return
		}
	}
}
