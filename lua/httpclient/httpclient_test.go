package httpclient_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/httpclient"
	"github.com/wsgateway/gateway/lua/luatest"
)

// serve starts a server on the loopback and returns its URL and address.
func serve(t *testing.T, h http.HandlerFunc) (url, address string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL, strings.TrimPrefix(srv.URL, "http://")
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Seen", r.Header.Get("X-Api-Key"))
	w.Header().Add("X-Twice", "a")
	w.Header().Add("X-Twice", "b")
	w.WriteHeader(201)
	fmt.Fprintf(w, "%s %s [%s] %s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), body)
}

func newClient(t *testing.T, opts httpclient.Options) *httpclient.Client {
	t.Helper()
	opts.InsecurePrivateAddresses = true
	c := httpclient.New(&opts)
	t.Cleanup(c.Close)
	return c
}

// A script calls a server, through a socket.
func TestScriptsCall(t *testing.T) {
	url, address := serve(t, echo)
	client := newClient(t, httpclient.Options{Allow: []string{address}})
	script := `--#ENDPOINT WEBSOCKET /x
if websocketInfo.type ~= "data" then return end
local http, url = Http, websocketInfo.message
local out = {}
local function add(r) out[#out + 1] = r.error and r.type or r.status_code .. " " .. r.body end
add(Http.get{url = url .. "/a?b=1"})
add(Http.get{url = url, query = {n = 1000000, s = "x y", b = true}})
local headers = {["content-type"] = "text/plain", ["X-Api-Key"] = "k"}
add(Http.post{url = url, body = "text", headers = headers})
add(Http.put{url = url, body = {a = {1, 2}}})
add(Http:delete{url = url})
add(Http.patch{url = url, body = ""})
add(Http.request{url = url, method = "options"})
add(Http.request{url = url})
add(Http.get{url = "http://elsewhere.example/"})
add(Http.get{})
local r = Http.head{url = url, headers = {["X-Api-Key"] = "k"}}
out[#out + 1] = r.headers["x-seen"] .. r.headers["x-twice"] .. #r.body
return table.concat(out, "\n")`
	got, err := luatest.Run(
		luatest.Files("a.lua", script),
		&lua.Options{Services: map[string]lua.Service{"Http": client.Service()}},
		luatest.Event{Path: "/x", Message: gateway.Text(url)},
	)
	want := strings.Join([]string{
		"201 GET /a?b=1 [] ", "201 GET /?b=true&n=1000000&s=x+y [] ", "201 POST / [text/plain] text",
		`201 PUT / [application/json] {"a":[1,2]}`,
		"201 DELETE / [] ", "201 PATCH / [] ", "201 OPTIONS / [] ", "201 GET / [] ", "forbidden",
		"invalid_request", "ka, b0",
	}, "\n")
	if err != nil || got.Err != nil || len(got.Replies) != 1 || got.Texts()[0] != want {
		t.Errorf("Run = %v, %v, %v; want\n%s", got.Texts(), got.Err, err, want)
	}
}

func TestRefused(t *testing.T) {
	url, address := serve(t, echo)
	c := newClient(
		t,
		httpclient.Options{
			Allow:   []string{address, "*.example.com", "host.test:*", "port.test:81", "[::1]:5"},
			MaxBody: 8,
		},
	)
	for _, r := range []struct {
		r    httpclient.Request
		want *gateway.Error
	}{
		{httpclient.Request{URL: "http://example.com/"}, gateway.ErrForbidden},
		{httpclient.Request{URL: "http://evilexample.com/"}, gateway.ErrForbidden},
		{httpclient.Request{URL: "http://a.example.com:8080/"}, gateway.ErrForbidden},
		{httpclient.Request{URL: "http://port.test/"}, gateway.ErrForbidden},
		{httpclient.Request{URL: "http://sub.host.test/"}, gateway.ErrForbidden},
		{httpclient.Request{URL: "http://" + address + "@evil.test/"}, gateway.ErrForbidden},
		{httpclient.Request{URL: "http://[::1]/"}, gateway.ErrForbidden},
		{httpclient.Request{URL: "file:///etc/passwd"}, gateway.ErrInvalid},
		{httpclient.Request{URL: "gopher://" + address}, gateway.ErrInvalid},
		{httpclient.Request{URL: "//" + address}, gateway.ErrInvalid},
		{httpclient.Request{URL: "http:" + address}, gateway.ErrInvalid},
		{httpclient.Request{URL: "http://%zz/"}, gateway.ErrInvalid},
		{httpclient.Request{URL: url, Method: "BAD METHOD"}, gateway.ErrInvalid},
		{httpclient.Request{URL: url, Method: "connect"}, gateway.ErrInvalid},
		{httpclient.Request{URL: url, Headers: map[string]string{"host": "x"}}, gateway.ErrInvalid},
		{httpclient.Request{URL: url, Headers: map[string]string{"transfer-encoding": "chunked"}},
			gateway.ErrInvalid},
		{httpclient.Request{URL: url, Headers: map[string]string{"A": "x\r\nB: y"}}, gateway.ErrInvalid},
		{httpclient.Request{URL: url, Headers: map[string]string{"A b": "x"}}, gateway.ErrInvalid},
		{httpclient.Request{URL: url, Query: map[string]any{"a": []any{}}}, gateway.ErrInvalid},
		{httpclient.Request{URL: url, Body: "123456789"}, gateway.ErrTooLarge},
		{httpclient.Request{URL: url}, gateway.ErrTooLarge}, // what echo answers
	} {
		if resp, err := c.Do(t.Context(), r.r); !errors.Is(err, r.want) {
			t.Errorf("Do(%+v) = %v, %v; want %s", r.r, resp, err, r.want.Type)
		}
	}
	if _, err := httpclient.New(nil).Do(t.Context(),
		httpclient.Request{URL: "https://example.com/"}); !errors.Is(
		err,
		gateway.ErrForbidden,
	) {
		t.Errorf("without options: %v, want forbidden", err)
	}
	for _, entry := range []string{"", "http://a", "a/b", "a:", "*.", "a*", "a b"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New with %q did not panic", entry)
				}
			}()
			httpclient.New(&httpclient.Options{Allow: []string{entry}})
		}()
	}
}

// Names that lead to private addresses are refused where they are dialed.
func TestPrivateAddresses(t *testing.T) {
	url, address := serve(t, echo)
	_, port, _ := net.SplitHostPort(address)
	c := httpclient.New(&httpclient.Options{Allow: []string{"*"}})
	defer c.Close()
	for _, u := range []string{url, "http://localhost:" + port, "http://[::ffff:127.0.0.1]:" + port,
		"http://[::1]:" + port, "http://0.0.0.0:" + port} {
		_, err := c.Do(t.Context(), httpclient.Request{URL: u})
		if !errors.Is(err, gateway.ErrForbidden) &&
			!(strings.Contains(u, "localhost") && errors.Is(err, gateway.ErrUnreachable)) {
			t.Errorf("Do(%s) = %v, want forbidden", u, err)
		}
		if err != nil && strings.Contains(err.Error(), "dial") {
			t.Errorf("Do(%s) = %v, which tells of addresses", u, err)
		}
	}
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "2606:4700::1111": true, "93.184.215.14": true,
		"127.0.0.1": false, "127.9.9.9": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false,
		"224.0.0.1": false, "255.255.255.255": false,
		"240.0.0.1": false, "198.18.0.1": false, "192.0.0.8": false, "192.88.99.1": false, "::": false,
		"::1": false, "::7f00:1": false,
		"::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "fe80::1": false, "fe80::1%eth0": false,
		"fc00::1": false, "fd12::1": false,
		"ff02::1": false, "64:ff9b::a00:1": false, "2002:7f00:1::": false, "2001::1": false,
		"2001:db8::1": false, "fec0::1": false,
	} {
		if got := httpclient.Public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("public(%s) = %t, want %t", addr, got, want)
		}
	}
}

func TestRedirects(t *testing.T) {
	var otherSaw http.Header
	other, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		otherSaw = r.Header.Clone()
		fmt.Fprint(w, "other")
	})
	var url string
	url, address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/other":
			http.Redirect(w, r, other, http.StatusFound)
		case "/self":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/file":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(302)
		default:
			fmt.Fprint(w, r.URL.Path+r.Header.Get("X-Api-Key"))
		}
	})
	headers := map[string]string{
		"X-Api-Key":     "secret",
		"Authorization": "secret",
		"Cookie":        "secret",
		"Accept":        "text/plain",
	}
	only := newClient(t, httpclient.Options{Allow: []string{address}})
	both := newClient(
		t,
		httpclient.Options{Allow: []string{address, strings.TrimPrefix(other, "http://")}},
	)
	for _, c := range []struct {
		client *httpclient.Client
		path   string
		body   string
		want   error
	}{
		{only, "/other", "", gateway.ErrForbidden},
		{only, "/self", "/endsecret", nil},
		{only, "/loop", "", gateway.ErrUnreachable},
		{only, "/file", "", gateway.ErrInvalid},
		{both, "/other", "other", nil},
	} {
		resp, err := c.client.Do(t.Context(), httpclient.Request{URL: url + c.path, Headers: headers})
		if !errors.Is(err, c.want) || err == nil && string(resp.Body) != c.body {
			t.Errorf("Do(%s) = %+v, %v; want %q, %v", c.path, resp, err, c.body, c.want)
		}
	}
	if otherSaw.Get("X-Api-Key")+otherSaw.Get("Authorization")+otherSaw.Get("Cookie") != "" ||
		otherSaw.Get("Accept") != "text/plain" {
		t.Errorf("the other server saw %v", otherSaw)
	}
}

// From https no redirect leads to http.
func TestRedirectOutOfTLS(t *testing.T) {
	plain, plainAddress := serve(t, echo)
	srv := httptest.NewTLSServer(http.RedirectHandler(plain, http.StatusFound))
	defer srv.Close()
	c := newClient(t, httpclient.Options{
		Allow: []string{plainAddress, strings.TrimPrefix(srv.URL, "https://")},
		TLS:   &tls.Config{RootCAs: srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs},
	})
	if _, err := c.Do(t.Context(), httpclient.Request{URL: srv.URL}); !errors.Is(
		err,
		gateway.ErrForbidden,
	) {
		t.Errorf("Do = %v, want forbidden", err)
	}
	untrusted := newClient(
		t,
		httpclient.Options{Allow: []string{strings.TrimPrefix(srv.URL, "https://")}},
	)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	if _, err := untrusted.Do(t.Context(), httpclient.Request{URL: srv.URL}); !errors.Is(
		err,
		gateway.ErrUnreachable,
	) {
		t.Errorf("Do with a certificate of nobody = %v, want unreachable", err)
	}
}

func TestSizesAndTimes(t *testing.T) {
	release := make(chan struct{})
	url, address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return
				}
			}
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(make([]byte, 50_000))
			z.Close()
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 100_000))
		case "/stuck":
			w.Write([]byte("x"))
			w.(http.Flusher).Flush()
			<-release
		case "/never":
			<-release
		case "/hangup":
			panic(http.ErrAbortHandler)
		}
	})
	t.Cleanup(func() { close(release) })
	c := newClient(
		t,
		httpclient.Options{Allow: []string{address}, MaxBody: 10_000, Timeout: 30 * time.Second},
	)
	for path, want := range map[string]*gateway.Error{
		"/endless": gateway.ErrTooLarge, "/bomb": gateway.ErrTooLarge,
		"/headers": gateway.ErrUnreachable, "/hangup": gateway.ErrUnreachable,
	} {
		if _, err := c.Do(t.Context(), httpclient.Request{URL: url + path}); !errors.Is(err, want) {
			t.Errorf("Do(%s) = %v, want %s", path, err, want.Type)
		}
	}
	for _, path := range []string{"/stuck", "/never"} {
		if _, err := c.Do(t.Context(), httpclient.Request{URL: url + path, Timeout: 0.05}); !errors.Is(
			err,
			gateway.ErrTimeout,
		) {
			t.Errorf("Do(%s) = %v, want timeout", path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, httpclient.Request{URL: url + "/never"}); !errors.Is(
		err,
		gateway.ErrTimeout,
	) {
		t.Errorf("Do with an ended context = %v, want timeout", err)
	}
}

// No more calls are under way than may be, and those that wait have an end.
func TestConcurrent(t *testing.T) {
	var now, most atomic.Int32
	entered, release := make(chan struct{}, 100), make(chan struct{})
	url, address := serve(t, func(http.ResponseWriter, *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		entered <- struct{}{}
		<-release
		now.Add(-1)
	})
	c := newClient(
		t,
		httpclient.Options{Allow: []string{address}, Concurrent: 2, Timeout: time.Minute},
	)
	var calls sync.WaitGroup
	for range 6 {
		calls.Go(func() {
			if _, err := c.Do(context.Background(), httpclient.Request{URL: url}); err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	<-entered
	if _, err := c.Do(t.Context(), httpclient.Request{URL: url, Timeout: 0.01}); !errors.Is(
		err,
		gateway.ErrTimeout,
	) {
		t.Errorf("Do while two are under way = %v, want timeout", err)
	}
	close(release)
	calls.Wait()
	if most.Load() > 2 {
		t.Errorf("%d calls at once, want 2 at most", most.Load())
	}
}

// A call ends with the socket whose event has made it.
func TestCallEndsWithItsSocket(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	url, address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	})
	client := newClient(t, httpclient.Options{Allow: []string{address}, Timeout: time.Minute})
	discard := slog.New(slog.DiscardHandler)
	gw := gateway.New(&gateway.Options{Logger: discard})
	host := lua.New(
		gw,
		&lua.Options{Logger: discard, Services: map[string]lua.Service{"Http": client.Service()}},
	)
	if _, err := host.DeployEndpoint(t.Context(), "/x", `if websocketInfo.type == "data" then `+
		`Http.get{url = websocketInfo.message} end`); err != nil {
		t.Fatal(err)
	}
	p := gatewaytest.NewServer(t, gw).Dial(t, "/x")
	p.Send(gateway.Text(url))
	<-entered
	if _, err := gw.CloseAll(t.Context()); err != nil {
		t.Error(err)
	}
	<-left
}
