package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// unlimited switches the rate limit off.
var unlimited = gateway.Limits{MessagesPerSecond: -1}

// quiet returns a gateway that logs nothing and limits no rate.
func quiet() *gateway.Handler {
	return gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler), Limits: unlimited})
}

// withLimits is quiet with limits.
func withLimits(l gateway.Limits) *gateway.Handler {
	l.MessagesPerSecond = -1
	return gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler), Limits: l})
}

// serve serves a gateway in memory and checks, after all of it has ended, that
// nothing is left.
func serve(tb testing.TB, gw *gateway.Handler) *gatewaytest.Server {
	tb.Helper()
	tb.Cleanup(func() {
		if left := gateway.Leftovers(gw); left != nil {
			tb.Errorf("after Shutdown the gateway still holds %q, want nothing", left)
		}
		if n := gw.Stats().Open; n != 0 {
			tb.Errorf("Stats().Open after Shutdown = %d, want 0", n)
		}
	})
	return gatewaytest.NewServer(tb, gw)
}

// serveHandler serves a handler around gateways in memory.
func serveHandler(tb testing.TB, h http.Handler, gws ...*gateway.Handler) *gatewaytest.Server {
	tb.Helper()
	srv := gatewaytest.NewServer(tb, h)
	tb.Cleanup(func() {
		for _, gw := range gws {
			if err := gw.Shutdown(context.Background()); err != nil {
				tb.Errorf("Shutdown = %v, want nil", err)
			}
			if left := gateway.Leftovers(gw); left != nil {
				tb.Errorf("after Shutdown the gateway still holds %q, want nothing", left)
			}
		}
	})
	return srv
}

// serveTCP is serve over real TCP or TLS; it returns the server's address.
func serveTCP(tb testing.TB, gw *gateway.Handler, tls bool) *httptest.Server {
	tb.Helper()
	srv, stop := startTCP(gw, tls)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := gw.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown = %v, want nil", err)
		}
		stop()
		if left := gateway.Leftovers(gw); left != nil {
			tb.Errorf("after Shutdown the gateway still holds %q, want nothing", left)
		}
	})
	return srv
}

// startTCP starts a server. Without TLS it is one of net/http as programs have it, without
// the hook of httptest's: messages are served inside the read only where no hook can have
// got hold of the connection.
func startTCP(h http.Handler, tls bool) (srv *httptest.Server, stop func()) {
	srv = httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if tls {
		srv.StartTLS()
		return srv, srv.Close
	}
	var serving sync.WaitGroup
	serving.Go(func() { srv.Config.Serve(srv.Listener) })
	return srv, func() {
		srv.Config.Close()
		serving.Wait()
	}
}

func echo() gateway.Endpoint {
	return gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
		return s.Send(ctx, m)
	}}
}

// A recorder is an endpoint that writes down its events, and then does what
// on says.
type recorder struct {
	on func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error

	mu      sync.Mutex
	events  []string
	closed  gateway.Closed
	sockets []*gateway.Socket
}

func (r *recorder) ServeEvent(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
	r.mu.Lock()
	switch ev.Type {
	case gateway.EventOpen:
		r.events = append(r.events, "open")
		r.sockets = append(r.sockets, s)
	case gateway.EventData:
		r.events = append(r.events, fmt.Sprintf("%s %.40q", ev.Message.Type, ev.Message.Data))
	case gateway.EventClose:
		r.events = append(r.events,
			fmt.Sprintf("close %s %d %q", ev.Closed.Cause, ev.Closed.Code, ev.Closed.Reason))
		r.closed = ev.Closed
	}
	r.mu.Unlock()
	if r.on == nil {
		return nil
	}
	return r.on(ctx, s, ev)
}

// socket returns the latest socket that was opened.
func (r *recorder) socket() *gateway.Socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sockets[len(r.sockets)-1]
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}

// expect checks the events so far. Inside a bubble it waits for what can still
// happen without time passing.
func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.want(t, want...)
}

// want is expect where nothing is to be waited for.
func (r *recorder) want(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.events, want) {
		t.Errorf("events of the socket:\n got %q\nwant %q", r.events, want)
	}
}

// open serves one endpoint at /, connects one peer and returns its socket.
func open(t *testing.T, gw *gateway.Handler, r *recorder) (*gateway.Socket, *gatewaytest.Peer) {
	t.Helper()
	gw.Handle("/", r)
	p := serve(t, gw).Dial(t, "/")
	synctest.Wait()
	return r.socket(), p
}

// wantClosed checks how a peer saw its socket end.
func wantClosed(t *testing.T, p *gatewaytest.Peer, code int, reason string) {
	t.Helper()
	if gotCode, gotReason := p.Closed(); gotCode != code || gotReason != reason {
		t.Errorf("the client's close frame = %d %q, want %d %q", gotCode, gotReason, code, reason)
	}
}

func wantText(t *testing.T, p *gatewaytest.Peer, want string) {
	t.Helper()
	if m := p.Receive(); m.Type != gateway.MessageText || string(m.Data) != want {
		t.Errorf("Receive() = %v %.60q, want data-text %.60q", m.Type, m.Data, want)
	}
}

// wantErr checks the type of an operation's error; nil wants success.
func wantErr(t *testing.T, call string, err error, want *gateway.Error) {
	t.Helper()
	switch {
	case want == nil && err != nil:
		t.Errorf("%s = %v, want nil", call, err)
	case want != nil && !errors.Is(err, want):
		t.Errorf("%s = %v, want an error of type %s", call, err, want.Type)
	}
}

// bubble runs a test in a bubble of testing/synctest.
func bubble(t *testing.T, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, fn) })
}

// wantRefused checks the answer to an upgrade: status, error object, fields.
func wantRefused(t *testing.T, srv *gatewaytest.Server, path string, header http.Header, status int,
	typ string, fields ...string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://gateway.test"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	p, resp := srv.DialRequest(t, r)
	if p != nil {
		t.Errorf("upgrade of %s was accepted, want %d", path, status)
		return
	}
	wantErrorObject(t, resp, status, typ)
	for _, name := range fields {
		if resp.Header.Get(name) == "" {
			t.Errorf("the answer to %s has no field %s: %v", path, name, resp.Header)
		}
	}
}

// wantErrorObject checks that an answer is the error object as JSON.
func wantErrorObject(t *testing.T, resp *http.Response, status int, typ string) {
	t.Helper()
	var obj map[string]any
	err := json.NewDecoder(resp.Body).Decode(&obj)
	text, _ := obj["error"].(string)
	if resp.StatusCode != status || err != nil || len(obj) != 3 || obj["type"] != typ ||
		obj["status"] != float64(status) || text == "" {
		t.Errorf("the answer is %s with %v (%v), want %d with type %s, an error text and the status",
			resp.Status, obj, err, status, typ)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", got)
	}
	if got := resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
}

// wantPanic checks that a mistake panics with a text that names it.
func wantPanic(t *testing.T, call, text string, fn func()) {
	t.Helper()
	defer func() {
		if v := recover(); v == nil || !strings.Contains(fmt.Sprint(v), text) {
			t.Errorf("%s panicked with %v, want a text that contains %q", call, v, text)
		}
	}()
	fn()
}

// dialTCP connects to a server of serveTCP.
func dialTCP(tb testing.TB, srv *httptest.Server) *rawPeer {
	tb.Helper()
	var conn net.Conn
	var err error
	if srv.TLS != nil {
		conn, err = tls.Dial("tcp", srv.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	} else {
		conn, err = net.Dial("tcp", srv.Listener.Addr().String())
	}
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second)) // so that a failure is not a hang
	return newRawPeer(tb, conn)
}

// A rawPeer is a client that writes every byte itself.
type rawPeer struct {
	tb   testing.TB
	conn net.Conn
	br   *bufio.Reader
}

const upgradeFields = "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// rawConn connects to a server in memory.
func rawConn(tb testing.TB, srv *gatewaytest.Server) *rawPeer {
	tb.Helper()
	conn, err := srv.Client().Transport.(*http.Transport).DialContext(context.Background(), "tcp", "")
	if err != nil {
		tb.Fatalf("dial: %v", err)
	}
	return newRawPeer(tb, conn)
}

func newRawPeer(tb testing.TB, conn net.Conn) *rawPeer {
	tb.Cleanup(func() { conn.Close() })
	return &rawPeer{tb: tb, conn: conn, br: bufio.NewReader(conn)}
}

// rawDial opens a socket; fields are further header lines.
func rawDial(tb testing.TB, srv *gatewaytest.Server, path string, fields ...string) *rawPeer {
	tb.Helper()
	p := rawConn(tb, srv)
	p.upgrade(path, fields...)
	return p
}

// upgrade opens a socket on a connection.
func (p *rawPeer) upgrade(path string, fields ...string) *http.Response {
	p.tb.Helper()
	resp := p.request("GET " + path + " HTTP/1.1\r\nHost: gateway.test\r\n" + upgradeFields +
		strings.Join(fields, "\r\n") + "\r\n")
	if resp.StatusCode != http.StatusSwitchingProtocols {
		p.tb.Fatalf("upgrade of %s = %s, want 101", path, resp.Status)
	}
	return resp
}

// request writes the head of a request and reads the answer.
func (p *rawPeer) request(head string) *http.Response {
	p.tb.Helper()
	if !strings.Contains(head, "\r\n\r\n") {
		head += "\r\n"
	}
	p.write([]byte(head))
	return p.response()
}

// response reads the answer to a request.
func (p *rawPeer) response() *http.Response {
	p.tb.Helper()
	resp, err := http.ReadResponse(p.br, nil)
	if err != nil {
		p.tb.Fatalf("reading the answer: %v", err)
	}
	return resp
}

func (p *rawPeer) write(b []byte) {
	p.tb.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.tb.Fatalf("write of %d bytes: %v", len(b), err)
	}
}

// masked is one frame of a client, with a key of zeros.
func masked(first byte, payload string) []byte {
	return append(maskedHeader(first, len(payload)), payload...)
}

// maskedHeader is the header of a frame of n bytes.
func maskedHeader(first byte, n int) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return append(b, 0, 0, 0, 0)
}

// read returns the next frame, "" and 0 at the end of the connection.
func (p *rawPeer) read() (first byte, payload string) {
	p.tb.Helper()
	first, payload, err := readFrame(p.br)
	if err != nil {
		return 0, ""
	}
	return first, payload
}

func readFrame(r io.Reader) (first byte, payload string, err error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return 0, "", err
	}
	first = h[0]
	n := uint64(h[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:2]))
	case 127:
		_, err = io.ReadFull(r, h[:8])
		n = binary.BigEndian.Uint64(h[:8])
	}
	if err != nil {
		return 0, "", err
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, int64(n)); err != nil {
		return 0, "", err
	}
	return first, b.String(), nil
}

// want reads a frame and compares it.
func (p *rawPeer) want(first byte, payload string) {
	p.tb.Helper()
	if f, got := p.read(); f != first || got != payload {
		p.tb.Fatalf("frame %#x with %d bytes (%.20q), want %#x with %d (%.20q)", f, len(got), got, first,
			len(payload), payload)
	}
}

// wantClose reads up to a close frame and checks it; code 0 wants the end of the
// connection without one.
func (p *rawPeer) wantClose(code int, reason string) {
	p.tb.Helper()
	for {
		first, payload := p.read()
		switch {
		case first == 0 && code == 0:
			return
		case first == 0:
			p.tb.Errorf("the connection ended without a close frame, want %d %q", code, reason)
			return
		case first != 0x88:
			continue
		}
		got, text := 1005, ""
		if len(payload) >= 2 {
			got, text = int(payload[0])<<8|int(payload[1]), payload[2:]
		}
		if got != code || text != reason {
			p.tb.Errorf("the close frame = %d %q, want %d %q", got, text, code, reason)
		}
		return
	}
}

// A logbook keeps what a gateway logs.
type logbook struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
