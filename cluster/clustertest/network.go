// Package clustertest has what tests of clusters need: transports in memory with faults
// that can be switched on, usable inside testing/synctest, and the tests that every
// transport must pass.
package clustertest

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/wsgateway/gateway/cluster"
)

// MaxFrame is the size in bytes of the largest frame of a [Network].
const MaxFrame = 1 << 20

// maxInbox is how many frames may wait for one node; more are lost.
const maxInbox = 1 << 19

// A Network connects transports in memory. Its methods are safe from any goroutine, and
// faults count for what is sent from then on.
type Network struct {
	mu     sync.Mutex
	rand   *rand.Rand
	nodes  map[string]*Transport
	faults Faults
	cuts   map[[2]string]bool
	mute   bool                 // frames are lost, signs of life are not
	hidden map[string]time.Time // nobody listens under these names until then
	tap    func(from, to string, frame []byte)
	sent   uint64
	beats  uint64
	bytes  uint64
}

// Faults are what a [Network] does to frames. The zero value does nothing. Shares are
// from 0 to 1.
type Faults struct {
	Lose      float64       // share of frames that are lost
	Duplicate float64       // share of frames that come twice
	Reorder   float64       // share of frames that come up to 10 ms late, behind others
	Delay     time.Duration // that every frame takes
}

// NewNetwork returns a network without faults. The seed decides what they hit.
func NewNetwork(seed uint64) *Network {
	return &Network{
		rand: rand.New(rand.NewPCG(seed,
			seed)), nodes: map[string]*Transport{}, cuts: map[[2]string]bool{},
		hidden: map[string]time.Time{},
	}
}

// Set exchanges the faults.
func (w *Network) Set(f Faults) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = f
}

// Cut loses everything between two nodes, in both directions, until Heal.
func (w *Network) Cut(a, b string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts[[2]string{a, b}], w.cuts[[2]string{b, a}] = true, true
}

// Heal ends every Cut.
func (w *Network) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cuts)
}

// LoseFramesOnly loses every frame and no sign of life, or ends that.
func (w *Network) LoseFramesOnly(lose bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = lose
}

// Hide makes it seem for a while as if nobody listened under a name, as when a node is so
// new that not every server knows of it. Its own frames arrive.
func (w *Network) Hide(name string, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hidden[name] = time.Now().Add(d)
}

// Freeze stops a node as SIGSTOP does: what it sends and what it is sent waits for Thaw.
func (w *Network) Freeze(name string) { w.with(name, func(t *Transport) { t.frozen = true }) }

// Thaw ends Freeze.
func (w *Network) Thaw(name string) {
	w.with(name, func(t *Transport) {
		t.frozen = false
		for _, held := range t.held {
			held()
		}
		t.held = nil
		t.wake()
	})
}

// Disconnect takes a node off the network, as the loss of its server does: it is told,
// and nobody listens under its name until Reconnect.
func (w *Network) Disconnect(name string) {
	w.with(name, func(t *Transport) {
		t.off = true
		t.frames.items = nil
		t.put(&t.frames, 0, event{state: &state{up: false, cause: cluster.ErrDown}})
	})
}

// Reconnect ends Disconnect.
func (w *Network) Reconnect(name string) {
	w.with(name, func(t *Transport) {
		t.off = false
		t.put(&t.frames, 0, event{state: &state{up: true}})
	})
}

// Kill takes a node off the network for ever, and does not tell it, as kill -9 does.
func (w *Network) Kill(name string) {
	w.with(name, func(t *Transport) {
		t.dead, t.frames.items, t.beats.items = true, nil, nil
		delete(w.nodes, name)
	})
}

func (w *Network) with(name string, fn func(t *Transport)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.nodes[name]; t != nil {
		fn(t)
	}
}

// Tap has fn called with every frame that is handed over, before any fault. It must not
// call the network, and must not keep the frame.
func (w *Network) Tap(fn func(from, to string, frame []byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tap = fn
}

// Sent returns how many frames and signs of life were handed over so far, each counted
// once, and the bytes of both.
func (w *Network) Sent() (frames, beats, bytes uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent, w.beats, w.bytes
}

// NewTransport returns a transport for one node.
func (w *Network) NewTransport() *Transport {
	return &Transport{w: w, stop: make(chan struct{})}
}

// A Transport is one node's end of a [Network].
type Transport struct {
	w    *Network
	name string
	h    cluster.Handler

	frames, beats inbox // guarded by w.mu, like all that follows
	frozen        bool
	off           bool
	dead          bool
	closing       bool
	held          []func() // what a frozen node sent

	stop    chan struct{}
	running sync.WaitGroup
}

var _ cluster.Transport = (*Transport)(nil)

// An event is what an inbox holds.
type event struct {
	at    time.Time
	order uint64
	frame []byte
	state *state

	undelivered string // who does not listen
	number      uint64
}

type state struct {
	up    bool
	cause error
}

// An inbox is what waits for a node, in the order in which it is due.
type inbox struct {
	items   []event
	arrived uint64
	signal  chan struct{} // room for 1
}

func (b *inbox) Len() int { return len(b.items) }
func (b *inbox) Less(i, j int) bool {
	if c := b.items[i].at.Compare(b.items[j].at); c != 0 {
		return c < 0
	}
	return b.items[i].order < b.items[j].order
}
func (b *inbox) Swap(i, j int) { b.items[i], b.items[j] = b.items[j], b.items[i] }
func (b *inbox) Push(v any)    { b.items = append(b.items, v.(event)) }
func (b *inbox) Pop() any {
	last := len(b.items) - 1
	e := b.items[last]
	b.items[last] = event{}
	b.items = b.items[:last]
	return e
}

// put adds an event. The caller holds w.mu.
func (t *Transport) put(b *inbox, delay time.Duration, e event) {
	if t.dead || len(b.items) >= maxInbox {
		return
	}
	b.arrived++
	e.at, e.order = time.Now().Add(delay), b.arrived
	heap.Push(b, e)
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

func (t *Transport) wake() {
	for _, b := range []*inbox{&t.frames, &t.beats} {
		select {
		case b.signal <- struct{}{}:
		default:
		}
	}
}

// Start connects, see [cluster.Transport].
func (t *Transport) Start(ctx context.Context, name string, h cluster.Handler) error {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if t.w.nodes[name] != nil {
		return cluster.ErrNameTaken
	}
	t.name, t.h = name, h
	t.frames.signal, t.beats.signal = make(chan struct{}, 1), make(chan struct{}, 1)
	t.w.nodes[name] = t
	t.running.Go(func() { t.deliver(&t.frames, t.frame) })
	t.running.Go(func() { t.deliver(&t.beats, t.beat) })
	return nil
}

func (t *Transport) frame(e event) {
	switch {
	case e.state != nil:
		t.h.State(e.state.up, e.state.cause)
	case e.undelivered != "":
		t.h.Undelivered(e.undelivered, e.number)
	default:
		t.h.Frame(e.frame)
	}
}

func (t *Transport) beat(e event) { t.h.Beat(e.frame) }

// deliver passes events on when they are due.
func (t *Transport) deliver(b *inbox, pass func(event)) {
	for {
		e, wait := t.next(b)
		if wait == 0 {
			pass(e)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-b.signal:
		case <-timer.C:
		case <-t.stop:
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// next returns the next event, or how long to wait.
func (t *Transport) next(b *inbox) (e event, wait time.Duration) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if t.frozen || t.closing || len(b.items) == 0 {
		return event{}, time.Hour
	}
	if wait := time.Until(b.items[0].at); wait > 0 {
		return event{}, wait
	}
	return heap.Pop(b).(event), 0
}

// Send hands over a frame, see [cluster.Transport].
func (t *Transport) Send(to string, number uint64, frame []byte) error {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	switch {
	case t.off || t.closing || t.dead && !t.frozen:
		return cluster.ErrDown
	case len(frame) > MaxFrame:
		return cluster.ErrFrameSize
	}
	t.w.sent++
	t.w.bytes += uint64(len(frame))
	if t.w.tap != nil {
		t.w.tap(t.name, to, frame)
	}
	frame = slices.Clone(frame)
	t.later(func() { t.send(to, number, frame) })
	return nil
}

// later does it now, or when the node is no longer frozen.
func (t *Transport) later(fn func()) {
	if t.frozen {
		t.held = append(t.held, fn)
		return
	}
	fn()
}

func (t *Transport) send(to string, number uint64, frame []byte) {
	w := t.w
	if w.mute || w.cuts[[2]string{t.name, to}] {
		return
	}
	other := w.nodes[to]
	if other == nil || other.off || time.Now().Before(w.hidden[to]) {
		t.put(&t.frames, w.faults.Delay, event{undelivered: to, number: number})
		return
	}
	w.pass(func(delay time.Duration) {
		other.put(&other.frames, delay,
			event{frame: slices.Clone(frame)})
	})
}

// pass does to a frame what the faults say.
func (w *Network) pass(put func(delay time.Duration)) {
	f := &w.faults
	if w.rand.Float64() < f.Lose {
		return
	}
	copies := 1
	if w.rand.Float64() < f.Duplicate {
		copies = 2
	}
	for range copies {
		delay := f.Delay
		if w.rand.Float64() < f.Reorder {
			delay += time.Duration(w.rand.Int64N(int64(10 * time.Millisecond)))
		}
		put(delay)
	}
}

// Beat hands over a sign of life, see [cluster.Transport].
func (t *Transport) Beat(frame []byte) error {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if t.off || t.closing || t.dead {
		return cluster.ErrDown
	}
	t.w.beats++
	t.w.bytes += uint64(len(frame))
	frame = slices.Clone(frame)
	t.later(func() {
		for name, other := range t.w.nodes {
			if !other.off && !t.w.cuts[[2]string{t.name, name}] {
				t.w.pass(func(delay time.Duration) { other.put(&other.beats, delay, event{frame: frame}) })
			}
		}
	})
	return nil
}

// MaxFrame returns [MaxFrame].
func (t *Transport) MaxFrame() int { return MaxFrame }

// Close disconnects, see [cluster.Transport].
func (t *Transport) Close(ctx context.Context) error {
	t.w.mu.Lock()
	if !t.closing {
		t.closing = true
		close(t.stop)
		if t.w.nodes[t.name] == t {
			delete(t.w.nodes, t.name)
		}
	}
	t.w.mu.Unlock()
	t.running.Wait()
	return nil
}
