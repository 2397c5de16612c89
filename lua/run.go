package lua

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A run is one run of scripts among all others of the host: its turn, its share of
// the memory, and its end. It is the context of whatever scripts call: that of the
// event, which also ends with the whole time of the run.
type run struct {
	host     *Host
	parent   context.Context // of the event
	deadline time.Time       // zero until the run begins; then when its whole time is over

	turn   turn
	charge int64                   // guarded by ledger.mu
	stop   atomic.Pointer[vm.Stop] // why somebody else ends the run
	closed atomic.Bool             // the run has closed its own socket, and goes on

	loading bool          // immutable: modules are tried
	nested  bool          // immutable: another run waits for this one
	gone    chan struct{} // guarded by running.mu; nil until somebody waits for the end

	mu     sync.Mutex
	inner  context.Context // guarded by mu; nil until somebody waits for its end
	cancel context.CancelFunc
}

var (
	_ context.Context = (*run)(nil)
	_ vm.Guard        = (*run)(nil)
)

func (h *Host) newRun(ctx context.Context, route *counters) *run {
	return &run{host: h, parent: ctx, turn: turn{route: route, wake: make(chan struct{}, 1)}}
}

// begin waits for a turn and for memory. It returns what the VM of the run may hold
// more than it does. An event that must run waits however many do.
func (r *run) begin(must bool) (grant int64, err error) {
	b := r.host.bounds
	for {
		if err := r.ended(); err != nil {
			return 0, err
		}
		if err := b.turns.begin(r.parent, r, must); err != nil {
			return 0, err
		}
		if grant == 0 {
			var ok bool
			if grant, ok = b.memory.start(r); !ok { // others may compute meanwhile
				b.turns.end(r)
				if grant, err = b.memory.wait(r, b.turns.mostWaiting, must); err != nil {
					return 0, err
				}
				continue
			}
		}
		if total := r.host.total; total > 0 {
			r.mu.Lock()
			r.deadline = time.Now().Add(total)
			r.forgetLocked() // it had no deadline
			r.mu.Unlock()
		}
		return grant, nil
	}
}

// end gives back what the run has.
func (r *run) end() {
	r.host.bounds.turns.end(r)
	r.host.bounds.memory.end(r)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		r.cancel()
	}
}

// ended returns why the run has to end, or nil.
func (r *run) ended() error {
	if stop := r.stop.Load(); stop != nil {
		return stop
	}
	r.mu.Lock()
	over := r.inner != nil && r.inner.Err() == context.DeadlineExceeded
	r.mu.Unlock()
	switch { // in this order: the end of the parent's time is that of the inner one, too
	case r.parent.Err() != nil && !r.closed.Load():
		return errSocketClosed
	case over:
		return context.DeadlineExceeded // the whole time is over
	}
	return nil
}

var errSocketClosed = &vm.Stop{
	Budget: vm.Ended,
	Text:   "the run was ended: its socket has closed, or the gateway was shut down",
}

// kill ends the run, wherever it waits.
func (r *run) kill(stop *vm.Stop) {
	if !r.stop.CompareAndSwap(nil, stop) {
		return
	}
	r.mu.Lock()
	if r.cancel != nil {
		r.cancel()
	}
	r.mu.Unlock()
	r.turn.nudge()
}

// closing calls f, which may close the run's own socket. The run goes on then: it
// has wanted that.
func (r *run) closing(f func()) {
	open := r.parent.Err() == nil
	f()
	if !open || r.parent.Err() == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed.Store(true)
	r.forgetLocked()
}

func (r *run) forgetLocked() {
	if r.cancel != nil {
		r.cancel()
		r.inner, r.cancel = nil, nil
	}
}

// sleep waits until the run is nudged, or for d.
func (r *run) sleep(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.turn.wake:
	case <-timer.C:
	case <-r.Done():
		if err := r.ended(); err != nil {
			return err
		}
		return r.Err()
	}
	return r.ended()
}

// Turn lets others compute.
func (r *run) Turn(computed time.Duration) error { return r.host.bounds.turns.next(r, computed) }

// Leave says that the run calls the host.
func (r *run) Leave() error {
	if err := r.ended(); err != nil {
		return err
	}
	r.host.bounds.turns.leave(&r.turn)
	return nil
}

// Return waits for a turn if there was none for so long.
func (r *run) Return() error { return r.host.bounds.turns.back(r) }

// Hold lets the run hold so much, or ends it.
func (r *run) Hold(held int64, counted bool) (may int64, err error) {
	l := &r.host.bounds.memory
	if !counted {
		return l.tryHold(r, held), nil
	}
	if may, ok := l.grow(r, held); ok {
		return may, nil
	}
	if err := r.Leave(); err != nil {
		return 0, err
	}
	may, err = l.hold(r, held)
	if back := r.Return(); err == nil {
		err = back
	}
	return may, err
}

// Output waits while scripts send and print too much.
func (r *run) Output(n int) error {
	wait := r.host.bounds.output.take(n, time.Now())
	if wait <= 0 {
		return nil
	}
	if err := r.Leave(); err != nil {
		return err
	}
	var err error
	for until := time.Now().Add(wait); err == nil && wait > 0; wait = time.Until(until) {
		err = r.sleep(wait)
	}
	if back := r.Return(); err == nil {
		err = back
	}
	return err
}

// context returns one of package context's own, made when it is first needed, so
// that contexts derived from it need no goroutine.
func (r *run) context() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inner == nil {
		parent := r.parent
		if r.closed.Load() {
			parent = context.WithoutCancel(parent)
		}
		if r.deadline.IsZero() {
			r.inner, r.cancel = context.WithCancel(parent)
		} else {
			r.inner, r.cancel = context.WithDeadline(parent, r.deadline)
		}
		if r.stop.Load() != nil {
			r.cancel()
		}
	}
	return r.inner
}

// Deadline returns when the whole time of the run is over.
func (r *run) Deadline() (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deadline, !r.deadline.IsZero()
}

// Done is closed when the run has to end.
func (r *run) Done() <-chan struct{} { return r.context().Done() }

// Err returns why Done is closed.
func (r *run) Err() error {
	r.mu.Lock()
	inner, deadline := r.inner, r.deadline
	r.mu.Unlock()
	switch {
	case inner != nil:
		return inner.Err()
	case r.ended() != nil:
		return context.Canceled
	case !deadline.IsZero() && time.Now().After(deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// Value returns what the event's context has, and the run itself.
func (r *run) Value(key any) any {
	if key == (runKey{}) {
		return r
	}
	r.mu.Lock()
	inner := r.inner
	r.mu.Unlock()
	if inner != nil {
		return inner.Value(key)
	}
	return r.parent.Value(key)
}
