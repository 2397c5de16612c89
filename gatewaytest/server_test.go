package gatewaytest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// A fakeTB notes how a test fails.
type fakeTB struct {
	testing.TB
	failure  string
	cleanups []func()
}

func (t *fakeTB) Helper()                      {}
func (t *fakeTB) Cleanup(fn func())            { t.cleanups = append(t.cleanups, fn) }
func (t *fakeTB) Logf(string, ...any)          {}
func (t *fakeTB) Errorf(text string, a ...any) { t.failure += fmt.Sprintf(text, a...) }

func (t *fakeTB) Fatalf(text string, a ...any) {
	t.Errorf(text, a...)
	runtime.Goexit()
}

// end runs the cleanups, as the end of a test does.
func (t *fakeTB) end() {
	for i := range t.cleanups {
		t.cleanups[len(t.cleanups)-1-i]()
	}
}

// failing runs a test that is expected to fail, and checks its text.
func failing(t *testing.T, want string, test func(tb testing.TB)) {
	t.Helper()
	tb, done := new(fakeTB), make(chan struct{})
	go func() {
		defer close(done)
		test(tb)
	}()
	<-done
	tb.end()
	if !strings.Contains(tb.failure, want) {
		t.Errorf("the test fails with %q, want a text that contains %q", tb.failure, want)
	}
}

// newEcho is a gateway with an echo endpoint at /echo.
func newEcho() *gateway.Handler {
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
		Limits: gateway.Limits{MessagesPerSecond: -1}})
	gw.Handle("/echo", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		},
	})
	return gw
}

func TestPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := gatewaytest.NewServer(t, newEcho()).Dial(t, "/echo?with=query")
		if !p.Empty() {
			t.Error("Empty() = false before anything has come")
		}
		for _, m := range []gateway.Message{gateway.Text("one"), gateway.Binary([]byte{0, 0xff}),
			gateway.Text("")} {
			p.Send(m)
			synctest.Wait()
			if p.Empty() {
				t.Error("Empty() = true although a message has come")
			}
			if got := p.Receive(); got.Type != m.Type || !bytes.Equal(got.Data, m.Data) {
				t.Errorf("Receive() = %v %q, want %v %q", got.Type, got.Data, m.Type, m.Data)
			}
		}
		if !p.Empty() {
			t.Error("Empty() = false after all was received")
		}
		p.Close(4000, "bye")
		if code, reason := p.Closed(); code != 4000 || reason != "bye" {
			t.Errorf("Closed() = %d %q, want the gateway's answer, 4000 %q", code, reason, "bye")
		}
	})
}

// A peer that is cut leaves without a close frame; one that is cut off sees 1006.
func TestPeerCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newEcho()
		var closed gateway.Closed
		gw.Handle("/",
			gateway.Callbacks{OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) {
				closed = c
			}})
		p := gatewaytest.NewServer(t, gw).Dial(t, "/")
		p.Cut()
		if code, _ := p.Closed(); code != 1006 {
			t.Errorf("Closed() after Cut = %d, want 1006", code)
		}
		synctest.Wait()
		if closed.Cause != gateway.CauseConnectionLost || closed.Code != 1006 {
			t.Errorf("the close event after Cut has %+v, want connection_lost, 1006", closed)
		}
	})
}

// A stalled peer holds up what is sent to it, and gets all of it in the end.
func TestPeerStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newEcho()
		p := gatewaytest.NewServer(t, gw).Dial(t, "/echo")
		p.Stall()
		long := strings.Repeat("x", 100_000) // more than the connection's buffer
		sent := false
		go func() {
			ids, err := gw.List(t.Context())
			if err == nil {
				err = gw.SendSync(t.Context(), ids[0], gateway.Text(long))
			}
			if err != nil {
				t.Errorf("SendSync to a stalled peer = %v, want nil in the end", err)
			}
			sent = true
		}()
		synctest.Wait()
		if sent || !p.Empty() {
			t.Errorf("a stalled peer: SendSync has returned: %v, nothing received: %v, want false, true",
				sent, p.Empty())
		}
		p.Resume()
		if got := p.Receive(); string(got.Data) != long {
			t.Errorf("after Resume the peer has %d bytes, want %d", len(got.Data), len(long))
		}
		synctest.Wait()
		if !sent {
			t.Error("SendSync waits although the peer reads again")
		}
	})
}

// What a user's test is told when it waits in vain.
func TestPeerFailures(t *testing.T) {
	for want, test := range map[string]func(tb testing.TB){
		"no message within 1m0s": func(tb testing.TB) {
			gatewaytest.NewServer(tb, newEcho()).Dial(tb, "/echo").Receive()
		},
		"still open after 1m0s": func(tb testing.TB) {
			gatewaytest.NewServer(tb, newEcho()).Dial(tb, "/echo").Closed()
		},
		`the server answered 404 Not Found: {"type":"no_route"`: func(tb testing.TB) {
			gatewaytest.NewServer(tb, newEcho()).Dial(tb, "/nowhere")
		},
		"the server answered 426": func(tb testing.TB) {
			gatewaytest.NewServer(tb, plain426()).Dial(tb, "/")
		},
		`invalid URL escape "%zz"`: func(tb testing.TB) {
			gatewaytest.NewServer(tb, newEcho()).Dial(tb, "/%zz")
		},
		`closed with 1000 "operation"`:                     func(tb testing.TB) { receiveAfterClose(tb) },
		"gatewaytest: send: ":                              func(tb testing.TB) { sendAfterCut(tb) },
		`send: the socket is closed with 1000 "operation"`: func(tb testing.TB) { sendAfterClose(tb) },
		"use gateway.Text or gateway.Binary": func(tb testing.TB) {
			gatewaytest.NewServer(tb, newEcho()).Dial(tb, "/echo").Send(gateway.Message{Data: []byte("x")})
		},
		"a shutdown that did not finish": func(tb testing.TB) { gatewaytest.NewServer(tb, stubborn{}) },
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { failing(t, want, test) })
		})
	}
}

func plain426() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUpgradeRequired)
	})
}

func receiveAfterClose(tb testing.TB) {
	gw := newEcho()
	p := gatewaytest.NewServer(tb, gw).Dial(tb, "/echo")
	if n, err := gw.CloseAll(context.Background()); n != 1 || err != nil {
		tb.Fatalf("CloseAll = %d, %v", n, err)
	}
	p.Receive()
}

func sendAfterClose(tb testing.TB) {
	gw := newEcho()
	p := gatewaytest.NewServer(tb, gw).Dial(tb, "/echo")
	if n, err := gw.CloseAll(context.Background()); n != 1 || err != nil {
		tb.Fatalf("CloseAll = %d, %v", n, err)
	}
	p.Closed()
	p.Send(gateway.Text("too late"))
}

func sendAfterCut(tb testing.TB) {
	p := gatewaytest.NewServer(tb, newEcho()).Dial(tb, "/echo")
	p.Cut()
	p.Send(gateway.Text("too late"))
}

// A stubborn handler cannot be shut down.
type stubborn struct{ http.Handler }

func (stubborn) Shutdown(context.Context) error {
	return fmt.Errorf("a shutdown that did not finish")
}

// Messages that came before the close can still be received after it.
func TestReceiveBeforeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newEcho()
		p := gatewaytest.NewServer(t, gw).Dial(t, "/echo")
		p.Send(gateway.Text("first"))
		synctest.Wait()
		if n, err := gw.CloseAll(t.Context()); n != 1 || err != nil {
			t.Errorf("CloseAll = %d, %v, want 1, nil", n, err)
		}
		p.Closed()
		if got := string(p.Receive().Data); got != "first" {
			t.Errorf("Receive() after the close = %q, want first", got)
		}
	})
}

// DialRequest sends the request's host, header and subprotocols, and hands out
// the server's answer either way.
func TestDialRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newEcho()
		var info gateway.Info
		gw.HandleRoute(gateway.Route{Pattern: "/x", Subprotocols: []string{"b"},
			Endpoint: gateway.Callbacks{
				OnOpen: func(_ context.Context, s *gateway.Socket) error { info = s.Info(); return nil },
			}})
		srv := gatewaytest.NewServer(t, gw)
		r := &http.Request{Method: http.MethodGet,
			URL:    &url.URL{Scheme: "http", Host: "gateway.test", Path: "/x", RawQuery: "q=1"},
			Host:   "chat.example",
			Header: http.Header{"X-Mine": {"yes"}, "Sec-Websocket-Protocol": {"a", "c, b"}}}
		p, resp := srv.DialRequest(t, r)
		if p == nil || resp.StatusCode != http.StatusSwitchingProtocols ||
			resp.Header.Get("Sec-Websocket-Protocol") != "b" {
			t.Fatalf("DialRequest = %v, %v, want a peer and 101 with subprotocol b", p, resp)
		}
		synctest.Wait()
		if info.URI != "ws://chat.example/x?q=1" || info.Header.Get("X-Mine") != "yes" ||
			info.Subprotocol != "b" {
			t.Errorf("the gateway saw %s, X-Mine %q, subprotocol %q", info.URI, info.Header.Get("X-Mine"),
				info.Subprotocol)
		}
		if got := r.Header["Sec-Websocket-Protocol"]; len(got) != 2 {
			t.Errorf("DialRequest has changed the request's header: %v", r.Header)
		}
		r.URL.Path = "/nowhere"
		p, resp = srv.DialRequest(t, r)
		if p != nil || resp == nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("DialRequest of no route = %v, %v, want no peer and 404", p, resp)
		}
	})
}

// Every socket comes from an address that is not loopback, and from a port of its
// own, so that caps can be tested.
func TestRemoteAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := newEcho()
		srv := gatewaytest.NewServer(t, gw)
		seen := map[string]bool{}
		for range 3 {
			srv.Dial(t, "/echo")
		}
		for id := range gw.ListSeq(t.Context()) {
			info, err := gw.Info(t.Context(), id)
			if err != nil || !strings.HasPrefix(info.RemoteAddr, "192.0.2.1:") {
				t.Errorf("Info().RemoteAddr = %q, %v, want a port of 192.0.2.1", info.RemoteAddr, err)
			}
			seen[info.RemoteAddr] = true
		}
		if len(seen) != 3 {
			t.Errorf("3 sockets come from %d addresses, want 3", len(seen))
		}
	})
}

// The client reaches any handler, whatever host it names.
func TestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := gatewaytest.NewServer(t,
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, r.Host+r.URL.Path)
			}))
		resp, err := srv.Client().Get("http://anything.example/page")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "anything.example/page" {
			t.Errorf("GET = %q, %v, want the host and path asked for", body, err)
		}
	})
}

// At the end of a test the gateway is shut down, and whoever was still connected
// has gone; also where the gateway is inside another handler.
func TestEndOfATest(t *testing.T) {
	for name, wrap := range map[string]func(gw *gateway.Handler) http.Handler{
		"gateway": func(gw *gateway.Handler) http.Handler { return gw },
		"gateway in a mux": func(gw *gateway.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/", gw)
			return mux
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			gw, tb := newEcho(), new(fakeTB)
			srv := gatewaytest.NewServer(tb, wrap(gw))
			srv.Dial(tb, "/echo")
			srv.Dial(tb, "/echo").Stall()
			tb.end()
			synctest.Wait()
			if n := gw.Stats().Open; n != 0 || tb.failure != "" {
				t.Errorf("%s: after the test %d sockets are open, and it failed with %q, want 0 and no failure",
					name, n, tb.failure)
			}
			if _, err := srv.Client().Get("http://gateway.test/"); err == nil {
				t.Errorf("%s: the server answers after its test", name)
			}
		})
	}
}
