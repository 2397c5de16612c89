package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// overs are what sockets that rest may be connected over: a version of TLS, or 0 for none.
var overs = map[string]uint16{
	"TCP": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13,
}

// resting is a gateway whose sockets rest soon, with its server.
func resting(t *testing.T, after time.Duration, over uint16,
	ep gateway.Endpoint) (*gateway.Handler, *httptest.Server) {
	t.Helper()
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler), RestAfter: after,
		Limits: gateway.Limits{MessagesPerSecond: -1, PingInterval: -1},
	})
	gw.Handle("/", ep)
	return gw, serveTCP(t, gw, over != 0)
}

// restDial opens a socket.
func restDial(t *testing.T, srv *httptest.Server, over uint16) *rawPeer {
	t.Helper()
	p := dialOver(t, srv, over)
	p.upgrade("/")
	return p
}

// dialOver is dialTCP with this version of TLS.
func dialOver(t *testing.T, srv *httptest.Server, over uint16) *rawPeer {
	t.Helper()
	if over == 0 {
		return dialTCP(t, srv)
	}
	return secure(t, bareTCP(t, srv), &tls.Config{MinVersion: over, MaxVersion: over})
}

// bareTCP connects to a server, and does nothing more.
func bareTCP(t *testing.T, srv *httptest.Server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second)) // so that a failure is not a hang
	return conn
}

// secure makes a connection one under TLS.
func secure(t *testing.T, under net.Conn, config *tls.Config) *rawPeer {
	t.Helper()
	config.InsecureSkipVerify = true
	conn := tls.Client(under, config)
	p := newRawPeer(t, conn)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return p
}

// rests waits until n sockets rest.
func rests(t *testing.T, gw *gateway.Handler, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("Stats().Resting = %d", n), func() bool {
		gateway.Rest(gw) // the sweeper would take its time
		return gw.Stats().Resting == n
	})
}

// eventually waits until ok says true; it is a guard against a hang and nothing else.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestRest(t *testing.T) {
	for name, over := range overs {
		t.Run(name, func(t *testing.T) { restAndWake(t, over) })
	}
}

func restAndWake(t *testing.T, over uint16) {
	r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		if ev.Type == gateway.EventData {
			return s.Send(ctx, ev.Message)
		}
		return nil
	}}
	gw, srv := resting(t, 20*time.Millisecond, over, r)
	rests := func(n int) { t.Helper(); rests(t, gw, n) }
	p := restDial(t, srv, over)
	for i := range 5 {
		rests(1)
		text := fmt.Sprint("after rest ", i)
		p.write(masked(0x81, text))
		p.want(0x81, text)
	}
	rests(1)
	if err := gw.Send(t.Context(), r.socket().ID(), gateway.Text("while at rest")); err != nil {
		t.Errorf("Send to a socket at rest = %v", err)
	}
	p.want(0x81, "while at rest")
	rests(1)
	if err := gw.Close(t.Context(), r.socket().ID()); err != nil {
		t.Errorf("Close of a socket at rest = %v", err)
	}
	p.wantClose(1000, "operation")
	rests(0)

	p = restDial(t, srv, over)
	rests(1)
	p.write(masked(0x88, "\x03\xe8bye")) // wakes it
	p.wantClose(1000, "bye")
	rests(0)

	p = restDial(t, srv, over)
	rests(1)
	p.conn.Close()
	rests(0)
	eventually(t, "the end of a client that is gone", func() bool { return gw.Stats().Open == 0 })

	half := restDial(t, srv, over)
	rests(1)
	half.write(masked(0x81, "in two parts")[:5]) // is not at rest in the middle of a message
	rests(0)
	half.write(masked(0x81, "in two parts")[5:])
	half.want(0x81, "in two parts")
	rests(1) // Shutdown, in serveTCP, closes one that rests
}

// Where very many sockets have a goroutine, one that has said its first thing rests at
// once; and only once, for a client that says a second thing soon is one that talks.
func TestRestAfterTheFirstWord(t *testing.T) {
	const many, more = 300, 256 // as many keep their goroutines
	gw, srv := resting(t, time.Hour, 0, echo())
	var peers []*rawPeer
	for range many {
		p := restDial(t, srv, 0)
		peers = append(peers, p)
	}
	say := func(i int, text string) {
		peers[i].write(masked(0x81, text))
		peers[i].want(0x81, text)
	}
	for i := range peers {
		say(i, "first")
		eventually(t, "the rest of those above the bound", // before the next one is judged
			func() bool { return gw.Stats().Resting == min(i+1, many-more) })
	}
	for i := range peers {
		say(i, "second")
	}
	eventually(t, "that those who talk are awake", func() bool { return gw.Stats().Resting == 0 })
	for i := range peers {
		say(i, "third")
	}
	if n := gw.Stats().Resting; n != 0 {
		t.Errorf("Stats().Resting = %d among sockets that talk, want 0", n)
	}
}

func TestRestOff(t *testing.T) {
	gw, srv := resting(t, -1, 0, echo())
	restDial(t, srv, 0)
	eventually(t, "the socket", func() bool { return gw.Stats().Open == 1 })
	gateway.Sweep(gw)
	if n := gw.Stats().Resting; n != 0 {
		t.Errorf("Stats().Resting = %d with RestAfter negative, want 0", n)
	}
}
