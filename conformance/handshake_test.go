package conformance_test

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// An upgradeCase changes a correct request for /echo and says what it comes to.
type upgradeCase struct {
	name   string
	change func(r *raw.Request)
	status []int  // any of these; the first is ours, the others the RFC allows as well
	typ    string // of the error object; "" where net/http answers, not the gateway
}

var opens = []int{101}

// runUpgrades sends every request and checks the answer. What opens must echo.
func runUpgrades(t *testing.T, cases []upgradeCase) {
	lab := labproc.Get(t)
	for _, uc := range cases {
		t.Run(uc.name, func(t *testing.T) {
			t.Parallel()
			r := raw.NewRequest(lab.Addr, "/echo")
			uc.change(r)
			c, resp, err := raw.Do(lab.Addr, r)
			if err != nil {
				t.Fatalf("%q: %v", r.Bytes(), err)
			}
			if !slices.Contains(uc.status, resp.Status) {
				if c != nil {
					c.Cut()
				}
				t.Fatalf("%q: status %d, want %v; %s", r.Bytes(), resp.Status, uc.status, resp.Body)
			}
			if c == nil {
				if uc.typ != "" {
					wantErrorObject(t, resp, uc.typ)
				}
				return
			}
			if err := c.Echo(raw.Text, []byte("hello")); err != nil {
				t.Error(err)
			}
			if err := c.Shut(); err != nil {
				t.Error(err)
			}
		})
	}
}

// wantErrorObject fails the test unless the body is exactly the error object of
// the contract.
func wantErrorObject(t *testing.T, resp *raw.Response, typ string) {
	t.Helper()
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/json") {
		t.Errorf("status %d: Content-Type is %q", resp.Status, got)
	}
	var members map[string]any
	if err := json.Unmarshal(resp.Body, &members); err != nil {
		t.Fatalf("status %d: body %q: %v", resp.Status, resp.Body, err)
	}
	text, _ := members["error"].(string)
	if len(members) != 3 || members["type"] != typ || members["status"] != float64(resp.Status) ||
		text == "" {
		t.Errorf("status %d: error object %s, want type %s and exactly type, error, status", resp.Status,
			resp.Body, typ)
	}
}

func set(name, value string) func(*raw.Request) {
	return func(r *raw.Request) { r.Set(name, value) }
}
func add(name, value string) func(*raw.Request) {
	return func(r *raw.Request) { r.Add(name, value) }
}
func del(name string) func(*raw.Request) { return func(r *raw.Request) { r.Del(name) } }
func both(fs ...func(*raw.Request)) func(*raw.Request) {
	return func(r *raw.Request) {
		for _, f := range fs {
			f(r)
		}
	}
}
func method(m string) func(*raw.Request) { return func(r *raw.Request) { r.Method = m } }
func proto(p string) func(*raw.Request)  { return func(r *raw.Request) { r.Proto = p } }
func target(s string) func(*raw.Request) { return func(r *raw.Request) { r.Target = s } }

func TestUpgradeMethodAndPath(t *testing.T) {
	var cases []upgradeCase
	for _, m := range []string{"POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH"} {
		typ := "method_not_allowed"
		if m == "HEAD" {
			typ = "" // no body
		}
		cases = append(cases, upgradeCase{m, method(m), []int{405}, typ})
	}
	runUpgrades(t, append(cases, []upgradeCase{
		{"no route", target("/nothing/here"), []int{404}, "no_route"},
		{"no route, and no upgrade", both(target("/nothing/here"), del("Upgrade"), del("Connection")),
			[]int{404}, "no_route"},
		{"query", target("/echo?a=1&a=2&b=%20"), opens, ""},
		{"query of bad escapes", target("/echo?a=%zz"), []int{101, 400}, "invalid_request"},
		{"lower case method", method("get"), []int{405, 400}, ""},
		{"HTTP/1.0", proto("HTTP/1.0"), []int{426, 400, 505}, ""},
		{"HTTP/1.2", proto("HTTP/1.2"), []int{101, 505, 400}, ""},
		{"HTTP/3.0", proto("HTTP/3.0"), []int{505, 400}, ""},
		{"no host", del("Host"), []int{400}, ""},
		{"two hosts", add("Host", "other.example"), []int{400}, ""},
		{"bad escape in the path", target("/echo/%zz"), []int{400}, ""},
	}...))
}

func TestUpgradeAllowAndVersionHeaders(t *testing.T) {
	lab := labproc.Get(t)
	for _, tc := range []struct {
		name          string
		change        func(*raw.Request)
		status        int
		header, value string
	}{
		{"method", method("POST"), 405, "Allow", "GET"},
		{"version", set("Sec-WebSocket-Version", "8"), 426, "Sec-WebSocket-Version", "13"},
		{"no upgrade", both(del("Upgrade"), del("Connection")), 426, "Upgrade", "websocket"},
	} {
		r := raw.NewRequest(lab.Addr, "/echo")
		tc.change(r)
		c, resp, err := raw.Do(lab.Addr, r)
		if err != nil || c != nil {
			t.Fatalf("%s: opened: %v, %v", tc.name, c != nil, err)
		}
		if got := resp.Header.Get(tc.header); resp.Status != tc.status ||
			!strings.EqualFold(got, tc.value) {
			t.Errorf("%s: status %d, %s: %q; want %d, %q", tc.name, resp.Status, tc.header, got, tc.status,
				tc.value)
		}
	}
}

func TestUpgradeVersion(t *testing.T) {
	const header = "Sec-WebSocket-Version"
	var cases []upgradeCase
	for _, v := range []string{"0", "7", "8", "12", "14", "130", "-13", "13.0", "abc", "13abc",
		"1 3"} {
		cases = append(cases, upgradeCase{"version " + v, set(header, v), []int{426, 400}, ""})
	}
	runUpgrades(t, append(cases,
		upgradeCase{"none", del(header), []int{426, 400}, ""},
		upgradeCase{"empty", set(header, ""), []int{426, 400}, ""},
		upgradeCase{"13 and 8", add(header, "8"), []int{426, 400}, ""},
		upgradeCase{"spaces around", set(header, " 13 "), opens, ""},
		upgradeCase{"8 is upgrade_required", set(header, "8"), []int{426}, "upgrade_required"},
	))
}

func TestUpgradeKey(t *testing.T) {
	const header = "Sec-WebSocket-Key"
	var cases []upgradeCase
	for name, key := range map[string]string{
		"empty": "", "15 bytes": "AAAAAAAAAAAAAAAAAAAA", "17 bytes": "AAAAAAAAAAAAAAAAAAAAAAA=",
		"not base64": "!!!!!!!!!!!!!!!!!!!!!!==", "without padding": "dGhlIHNhbXBsZSBub25jZQ",
		"space inside": "dGhlIHNhbXBs ZSBub25jZQ==", "URL alphabet": "__________________________==",
		"two in one":  "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
		"text behind": "dGhlIHNhbXBsZSBub25jZQ==x",
		"long":        strings.Repeat("A", 1000),
	} {
		cases = append(cases, upgradeCase{name, set(header, key), []int{400}, "invalid_request"})
	}
	runUpgrades(t, append(cases,
		upgradeCase{"none", del(header), []int{400}, "invalid_request"},
		upgradeCase{"twice", add(header, "dGhlIHNhbXBsZSBub25jZQ=="), []int{400}, "invalid_request"},
		upgradeCase{"spaces around", set(header, "  dGhlIHNhbXBsZSBub25jZQ== \t"), opens, ""},
		upgradeCase{"all zero", set(header, "AAAAAAAAAAAAAAAAAAAAAA=="), opens, ""},
	))
}

func TestUpgradeTokens(t *testing.T) {
	var cases []upgradeCase
	for _, v := range []string{"WebSocket", "WEBSOCKET", "websocket, foo", "foo, websocket",
		" websocket ", "foo/1.0 , websocket"} {
		cases = append(cases, upgradeCase{"Upgrade " + v, set("Upgrade", v), opens, ""})
	}
	for _, v := range []string{"upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade, keep-alive",
		"keep-alive,Upgrade", " ,Upgrade, "} {
		cases = append(cases, upgradeCase{"Connection " + v, set("Connection", v), opens, ""})
	}
	for _, v := range []string{"h2c", "websockets", "web socket", "websocket;", "TLS/1.2"} {
		cases = append(cases, upgradeCase{"Upgrade " + v, set("Upgrade", v), []int{501, 426, 400}, ""})
	}
	for _, v := range []string{"close", "keep-alive", "Upgraded", "Up grade", "Upgrade;"} {
		cases = append(cases, upgradeCase{"Connection " + v, set("Connection", v), []int{426, 400}, ""})
	}
	runUpgrades(t, append(cases,
		upgradeCase{"no Upgrade", del("Upgrade"), []int{426, 400}, ""},
		upgradeCase{"no Connection", del("Connection"), []int{426, 400}, ""},
		upgradeCase{"neither", both(del("Upgrade"), del("Connection")), []int{426}, "upgrade_required"},
		upgradeCase{"another protocol", set("Upgrade", "h2c"), []int{501}, "not_implemented"},
		upgradeCase{"two Upgrade lines", both(set("Upgrade", "foo"), add("Upgrade", "websocket")), opens,
			""},
		upgradeCase{"two Connection lines",
			both(set("Connection", "keep-alive"), add("Connection", "Upgrade")), opens, ""},
		upgradeCase{"lower case names", func(r *raw.Request) {
			for i := range r.Fields {
				r.Fields[i].Name = strings.ToLower(r.Fields[i].Name)
			}
		}, opens, ""},
		upgradeCase{"upper case names", func(r *raw.Request) {
			for i := range r.Fields {
				r.Fields[i].Name = strings.ToUpper(r.Fields[i].Name)
			}
		}, opens, ""},
		upgradeCase{"space before the colon", func(r *raw.Request) { r.Fields[1].Name += " " },
			[]int{400}, ""},
		upgradeCase{"control byte in a value", add("X-Text", "a\x01b"), []int{400}, ""},
		upgradeCase{"NUL in a value", add("X-Text", "a\x00b"), []int{400}, ""},
	))
}

func TestUpgradeOrigin(t *testing.T) {
	host := labproc.Get(t).Addr
	_, port, _ := net.SplitHostPort(host)
	origin := func(v string) func(*raw.Request) { return set("Origin", v) }
	at := func(host, o string) func(*raw.Request) { return both(set("Host", host), origin(o)) }
	var cases []upgradeCase
	for name, change := range map[string]func(*raw.Request){
		"none": func(*raw.Request) {}, "same": origin("http://" + host),
		"same, ws":           origin("ws://" + host),
		"same, TLS in front": origin("https://" + host), "same, wss": origin("wss://" + host),
		"upper case":               at("GATE.example:9", "http://gate.EXAMPLE:9"),
		"default port said":        at("gate.example", "http://gate.example:80"),
		"default TLS port said":    at("gate.example", "https://gate.example:443"),
		"default port in Host":     at("gate.example:80", "http://gate.example"),
		"default TLS port in Host": at("gate.example:443", "https://gate.example"),
		"IPv6":                     at("[::1]:"+port, "http://[::1]:"+port),
	} {
		cases = append(cases, upgradeCase{name, change, opens, ""})
	}
	for name, change := range map[string]func(*raw.Request){
		"other host": origin("http://evil.example"), "null": origin("null"),
		"other port":                origin("http://127.0.0.1:1"),
		"no port":                   origin("http://127.0.0.1"),
		"host in front":             origin("http://" + host + ".evil.example"),
		"host as user":              origin("http://" + host + "@evil.example"),
		"host as path":              origin("http://evil.example/" + host),
		"host behind":               origin("http://evil-" + host),
		"sub domain":                at("gate.example", "http://sub.gate.example"),
		"parent domain":             at("sub.gate.example", "http://gate.example"),
		"default port against 8080": at("gate.example", "http://gate.example:8080"),
		"file":                      origin("file://"),
		"two in one":                origin("http://" + host + ", http://evil.example"),
		"extension":                 origin("chrome-extension://abcdefgh"), "not a URL": origin("%zz"),
		"other, and forwarded host": both(origin("http://evil.example"),
			add("X-Forwarded-Host", "evil.example")),
	} {
		cases = append(cases, upgradeCase{name, change, []int{403}, "forbidden"})
	}
	runUpgrades(t, append(cases,
		upgradeCase{"two, own first", both(origin("http://"+host), add("Origin", "http://evil.example")),
			[]int{403, 400}, ""},
		upgradeCase{"two, own second", both(origin("http://evil.example"), add("Origin", "http://"+host)),
			[]int{403, 400}, ""},
	))
}

func TestUpgradeSubprotocol(t *testing.T) {
	lab := labproc.Get(t)
	const header = "Sec-WebSocket-Protocol"
	for _, tc := range []struct {
		name   string
		change func(*raw.Request)
		want   string
	}{
		{"none", func(*raw.Request) {}, ""},
		{"ours", set(header, "lab.v1"), "lab.v1"},
		{"behind another", set(header, "foo, lab.v1"), "lab.v1"},
		{"without spaces", set(header, "foo,lab.v1,bar"), "lab.v1"},
		{"two lines", both(set(header, "foo"), add(header, "lab.v1")), "lab.v1"},
		{"another only", set(header, "foo"), ""},
		{"names are case-sensitive", set(header, "LAB.V1"), ""},
		{"part of ours", set(header, "lab"), ""},
		{"empty", set(header, ""), ""},
	} {
		r := raw.NewRequest(lab.Addr, "/echo")
		tc.change(r)
		c, resp, err := raw.Do(lab.Addr, r)
		if err != nil || c == nil {
			t.Errorf("%s: %v, %+v", tc.name, err, resp)
			continue
		}
		got, ok := resp.Header["Sec-Websocket-Protocol"]
		if ok != (tc.want != "") || ok && got[0] != tc.want {
			t.Errorf("%s: subprotocol %q, want %q", tc.name, got, tc.want)
		}
		if err := c.Shut(); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestUpgradeBodyAndSize(t *testing.T) {
	body := func(s string) func(*raw.Request) { return func(r *raw.Request) { r.Body = []byte(s) } }
	cookies := func(n int) func(*raw.Request) { return add("Cookie", "c="+strings.Repeat("x", n)) }
	runUpgrades(t, []upgradeCase{
		{"Content-Length 0", set("Content-Length", "0"), opens, ""},
		{"a body", both(set("Content-Length", "5"), body("hello")), []int{400}, "invalid_request"},
		{"a body that never comes", set("Content-Length", "5"), []int{400}, "invalid_request"},
		{"a huge body that never comes", set("Content-Length", "5000000000"), []int{400, 413}, ""},
		{"chunked", both(set("Transfer-Encoding", "chunked"), body("5\r\nhello\r\n0\r\n\r\n")),
			[]int{400}, "invalid_request"},
		{"chunked that never comes", set("Transfer-Encoding", "chunked"), []int{400}, "invalid_request"},
		{"both", both(set("Content-Length", "5"), set("Transfer-Encoding", "chunked"), body("0\r\n\r\n")),
			[]int{400}, ""},
		{"two lengths", both(set("Content-Length", "0"), add("Content-Length", "5")), []int{400}, ""},
		{"negative length", set("Content-Length", "-1"), []int{400}, ""},
		{"body of no upgrade", both(del("Upgrade"), del("Connection"), set("Content-Length", "5")),
			[]int{426, 400}, ""},
		{"Expect", both(set("Expect", "100-continue"), set("Content-Length", "5")), []int{400, 417}, ""},
		{"cookie of 6 KiB", cookies(6 << 10), opens, ""},
		{"cookie of 1 MiB", cookies(1 << 20), []int{431, 400}, ""},
		{"path of 200 KiB", target("/echo?" + strings.Repeat("x", 200<<10)), []int{431, 414, 400}, ""},
	})
}

// A refused upgrade with a body must also end the connection: the body may
// still come, and is not the next request.
func TestUpgradeBodyEndsConnection(t *testing.T) {
	lab := labproc.Get(t)
	r := raw.NewRequest(lab.Addr, "/echo").Set("Content-Length", "5")
	nc, err := net.DialTimeout("tcp", lab.Addr, raw.Timeout)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	begin := time.Now()
	if _, resp, err := raw.Handshake(nc, r); err != nil || resp.Status != 400 || resp.KeepAlive {
		t.Fatalf("%v, %+v; want 400 and Connection: close", err, resp)
	}
	_ = nc.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, err := nc.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
		t.Errorf("connection lives on: %d bytes, %v", n, err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("refused only after %v", took)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// Frames that come in the same segment as the handshake belong to the socket.
func TestUpgradePipelined(t *testing.T) {
	lab := labproc.Get(t)
	for _, n := range []int{1, 3, 50} {
		for _, size := range []int{0, 10, 2000} {
			r := raw.NewRequest(lab.Addr, "/echo")
			var replies []raw.Event
			for i := range n {
				p := fmt.Appendf(nil, "%d%s", i, strings.Repeat("x", size))
				r.Body = raw.Whole(raw.Text, p).Append(r.Body)
				replies = append(replies, text(p))
			}
			c, resp, err := raw.Do(lab.Addr, r)
			if err != nil || c == nil {
				t.Fatalf("%d of %d bytes: %v, %+v", n, size, err, resp)
			}
			if err := want(replies...)(c); err != nil {
				t.Errorf("%d of %d bytes: %v", n, size, err)
			}
			if err := c.Shut(); err != nil {
				t.Errorf("%d of %d bytes: %v", n, size, err)
			}
		}
	}
}

// A request that comes byte by byte, with a frame right behind it.
func TestUpgradeByteByByte(t *testing.T) {
	lab := labproc.Get(t)
	nc, err := net.DialTimeout("tcp", lab.Addr, raw.Timeout)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	r := raw.NewRequest(lab.Addr, "/echo")
	r.Body = raw.Encode(raw.Whole(raw.Text, []byte("early")))
	for _, b := range raw.Cut(r.Bytes(), 1) {
		if _, err := nc.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	c, resp, err := raw.ReadResponse(nc, r)
	if err != nil || c == nil {
		t.Fatalf("%v, %+v", err, resp)
	}
	if err := want(text("early"))(c); err != nil {
		t.Error(err)
	}
	if err := c.Shut(); err != nil {
		t.Error(err)
	}
}
