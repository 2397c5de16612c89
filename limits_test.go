package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// The defaults, each with the cause and code of its close.
func TestReadLimit(t *testing.T) {
	for name, c := range map[string]struct {
		limit int64
		sizes []int // of the fragments of one message
		ok    bool
	}{
		"default, at":               {0, []int{64 << 10}, true},
		"default, above":            {0, []int{64<<10 + 1}, false},
		"small, at":                 {10, []int{10}, true},
		"small, above":              {10, []int{11}, false},
		"fragments, at":             {10, []int{4, 0, 6}, true},
		"fragments, above":          {10, []int{4, 6, 1}, false},
		"off":                       {-1, []int{200_000, 200_000}, true},
		"above the default":         {1 << 20, []int{1 << 20}, true},
		"above the default, beyond": {1 << 20, []int{1 << 20, 1}, false},
	} {
		bubble(t, name, func(t *testing.T) {
			gw, r := withLimits(gateway.Limits{ReadLimit: c.limit}), &recorder{}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			for i, n := range c.sizes {
				first := byte(0x02) // binary, and then continuation
				if i > 0 {
					first = 0
				}
				if i == len(c.sizes)-1 {
					first |= 0x80
				}
				p.conn.Write(append(maskedHeader(first, n), make([]byte, n)...)) // fails once refused
			}
			if !c.ok {
				p.wantClose(1009, "too_large")
				p.conn.Close()
				r.expect(t, "open", `close too_large 1009 "too_large"`)
				return
			}
			synctest.Wait()
			if r.count() != 2 {
				t.Errorf("%d events, want open and the message", r.count())
			}
		})
	}
}

func TestSendLimitDefaultAndOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{})
		r := &recorder{}
		gw.Handle("/", r)
		gw.HandleRoute(gateway.Route{Pattern: "/off", Endpoint: r, Limits: gateway.Limits{SendLimit: -1}})
		srv := serve(t, gw)
		p := srv.Dial(t, "/")
		synctest.Wait()
		s := r.socket()
		wantErr(t, "Send of 1 MiB + 1", s.Send(t.Context(), gateway.Binary(make([]byte, 1<<20+1))),
			gateway.ErrTooLarge)
		wantErr(t, "Send of 1 MiB", s.Send(t.Context(), gateway.Binary(make([]byte, 1<<20))), nil)
		if n := len(p.Receive().Data); n != 1<<20 {
			t.Errorf("the client got %d bytes, want 1 MiB", n)
		}
		p = srv.Dial(t, "/off")
		synctest.Wait()
		wantErr(t, "Send of 3 MiB without limit",
			r.socket().Send(t.Context(), gateway.Binary(make([]byte, 3<<20))), nil)
		if n := len(p.Receive().Data); n != 3<<20 {
			t.Errorf("the client got %d bytes, want 3 MiB", n)
		}
	})
}

// Every timeout has its cause and code; sweeps come once a second at most, so it
// may be a second late.
func TestTimeouts(t *testing.T) {
	drip := func(p *rawPeer, every time.Duration, b []byte) {
		for _, c := range b {
			time.Sleep(every)
			if _, err := p.conn.Write([]byte{c}); err != nil {
				return
			}
		}
	}
	for name, c := range map[string]struct {
		limits gateway.Limits
		client func(p *rawPeer) // until the close is due
		after  time.Duration
		cause  gateway.Cause
		code   int
	}{
		"message": {gateway.Limits{},
			func(p *rawPeer) { drip(p, 10*time.Second, maskedHeader(0x82, 1000)) }, 70 * time.Second,
			"message_timeout", 1008},
		"message, half frame": {gateway.Limits{MessageTimeout: time.Second},
			func(p *rawPeer) { p.write([]byte{0x81}) }, time.Second, "message_timeout", 1008},
		"message, fragments": {gateway.Limits{MessageTimeout: time.Second}, func(p *rawPeer) {
			p.write(masked(0x01, ""))
			for range 30 {
				time.Sleep(50 * time.Millisecond)
				p.conn.Write(masked(0x00, ""))
			}
		}, time.Second, "message_timeout", 1008},
		"message, half ping": {gateway.Limits{MessageTimeout: time.Second},
			func(p *rawPeer) { p.write([]byte{0x89, 0x82, 0, 0}) }, time.Second, "message_timeout", 1008},
		"idle": {gateway.Limits{IdleTimeout: time.Minute},
			func(p *rawPeer) { drip(p, 9*time.Second, bytes.Repeat(masked(0x8a, ""), 3)) }, time.Minute,
			"idle", 1001},
		"ping": {gateway.Limits{}, func(*rawPeer) {}, time.Minute, "ping_timeout", 1001},
		"short ping": {gateway.Limits{PingInterval: time.Second}, func(*rawPeer) {}, 2 * time.Second,
			"ping_timeout", 1001},
	} {
		bubble(t, name, func(t *testing.T) {
			gw, r := withLimits(c.limits), &recorder{}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			start := time.Now()
			go c.client(p)
			p.wantClose(c.code, string(c.cause))
			if d := time.Since(start); d < c.after || d > c.after+2100*time.Millisecond {
				t.Errorf("closed after %v, want %v and two sweeps at most", d, c.after)
			}
			time.Sleep(time.Minute)
			r.expect(t, "open", fmt.Sprintf("close %s %d %q", c.cause, c.code, c.cause))
		})
	}
}

// What is off does not end a silent socket.
func TestTimeoutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := withLimits(gateway.Limits{PingInterval: -1, MessageTimeout: -1,
			WriteTimeout: -1}), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		p.write([]byte{0x81})
		synctest.Wait()
		wantErr(t, "Send", r.socket().Send(t.Context(), gateway.Text(strings.Repeat("x", 200_000))), nil)
		time.Sleep(24 * time.Hour)
		r.expect(t, "open")
		p.conn.Close()
	})
}

func TestMaxSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{MaxSockets: 2, Logger: slog.New(slog.DiscardHandler)})
		gw.Handle("/", echo())
		srv := serve(t, gw)
		a, b := srv.Dial(t, "/"), srv.Dial(t, "/")
		wantRefused(t, srv, "/", nil, 503, "too_many_sockets", "Retry-After")
		a.Cut()
		synctest.Wait()
		srv.Dial(t, "/")
		b.Close(1000, "")
	})
}

func TestMaxSocketsPerAddr(t *testing.T) {
	for limit, n := range map[int]int{0: 1000, 3: 3} {
		synctest.Test(t, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{MaxSocketsPerAddr: limit,
				Logger: slog.New(slog.DiscardHandler)})
			gw.Handle("/", gateway.Callbacks{})
			srv := serve(t, gw)
			var first *rawPeer
			for i := range n {
				p := rawDial(t, srv, "/")
				if i == 0 {
					first = p
				}
			}
			wantRefused(t, srv, "/", nil, 429, "too_many_sockets", "Retry-After")
			first.conn.Close()
			synctest.Wait()
			rawDial(t, srv, "/").conn.Close()
		})
	}
}

// Loopback addresses do not count.
func TestLoopbackIsNotCapped(t *testing.T) {
	gw := gateway.New(&gateway.Options{MaxSocketsPerAddr: 1, Logger: slog.New(slog.DiscardHandler)})
	gw.Handle("/", echo())
	srv := serveTCP(t, gw, false)
	for range 3 {
		dialTCP(t, srv).upgrade("/")
	}
}

// A place that an upgrade reserved is given back when the upgrade fails.
func TestCapsSurviveRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mode := "refuse"
		gw := gateway.New(&gateway.Options{MaxSockets: 1, MaxSocketsPerAddr: 1,
			Logger: slog.New(slog.DiscardHandler),
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				switch mode {
				case "refuse":
					return nil, gateway.ErrForbidden
				case "panic":
					panic(http.ErrAbortHandler)
				}
				return nil, nil
			}})
		gw.Handle("/", echo())
		srv := serve(t, gw)
		for range 3 {
			wantRefused(t, srv, "/", nil, 403, "forbidden")
		}
		mode = "panic"
		p := rawConn(t, srv)
		p.write([]byte("GET / HTTP/1.1\r\nHost: x\r\n" + upgradeFields + "\r\n"))
		p.wantClose(0, "")
		mode = "admit"
		srv.Dial(t, "/").Cut()
	})
}

// Limits of a route win over those of the options, field by field.
func TestRouteLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{ReadLimit: 10, SendLimit: 10, PingInterval: -1,
			IdleTimeout: time.Hour})
		r := &recorder{}
		gw.HandleRoute(gateway.Route{Pattern: "/route", Endpoint: r,
			Limits: gateway.Limits{ReadLimit: 20}})
		srv := serve(t, gw)
		p := srv.Dial(t, "/route")
		synctest.Wait()
		p.Send(gateway.Text(strings.Repeat("x", 20)))
		wantErr(t, "Send above the options' limit",
			r.socket().Send(t.Context(), gateway.Text("12345678901")), gateway.ErrTooLarge)
		p.Send(gateway.Text(strings.Repeat("x", 21)))
		wantClosed(t, p, 1009, "too_large")
	})
}

// What can only be a mistake panics or is refused.
func TestWrongLimits(t *testing.T) {
	for name, l := range map[string]gateway.Limits{
		"MessagesPerSecond is NaN": {MessagesPerSecond: math.NaN()},
		"MessagesPerSecond is Inf": {MessagesPerSecond: math.Inf(1)},
		"Burst is negative":        {Burst: -1},
		"OnRateExceeded":           {OnRateExceeded: 4},
		"OnQueueFull":              {OnQueueFull: 100},
	} {
		wantPanic(t, "New with "+name, "Limits", func() { gateway.New(&gateway.Options{Limits: l}) })
		rt := gateway.Route{Pattern: "/x", Endpoint: echo(), Limits: l}
		wantPanic(t, "HandleRoute with "+name, "/x", func() { quiet().HandleRoute(rt) })
		wantErr(t, "Replace with "+name, quiet().Replace("o", []gateway.Route{rt}), gateway.ErrInvalid)
	}
}

// Expires of an Admission closes with 1008, also while an endpoint runs.
func TestExpires(t *testing.T) {
	for name, busy := range map[string]bool{"idle": false, "busy": true} {
		bubble(t, name, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
				Authorize: func(*http.Request) (*gateway.Admission, error) {
					return &gateway.Admission{Expires: time.Now().Add(90 * time.Second)}, nil
				}})
			r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
				if busy && ev.Type == gateway.EventOpen {
					<-ctx.Done()
				}
				return nil
			}}
			gw.HandleRoute(gateway.Route{Pattern: "/", Endpoint: r,
				Authorize: func(*http.Request) (*gateway.Admission, error) {
					return &gateway.Admission{Expires: time.Now().Add(time.Minute)}, nil // the earlier one counts
				}})
			p := serve(t, gw).Dial(t, "/")
			time.Sleep(59 * time.Second)
			r.expect(t, "open")
			time.Sleep(3 * time.Second)
			wantClosed(t, p, 1008, "expired")
			r.expect(t, "open", `close expired 1008 "expired"`)
		})
	}
}

// The largest limit is one that nothing reaches, deflated or not.
func TestLargestReadLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler), Compression: true,
			Limits: gateway.Limits{ReadLimit: math.MaxInt64}})
		gw.Handle("/", echo())
		p := rawDial(t, serve(t, gw), "/", "Sec-WebSocket-Extensions: permessage-deflate", "")
		p.write(masked(0x81, "plain"))
		p.want(0x81, "plain")
		p.write(masked(0xc1, "\xf2\x48\xcd\xc9\xc9\x07\x00")) // RFC 7692, section 7.2.3.1
		p.want(0x81, "Hello")
	})
}
