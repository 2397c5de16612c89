package gateway_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// Shutdown closes all with 1001, in parallel, after what was accepted, delivers
// every close event, and refuses new sockets.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventClose {
				if ev.Closed.Cause != gateway.CauseDrain || ev.Closed.Code != 1001 {
					t.Errorf("a close event has %+v, want drain, 1001", ev.Closed)
				}
				time.Sleep(time.Second) // for all at the same time
			}
			return nil
		}
		gw.Handle("/", r)
		srv := serve(t, gw)
		const n = 20
		for range n {
			srv.Dial(t, "/")
		}
		synctest.Wait()                // their open events have come
		silent := rawDial(t, srv, "/") // does not answer the close frame
		synctest.Wait()
		s := r.socket()
		wantErr(t, "Send", s.Send(t.Context(), gateway.Text("before")), nil)
		start := time.Now()
		wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("Shutdown took %v, want 2s for the silent client and 1s for its close event", d)
		}
		if r.count() != 2*(n+1) || gw.Stats().Open != 0 || gw.Stats().Closed[gateway.CauseDrain] != n+1 {
			t.Errorf("after Shutdown %d events, %+v, want %d open and close events and no socket", r.count(),
				gw.Stats(), 2*(n+1))
		}
		if first, payload := silent.read(); first != 0x81 || payload != "before" {
			t.Errorf("the silent client read %#x %q, want what was accepted before Shutdown", first, payload)
		}
		silent.wantClose(1001, "drain")
		wantRefused(t, srv, "/", nil, 503, "shutting_down", "Retry-After")
		wantErr(t, "the second Shutdown", gw.Shutdown(t.Context()), nil)
		wantErr(t, "Send after Shutdown", gw.Send(t.Context(), s.ID(), gateway.Text("x")),
			gateway.ErrNotFound)
	})
}

// When its context ends, Shutdown cuts what is left, ends the contexts of the
// close events, and says so; it may be called again.
func TestShutdownThatGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		on  func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error
		mid func(p *rawPeer, s *gateway.Socket)
	}{
		"a client that does not answer": {nil, nil},
		"a client that does not read": {nil, func(p *rawPeer, s *gateway.Socket) {
			s.Send(context.Background(), gateway.Text(strings.Repeat("x", 500_000)))
		}},
		"a close event that waits for its context": {func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventClose {
				<-ctx.Done()
			}
			return nil
		}, nil},
		"a data event that does not look": {func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventData {
				time.Sleep(time.Minute)
			}
			return nil
		}, func(p *rawPeer, _ *gateway.Socket) { p.write(masked(0x81, "x")) }},
		"a function of Go": {func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Type == gateway.EventOpen {
				s.Go(func(context.Context) error { time.Sleep(time.Minute); return nil })
			}
			return nil
		}, nil},
	} {
		bubble(t, name, func(t *testing.T) {
			gw, r := withLimits(gateway.Limits{CloseTimeout: time.Hour,
				WriteTimeout: time.Hour}), &recorder{on: c.on}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			synctest.Wait()
			if c.mid != nil {
				c.mid(p, r.socket())
				synctest.Wait()
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			start := time.Now()
			err := gw.Shutdown(ctx)
			if !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) ||
				!strings.Contains(err.Error(), "1 socket") || time.Since(start) != time.Second {
				t.Errorf("Shutdown = %v after %v, want type timeout that counts 1 socket, after 1s", err,
					time.Since(start))
			}
			wantErr(t, "the second Shutdown", gw.Shutdown(t.Context()), nil)
			if n := gw.Stats().Open; n != 0 {
				t.Errorf("Stats().Open = %d after the second Shutdown, want 0", n)
			}
		})
	}
}

// At whatever moment of an upgrade Shutdown comes, the socket does not slip
// past it.
func TestShutdownWhileUpgrading(t *testing.T) {
	bubble(t, "in Authorize", func(t *testing.T) {
		inAuthorize, goOn := make(chan struct{}), make(chan struct{})
		gw := gateway.New(&gateway.Options{Logger: (&logbook{}).logger(),
			Authorize: func(*http.Request) (*gateway.Admission, error) {
				inAuthorize <- struct{}{}
				<-goOn
				return nil, nil
			}})
		r := &recorder{}
		gw.Handle("/x", r)
		p := rawConn(t, serve(t, gw))
		p.write([]byte(head()))
		<-inAuthorize
		done := make(chan error)
		go func() { done <- gw.Shutdown(t.Context()) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Shutdown = %v while an upgrade is under way, want it to wait", err)
		default:
		}
		goOn <- struct{}{}
		if resp := p.response(); resp.StatusCode == 101 {
			p.wantClose(1001, "drain")
			p.conn.Close()
		}
		wantErr(t, "Shutdown", <-done, nil)
		r.expect(t, "open", `close drain 1001 "drain"`)
	})
	t.Run("many", func(t *testing.T) {
		for range 5 {
			// the clients do not answer
			gw := withLimits(gateway.Limits{CloseTimeout: 50 * time.Millisecond})
			var mu sync.Mutex
			balance := map[string]int{}
			gw.HandleFunc("/x", func(_ context.Context, s *gateway.Socket, ev gateway.Event) error {
				mu.Lock()
				defer mu.Unlock()
				switch ev.Type {
				case gateway.EventOpen:
					balance[s.ID()]++
				case gateway.EventClose:
					balance[s.ID()]--
				}
				return nil
			})
			srv := serveTCP(t, gw, false)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for {
						p := dialTCP(t, srv)
						resp := p.request(head())
						if resp.StatusCode == 503 {
							p.conn.Close()
							return
						}
						io.Copy(io.Discard, p.br) // until the gateway closes
						p.conn.Close()
					}
				})
			}
			for gw.Stats().Opened < 8 {
				time.Sleep(time.Millisecond)
			}
			wantErr(t, "Shutdown", gw.Shutdown(context.Background()), nil)
			mu.Lock()
			for id, n := range balance {
				if n != 0 {
					t.Errorf("socket %s has %+d more open than close events when Shutdown returns", id, n)
				}
			}
			mu.Unlock()
			wg.Wait()
		}
	})
}

func TestShutdownOfNothing(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	gw := quiet()
	wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
	if err := quiet().Shutdown(ended); err != nil && !errors.Is(err, gateway.ErrTimeout) {
		t.Errorf("Shutdown with an ended context = %v, want nil or timeout", err)
	}
}

// Shutdown, Close, Send, CloseAll, Replace and clients that come and go, at the
// same time on real connections; -race looks on.
func TestEverythingAtOnce(t *testing.T) {
	for _, tls := range []bool{false, true} {
		gw := withLimits(gateway.Limits{CloseTimeout: 50 * time.Millisecond}) // not every client answers
		gw.Handle("/x", gateway.Callbacks{
			OnOpen: func(ctx context.Context, s *gateway.Socket) error {
				s.Go(func(ctx context.Context) error {
					for ctx.Err() == nil {
						if err := s.SendSync(ctx, gateway.Text("pushed")); err != nil {
							return err
						}
					}
					return nil
				})
				return gw.Group("g").Join(ctx, s.ID())
			},
			OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
				return s.Send(ctx, m)
			},
		})
		srv := serveTCP(t, gw, tls)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		forever := func(fn func()) {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						fn()
					}
				}
			})
		}
		ctx := context.Background()
		each := func(fn func(id string)) func() {
			return func() {
				ids, _ := gw.List(ctx)
				for _, id := range ids {
					fn(id)
				}
			}
		}
		for range 6 {
			forever(func() {
				p := dialTCP(t, srv)
				p.conn.Write([]byte(head() + string(masked(0x81, "hello"))))
				defer p.conn.Close()
				if resp, err := http.ReadResponse(p.br, nil); err != nil ||
					resp.StatusCode != http.StatusSwitchingProtocols {
					return // refused; that connection stays open
				}
				for range 5 {
					p.br.Discard(50)
				}
			})
		}
		forever(each(func(id string) { gw.Send(ctx, id, gateway.Text("sent")) }))
		forever(each(func(id string) { gw.Info(ctx, id); gw.Close(ctx, id) }))
		forever(func() {
			gw.Group("g").Send(ctx, gateway.Text("group"))
			gw.All().Send(ctx, gateway.Text("all"))
		})
		time.Sleep(300 * time.Millisecond)
		gw.CloseAll(ctx)
		close(stop)
		wantErr(t, "Shutdown", gw.Shutdown(ctx), nil)
		wg.Wait()
		if left := gateway.Leftovers(gw); left != nil {
			t.Errorf("after everything (tls: %v) the gateway still holds %q, want nothing", tls, left)
		}
	}
}
