// Package routers mounts the gateway under the routers that programs use.
package routers

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// newGateway returns a gateway whose routes stand below the prefix: an echo,
// and one that answers with its room and the route it came by.
func newGateway(prefix string) *gateway.Handler {
	gw := gateway.New(nil)
	gw.Handle(prefix+"/echo", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		},
	})
	gw.Handle(prefix+"/rooms/{room}", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, _ gateway.Message) error {
			return s.Send(ctx, gateway.Text(s.PathValue("room")+" "+s.Info().URI))
		},
	})
	return gw
}

// A server is an HTTP server whose complaints are kept.
type server struct {
	*httptest.Server
	mu  sync.Mutex
	log bytes.Buffer
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// serve serves h until the test ends, and fails the test if the server had
// something to complain about, such as a write to a connection that the
// gateway has taken over.
func serve(t *testing.T, h http.Handler, gw *gateway.Handler) *server {
	s := &server{Server: httptest.NewUnstartedServer(h)}
	s.Config.ErrorLog = log.New(s, "", 0)
	s.Start()
	t.Cleanup(func() {
		if err := gw.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.log.Len() > 0 {
			t.Errorf("the server logged: %s", s.log.String())
		}
	})
	return s
}

func (s *server) addr() string { return strings.TrimPrefix(s.URL, "http://") }

// dial opens a socket.
func (s *server) dial(t *testing.T, path string) *raw.Conn {
	t.Helper()
	c, resp, err := raw.Do(s.addr(), raw.NewRequest(s.addr(), path))
	if err != nil || c == nil {
		t.Fatalf("%s: %v, %+v", path, err, resp)
	}
	t.Cleanup(c.Cut)
	return c
}

// ask sends text and returns the answer.
func ask(t *testing.T, c *raw.Conn, text string) string {
	t.Helper()
	if err := c.SendMessage(raw.Text, []byte(text)); err != nil {
		t.Fatal(err)
	}
	ev, err := c.Next()
	if err != nil || ev.Kind != raw.Message {
		t.Fatalf("%q answered with %v, code %d, %v", text, ev.Kind, ev.Code, err)
	}
	return string(ev.Data)
}

// wantError sends a request that is refused.
func (s *server) wantError(t *testing.T, path string, status int, typ string) gateway.Error {
	t.Helper()
	c, resp, err := raw.Do(s.addr(), raw.NewRequest(s.addr(), path))
	if err != nil || c != nil {
		t.Fatalf("%s: opened: %v, %v", path, c != nil, err)
	}
	var e gateway.Error
	if err := json.Unmarshal(resp.Body, &e); err != nil || resp.Status != status || e.Type != typ ||
		e.Status != status {
		t.Errorf("%s: %d %s, want %d %s", path, resp.Status, resp.Body, status, typ)
	}
	return e
}

func plain(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("page")) }

// The ways to mount a gateway whose routes are below /ws, next to a page.
var mounts = map[string]func(gw http.Handler) http.Handler{
	"ServeMux": func(gw http.Handler) http.Handler {
		m := http.NewServeMux()
		m.HandleFunc("/page", plain)
		m.Handle("/ws/", gw)
		return m
	},
	"ServeMux with a method": func(gw http.Handler) http.Handler {
		m := http.NewServeMux()
		m.HandleFunc("GET /page", plain)
		m.Handle("GET /ws/{rest...}", gw)
		return m
	},
	"ServeMux fallback": func(gw http.Handler) http.Handler {
		m := http.NewServeMux()
		m.HandleFunc("/page", plain)
		m.Handle("/", gw)
		return m
	},
	"chi": func(gw http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Get("/page", plain)
		r.Handle("/ws/*", gw)
		return r
	},
	"chi with middleware": func(gw http.Handler) http.Handler {
		r := chi.NewRouter()
		quiet := middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(&bytes.Buffer{},
			"", 0)})
		r.Use(middleware.RequestID, quiet, middleware.Recoverer, middleware.Compress(5))
		r.Get("/page", plain)
		r.Handle("/ws/*", gw)
		return r
	},
	"gin": func(gw http.Handler) http.Handler {
		gin.SetMode(gin.ReleaseMode)
		r := gin.New()
		r.Use(gin.Recovery())
		r.GET("/page", gin.WrapF(plain))
		r.Any("/ws/*rest", gin.WrapH(gw))
		return r
	},
	"echo": func(gw http.Handler) http.Handler {
		r := echo.New()
		r.Use(echomiddleware.Recover(), echomiddleware.Gzip())
		r.GET("/page", echo.WrapHandler(http.HandlerFunc(plain)))
		r.Any("/ws/*", echo.WrapHandler(gw))
		return r
	},
	"gorilla/mux": func(gw http.Handler) http.Handler {
		r := mux.NewRouter()
		r.HandleFunc("/page", plain)
		r.PathPrefix("/ws/").Handler(gw)
		return r
	},
}

func TestMount(t *testing.T) {
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			gw := newGateway("/ws")
			s := serve(t, mount(gw), gw)
			c := s.dial(t, "/ws/echo")
			if got := ask(t, c, "hello"); got != "hello" {
				t.Errorf("echo answered %q", got)
			}
			if err := c.Shut(); err != nil {
				t.Error(err)
			}
			room := s.dial(t, "/ws/rooms/a%2Fb?x=1")
			if got, want := ask(t, room, "where"), "a/b ws://"+s.addr()+"/ws/rooms/a%2Fb?x=1"; got != want {
				t.Errorf("room answered %q, want %q", got, want)
			}
			s.wantError(t, "/ws/nothing", 404, "no_route")
			resp, err := http.Get(s.URL + "/page")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("the page next to it: %d", resp.StatusCode)
			}
		})
	}
}

// The gateway's own patterns start at the root where the prefix is stripped.
func TestMountStripped(t *testing.T) {
	for name, mount := range map[string]func(gw http.Handler) http.Handler{
		"ServeMux": func(gw http.Handler) http.Handler {
			m := http.NewServeMux()
			m.Handle("/ws/", http.StripPrefix("/ws", gw))
			m.Handle("/ws", http.StripPrefix("/ws", gw))
			return m
		},
		"chi Mount": func(gw http.Handler) http.Handler {
			r := chi.NewRouter()
			r.Mount("/ws", http.StripPrefix("/ws", gw))
			return r
		},
		"gorilla/mux": func(gw http.Handler) http.Handler {
			r := mux.NewRouter()
			r.PathPrefix("/ws").Handler(http.StripPrefix("/ws", gw))
			return r
		},
		"gin": func(gw http.Handler) http.Handler {
			gin.SetMode(gin.ReleaseMode)
			r := gin.New()
			stripped := gin.WrapH(http.StripPrefix("/ws", gw))
			r.Any("/ws", stripped)
			r.Any("/ws/*rest", stripped)
			return r
		},
		"echo": func(gw http.Handler) http.Handler {
			r := echo.New()
			stripped := echo.WrapHandler(http.StripPrefix("/ws", gw))
			r.Any("/ws", stripped)
			r.Any("/ws/*", stripped)
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			gw := newGateway("")
			gw.Handle("/{$}", gateway.Callbacks{
				OnOpen: func(ctx context.Context, s *gateway.Socket) error {
					return s.Send(ctx, gateway.Text("root"))
				},
			})
			s := serve(t, mount(gw), gw)
			if got := ask(t, s.dial(t, "/ws/echo"), "hello"); got != "hello" {
				t.Errorf("echo answered %q", got)
			}
			// Nothing redirects: WebSocket clients do not follow.
			c := s.dial(t, "/ws")
			if ev, err := c.Next(); err != nil || string(ev.Data) != "root" {
				t.Errorf("/ws sent %q, %v", ev.Data, err)
			}
			want := "b ws://" + s.addr() + "/ws/rooms/b"
			if got := ask(t, s.dial(t, "/ws/rooms/b"), "where"); got != want {
				t.Errorf("room answered %q, want %q: StripPrefix does not change the URI", got, want)
			}
		})
	}
}
