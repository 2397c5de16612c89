package gateway_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

// inside returns an endpoint that calls fn in the event of that name, and gives what
// it returns to the channel.
func inside(event string, results chan<- error,
	fn func(ctx context.Context) error) gateway.Endpoint {
	report := func(at string, ctx context.Context) {
		if at == event {
			results <- fn(ctx)
		}
	}
	return gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			report("open", ctx)
			s.Go(func(ctx context.Context) error {
				report("go", ctx)
				return nil
			})
			return nil
		},
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			report("data", ctx)
			return nil
		},
		OnClose: func(ctx context.Context, s *gateway.Socket, _ gateway.Closed) {
			report("close", ctx)
		},
	}
}

// Shutdown waits for every endpoint. From inside one it changes nothing and says so at
// once, whatever context it is called with.
func TestShutdownFromInside(t *testing.T) {
	for _, event := range []string{"open", "go", "data", "close"} {
		for name, ctxOf := range map[string]func(ctx context.Context) context.Context{
			"the event's context": func(ctx context.Context) context.Context { return ctx },
			"a derived " +
				"context": func(ctx context.Context) context.Context { return context.WithoutCancel(ctx) },
			"another context": func(context.Context) context.Context { return context.Background() },
		} {
			bubble(t, event+" with "+name, func(t *testing.T) {
				gw, results := quiet(), make(chan error, 4)
				gw.Handle("/x", inside(event, results, func(ctx context.Context) error {
					return gw.Shutdown(ctxOf(ctx))
				}))
				gw.Handle("/bystander", echo())
				srv := serve(t, gw)
				bystander := srv.Dial(t, "/bystander")
				p := srv.Dial(t, "/x")
				p.Send(gateway.Text("data"))
				synctest.Wait()
				if event == "close" {
					p.Close(1000, "")
				}
				err := <-results
				wantErr(t, "Shutdown", err, gateway.ErrInvalid)
				if !strings.Contains(err.Error(), "another goroutine") {
					t.Errorf("the error %q does not say what to do", err)
				}
				bystander.Send(gateway.Text("still here"))
				wantText(t, bystander, "still here")
				srv.Dial(t, "/bystander")
			})
		}
	}
}

// A goroutine of its own may shut down, also with a context that an event's caller
// made; the endpoints must not wait for it.
func TestShutdownBesideAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, results := quiet(), make(chan error, 1)
		var wg sync.WaitGroup
		gw.Handle("/x", gateway.Callbacks{OnData: func(context.Context, *gateway.Socket,
			gateway.Message) error {
			wg.Go(func() { results <- gw.Shutdown(context.Background()) })
			return nil
		}})
		p := serve(t, gw).Dial(t, "/x")
		p.Send(gateway.Text("end"))
		wantClosed(t, p, 1001, "drain")
		wantErr(t, "Shutdown", <-results, nil)
		wg.Wait()
	})
}

// An event may shut another gateway down, if it passes its context.
func TestShutdownOfAnotherGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, other, results := quiet(), quiet(), make(chan error, 1)
		other.Handle("/x", echo())
		gw.Handle("/x", inside("data", results, other.Shutdown))
		p := serve(t, other).Dial(t, "/x")
		admin := serve(t, gw).Dial(t, "/x")
		admin.Send(gateway.Text("end"))
		wantClosed(t, p, 1001, "drain")
		wantErr(t, "Shutdown of the other", <-results, nil)
	})
}

// A request that asks Authorize is waited for as well.
func TestShutdownFromAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		results := make(chan error, 1)
		var gw *gateway.Handler
		gw = gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
			Authorize: func(r *http.Request) (*gateway.Admission, error) {
				results <- gw.Shutdown(r.Context())
				return nil, nil
			}})
		gw.Handle("/x", echo())
		serve(t, gw).Dial(t, "/x")
		wantErr(t, "Shutdown", <-results, gateway.ErrInvalid)
	})
}

// What does not wait works from inside: on the own socket too, with any context.
func TestOperationsFromInside(t *testing.T) {
	for _, event := range []string{"open", "go", "data", "close"} {
		for name, fn := range map[string]func(gw *gateway.Handler, ctx context.Context) error{
			"CloseAll": func(gw *gateway.Handler, ctx context.Context) error {
				_, err := gw.CloseAll(ctx)
				return err
			},
			"Replace": func(gw *gateway.Handler, ctx context.Context) error { return gw.Replace("a", nil) },
			"CloseWith of All": func(gw *gateway.Handler, ctx context.Context) error {
				_, err := gw.All().CloseWith(ctx, 1000, "")
				return err
			},
		} {
			bubble(t, name+" in "+event, func(t *testing.T) {
				gw, results := quiet(), make(chan error, 4)
				ep := inside(event, results, func(ctx context.Context) error { return fn(gw, ctx) })
				wantErr(t, "Replace", gw.Replace("a", []gateway.Route{
					{Pattern: "/x", Endpoint: ep}, {Pattern: "/bystander", Endpoint: echo()}}), nil)
				srv := serve(t, gw)
				bystander, p := srv.Dial(t, "/bystander"), srv.Dial(t, "/x")
				if event == "data" {
					p.Send(gateway.Text("data"))
				}
				if event == "close" {
					p.Close(1000, "")
				}
				wantErr(t, name, <-results, nil)
				if code, _ := bystander.Closed(); code != 1000 && code != 1012 {
					t.Errorf("the bystander is closed with %d", code)
				}
			})
		}
	}
}
