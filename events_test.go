package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

func TestEventOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		_, p := open(t, quiet(), r)
		for i := range 3 {
			p.Send(gateway.Text(fmt.Sprint(i)))
		}
		p.Send(gateway.Binary([]byte{1}))
		p.Close(4001, "enough")
		r.expect(t, "open", `data-text "0"`, `data-text "1"`, `data-text "2"`, `data-binary "\x01"`,
			`close client 4001 "enough"`)
	})
}

// No data event begins before the open event has returned, and calls for one
// socket never overlap; those of another socket go on.
func TestEventsOfOneSocketDoNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inside atomic.Int32
		gate := make(chan struct{})
		r := &recorder{}
		r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if inside.Add(1) != 1 {
				t.Error("two calls for one socket overlap")
			}
			<-gate
			inside.Add(-1)
			return nil
		}
		gw := quiet()
		gw.Handle("/echo", echo())
		gw.Handle("/", r)
		srv := serve(t, gw)
		p := srv.Dial(t, "/")
		p.Send(gateway.Text("a"))
		p.Send(gateway.Text("b"))
		r.expect(t, "open")
		other := srv.Dial(t, "/echo")
		other.Send(gateway.Text("hello"))
		wantText(t, other, "hello")
		gate <- struct{}{}
		r.expect(t, "open", `data-text "a"`)
		gate <- struct{}{}
		r.expect(t, "open", `data-text "a"`, `data-text "b"`)
		p.Cut()
		close(gate)
		r.expect(t, "open", `data-text "a"`, `data-text "b"`, `close connection_lost 1006 ""`)
	})
}

// Operations work inside the open event, on the socket itself.
func TestOperationsInsideOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			ids, err := gw.List(ctx)
			info, infoErr := gw.Info(ctx, s.ID())
			if len(ids) != 1 || err != nil || infoErr != nil || info.Last.Type != gateway.EventOpen {
				t.Errorf("in open: List = %q, %v, Info = %v, %v, want the socket in both", ids, err,
					info.Last.Type, infoErr)
			}
			return gw.Send(ctx, s.ID(), gateway.Text("welcome"))
		}})
		p := serve(t, gw).Dial(t, "/")
		wantText(t, p, "welcome")
	})
}

// In the close event send and close give closed, on the socket and by its id,
// and the info is complete.
func TestOperationsInsideClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type != gateway.EventClose {
				return nil
			}
			wantErr(t, "Socket.Send", s.Send(ctx, gateway.Text("x")), gateway.ErrClosed)
			wantErr(t, "Socket.SendSync", s.SendSync(ctx, gateway.Text("x")), gateway.ErrClosed)
			wantErr(t, "Send", gw.Send(ctx, s.ID(), gateway.Text("x")), gateway.ErrClosed)
			wantErr(t, "Close", gw.Close(ctx, s.ID()), gateway.ErrClosed)
			wantErr(t, "Socket.Close", s.Close(), gateway.ErrClosed)
			info := s.Info()
			if info.URI != "ws://gateway.test/x?a=b" || info.Last.Closed.Cause != gateway.CauseClient ||
				info.Parameters.Get("a") != "b" {
				t.Errorf("in close: Info = %+v, want all of it", info)
			}
			s.Go(func(context.Context) error { t.Error("Go ran in a close event"); return nil })
			return nil
		}}
		gw.Handle("/", r)
		p := serve(t, gw).Dial(t, "/x?a=b")
		p.Close(1000, "")
		r.expect(t, "open", `close client 1000 ""`)
	})
}

var errPlain = errors.New("plain")

// A brokenError panics when its nil pointer is asked for its text.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

// What an endpoint returns, or how it ends, decides over its socket.
func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		run    func() error
		code   int
		reason string
		cause  gateway.Cause // "" if the socket stays open
	}{
		"nil": {func() error { return nil }, 0, "", ""},
		"close error": {func() error {
			return &gateway.CloseError{Code: 4003, Reason: "not a member"}
		}, 4003, "not a member", "endpoint"},
		"close error, wrapped": {func() error {
			return fmt.Errorf("x: %w", &gateway.CloseError{Code: 4003})
		}, 4003, "endpoint", "endpoint"},
		"close error without": {func() error { return &gateway.CloseError{} }, 1000, "endpoint",
			"endpoint"},
		"close error, bad code": {func() error { return &gateway.CloseError{Code: 1006, Reason: "x"} },
			1011, "x", "endpoint"},
		"close error, long reason": {func() error {
			return &gateway.CloseError{Code: 4000, Reason: strings.Repeat("é", 80)}
		},
			4000, strings.Repeat("é", 61), "endpoint"},
		"close error, bad reason": {func() error {
			return &gateway.CloseError{Code: 4000, Reason: "a\xffb"}
		}, 4000, "a\uFFFDb", "endpoint"},
		"plain error": {func() error { return errPlain }, 1011, "endpoint", "endpoint"},
		"invalid_request": {func() error { return gateway.ErrInvalid }, 1011, "endpoint",
			"endpoint"},
		"not_found": {func() error { return gateway.ErrNotFound }, 0, "", ""},
		"not_found, wrapped": {func() error { return fmt.Errorf("x: %w", gateway.ErrNotFound) }, 0,
			"", ""},
		"closed":        {func() error { return gateway.ErrClosed }, 0, "", ""},
		"queue_full":    {func() error { return gateway.ErrQueueFull }, 0, "", ""},
		"unreachable":   {func() error { return gateway.ErrUnreachable }, 0, "", ""},
		"timeout":       {func() error { return gateway.ErrTimeout }, 0, "", ""},
		"shutting_down": {func() error { return gateway.ErrShutdown }, 0, "", ""},
		"panic":         {func() error { panic("boom") }, 1011, "panic", "panic"},
		"panic(error)":  {func() error { panic(io.EOF) }, 1011, "panic", "panic"},
		"panic(nil)":    {func() error { panic(nil) }, 1011, "panic", "panic"},
		"panic(CloseError)": {func() error { panic(&gateway.CloseError{Code: 4000}) }, 1011,
			"panic", "panic"},
		"nil dereference": {func() error { var s *gateway.Socket; _ = s.ID(); return nil }, 1011,
			"panic", "panic"},
		"Goexit": {func() error { runtime.Goexit(); return nil }, 1011, "panic",
			"panic"},
		"typed nil *CloseError": {func() error { var e *gateway.CloseError; return e }, 1011, "panic",
			"panic"},
		"error whose text panics": {func() error { var e *brokenError; return e }, 1011, "panic",
			"panic"},
	} {
		for _, in := range []string{"open", "data", "go", "middleware"} {
			bubble(t, name+" in "+in, func(t *testing.T) {
				gw := quiet()
				r := &recorder{}
				r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					switch {
					case ev.Type == gateway.EventOpen && in == "go":
						s.Go(func(context.Context) error { return c.run() })
					case ev.Type.String() == in:
						return c.run()
					}
					return nil
				}
				if in == "middleware" {
					gw.Use(func(next gateway.Endpoint) gateway.Endpoint {
						return gateway.EndpointFunc(func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
							if err := next.ServeEvent(ctx, s, ev); err != nil || ev.Type != gateway.EventOpen {
								return err
							}
							return c.run()
						})
					})
				}
				gw.Handle("/", r)
				srv := serve(t, gw)
				neighbour := srv.Dial(t, "/")
				synctest.Wait() // so that it is the first to open
				p := srv.Dial(t, "/")
				synctest.Wait()
				if in == "data" {
					p.Send(gateway.Text("x"))
				}
				synctest.Wait()
				if c.cause == "" {
					wantErr(t, "Send after the verdict", r.socket().Send(t.Context(), gateway.Text("still here")),
						nil)
					wantText(t, p, "still here")
					return
				}
				wantClosed(t, p, c.code, c.reason)
				synctest.Wait()
				if r.closed.Cause != c.cause || r.closed.Code != c.code || r.closed.Reason != c.reason ||
					r.closed.Code == 1011 && r.closed.Err == nil {
					t.Errorf("close event has %+v, want cause %s, code %d, reason %q", r.closed, c.cause, c.code,
						c.reason)
				}
				if in == "data" {
					wantErr(t, "the neighbour's Send", r.sockets[0].Send(t.Context(), gateway.Text("fine")), nil)
					wantText(t, neighbour, "fine")
				}
			})
		}
	}
}

// Whatever the close event does, the socket is gone afterwards.
func TestCloseEventThatFails(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":  func() error { return errPlain },
		"panic":  func() error { panic("boom") },
		"nil":    func() error { panic(nil) },
		"Goexit": func() error { runtime.Goexit(); return nil },
	} {
		bubble(t, name, func(t *testing.T) {
			gw := quiet()
			gw.Handle("/",
				&recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					if ev.Type == gateway.EventClose {
						return fail()
					}
					return nil
				}})
			p := serve(t, gw).Dial(t, "/")
			p.Close(1000, "")
			synctest.Wait()
			if st := gw.Stats(); st.Open != 0 || st.EndpointErrors != 1 {
				t.Errorf("Stats = %d open, %d endpoint errors, want 0 and 1", st.Open, st.EndpointErrors)
			}
		})
	}
}

func TestGo(t *testing.T) {
	bubble(t, "the close event waits for it", func(t *testing.T) {
		r, ended := &recorder{}, false
		r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			switch ev.Type {
			case gateway.EventOpen:
				s.Go(func(ctx context.Context) error {
					if ctx != s.Context() {
						t.Error("the context of Go is not the socket's")
					}
					<-ctx.Done()
					time.Sleep(time.Minute)
					ended = true
					return errPlain // too late to decide anything
				})
			case gateway.EventClose:
				if !ended {
					t.Error("the close event came before Go's function had returned")
				}
			}
			return nil
		}
		_, p := open(t, quiet(), r)
		p.Close(1000, "bye")
		time.Sleep(2 * time.Minute)
		r.expect(t, "open", `close client 1000 "bye"`)
	})
	bubble(t, "pusher", func(t *testing.T) {
		r := &recorder{}
		r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventOpen {
				s.Go(func(ctx context.Context) error {
					for tick := time.NewTicker(time.Second); ; {
						select {
						case <-tick.C:
							if err := s.Send(ctx, gateway.Text("tick")); err != nil {
								return err
							}
						case <-ctx.Done():
							tick.Stop()
							return nil
						}
					}
				})
			}
			return nil
		}
		_, p := open(t, quiet(), r)
		wantText(t, p, "tick")
		wantText(t, p, "tick")
		p.Cut()
	})
	bubble(t, "its verdict", func(t *testing.T) {
		r := &recorder{}
		s, p := open(t, quiet(), r)
		s.Go(func(ctx context.Context) error {
			return &gateway.CloseError{Code: 4000, Reason: "pushed out"}
		})
		wantClosed(t, p, 4000, "pushed out")
		r.expect(t, "open", `close endpoint 4000 "pushed out"`)
	})
}

// PerSocket keeps state per socket, also as middleware.
func TestPerSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		ends := make(chan int, 4)
		gw.Use(func(next gateway.Endpoint) gateway.Endpoint {
			return gateway.PerSocket(func(ctx context.Context, s *gateway.Socket) (gateway.Endpoint, error) {
				return next, next.ServeEvent(ctx, s, gateway.Event{Type: gateway.EventOpen})
			})
		})
		gw.Handle("/",
			gateway.PerSocket(func(ctx context.Context, s *gateway.Socket) (gateway.Endpoint, error) {
				n := 0
				return gateway.Callbacks{
					OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
						n++
						return s.Send(ctx, gateway.Text(fmt.Sprint(n)))
					},
					OnClose: func(ctx context.Context, s *gateway.Socket, c gateway.Closed) { ends <- n },
				}, nil
			}))
		gw.Handle("/none",
			gateway.PerSocket(func(context.Context, *gateway.Socket) (gateway.Endpoint, error) {
				return nil, nil
			}))
		gw.Handle("/refuse",
			gateway.PerSocket(func(context.Context, *gateway.Socket) (gateway.Endpoint, error) {
				return gateway.Callbacks{OnClose: func(context.Context, *gateway.Socket, gateway.Closed) {
					ends <- -1
				}}, &gateway.CloseError{Code: 4003}
			}))
		srv := serve(t, gw)
		a, b := srv.Dial(t, "/"), srv.Dial(t, "/")
		for _, want := range []string{"1", "2"} {
			a.Send(gateway.Text("x"))
			wantText(t, a, want)
		}
		b.Send(gateway.Text("x"))
		wantText(t, b, "1")
		a.Close(1000, "")
		if n := <-ends; n != 2 {
			t.Errorf("the first socket counted %d, want 2", n)
		}
		none := srv.Dial(t, "/none")
		none.Send(gateway.Text("x"))
		none.Close(1000, "")
		wantClosed(t, srv.Dial(t, "/refuse"), 4003, "endpoint")
		if n := <-ends; n != -1 {
			t.Errorf("the endpoint of a refused socket got %d, want its close event", n)
		}
	})
}

// Callbacks skip what is nil; OnClose comes also after an OnOpen that failed.
func TestCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, closed := quiet(), make(chan gateway.Closed, 1)
		gw.Handle("/nothing", gateway.Callbacks{})
		gw.Handle("/refuse", gateway.Callbacks{
			OnOpen: func(context.Context, *gateway.Socket) error { return errPlain },
			OnData: func(context.Context, *gateway.Socket, gateway.Message) error {
				t.Error("data after a failed open")
				return nil
			},
			OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
		})
		srv := serve(t, gw)
		p := srv.Dial(t, "/nothing")
		p.Send(gateway.Text("x"))
		p.Close(1000, "")
		p = srv.Dial(t, "/refuse")
		wantClosed(t, p, 1011, "endpoint")
		if c := <-closed; !errors.Is(c.Err, errPlain) {
			t.Errorf("OnClose got %+v, want the error of OnOpen", c)
		}
	})
}

// Use wraps every route of every owner, the first outermost, all events.
func TestUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		var order []string
		mw := func(name string) func(gateway.Endpoint) gateway.Endpoint {
			return func(next gateway.Endpoint) gateway.Endpoint {
				return gateway.EndpointFunc(func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					order = append(order, name+" "+ev.Type.String())
					return next.ServeEvent(ctx, s, ev)
				})
			}
		}
		gw.Use(mw("a"), mw("b"))
		gw.Use(mw("c"))
		if err := gw.Replace("owner", []gateway.Route{{Pattern: "/", Endpoint: r}}); err != nil {
			t.Fatalf("Replace = %v", err)
		}
		p := serve(t, gw).Dial(t, "/")
		p.Close(1000, "")
		r.expect(t, "open", `close client 1000 ""`)
		if got := strings.Join(order, ","); got != "a open,b open,c open,a close,b close,c close" {
			t.Errorf("middleware was called in the order %s, want a, b, c for each event", got)
		}
	})
}

// The latest event is what Info tells; a received message belongs to the
// endpoint.
func TestReceivedMessageIsTheEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			for i := range ev.Message.Data {
				ev.Message.Data[i] = '!'
			}
			return nil
		}}
		s, p := open(t, gw, r)
		p.Send(gateway.Text("mine"))
		synctest.Wait()
		if got := string(s.Info().Last.Message.Data); got != "mine" {
			t.Errorf("Info().Last.Message after the endpoint wrote into its message = %q, want mine", got)
		}
		data := []byte("once")
		wantErr(t, "Send", s.Send(t.Context(), gateway.Binary(data)), nil)
		copy(data, "----")
		if got := string(p.Receive().Data); got != "once" {
			t.Errorf("the client got %q, want what was there when Send returned", got)
		}
	})
}

// Logs carry the socket's id and route and no message.
func TestEndpointErrorsAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &logbook{}
		gw := gateway.New(&gateway.Options{Logger: logs.logger()})
		gw.HandleFunc("/{id}", func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			switch string(ev.Message.Data) {
			case "secret-1":
				return gateway.ErrQueueFull
			case "secret-2":
				panic("boom\nlevel=ERROR forged")
			}
			return nil
		})
		p := serve(t, gw).Dial(t, "/x?token=secret-3")
		p.Send(gateway.Text("secret-1"))
		p.Send(gateway.Text("secret-2"))
		wantClosed(t, p, 1011, "panic")
		synctest.Wait()
		text := logs.String()
		for _, want := range []string{"socket_id=", "route=/{id}", "queue_full", "panic: boom\\nlevel",
			"level=ERROR", "level=WARN"} {
			if !strings.Contains(text, want) {
				t.Errorf("the log lacks %q:\n%s", want, text)
			}
		}
		if strings.Contains(text, "secret") || strings.Contains(text, "\nlevel=ERROR forged") {
			t.Errorf("the log shows a message, a query or a forged line:\n%s", text)
		}
		if got := gw.Stats().EndpointErrors; got != 2 {
			t.Errorf("Stats().EndpointErrors = %d, want 2", got)
		}
	})
}

var _ slog.LogValuer = gateway.Info{}
