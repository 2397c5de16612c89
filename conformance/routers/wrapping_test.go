package routers

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/wsgateway/gateway"
)

// wrapping has Unwrap, as http.ResponseController asks for.
type wrapping struct{ http.ResponseWriter }

func (w wrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// hiding has neither Unwrap nor Hijack.
type hiding struct{ http.ResponseWriter }

func TestWrappedWriters(t *testing.T) {
	gw := newGateway("")
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		gw.ServeHTTP(wrapping{wrapping{w}}, r)
	}), gw)
	if got := ask(t, s.dial(t, "/echo"), "through"); got != "through" {
		t.Errorf("echo answered %q", got)
	}
}

func TestHiddenHijacker(t *testing.T) {
	for name, tc := range map[string]struct {
		wrap  func(h http.Handler) http.Handler
		names string
	}{
		"struct": {func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(wrapping{hiding{w}}, r)
			})
		}, "routers.hiding"},
		"echo's Timeout": {func(h http.Handler) http.Handler {
			r := echo.New()
			//lint:ignore SA1019 programs have it still, and its answer is what is tested
			r.Use(echomiddleware.TimeoutWithConfig(echomiddleware.TimeoutConfig{Timeout: time.Minute}))
			r.Any("/*", echo.WrapHandler(h))
			return r
		}, "http.timeoutWriter"},
		"http.TimeoutHandler": {func(h http.Handler) http.Handler {
			return http.TimeoutHandler(h, time.Minute, "late")
		}, "http.timeoutWriter"},
	} {
		t.Run(name, func(t *testing.T) {
			gw := newGateway("")
			s := serve(t, tc.wrap(gw), gw)
			if e := s.wantError(t, "/echo", 500, "internal"); !strings.Contains(e.Message, tc.names) {
				t.Errorf("the error %q does not name %s", e.Message, tc.names)
			}
			if st := gw.Stats(); st.Open != 0 {
				t.Errorf("%d sockets are open", st.Open)
			}
		})
	}
}

// HTTP/2 has no Upgrade. The answer must say what is wrong.
func TestHTTP2(t *testing.T) {
	gw := newGateway("")
	s := httptest.NewUnstartedServer(gw)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	resp, err := s.Client().Get(s.URL + "/echo")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var e gateway.Error
	if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
		t.Fatal(err)
	}
	if resp.ProtoMajor != 2 || resp.StatusCode != 501 || e.Type != "not_implemented" ||
		!strings.Contains(e.Message, "HTTP/2") {
		t.Errorf("%s: %d %+v, want 501 not_implemented that names HTTP/2", resp.Proto, resp.StatusCode, e)
	}
}

// chi's Timeout ends the context of the request, which must not be the socket's.
func TestRequestTimeoutIsNotTheSockets(t *testing.T) {
	gw := newGateway("/ws")
	r := chi.NewRouter()
	// Longer than an upgrade takes, or the middleware answers itself.
	r.Use(middleware.Timeout(100 * time.Millisecond))
	r.Handle("/ws/*", gw)
	s := serve(t, r, gw)
	c := s.dial(t, "/ws/echo")
	for deadline := time.Now().Add(200 * time.Millisecond); time.Now().Before(deadline); {
		if got := ask(t, c, "still"); got != "still" {
			t.Fatalf("echo answered %q", got)
		}
	}
}

type baseKey struct{}

// What the server's BaseContext holds is in the events' contexts behind every router
// and its middleware too.
func TestBaseContextBehindRouters(t *testing.T) {
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			gw := gateway.New(nil)
			gw.Handle("/ws/base", gateway.Callbacks{OnOpen: func(ctx context.Context,
				s *gateway.Socket) error {
				v, _ := ctx.Value(baseKey{}).(string)
				return s.Send(ctx, gateway.Text(v))
			}})
			s := &server{Server: httptest.NewUnstartedServer(mount(gw))}
			s.Config.BaseContext = baseContext
			s.Start()
			defer s.Close()
			c := s.dial(t, "/ws/base")
			if ev, err := c.Next(); err != nil || string(ev.Data) != "from the host" {
				t.Errorf("the event's context has %q, %v", ev.Data, err)
			}
		})
	}
}

// What the server's BaseContext holds is in every event's context.
func TestBaseContext(t *testing.T) {
	gw := gateway.New(nil)
	gw.Handle("/", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
		v, _ := ctx.Value(baseKey{}).(string)
		return s.Send(ctx, gateway.Text(v))
	}})
	s := &server{Server: httptest.NewUnstartedServer(gw)}
	s.Config.BaseContext = baseContext
	s.Start()
	defer s.Close()
	c := s.dial(t, "/")
	if ev, err := c.Next(); err != nil || string(ev.Data) != "from the host" {
		t.Errorf("the event's context has %q, %v", ev.Data, err)
	}
}
