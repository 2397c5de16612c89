package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// A reply to the own socket waits for room: an echo loses nothing, however slow
// its client reads, and meanwhile the client is not read from.
func TestOwnSendWaitsForRoom(t *testing.T) {
	contexts := map[string]func(ctx context.Context) (context.Context, func()){
		"event": func(ctx context.Context) (context.Context, func()) { return ctx, func() {} },
		"WithValue": func(ctx context.Context) (context.Context, func()) {
			return context.WithValue(ctx, key{}, 1), func() {}
		},
		"WithTimeout": func(ctx context.Context) (context.Context, func()) {
			return context.WithTimeout(ctx, time.Hour)
		},
		"WithoutCancel": func(ctx context.Context) (context.Context, func()) {
			return context.WithoutCancel(ctx), func() {}
		},
	}
	for name, derive := range contexts {
		for _, by := range []string{"Socket.Send", "Handler.Send", "SendSync"} {
			bubble(t, by+" with "+name, func(t *testing.T) {
				gw := withLimits(gateway.Limits{QueueMessages: 2})
				r := &recorder{}
				r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					if ev.Type != gateway.EventData {
						return nil
					}
					ctx, cancel := derive(ctx)
					defer cancel()
					switch by {
					case "Handler.Send":
						return gw.Send(ctx, s.ID(), ev.Message)
					case "SendSync":
						return s.SendSync(ctx, ev.Message)
					}
					return s.Send(ctx, ev.Message)
				}
				_, p := open(t, gw, r)
				p.Stall()
				const n = 20
				want := func(i int) string { return fmt.Sprint(i, strings.Repeat("x", 20_000)) }
				var sending sync.WaitGroup
				sending.Go(func() {
					for i := range n {
						p.Send(gateway.Text(want(i)))
					}
				})
				time.Sleep(5 * time.Second)
				if c := r.count(); c >= n {
					t.Errorf("%d events while the client reads nothing, want back-pressure", c)
				}
				p.Resume()
				for i := range n {
					wantText(t, p, want(i))
				}
				sending.Wait()
			})
		}
	}
}

type key struct{}

// That wait ends with the context of the send, or with the socket.
func TestOwnSendThatWaitsEnds(t *testing.T) {
	for name, c := range map[string]struct {
		timeout time.Duration
		end     func(gw *gateway.Handler, s *gateway.Socket, p *gatewaytest.Peer)
		want    *gateway.Error
	}{
		"own timeout": {time.Second, func(*gateway.Handler, *gateway.Socket, *gatewaytest.Peer) {},
			gateway.ErrTimeout},
		"write timeout": {time.Hour,
			func(*gateway.Handler, *gateway.Socket, *gatewaytest.Peer) { time.Sleep(20 * time.Second) },
			gateway.ErrClosed},
		"Close": {time.Hour,
			func(_ *gateway.Handler, s *gateway.Socket, _ *gatewaytest.Peer) { s.Close() },
			gateway.ErrClosed},
		"CloseAll": {time.Hour,
			func(gw *gateway.Handler, _ *gateway.Socket,
				_ *gatewaytest.Peer) {
				gw.CloseAll(context.Background())
			}, gateway.ErrClosed},
		"cut": {time.Hour, func(_ *gateway.Handler, _ *gateway.Socket, p *gatewaytest.Peer) { p.Cut() },
			gateway.ErrClosed},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := withLimits(gateway.Limits{QueueMessages: 1})
			got := make(chan error, 1)
			s, p := open(t, gw,
				&recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					if ev.Type != gateway.EventData {
						return nil
					}
					ctx, cancel := context.WithTimeout(ctx, c.timeout)
					defer cancel()
					err := s.Send(ctx, ev.Message)
					got <- err
					return err
				}})
			block(t, s, p)
			p.Send(gateway.Text("reply"))
			synctest.Wait()
			c.end(gw, s, p)
			wantErr(t, "the Send that waited", <-got, c.want)
		})
	}
}

// A send with another socket's event context never waits.
func TestSendToAnotherSocketNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: 1})
		var slow *gateway.Socket
		got := make(chan error, 1)
		gw.Handle("/relay",
			gateway.Callbacks{OnData: func(ctx context.Context, _ *gateway.Socket, m gateway.Message) error {
				err := slow.Send(ctx, m)
				got <- err
				return err // of an operation: does not close the relay
			}})
		r := &recorder{}
		gw.Handle("/slow", r)
		srv := serve(t, gw)
		p := srv.Dial(t, "/slow")
		synctest.Wait()
		slow = r.socket()
		block(t, slow, p)
		relay := srv.Dial(t, "/relay")
		relay.Send(gateway.Text("x"))
		wantErr(t, "Send to another socket", <-got, gateway.ErrQueueFull)
		relay.Send(gateway.Text("y"))
		wantErr(t, "the second Send", <-got, gateway.ErrQueueFull)
	})
}

// SendSync returns when the bytes are handed over, when the context ends, or
// when the socket does.
func TestSendSync(t *testing.T) {
	setup := func(t *testing.T) (*gateway.Handler, *gateway.Socket, *gatewaytest.Peer, chan error) {
		gw := withLimits(gateway.Limits{QueueMessages: 2})
		s, p := open(t, gw, &recorder{})
		block(t, s, p)
		return gw, s, p, make(chan error, 1)
	}
	waits := func(t *testing.T, got chan error) {
		t.Helper()
		synctest.Wait()
		select {
		case err := <-got:
			t.Errorf("SendSync = %v while the client does not read, want it to wait", err)
		default:
		}
	}
	bubble(t, "waits for the bytes to leave", func(t *testing.T) {
		gw, s, p, got := setup(t)
		go func() { got <- gw.SendSync(t.Context(), s.ID(), gateway.Text("sync")) }()
		waits(t, got)
		p.Resume()
		wantErr(t, "SendSync", <-got, nil)
		wantText(t, p, blocker)
		wantText(t, p, "sync")
	})
	bubble(t, "waits for room", func(t *testing.T) {
		gw, s, p, got := setup(t)
		wantErr(t, "Send", gw.Send(t.Context(), s.ID(), gateway.Text("fills")), nil)
		wantErr(t, "Send", gw.Send(t.Context(), s.ID(), gateway.Text("full")), gateway.ErrQueueFull)
		go func() { got <- gw.SendSync(t.Context(), s.ID(), gateway.Text("sync")) }()
		waits(t, got)
		p.Resume()
		wantErr(t, "SendSync", <-got, nil)
		for _, want := range []string{blocker, "fills", "sync"} {
			wantText(t, p, want)
		}
	})
	bubble(t, "its context ends", func(t *testing.T) {
		gw, s, p, _ := setup(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantErr(t, "SendSync", gw.SendSync(ctx, s.ID(), gateway.Text("late")), gateway.ErrTimeout)
		p.Resume()
		wantText(t, p, blocker)
		wantText(t, p, "late") // was in the queue already
		if n := gw.Stats().MessagesOut; n != 2 {
			t.Errorf("MessagesOut = %d when two messages have been written, want 2", n)
		}
	})
	bubble(t, "its context has ended before", func(t *testing.T) {
		gw, s, _, _ := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, "SendSync", gw.SendSync(ctx, s.ID(), gateway.Text("late")), gateway.ErrTimeout)
	})
	bubble(t, "slow consumer", func(t *testing.T) {
		gw, s, _, got := setup(t)
		go func() { got <- gw.SendSync(t.Context(), s.ID(), gateway.Text("x")) }()
		wantErr(t, "SendSync", <-got, gateway.ErrClosed)
	})
	bubble(t, "cut", func(t *testing.T) {
		gw, s, p, got := setup(t)
		go func() { got <- gw.SendSync(t.Context(), s.ID(), gateway.Text("x")) }()
		synctest.Wait()
		p.Cut()
		wantErr(t, "SendSync", <-got, gateway.ErrClosed)
	})
	bubble(t, "its own endpoint, with a context that ends much later", func(t *testing.T) {
		gw := withLimits(gateway.Limits{})
		got := make(chan error, 1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		began := time.Now()
		_, p := open(t, gw,
			&recorder{on: func(_ context.Context, s *gateway.Socket, ev gateway.Event) error {
				if ev.Type == gateway.EventData {
					got <- s.SendSync(ctx, gateway.Text(blocker)) // half written when the client is given up
				}
				return nil
			}})
		p.Stall()
		p.Send(gateway.Text("go"))
		wantErr(t, "SendSync", <-got, gateway.ErrClosed)
		if waited := time.Since(began); waited > time.Minute {
			t.Errorf("SendSync has waited %v, want it to end with the connection", waited)
		}
		synctest.Wait()
		if st := gw.Stats(); st.MessagesOut != 1 || st.Lost["closed"] != 1 {
			t.Errorf("%d messages are counted as accepted, %d as lost with their socket, want 1 of each",
				st.MessagesOut, st.Lost["closed"])
		}
	})
	bubble(t, "close lets it be written", func(t *testing.T) {
		gw, s, p, got := setup(t)
		go func() { got <- gw.SendSync(t.Context(), s.ID(), gateway.Text("before")) }()
		synctest.Wait()
		s.Close()
		p.Resume()
		wantErr(t, "SendSync", <-got, nil)
		wantText(t, p, blocker)
		wantText(t, p, "before")
		wantClosed(t, p, 1000, "operation")
	})
}
