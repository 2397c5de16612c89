package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
)

// The errors of calls that the node itself ends.
var (
	errLost    = gateway.NewError(gateway.ErrUnreachable, "the node that owns the socket is silent")
	errForeign = gateway.NewError(gateway.ErrUnreachable,
		"the node that owns the socket is of a version that does not go with this one's")
	errDown   = gateway.NewError(gateway.ErrUnreachable, "this node has no connection to the cluster")
	errNobody = gateway.NewError(gateway.ErrUnreachable,
		"the node that owns the socket does not listen now")
	errBacklog = gateway.NewError(gateway.ErrUnreachable,
		"too much waits to be sent to the node that owns the socket")
	errLeft = gateway.NewError(gateway.ErrTimeout,
		"this node left the cluster before an answer came")
	errCut = gateway.NewError(gateway.ErrTimeout,
		"the connection to the cluster was lost before an answer came")
	errSilent  = gateway.NewError(gateway.ErrTimeout, "the node fell silent before it answered")
	errPatient = gateway.NewError(gateway.ErrTimeout, "the node did not answer in time")
	errEnded   = gateway.NewError(gateway.ErrShutdown, "this node has left the cluster")
	errCrowded = gateway.NewError(gateway.ErrUnreachable, "this node knows as many nodes as it may")
)

func tooLarge(most int) error {
	return gateway.NewError(gateway.ErrTooLarge,
		"the message is larger than the cluster carries: a frame has at most %d bytes", most)
}

// sendError says what became of a frame that the transport did not take.
func sendError(err error, most int) error {
	switch {
	case errors.Is(err, ErrDown):
		return errDown
	case errors.Is(err, ErrFrameSize):
		return tooLarge(most)
	}
	return gateway.NewError(gateway.ErrTimeout, "nobody knows whether the message was sent: %w", err)
}

// retryAfter is how long a node that nobody listens for, and that may be a new one, has
// to become known everywhere.
const retryAfter = 25 * time.Millisecond

// newFor is how long a node counts as a new one.
const newFor = time.Second

// A single waits for one answer.
type single struct{ c chan answer } // room for 1

func (s *single) answered(a answer) { s.c <- a }

// single returns one that nobody uses. The pool is the node's own: a channel must not
// leave the bubble of a test.
func (n *Node) single() *single {
	if w, ok := n.singles.Get().(*single); ok {
		return w
	}
	return &single{make(chan answer, 1)}
}

// Do carries out an operation on the node that owns op.Socket, see [gateway.Engine].
func (n *Node) Do(ctx context.Context, op gateway.Op) (gateway.Result, error) {
	switch op.Kind {
	case gateway.OpSend, gateway.OpSendSync, gateway.OpSendWait:
		n.counts.sends.Add(1)
	}
	res, err := n.do(ctx, op)
	if err != nil {
		n.counts.failed.add(err)
	}
	return res, err
}

func (n *Node) do(ctx context.Context, op gateway.Op) (gateway.Result, error) {
	if opSize(&op) > n.maxFrame {
		return gateway.Result{}, tooLarge(n.maxFrame)
	}
	if len(op.Socket) != nameLen+idTail || !gateway.ValidNode(op.Socket[:nameLen]) {
		return gateway.Result{}, gateway.ErrNotFound
	}
	owner := op.Socket[:nameLen]
	if owner == n.name {
		return n.here(ctx, op)
	}
	res, err := n.askOwner(ctx, owner, &op)
	if err != errNobody || !n.isNew(owner) {
		return res, err
	}
	if !sleep(ctx, retryAfter) {
		return res, err
	}
	res, err = n.askOwner(ctx, owner, &op)
	if err == errNobody && n.forgetUnheard(owner) {
		err = gateway.ErrNotFound // never heard of, and nobody listens
	}
	return res, err
}

func (n *Node) askOwner(ctx context.Context, owner string, op *gateway.Op) (gateway.Result, error) {
	p, err := n.peerFor(owner)
	if err != nil {
		return gateway.Result{}, err
	}
	w := n.single()
	deadline, patience := n.deadline(ctx, op.Kind)
	id, err := p.ask(op, deadline, patience, w)
	if err != nil {
		n.singles.Put(w)
		return gateway.Result{}, err
	}
	p.flush()
	var a answer
	select {
	case a = <-w.c:
	case <-ctx.Done():
		if p.forget(id) {
			n.singles.Put(w)
			return gateway.Result{}, timeout(ctx)
		}
		a = <-w.c
	}
	n.singles.Put(w)
	return a.res, a.err
}

func timeout(ctx context.Context) error {
	return gateway.NewError(gateway.ErrTimeout, "%s: %w", gateway.ErrTimeout.Message,
		context.Cause(ctx))
}

// deadline returns when a call is given up, and how long the owner may take. SendSync
// waits for a client, so only its caller and the owner's own limits bound it.
func (n *Node) deadline(ctx context.Context, kind gateway.OpKind) (time.Time, time.Duration) {
	if at, ok := ctx.Deadline(); ok {
		return time.Time{}, max(time.Millisecond, time.Until(at))
	}
	if kind == gateway.OpSendSync || kind == gateway.OpSendWait {
		return time.Time{}, 0
	}
	return time.Now().Add(n.opts.CallTimeout), n.opts.CallTimeout
}

// peerFor returns the peer of this name if it can be asked.
func (n *Node) peerFor(name string) (*peer, error) {
	n.mu.RLock()
	ended, left, p := n.ended, n.left.has(name), n.peers[name]
	n.mu.RUnlock()
	switch {
	case left && p == nil:
		return nil, gateway.ErrNotFound
	case ended:
		return nil, errEnded
	case !n.up.Load():
		return nil, errDown
	case p != nil:
		return p, nil
	}
	if p = n.meet(name); p == nil {
		return nil, errCrowded
	}
	return p, nil
}

// sleep waits, and reports false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A gather waits for the answers of several nodes.
type gather struct {
	wake chan struct{} // room for 1

	mu      sync.Mutex
	answers []answer // that have come and were not looked at
}

func (g *gather) answered(a answer) {
	g.mu.Lock()
	g.answers = append(g.answers, a)
	g.mu.Unlock()
	notify(g.wake)
}

func (g *gather) take() []answer {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := g.answers
	g.answers = nil
	return all
}

// A survey is one operation on several nodes.
type survey struct {
	n      *Node
	op     gateway.Op
	gather gather
	open   map[*peer]uint64 // the nodes that have not answered in full, with the call's id
	again  map[*peer]bool   // new nodes that were not there at first, and were asked again
	asked  int
	silent []string // names of nodes that did not answer
	err    error    // the worst of their errors
}

// DoAll carries out an operation on the other nodes, see [gateway.Engine]. What is meant
// for a group is asked of those that may have members.
func (n *Node) DoAll(ctx context.Context, op gateway.Op, each func(gateway.Result) bool) error {
	if opSize(&op) > n.maxFrame {
		return tooLarge(n.maxFrame)
	}
	s := &survey{n: n, op: op, open: map[*peer]uint64{}, again: map[*peer]bool{}}
	s.op.Limit = n.maxFrame / 2
	s.gather.wake = make(chan struct{}, 1)
	defer s.giveUp()
	if err := s.begin(ctx); err != nil {
		return err
	}
	if op.Meanwhile != nil {
		op.Meanwhile()
	}
	for len(s.open) > 0 {
		select {
		case <-s.gather.wake:
		case <-ctx.Done():
			for p := range s.open {
				s.fail(p, timeout(ctx))
			}
			return s.error()
		}
		for _, a := range s.gather.take() {
			if !s.answer(ctx, a, each) {
				return nil
			}
		}
	}
	return s.error()
}

// begin asks all that are concerned.
func (s *survey) begin(ctx context.Context) error {
	n := s.n
	n.mu.RLock()
	ended := n.ended
	n.mu.RUnlock()
	if ended {
		return errEnded
	}
	hash := hashOf(s.op.Group)
	up := n.up.Load()
	for _, p := range n.list() {
		if p.state() == unheard || !s.op.All && s.op.Group != "" && !p.groups.mayHave(hash) {
			continue
		}
		s.asked++
		if !up {
			s.fail(p, errDown)
			continue
		}
		s.ask(ctx, p)
	}
	for p := range s.open {
		p.flush()
	}
	if !up && s.asked == 0 && s.op.Group == "" {
		return errDown // nobody knows who is there
	}
	return nil
}

func (s *survey) ask(ctx context.Context, p *peer) {
	deadline, patience := s.n.deadline(ctx, s.op.Kind)
	id, err := p.ask(&s.op, deadline, patience, &s.gather)
	if err != nil {
		s.fail(p, err)
		return
	}
	s.open[p] = id
}

func (s *survey) fail(p *peer, err error) {
	s.n.counts.failed.add(err)
	s.silent = append(s.silent, p.name)
	if s.err == nil || errors.Is(err, gateway.ErrTimeout) {
		s.err = err
	}
}

// answer takes one answer, and reports false when no more are wanted.
func (s *survey) answer(ctx context.Context, a answer, each func(gateway.Result) bool) bool {
	p := a.from
	if !a.more {
		delete(s.open, p)
	}
	if a.err == errNobody && !s.again[p] && p.isNew() && sleep(ctx, retryAfter) {
		s.again[p] = true
		s.askNow(ctx, p, s.op.Page)
		return true
	}
	if a.err != nil {
		s.fail(p, a.err)
		return true
	}
	if !each(a.res) {
		return false
	}
	if a.res.Next != "" && !a.more {
		s.askNow(ctx, p, a.res.Next)
	}
	return true
}

func (s *survey) askNow(ctx context.Context, p *peer, page string) {
	first := s.op.Page
	s.op.Page = page
	s.ask(ctx, p)
	s.op.Page = first
	p.flush()
}

func (s *survey) giveUp() {
	for p, id := range s.open {
		p.forget(id)
	}
}

// error names the nodes that did not answer.
func (s *survey) error() error {
	if len(s.silent) == 0 {
		return nil
	}
	slices.Sort(s.silent)
	names := slices.Compact(s.silent)
	e := gateway.ErrorOf(s.err)
	err := gateway.NewError(&e, "of %d other nodes these did not answer: %s (%w)", s.asked,
		strings.Join(names, ", "), s.err)
	err.Nodes = names
	return err
}

// appendRequest writes a call. Patience is how long the owner may take; 0: as it likes.
func appendRequest(b []byte, id uint64, patience time.Duration, op *gateway.Op) []byte {
	b = binary.AppendUvarint(b, id)
	b = binary.AppendUvarint(b, uint64((patience+time.Millisecond-1)/time.Millisecond))
	return appendOp(b, op)
}
