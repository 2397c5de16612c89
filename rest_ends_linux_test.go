package gateway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/wsgateway/gateway"
)

// Only what the gateway knows down to the descriptor can rest: whatever lies between may hold
// bytes that no descriptor reports.
func TestWhichConnectionsRest(t *testing.T) {
	type wrapper struct{ net.Conn }
	cert := certificate()
	pipe := func() (net.Conn, net.Conn) { return net.Pipe() }
	tcp := func() (net.Conn, net.Conn) { return tcpPair(t) }
	unix := func() (net.Conn, net.Conn) { return unixPair(t) }
	plain := func(s, c net.Conn) (net.Conn, net.Conn) { return s, c }
	wrapped := func(s, c net.Conn) (net.Conn, net.Conn) { return wrapper{s}, c }
	under := func(s, c net.Conn) (net.Conn, net.Conn) { return secured(s, c, cert) }
	overWrapped := func(s, c net.Conn) (net.Conn, net.Conn) { return under(wrapper{s}, c) }
	wrappedTLS := func(s, c net.Conn) (net.Conn, net.Conn) { return wrapped(under(s, c)) }
	twice := func(s, c net.Conn) (net.Conn, net.Conn) { return under(under(s, c)) }
	for name, kind := range map[string]struct {
		pair  func() (server, client net.Conn)
		wrap  func(server, client net.Conn) (net.Conn, net.Conn)
		rests bool
	}{
		"TCP":            {tcp, plain, true},
		"a Unix socket":  {unix, plain, true},
		"TLS over TCP":   {tcp, under, true},
		"TLS over Unix":  {unix, under, true},
		"memory":         {pipe, plain, false},
		"TLS in memory":  {pipe, under, false},
		"TCP, wrapped":   {tcp, wrapped, false},
		"TLS over those": {tcp, overWrapped, false},
		"TLS, wrapped":   {tcp, wrappedTLS, false},
		"TLS over TLS":   {tcp, twice, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := echoing()
			gw := quiet()
			gw.Handle("/", r)
			server, client := kind.wrap(kind.pair())
			go upgradeOver(gw, server)
			client.SetDeadline(time.Now().Add(30 * time.Second))
			p := newRawPeer(t, client)
			if _, err := http.ReadResponse(p.br, nil); err != nil {
				t.Fatal(err)
			}
			p.write(masked(0x81, "hello"))
			p.want(0x81, "hello")
			if got := gateway.CanRest(r.socket()); got != kind.rests {
				t.Errorf("it can rest: %v, want %v", got, kind.rests)
			}
			p.write(masked(0x88, ""))
			p.wantClose(1005, "")
			p.conn.Close()
			wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
		})
	}
}

// unixPair returns both ends of a connection over a Unix socket.
func unixPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// Sockets at rest have no goroutine, and all hear of the end of the gateway.
func TestEndsAtRest(t *testing.T) {
	ends := map[string]func(gw *gateway.Handler, peers []*rawPeer) error{
		"CloseAll": func(gw *gateway.Handler, peers []*rawPeer) error {
			closed, err := gw.CloseAll(t.Context())
			if closed != len(peers) {
				t.Errorf("CloseAll = %d, want %d", closed, len(peers))
			}
			return err
		},
		"Shutdown": func(gw *gateway.Handler, peers []*rawPeer) error {
			var answers sync.WaitGroup
			defer answers.Wait()
			for _, p := range peers {
				answers.Go(func() { answerClose(p) })
			}
			return gw.Shutdown(t.Context())
		},
		"Shutdown out of time": func(gw *gateway.Handler, _ []*rawPeer) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := gw.Shutdown(ctx); !errors.Is(err, gateway.ErrTimeout) {
				return fmt.Errorf("%w, want a timeout: nobody answers", err)
			}
			return nil
		},
		"the clients": func(_ *gateway.Handler, peers []*rawPeer) error {
			for _, p := range peers {
				p.conn.Close()
			}
			return nil
		},
	}
	for name, over := range overs {
		for how, end := range ends {
			t.Run(name+", "+how, func(t *testing.T) {
				gw, srv := resting(t, 20*time.Millisecond, over, &recorder{})
				n := 50
				if how == "CloseAll" && over == tls.VersionTLS13 && !testing.Short() {
					n = 500
				}
				peers := make([]*rawPeer, n)
				for i := range peers {
					peers[i] = restDial(t, srv, over)
				}
				rests(t, gw, n)
				eventually(t, "the end of the readers", func() bool { return runtime.NumGoroutine() < 30 })
				if err := end(gw, peers); err != nil {
					t.Errorf("%s = %v", how, err)
				}
				for _, p := range peers {
					p.conn.Close()
				}
				eventually(t, "the end", func() bool { return gw.Stats().Open == 0 })
				rests(t, gw, 0)
			})
		}
	}
}

// A host that has got hold of the connection may close it, while the socket rests too: the
// kernel says nothing of that to who waits for the descriptor.
func TestConnectionClosedAtRest(t *testing.T) {
	for name, over := range overs {
		t.Run(name, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{
				Logger: slog.New(slog.DiscardHandler), RestAfter: 20 * time.Millisecond,
				Limits: gateway.Limits{PingInterval: -1},
			})
			r := &recorder{}
			gw.Handle("/", r)
			var mu sync.Mutex
			var conns []net.Conn
			srv := httptest.NewUnstartedServer(gw)
			srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, c)
				return ctx
			}
			if over == 0 {
				srv.Start()
			} else {
				srv.StartTLS()
			}
			defer srv.Close()
			restDial(t, srv, over)
			rests(t, gw, 1)
			held := weakly(r)
			mu.Lock()
			wantErr(t, "the host's Close", conns[0].Close(), nil)
			mu.Unlock()
			eventually(t, "the close event", func() bool { return r.count() == 2 && gw.Stats().Open == 0 })
			r.want(t, "open", `close connection_lost 1006 ""`)
			restDial(t, srv, over) // so that what is kept of who rested does not end
			eventually(t, "the end of what is kept of it", func() bool {
				runtime.GC()
				return held[0].Value() == nil
			})
			wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
		})
	}
}

// answerClose answers the close frame that comes.
func answerClose(p *rawPeer) {
	for {
		first, payload, err := readFrame(p.br)
		if err != nil {
			return
		}
		if first == 0x88 {
			p.conn.Write(masked(0x88, payload))
			return
		}
	}
}

// Sockets that have rested and ended are not kept while others rest.
func TestEndedSocketsAreNotKept(t *testing.T) {
	for name, over := range overs {
		for how, end := range map[string]func(s *gateway.Socket, p *rawPeer) error{
			"cut":        func(s *gateway.Socket, _ *rawPeer) error { return s.Close() }, // no answer comes
			"its client": func(_ *gateway.Socket, p *rawPeer) error { return p.conn.Close() },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				const n = 20
				r := &recorder{}
				gw := gateway.New(&gateway.Options{
					Logger: slog.New(slog.DiscardHandler), RestAfter: time.Millisecond,
					Limits: gateway.Limits{CloseTimeout: 20 * time.Millisecond, PingInterval: -1},
				})
				gw.Handle("/", r)
				srv := serveTCP(t, gw, over != 0)
				var peers []*rawPeer
				for i := range n {
					peers = append(peers, restDial(t, srv, over))
					rests(t, gw, i+1)
				}
				held := weakly(r)[:n-1]
				for i := range held {
					if err := end(held[i].Value(), peers[i]); err != nil {
						t.Errorf("the end of %d = %v", i, err)
					}
				}
				eventually(t, "the end", func() bool { return gw.Stats().Open == 1 })
				rests(t, gw, 1)
				eventually(t, "the end of what is kept of them", func() bool {
					runtime.GC()
					kept := 0
					for _, s := range held {
						if s.Value() != nil {
							kept++
						}
					}
					return kept < 3 // one in the list of all, one in use last
				})
			})
		}
	}
}

// weakly returns the recorder's sockets, which it forgets.
func weakly(r *recorder) []weak.Pointer[gateway.Socket] {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []weak.Pointer[gateway.Socket]
	for _, s := range r.sockets {
		all = append(all, weak.Make(s))
	}
	r.sockets = nil // and the caller lets go of them
	return all
}
