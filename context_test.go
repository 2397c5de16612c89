package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// The context of open and data events ends when closing begins; contexts derived
// from it end with it. That of the close event is alive and ends afterwards.
func TestEventContexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var early, derived, closing context.Context
		var stopped bool
		r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			switch ev.Type {
			case gateway.EventOpen:
				early = ctx
				var cancel func()
				derived, cancel = context.WithTimeout(ctx, time.Hour)
				t.Cleanup(cancel)
				context.AfterFunc(ctx, func() { stopped = true })
				if _, ok := ctx.Deadline(); ok || ctx.Err() != nil || ctx != s.Context() {
					t.Errorf("in open the context is %v with error %v, want the socket's, alive and without "+
						"deadline", ctx, ctx.Err())
				}
			case gateway.EventClose:
				closing = ctx
				if ctx.Err() != nil || s.Context().Err() == nil {
					t.Errorf("in close: Err() = %v and that of the socket's context %v, want nil and an error",
						ctx.Err(), s.Context().Err())
				}
			}
			return nil
		}}
		s, p := open(t, quiet(), r)
		if err := early.Err(); err != nil {
			t.Errorf("after open returned, Err() = %v, want nil", err)
		}
		p.Close(1000, "")
		synctest.Wait()
		for name, ctx := range map[string]context.Context{"open": early, "derived": derived,
			"socket": s.Context()} {
			select {
			case <-ctx.Done():
			default:
				t.Errorf("the %s context is not done after the close", name)
			}
			if !errors.Is(ctx.Err(), context.Canceled) || context.Cause(ctx) == nil {
				t.Errorf("the %s context has the error %v, want canceled", name, ctx.Err())
			}
		}
		if !stopped {
			t.Error("AfterFunc on the event context did not run")
		}
		if closing.Err() == nil {
			t.Error("the context of the close event is alive after the event, want it ended")
		}
	})
}

// A context whose end nobody asked for in time is ended all the same.
func TestContextAskedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := open(t, quiet(), &recorder{})
		p.Cut()
		synctest.Wait()
		if err := s.Context().Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("Err() asked after the close = %v, want canceled", err)
		}
		<-s.Context().Done()
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		if ctx.Err() == nil {
			t.Error("a context derived after the close is alive")
		}
	})
}

// Values come from the Admission's context, or else from the server's base
// context; ends do not, and the request's context is never kept.
func TestContextValues(t *testing.T) {
	base, endBase := context.WithCancel(context.WithValue(context.Background(), key{}, "base"))
	defer endBase()
	got := make(chan context.Context, 4)
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	ep := gateway.Callbacks{
		OnOpen:  func(ctx context.Context, s *gateway.Socket) error { got <- ctx; return nil },
		OnClose: func(ctx context.Context, s *gateway.Socket, _ gateway.Closed) { got <- ctx },
	}
	gw.Handle("/base", ep)
	admitted, endAdmitted := context.WithCancel(context.WithValue(context.Background(), key{},
		"admitted"))
	defer endAdmitted()
	gw.HandleRoute(gateway.Route{Pattern: "/admitted", Endpoint: ep,
		Authorize: func(*http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Context: admitted}, nil
		}})
	type requestKey struct{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, "pooled")))
	}))
	srv.Config.BaseContext = func(l net.Listener) context.Context {
		if l.Addr() == nil {
			t.Error("BaseContext got a listener without an address")
		}
		return base
	}
	srv.Start()
	defer srv.Close()
	defer gw.Shutdown(context.Background())
	for _, path := range []string{"/base", "/admitted"} {
		p := dialTCP(t, srv)
		p.upgrade(path)
		open := <-got
		endBase()
		endAdmitted()
		if v := open.Value(key{}); v != path[1:] || open.Value(requestKey{}) != nil || open.Err() != nil {
			t.Errorf("%s: the event's context has the value %v, the request's %v and the error %v, want "+
				"%s, nil and nil",
				path, v, open.Value(requestKey{}), open.Err(), path[1:])
		}
		p.conn.Close()
		if v := (<-got).Value(key{}); v != path[1:] {
			t.Errorf("%s: the close event's context has the value %v, want %s", path, v, path[1:])
		}
		if v := open.Value(key{}); v != path[1:] {
			t.Errorf("%s: after the close the context has the value %v, want %s", path, v, path[1:])
		}
	}
}

// Routers pool what they put into the request's context, and reuse it as soon
// as ServeHTTP has returned. With -race this shows whether anything is kept.
func TestRouterThatPoolsItsContext(t *testing.T) {
	type routeContext struct{ params map[string]string }
	pool := sync.Pool{New: func() any { return &routeContext{params: map[string]string{}} }}
	gw := quiet()
	var wg sync.WaitGroup
	gw.Handle("/{id}", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
		for range 20 {
			if rc, ok := ctx.Value(key{}).(*routeContext); ok {
				t.Errorf("the event's context still knows the router's %v", rc.params)
			}
			ctx.Err()
		}
		_, _ = s.Info().MarshalJSON()
		return s.Send(ctx, gateway.Text(s.PathValue("id")))
	}})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := pool.Get().(*routeContext)
		clear(rc.params)
		rc.params["path"] = r.URL.Path
		gw.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, rc)))
		rc.params["path"] = "reused"
		pool.Put(rc)
	}))
	defer srv.Close()
	defer gw.Shutdown(context.Background())
	for range 4 {
		wg.Go(func() {
			for range 25 {
				p := dialTCP(t, srv)
				p.upgrade("/mine")
				if _, payload := p.read(); payload != "mine" {
					t.Errorf("the socket's parameter is %q, want mine", payload)
				}
				p.conn.Close()
			}
		})
	}
	wg.Wait()
}

// A server's listeners have a base context each, made once for each, and its
// connections what ConnContext adds. An event sees those of its own, through whatever
// middleware puts on top of the request's.
func TestContextOfTheListenerAndConnection(t *testing.T) {
	type connKey struct{}
	type pooledKey struct{}
	wraps := map[string]func(context.Context) context.Context{
		"bare": func(ctx context.Context) context.Context { return ctx },
		"values": func(ctx context.Context) context.Context {
			return context.WithValue(ctx, pooledKey{}, 1)
		},
		"timeout": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithTimeout(context.WithValue(ctx, pooledKey{}, 1), time.Hour)
			context.AfterFunc(ctx, cancel)
			return ctx
		},
		"a type that embeds": func(ctx context.Context) context.Context {
			return &embedding{1, context.WithValue(ctx, pooledKey{}, 1)}
		},
		"hidden": func(ctx context.Context) context.Context { return opaque{context.WithoutCancel(ctx)} },
	}
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			gw := quiet()
			gw.Handle("/x", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
				text, _ := gateway.JSON([]any{ctx.Value(key{}), ctx.Value(connKey{}), ctx.Value(pooledKey{})})
				return s.Send(ctx, text)
			}})
			calls := make(chan string, 10)
			srv := &http.Server{
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					gw.ServeHTTP(w, r.WithContext(wrap(r.Context())))
				}),
				BaseContext: func(l net.Listener) context.Context {
					_ = l.(*net.TCPListener) // a host may
					calls <- l.Addr().String()
					return context.WithValue(context.Background(), key{}, l.Addr().String())
				},
				ConnContext: func(ctx context.Context, c net.Conn) context.Context {
					return context.WithValue(ctx, connKey{}, c.RemoteAddr().String())
				},
			}
			var addrs []string
			var served sync.WaitGroup
			for range 2 {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				addrs = append(addrs, ln.Addr().String())
				served.Go(func() { srv.Serve(ln) })
			}
			defer served.Wait()
			defer srv.Close()
			defer gw.Shutdown(context.Background())
			for _, addr := range []string{addrs[0], addrs[1], addrs[0], addrs[1]} {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				conn.SetDeadline(time.Now().Add(30 * time.Second))
				p := newRawPeer(t, conn)
				p.upgrade("/x")
				want, _ := gateway.JSON([]any{addr, conn.LocalAddr().String(), nil})
				if name == "hidden" {
					want = gateway.Text("[null,null,null]")
				}
				p.want(0x81, string(want.Data))
				p.conn.Close()
			}
			if n := len(calls); n != 2 {
				t.Errorf("BaseContext was called %d times, want once for each of 2 listeners", n)
			}
		})
	}
}

type embedding struct {
	n int
	context.Context
}

// opaque has no way down.
type opaque struct{ inner context.Context }

func (o opaque) Deadline() (time.Time, bool) { return o.inner.Deadline() }
func (o opaque) Done() <-chan struct{}       { return o.inner.Done() }
func (o opaque) Err() error                  { return o.inner.Err() }
func (o opaque) Value(key any) any           { return o.inner.Value(key) }

// Without a server of net/http there is no connection to take values from; the
// request's are not taken in its place.
func TestContextWithoutAServer(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"plain":   context.Background(),
		"server":  context.WithValue(context.Background(), http.ServerContextKey, &http.Server{}),
		"address": context.WithValue(context.Background(), http.LocalAddrContextKey, &net.TCPAddr{}),
	} {
		r := sinkRequest("/")
		r = r.WithContext(context.WithValue(ctx, key{}, "pooled"))
		got := make(chan any, 1)
		gw := quiet()
		gw.Handle("/", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			got <- ctx.Value(key{})
			return nil
		}})
		gw.ServeHTTP(hijackWriter{httptest.NewRecorder(), &script{}, nil}, r)
		if v := <-got; v != nil {
			t.Errorf("%s: the event's context has the request's value %v", name, v)
		}
		wantErr(t, "Shutdown", gw.Shutdown(context.Background()), nil)
	}
}
