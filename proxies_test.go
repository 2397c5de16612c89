package gateway_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// Whose forwarding headers count, and what they change. A peer in memory comes
// from 192.0.2.1.
func TestForwardedHeaders(t *testing.T) {
	const peer = "192.0.2.1"
	for name, c := range map[string]struct {
		trusted string // prefixes
		fields  []string
		uri     string
		remote  string // without the peer's port
	}{
		"nobody is trusted": {"", []string{"X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https",
			"X-Forwarded-Host: app.example",
			"Forwarded: for=198.51.100.7;proto=https;host=app.example"}, "ws://gateway.test/x", peer},
		"another is trusted": {"203.0.113.0/24", []string{"X-Forwarded-For: 198.51.100.7",
			"X-Forwarded-Proto: https"}, "ws://gateway.test/x", peer},
		"no headers": {"192.0.2.0/24", nil, "ws://gateway.test/x", peer},
		"X-Forwarded": {"192.0.2.0/24", []string{"X-Forwarded-For: 198.51.100.7",
			"X-Forwarded-Proto: https", "X-Forwarded-Host: app.example"},
			"wss://app.example/x", "198.51.100.7:0"},
		"only the scheme": {"192.0.2.0/24", []string{"X-Forwarded-Proto: HTTPS"},
			"wss://gateway.test/x", peer},
		"wss as a scheme": {"192.0.2.0/24", []string{"X-Forwarded-Proto: wss"},
			"wss://gateway.test/x", peer},
		"a scheme not known": {"192.0.2.0/24", []string{"X-Forwarded-Proto: gopher"},
			"ws://gateway.test/x", peer},
		"with a port": {"192.0.2.0/24",
			[]string{"X-Forwarded-For: 198.51.100.7:1234"}, "ws://gateway.test/x", "198.51.100.7:1234"},
		"IPv6": {"192.0.2.0/24", []string{"X-Forwarded-For: 2001:db8::1"},
			"ws://gateway.test/x", "[2001:db8::1]:0"},
		"IPv6 with a port": {"192.0.2.0/24",
			[]string{"X-Forwarded-For: [2001:db8::1]:99"}, "ws://gateway.test/x", "[2001:db8::1]:99"},
		"invented first hop": {"192.0.2.0/24",
			[]string{"X-Forwarded-For: 10.0.0.1, 198.51.100.7"}, "ws://gateway.test/x", "198.51.100.7:0"},
		"in two fields": {"192.0.2.0/24", []string{"X-Forwarded-For: 10.0.0.1",
			"X-Forwarded-For: 198.51.100.7"}, "ws://gateway.test/x", "198.51.100.7:0"},
		"a chain of trusted": {"192.0.2.0/24 10.0.0.0/8",
			[]string{"X-Forwarded-For: 1.2.3.4, 198.51.100.7, 10.0.0.2, 10.0.0.1"}, "ws://gateway.test/x",
			"198.51.100.7:0"},
		"all are trusted": {"0.0.0.0/0",
			[]string{"X-Forwarded-For: 1.2.3.4, 5.6.7.8"}, "ws://gateway.test/x", "1.2.3.4:0"},
		"mapped IPv4": {"192.0.2.0/24 10.0.0.0/8",
			[]string{"X-Forwarded-For: 198.51.100.7, ::ffff:10.0.0.1"}, "ws://gateway.test/x",
			"198.51.100.7:0"},
		"garbage": {"192.0.2.0/24",
			[]string{"X-Forwarded-For: 198.51.100.7, <script>"}, "ws://gateway.test/x", peer},
		"RFC 7239": {"192.0.2.0/24",
			[]string{`Forwarded: for="[2001:db8::1]:47";proto=https;host=app.example`},
			"wss://app.example/x", "[2001:db8::1]:47"},
		"RFC 7239, upper case": {"192.0.2.0/24",
			[]string{`Forwarded: For=198.51.100.7; Proto=HTTPS`}, "wss://gateway.test/x", "198.51.100.7:0"},
		"RFC 7239, obfuscated": {"192.0.2.0/24",
			[]string{`Forwarded: for=_hidden;proto=https`}, "wss://gateway.test/x", peer},
		"RFC 7239, the last": {"192.0.2.0/24",
			[]string{`Forwarded: for=1.2.3.4;host=evil.example, for=198.51.100.7;proto=https`},
			"wss://gateway.test/x", "198.51.100.7:0"},
		"RFC 7239, a chain": {"192.0.2.0/24 10.0.0.0/8",
			[]string{`Forwarded: for=198.51.100.7;proto=https;host=app.example, for=10.0.0.1;proto=http`},
			"wss://app.example/x", "198.51.100.7:0"},
		"RFC 7239, and X- from the client": {"192.0.2.0/24", []string{`Forwarded: for=198.51.100.7`,
			"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https"}, "ws://gateway.test/x",
			"198.51.100.7:0"},
		"X-, and Forwarded from the client": {"192.0.2.0/24",
			[]string{"Forwarded: for=6.6.6.6;proto=https;host=bank.example",
				"X-Forwarded-For: 198.51.100.7"}, "ws://gateway.test/x", "198.51.100.7:0"},
		"a host that no proxy writes": {"192.0.2.0/24", []string{"X-Forwarded-For: 198.51.100.7",
			"X-Forwarded-Host: bank.example"}, "ws://gateway.test/x", "198.51.100.7:0"},
	} {
		bubble(t, name, func(t *testing.T) {
			var trusted []netip.Prefix
			for _, p := range strings.Fields(c.trusted) {
				trusted = append(trusted, netip.MustParsePrefix(p))
			}
			var written []string // by the proxy; else the default
			switch {
			case name == "X-Forwarded":
				written = []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}
			case strings.HasPrefix(name, "RFC 7239"):
				written = []string{"forwarded"}
			}
			gw, r := gateway.New(&gateway.Options{TrustedProxies: trusted, ForwardedHeaders: written,
				Logger: slog.New(slog.DiscardHandler)}), &recorder{}
			gw.Handle("/x", r)
			rawDial(t, serve(t, gw), "/x", append(c.fields, "")...)
			synctest.Wait()
			info := r.socket().Info()
			if info.URI != c.uri || info.RemoteAddr != c.remote && !(c.remote == peer &&
				strings.HasPrefix(info.RemoteAddr, peer+":")) {
				t.Errorf("with %q: URI %s and RemoteAddr %s, want %s and %s", c.fields, info.URI,
					info.RemoteAddr, c.uri, c.remote)
			}
		})
	}
}

// Behind a trusted proxy the cap per address is each client's own, and the proxy
// itself has none.
func TestCapBehindAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{MaxSocketsPerAddr: 1, Logger: slog.New(slog.DiscardHandler),
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		gw.Handle("/", echo())
		srv := serve(t, gw)
		rawDial(t, srv, "/")
		rawDial(t, srv, "/") // the proxy's own: health checks, say
		rawDial(t, srv, "/", "X-Forwarded-For: 198.51.100.7", "")
		rawDial(t, srv, "/", "X-Forwarded-For: 198.51.100.8", "")
		rawDial(t, srv, "/", "X-Forwarded-For: 2001:db8::1", "")
		wantRefused(t, srv, "/", map[string][]string{"X-Forwarded-For": {"198.51.100.7"}}, 429,
			"too_many_sockets")
		wantRefused(t, srv, "/", map[string][]string{"X-Forwarded-For": {"::ffff:198.51.100.7"}}, 429,
			"too_many_sockets")
		wantRefused(t, srv, "/", map[string][]string{"X-Forwarded-For": {"1.2.3.4, 198.51.100.8"}}, 429,
			"too_many_sockets")
	})
}

// The host that the client asked for is what an origin is compared with.
func TestOriginBehindAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
			TrustedProxies:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			ForwardedHeaders: []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}})
		gw.Handle("/", echo())
		srv := serve(t, gw)
		wantRefused(t, srv, "/", map[string][]string{"Origin": {"https://app.example"}}, 403, "forbidden")
		rawDial(t, srv, "/", "Origin: https://app.example", "X-Forwarded-Host: app.example",
			"X-Forwarded-Proto: https", "")
	})
}

// One line has a /64 of IPv6 addresses, and so one count. Clients that come through a
// gateway from IPv4 are counted by their IPv4 address.
func TestCapOfIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{MaxSocketsPerAddr: 1, Logger: slog.New(slog.DiscardHandler),
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		gw.Handle("/", echo())
		srv := serve(t, gw)
		from := func(addr string) map[string][]string {
			return map[string][]string{"X-Forwarded-For": {addr}}
		}
		for _, addr := range []string{"2001:db8:0:1::1", "2001:db8:0:2::1", "64:ff9b::1.2.3.4",
			"64:ff9b::1.2.3.5"} {
			rawDial(t, srv, "/", "X-Forwarded-For: "+addr, "")
			wantRefused(t, srv, "/", from(addr), 429, "too_many_sockets")
		}
		for _, addr := range []string{"2001:db8:0:1::2", "[2001:db8:0:1:ffff::]:99", "64:ff9b::102:304",
			"1.2.3.5"} {
			wantRefused(t, srv, "/", from(addr), 429, "too_many_sockets")
		}
		rawDial(t, srv, "/", "X-Forwarded-For: ::1", "") // our own
		rawDial(t, srv, "/", "X-Forwarded-For: ::1", "")
	})
}

// What cannot be read where the client should be named lifts no cap.
func TestCapOfWhatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{MaxSocketsPerAddr: 1, Logger: slog.New(slog.DiscardHandler),
			ForwardedHeaders: []string{"Forwarded"},
			TrustedProxies:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		gw.Handle("/", echo())
		srv := serve(t, gw)
		open := `for="6.6.6.6, for=198.51.100.7` // what a client left open, and its proxy went on with
		rawDial(t, srv, "/", "Forwarded: "+open, "")
		wantRefused(t, srv, "/", map[string][]string{"Forwarded": {open}}, 429, "too_many_sockets")
		rawDial(t, srv, "/", "Forwarded: for=198.51.100.7", "") // nobody else is harmed
		rawDial(t, srv, "/")
	})
}

// A proxy on a Unix socket is one like any other, if it is trusted.
func TestProxyOnAUnixSocket(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		gw := gateway.New(&gateway.Options{MaxSocketsPerAddr: 1, TrustUnixSockets: trusted,
			Logger: slog.New(slog.DiscardHandler), ForwardedHeaders: []string{"X-Forwarded-For",
				"X-Forwarded-Proto", "X-Forwarded-Host"}})
		infos := make(chan gateway.Info, 1)
		gw.Handle("/x", gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
			infos <- s.Info()
			return nil
		}})
		ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "gateway.sock"))
		if err != nil {
			t.Skip("SKIPPED: no Unix sockets here: ", err)
		}
		srv := &http.Server{Handler: gw}
		done := make(chan struct{})
		go func() { defer close(done); srv.Serve(ln) }()
		dial := func() *rawPeer {
			conn, err := net.Dial("unix", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			return newRawPeer(t, conn)
		}
		fields := "Origin: https://app.example\r\nX-Forwarded-For: 198.51.100.7\r\n" +
			"X-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example\r\nUpgrade:"
		first := dial()
		resp := first.request(head("Upgrade:", fields))
		if trusted {
			if info := <-infos; resp.StatusCode != 101 || info.URI != "wss://app.example/x" ||
				info.RemoteAddr != "198.51.100.7:0" {
				t.Errorf("trusted: %s, URI %s, remote %s", resp.Status, info.URI, info.RemoteAddr)
			}
			wantErrorObject(t, dial().request(head("Upgrade:", fields)), 429, "too_many_sockets")
		} else {
			wantErrorObject(t, resp, 403, "forbidden") // the host that the page names is not believed
			for range 2 {
				p := dial()
				p.upgrade("/x")
				if info := <-infos; info.URI != "ws://gateway.test/x" {
					t.Errorf("not trusted: URI %s", info.URI)
				}
				p.conn.Close()
			}
		}
		first.conn.Close()
		wantErr(t, "Shutdown", gw.Shutdown(context.Background()), nil)
		srv.Close()
		<-done
	}
}

// An option that would have no effect is a mistake.
func TestOptionsThatMatchNothing(t *testing.T) {
	wantPanic(t, "TrustedProxies", "TrustedProxies", func() {
		gateway.New(&gateway.Options{TrustedProxies: make([]netip.Prefix, 1)})
	})
	for _, name := range []string{" X-Token", "X-Token:", "", "X-A, X-B"} {
		wantPanic(t, "RedactHeaders", "RedactHeaders", func() {
			gateway.New(&gateway.Options{RedactHeaders: []string{name}})
		})
	}
}

func TestWrongForwardedHeaders(t *testing.T) {
	for _, headers := range [][]string{{"X-Real-Ip"}, {"Forwarded", "X-Forwarded-For"}, {""}} {
		wantPanic(t, "ForwardedHeaders", "ForwardedHeaders", func() {
			gateway.New(&gateway.Options{ForwardedHeaders: headers})
		})
	}
}
