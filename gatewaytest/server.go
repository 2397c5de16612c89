// Package gatewaytest serves a gateway in memory and connects clients to it, for
// the tests of programs that use the gateway.
//
// Nothing here opens a port or waits for real time, so it works inside a bubble of
// testing/synctest. There a minute takes no time, and synctest.Wait takes the place of
// every sleep.
package gatewaytest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Patience is how long [Peer.Receive] and [Peer.Closed] wait before they fail
// the test.
const Patience = time.Minute

// A Server is an http.Server in memory.
type Server struct {
	listener *listener
	client   http.Client
}

// NewServer serves the handler until the test ends. At the end of the test all peers
// are cut, which ends their sockets. Then the handler's method
// Shutdown(context.Context) error is called, if it has one, as *gateway.Handler has. It
// has [Patience] to return, and an error fails the test.
func NewServer(tb testing.TB, handler http.Handler) *Server {
	tb.Helper()
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: Patience}
	var served sync.WaitGroup
	served.Go(func() { srv.Serve(l) })
	s := &Server{listener: l}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return l.dial(ctx)
		},
		DisableKeepAlives: true,
	}
	s.client.Transport = transport
	tb.Cleanup(func() {
		if gw, ok := handler.(interface{ Shutdown(context.Context) error }); ok {
			ctx, cancel := context.WithTimeout(context.Background(), Patience)
			defer cancel()
			if err := gw.Shutdown(ctx); err != nil {
				tb.Errorf("gatewaytest: %v", err)
			}
		}
		transport.CloseIdleConnections()
		srv.Close()
		served.Wait()
	})
	return s
}

// Client returns an HTTP client. All its requests go to the server, whatever host
// they name.
func (s *Server) Client() *http.Client { return &s.client }

// Dial opens a socket on the path, which may have a query. It fails the test if
// the server refuses.
func (s *Server) Dial(tb testing.TB, path string) *Peer {
	tb.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://gateway.test"+path, nil)
	if err != nil {
		tb.Fatalf("gatewaytest: %v", err)
	}
	p, resp := s.DialRequest(tb, r)
	if p == nil {
		body, _ := io.ReadAll(resp.Body) // as much of it as came
		tb.Fatalf("gatewaytest: dial %s: the server answered %s: %s", path, resp.Status, body)
	}
	return p
}

// DialRequest opens a socket with the URL, the Host and the header of a request. A
// Sec-WebSocket-Protocol field offers subprotocols. If the server refuses, the Peer is
// nil. In both cases the response is the server's, with up to 1,024 bytes of its body;
// of a refusal that is the error object. The body needs no closing.
func (s *Server) DialRequest(tb testing.TB, r *http.Request) (*Peer, *http.Response) {
	tb.Helper()
	var raw *conn
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := s.listener.dial(ctx)
			raw = c
			return c, err
		},
	}}
	header := r.Header.Clone()
	opts := &websocket.DialOptions{HTTPClient: &client, HTTPHeader: header, Host: r.Host,
		CompressionMode: websocket.CompressionDisabled}
	for _, field := range header.Values("Sec-WebSocket-Protocol") {
		for offered := range strings.SplitSeq(field, ",") {
			opts.Subprotocols = append(opts.Subprotocols, strings.TrimSpace(offered))
		}
	}
	header.Del("Sec-WebSocket-Protocol")
	ws, resp, err := websocket.Dial(r.Context(), r.URL.String(), opts)
	if err != nil {
		if resp == nil {
			tb.Fatalf("gatewaytest: dial %s: %v", r.URL, err)
		}
		return nil, resp
	}
	return newPeer(tb, ws, raw), resp
}

// A listener hands the connections that dial makes to the server.
type listener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}

	mu sync.Mutex
	n  int // connections made
}

func (l *listener) dial(ctx context.Context) (*conn, error) {
	l.mu.Lock()
	l.n++
	// 192.0.2.0/24 is for documentation (RFC 5737), and not loopback.
	from := addr(fmt.Sprintf("192.0.2.1:%d", 1024+l.n%60000))
	l.mu.Unlock()
	client, server := newPipe(from, "192.0.2.2:80")
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *listener) Addr() net.Addr { return addr("192.0.2.2:80") }
