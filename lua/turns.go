package lua

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// turns say which runs compute. As many as there are slots do; the others wait in
// the line, and every millisecond that a run has computed it goes back to the end of
// it (see line).
//
// A run keeps its slot while it calls the host. If that takes longer than a
// millisecond and others wait, the slot is taken from it, and it gets in line again
// when it is back.
type turns struct {
	most, mostWaiting int          // immutable
	waiting           atomic.Int32 // length of the line; changed under mu

	mu      sync.Mutex
	holders []*turn // guarded by mu, as all below; those that have a slot
	line    line    // those that wait
	first   int     // how many wait for their first turn
	reclaim resettable
}

// pollPause is how long a long run sleeps every other turn, at least. While goroutines
// are ready to run, Go looks for input from the network once in ten milliseconds only;
// when a core has nothing to do, it looks at once.
const pollPause = 5 * time.Microsecond

// awayTime is how long a run may be away before its slot is taken.
const awayTime = time.Millisecond

// A turn is a run's place among the others.
type turn struct {
	route *counters // of the script that runs; nil while modules are tried
	wake  chan struct{}

	turns int // how many it has had; the run's own

	state atomic.Int32 // away may become taken under turns.mu only
	since atomic.Int64 // when it went away, in nanoseconds since epoch

	slot  bool // guarded by turns.mu, as all below
	waits bool
	lane  int  // of the line
	new   bool // it waits for its first turn
}

const (
	present int32 = iota
	away
	taken
)

// epoch makes times small; its clock is that of the process, not of the day.
var epoch = time.Now()

// nudge wakes the run if it waits for anything.
func (t *turn) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// begin waits for the first turn. It fails if too many wait already, unless it must
// not, or when ctx or the run ends.
func (ts *turns) begin(ctx context.Context, r *run, must bool) error {
	ts.mu.Lock()
	if ts.grantLocked(&r.turn) {
		ts.mu.Unlock()
		return nil
	}
	if ts.first >= ts.mostWaiting && !must {
		ts.mu.Unlock()
		return stopWaiting(ts.mostWaiting)
	}
	r.turn.new = true
	ts.first++
	ts.joinLocked(&r.turn, 0)
	ts.mu.Unlock()
	return ts.wait(ctx, r)
}

// grantLocked gives a free slot to t if nobody waits for one.
func (ts *turns) grantLocked(t *turn) bool {
	if len(ts.holders) >= ts.most || ts.waiting.Load() > 0 {
		return false
	}
	ts.holders = append(ts.holders, t)
	t.slot = true
	return true
}

func (ts *turns) joinLocked(t *turn, lane int) {
	t.waits, t.lane = true, lane
	ts.waiting.Add(1)
	ts.line.push(t)
	ts.reclaimLocked()
	ts.fillLocked()
}

// wait waits until the run has a slot. When ctx or the run ends before, it has none
// and waits no more.
func (ts *turns) wait(ctx context.Context, r *run) error {
	t := &r.turn
	for {
		select {
		case <-t.wake:
		case <-ctx.Done():
		}
		err := r.ended()
		ts.mu.Lock()
		if err != nil {
			ts.leaveLocked(t)
		}
		done := t.slot || err != nil
		ts.mu.Unlock()
		if done {
			return err
		}
		if ctx.Err() != nil {
			ctx = context.Background() // it has ended, and the run goes on all the same
		}
	}
}

// leaveLocked takes t out of the line, or its slot.
func (ts *turns) leaveLocked(t *turn) {
	switch {
	case t.waits:
		ts.line.leave(t)
		ts.leftLocked(t)
	case t.slot:
		ts.releaseLocked(t)
	}
}

// releaseLocked gives the slot of t to whoever is next.
func (ts *turns) releaseLocked(t *turn) {
	ts.removeLocked(t)
	ts.fillLocked()
}

func (ts *turns) removeLocked(t *turn) {
	for i, h := range ts.holders {
		if h == t {
			last := len(ts.holders) - 1
			ts.holders[i], ts.holders[last] = ts.holders[last], nil
			ts.holders = ts.holders[:last]
			break
		}
	}
	t.slot = false
}

// fillLocked gives free slots to those that wait.
func (ts *turns) fillLocked() {
	for len(ts.holders) < ts.most && ts.waiting.Load() > 0 {
		next := ts.line.pick()
		ts.leftLocked(next)
		next.slot = true
		ts.holders = append(ts.holders, next)
		next.nudge()
	}
}

// leftLocked notes that t waits no more.
func (ts *turns) leftLocked(t *turn) {
	ts.waiting.Add(-1)
	if t.new {
		t.new = false
		ts.first--
	}
}

// end gives up what the run has.
func (ts *turns) end(r *run) {
	ts.mu.Lock()
	ts.leaveLocked(&r.turn)
	ts.mu.Unlock()
}

// next lets others compute, and waits until it is the run's turn again.
func (ts *turns) next(r *run, computed time.Duration) error {
	t := &r.turn
	t.turns++
	if laneOf(computed) > 0 && t.turns%2 == 0 {
		time.Sleep(pollPause)
	}
	if ts.waiting.Load() == 0 {
		runtime.Gosched()
		return r.ended()
	}
	ts.mu.Lock()
	ts.removeLocked(t) // first, or it could be given a second one
	ts.joinLocked(t, laneOf(computed))
	again := t.slot
	ts.mu.Unlock()
	if again {
		runtime.Gosched()
		return r.ended()
	}
	return ts.wait(r, r)
}

// leave notes that the run calls the host.
func (ts *turns) leave(t *turn) {
	t.since.Store(int64(time.Since(epoch)))
	t.state.Store(away)
	if ts.waiting.Load() > 0 {
		ts.mu.Lock()
		ts.reclaimLocked()
		ts.mu.Unlock()
	}
}

// back is called when the call of the host is over. It waits for a turn if the slot
// was taken meanwhile.
func (ts *turns) back(r *run) error {
	t := &r.turn
	if t.state.CompareAndSwap(away, present) {
		return r.ended()
	}
	t.state.Store(present)
	ts.mu.Lock()
	if ts.grantLocked(t) {
		ts.mu.Unlock()
		return r.ended()
	}
	ts.joinLocked(t, t.lane)
	ts.mu.Unlock()
	return ts.wait(r, r)
}

// reclaimLocked takes the slots of those that have been away for long, if others
// wait for them, and looks again later for those that have not.
func (ts *turns) reclaimLocked() {
	if ts.waiting.Load() == 0 {
		return
	}
	now, later := int64(time.Since(epoch)), false
	var gone []*turn
	for _, t := range ts.holders {
		if t.state.Load() != away {
			continue
		}
		if now-t.since.Load() < int64(awayTime) {
			later = true
		} else if t.state.CompareAndSwap(away, taken) {
			gone = append(gone, t)
		}
	}
	for _, t := range gone {
		ts.releaseLocked(t)
	}
	if later && ts.waiting.Load() > 0 {
		ts.reclaim.after(awayTime, ts.reclaimLater)
	}
}

func (ts *turns) reclaimLater() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.reclaim.set = false
	ts.reclaimLocked()
}
