package lua

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway/lua/internal/vm"
)

// newLedger returns a host with so much memory, and runs that are charged as said.
func newLedger(t *testing.T, limit int64, charges ...int64) (*ledger, []*run) {
	h := &Host{opts: Options{HostLimits: HostLimits{Memory: limit}}}
	h.setBounds()
	var runs []*run
	for _, n := range charges {
		r := h.newRun(t.Context(), nil)
		h.bounds.memory.force(r, n)
		runs = append(runs, r)
	}
	return &h.bounds.memory, runs
}

// When memory is short, a run that asks for more waits, and then the one that holds
// most is ended, whoever asked.
func TestTheLargestGivesWay(t *testing.T) {
	const mib = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		l, runs := newLedger(t, 64*mib, 10*mib, 30*mib, 7*mib)
		began := time.Now()
		go func() { // the victim ends as soon as it is told
			<-runs[1].Done()
			l.end(runs[1])
		}()
		may, err := l.hold(runs[0], 12*mib)
		if err != nil || may < 12*mib {
			t.Errorf("hold = %d, %v", may, err)
		}
		if took := time.Since(began); took != growTime {
			t.Errorf("it took %v, want %v", took, growTime)
		}
		var stop *vm.Stop
		if !errors.As(runs[1].ended(), &stop) || stop.Budget != "host memory" || runs[2].ended() != nil {
			t.Errorf("ended: %v, %v, %v", runs[0].ended(), runs[1].ended(), runs[2].ended())
		}
		if _, err = l.hold(runs[0], 60*mib); !errors.As(err, &stop) || stop.Budget != "host memory" {
			t.Errorf("the largest asks for more: %v", err)
		}
	})
}

// Small runs find room where large ones do not.
func TestSmallRunsHaveRoom(t *testing.T) {
	const mib = 1 << 20
	l, runs := newLedger(t, 64*mib, 48*mib)
	if _, ok := l.grow(runs[0], 49*mib); ok {
		t.Error("a large run gets what is for small ones")
	}
	for i := range 100 {
		if grant, ok := l.start(runs[0].host.newRun(t.Context(), nil)); !ok || grant != smallGrant {
			t.Fatalf("small run %d: %d, %v", i, grant, ok)
		}
	}
}

// When much memory is free again for a while, it is given back to the system.
func TestMemoryIsGivenBack(t *testing.T) {
	const mib = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		l, runs := newLedger(t, 64*mib, 40*mib)
		peak := func() int64 {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.peak
		}
		l.end(runs[0])
		if n := peak(); n != 40*mib {
			t.Fatalf("peak = %d", n)
		}
		time.Sleep(quietTime + time.Millisecond)
		synctest.Wait()
		if n := peak(); n != 0 {
			t.Errorf("peak = %d after a while: nothing was given back", n)
		}
	})
}

// A run that waits for memory ends with its context.
func TestWaitingForMemoryEnds(t *testing.T) {
	const mib = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		l, runs := newLedger(t, 64*mib, 64*mib)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r := runs[0].host.newRun(ctx, nil)
		if _, err := l.wait(r, 10, false); !errors.Is(err, errSocketClosed) {
			t.Errorf("wait = %v", err)
		}
		if len(l.starting) != 0 {
			t.Error("it still waits")
		}
	})
}
