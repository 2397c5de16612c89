package gateway_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

// Middleware is foreign code: it may register routes, replace them and look at the
// gateway while it is being put around an endpoint.
func TestMiddlewareThatRegisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		var wrapped []string
		gw.Use(func(next gateway.Endpoint) gateway.Endpoint {
			wrapped = append(wrapped, "mw")
			switch len(wrapped) {
			case 1:
				gw.Handle("/inner", echo())
				wantErr(t, "Replace", gw.Replace("b", []gateway.Route{{Pattern: "/replaced",
					Endpoint: echo()}}), nil)
				wantPanic(t, "Use", "after the first route", func() { gw.Use() })
				wantPanic(t, "Handle of one that conflicts", "conflicts", func() {
					gw.Handle("/inner", echo())
				})
			}
			return next
		})
		gw.Handle("/outer", echo())
		if len(wrapped) != 3 {
			t.Errorf("the middleware ran %d times, want once for each of 3 routes", len(wrapped))
		}
		srv := serve(t, gw)
		for _, path := range []string{"/inner", "/outer", "/replaced"} {
			p := srv.Dial(t, path)
			p.Send(gateway.Text(path))
			wantText(t, p, path)
		}
	})
}

// Use is refused from the first registration on, also while that is under way; one
// that fails is none.
func TestUseWhileRegistering(t *testing.T) {
	gw := quiet()
	ran := false
	gw.Use(func(next gateway.Endpoint) gateway.Endpoint {
		if !ran {
			ran = true
			wantPanic(t, "Use", "after the first route", func() { gw.Use() })
			panic("the middleware's own")
		}
		return next
	})
	wantPanic(t, "Handle", "the middleware's own", func() { gw.Handle("/x", echo()) })
	gw.Use(func(next gateway.Endpoint) gateway.Endpoint { return next })
	gw.Handle("/x", echo())
	wantPanic(t, "Use", "after the first route", func() { gw.Use() })
}

func TestMiddlewareThatReturnsNil(t *testing.T) {
	gw := quiet()
	gw.Use(func(gateway.Endpoint) gateway.Endpoint { return nil })
	wantPanic(t, "Handle", "a nil endpoint", func() { gw.Handle("/x", echo()) })
	wantErr(t, "Replace", gw.Replace("a", []gateway.Route{{Pattern: "/x", Endpoint: echo()}}),
		gateway.ErrInvalid)
}

// A route that conflicts by the time that its middleware has run is refused.
func TestConflictThatMiddlewareMakes(t *testing.T) {
	gw := quiet()
	first := true
	gw.Use(func(next gateway.Endpoint) gateway.Endpoint {
		if first {
			first = false
			gw.Handle("/{any}", echo())
		}
		return next
	})
	err := gw.Replace("a", []gateway.Route{{Pattern: "/{other}", Endpoint: echo()}})
	wantErr(t, "Replace", err, gateway.ErrInvalid)
	if !strings.Contains(err.Error(), "routes_middleware_test.go") {
		t.Errorf("%v does not say where the other was registered", err)
	}
}

// Registrations at the same time: each is in the table, and each route has all of the
// middleware, however slow that is.
func TestRegistrationsAtTheSameTime(t *testing.T) {
	gw := quiet()
	var meet sync.WaitGroup
	meet.Add(4)
	gw.Use(func(next gateway.Endpoint) gateway.Endpoint {
		meet.Done()
		meet.Wait() // all are in here
		return gateway.EndpointFunc(func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			return next.ServeEvent(ctx, s, ev)
		})
	})
	var wg sync.WaitGroup
	for _, p := range []string{"/a", "/b", "/c", "/d"} {
		wg.Go(func() {
			wantErr(t, "Replace", gw.Replace("owner of "+p, []gateway.Route{{Pattern: p,
				Endpoint: echo()}}), nil)
		})
	}
	wg.Wait()
	for _, p := range []string{"/a", "/b", "/c", "/d"} {
		if got, _, err := gateway.Match(gw, p); got != p || err != nil {
			t.Errorf("%s matches %q, %v", p, got, err)
		}
	}
}
