package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// Every cause with its code: in the close event, in the counters, and in
// the client's close frame, where it can still be written.
func TestEveryCause(t *testing.T) {
	short := gateway.Limits{MessagesPerSecond: -1, IdleTimeout: time.Minute}
	rate := gateway.Limits{MessagesPerSecond: 1, Burst: 1, OnRateExceeded: gateway.RateClose}
	say := func(text string) func(*gateway.Handler, *rawPeer) {
		return func(_ *gateway.Handler, p *rawPeer) { p.write(masked(0x81, text)) }
	}
	silent := func(*gateway.Handler, *rawPeer) {}
	tested := map[gateway.Cause]bool{}
	for _, c := range []struct {
		cause  gateway.Cause
		code   int
		limits gateway.Limits
		do     func(gw *gateway.Handler, p *rawPeer)
		unseen bool // no close frame reaches the client
	}{
		{gateway.CauseClient, 4001, short,
			func(_ *gateway.Handler, p *rawPeer) { p.write(masked(0x88, "\x0f\xa1")) }, false},
		{gateway.CauseClient, 1005, short,
			func(_ *gateway.Handler, p *rawPeer) { p.write(masked(0x88, "")) }, false},
		{gateway.CauseConnectionLost, 1006, short,
			func(_ *gateway.Handler, p *rawPeer) { p.conn.Close() }, true},
		{gateway.CauseOperation, 1000, short,
			func(gw *gateway.Handler, _ *rawPeer) { gw.CloseAll(context.Background()) }, false},
		{gateway.CauseEndpoint, 1011, short, say("fail"), false},
		{gateway.CauseEndpoint, 4002, short, say("verdict"), false},
		{gateway.CausePanic, 1011, short, say("panic"), false},
		{gateway.CauseScriptError, 1011, short, say("script"), false},
		{gateway.CauseRouteRemoved, 1012, short,
			func(gw *gateway.Handler, _ *rawPeer) { gw.Replace("", nil) }, false},
		{gateway.CauseRateLimited, 1008, rate,
			func(_ *gateway.Handler,
				p *rawPeer) {
				p.write(append(masked(0x81, "1"), masked(0x81, "2")...))
			}, false},
		{gateway.CauseSlowConsumer, 1008, short, func(gw *gateway.Handler, p *rawPeer) {
			gw.All().Send(context.Background(), gateway.Text(blocker)) // and it does not read
			time.Sleep(20 * time.Second)
		}, true},
		{gateway.CauseTooLarge, 1009, short,
			func(_ *gateway.Handler, p *rawPeer) { p.write(maskedHeader(0x81, 64<<10+1)) }, false},
		{gateway.CauseProtocolError, 1002, short,
			func(_ *gateway.Handler, p *rawPeer) { p.write(masked(0x83, "")) }, false},
		{gateway.CauseInvalidUTF8, 1007, short, say("\xff"), false},
		{gateway.CauseMessageTimeout, 1008, gateway.Limits{}, func(_ *gateway.Handler, p *rawPeer) {
			for _, b := range masked(0x01, "")[:2] { // alive, but half a frame
				p.conn.Write([]byte{b})
				time.Sleep(40 * time.Second)
			}
		}, false},
		{gateway.CauseIdle, 1001, short, func(_ *gateway.Handler, p *rawPeer) {
			for range 3 { // answers pings, and says nothing
				time.Sleep(20 * time.Second)
				p.conn.Write(masked(0x8a, ""))
			}
		}, false},
		{gateway.CausePingTimeout, 1001, gateway.Limits{}, silent, false},
		{gateway.CauseExpired, 1008, short, silent, false},
		{gateway.CauseDrain, 1001, short,
			func(gw *gateway.Handler, _ *rawPeer) { gw.Shutdown(context.Background()) }, false},
	} {
		tested[c.cause] = true
		bubble(t, fmt.Sprint(c.cause, " ", c.code), func(t *testing.T) {
			gw, r := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), Limits: c.limits,
				Authorize: func(*http.Request) (*gateway.Admission, error) {
					a := new(gateway.Admission)
					if c.cause == gateway.CauseExpired {
						a.Expires = time.Now().Add(time.Second)
					}
					return a, nil
				}}), &recorder{on: obey}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			synctest.Wait()
			go c.do(gw, p)
			reason := string(c.cause)
			if c.cause == gateway.CauseClient || c.cause == gateway.CauseConnectionLost {
				reason = ""
			}
			if !c.unseen {
				p.wantClose(c.code, reason)
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if r.closed.Cause != c.cause || r.closed.Code != c.code || r.closed.Reason != reason {
				t.Errorf("the close event has %+v, want %s, %d, %q", r.closed, c.cause, c.code, reason)
			}
			if st := gw.Stats(); st.Closed[c.cause] != 1 || len(st.Closed) != 1 {
				t.Errorf("Stats().Closed = %v, want one %s", st.Closed, c.cause)
			}
		})
	}
	for _, cause := range []gateway.Cause{gateway.CauseClient, gateway.CauseConnectionLost,
		gateway.CauseOperation, gateway.CauseEndpoint, gateway.CausePanic,
		gateway.CauseScriptError, gateway.CauseRouteRemoved, gateway.CauseRateLimited,
		gateway.CauseSlowConsumer, gateway.CauseTooLarge, gateway.CauseProtocolError,
		gateway.CauseInvalidUTF8, gateway.CauseMessageTimeout, gateway.CauseIdle,
		gateway.CausePingTimeout, gateway.CauseExpired, gateway.CauseDrain} {
		if !tested[cause] {
			t.Errorf("no test has the cause %s", cause)
		}
	}
}

// obey does what a message says.
func obey(_ context.Context, _ *gateway.Socket, ev gateway.Event) error {
	switch string(ev.Message.Data) {
	case "fail":
		return errors.New("failed")
	case "verdict":
		return &gateway.CloseError{Code: 4002}
	case "script":
		return &gateway.CloseError{Code: 1011, Cause: gateway.CauseScriptError}
	case "panic":
		panic("as told")
	}
	return nil
}

// Every status of a refusal that a request can meet, with its type.
func TestEveryRefusal(t *testing.T) {
	full := &gateway.Options{MaxSockets: 1}
	perAddr := &gateway.Options{MaxSocketsPerAddr: 1}
	denied := &gateway.Options{Authorize: func(*http.Request) (*gateway.Admission, error) {
		return nil, gateway.ErrUnauthorized
	}}
	for name, c := range map[string]struct {
		opts    *gateway.Options
		before  func(t *testing.T, gw *gateway.Handler, open func()) // what has to happen first, or nil
		request string
		status  int
		typ     string
	}{
		"400": {nil, nil, head("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400,
			"invalid_request"},
		"401": {denied, nil, head(), 401, "unauthorized"},
		"403": {nil, nil, head("Upgrade:", "Origin: https://evil.example\r\nUpgrade:"), 403, "forbidden"},
		"404": {nil, nil, head("/x", "/y"), 404, "no_route"},
		"405": {nil, nil, head("GET", "POST"), 405, "method_not_allowed"},
		"426": {nil, nil, head("Version: 13", "Version: 12"), 426, "upgrade_required"},
		"429": {perAddr, func(_ *testing.T, _ *gateway.Handler, open func()) { open() }, head(), 429,
			"too_many_sockets"},
		"501": {nil, nil, head("Upgrade: websocket", "Upgrade: h2c"), 501, "not_implemented"},
		"503": {full, func(_ *testing.T, _ *gateway.Handler, open func()) { open() }, head(), 503,
			"too_many_sockets"},
		"503, shutting down": {nil, func(t *testing.T, gw *gateway.Handler, _ func()) {
			wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
		},
			head(), 503, "shutting_down"},
	} {
		bubble(t, name, func(t *testing.T) {
			opts := gateway.Options{}
			if c.opts != nil {
				opts = *c.opts
			}
			opts.Logger = (&logbook{}).logger()
			gw := gateway.New(&opts)
			gw.Handle("/x", echo())
			srv := serve(t, gw)
			if c.before != nil {
				c.before(t, gw, func() { rawDial(t, srv, "/x") })
			}
			wantErrorObject(t, rawConn(t, srv).request(c.request), c.status, c.typ)
			if n := gw.Stats().Refused[c.typ]; n != 1 {
				t.Errorf("Stats().Refused[%s] = %d, want 1", c.typ, n)
			}
		})
	}
}
