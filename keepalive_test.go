package gateway_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// A client's ping is answered, with its payload, between the frames of a message
// too.
func TestPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/", echo())
		p := rawDial(t, serve(t, gw), "/")
		p.write(masked(0x01, "hel"))
		p.write(masked(0x89, "are you there?"))
		if first, payload := p.read(); first != 0x8a || payload != "are you there?" {
			t.Errorf("the answer to a ping is %#x %q, want a pong with its payload", first, payload)
		}
		p.write(masked(0x8a, "unasked pong"))
		p.write(masked(0x89, ""))
		p.write(masked(0x80, "lo"))
		if first, payload := p.read(); first != 0x8a || payload != "" {
			t.Errorf("the answer to an empty ping is %#x %q, want an empty pong", first, payload)
		}
		if first, payload := p.read(); first != 0x81 || payload != "hello" {
			t.Errorf("the echo is %#x %q, want hello", first, payload)
		}
	})
}

// A flood of pings whose pongs nobody reads costs bounded memory: the flooder is
// not read from, and then cut.
func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		flood := []byte(strings.Repeat(string(masked(0x89, strings.Repeat("p", 125))), 100))
		written := 0
		for {
			p.conn.SetWriteDeadline(time.Now().Add(time.Second))
			n, err := p.conn.Write(flood)
			if written += n; err != nil || written > 10<<20 {
				break
			}
		}
		if written > 1<<20 {
			t.Errorf("%d bytes of pings were taken from a client that reads no pong, want it pushed back",
				written)
		}
		time.Sleep(time.Minute)
		r.expect(t, "open", `close slow_consumer 1008 "slow_consumer"`)
	})
}

// Pings come after silence; an answer, or any byte, keeps the socket open.
func TestPing(t *testing.T) {
	bubble(t, "answered", func(t *testing.T) {
		r := &recorder{}
		s, p := open(t, quiet(), r) // its peer answers pings
		time.Sleep(2 * time.Hour)
		r.expect(t, "open")
		wantErr(t, "Send", s.Send(t.Context(), gateway.Text("x")), nil)
		wantText(t, p, "x")
	})
	bubble(t, "not before it is due, and only then", func(t *testing.T) {
		gw := quiet()
		gw.Handle("/", gateway.Callbacks{})
		p := rawDial(t, serve(t, gw), "/")
		start := time.Now()
		first, payload := p.read()
		if d := time.Since(start); first != 0x89 || payload != "" || d < 30*time.Second ||
			d > 32*time.Second {
			t.Errorf("after %v came %#x %q, want an empty ping after 30s", d, first, payload)
		}
		p.write(masked(0x8a, ""))
		start = time.Now()
		if first, _ := p.read(); first != 0x89 || time.Since(start) < 30*time.Second {
			t.Errorf("after a pong and %v came %#x, want the next ping after 30s", time.Since(start), first)
		}
	})
	bubble(t, "a client that talks gets none", func(t *testing.T) {
		gw := quiet()
		gw.Handle("/", echo())
		p := rawDial(t, serve(t, gw), "/")
		for range 10 {
			time.Sleep(20 * time.Second)
			p.write(masked(0x81, "x"))
			if first, _ := p.read(); first != 0x81 {
				t.Fatalf("a client that talks got %#x, want only its echo", first)
			}
		}
	})
	bubble(t, "bytes of one long message are life", func(t *testing.T) {
		gw, r := withLimits(gateway.Limits{MessageTimeout: time.Hour}), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		p.write(maskedHeader(0x82, 100))
		for range 99 {
			time.Sleep(25 * time.Second)
			p.write([]byte{'x'})
		}
		r.expect(t, "open")
		p.write([]byte{'x'})
		synctest.Wait()
		if r.count() != 2 {
			t.Errorf("%d events, want open and the long message", r.count())
		}
	})
	bubble(t, "a ping that cannot leave is not held against the client", func(t *testing.T) {
		r := &recorder{}
		s, p := open(t, withLimits(gateway.Limits{PingInterval: 2 * time.Second}), r)
		block(t, s, p)
		time.Sleep(15 * time.Second)
		r.expect(t, "open", `close slow_consumer 1008 "slow_consumer"`)
	})
	bubble(t, "a ping that cannot leave, and no write timeout", func(t *testing.T) {
		r := &recorder{}
		s, p := open(t, withLimits(gateway.Limits{PingInterval: 2 * time.Second, WriteTimeout: -1}), r)
		block(t, s, p)
		time.Sleep(15 * time.Second)
		r.expect(t, "open", `close ping_timeout 1001 "ping_timeout"`)
	})
	bubble(t, "off", func(t *testing.T) {
		gw, r := withLimits(gateway.Limits{PingInterval: -1}), &recorder{}
		gw.Handle("/", r)
		rawDial(t, serve(t, gw), "/")
		time.Sleep(2 * time.Hour)
		r.expect(t, "open")
	})
}

// An endpoint that is busy for long does not cost its own healthy socket: not
// for a ping that nobody could answer or hear, not for a message that waits.
func TestBusyEndpointIsNotClosed(t *testing.T) {
	for name, limits := range map[string]gateway.Limits{
		"default": {}, "short": {PingInterval: time.Second, MessageTimeout: time.Second},
		"idle": {IdleTimeout: time.Minute},
	} {
		for _, in := range []gateway.EventType{gateway.EventOpen, gateway.EventData} {
			bubble(t, name+" in "+in.String(), func(t *testing.T) {
				r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					if ev.Type == in {
						time.Sleep(10 * time.Minute)
					}
					return nil
				}}
				_, p := open(t, withLimits(limits), r)
				p.Send(gateway.Text("a"))
				p.Send(gateway.Text("b"))
				time.Sleep(10*time.Minute + 30*time.Second)
				if in == gateway.EventData {
					time.Sleep(10 * time.Minute) // for the second message
				}
				r.expect(t, "open", `data-text "a"`, `data-text "b"`)
			})
		}
	}
}

// A message in either direction ends the idleness, a ping does not.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := withLimits(gateway.Limits{IdleTimeout: time.Minute}), &recorder{}
		s, p := open(t, gw, r)
		for range 3 {
			time.Sleep(50 * time.Second)
			wantErr(t, "Send", s.Send(t.Context(), gateway.Text("x")), nil)
			time.Sleep(50 * time.Second)
			p.Send(gateway.Text("y"))
		}
		r.expect(t, "open", `data-text "y"`, `data-text "y"`, `data-text "y"`)
		time.Sleep(62 * time.Second)
		wantText(t, p, "x")
		wantText(t, p, "x")
		wantText(t, p, "x")
		wantClosed(t, p, 1001, "idle")
	})
}
