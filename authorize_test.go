package gateway_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

// asks returns a gateway whose /x asks the hook, and whose proxies are all of
// 192.0.2.0/24, where a peer in memory comes from.
func asks(hook func(r *http.Request) (*gateway.Admission, error)) *gateway.Handler {
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler), Limits: unlimited,
		TrustedProxies:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		ForwardedHeaders: []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"},
	})
	gw.HandleRoute(gateway.Route{Pattern: "/x", Authorize: hook, Endpoint: echo(),
		Subprotocols: []string{"v2", "v1"}})
	return gw
}

// A hook sees the client, not its proxy.
func TestAuthorizeSeesTheClient(t *testing.T) {
	bubble(t, "behind a proxy", func(t *testing.T) {
		var remote, host, url string
		gw := asks(func(r *http.Request) (*gateway.Admission, error) {
			remote, host, url = r.RemoteAddr, r.Host, r.URL.String()
			return nil, nil
		})
		srv := serve(t, gw)
		rawDial(t, srv, "/x?q=1", "X-Forwarded-For: 6.6.6.6, 198.51.100.7", "X-Forwarded-Proto: https",
			"X-Forwarded-Host: app.example", "")
		if remote != "198.51.100.7:0" || host != "app.example" || url != "wss://app.example/x?q=1" {
			t.Errorf("the hook saw %s, %s, %s", remote, host, url)
		}
		rawDial(t, srv, "/x")
		if !strings.HasPrefix(remote, "192.0.2.1:") || host != "gateway.test" ||
			url != "ws://gateway.test/x" {
			t.Errorf("without a proxy the hook saw %s, %s, %s", remote, host, url)
		}
	})
	bubble(t, "behind StripPrefix", func(t *testing.T) {
		var url string
		gw := asks(func(r *http.Request) (*gateway.Admission, error) {
			url = r.URL.String()
			return nil, nil
		})
		srv := serveHandler(t, http.StripPrefix("/p", gw), gw)
		rawConn(t, srv).request(head("/x", "/p/x"))
		if url != "ws://gateway.test/x" {
			t.Errorf("the hook saw %s, want the path without its prefix", url)
		}
	})
}

// Both hooks' header fields are in the answer beside those of middleware; what
// describes a body or the handshake is not.
func TestAuthorizeSetsHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cookie := func(c string) func(r *http.Request) (*gateway.Admission, error) {
			return func(r *http.Request) (*gateway.Admission, error) {
				return &gateway.Admission{Header: http.Header{
					"Set-Cookie": {c}, "Content-Encoding": {"gzip"}, "sec-websocket-accept": {"x"},
					"X-Bad\r\nInjected": {"yes"}, "X-Value": {"a\r\nInjected: yes"},
				}}, nil
			}
		}
		gw := gateway.New(&gateway.Options{Authorize: cookie("a=1"),
			Logger: slog.New(slog.DiscardHandler)})
		gw.HandleRoute(gateway.Route{Pattern: "/x", Authorize: cookie("b=2"), Endpoint: echo()})
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "m=0")
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Etag", `"x"`)
			w.Header()["connection"] = []string{"close"}
			gw.ServeHTTP(w, r)
		})
		resp := rawConn(t, serveHandler(t, h, gw)).request(head())
		if got := strings.Join(resp.Header.Values("Set-Cookie"), " "); resp.StatusCode != 101 ||
			got != "m=0 a=1 b=2" {
			t.Errorf("the answer is %s with the cookies %q", resp.Status, got)
		}
		for _, name := range []string{"Content-Encoding", "Etag", "Injected"} {
			if v := resp.Header.Values(name); len(v) > 0 {
				t.Errorf("the answer has %s: %q", name, v)
			}
		}
		if len(resp.Header.Values("Sec-Websocket-Accept")) != 1 ||
			len(resp.Header.Values("Connection")) != 1 {
			t.Errorf("the handshake is %v", resp.Header)
		}
	})
}

// A refusal has the fields of its error.
func TestRefusalHeaders(t *testing.T) {
	refused := gateway.NewError(gateway.ErrUnauthorized, "who are you").
		WithHeader("www-authenticate", `Bearer realm="a"`).WithHeader("WWW-Authenticate", "Basic").
		WithHeader("Content-Length", "5").WithHeader("Content-Type", "text/html").
		WithHeader("Set-Cookie", "gone=")
	busy := gateway.ErrTooMany.WithHeader("Retry-After", "60")
	if gateway.ErrTooMany.WithHeader("A", "b"); reflect.DeepEqual(busy, gateway.ErrTooMany) ||
		!busy.Is(gateway.ErrTooMany) {
		t.Error("WithHeader changes the error itself, or its type")
	}
	bubble(t, "401", func(t *testing.T) {
		gw := asks(func(*http.Request) (*gateway.Admission, error) { return nil, refused })
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "m=0")
			gw.ServeHTTP(w, r)
		})
		resp := rawConn(t, serveHandler(t, h, gw)).request(head())
		challenges := strings.Join(resp.Header.Values("Www-Authenticate"), " ")
		if challenges != `Bearer realm="a" Basic` {
			t.Errorf("WWW-Authenticate is %q", challenges)
		}
		if got := strings.Join(resp.Header.Values("Set-Cookie"), " "); got != "m=0 gone=" {
			t.Errorf("the cookies are %q", got)
		}
		wantErrorObject(t, resp, 401, "unauthorized")
	})
	bubble(t, "503", func(t *testing.T) {
		gw := asks(func(*http.Request) (*gateway.Admission, error) { return nil, busy })
		resp := rawConn(t, serve(t, gw)).request(head())
		if got := resp.Header.Values("Retry-After"); len(got) != 1 || got[0] != "60" {
			t.Errorf("Retry-After is %q, want 60", got)
		}
		wantErrorObject(t, resp, 503, "too_many_sockets")
	})
}

// A hook can choose among what the client offers, and nothing else.
func TestAuthorizeChoosesTheSubprotocol(t *testing.T) {
	for chosen, want := range map[string]string{"": "v2", "v1": "v1", "bearer": "bearer",
		"v3": "500", "v2 v1": "500", "BEARER": "500"} {
		bubble(t, chosen, func(t *testing.T) {
			gw := asks(func(*http.Request) (*gateway.Admission, error) {
				return &gateway.Admission{Subprotocol: chosen}, nil
			})
			p := rawConn(t, serve(t, gw))
			resp := p.request(head("Upgrade:", "Sec-WebSocket-Protocol: bearer, secret-token, v1\r\n"+
				"Sec-WebSocket-Protocol: v2 v1, v2\r\nUpgrade:"))
			if want == "500" {
				wantErrorObject(t, resp, 500, "internal")
				return
			}
			if got := resp.Header.Get("Sec-Websocket-Protocol"); got != want {
				t.Errorf("chosen %q, agreed on %q, want %q", chosen, got, want)
			}
			synctest.Wait()
			ids, _ := gw.List(t.Context())
			info, err := gw.Info(t.Context(), ids[0])
			if got := info.Header.Values("Sec-Websocket-Protocol"); err != nil || len(got) != 1 ||
				got[0] != want || info.Subprotocol != want {
				t.Errorf("Info shows the offers %q and subprotocol %q, want %q alone: "+
					"the rest may be a token", got, info.Subprotocol, want)
			}
			if text, _ := info.MarshalJSON(); strings.Contains(string(text), "secret-token") {
				t.Errorf("the JSON has the token: %s", text)
			}
		})
	}
	bubble(t, "none agreed on", func(t *testing.T) {
		gw := quiet()
		gw.Handle("/x", gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
			if got := s.Info().Header.Get("Sec-Websocket-Protocol"); got != "secret-token" {
				t.Errorf("the own endpoint sees %q", got)
			}
			return nil
		}})
		rawConn(t, serve(t, gw)).request(head("Upgrade:",
			"Sec-WebSocket-Protocol: secret-token\r\nUpgrade:"))
		synctest.Wait()
		ids, _ := gw.List(t.Context())
		if info, err := gw.Info(t.Context(), ids[0]); err != nil ||
			info.Header.Get("Sec-Websocket-Protocol") != "" {
			t.Errorf("Info shows %v, %v", info.Header, err)
		}
	})
}

// A request that Authorize is asked about counts for the caps and is no socket.
func TestRequestsInAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan error)
		gw := gateway.New(&gateway.Options{MaxSockets: 1, Logger: slog.New(slog.DiscardHandler),
			Authorize: func(*http.Request) (*gateway.Admission, error) { return nil, <-goOn }})
		gw.Handle("/x", echo())
		srv := serve(t, gw)
		for _, verdict := range []error{gateway.ErrForbidden, nil} {
			p := rawConn(t, srv)
			p.write([]byte(head()))
			synctest.Wait()
			if st := gw.Stats(); st.Open != 0 || st.Opened != 0 {
				t.Errorf("in Authorize: %d open and %d opened, want none", st.Open, st.Opened)
			}
			wantRefused(t, srv, "/x", nil, 503, "too_many_sockets")
			goOn <- verdict
			p.response()
			synctest.Wait()
			open := 0
			if verdict == nil {
				open = 1
			}
			if st := gw.Stats(); st.Open != open {
				t.Errorf("after the verdict %v: %d open, want %d", verdict, st.Open, open)
			}
		}
	})
}
