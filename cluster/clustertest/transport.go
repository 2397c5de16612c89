package clustertest

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/wsgateway/gateway/cluster"
)

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

func (b *inbox) Push(v any) { b.items = append(b.items, v.(event)) }

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
