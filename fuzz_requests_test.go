package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
)

// asked serves an upgrade request by a gateway that would admit it, up to the
// socket, and returns the answer: 402 if the request has passed every check.
func asked(gw *gateway.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	gw.ServeHTTP(&sinkWriter{ResponseRecorder: w}, r)
	return w
}

// passed refuses what has passed every check.
func passed(*http.Request) (*gateway.Admission, error) {
	return nil, &gateway.Error{Type: "passed", Message: "passed", Status: http.StatusPaymentRequired}
}

// FuzzRequest serves any path, query and header: the answer is an error object,
// and what passes has the parameters that its path and query say.
func FuzzRequest(f *testing.F) {
	for _, target := range []string{"/rooms/blue", "/rooms/a%2Fb?x=1&x=2", "/rooms/%00",
		"/rooms/%ff?%zz", "/rooms/..%2f", "/rooms/é?ü=%C3%BC",
		"/rooms/x?a=b;c&+=+&=&&d", "/rooms/+?room=other", "//rooms/x", "/rooms//", "/rooms/x/y/", "?",
		"/rooms/%25zz", "/rooms/{room}"} {
		f.Add(target, "websocket", "13")
	}
	f.Add("/rooms/x", "h2c, WebSocket", " 13 ")
	f.Fuzz(func(t *testing.T, target, upgrade, version string) {
		u, err := url.Parse(target)
		if err != nil || u.Host != "" || u.Scheme != "" || u.Opaque != "" {
			return // net/http refuses it, or it is of another form
		}
		gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
		var room string
		gw.HandleRoute(gateway.Route{Pattern: "/rooms/{room}", Endpoint: echo(),
			Authorize: func(r *http.Request) (*gateway.Admission, error) {
				room = r.PathValue("room")
				return passed(r)
			}})
		r := sinkRequest("/")
		r.URL, r.RequestURI = u, target
		r.Header.Set("Upgrade", upgrade)
		r.Header.Set("Sec-WebSocket-Version", version)
		w := asked(gw, r)
		var e gateway.Error
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Status != w.Code || e.Type == "" ||
			w.Code < 400 || w.Code >= 500 && w.Code != 501 {
			t.Fatalf("%q: the answer is %d %s (%v), want an error object and its status", target, w.Code,
				w.Body, err)
		}
		if w.Code == http.StatusPaymentRequired {
			checkParameters(t, u, room)
		}
	})
}

// checkParameters compares what a request that passed was understood as with how
// net/url reads it.
func checkParameters(t *testing.T, u *url.URL, room string) {
	t.Helper()
	if got := "/rooms/" + url.PathEscape(room); !samePath(got, u.EscapedPath()) {
		t.Errorf("path %q has room %q, which is %q", u.EscapedPath(), room, got)
	}
	params, err := gateway.ParseQuery(u.RawQuery)
	if err != nil {
		t.Fatalf("query %q passes and cannot be read: %v", u.RawQuery, err)
	}
	for key, values := range params {
		for _, s := range append([]string{key, room}, values...) {
			if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
				t.Errorf("query %q of path %q gives %q, want UTF-8 without NUL", u.RawQuery, u.EscapedPath(), s)
			}
		}
	}
	if strings.Contains(u.RawQuery, ";") {
		return // an error to url.ParseQuery
	}
	want, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(params)+len(want) > 0 && !reflect.DeepEqual(url.Values(params), want) {
		t.Errorf("query %q is read as %q, url.ParseQuery says %q, %v", u.RawQuery, params, want, err)
	}
}

// samePath reports whether two escaped paths are equal once decoded, slash by
// slash, but for the one that may begin them.
func samePath(a, b string) bool {
	as, bs := strings.Split(strings.TrimPrefix(a, "/"), "/"), strings.Split(strings.TrimPrefix(b, "/"),
		"/")
	for i := range as {
		if len(as) != len(bs) {
			return false
		}
		x, errX := url.PathUnescape(as[i])
		y, errY := url.PathUnescape(bs[i])
		if errX != nil || errY != nil || x != y {
			return false
		}
	}
	return true
}

// FuzzOrigin: whatever Origin and Host are, pages of other hosts do not pass, as
// net/url reads their origin; those of the same host do.
func FuzzOrigin(f *testing.F) {
	for _, o := range []string{"http://gateway.test", "https://gateway.test:443",
		"ws://gateway.test:80", "http://gateway.test.evil.example", "null",
		"http://evil.example#gateway.test", "http://gateway.test@evil.example",
		"http://evil.example\\@gateway.test", "//gateway.test", "http://", "file://",
		"HTTP://GATEWAY.TEST",
		"http://gateway.test:80:80", "https://listed.example", "https://listed.example:443",
		"http://listed.example", "https://listed.example.evil.example"} {
		f.Add(o, "gateway.test")
	}
	f.Add("http://[::1]:8080", "[::1]:8080")
	f.Add("https://gateway.test", "gateway.test:443")
	f.Add("http://gateway.test:8080", "gateway.test")
	f.Fuzz(func(t *testing.T, origin, host string) {
		gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
			AllowOrigins: []string{"https://listed.example"}, Authorize: passed})
		gw.Handle("/", echo())
		r := sinkRequest("/")
		r.Host = host
		r.Header["Origin"] = []string{origin}
		w := asked(gw, r)
		if w.Code != http.StatusPaymentRequired && w.Code != http.StatusForbidden {
			t.Fatalf("origin %q, host %q: the answer is %d %s, want 402 for passed or 403", origin, host,
				w.Code, w.Body)
		}
		u, err := url.Parse(strings.TrimSpace(origin))
		if err != nil {
			return // no browser writes that; nothing but the host itself can be equal to it
		}
		authority := strings.ToLower(u.Host)
		same := authority != "" && authority == strings.ToLower(host)
		ofPage := u.Scheme == "http" || u.Scheme == "https"
		plain := u.User == nil && u.Path == "" && u.RawQuery == "" && u.Fragment == "" && !u.ForceQuery &&
			!strings.HasSuffix(origin, "#")
		switch {
		case w.Code == http.StatusPaymentRequired && !sameButForPort(authority, strings.ToLower(host)) &&
			!(u.Scheme == "https" && sameButForPort(authority, "listed.example")):
			t.Errorf("origin %q passes at host %q", origin, host)
		case w.Code == http.StatusForbidden && same && ofPage && plain &&
			!strings.ContainsAny(origin+host, " \t\r\n%") && isASCII(origin+host):
			t.Errorf("origin %q does not pass at host %q", origin, host)
		}
	})
}

func sameButForPort(a, b string) bool {
	for _, port := range []string{":80", ":443"} {
		if strings.TrimSuffix(a, port) == strings.TrimSuffix(b, port) {
			return true
		}
	}
	return a == b
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf })
}

// FuzzForwarded: from an address that is not trusted no forwarding header changes
// anything; from a trusted one any is survived, and the address that counts is one.
func FuzzForwarded(f *testing.F) {
	f.Add("for=192.0.2.60;proto=http;by=203.0.113.43", "", "", "")
	f.Add(`for="[2001:db8::1]:4711", for=10.0.0.1;host="a,b"`, "", "https", "")
	f.Add("", "203.0.113.1, 10.0.0.1", "https, http", "example.com")
	f.Add("for=_hidden;;=;for", "unknown", ",,", "\x00")
	f.Fuzz(func(t *testing.T, forwarded, xFor, xProto, xHost string) {
		for _, proxies := range [][]netip.Prefix{nil, {netip.MustParsePrefix("10.0.0.0/8")}} {
			r := sinkRequest("/?q")
			for name, v := range map[string]string{"Forwarded": forwarded, "X-Forwarded-For": xFor,
				"X-Forwarded-Proto": xProto, "X-Forwarded-Host": xHost} {
				r.Header.Set(name, v)
			}
			r.Header.Del("Origin")
			r.RemoteAddr = "10.0.0.1:99"
			o := gateway.Options{TrustedProxies: proxies, ForwardedHeaders: []string{"Forwarded"}}
			if forwarded == "" {
				o.ForwardedHeaders = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}
			}
			info := infoOf(t, o, r)
			if proxies == nil && (info.RemoteAddr != r.RemoteAddr || info.URI != "ws://gateway.test/?q") {
				t.Errorf("from an address that is not trusted: remote address %q, URI %q", info.RemoteAddr,
					info.URI)
			}
			if _, err := netip.ParseAddrPort(info.RemoteAddr); err != nil {
				t.Errorf("the remote address is %q: %v", info.RemoteAddr, err)
			}
			if !strings.HasPrefix(info.URI, "ws://") && !strings.HasPrefix(info.URI, "wss://") ||
				!strings.HasSuffix(info.URI, "/?q") {
				t.Errorf("the URI is %q", info.URI)
			}
			if text, err := json.Marshal(info); err != nil || bytes.ContainsAny(text, "\r\n") {
				t.Errorf("the info marshals to %q, %v", text, err)
			}
		}
	})
}

// infoOf opens a socket with the request and returns how its endpoint sees it.
func infoOf(t *testing.T, o gateway.Options, r *http.Request) gateway.Info {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	gw, infos := gateway.New(&o), make(chan gateway.Info, 1)
	gw.Handle("/", gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
		infos <- s.Info()
		return nil
	}})
	w := hijackWriter{httptest.NewRecorder(), &script{}, nil}
	if gw.ServeHTTP(w, r); w.Body.Len() > 0 {
		t.Fatalf("the request is refused: %s", w.Body)
	}
	if err := gw.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	return <-infos
}
