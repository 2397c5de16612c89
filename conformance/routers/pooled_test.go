package routers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

func baseContext(net.Listener) context.Context {
	return context.WithValue(context.Background(), baseKey{}, "from the host")
}

// Routers pool what they put into a request's context and use it for the next
// request as soon as ServeHTTP has returned, which is right after the upgrade.
// Sockets that speak while other requests pass through the same router must see
// nothing of theirs; the race detector watches.
func TestPooledContexts(t *testing.T) {
	// tenantOf asks the router for its own parameter.
	type tenantOf = func(r *http.Request) string
	for name, mount := range map[string]func(gw http.Handler) (http.Handler, tenantOf){
		"chi": func(gw http.Handler) (http.Handler, tenantOf) {
			r := chi.NewRouter()
			r.Get("/{tenant}/page", plain)
			r.Handle("/{tenant}/ws", gw)
			return r, func(r *http.Request) string { return chi.URLParam(r, "tenant") }
		},
		"gin": func(gw http.Handler) (http.Handler, tenantOf) {
			gin.SetMode(gin.ReleaseMode)
			r := gin.New()
			r.GET("/:tenant/page", gin.WrapF(plain))
			r.GET("/:tenant/ws", func(c *gin.Context) {
				c.Request.SetPathValue("tenant", c.Param("tenant"))
				gw.ServeHTTP(c.Writer, c.Request)
			})
			return r, nil
		},
		"echo": func(gw http.Handler) (http.Handler, tenantOf) {
			r := echo.New()
			r.GET("/:tenant/page", echo.WrapHandler(http.HandlerFunc(plain)))
			r.GET("/:tenant/ws", echo.WrapHandler(gw))
			return r, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			var tenant tenantOf
			gw := gateway.New(&gateway.Options{
				Limits: gateway.Limits{MessagesPerSecond: -1},
				Authorize: func(r *http.Request) (*gateway.Admission, error) {
					if tenant == nil { // the gateway's own parameter
						return &gateway.Admission{Values: map[string]string{"tenant": r.PathValue("tenant")}}, nil
					}
					return &gateway.Admission{Values: map[string]string{"tenant": tenant(r)}}, nil
				},
			})
			gw.Handle("/{tenant}/ws", gateway.Callbacks{
				OnData: func(ctx context.Context, s *gateway.Socket, _ gateway.Message) error {
					if leaked := ctx.Value(chi.RouteCtxKey); leaked != nil {
						return fmt.Errorf("the event's context holds chi's %T", leaked)
					}
					return s.Send(ctx, gateway.Text(s.Value("tenant")+" "+s.PathValue("tenant")))
				},
			})
			h, of := mount(gw)
			tenant = of
			s := serve(t, h, gw)
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() { socketsOf(t, s, fmt.Sprint("t", i)) })
				wg.Go(func() { pagesOf(t, s, fmt.Sprint("p", i)) })
			}
			wg.Wait()
		})
	}
}

// socketsOf opens sockets of a tenant one after the other and asks each who it
// is.
func socketsOf(t *testing.T, s *server, tenant string) {
	for range 5 {
		c, resp, err := raw.Do(s.addr(), raw.NewRequest(s.addr(), "/"+tenant+"/ws?tenant=fake"))
		if err != nil || c == nil {
			t.Errorf("%s: %v, %+v", tenant, err, resp)
			return
		}
		for range 10 {
			if err := c.SendMessage(raw.Text, []byte("who")); err != nil {
				t.Error(err)
				break
			}
			ev, err := c.Next()
			if want := tenant + " " + tenant; err != nil || string(ev.Data) != want {
				t.Errorf("the socket of %s is %q, code %d, %v", tenant, ev.Data, ev.Code, err)
				break
			}
		}
		c.Cut()
	}
}

func pagesOf(t *testing.T, s *server, tenant string) {
	for range 30 {
		resp, err := http.Get(s.URL + "/" + tenant + "/page")
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
	}
}
