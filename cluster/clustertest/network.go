// Package clustertest has what tests of clusters need: transports in memory with faults
// that can be switched on, usable inside testing/synctest, and the tests that every
// transport must pass.
package clustertest

import (
	"math/rand/v2"
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
