package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// routed returns a gateway with routes that do nothing.
func routed(tb testing.TB, patterns ...string) *gateway.Handler {
	tb.Helper()
	gw := quiet()
	for _, p := range patterns {
		gw.Handle(p, gateway.Callbacks{})
	}
	return gw
}

// The most specific pattern wins; values are decoded exactly once.
func TestMatch(t *testing.T) {
	gw := routed(t, "/fixed", "/fixed/path", "/rooms/{id}", "/rooms/lobby", "/rooms/{id}/users/{user}",
		"/rooms/{id}/{$}",
		"/files/{path...}", "/files/{dir}/index", "/tree/", "/tree/{$}", "/{$}", "/caf%C3%A9", "/über")
	for path, want := range map[string]string{
		"":                        "/{$}",
		"/":                       "/{$}",
		"fixed":                   "/fixed", // as http.StripPrefix may leave it
		"/fixed":                  "/fixed",
		"/fixed/":                 "no_route",
		"/fixed/path":             "/fixed/path",
		"/fixed/pathx":            "no_route",
		"/Fixed":                  "no_route",
		"/rooms/1":                "/rooms/{id} 1",
		"/rooms/lobby":            "/rooms/lobby",
		"/rooms/%6cobby":          "/rooms/lobby",
		"/rooms/":                 "no_route",
		"/rooms/1/":               "/rooms/{id}/{$} 1",
		"/rooms/1/users/ann":      "/rooms/{id}/users/{user} 1|ann",
		"/rooms/lobby/users/ann":  "/rooms/{id}/users/{user} lobby|ann",
		"/rooms//users/ann":       "no_route",
		"/rooms/a+b%20c":          "/rooms/{id} a+b c",
		"/rooms/%252F":            "/rooms/{id} %2F",
		"/rooms/a%2Fb":            "/rooms/{id} a/b",
		"/rooms/%3Fid=1":          "/rooms/{id} ?id=1",
		"/files/":                 "/files/{path...} ",
		"/files":                  "no_route",
		"/files/a/b/c":            "/files/{path...} a/b/c",
		"/files/a/index":          "/files/{dir}/index a",
		"/files/a/b/index":        "/files/{path...} a/b/index",
		"/files//x":               "/files/{path...} /x",
		"/tree/":                  "/tree/{$}",
		"/tree/x":                 "/tree/",
		"/tree":                   "no_route", // never redirects
		"/caf%c3%a9":              "/caf%C3%A9",
		"/%C3%BCber":              "/über",
		"/rooms/..":               "no_route",
		"/rooms/.":                "no_route",
		"/rooms/%2e%2e":           "no_route",
		"/files/../rooms/1":       "no_route",
		"/files/a/%2e%2e/b":       "no_route",
		"/rooms/%ff":              "invalid_request",
		"/rooms/%00":              "invalid_request",
		"/rooms/%c0%af":           "invalid_request",
		"/rooms/%":                "invalid_request",
		"/rooms/1/users/ann/more": "no_route",
	} {
		pattern, values, err := gateway.Match(gw, path)
		got := pattern
		if len(values) > 0 {
			got += " " + strings.Join(values, "|")
		}
		if err != nil {
			got = err.Type
		}
		if got != want {
			t.Errorf("path %q matches %q, want %q", path, got, want)
		}
	}
}

// Registration panics with the pattern and the caller's line; Replace refuses.
func TestInvalidPatterns(t *testing.T) {
	for pattern, text := range map[string]string{
		"":                 "slash",
		"x":                "slash",
		"GET /x":           "method or a host",
		"example.com/x":    "method or a host",
		"//x":              "empty segment",
		"/a//b":            "empty segment",
		"/{}":              "name",
		"/{1a}":            "name",
		"/{a b}":           "name",
		"/{a}{b}":          "name",
		"/x{a}":            "whole segment",
		"/{a":              "whole segment",
		"/a}":              "whole segment",
		"/{a...}/b":        "only allowed at the end",
		"/{$}/b":           "name",
		"/{a}/{a}":         "twice",
		"/{a}/{a...}":      "twice",
		"/..":              "never match",
		"/a/./b":           "never match",
		"/%2e%2e/b":        "never match",
		"/%zz":             "never match",
		"/taken":           "conflicts",
		"/{x}/fixed":       "conflicts",
		"/rooms/{other}":   "conflicts",
		"/{any}/{rest...}": "conflicts",
	} {
		gw := routed(t, "/taken", "/a/{x}", "/rooms/{id}", "/rooms/{id}/tail/{rest...}")
		if pattern == "/{any}/{rest...}" {
			gw.Handle("/{x}/{y}/", gateway.Callbacks{})
			pattern = "/{any}/b/{c...}"
			gw.Handle("/a/{b}/{c...}", gateway.Callbacks{})
		}
		wantPanic(t, fmt.Sprintf("Handle(%q)", pattern), text, func() { gw.Handle(pattern, echo()) })
		wantPanic(t, fmt.Sprintf("Handle(%q)", pattern), "routes_test.go:",
			func() { gw.Handle(pattern, echo()) })
		err := gw.Replace("owner", []gateway.Route{{Pattern: pattern, Endpoint: echo()}})
		if !errors.Is(err, gateway.ErrInvalid) || !strings.Contains(err.Error(), text) {
			t.Errorf("Replace(%q) = %v, want invalid_request that contains %q", pattern, err, text)
		}
	}
}

func TestMistakesInRegistration(t *testing.T) {
	wantPanic(t, "Handle with nil", "nil endpoint", func() { quiet().Handle("/x", nil) })
	wantPanic(t, "HandleFunc with nil", "nil endpoint", func() { quiet().HandleFunc("/x", nil) })
	wantPanic(t, "Use after a route", "after the first route", func() { routed(t, "/x").Use() })
	wantPanic(t, "Use(nil)", "nil middleware", func() { quiet().Use(nil) })
	wantPanic(t, "a bad subprotocol", "not a token", func() {
		quiet().HandleRoute(gateway.Route{Pattern: "/x", Endpoint: echo(), Subprotocols: []string{"a b"}})
	})
	wantPanic(t, `AllowOrigins "*"`, "InsecureAnyOrigin",
		func() { gateway.New(&gateway.Options{AllowOrigins: []string{"*"}}) })
	wantPanic(t, "PerSocket(nil)", "PerSocket", func() { gateway.PerSocket(nil) })
}

// The rules are those of http.ServeMux: for random sets of patterns the same
// conflicts, for random paths the same winner.
func TestRoutesLikeServeMux(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	for range 5000 {
		var patterns []string
		for range 1 + rnd.IntN(4) {
			p := ""
			for i := range 1 + rnd.IntN(3) {
				p += "/" + pick("a", "b", fmt.Sprintf("{x%d}", i))
			}
			patterns = append(patterns, p+pick("", "", "/", "/{$}", "/{r...}"))
		}
		paths := []string{"/"}
		for range 5 {
			p := ""
			for range 1 + rnd.IntN(4) {
				p += "/" + pick("a", "b", "c", "a%2Fb", "%61")
			}
			paths = append(paths, p+pick("", "/"))
		}
		compareWithServeMux(t, patterns, paths)
	}
}

func FuzzRoutes(f *testing.F) {
	f.Add("/a\n/{x}\n/a/{r...}", "/a\n/a/b/c")
	f.Add("/{x}/b\n/a/{y}", "/a/b")
	f.Add("/a/{$}\n/a/", "/a/\n/a/b")
	f.Fuzz(func(t *testing.T, patterns, paths string) {
		compareWithServeMux(t, strings.Split(patterns, "\n"), strings.Split(paths, "\n"))
	})
}

// compareWithServeMux registers the patterns with both until one refuses, and
// then matches the paths.
func compareWithServeMux(t *testing.T, patterns, paths []string) {
	t.Helper()
	mux, gw := http.NewServeMux(), quiet()
	for i, p := range patterns {
		if !strings.HasPrefix(p, "/") ||
			strings.ContainsFunc(p, func(c rune) bool { return c <= 0x20 || c >= 0x7f || c == '%' }) ||
			strings.Count(p, "{") != strings.Count(p, "}") || strings.Contains(p, "//") ||
			path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/" {
			return // a method, a host, or what only one of the two lets pass
		}
		var muxErr any
		func() {
			defer func() { muxErr = recover() }()
			mux.Handle(p, http.NotFoundHandler())
		}()
		err := gw.Replace(fmt.Sprint(i), []gateway.Route{{Pattern: p, Endpoint: echo()}})
		if (err != nil) != (muxErr != nil) {
			t.Fatalf("after %q, pattern %q: the gateway says %v, http.ServeMux says %v", patterns[:i], p,
				err, muxErr)
		}
		if err != nil {
			return
		}
	}
	for _, p := range paths {
		r, err := http.NewRequest(http.MethodGet, "http://h/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.URL, err = r.URL.Parse("http://h/" + strings.TrimPrefix(p, "/")); err != nil ||
			strings.ContainsAny(p, "?#") {
			continue
		}
		handler, want := mux.Handler(r)
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path ||
			fmt.Sprintf("%T", handler) == "*http.redirectHandler" {
			continue // the gateway never redirects
		}
		got, values, refused := gateway.Match(gw, r.URL.EscapedPath())
		if got != want && (refused == nil || refused.Is(gateway.ErrNoRoute)) {
			t.Fatalf("of %q, path %q matches %q, http.ServeMux says %q", patterns, p, got, want)
		}
		if n := strings.Count(strings.ReplaceAll(got, "{$}", ""), "{"); len(values) != n {
			t.Fatalf("of %q, path %q has the values %q for pattern %q", patterns, p, values, got)
		}
	}
}

// Behind any mux, as its fallback, and behind StripPrefix.
func TestMounting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		r := &recorder{}
		gw.Handle("/{$}", r)
		gw.Handle("/rooms/{id}", r)
		mux := http.NewServeMux()
		mux.Handle("/ws/", http.StripPrefix("/ws", gw))
		mux.Handle("/ws", http.StripPrefix("/ws", gw))
		mux.Handle("/v1/{tenant}/", http.StripPrefix("/v1/acme", gw))
		mux.Handle("/", gw)
		mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {})
		srv := serveHandler(t, mux, gw)
		for path, want := range map[string]string{
			"/ws":                   "/{$} ",
			"/ws/":                  "/{$} ",
			"/ws/rooms/1":           "/rooms/{id} 1",
			"/ws/rooms/a%2Fb":       "/rooms/{id} a/b",
			"/v1/acme/rooms/x?id=7": "/rooms/{id} x",
			"/rooms/2":              "/rooms/{id} 2",
		} {
			p := srv.Dial(t, path)
			synctest.Wait()
			s := r.socket()
			if got := s.Info().Route + " " + s.PathValue("id"); got != want {
				t.Errorf("%s reached %q, want %q", path, got, want)
			}
			if got := s.Info().URI; got != "ws://gateway.test"+path {
				t.Errorf("Info().URI for %s = %q, want it as the client sent it", path, got)
			}
			p.Close(1000, "")
		}
		wantRefused(t, srv, "/nowhere", nil, 404, "no_route")
	})
}

// Replace: all or nothing, per owner; open sockets keep the endpoint they opened
// on, and are closed when their pattern is gone.
func TestReplace(t *testing.T) {
	says := func(text string) gateway.Endpoint {
		return gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket, _ gateway.Message) error {
			return s.Send(ctx, gateway.Text(text))
		}}
	}
	routes := func(text string, patterns ...string) (all []gateway.Route) {
		for _, p := range patterns {
			all = append(all, gateway.Route{Pattern: p, Endpoint: says(text)})
		}
		return all
	}
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/fixed", says("fixed"))
		srv := serve(t, gw)
		ask := func(path, want string) {
			t.Helper()
			p := srv.Dial(t, path)
			p.Send(gateway.Text("?"))
			wantText(t, p, want)
			p.Close(1000, "")
		}
		wantErr(t, "Replace a", gw.Replace("a", routes("a1", "/a", "/shared")), nil)
		wantErr(t, "Replace b with a's pattern", gw.Replace("b", routes("b1", "/b", "/shared")),
			gateway.ErrInvalid)
		wantErr(t, "Replace b with a fixed pattern", gw.Replace("b", routes("b1", "/fixed")),
			gateway.ErrInvalid)
		wantErr(t, "Replace b with one of its own twice", gw.Replace("b", routes("b1", "/b", "/b")),
			gateway.ErrInvalid)
		wantErr(t, "Replace b without an endpoint", gw.Replace("b", []gateway.Route{{Pattern: "/b"}}),
			gateway.ErrInvalid)
		wantRefused(t, srv, "/b", nil, 404, "no_route") // none of a refused set
		ask("/a", "a1")
		old, gone := srv.Dial(t, "/a"), srv.Dial(t, "/shared")
		synctest.Wait()
		wantErr(t, "Replace a", gw.Replace("a", routes("a2", "/a", "/new")), nil)
		wantClosed(t, gone, 1012, "route_removed")
		old.Send(gateway.Text("?"))
		wantText(t, old, "a1") // it opened on that
		ask("/a", "a2")
		ask("/new", "a2")
		ask("/fixed", "fixed")
		wantErr(t, "Replace b", gw.Replace("b", routes("b2", "/shared")), nil)
		ask("/shared", "b2")
		wantErr(t, "Replace a with nothing", gw.Replace("a", nil), nil)
		wantClosed(t, old, 1012, "route_removed")
		wantRefused(t, srv, "/a", nil, 404, "no_route")
		if n := gw.Stats().Closed[gateway.CauseRouteRemoved]; n != 2 {
			t.Errorf("Stats().Closed[route_removed] = %d, want 2", n)
		}
	})
}

// The pattern moves to another owner in two steps: sockets of the first owner
// are closed, for the endpoint behind the pattern is another's.
func TestReplaceByAnotherOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		wantErr(t, "Replace a", gw.Replace("a", []gateway.Route{{Pattern: "/x", Endpoint: r}}), nil)
		p := serve(t, gw).Dial(t, "/x")
		synctest.Wait()
		wantErr(t, "Replace a with nothing", gw.Replace("a", nil), nil)
		wantErr(t, "Replace b", gw.Replace("b", []gateway.Route{{Pattern: "/x", Endpoint: echo()}}), nil)
		wantClosed(t, p, 1012, "route_removed")
		r.expect(t, "open", `close route_removed 1012 "route_removed"`)
	})
}

// No socket stays on a route that is gone, at whatever moment of its upgrade the
// route goes.
func TestReplaceWhileUpgrading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inAuthorize, goOn := make(chan struct{}), make(chan struct{})
		gw := quiet()
		r := &recorder{}
		wantErr(t, "Replace",
			gw.Replace("a",
				[]gateway.Route{{Pattern: "/x", Endpoint: r,
					Authorize: func(*http.Request) (*gateway.Admission, error) {
						inAuthorize <- struct{}{}
						<-goOn
						return nil, nil
					}}}), nil)
		srv := serve(t, gw)
		p := rawConn(t, srv)
		p.write([]byte(head()))
		<-inAuthorize
		wantErr(t, "Replace with nothing", gw.Replace("a", nil), nil)
		goOn <- struct{}{}
		p.response()
		p.wantClose(1012, "route_removed")
		p.conn.Close()
		r.expect(t, "open", `close route_removed 1012 "route_removed"`)
		if n := gw.Stats().Open; n != 0 {
			t.Errorf("%d sockets are open on a route that is gone, want 0", n)
		}
	})
}

// Many sockets come while routes come and go; -race looks on.
func TestReplaceUnderLoad(t *testing.T) {
	gw := quiet()
	var opened, closed atomic.Int64
	ep := gateway.EndpointFunc(func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		switch ev.Type {
		case gateway.EventOpen:
			opened.Add(1)
		case gateway.EventClose:
			closed.Add(1)
		}
		return nil
	})
	srv := serveTCP(t, gw, false)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			var routes []gateway.Route
			if i%2 == 0 {
				routes = []gateway.Route{{Pattern: "/x", Endpoint: ep}}
			}
			if err := gw.Replace("a", routes); err != nil {
				t.Errorf("Replace = %v", err)
			}
		}
	})
	for range 4 {
		wg.Go(func() {
			for range 50 {
				p := dialTCP(t, srv)
				if resp := p.request(head()); resp.StatusCode == 101 {
					p.write(masked(0x81, "hello"))
					p.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
					p.read()
				}
				p.conn.Close()
			}
		})
	}
	time.AfterFunc(400*time.Millisecond, func() { close(stop) })
	wg.Wait()
	wantErr(t, "Replace with nothing", gw.Replace("a", nil), nil)
	wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
	if opened.Load() != closed.Load() || gw.Stats().Opened < uint64(opened.Load()) {
		t.Errorf("%d open events, %d close events, %d opened, want as many closes as opens",
			opened.Load(), closed.Load(), gw.Stats().Opened)
	}
}
