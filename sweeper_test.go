package gateway_test

import (
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
