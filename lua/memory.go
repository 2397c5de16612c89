package lua

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/wsgateway/gateway/lua/internal/vm"
)

// A ledger says how much memory the VMs of a host may hold. Every run has a charge,
// what it may hold, and so has every idle VM. Few runs ever ask for more than what
// they begin with.
type ledger struct {
	limit    int64  // immutable
	dropIdle func() // immutable; gives up idle VMs

	mu       sync.Mutex
	used     int64             // guarded by mu, as all below; all charges
	big      map[*run]struct{} // runs with more than small
	starting []*run            // that wait for what they begin with, in order
	growing  []*run            // that wait for more, in order
	victim   *run              // that was ended to make room, and has not ended yet
	since    time.Time         // when it was
	peak     int64             // of used, since memory was given back
	giveBack resettable
}

const (
	smallGrant = 128 << 10 // what a run begins with when memory is short
	largeGrant = 1 << 20   // and otherwise
	chunk      = 8 << 20   // the most that is given at once

	growTime   = 50 * time.Millisecond // how long a run waits before another is ended for it
	victimTime = time.Second           // how long that one may take to end
	nestedTime = time.Second           // how long a run waits for which another one waits
	quietTime  = time.Second           // how long little is used before memory is given back
)

// start gives a run what it begins with, or waits for it. It returns how much the
// run may hold beside what its VM does already.
func (l *ledger) start(r *run) (grant int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.starting) > 0 && l.starting[0] != r {
		return 0, false
	}
	switch {
	case l.used+largeGrant <= l.limit/2:
		grant = largeGrant
	case l.used+smallGrant <= l.limit:
		grant = smallGrant
	default:
		return 0, false
	}
	l.chargeLocked(r, r.charge+grant)
	return grant, true
}

// chargeLocked sets what a run is charged.
func (l *ledger) chargeLocked(r *run, n int64) {
	l.used += n - r.charge
	r.charge = n
	l.peak = max(l.peak, l.used)
	if n > smallGrant {
		if l.big == nil {
			l.big = make(map[*run]struct{})
		}
		l.big[r] = struct{}{}
	} else {
		delete(l.big, r)
	}
}

// move charges a run for what an idle VM held, or, with n negative, an idle VM for
// what the run leaves in it.
func (l *ledger) move(r *run, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used -= n
	l.chargeLocked(r, r.charge+n)
}

// force charges a run for what it has made already.
func (l *ledger) force(r *run, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chargeLocked(r, n)
}

// free gives back what an idle VM was charged.
func (l *ledger) free(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used -= n
	l.freedLocked()
}

// end gives back all that a run was charged.
func (l *ledger) end(r *run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chargeLocked(r, 0)
	if l.victim == r {
		l.victim = nil
	}
	l.freedLocked()
}

func (l *ledger) freedLocked() {
	if len(l.starting) > 0 {
		l.starting[0].turn.nudge()
	}
	if len(l.growing) > 0 {
		l.growing[0].turn.nudge()
	}
	if l.used <= l.limit/8 && l.peak >= l.limit/2 {
		l.giveBack.after(quietTime, l.quiet)
	}
}

// quiet gives memory back to the system if little is used after much was.
func (l *ledger) quiet() {
	l.mu.Lock()
	l.giveBack.set = false
	still := l.used <= l.limit/8
	if still {
		l.peak = l.used
	}
	l.mu.Unlock()
	if still {
		debug.FreeOSMemory()
	}
}

// tryHold lets a run hold n bytes, and some more, if memory is not short.
func (l *ledger) tryHold(r *run, n int64) (may int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n <= r.charge {
		return r.charge
	}
	want := n + min(chunk, max(largeGrant, n/2))
	if n > chunk || l.used+want-r.charge > l.limit/2 {
		return 0
	}
	l.chargeLocked(r, want)
	return want
}

// grow lets a run hold n bytes, and some more; it reports false if there is no room,
// or others wait for room already.
func (l *ledger) grow(r *run, n int64) (may int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limit - l.limit/4
	if len(l.growing) > 0 && l.growing[0] != r {
		limit = 0
	}
	for _, more := range []int64{min(chunk, n/2), n / 8} {
		want := n + max(more, smallGrant/2)
		most := limit
		if want <= smallGrant {
			most = l.limit
		}
		if want <= r.charge || l.used+want-r.charge <= most {
			l.chargeLocked(r, want)
			return want, true
		}
	}
	return 0, false
}

// hold is grow that waits.
func (l *ledger) hold(r *run, n int64) (may int64, err error) {
	if may, ok := l.grow(r, n); ok {
		return may, nil
	}
	l.dropIdle()
	l.mu.Lock()
	l.growing = append(l.growing, r)
	l.mu.Unlock()
	defer l.unqueue(&l.growing, r)
	for began := time.Now(); ; {
		if may, ok := l.grow(r, n); ok {
			return may, nil
		}
		if time.Since(began) >= growTime {
			if err := l.makeRoom(r, n); err != nil {
				return 0, err
			}
		}
		if err := r.sleep(growTime); err != nil {
			return 0, err
		}
	}
}

// makeRoom ends the run that holds most, if that is not under way yet. If it is r,
// that is the error.
func (l *ledger) makeRoom(r *run, n int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.growing[0] != r || l.victim != nil && time.Since(l.since) < victimTime {
		return nil
	}
	most, held := r, max(r.charge, n)
	for other := range l.big {
		if other.charge > held && other.stop.Load() == nil {
			most, held = other, other.charge
		}
	}
	stop := &vm.Stop{Budget: "host memory", Text: fmt.Sprintf(
		"all scripts together need more than %d bytes, and of all runs this one holds most, about %d",
		l.limit,
		held,
	)}
	if most == r {
		return stop
	}
	l.victim, l.since = most, time.Now()
	most.kill(stop)
	return nil
}

// unqueue takes r out of a queue, and wakes whoever is the first then.
func (l *ledger) unqueue(queue *[]*run, r *run) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(*queue, r); i >= 0 {
		*queue = slices.Delete(*queue, i, i+1)
	}
	if len(*queue) > 0 {
		(*queue)[0].turn.nudge()
	}
}

// wait waits until the run has what it begins with. It is one of most that may, or
// must be let in.
func (l *ledger) wait(r *run, most int, must bool) (grant int64, err error) {
	l.dropIdle()
	l.mu.Lock()
	if len(l.starting) >= most && !must {
		l.mu.Unlock()
		return 0, stopWaiting(most)
	}
	l.starting = append(l.starting, r)
	l.mu.Unlock()
	defer l.unqueue(&l.starting, r)
	for began := time.Now(); ; {
		if grant, ok := l.start(r); ok {
			return grant, nil
		}
		if r.nested && time.Since(began) >= nestedTime { // what it waits for may wait for it
			return 0, &vm.Stop{Budget: "host memory", Text: fmt.Sprintf(
				"all scripts together hold nearly %d bytes, and the run that waits for this one some of them",
				l.limit,
			)}
		}
		if err := r.sleep(growTime); err != nil {
			return 0, err
		}
	}
}

func stopWaiting(most int) error {
	return &vm.Stop{
		Budget: "waiting",
		Text:   fmt.Sprintf("more than %d events wait for their turn", most),
	}
}
