package gateway_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// A socket is looked at as often as its own timeouts need, whatever those of other routes.
func TestSweepingGoesByTheSocketsOwnTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/", r)
		gw.HandleRoute(gateway.Route{
			Pattern: "/hasty", Endpoint: gateway.Callbacks{},
			Limits: gateway.Limits{PingInterval: 100 * time.Millisecond},
		})
		srv := serve(t, gw)
		srv.Dial(t, "/hasty")
		srv.Dial(t, "/")
		synctest.Wait()
		if d := gateway.SweptEvery(r.socket()); d != time.Second {
			t.Errorf("a socket with timeouts of 10 s and more is looked at every %v, want 1s", d)
		}
	})
}

// Every timeout is late by a tenth at most, but for the bounds.
func TestSweepInterval(t *testing.T) {
	for d := time.Millisecond; d < 100*time.Hour; d += d/7 + 1 {
		got := gateway.SweepInterval(d)
		if got < 10*time.Millisecond || got > time.Second {
			t.Errorf("with %v a socket is looked at every %v, want 10ms to 1s", d, got)
		}
		if got > max(d/10, 10*time.Millisecond) || got < min(d/20, time.Second) {
			t.Errorf("with %v a socket is looked at every %v, want a tenth or so", d, got)
		}
	}
}

// A message that ends, or comes, while the sweeper looks at its socket: what is late no
// more closes nothing, and what the sweeper takes for late closes the socket.
func TestSweepBesideMessages(t *testing.T) {
	const now, late = int64(time.Hour), int64(time.Hour - time.Minute)
	for name, c := range map[string]struct {
		mark  func(*gateway.Socket) *atomic.Int64
		begin int64 // what the mark is, again and again
		end   int64 // and then, unless the sweeper has taken it
		late  bool  // begin is
	}{
		"a late message":  {gateway.Arriving, late, 0, true},
		"a message":       {gateway.Arriving, late + 1, 0, false},
		"a long silence":  {gateway.Said, late, now, true},
		"a short silence": {gateway.Said, late + 1, now, false},
	} {
		bubble(t, name, func(t *testing.T) {
			gw, r := withLimits(gateway.Limits{MessageTimeout: time.Minute, IdleTimeout: time.Minute,
				PingInterval: -1}), &recorder{}
			gw.Handle("/", r)
			srv := serve(t, gw)
			taken := 0
			for range 50 {
				srv.Dial(t, "/")
				synctest.Wait()
				gateway.Said(r.socket()).Store(now)
				if sweepBeside(t, r.socket(), time.Duration(now), c.mark(r.socket()), c.begin, c.end) {
					taken++
				}
			}
			if (taken > 0) != c.late {
				t.Errorf("%d of 50 sockets were late, want some: %v", taken, c.late)
			}
		})
	}
}

// sweepBeside sweeps a socket while its mark changes, and reports whether the sweeper has
// taken it.
func sweepBeside(t *testing.T, s *gateway.Socket, now time.Duration, mark *atomic.Int64,
	begin, end int64) (taken bool) {
	t.Helper()
	var stop atomic.Bool
	var beside sync.WaitGroup
	beside.Go(func() {
		for !stop.Load() && !taken {
			mark.Store(begin)
			taken = !mark.CompareAndSwap(begin, end)
		}
	})
	for range 300 {
		gateway.SweepAt(s, now)
		runtime.Gosched()
	}
	stop.Store(true)
	beside.Wait()
	if closing := s.Context().Err() != nil; closing != taken {
		t.Errorf("the socket closes: %v; its mark was taken for late: %v", closing, taken)
	}
	return taken
}

// While one sweep hangs no other begins, and when it is over the sweeping goes on.
func TestOneSweepAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{IdleTimeout: time.Minute, PingInterval: -1})
		s, _ := open(t, gw, &recorder{})
		gateway.SweepHangs(gw, true)
		time.Sleep(time.Hour)
		if s.Context().Err() != nil {
			t.Error("a socket was swept while another sweep was under way")
		}
		gateway.SweepHangs(gw, false)
		synctest.Wait()
		if s.Context().Err() == nil {
			t.Error("a socket that is idle for an hour is open after the sweep")
		}
	})
}
