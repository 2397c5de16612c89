package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// head is an upgrade request; edits are pairs of old and new text.
func head(edits ...string) string {
	h := "GET /x HTTP/1.1\r\nHost: gateway.test\r\n" + upgradeFields + "\r\n"
	return strings.NewReplacer(edits...).Replace(h)
}

// Every refusal has its status, the error object, and the fields that go with
// its status.
func TestRefusals(t *testing.T) {
	const end = "\r\n\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
		typ     string
		fields  map[string]string
	}{
		"no route": {head("/x", "/nowhere"), 404, "no_route", nil},
		"no route before upgrade_required": {"GET /nowhere HTTP/1.1\r\nHost: h" + end, 404, "no_route",
			nil},
		"no upgrade": {"GET /x HTTP/1.1\r\nHost: h" + end, 426, "upgrade_required",
			map[string]string{"Upgrade": "websocket", "Connection": "Upgrade"}},
		"POST without upgrade": {"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 0" + end, 426,
			"upgrade_required", nil},
		"HTTP/1.0":      {head("HTTP/1.1", "HTTP/1.0"), 426, "upgrade_required", nil},
		"no Connection": {head("Connection: Upgrade\r\n", ""), 426, "upgrade_required", nil},
		"wrong Connection": {head("Connection: Upgrade", "Connection: close"), 426, "upgrade_required",
			nil},
		"version 8": {head("Version: 13", "Version: 8"), 426, "upgrade_required",
			map[string]string{"Sec-Websocket-Version": "13"}},
		"no version": {head("Sec-WebSocket-Version: 13\r\n", ""), 426, "upgrade_required",
			map[string]string{"Sec-Websocket-Version": "13"}},
		"two versions": {head("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n"), 426,
			"upgrade_required", nil},
		"another protocol": {head("Upgrade: websocket", "Upgrade: h2c"), 501, "not_implemented", nil},
		"POST": {head("GET", "POST"), 405, "method_not_allowed",
			map[string]string{"Allow": "GET"}},
		"PUT": {head("GET", "PUT"), 405, "method_not_allowed", map[string]string{"Allow": "GET"}},
		"no key": {head("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "invalid_request",
			nil},
		"two keys": {head("Sec-WebSocket-Key:",
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Key:"),
			400, "invalid_request", nil},
		"short key": {head("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ=="), 400,
			"invalid_request", nil},
		"long key": {head("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSBhbmQ="), 400,
			"invalid_request", nil},
		"key not base64": {head("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="), 400,
			"invalid_request", nil},
		"foreign origin": {head("Upgrade:", "Origin: https://evil.example\r\nUpgrade:"), 403,
			"forbidden", nil},
		"body announced": {head("Upgrade:", "Content-Length: 5\r\nUpgrade:"), 400, "invalid_request",
			map[string]string{"Connection": "close"}},
		"chunked body": {head("Upgrade:", "Transfer-Encoding: chunked\r\nUpgrade:"), 400,
			"invalid_request", map[string]string{"Connection": "close"}},
		"body, no route": {head("/x", "/nowhere", "Upgrade:", "Content-Length: 5\r\nUpgrade:"), 404,
			"no_route", map[string]string{"Connection": "close"}},
		"body, POST": {head("GET", "POST", "Upgrade:", "Content-Length: 5\r\nUpgrade:"), 405,
			"method_not_allowed", map[string]string{"Connection": "close", "Allow": "GET"}},
		"body, no upgrade": {"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5" + end, 426,
			"upgrade_required", map[string]string{"Connection": "close"}},
		"NUL in the path":    {head("/x", "/x%00"), 400, "invalid_request", nil},
		"path not UTF-8":     {head("/x", "/%ff"), 400, "invalid_request", nil},
		"NUL in the query":   {head("/x", "/x?a=%00"), 400, "invalid_request", nil},
		"query not UTF-8":    {head("/x", "/x?%ff=a"), 400, "invalid_request", nil},
		"bad percent":        {head("/x", "/x?a=%zz"), 400, "invalid_request", nil},
		"Authorize forbids":  {head("/x", "/forbid"), 403, "forbidden", nil},
		"Authorize's own":    {head("/x", "/teapot"), 418, "teapot", nil},
		"Authorize fails":    {head("/x", "/fail"), 500, "internal", nil},
		"Authorize misuses":  {head("/x", "/misuse"), 500, "internal", nil},
		"Authorize, timeout": {head("/x", "/timeout"), 504, "timeout", nil},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
			gw.Handle("/x", echo())
			for pattern, err := range map[string]error{
				"/forbid": gateway.ErrForbidden, "/fail": errors.New("secret"),
				"/timeout": fmt.Errorf("asking http://secret: %w", context.DeadlineExceeded),
				"/teapot":  &gateway.Error{Type: "teapot", Status: 418, Message: "short and stout"},
				"/misuse":  &gateway.Error{Type: "fine", Status: 200, Message: "secret"},
			} {
				gw.HandleRoute(gateway.Route{Pattern: pattern, Endpoint: echo(),
					Authorize: func(*http.Request) (*gateway.Admission, error) { return nil, err }})
			}
			p := rawConn(t, serve(t, gw))
			resp := p.request(c.request)
			body, err := io.ReadAll(resp.Body)
			if err != nil || strings.Contains(string(body), "secret") {
				t.Errorf("the answer's body is %q, %v, want no inner text", body, err)
			}
			resp.Body = io.NopCloser(strings.NewReader(string(body)))
			wantErrorObject(t, resp, c.status, c.typ)
			for name, want := range c.fields {
				if got := resp.Header.Get(name); got != want &&
					!(name == "Connection" && want == "close" && resp.Close) {
					t.Errorf("field %s = %q, want %q", name, got, want)
				}
			}
			if c.fields["Connection"] == "close" {
				p.wantClose(0, "") // the body never comes, the server does not wait for it
			}
			if st := gw.Stats(); st.Refused[c.typ] != 1 || st.Opened != 0 || st.Open != 0 {
				t.Errorf("Stats: refused %v, %d opened, %d open, want one %s", st.Refused, st.Opened, st.Open,
					c.typ)
			}
		})
	}
}

// What a good request may look like, and what it is answered with.
func TestAccepts(t *testing.T) {
	for name, request := range map[string]string{
		"plain": head(),
		"tokens in a list": head("Connection: Upgrade", "Connection: keep-alive, upgrade",
			"Upgrade: websocket", "Upgrade: foo, WebSocket"),
		"Content-Length: 0": head("Upgrade:", "Content-Length: 0\r\nUpgrade:"),
		"absolute form":     head("GET /x", "GET http://gateway.test/x"),
		"trailing query":    head("/x", "/x?"),
	} {
		bubble(t, name, func(t *testing.T) {
			gw := quiet()
			gw.Handle("/x", echo())
			p := rawConn(t, serve(t, gw))
			resp := p.request(request)
			// The sample of RFC 6455, section 1.3.
			if resp.StatusCode != 101 ||
				resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
				resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Connection") != "Upgrade" {
				t.Errorf("the answer is %s %v, want 101 with the key of RFC 6455", resp.Status, resp.Header)
			}
			p.write(masked(0x81, "hello"))
			if first, payload := p.read(); first != 0x81 || payload != "hello" {
				t.Errorf("echo = %#x %q, want hello", first, payload)
			}
		})
	}
}

// Frames that come in the same packet as the request are not lost.
func TestEarlyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/x", echo())
		p := rawConn(t, serve(t, gw))
		p.request(head() + string(masked(0x81, "first")) + string(masked(0x81, "second"))[:4])
		p.write(masked(0x81, "second")[4:])
		for _, want := range []string{"first", "second"} {
			if _, payload := p.read(); payload != want {
				t.Errorf("echo = %q, want %q", payload, want)
			}
		}
	})
}

func TestSubprotocols(t *testing.T) {
	for offered, want := range map[string]string{
		"":                                 "",
		"v1":                               "v1",
		"v1, v2":                           "v2", // our order counts
		"other":                            "",
		"other, v1":                        "v1",
		"V2":                               "",
		"v1\r\nSec-WebSocket-Protocol: v2": "v2",
	} {
		bubble(t, offered, func(t *testing.T) {
			gw, r := quiet(), &recorder{}
			gw.HandleRoute(gateway.Route{Pattern: "/x", Endpoint: r, Subprotocols: []string{"v2", "v1"}})
			p := rawConn(t, serve(t, gw))
			request := head()
			if offered != "" {
				request = head("Upgrade:", "Sec-WebSocket-Protocol: "+offered+"\r\nUpgrade:")
			}
			resp := p.request(request)
			if got := resp.Header.Values("Sec-Websocket-Protocol"); strings.Join(got, "|") != want {
				t.Errorf("the answer to subprotocols %q names %q, want %q", offered, got, want)
			}
			synctest.Wait()
			if got := r.socket().Info().Subprotocol; got != want {
				t.Errorf("Info().Subprotocol = %q, want %q", got, want)
			}
		})
	}
}

// RFC 7692, section 7.1: an invalid offer is declined, the next one may do.
func TestCompressionOffers(t *testing.T) {
	for offer, accepted := range map[string]bool{
		"permessage-deflate":                         true,
		"permessage-deflate; client_max_window_bits": true,
		"permessage-deflate; client_max_window_bits=15; server_no_context_takeover":  true,
		`permessage-deflate; client_max_window_bits="10"`:                            true,
		"permessage-deflate; server_max_window_bits=15":                              true,
		"permessage-deflate; server_max_window_bits=10":                              false,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":          true,
		`foo; a="x, permessage-deflate, y"`:                                          false, // a value
		`foo; a="\", permessage-deflate, y"`:                                         false,
		`foo; a="x, y", permessage-deflate; server_max_window_bits="15"`:             true,
		`permessage-deflate; client_max_window_bits="15`:                             false,
		"permessage-deflate; client_max_window_bits=7":                               false,
		"permessage-deflate; client_max_window_bits=08":                              false,
		"permessage-deflate; client_max_window_bits=16":                              false,
		"permessage-deflate; server_no_context_takeover=1":                           false,
		"permessage-deflate; unknown":                                                false,
		"permessage-deflate; client_no_context_takeover; client_no_context_takeover": false,
		"x-webkit-deflate-frame":                                                     false,
		"":                                                                           false,
	} {
		bubble(t, offer, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{Compression: true, Logger: slog.New(slog.DiscardHandler)})
			gw.Handle("/x", echo())
			resp := rawConn(t,
				serve(t, gw)).request(head("Upgrade:", "Sec-WebSocket-Extensions: "+offer+"\r\nUpgrade:"))
			if got := resp.Header.Get("Sec-Websocket-Extensions"); resp.StatusCode != 101 ||
				strings.HasPrefix(got, "permessage-deflate") != accepted {
				t.Errorf("the answer to %q is %s with %q, want it accepted: %v", offer, resp.Status, got,
					accepted)
			}
			promised := strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"),
				"server_max_window_bits=15")
			if asked := strings.Contains(offer, "server_max_window_bits") &&
				!strings.HasSuffix(offer, ", permessage-deflate"); promised != (accepted && asked) {
				t.Errorf("the answer to %q promises the server's window: %v (RFC 7692, section 7.1.2.1)", offer,
					promised)
			}
		})
	}
	bubble(t, "off", func(t *testing.T) {
		gw := quiet()
		gw.Handle("/x", echo())
		resp := rawConn(t,
			serve(t, gw)).request(head("Upgrade:",
			"Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade:"))
		if got := resp.Header.Get("Sec-Websocket-Extensions"); got != "" {
			t.Errorf("without Options.Compression the answer has the extension %q, want none", got)
		}
	})
}

// What middleware set on the ResponseWriter is in the answer, and cannot break it.
func TestMiddlewareHeadersReachTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/x", echo())
		serve(t, gw) // ends the gateway
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("X-Evil", "a\r\nInjected: yes")
			w.Header().Set("Upgrade", "nonsense")
			w.Header().Set("Content-Length", "10")
			gw.ServeHTTP(w, r)
		})
		resp := rawConn(t, serveHandler(t, h)).request(head())
		if resp.StatusCode != 101 || resp.Header.Get("Set-Cookie") != "a=b" ||
			resp.Header.Get("Injected") != "" ||
			len(resp.Header.Values("Upgrade")) != 1 || resp.Header.Get("Content-Length") != "" {
			t.Errorf("the answer is %s with %v, want Set-Cookie kept and nothing injected", resp.Status,
				resp.Header)
		}
	})
}

// Authorize: after every other check, with our pattern and values, both hooks.
func TestAuthorize(t *testing.T) {
	bubble(t, "sees our pattern and path values", func(t *testing.T) {
		var seen []string
		hook := func(name string) func(r *http.Request) (*gateway.Admission, error) {
			return func(r *http.Request) (*gateway.Admission, error) {
				seen = append(seen, name, r.Pattern, r.PathValue("id"), r.Header.Get("X-Token"))
				r.Header.Set("X-Token", "changed") // a copy: reaches nobody
				return &gateway.Admission{Values: map[string]string{name: "1", "who": name}}, nil
			}
		}
		gw := gateway.New(&gateway.Options{Authorize: hook("options"),
			Logger: slog.New(slog.DiscardHandler)})
		r := &recorder{}
		gw.HandleRoute(gateway.Route{Pattern: "/rooms/{id}", Endpoint: r, Authorize: hook("route")})
		mux := http.NewServeMux()
		mux.Handle("/{theirs...}", gw)
		p := rawConn(t, serveHandler(t, mux, gw))
		p.request(head("/x", "/rooms/a%20b", "Upgrade:", "X-Token: t\r\nUpgrade:"))
		if got, want := strings.Join(seen,
			","), "options,/rooms/{id},a b,t,route,/rooms/{id},a b,t"; got != want {
			t.Errorf("the hooks saw %s, want %s", got, want)
		}
		synctest.Wait()
		s := r.socket()
		if s.Value("options") != "1" || s.Value("route") != "1" || s.Value("who") != "route" ||
			s.Value("none") != "" {
			t.Errorf("values = %v, want both hooks' and the route's where they disagree", s.Info().Values)
		}
		if got := s.Info().Header.Get("X-Token"); got != "t" {
			t.Errorf("Info().Header[X-Token] = %q, want what the client sent", got)
		}
		p.conn.Close()
	})
	bubble(t, "is not asked about a bad request", func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Authorize: func(*http.Request) (*gateway.Admission, error) {
			t.Error("Authorize was asked")
			return nil, nil
		}})
		gw.Handle("/x", echo())
		srv := serve(t, gw)
		for _, request := range []string{head("Version: 13", "Version: 9"), head("GET", "POST"),
			head("Upgrade:", "Origin: http://x\r\nUpgrade:")} {
			rawConn(t, srv).request(request)
		}
		gw.Shutdown(t.Context())
		rawConn(t, srv).request(head())
	})
	bubble(t, "the values are copied", func(t *testing.T) {
		shared := map[string]string{"user": "ann"}
		gw := gateway.New(&gateway.Options{Authorize: func(*http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Values: shared}, nil
		}})
		s, _ := open(t, gw, &recorder{})
		shared["user"] = "bob"
		info := s.Info()
		info.Values["user"] = "eve"
		if got := s.Value("user"); got != "ann" {
			t.Errorf("Value(user) = %q after others changed their maps, want ann", got)
		}
	})
	bubble(t, "a second hook that refuses", func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Authorize: func(*http.Request) (*gateway.Admission, error) {
			return nil, gateway.ErrUnauthorized
		}})
		gw.HandleRoute(gateway.Route{Pattern: "/", Endpoint: echo(),
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				t.Error("the route's hook was asked after the first had refused")
				return nil, nil
			}})
		wantRefused(t, serve(t, gw), "/", nil, 401, "unauthorized")
	})
	bubble(t, "a typed nil error", func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				var e *gateway.Error
				return nil, e
			}})
		gw.Handle("/", echo())
		wantRefused(t, serve(t, gw), "/", nil, 500, "internal")
	})
}

// A ResponseWriter that hides the connection is named; Unwrap helps.
func TestResponseWriters(t *testing.T) {
	gw := quiet()
	gw.Handle("/x", echo())
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	for name, v := range map[string]string{"Upgrade": "websocket", "Connection": "Upgrade",
		"Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, v)
	}
	w := httptest.NewRecorder()
	gw.ServeHTTP(w, r)
	if body := w.Body.String(); w.Code != 500 || !strings.Contains(body, "ResponseRecorder") ||
		!strings.Contains(body, `"internal"`) {
		t.Errorf("through a writer that cannot be taken over: %d %s, want 500 that names its type",
			w.Code, body)
	}
	if n := gw.Stats().Open; n != 0 {
		t.Errorf("Stats().Open = %d, want 0", n)
	}
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/x", echo())
		wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			gw.ServeHTTP(wrappedWriter{w}, r)
		})
		if resp := rawConn(t, serveHandler(t, wrapped, gw)).request(head()); resp.StatusCode != 101 {
			t.Errorf("through a writer with Unwrap: %s, want 101", resp.Status)
		}
	})
}

type wrappedWriter struct{ w http.ResponseWriter }

func (w wrappedWriter) Header() http.Header         { return w.w.Header() }
func (w wrappedWriter) Write(p []byte) (int, error) { return w.w.Write(p) }
func (w wrappedWriter) WriteHeader(code int)        { w.w.WriteHeader(code) }
func (w wrappedWriter) Unwrap() http.ResponseWriter { return w.w }

// HTTP/2 gets 501 that names it.
func TestHTTP2(t *testing.T) {
	gw := quiet()
	gw.Handle("/x", echo())
	srv := httptest.NewUnstartedServer(gw)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.ProtoMajor != 2 || resp.StatusCode != 501 || !strings.Contains(string(body), "HTTP/2") {
		t.Errorf("over HTTP/%d: %s %s, want 501 that names HTTP/2", resp.ProtoMajor, resp.Status, body)
	}
}

// An answer that the client does not take does not hold ServeHTTP for ever, and
// a request whose headers never end is the server's to cut.
func TestHandshakeThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/x", r)
		p := rawConn(t, serve(t, gw))
		p.write([]byte(head()))
		p.conn.Close()
		synctest.Wait()
		time.Sleep(time.Second)
		if st := gw.Stats(); st.Open != 0 {
			t.Errorf("Stats().Open = %d after a client left during the handshake, want 0", st.Open)
		}
	})
}

func TestHealth(t *testing.T) {
	gw := quiet()
	check := func(when string, status int, body string) {
		t.Helper()
		w := httptest.NewRecorder()
		gw.ServeHealth(w, httptest.NewRequest(http.MethodGet, "/api/v1/solution/health", nil))
		if w.Code != status || body != "" && w.Body.String() != body {
			t.Errorf("%s, health = %d %q, want %d %q", when, w.Code, w.Body, status, body)
		}
	}
	check("at first", 200, "OK")
	gw.SetReady(false)
	check("after SetReady(false)", 503, "")
	gw.SetReady(true)
	check("after SetReady(true)", 200, "OK")
	gw.Shutdown(t.Context())
	check("after Shutdown", 503, "")
	gw.SetReady(true)
	check("after Shutdown and SetReady(true)", 503, "")
}
