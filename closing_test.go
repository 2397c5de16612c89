package gateway_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// How the client's end looks in the close event.
func TestCloseByTheClient(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(p *rawPeer)
		event string
		code  int // that the client reads; 0: the connection just ends
		text  string
	}{
		"with a code": {func(p *rawPeer) { p.write(masked(0x88, "\x0f\xa1bye")) },
			`close client 4001 "bye"`, 4001, "bye"},
		"without a code": {func(p *rawPeer) { p.write(masked(0x88, "")) }, `close client 1005 ""`,
			1005, ""},
		"without a reason": {func(p *rawPeer) { p.write(masked(0x88, "\x03\xe8")) },
			`close client 1000 ""`, 1000, ""},
		"end of TCP": {func(p *rawPeer) { p.conn.Close() }, `close connection_lost 1006 ""`, 0,
			""},
		"half a frame": {func(p *rawPeer) { p.write([]byte{0x81}); p.conn.Close() },
			`close connection_lost 1006 ""`, 0, ""},
		"half a message": {func(p *rawPeer) { p.write(masked(0x01, "half")); p.conn.Close() },
			`close connection_lost 1006 ""`, 0, ""},
		"half a close frame": {func(p *rawPeer) { p.write([]byte{0x88, 0x82, 0}); p.conn.Close() },
			`close connection_lost 1006 ""`, 0, ""},
		"one byte of a code": {func(p *rawPeer) { p.write(masked(0x88, "\x03")) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"a code never sent": {func(p *rawPeer) { p.write(masked(0x88, "\x03\xed")) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"a code below 1000": {func(p *rawPeer) { p.write(masked(0x88, "\x03\xe7")) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"reason not UTF-8": {func(p *rawPeer) { p.write(masked(0x88, "\x03\xe8\xff")) },
			`close invalid_utf8 1007 "invalid_utf8"`, 1007, "invalid_utf8"},
		"unmasked": {func(p *rawPeer) { p.write([]byte{0x81, 1, 'x'}) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"reserved opcode": {func(p *rawPeer) { p.write(masked(0x83, "x")) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"reserved bit": {func(p *rawPeer) { p.write(masked(0xc1, "x")) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"stray continuation": {func(p *rawPeer) { p.write(masked(0x80, "x")) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"long ping": {func(p *rawPeer) { p.write(masked(0x89, strings.Repeat("x", 126))) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"length above 2^63": {func(p *rawPeer) {
			p.write([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		}, `close protocol_error 1002 "protocol_error"`, 1002, "protocol_error"},
		"announced too large": {func(p *rawPeer) { p.write(maskedHeader(0x82, 64<<10+1)) },
			`close too_large 1009 "too_large"`, 1009, "too_large"},
		"text not UTF-8": {func(p *rawPeer) { p.write(masked(0x81, "a\xff")) },
			`close invalid_utf8 1007 "invalid_utf8"`, 1007, "invalid_utf8"},
		"cut character": {func(p *rawPeer) {
			p.write(masked(0x01, "\xe2\x82"))
			p.write(masked(0x80, ""))
		},
			`close invalid_utf8 1007 "invalid_utf8"`, 1007, "invalid_utf8"},
		"early bad fragment": {func(p *rawPeer) { p.write(masked(0x01, "\xff")) },
			`close invalid_utf8 1007 "invalid_utf8"`, 1007, "invalid_utf8"},
	} {
		bubble(t, name, func(t *testing.T) {
			gw, r := quiet(), &recorder{}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			c.end(p)
			p.wantClose(c.code, c.text)
			p.conn.Close()
			r.expect(t, "open", c.event)
			cause := r.closed.Cause
			if st := gw.Stats(); st.Open != 0 || st.Closed[cause] != 1 || len(st.Closed) != 1 {
				t.Errorf("Stats = %d open, closed %v, want 0 and one %s", st.Open, st.Closed, cause)
			}
		})
	}
}

// What was accepted before the close is written before the close frame.
func TestCloseWritesWhatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, withLimits(gateway.Limits{QueueMessages: 2000, QueueBytes: 8 << 20}), &recorder{})
		p.Stall()
		big := strings.Repeat("x", 10_000)
		for i := range 50 {
			wantErr(t, "Send", s.Send(t.Context(), gateway.Text(fmt.Sprint(i, big))), nil)
		}
		wantErr(t, "CloseWith", s.CloseWith(4000, "done"), nil)
		wantErr(t, "Send after CloseWith", s.Send(t.Context(), gateway.Text("late")), gateway.ErrClosed)
		time.Sleep(5 * time.Second) // within the write timeout
		p.Resume()
		for i := range 50 {
			wantText(t, p, fmt.Sprint(i, big))
		}
		wantClosed(t, p, 4000, "done")
	})
}

// A peer that does not answer the close frame holds its socket for the close
// timeout; one that does not read, for the write timeout.
func TestCloseIsBounded(t *testing.T) {
	bubble(t, "no answer", func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		synctest.Wait()
		start := time.Now()
		r.socket().Close()
		p.wantClose(1000, "operation")
		p.wantClose(0, "")
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("the connection ended %v after Close, want 2s", d)
		}
		r.expect(t, "open", `close operation 1000 "operation"`)
	})
	bubble(t, "negative close timeout", func(t *testing.T) {
		gw, r := withLimits(gateway.Limits{CloseTimeout: -1}), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		synctest.Wait()
		r.socket().Close()
		p.wantClose(1000, "operation")
		r.expect(t, "open", `close operation 1000 "operation"`)
	})
	bubble(t, "no reading", func(t *testing.T) {
		r := &recorder{}
		s, p := open(t, quiet(), r)
		p.Stall()
		wantErr(t, "Send", s.Send(t.Context(), gateway.Text(strings.Repeat("x", 200_000))), nil)
		synctest.Wait()
		s.Close()
		time.Sleep(9 * time.Second)
		r.expect(t, "open")
		time.Sleep(4 * time.Second)
		r.expect(t, "open", `close operation 1000 "operation"`)
	})
	bubble(t, "messages after our close frame are dropped", func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		synctest.Wait()
		r.socket().CloseWith(4000, "")
		p.write(masked(0x81, "late"))
		p.write(masked(0x89, "ping"))
		p.write(masked(0x88, "\x03\xe8"))
		p.wantClose(4000, "operation")
		r.expect(t, "open", `close operation 4000 "operation"`)
	})
}

// The first close wins; both sides' close frames may cross.
func TestCloseOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s, p := open(t, quiet(), r)
		var wg sync.WaitGroup
		var mu sync.Mutex
		ok := 0
		for i := range 8 {
			wg.Go(func() {
				if err := s.CloseWith(4000+i, ""); err == nil {
					mu.Lock()
					ok++
					mu.Unlock()
				} else {
					wantErr(t, "the second CloseWith", err, gateway.ErrClosed)
				}
			})
		}
		wg.Wait()
		if ok != 1 {
			t.Errorf("%d of 8 concurrent CloseWith succeeded, want 1", ok)
		}
		p.Closed()
		synctest.Wait()
		if n := r.count(); n != 2 {
			t.Errorf("the endpoint got %d events, want open and one close", n)
		}
	})
}

// The contexts of events end when closing begins, whatever the cause, also
// while the endpoint runs.
func TestEndpointIsToldOfTheClose(t *testing.T) {
	for name, end := range map[string]func(gw *gateway.Handler, s *gateway.Socket){
		"Close":    func(_ *gateway.Handler, s *gateway.Socket) { s.Close() },
		"CloseAll": func(gw *gateway.Handler, _ *gateway.Socket) { gw.CloseAll(context.Background()) },
		"Shutdown": func(gw *gateway.Handler, _ *gateway.Socket) { gw.Shutdown(context.Background()) },
		"Replace":  func(gw *gateway.Handler, _ *gateway.Socket) { gw.Replace("", nil) },
	} {
		for _, in := range []gateway.EventType{gateway.EventOpen, gateway.EventData} {
			bubble(t, name+" in "+in.String(), func(t *testing.T) {
				gw := quiet()
				s, p := open(t, gw,
					&recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
						if ev.Type == in {
							<-ctx.Done()
							wantErr(t, "Send in an event that was ended", s.Send(ctx, gateway.Text("x")),
								gateway.ErrClosed)
							return ctx.Err()
						}
						return nil
					}})
				p.Send(gateway.Text("x"))
				synctest.Wait()
				end(gw, s)
				synctest.Wait()
				if n := gw.Stats().Open; n != 0 {
					t.Errorf("%d sockets are open after %s, want 0", n, name)
				}
			})
		}
	}
}

// An endpoint that waits for its context learns that its client has gone, at the
// latest when a ping cannot be written.
func TestEndpointThatWaitsLearnsOfALostClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventOpen {
				<-ctx.Done()
			}
			return nil
		}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		p.conn.Close()
		time.Sleep(2 * time.Minute)
		r.expect(t, "open", `close connection_lost 1006 ""`)
	})
}

// A client that is in the middle of a long message can send all of it, and then
// finds the close frame: neither a close that came meanwhile nor the read limit
// answers it with a reset.
func TestCloseInTheMiddleOfALongMessage(t *testing.T) {
	const limit = 10 << 20 // half of it is more than is read of others after the close
	for name, c := range map[string]struct {
		size  int
		close bool // by the gateway, when half of it has come
		code  int
		text  string
	}{
		"closed meanwhile": {limit, true, 1000, "operation"},
		"above the limit":  {limit + 1, false, 1009, "too_large"},
	} {
		for kind, part := range map[string]func(first byte, n int) []byte{
			"one frame": maskedHeader,
			"several parts": func(first byte, n int) []byte {
				return append(masked(first&0x0f, "x"), maskedHeader(0x80, n-1)...)
			},
		} {
			bubble(t, name+", "+kind, func(t *testing.T) {
				gw := withLimits(gateway.Limits{ReadLimit: limit})
				gw.Handle("/", gateway.Callbacks{})
				p := rawDial(t, serve(t, gw), "/")
				half := make([]byte, c.size/2)
				p.write(append(part(0x82, c.size), half...))
				if c.close {
					synctest.Wait()
					if n, err := gw.CloseAll(t.Context()); n != 1 || err != nil {
						t.Errorf("CloseAll = %d, %v, want 1", n, err)
					}
				}
				p.write(half)
				p.write([]byte("x"[:c.size%2]))
				p.wantClose(c.code, c.text)
				p.write(masked(0x88, "\x03\xe8"))
				if first, _ := p.read(); first != 0 {
					t.Errorf("after the close frames came %#x, want the end", first)
				}
			})
		}
	}
}

// Gateway and client close at the same time. Whoever is first, the client reads a
// close frame before the connection ends.
func TestCloseFromBothSides(t *testing.T) {
	for name, inEvent := range map[string]bool{"while reading": false,
		"while an endpoint runs": true} {
		for range 30 {
			synctest.Test(t, func(t *testing.T) {
				gw, r := quiet(), &recorder{}
				r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					if ev.Type == gateway.EventData {
						<-ctx.Done()
					}
					return nil
				}
				gw.Handle("/", r)
				p := rawDial(t, serve(t, gw), "/")
				synctest.Wait()
				for i := range 100 { // to leave them takes time
					wantErr(t, "Join", gw.Group(fmt.Sprint(i)).Join(context.Background(), r.socket().ID()), nil)
				}
				theirs := masked(0x88, "\x03\xe8")
				if inEvent {
					p.write(append(masked(0x81, "x"), theirs...))
					synctest.Wait()
				}
				done := make(chan error)
				go func() { done <- r.socket().CloseWith(4000, "x") }()
				if !inEvent {
					p.write(theirs)
				}
				if first, payload := p.read(); first != 0x88 {
					t.Errorf("%s: the client reads %#x %q, want a close frame", name, first, payload)
				}
				<-done
			})
		}
	}
}

// Everything at once, at every moment: what remains is nothing.
func TestCloseRaces(t *testing.T) {
	type scene struct {
		gw *gateway.Handler
		s  *gateway.Socket
		p  *rawPeer
	}
	acts := map[string]func(c scene){
		"Close": func(c scene) { c.s.CloseWith(4000, "x") },
		"Send":  func(c scene) { c.s.Send(context.Background(), gateway.Text("x")) },
		"big Send": func(c scene) {
			c.s.Send(context.Background(), gateway.Text(strings.Repeat("x", 100_000)))
		},
		"SendSync": func(c scene) { c.s.SendSync(context.Background(), gateway.Text("x")) },
		"Go": func(c scene) {
			c.s.Go(func(ctx context.Context) error { <-ctx.Done(); return nil })
		},
		"bad Go":     func(c scene) { c.s.Go(func(ctx context.Context) error { panic("boom") }) },
		"CloseAll":   func(c scene) { c.gw.CloseAll(context.Background()) },
		"Shutdown":   func(c scene) { c.gw.Shutdown(context.Background()) },
		"Replace":    func(c scene) { c.gw.Replace("", nil) },
		"cut":        func(c scene) { c.p.conn.Close() },
		"message":    func(c scene) { c.p.conn.Write(masked(0x81, "hello")) },
		"panic":      func(c scene) { c.p.conn.Write(masked(0x81, "panic")) },
		"goexit":     func(c scene) { c.p.conn.Write(masked(0x81, "goexit")) },
		"half":       func(c scene) { c.p.conn.Write(masked(0x01, "half")) },
		"ping":       func(c scene) { c.p.conn.Write(masked(0x89, "ping")) },
		"bad frame":  func(c scene) { c.p.conn.Write([]byte{0x81, 1, 'x'}) },
		"peer close": func(c scene) { c.p.conn.Write(masked(0x88, "\x03\xe8")) },
	}
	for first, act := range acts {
		for second, other := range acts {
			synctest.Test(t, func(t *testing.T) {
				gw, r := quiet(), &recorder{}
				r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					switch string(ev.Message.Data) {
					case "panic":
						panic("boom")
					case "goexit":
						runtime.Goexit()
					case "hello":
						return s.Send(ctx, ev.Message)
					}
					return nil
				}
				gw.Handle("/", r)
				srv := serve(t, gw)
				p := rawDial(t, srv, "/")
				synctest.Wait()
				c := scene{gw, r.socket(), p}
				var wg sync.WaitGroup
				wg.Go(func() { act(c) })
				wg.Go(func() { other(c) })
				wg.Wait()
				p.conn.Close()
				time.Sleep(time.Minute)
				synctest.Wait()
				r.mu.Lock()
				defer r.mu.Unlock()
				closes := 0
				for _, ev := range r.events {
					if strings.HasPrefix(ev, "close") {
						closes++
					}
				}
				if last := r.events[len(r.events)-1]; closes != 1 || !strings.HasPrefix(last, "close") {
					t.Errorf("%s and %s: events %q, want exactly one close, the last", first, second, r.events)
				}
				if left := gateway.Leftovers(gw); left != nil {
					t.Errorf("%s and %s: the gateway still holds %q, want nothing", first, second, left)
				}
			})
		}
	}
}

// A client that is cut after every single byte of its upgrade and first
// messages leaves nothing.
func TestClientCutAtEveryMoment(t *testing.T) {
	stream := "GET /echo HTTP/1.1\r\nHost: gateway.test\r\n" + upgradeFields + "\r\n" +
		string(masked(0x81, "hello")) + string(masked(0x01, "wor")) + string(masked(0x89, "ping")) +
		string(masked(0x80, "ld")) +
		string(masked(0x88, "\x03\xe8bye"))
	for n := range len(stream) + 1 {
		synctest.Test(t, func(t *testing.T) {
			gw := quiet()
			gw.Handle("/echo", echo())
			p := rawConn(t, serve(t, gw))
			p.write([]byte(stream[:n]))
			if n%2 == 0 {
				synctest.Wait()
			}
			p.conn.Close()
			synctest.Wait()
			if left := gateway.Leftovers(gw); left != nil {
				t.Errorf("cut after %d bytes: the gateway still holds %q, want nothing", n, left)
			}
		})
	}
}
