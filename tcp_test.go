package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// What only real connections show: half a write, a reset, buffers of the kernel.

// Replies that are larger than the connection's buffers wait for the client to
// read, and arrive whole and in order.
func TestLargeRepliesToALateReader(t *testing.T) {
	gw := withLimits(gateway.Limits{ReadLimit: -1, SendLimit: -1})
	gw.Handle("/", echo())
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	big := strings.Repeat("0123456789abcdef", 768<<10) // 12 MiB: no buffer takes it
	p.write(masked(0x82, big))
	p.write(masked(0x81, "next"))
	p.write(masked(0x89, "ping"))
	for gw.Stats().MessagesOut == 0 { // the reply has begun
		time.Sleep(time.Millisecond)
	}
	if first, payload := p.read(); first != 0x82 || payload != big {
		t.Fatalf("the large reply is %#x with %d bytes, want 0x82 with %d as they were sent", first,
			len(payload), len(big))
	}
	p.want(0x81, "next")
	p.want(0x8a, "ping")
}

// An answer to the upgrade request that is larger than the connection's buffers waits for
// the client to read, and what is sent meanwhile comes behind it.
func TestLargeAnswerToALateReader(t *testing.T) {
	big := strings.Repeat("x", 12<<20)
	r := &recorder{}
	gw := gateway.New(&gateway.Options{
		Authorize: func(*http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Header: http.Header{"X-Big": {big}}}, nil
		},
	})
	gw.Handle("/", r)
	p := dialTCP(t, serveTCP(t, gw, false))
	p.write([]byte("GET / HTTP/1.1\r\nHost: gateway.test\r\n" + upgradeFields + "\r\n"))
	for r.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	wantErr(t, "Send", r.socket().Send(t.Context(), gateway.Text("behind")), nil)
	if resp := p.response(); resp.StatusCode != http.StatusSwitchingProtocols ||
		resp.Header.Get("X-Big") != big {
		t.Fatalf("the answer is %s with a field of %d bytes, want 101 and %d", resp.Status,
			len(resp.Header.Get("X-Big")), len(big))
	}
	p.want(0x81, "behind")
}

// An endpoint that replies to a client that has reset its connection learns of it,
// and the socket ends as lost.
func TestReplyToAResetConnection(t *testing.T) {
	gw := quiet()
	gone, closed := make(chan struct{}), make(chan gateway.Closed, 1)
	gw.Handle("/", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			<-gone
			for { // the first may still be taken by the kernel
				if err := s.Send(ctx, m); err != nil {
					return err
				}
			}
		},
		OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
	})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	p.write(masked(0x81, "hello"))
	for gw.Stats().MessagesIn == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := p.conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	p.conn.Close()
	close(gone)
	select {
	case c := <-closed:
		if c.Cause != gateway.CauseConnectionLost || c.Code != 1006 {
			t.Errorf("the close event has %+v, want connection_lost, 1006", c)
		}
	case <-time.After(30 * time.Second):
		t.Error("no close event within 30 s of the reset")
	}
	if st := gw.Stats(); st.Lost["closed"] == 0 || st.Lost["closed"] > st.MessagesOut {
		t.Errorf("%d of %d accepted replies are lost, want the one that could not be written",
			st.Lost["closed"], st.MessagesOut)
	}
}

// A client that answers no close frame and goes on sending is read for a while and
// then cut, whatever it sends: it cannot keep its connection.
func TestSenderThatDoesNotHearTheClose(t *testing.T) {
	for name, frame := range map[string][]byte{
		"messages": masked(0x82, strings.Repeat("x", 50_000)),
		"fragments": append(masked(0x02, strings.Repeat("x", 30_000)),
			masked(0x80, strings.Repeat("x", 30_000))...),
		"not WebSocket": []byte(strings.Repeat("\x00", 50_000)),
	} {
		t.Run(name, func(t *testing.T) {
			gw := withLimits(gateway.Limits{CloseTimeout: time.Hour})
			gw.Handle("/", gateway.Callbacks{})
			p := dialTCP(t, serveTCP(t, gw, false))
			p.upgrade("/")
			if n, err := gw.CloseAll(t.Context()); n != 1 || err != nil {
				t.Errorf("CloseAll = %d, %v, want 1", n, err)
			}
			for range 10_000 { // 500 MB, if nobody stops it
				if _, err := p.conn.Write(frame); err != nil {
					return
				}
			}
			t.Error("the client could send 500 MB after the close frame, want it to be cut")
		})
	}
}

// A client that floods with pings and reads no pong is not read from either, and is
// cut as a slow consumer.
func TestPingFloodWithoutReading(t *testing.T) {
	gw := withLimits(gateway.Limits{WriteTimeout: 300 * time.Millisecond,
		CloseTimeout: time.Millisecond})
	closed := make(chan gateway.Closed, 1)
	gw.Handle("/",
		gateway.Callbacks{OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) {
			closed <- c
		}})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	pings := []byte(strings.Repeat(string(masked(0x89, strings.Repeat("p", 125))), 500))
	for { // until the gateway reads no more, and then until it ends the connection
		if _, err := p.conn.Write(pings); err != nil {
			break
		}
	}
	select {
	case c := <-closed:
		if c.Cause != gateway.CauseSlowConsumer {
			t.Errorf("the close event has %+v, want slow_consumer", c)
		}
	case <-time.After(30 * time.Second):
		t.Error("no close event within 30 s of the end of the connection")
	}
}

// A ResponseWriter whose Hijack fails: 500, nothing is left, and no text of the
// inside but the type.
func TestHijackThatFails(t *testing.T) {
	gw := quiet()
	gw.Handle("/", echo())
	w := failingHijacker{httptest.NewRecorder()}
	gw.ServeHTTP(w, sinkRequest("/"))
	wantErrorObject(t, w.Result(), http.StatusInternalServerError, "internal")
	if body := w.Body.String(); !strings.Contains(body, "failingHijacker") {
		t.Errorf("the answer is %s, want it to name the type", body)
	}
	if left := gateway.Leftovers(gw); left != nil {
		t.Errorf("the gateway still holds %q, want nothing", left)
	}
	if err := gw.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
}

type failingHijacker struct{ *httptest.ResponseRecorder }

func (failingHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("not today")
}
