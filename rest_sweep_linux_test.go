package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// restSwept opens a socket and returns it when it rests and sweeps leave it out.
func restSwept(t *testing.T, l gateway.Limits) (*gateway.Handler, *gateway.Socket, *rawPeer) {
	t.Helper()
	r := &recorder{}
	gw := gateway.New(&gateway.Options{RestAfter: 20 * time.Millisecond, Limits: l})
	gw.Handle("/", r)
	p := restDial(t, serveTCP(t, gw, false), 0)
	eventually(t, "the socket", func() bool { return r.count() > 0 })
	s := r.socket()
	eventually(t, "a sweep that leaves it out",
		func() bool { return gw.Stats().Resting == 1 && gateway.SweepsLeftOut(s) >= 5 })
	return gw, s, p
}

// Sweeps leave a socket at rest out, until something happens that may bring one of its
// timeouts forward.
func TestSweepsLeaveOutWhoRests(t *testing.T) {
	hour := gateway.Limits{PingInterval: time.Hour, WriteTimeout: 2 * time.Second,
		SendLimit: -1, QueueBytes: -1}
	for name, change := range map[string]func(s *gateway.Socket, p *rawPeer) error{
		"it wakes": func(_ *gateway.Socket, p *rawPeer) error {
			p.write(masked(0x81, "half a message")[:5])
			return nil
		},
		"it is renewed": func(s *gateway.Socket, _ *rawPeer) error {
			return s.Renew(time.Now().Add(300 * time.Millisecond))
		},
		"its client reads nothing": func(s *gateway.Socket, _ *rawPeer) error {
			return s.Send(context.Background(), gateway.Binary(make([]byte, 32<<20)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, s, p := restSwept(t, hour)
			eventually(t, "a full wait", func() bool { return gateway.SweepsLeftOut(s) == 10 })
			wantErr(t, "the change", change(s, p), nil)
			last := 10
			eventually(t, "a look", func() bool { // and no countdown to it
				before := last
				last = gateway.SweepsLeftOut(s)
				return last < before-1
			})
		})
	}
}

// What is left out is looked at when its timeouts are over.
func TestTimeoutsOfWhoRests(t *testing.T) {
	for cause, l := range map[gateway.Cause]gateway.Limits{
		gateway.CausePingTimeout: {PingInterval: time.Second},
		gateway.CauseIdle:        {PingInterval: -1, IdleTimeout: time.Second},
	} {
		t.Run(string(cause), func(t *testing.T) {
			gw, _, _ := restSwept(t, l)
			eventually(t, "the close", func() bool { return gw.Stats().Closed[cause] == 1 })
		})
	}
	t.Run("expired", func(t *testing.T) {
		gw, s, _ := restSwept(t, gateway.Limits{PingInterval: -1})
		wantErr(t, "Renew", s.Renew(time.Now().Add(100*time.Millisecond)), nil)
		eventually(t, "the close", func() bool { return gw.Stats().Closed[gateway.CauseExpired] == 1 })
	})
}
