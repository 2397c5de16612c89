package gateway_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/wsgateway/gateway"
)

// Pages of foreign sites are refused: a browser sends its visitor's
// cookies with their requests too.
func TestOrigins(t *testing.T) {
	const host = "app.example:8080"
	for name, c := range map[string]struct {
		host    string
		origins []string
		allow   []string
		ok      bool
	}{
		"none: not a browser":     {host, nil, nil, true},
		"same host and port":      {host, []string{"http://app.example:8080"}, nil, true},
		"same, with TLS in front": {host, []string{"https://app.example:8080"}, nil, true},
		"same, upper case":        {host, []string{"HTTP://App.Example:8080"}, nil, true},
		"same, ws scheme":         {host, []string{"ws://app.example:8080"}, nil, true},
		"default port of http": {"app.example", []string{"http://app.example"}, nil,
			true},
		"default port named": {"app.example:443", []string{"https://app.example"}, nil,
			true},
		"default port named there": {"app.example", []string{"https://app.example:443"}, nil,
			true},
		"IPv6": {"[::1]:8080", []string{"http://[::1]:8080"}, nil, true},
		"port of the other scheme": {"app.example:80", []string{"https://app.example"}, nil,
			false},
		"another port": {host, []string{"http://app.example:8081"}, nil, false},
		"no port":      {host, []string{"http://app.example"}, nil, false},
		"another host": {host, []string{"http://evil.example:8080"}, nil, false},
		"host as a suffix": {host, []string{"http://evilapp.example:8080"}, nil,
			false},
		"host as a prefix": {host, []string{"http://app.example:8080.evil.example"},
			nil, false},
		"host as user": {host, []string{"http://app.example:8080@evil.example"},
			nil, false},
		"subdomain":      {host, []string{"http://x.app.example:8080"}, nil, false},
		"another scheme": {host, []string{"ftp://app.example:8080"}, nil, false},
		"extension": {host, []string{"chrome-extension://app.example:8080"},
			nil, false},
		"no scheme": {host, []string{"app.example:8080"}, nil, false},
		"empty":     {host, []string{""}, nil, false},
		"null":      {host, []string{"null"}, nil, false},
		"two": {host,
			[]string{"http://app.example:8080", "http://app.example:8080"}, nil, false},
		"two in one": {host,
			[]string{"http://app.example:8080, http://evil.example"}, nil, false},
		"listed": {host, []string{"https://other.example"},
			[]string{"https://other.example"}, true},
		"listed in upper case": {host, []string{"https://other.example"},
			[]string{"https://Other.Example"}, true},
		"listed with port": {host, []string{"https://other.example:444"},
			[]string{"https://other.example:444"}, true},
		"listed with another scheme": {host, []string{"http://other.example"},
			[]string{"https://other.example"}, false},
		"listed with another port": {host, []string{"https://other.example:444"},
			[]string{"https://other.example"}, false},
		"listed, default port named": {host, []string{"https://other.example"},
			[]string{"https://other.example:443"}, true},
		"listed, a subdomain comes": {host, []string{"https://x.other.example"},
			[]string{"https://other.example"}, false},
		"null listed": {host, []string{"null"}, []string{"null"}, true},
		"own host besides the list": {host, []string{"http://app.example:8080"},
			[]string{"https://other.example"}, true},
		"listed, its default port named there": {host, []string{"https://other.example:443"},
			[]string{"https://other.example"}, true},
		"another default port there": {host, []string{"https://other.example:80"},
			[]string{"https://other.example"}, false},
		"international, listed in letters": {host, []string{"https://xn--bcher-kva.example"},
			[]string{"https://Bücher.example"}, true},
		"international, listed in punycode": {host, []string{"https://xn--bcher-kva.example"},
			[]string{"https://xn--bcher-kva.example"}, true},
		"a WebView's file":          {host, []string{"file://"}, []string{"file://"}, true},
		"a file that is not listed": {host, []string{"file://"}, nil, false},
		"an app's scheme": {host, []string{"capacitor://localhost"},
			[]string{"capacitor://localhost"}, true},
		"IPv6 listed in another form": {host, []string{"http://[2001:db8::1]"},
			[]string{"http://[2001:DB8:0::1]:80"}, true},
		"listed, with a path there": {host, []string{"https://other.example/"},
			[]string{"https://other.example"}, false},
		"extension listed": {host, []string{"chrome-extension://abc"}, []string{"chrome-extension://abc"},
			true},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{AllowOrigins: c.allow, Logger: slog.New(slog.DiscardHandler)})
			gw.Handle("/", echo())
			wantAdmission(t, gw, c.host, c.origins, c.ok)
		})
	}
	bubble(t, "InsecureAnyOrigin", func(t *testing.T) {
		gw := gateway.New(&gateway.Options{InsecureAnyOrigin: true,
			Logger: slog.New(slog.DiscardHandler)})
		gw.Handle("/", echo())
		wantAdmission(t, gw, host, []string{"http://evil.example"}, true)
	})
}

func wantAdmission(t *testing.T, gw *gateway.Handler, host string, origins []string, ok bool) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://gateway.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header["Origin"] = origins
	p, resp := serve(t, gw).DialRequest(t, r)
	if (p != nil) != ok {
		t.Errorf("host %s, origins %q: admitted %v, want %v", host, origins, p != nil, ok)
	} else if p == nil {
		wantErrorObject(t, resp, 403, "forbidden")
	}
}

// Entries that could never match are mistakes.
func TestWrongAllowOrigins(t *testing.T) {
	for _, origin := range []string{"*", "", "app.example", "https://", "://app.example",
		"https://app.example/", "https://app.example/path",
		"https://*.app.example", "https://user@app.example", "https://app.example?x",
		"https://a.example https://b.example",
		" https://b.example", "https://b.example ", "https://b\t.example", "https://b.example\n",
		"https://app.example:", "https://app.example:99999",
		"https://1.2.3", "https://[::1", "https://app..example", "https://a.example,https://b.example"} {
		wantPanic(t, "AllowOrigins "+origin, "AllowOrigins",
			func() { gateway.New(&gateway.Options{AllowOrigins: []string{origin}}) })
	}
}
