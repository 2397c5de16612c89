package gateway_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// A crowd is a gateway with many sockets whose clients take everything and say
// nothing. A client is no more than a counter, so a hundred thousand of them fit
// into one process without a single descriptor.
type crowd struct {
	gw    *gateway.Handler
	ids   []string
	taken atomic.Int64 // bytes that the clients have taken
	open  atomic.Int64 // open events less close events
}

// newCrowd opens n sockets on the route /{room}; the values of room run from 0
// to 9. All of it has ended when the test has.
func newCrowd(tb testing.TB, n int) *crowd {
	tb.Helper()
	c := &crowd{}
	c.gw = gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler),
		Limits: gateway.Limits{MessagesPerSecond: -1, PingInterval: -1, CloseTimeout: -1},
	})
	c.gw.HandleFunc("/{room}", func(_ context.Context, _ *gateway.Socket, ev gateway.Event) error {
		switch ev.Type {
		case gateway.EventOpen:
			c.open.Add(1)
		case gateway.EventClose:
			c.open.Add(-1)
		}
		return nil
	})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := c.gw.Shutdown(ctx); err != nil || c.open.Load() != 0 {
			tb.Errorf("Shutdown of a crowd = %v, %d close events are missing, want nil and 0", err,
				c.open.Load())
		}
	})
	for i := range n {
		c.connect(tb, "/"+string('0'+rune(i%10)))
	}
	c.await(tb, &c.open, int64(n))
	ids, err := c.gw.List(context.Background())
	if err != nil || len(ids) != n {
		tb.Fatalf("List of a crowd of %d = %d ids, %v", n, len(ids), err)
	}
	c.ids = ids
	return c
}

// connect opens one socket, as a server does for an upgrade request.
func (c *crowd) connect(tb testing.TB, path string) {
	tb.Helper()
	w := &sinkWriter{ResponseRecorder: httptest.NewRecorder(),
		sink: &sink{taken: &c.taken, ended: make(chan struct{})}}
	if c.gw.ServeHTTP(w, sinkRequest(path)); w.Body.Len() > 0 {
		tb.Fatalf("a socket of a crowd is refused: %s", w.Body)
	}
}

// await waits for a counter.
func (c *crowd) await(tb testing.TB, counter *atomic.Int64, want int64) {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); counter.Load() < want; runtime.Gosched() {
		if time.Now().After(deadline) {
			tb.Fatalf("a counter of a crowd is %d after a minute, want %d", counter.Load(), want)
		}
	}
}

// sinkRequest is a browser's upgrade request.
func sinkRequest(path string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://gateway.test"+path, nil)
	r.RemoteAddr = "127.0.0.1:1" // loopback: no cap per address
	for _, f := range strings.Split(strings.TrimSpace(upgradeFields+browserFields), "\r\n") {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	return r
}

// browserFields is what a browser sends besides.
const browserFields = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, " +
	"like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Origin: http://gateway.test\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: " +
	"en-US,en;q=0.9\r\n" +
	"Cache-Control: no-cache\r\nPragma: no-cache\r\nSec-WebSocket-Extensions: permessage-deflate; " +
	"client_max_window_bits\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\n"

// A sinkWriter is the ResponseWriter whose connection is a sink.
type sinkWriter struct {
	*httptest.ResponseRecorder
	sink *sink
}

// nothingRead is what net/http has read of a request beyond its head.
var nothingRead = bufio.NewReadWriter(bufio.NewReaderSize(strings.NewReader(""), 16), nil)

func (w *sinkWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.sink, nothingRead, nil
}

// A sink is the connection of a client that takes everything and says nothing.
type sink struct {
	taken *atomic.Int64
	once  sync.Once
	ended chan struct{}
}

func (s *sink) Read([]byte) (int, error) {
	<-s.ended
	return 0, io.EOF
}

func (s *sink) Write(p []byte) (int, error) {
	s.taken.Add(int64(len(p)))
	return len(p), nil
}

func (s *sink) Close() error {
	s.once.Do(func() { close(s.ended) })
	return nil
}

func (*sink) LocalAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
}
func (*sink) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
}
func (*sink) SetDeadline(time.Time) error      { return nil }
func (*sink) SetReadDeadline(time.Time) error  { return nil }
func (*sink) SetWriteDeadline(time.Time) error { return nil }
