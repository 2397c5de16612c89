package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/internal/leaktest"
)

// Messages that follow each other are served inside the read that brought them.
// These tests are about what that could hide: they need TCP.

// blocked is a gateway whose endpoint stays in its first data event until let go.
func blocked(l gateway.Limits) (gw *gateway.Handler, in, out chan struct{}, closed chan gateway.Closed) {
	in, out, closed = make(chan struct{}, 8), make(chan struct{}), make(chan gateway.Closed, 1)
	gw = withLimits(l)
	gw.Handle("/", gateway.Callbacks{
		OnData: func(context.Context, *gateway.Socket, gateway.Message) error {
			in <- struct{}{}
			<-out
			return nil
		},
		OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
	})
	return gw, in, out, closed
}

// The end of a connection that comes together with the last message is noticed,
// also when nothing is written to it.
func TestEndThatComesWithTheLastMessage(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn) error{
		"end":   (*net.TCPConn).Close,
		"reset": func(c *net.TCPConn) error { c.SetLinger(0); return c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			gw, in, out, closed := blocked(gateway.Limits{PingInterval: -1})
			p := dialTCP(t, serveTCP(t, gw, false))
			p.upgrade("/")
			p.write(masked(0x81, "first"))
			<-in
			p.write(masked(0x81, "last"))
			if err := end(p.conn.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			close(out)
			select {
			case c := <-closed:
				if c.Cause != gateway.CauseConnectionLost || c.Code != 1006 {
					t.Errorf("the close event has %+v, want connection_lost, 1006", c)
				}
			case <-time.After(30 * time.Second):
				t.Error("no close event within 30 s of the end")
			}
			if n := gw.Stats().MessagesIn; name == "end" && n != 2 {
				t.Errorf("%d messages were delivered, want both", n)
			}
		})
	}
}

// A client whose endpoint does not come back is cut all the same, by the close
// timeout and by Shutdown, and neither waits for the endpoint.
func TestCutWhileTheEndpointRuns(t *testing.T) {
	for name, stop := range map[string]func(*gateway.Handler) error{
		"close timeout": func(gw *gateway.Handler) error {
			_, err := gw.CloseAll(context.Background())
			return err
		},
		"shutdown": func(gw *gateway.Handler) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := gw.Shutdown(ctx); err == nil {
				return io.ErrNoProgress
			}
			return nil
		},
	} {
		for kind, secure := range map[string]bool{"TCP": false, "TLS": true} {
			t.Run(name+", "+kind, func(t *testing.T) {
				gw, in, out, closed := blocked(gateway.Limits{CloseTimeout: 50 * time.Millisecond})
				p := dialTCP(t, serveTCP(t, gw, secure))
				p.upgrade("/")
				p.write(masked(0x81, "first"))
				<-in
				if err := stop(gw); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if _, err := io.Copy(io.Discard, p.br); err != nil {
					if ne, ok := err.(net.Error); ok && ne.Timeout() {
						t.Error("the client still has its connection, want it to be cut")
					}
				}
				close(out)
				<-closed
			})
		}
	}
}

// An endpoint that ends the goroutine inside the read takes its own socket along and
// nothing else.
func TestGoexitInsideTheRead(t *testing.T) {
	closed := make(chan gateway.Closed, 1)
	gw := quiet()
	gw.Handle("/", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			if string(m.Data) == "exit" {
				runtime.Goexit()
			}
			return s.Send(ctx, m)
		},
		OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
	})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	p.write(masked(0x81, "stay"))
	p.want(0x81, "stay")
	p.write(masked(0x81, "exit"))
	if first, payload := p.read(); first != 0x88 || !strings.HasPrefix(payload, "\x03\xf3") {
		t.Errorf("the client got %#x %q, want a close frame with 1011", first, payload)
	}
	p.conn.Close()
	if c := <-closed; c.Cause != gateway.CausePanic || c.Code != 1011 {
		t.Errorf("the close event has %+v, want panic, 1011", c)
	}
}

// Nor does it give away the buffer that another socket's message is in.
func TestGoexitInsideTheReadAndItsBuffer(t *testing.T) {
	const sockets = 20
	in, out := make(chan struct{}), make(chan struct{})
	gw := quiet()
	gw.Handle("/",
		gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			switch string(m.Data) {
			case "exit":
				runtime.Goexit()
			case "wait":
				in <- struct{}{}
				<-out
			}
			return s.Send(ctx, m)
		}})
	srv := serveTCP(t, gw, false)
	for range sockets {
		one, other := dialTCP(t, srv), dialTCP(t, srv)
		one.upgrade("/")
		other.upgrade("/")
		// the ping has the reader return from the read
		one.write(append(masked(0x89, ""), masked(0x81, "hello")...))
		one.want(0x8a, "")
		one.want(0x81, "hello")
		other.write(masked(0x81, "wait"))
		<-in
		one.write(masked(0x81, "exit"))
		one.wantClose(1011, "panic")
		one.conn.Close()
		out <- struct{}{}
		other.want(0x81, "wait")
		other.conn.Close()
	}
	if err := gw.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
	if gateway.ReadBufferTwice(4 * sockets) {
		t.Error("a read buffer is in the pool twice: two sockets would read into it")
	}
}

// A socket at rest keeps no read buffer, also when many were in use at a time.
func TestAllocReadBuffersAtRest(t *testing.T) {
	if raceEnabled {
		t.Skip("NOT TESTED: the race detector is on, and memory is not what it is without")
	}
	const sockets = 200
	in, out := make(chan struct{}), make(chan struct{})
	gw := quiet()
	gw.Handle("/",
		gateway.Callbacks{OnData: func(context.Context, *gateway.Socket, gateway.Message) error {
			in <- struct{}{}
			<-out
			return nil
		}})
	srv := serveTCP(t, gw, false)
	peers := make([]*rawPeer, sockets)
	for i := range peers {
		peers[i] = dialTCP(t, srv)
		peers[i].upgrade("/")
	}
	for _, first := range []string{"the ping has the reader return from the read", ""} {
		for _, p := range peers {
			if first != "" {
				p.write(masked(0x89, first))
			}
			p.write(masked(0x81, "hello"))
			<-in
		}
		busy, _ := footprint()
		for range peers {
			out <- struct{}{}
		}
		var rest float64
		leaktest.Wait(func() bool {
			rest, _ = footprint()
			return busy-rest > sockets*readBuffer*3/4
		})
		if given := busy - rest; given < sockets*readBuffer*3/4 {
			t.Errorf("%d sockets gave back %.0f bytes when their endpoints had returned, want their "+
				"buffers of %d bytes each", sockets, given, readBuffer)
		}
	}
}

const readBuffer = 8 << 10

// What the endpoint sees does not depend on whether messages are served inside the
// read, as over TCP, or not, as in memory; nor on how the stream is cut.
func TestServedInsideTheReadAsOutside(t *testing.T) {
	gw := witnessed()
	var sights sync.Map // by the client's address
	srv, stop := startTCP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := sights.Load(r.RemoteAddr)
		gw.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sightKey{}, s)))
	}), false)
	t.Cleanup(func() {
		wantErr(t, "Shutdown", gw.Shutdown(context.Background()), nil)
		stop()
	})
	hello := masked(0x81, "hello")
	for i, seed := range frameSeeds() {
		stream := slices.Concat(hello, seed)
		for _, deflate := range []bool{false, true} {
			for _, size := range []int{1, 7, len(hello), len(stream)} {
				t.Run(fmt.Sprintf("seed=%d/deflate=%v/size=%d", i, deflate, size), func(t *testing.T) {
					t.Parallel()
					pieces := func() [][]byte { return slices.Collect(slices.Chunk(stream, size)) }
					want := play(gw, deflate, nil, pieces()...).events
					if got := playTCP(t, srv, &sights, deflate, pieces()); !slices.Equal(got, want) {
						t.Errorf("stream %q\nover TCP:  %q\nin memory: %q", stream, got, want)
					}
				})
			}
		}
	}
}

// playTCP is play over TCP, where it returns the events only.
func playTCP(t *testing.T, srv *httptest.Server, sights *sync.Map, deflate bool,
	pieces [][]byte) []string {
	s := &sight{done: make(chan struct{})}
	p := dialTCP(t, srv)
	sights.Store(p.conn.LocalAddr().String(), s)
	if deflate {
		p.upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate", "")
	} else {
		p.upgrade("/")
	}
	go io.Copy(io.Discard, p.br) // ends with the connection
	for _, b := range pieces {
		if _, err := p.conn.Write(b); err != nil {
			break // the gateway has heard enough
		}
	}
	p.conn.(*net.TCPConn).CloseWrite()
	<-s.done
	return s.events
}
