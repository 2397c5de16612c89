package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// A countedConn counts how often it is closed.
type countedConn struct {
	net.Conn
	closes *atomic.Int32
}

func (c countedConn) Close() error {
	c.closes.Add(1)
	return c.Conn.Close()
}

// A tlsWrapper wraps TLS, as a server with a connection type of its own does.
type tlsWrapper struct{ *tls.Conn }

// wraps are the kinds of connections that a gateway can be given. Each returns what the
// server has, and the client's end, of two ends of a connection.
var wraps = map[string]func(server, client net.Conn, cert tls.Certificate) (net.Conn, net.Conn){
	"plain": func(server, client net.Conn, _ tls.Certificate) (net.Conn, net.Conn) {
		return server, client
	},
	"TLS": func(server, client net.Conn, cert tls.Certificate) (net.Conn, net.Conn) {
		return secured(server, client, cert)
	},
	"wrapped TLS": func(server, client net.Conn, cert tls.Certificate) (net.Conn, net.Conn) {
		s, c := secured(server, client, cert)
		return tlsWrapper{s}, c
	},
}

func secured(server, client net.Conn, cert tls.Certificate) (*tls.Conn, *tls.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}
	return tls.Server(server, config), tls.Client(client, &tls.Config{InsecureSkipVerify: true})
}

// certificate is that of net/http's test servers.
func certificate() tls.Certificate {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	return srv.TLS.Certificates[0]
}

// upgradeOver opens a socket on a connection that a server has accepted.
func upgradeOver(gw *gateway.Handler, conn net.Conn) {
	gw.ServeHTTP(hijackWriter{httptest.NewRecorder(), conn, nil}, sinkRequest("/"))
}

// A client that ends its socket in whatever way and does not read keeps it for the write
// and the close timeout at most, and its connection is closed once.
func TestEndOfAClientThatDoesNotRead(t *testing.T) {
	cert := certificate()
	ends := map[string]func(s *gateway.Socket, client net.Conn){
		"goodbye":     func(_ *gateway.Socket, c net.Conn) { c.Write(masked(0x88, "\x03\xe8")) },
		"a bad frame": func(_ *gateway.Socket, c net.Conn) { c.Write(masked(0x83, "x")) },
		"bad UTF-8":   func(_ *gateway.Socket, c net.Conn) { c.Write(masked(0x81, "\xff")) },
		"too large":   func(_ *gateway.Socket, c net.Conn) { c.Write(maskedHeader(0x82, 1<<20)) },
		"the endpoint panics": func(_ *gateway.Socket, c net.Conn) {
			c.Write(masked(0x81, "panic"))
		},
		"close":   func(s *gateway.Socket, _ net.Conn) { s.Close() },
		"nothing": func(*gateway.Socket, net.Conn) {},
	}
	for kind, wrap := range wraps {
		for name, end := range ends {
			for _, queued := range []bool{false, true} {
				bubble(t, fmt.Sprintf("%s, %s, queued=%v", kind, name, queued), func(t *testing.T) {
					if name == "nothing" && !queued {
						return // an open socket
					}
					gw := withLimits(gateway.Limits{
						WriteTimeout: 3 * time.Second, CloseTimeout: time.Second, PingInterval: -1,
					})
					r := &recorder{on: func(_ context.Context, _ *gateway.Socket, ev gateway.Event) error {
						if ev.Type == gateway.EventData {
							panic(string(ev.Message.Data))
						}
						return nil
					}}
					gw.Handle("/", r)
					var closes atomic.Int32
					server, client := net.Pipe()
					ours, theirs := wrap(countedConn{server, &closes}, client, cert)
					defer client.Close()
					upgradeOver(gw, ours)
					if _, err := http.ReadResponse(bufio.NewReader(theirs), nil); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					s := r.socket()
					if queued {
						wantErr(t, "Send", s.Send(t.Context(), gateway.Text("x")), nil)
					}
					end(s, theirs)
					time.Sleep(3*time.Second + time.Second + time.Second/2)
					synctest.Wait()
					if n := gw.Stats().Open; n != 0 {
						t.Errorf("%d sockets are open after both timeouts, want 0", n)
					}
					time.Sleep(5 * time.Second) // crypto/tls may try to tell the client for as long
					if n := closes.Load(); n != 1 {
						t.Errorf("the connection was closed %d times, want once", n)
					}
					wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
					if left := gateway.Leftovers(gw); left != nil {
						t.Errorf("the gateway still holds %q, want nothing", left)
					}
				})
			}
		}
	}
}

// What is accepted is written before a close, also when nothing is waited for.
func TestCloseWithoutTimeouts(t *testing.T) {
	for _, off := range []time.Duration{-1, -2, -time.Hour} {
		for kind, secure := range map[string]bool{"TCP": false, "TLS": true} {
			t.Run(fmt.Sprint(kind, " ", off), func(t *testing.T) {
				t.Parallel()
				const messages = 64
				big := strings.Repeat("x", 100_000)
				gw := withLimits(gateway.Limits{
					WriteTimeout: off, CloseTimeout: off, MessageTimeout: off, IdleTimeout: off,
					PingInterval: off, QueueBytes: -1, QueueMessages: -1,
				})
				gw.Handle("/", gateway.Callbacks{
					OnOpen: func(ctx context.Context, s *gateway.Socket) error {
						for range messages {
							if err := gw.Send(context.Background(), s.ID(), gateway.Text(big)); err != nil {
								t.Errorf("Send = %v", err)
							}
						}
						return s.Close()
					},
				})
				p := dialTCP(t, serveTCP(t, gw, secure))
				p.upgrade("/")
				time.Sleep(50 * time.Millisecond) // it reads late; the queue is longer than the kernel's
				for range messages {
					p.want(0x81, big)
				}
				p.wantClose(1000, "operation")
			})
		}
	}
}

// A write that fails ends the socket, though its client goes on talking.
func TestFailedWriteEndsTheSocket(t *testing.T) {
	for kind := range map[string]bool{"pipe": true, "TCP": true} {
		t.Run(kind, func(t *testing.T) {
			server, client := net.Pipe()
			if kind == "TCP" {
				server, client = tcpPair(t)
			}
			defer client.Close()
			logs := &logbook{}
			closed := make(chan gateway.Closed, 1)
			gw := gateway.New(&gateway.Options{Logger: logs.logger(), Limits: unlimited})
			gw.Handle("/", gateway.Callbacks{
				OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
					server.SetWriteDeadline(time.Unix(1, 0))
					return s.Send(ctx, m)
				},
				OnClose: func(_ context.Context, s *gateway.Socket, c gateway.Closed) {
					if err := s.Context().Err(); err == nil {
						t.Error("the context of the socket's events lives in its close event")
					}
					closed <- c
				},
			})
			go upgradeOver(gw, server)
			if _, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil {
				t.Fatal(err)
			}
			go func() { // until the connection ends
				for err := error(nil); err == nil; _, err = client.Write(masked(0x81, "hello")) {
				}
			}()
			if c := <-closed; c.Cause != gateway.CauseConnectionLost || c.Err == nil {
				t.Errorf("the close event has %+v, want connection_lost and the error", c)
			}
			wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
			if text := logs.String(); strings.Contains(text, "WARN") {
				t.Errorf("the log has %s, want no warning", text)
			}
		})
	}
}

// tcpPair returns both ends of a TCP connection.
func tcpPair(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return server, client
}

// An endpoint may close the connection itself, if the host has got hold of it.
func TestConnectionClosedByItsEndpoint(t *testing.T) {
	for name, hold := range map[string]func(srv *http.Server, keep func(net.Conn)){
		"ConnContext": func(srv *http.Server, keep func(net.Conn)) {
			srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
				keep(c)
				return ctx
			}
		},
		"ConnState": func(srv *http.Server, keep func(net.Conn)) {
			srv.ConnState = func(c net.Conn, _ http.ConnState) { keep(c) }
		},
		"a Hijack of middleware": func(srv *http.Server, keep func(net.Conn)) {
			next := srv.Handler
			srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(keepingWriter{w, keep}, r)
			})
		},
	} {
		for kind, secure := range map[string]bool{"TCP": false, "TLS": true} {
			t.Run(name+" "+kind, func(t *testing.T) {
				var mu sync.Mutex
				var conn net.Conn
				closed := make(chan gateway.Closed, 1)
				gw := quiet()
				gw.Handle("/", gateway.Callbacks{
					OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
						if string(m.Data) == "close" {
							mu.Lock()
							defer mu.Unlock()
							return conn.Close()
						}
						return s.Send(ctx, m)
					},
					OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
				})
				srv := httptest.NewUnstartedServer(gw)
				hold(srv.Config, func(c net.Conn) {
					mu.Lock()
					defer mu.Unlock()
					conn = c
				})
				if srv.Start(); secure {
					srv.Close()
					srv = httptest.NewUnstartedServer(srv.Config.Handler)
					hold(srv.Config, func(c net.Conn) {
						mu.Lock()
						defer mu.Unlock()
						conn = c
					})
					srv.StartTLS()
				}
				defer srv.Close()
				askForClose(t, gw, srv, closed)
			})
		}
	}
}

// askForClose has an endpoint echo, and then close its connection, which ends the socket and
// lets the gateway shut down.
func askForClose(t *testing.T, gw *gateway.Handler, srv *httptest.Server,
	closed <-chan gateway.Closed) {
	t.Helper()
	p := dialTCP(t, srv)
	p.upgrade("/")
	for range 3 {
		p.write(masked(0x81, "hello"))
		p.want(0x81, "hello")
	}
	p.write(masked(0x81, "close"))
	if c := <-closed; c.Cause != gateway.CauseConnectionLost {
		t.Errorf("the close event has %+v, want connection_lost", c)
	}
	wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
}

// A keepingListener is one of a host that keeps the connections it has accepted.
type keepingListener struct {
	net.Listener
	accepted chan net.Conn
}

func (l keepingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- c
	}
	return c, err
}

// So may one whose listener has kept it, beside another listener of the server or alone.
func TestConnectionKeptByItsListener(t *testing.T) {
	for _, listeners := range []int{1, 2} {
		closed := make(chan gateway.Closed, 1)
		accepted := make(chan net.Conn, 1)
		gw := quiet()
		gw.Handle("/", gateway.Callbacks{
			OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
				if string(m.Data) == "close" {
					return (<-accepted).Close()
				}
				return s.Send(ctx, m)
			},
			OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
		})
		srv := httptest.NewUnstartedServer(gw) // not started: that would be a hook of the server
		var serving sync.WaitGroup
		for range listeners - 1 {
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			serving.Go(func() { srv.Config.Serve(plain) })
		}
		serving.Go(func() { srv.Config.Serve(keepingListener{srv.Listener, accepted}) })
		askForClose(t, gw, srv, closed)
		srv.Config.Close()
		serving.Wait()
	}
}

type keepingWriter struct {
	http.ResponseWriter
	keep func(net.Conn)
}

func (w keepingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := w.ResponseWriter.(http.Hijacker).Hijack()
	w.keep(c)
	return c, rw, err
}

// Who only notices that the socket has ended reports no failure.
func TestOrdinaryEndsAreSilent(t *testing.T) {
	for name, run := range map[string]func(ctx context.Context, s *gateway.Socket) error{
		"the context's error": func(ctx context.Context, _ *gateway.Socket) error {
			<-ctx.Done()
			return ctx.Err()
		},
		"its cause": func(ctx context.Context, _ *gateway.Socket) error {
			<-ctx.Done()
			return context.Cause(ctx)
		},
		"the last send's error": clock,
		"wrapped": func(ctx context.Context, s *gateway.Socket) error {
			return fmt.Errorf("clock: %w", clock(ctx, s))
		},
		"joined": func(ctx context.Context, s *gateway.Socket) error {
			return errors.Join(clock(ctx, s), context.Canceled)
		},
		"of a derived context": func(ctx context.Context, _ *gateway.Socket) error {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			<-ctx.Done()
			return ctx.Err()
		},
	} {
		for how, end := range map[string]func(p *rawPeer, s *gateway.Socket){
			"goodbye": func(p *rawPeer, _ *gateway.Socket) { p.write(masked(0x88, "")) },
			"cut":     func(p *rawPeer, _ *gateway.Socket) { p.conn.Close() },
			"close":   func(_ *rawPeer, s *gateway.Socket) { s.Close() },
		} {
			for _, in := range []string{"Go", "OnOpen"} {
				bubble(t, name+", "+how+", in "+in, func(t *testing.T) {
					logs := &logbook{}
					gw := gateway.New(&gateway.Options{Logger: logs.logger(), Limits: unlimited})
					r := &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
						switch {
						case ev.Type != gateway.EventOpen:
							return nil
						case in == "OnOpen":
							return run(ctx, s)
						}
						s.Go(func(ctx context.Context) error { return run(ctx, s) })
						return nil
					}}
					gw.Handle("/", r)
					p := rawDial(t, serve(t, gw), "/")
					go io.Copy(io.Discard, p.br)
					synctest.Wait()
					end(p, r.socket())
					time.Sleep(10 * time.Second)
					p.conn.Close()
					synctest.Wait()
					if n := gw.Stats(); n.EndpointErrors != 0 || n.Open != 0 {
						t.Errorf("%d endpoint errors and %d open sockets, want 0", n.EndpointErrors, n.Open)
					}
					if text := logs.String(); strings.Contains(text, "WARN") || strings.Contains(text, "ERROR") {
						t.Errorf("the log has %s, want no warning", text)
					}
				})
			}
		}
	}
}

// clock sends until it cannot.
func clock(ctx context.Context, s *gateway.Socket) error {
	for {
		if err := s.Send(ctx, gateway.Text("tick")); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
