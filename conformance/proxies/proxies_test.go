// Package proxies runs real proxies with the lines of the documentation in front of a
// gateway, and clients that lie about where they come from. A proxy that is not
// installed is skipped.
package proxies

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// said is what an endpoint tells its client.
type said struct{ URI, Remote, Host, Authorized string }

// The lies that clients tell. Each goes through every proxy.
var lies = map[string]string{
	"none":      "",
	"Forwarded": "Forwarded: for=6.6.6.6;proto=https;host=bank.example\r\n",
	"X-Forwarded": "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n" +
		"X-Forwarded-Host: bank.example\r\n",
	"both": "Forwarded: for=127.0.0.1;proto=https;host=bank.example\r\nX-Forwarded-For: " +
		"127.0.0.1\r\n" +
		"X-Forwarded-Proto: wss, https\r\nX-Forwarded-Host: bank.example, bank.example\r\n",
	"twice": "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.7\r\nX-Forwarded-Proto: " +
		"https\r\nX-Forwarded-Proto: https\r\n",
	"a quote open": "Forwarded: for=\"6.6.6.6\r\nX-Forwarded-For: \"6.6.6.6\r\n",
}

// Lies that proxies fall for who take these headers for their client's to remove.
var connectionLies = map[string]string{
	"X-Forwarded-For as hop by hop": "Connection: Upgrade, X-Forwarded-For, X-Forwarded-Proto, " +
		"X-Forwarded-Host\r\n",
}

func TestProxies(t *testing.T) {
	for _, p := range all {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(p.name+" over "+network, func(t *testing.T) {
				t.Parallel()
				path := installed(t, p)
				back := serve(t, network)
				front := freeAddr(t)
				start(t, p, path, front, p.over(block(t, p.name), back))
				for name, fields := range lies {
					check(t, front, name, "Connection: Upgrade\r\n"+fields)
				}
				for name, fields := range connectionLies {
					check(t, front, name, fields)
				}
			})
		}
	}
}

// Without the lines that clear what is not believed by default, that still counts for
// nothing.
func TestProxiesThatPassHeadersOn(t *testing.T) {
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			path := installed(t, p)
			clears := regexp.MustCompile(`(?m)^.*([ -]Forwarded( "";)?$|X-Forwarded-Host).*\n`)
			lines := clears.ReplaceAllString(block(t, p.name), "")
			front := freeAddr(t)
			start(t, p, path, front, p.over(lines, serve(t, "tcp")))
			for name, fields := range lies {
				checkPath(t, front, "/ws/default", name, "Connection: Upgrade\r\n"+fields)
			}
		})
	}
}

// check asks both gateways: one that believes what is listed by default, and one that
// believes the host too.
func check(t *testing.T, front, name, fields string) {
	t.Helper()
	for _, path := range []string{"/ws/default", "/ws/host"} {
		checkPath(t, front, path, name, fields)
	}
}

func checkPath(t *testing.T, front, path, name, fields string) {
	t.Helper()
	got := ask(t, front, path, fields)
	wantURI, wantRemote := "ws://"+front+path+"?q=1", client
	if host, _, _ := net.SplitHostPort(got.Remote); got.URI != wantURI || host != wantRemote {
		t.Errorf("%s: at %s the client is %s with %s, want %s with %s", name, path, got.Remote, got.URI,
			wantRemote, wantURI)
	}
	if want := fmt.Sprint(got.Remote, " ", front, " ws://"+front+path+"?q=1"); got.Authorized != want {
		t.Errorf("%s: at %s Authorize saw %s, want %s", name, path, got.Authorized, want)
	}
}

// client is where clients come from; the proxy is 127.0.0.1.
const client = "127.0.0.2"

// ask opens a socket through the proxy and returns what it is told.
func ask(t *testing.T, front, path, fields string) (got said) {
	t.Helper()
	from := &net.TCPAddr{IP: net.ParseIP(client)}
	conn, err := (&net.Dialer{LocalAddr: from, Timeout: 10 * time.Second}).Dial("tcp", front)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET %s?q=1 HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Origin: http://%s\r\n%s\r\n", path, front, front, fields)
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		t.Fatalf("the answer to %q is %s: %s", fields, resp.Status, body)
	}
	h := make([]byte, 4)
	if _, err := io.ReadFull(br, h); err != nil || h[0] != 0x81 || h[1] != 126 {
		t.Fatalf("the frame begins with %x, %v, want a text of 126 bytes and more", h, err)
	}
	text := make([]byte, int(h[2])<<8|int(h[3]))
	if _, err := io.ReadFull(br, text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// serve serves two gateways that trust 127.0.0.1, or a Unix socket, and returns where.
func serve(t *testing.T, network string) string {
	dir := openDir(t)
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(dir, "gateway.sock")
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if network == "unix" {
		if err := os.Chmod(addr, 0o777); err != nil { // Apache's workers are another user
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	for path, headers := range map[string][]string{
		"/ws/default": nil, "/ws/host": {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"}} {
		gw := gateway.New(&gateway.Options{
			Logger: slog.New(slog.DiscardHandler), ForwardedHeaders: headers,
			TrustUnixSockets: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
			Authorize: func(r *http.Request) (*gateway.Admission, error) {
				saw := fmt.Sprint(r.RemoteAddr, " ", r.Host, " ", r.URL)
				return &gateway.Admission{Values: map[string]string{"saw": saw}}, nil
			},
		})
		gw.Handle(path, gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			info := s.Info()
			text, err := gateway.JSON(said{info.URI, info.RemoteAddr, info.Header.Get("Host"),
				s.Value("saw")})
			if err != nil {
				return err
			}
			return s.Send(ctx, text)
		}})
		mux.Handle(path, gw)
		t.Cleanup(func() {
			if err := gw.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String()
}

// openDir is a directory that every user can look into.
func openDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "proxies")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// block returns the lines of the documentation for a proxy.
func block(t *testing.T, language string) string {
	page, err := os.ReadFile("../../docs/proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```"+language+"\n")
	lines, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 || !strings.Contains(lines, "127.0.0.1:8080") {
		t.Fatalf("docs/proxies.md has no lines for %s", language)
	}
	return lines
}
