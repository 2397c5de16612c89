package forwarded_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/internal/forwarded"
)

func newTrust(tb testing.TB, proxies string, unix bool, headers string) forwarded.Trust {
	tb.Helper()
	trust, err := forwarded.NewTrust(prefixes(proxies), unix)
	if err == nil {
		err = trust.Believe(strings.Fields(headers))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return trust
}

func prefixes(s string) []netip.Prefix {
	var all []netip.Prefix
	for _, p := range strings.Fields(s) {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// fields makes a header of lines.
func fields(lines ...string) http.Header {
	h := http.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.Add(name, value)
	}
	return h
}

const (
	xAll = "X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host"
	rfc  = "Forwarded"
)

// Only what the host names is believed, and of that only what the proxy wrote. The
// peer is 10.0.0.1, host app.example, without TLS.
func TestClient(t *testing.T) {
	const trusted = "10.0.0.0/8"
	for name, c := range map[string]struct {
		headers string // that the proxy writes; "" for the default
		lines   []string
		want    string // scheme, host, remote, exempt
	}{
		"nothing": {"", nil, "ws app.example 10.0.0.1:99 exempt"},
		"the default pair": {"", []string{"X-Forwarded-For: 9.9.9.9",
			"X-Forwarded-Proto: https"}, "wss app.example 9.9.9.9:0"},
		"Forwarded is not believed": {"", []string{"X-Forwarded-For: 9.9.9.9",
			"Forwarded: for=6.6.6.6;proto=https;host=bank.example"}, "ws app.example 9.9.9.9:0"},
		"Forwarded alone": {"", []string{"Forwarded: for=127.0.0.1"},
			"ws app.example 10.0.0.1:99 exempt"},
		"X-Forwarded-Host is not": {"", []string{"X-Forwarded-For: 9.9.9.9",
			"X-Forwarded-Host: bank.example"}, "ws app.example 9.9.9.9:0"},
		"X-Forwarded-Host, named": {xAll, []string{"X-Forwarded-For: 9.9.9.9",
			"X-Forwarded-Host: bank.example"}, "ws bank.example 9.9.9.9:0"},
		"X-, where Forwarded is named": {rfc, []string{"Forwarded: for=9.9.9.9",
			"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https"}, "ws app.example 9.9.9.9:0"},
		"only the scheme is named": {"X-Forwarded-Proto", []string{"X-Forwarded-For: 6.6.6.6",
			"X-Forwarded-Proto: https"}, "wss app.example 10.0.0.1:99 exempt"},
		"a host that is none": {xAll, []string{"X-Forwarded-For: 9.9.9.9",
			"X-Forwarded-Host: a/b@c"}, "ws app.example 9.9.9.9:0"},
		"a host with a port": {xAll, []string{"X-Forwarded-Host: [::1]:8443"},
			"ws [::1]:8443 10.0.0.1:99 exempt"},
		"a chain": {"", []string{"X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.0.0.2"},
			"ws app.example 9.9.9.9:0"},
		"lines": {"", []string{"X-Forwarded-For: 6.6.6.6",
			"X-Forwarded-For: 9.9.9.9"}, "ws app.example 9.9.9.9:0"},
		"loopback behind the proxy": {"", []string{"X-Forwarded-For: 127.0.0.1"},
			"ws app.example 127.0.0.1:0 exempt"},
		"unreadable: nobody gains": {"", []string{"X-Forwarded-For: 9.9.9.9, <script>"},
			"ws app.example 10.0.0.1:99"},
		"unreadable in the middle": {"", []string{"X-Forwarded-For: 9.9.9.9, x, 10.0.0.2"},
			"ws app.example 10.0.0.2:0"},
		"brackets that do not fit": {"", []string{"X-Forwarded-For: [[::1"},
			"ws app.example 10.0.0.1:99"},
		"empty": {"", []string{"X-Forwarded-For: "},
			"ws app.example 10.0.0.1:99 exempt"},
		"with a zone": {"", []string{"X-Forwarded-For: fe80::1%eth0"},
			"ws app.example [fe80::1]:0"},

		"RFC 7239": {rfc,
			[]string{`Forwarded: for="[2001:db8::1]:47";proto=https;host=b.example`},
			"wss b.example [2001:db8::1]:47"},
		"without quotes": {rfc, []string{"Forwarded: for=9.9.9.9:47; proto=https"},
			"wss app.example 9.9.9.9:47"},
		"spaces and case": {rfc, []string{"Forwarded:  For = 9.9.9.9 ;Proto=HTTPS ;; by=x ,"},
			"wss app.example 9.9.9.9:0"},
		"escapes": {rfc, []string{`Forwarded: for="9.9.\9.9"`},
			"ws app.example 9.9.9.9:0"},
		"hidden": {rfc, []string{"Forwarded: for=_secret;proto=https"},
			"wss app.example 10.0.0.1:99 exempt"},
		"unknown": {rfc, []string{"Forwarded: for=unknown"},
			"ws app.example 10.0.0.1:99 exempt"},
		"no address": {rfc, []string{"Forwarded: proto=https"},
			"wss app.example 10.0.0.1:99 exempt"},
		"a comma in quotes": {rfc, []string{`Forwarded: for=9.9.9.9;host="a, for=6.6.6.6"`},
			"ws app.example 9.9.9.9:0"},
		"a quote left open": {rfc, []string{`Forwarded: for="6.6.6.6, for=9.9.9.9`},
			"ws app.example 10.0.0.1:99"},
		"a quote that closes": {rfc, []string{`Forwarded: x=", for=9.9.9.9;host=", for=6.6.6.6`},
			"ws app.example 6.6.6.6:0"},
		"open in another line": {rfc, []string{`Forwarded: for="6.6.6.6`, "Forwarded: for=9.9.9.9"},
			"ws app.example 9.9.9.9:0"},
		"twice in one element": {rfc, []string{"Forwarded: for=6.6.6.6;for=9.9.9.9"},
			"ws app.example 10.0.0.1:99"},
		"not a pair": {rfc, []string{"Forwarded: 9.9.9.9"}, "ws app.example 10.0.0.1:99"},
		"something after a quote": {rfc, []string{`Forwarded: for="9.9.9.9"x`},
			"ws app.example 10.0.0.1:99"},
	} {
		trust := newTrust(t, trusted, false, c.headers)
		got := describe(trust.Client(forwarded.Peer("10.0.0.1:99", "app.example", false), false,
			fields(c.lines...)))
		if got != c.want {
			t.Errorf("%s: %q is %s, want %s", name, c.lines, got, c.want)
		}
		direct := describe(trust.Client(forwarded.Peer("9.1.1.1:99", "app.example", true), false,
			fields(c.lines...)))
		if direct != "wss app.example 9.1.1.1:99" {
			t.Errorf("%s: from a peer that is not trusted %q is %s", name, c.lines, direct)
		}
	}
}

func describe(c forwarded.Client) string {
	scheme := "ws"
	if c.Secure {
		scheme = "wss"
	}
	s := fmt.Sprint(scheme, " ", c.Host, " ", c.Remote)
	if c.Exempt {
		s += " exempt"
	}
	return s
}

// A peer on a Unix socket has no address, and is believed where the host says so.
func TestUnixPeer(t *testing.T) {
	header := fields("X-Forwarded-For: 9.9.9.9, 10.0.0.2", "X-Forwarded-Proto: https")
	for unix, want := range map[bool]string{true: "wss h 9.9.9.9:0", false: "ws h @ exempt"} {
		trust := newTrust(t, "10.0.0.0/8", unix, "")
		if got := describe(trust.Client(forwarded.Peer("@", "h", false), true, header)); got != want {
			t.Errorf("trusted %v: the client is %s, want %s", unix, got, want)
		}
		got := describe(trust.Client(forwarded.Peer("@", "h", false), false, header))
		if got != "ws h @ exempt" {
			t.Errorf("trusted %v, not on a Unix socket: the client is %s", unix, got)
		}
	}
	trust := newTrust(t, "", true, "")
	if got := describe(trust.Client(forwarded.Peer("@", "h", false), true,
		fields("X-Forwarded-For: ?"))); got != "ws h @" {
		t.Errorf("what cannot be read is %s, want no exemption", got)
	}
}

func TestBelieve(t *testing.T) {
	for headers, text := range map[string]string{
		"x-forwarded-for forwarded":  "exclude",
		"Forwarded X-Forwarded-Host": "exclude",
		"X-Real-Ip":                  "X-Real-Ip",
		"X-Forwarded-For X-Foo":      "X-Foo",
		"forwarded":                  "",
		"x-forwarded-host":           "",
		"":                           "",
	} {
		trust := newTrust(t, "", false, "")
		err := trust.Believe(strings.Fields(headers))
		if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("Believe(%q) = %v, want an error that contains %q", headers, err, text)
		}
	}
}

// A prefix is of IPv4 however it is written, and one that matches nothing is refused.
func TestPrefixes(t *testing.T) {
	header := fields("X-Forwarded-For: 9.9.9.9")
	for _, trusted := range []string{"::ffff:10.0.0.0/104", "10.0.0.1/8", "::ffff:10.0.0.1/128"} {
		trust := newTrust(t, trusted, false, "")
		peer := forwarded.Peer("[::ffff:10.0.0.1]:99", "h", false)
		if got := describe(trust.Client(peer, false, header)); got != "ws h 9.9.9.9:0" {
			t.Errorf("with %s trusted the client is %s", trusted, got)
		}
	}
	if _, err := forwarded.NewTrust([]netip.Prefix{{}}, false); err == nil {
		t.Error("the zero prefix is accepted")
	}
}

// FuzzForwarded: whatever the client put in front, what the proxy appended counts,
// or, where a quote was left open, nothing does and nobody is exempt.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"for=6.6.6.6", `for="6.6.6.6`, `for=_x;;=;for`, `a="\`, ",,;;",
		`x="", y=`, "for=[", "\x00"} {
		f.Add(s)
	}
	trust := newTrust(f, "10.0.0.0/8", false, "Forwarded")
	f.Fuzz(func(t *testing.T, sent string) {
		h := http.Header{"Forwarded": {sent + ", for=9.9.9.9"}}
		c := trust.Client(forwarded.Peer("10.0.0.1:99", "h", false), false, h)
		if c.Remote != "9.9.9.9:0" && (c.Remote != "10.0.0.1:99" || c.Exempt) ||
			c.Addr != forwarded.AddrOf(c.Remote) {
			t.Errorf("behind %q the client is %s with the address %s", sent, describe(c), c.Addr)
		}
	})
}
