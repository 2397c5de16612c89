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

// block makes the writer of a stalled peer's socket wait: the connection's buffer
// is full, and one frame that has begun is at the head of the queue.
func block(t *testing.T, s *gateway.Socket, p *gatewaytest.Peer) {
	t.Helper()
	p.Stall()
	wantErr(t, "Send of the message that blocks", s.Send(t.Context(), gateway.Text(blocker)), nil)
	synctest.Wait()
}

var blocker = strings.Repeat("b", 100_000)

// A full queue refuses, by messages and by bytes, and takes more once the client
// reads; the order stays.
func TestQueueFull(t *testing.T) {
	for name, c := range map[string]struct {
		limits gateway.Limits
		size   int
		fits   int
	}{
		"default messages": {gateway.Limits{}, 1, 255}, // and the one that is being written
		"default bytes":    {gateway.Limits{}, 100_000, 9},
		"messages":         {gateway.Limits{QueueMessages: 3}, 1, 2},
		"bytes":            {gateway.Limits{QueueBytes: 110_000}, 1000, 9},
		"one message":      {gateway.Limits{QueueMessages: 1}, 1, 0},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := withLimits(c.limits)
			s, p := open(t, gw, &recorder{})
			block(t, s, p)
			pad := strings.Repeat("x", c.size)
			for i := range c.fits {
				wantErr(t, fmt.Sprintf("Send %d of %d", i+1, c.fits),
					gw.Send(t.Context(), s.ID(), gateway.Text(pad)), nil)
			}
			for range 3 {
				wantErr(t, "Send into a full queue", gw.Send(t.Context(), s.ID(), gateway.Text(pad)),
					gateway.ErrQueueFull)
			}
			if n := gw.Stats().QueueFull; n != 3 {
				t.Errorf("Stats().QueueFull = %d, want 3", n)
			}
			p.Resume()
			wantText(t, p, blocker)
			for range c.fits {
				wantText(t, p, pad)
			}
			synctest.Wait() // the gateway knows it, too
			wantErr(t, "Send after the client has read", gw.Send(t.Context(), s.ID(), gateway.Text("last")),
				nil)
			wantText(t, p, "last")
		})
	}
}

// An empty queue takes any message up to the send limit; off means off.
func TestQueueLimitsOffAndExceeded(t *testing.T) {
	bubble(t, "empty queue", func(t *testing.T) {
		s, p := open(t, withLimits(gateway.Limits{QueueBytes: 10}), &recorder{})
		wantErr(t, "Send of 100 kB into an empty queue of 10 bytes",
			s.Send(t.Context(), gateway.Text(blocker)), nil)
		wantText(t, p, blocker)
	})
	bubble(t, "off", func(t *testing.T) {
		s, p := open(t, withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: -1}), &recorder{})
		block(t, s, p)
		for range 1000 {
			wantErr(t, "Send", s.Send(t.Context(), gateway.Text(strings.Repeat("x", 2000))), nil)
		}
		p.Resume()
		for range 1001 {
			p.Receive()
		}
	})
}

// Policies of a full queue other than refusing.
func TestQueuePolicies(t *testing.T) {
	for policy, want := range map[gateway.QueuePolicy][]string{
		gateway.QueueDropOldest: {"2", "3"},
		gateway.QueueDropNewest: {"0", "3"},
	} {
		synctest.Test(t, func(t *testing.T) {
			gw := withLimits(gateway.Limits{QueueMessages: 3, OnQueueFull: policy})
			s, p := open(t, gw, &recorder{})
			block(t, s, p)
			for i := range 4 {
				wantErr(t, "Send", gw.Send(t.Context(), s.ID(), gateway.Text(fmt.Sprint(i))), nil)
			}
			p.Resume()
			wantText(t, p, blocker)
			for _, text := range want {
				wantText(t, p, text)
			}
			if st := gw.Stats(); st.Lost["oldest"]+st.Lost["newest"] != 2 || st.QueueFull != 0 {
				t.Errorf("Stats: lost %v, queue full %d, want 2 lost", st.Lost, st.QueueFull)
			}
		})
	}
	bubble(t, "close", func(t *testing.T) {
		r := &recorder{}
		gw := withLimits(gateway.Limits{QueueMessages: 2, OnQueueFull: gateway.QueueClose})
		s, p := open(t, gw, r)
		block(t, s, p)
		wantErr(t, "Send", gw.Send(t.Context(), s.ID(), gateway.Text("dropped")), nil)
		wantErr(t, "Send into a full queue", gw.Send(t.Context(), s.ID(), gateway.Text("x")),
			gateway.ErrQueueFull)
		wantErr(t, "Send after it", gw.Send(t.Context(), s.ID(), gateway.Text("x")), gateway.ErrClosed)
		p.Resume()
		wantText(t, p, blocker) // had begun; what had not is dropped
		wantClosed(t, p, 1008, "slow_consumer")
		r.expect(t, "open", `close slow_consumer 1008 "slow_consumer"`)
		if n := gw.Stats().Lost["closed"]; n != 1 {
			t.Errorf(`Stats().Lost["closed"] = %d, want 1`, n)
		}
	})
}

// A message with a key replaces a waiting one of the same key.
func TestLatestValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: 4})
		s, p := open(t, gw, &recorder{})
		block(t, s, p)
		keyed := func(key, text string) gateway.Message {
			m := gateway.Text(text)
			m.Key = key
			return m
		}
		for i := range 10 {
			wantErr(t, "Send a", gw.Send(t.Context(), s.ID(), keyed("a", fmt.Sprint("a", i))), nil)
		}
		wantErr(t, "Send b", gw.Send(t.Context(), s.ID(), keyed("b", "b0")), nil)
		wantErr(t, "Send a", gw.Send(t.Context(), s.ID(), keyed("a", "a10")), nil)
		p.Resume()
		for _, want := range []string{blocker, "b0", "a10"} {
			wantText(t, p, want)
		}
		if n := gw.Stats().Lost["replaced"]; n != 10 {
			t.Errorf(`Stats().Lost["replaced"] = %d, want 10`, n)
		}
	})
}

// A latest value finds room where an older one of its key waits, even if the
// queue is full.
func TestLatestValueInAFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: 2})
		s, p := open(t, gw, &recorder{})
		block(t, s, p)
		for i := range 3 {
			m := gateway.Text(fmt.Sprint(i))
			m.Key = "k"
			wantErr(t, fmt.Sprintf("Send %d of key k into a queue that holds one of it", i),
				gw.Send(t.Context(), s.ID(), m), nil)
		}
		p.Resume()
		wantText(t, p, blocker)
		wantText(t, p, "2")
	})
}

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

// A client that does not read is closed after the write timeout, and delays
// nobody.
func TestSlowConsumer(t *testing.T) {
	for name, limits := range map[string]gateway.Limits{"default": {},
		"short": {WriteTimeout: time.Second}} {
		bubble(t, name, func(t *testing.T) {
			gw, r := withLimits(limits), &recorder{}
			gw.Handle("/echo", echo())
			s, p := open(t, gw, r)
			block(t, s, p)
			start := time.Now()
			wantErr(t, "Send", s.Send(t.Context(), gateway.Text("dropped")), nil)
			for range 5 {
				if err := s.Send(t.Context(), gateway.Text("x")); err != nil {
					t.Errorf("Send to a slow client = %v, want room for it", err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			<-s.Context().Done()
			after := max(limits.WriteTimeout, 10*time.Second)
			if limits.WriteTimeout > 0 {
				after = limits.WriteTimeout
			}
			if d := time.Since(start); d < after || d > after+time.Second {
				t.Errorf("closed after %v, want %v and a sweep", d, after)
			}
			time.Sleep(3 * time.Second) // the close timeout, and then the cut
			r.expect(t, "open", `close slow_consumer 1008 "slow_consumer"`)
			if st := gw.Stats(); st.Open != 0 || st.Lost["closed"] != 7 {
				t.Errorf("Stats: %d open, lost %v, want none open and the 7 messages that were not written",
					st.Open, st.Lost)
			}
		})
	}
}

func TestStalledClientDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/slow", r)
		gw.Handle("/echo", echo())
		srv := serve(t, gw)
		for range 20 {
			p := srv.Dial(t, "/slow")
			synctest.Wait()
			block(t, r.socket(), p)
		}
		fast := srv.Dial(t, "/echo")
		start := time.Now()
		for range 10 {
			fast.Send(gateway.Text("hello"))
			wantText(t, fast, "hello")
			if n, err := gw.All().Send(t.Context(), gateway.Text("all")); n != 21 || err != nil {
				t.Errorf("All().Send = %d, %v, want 21 that accepted", n, err)
			}
			wantText(t, fast, "all")
		}
		if d := time.Since(start); d > 100*time.Millisecond {
			t.Errorf("ten echoes beside 20 stalled clients took %v", d)
		}
	})
}

// On a real connection, too, a client that does not read is cut, and one that
// trickles does not hold a full queue for long.
func TestSlowConsumerTCP(t *testing.T) {
	for _, tls := range []bool{false, true} {
		for _, trickle := range []bool{false, true} {
			t.Run(fmt.Sprintf("tls=%v,trickle=%v", tls, trickle), func(t *testing.T) {
				t.Parallel()
				gw := withLimits(gateway.Limits{WriteTimeout: 300 * time.Millisecond,
					CloseTimeout: 100 * time.Millisecond, QueueBytes: 32 << 20, SendLimit: -1})
				closed := make(chan gateway.Closed, 1)
				gw.Handle("/", gateway.Callbacks{
					OnOpen: func(ctx context.Context, s *gateway.Socket) error {
						return gw.Send(context.Background(), s.ID(), gateway.Binary(make([]byte, 16<<20)))
					},
					OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
				})
				p := dialTCP(t, serveTCP(t, gw, tls))
				p.upgrade("/")
				stop := make(chan struct{})
				var reading sync.WaitGroup
				if trickle {
					reading.Go(func() { // 80 kB a second: 16 MiB would take minutes
						tick := time.NewTicker(50 * time.Millisecond)
						defer tick.Stop()
						for b := make([]byte, 4<<10); ; {
							select {
							case <-tick.C:
								p.conn.Read(b)
							case <-stop:
								return
							}
						}
					})
				}
				select {
				case c := <-closed:
					if c.Cause != gateway.CauseSlowConsumer || c.Code != 1008 {
						t.Errorf("closed with %+v, want slow_consumer, 1008", c)
					}
				case <-time.After(8 * time.Second):
					t.Errorf("a client that reads too slowly is still there after 8s, want it cut after 0.3s")
				}
				close(stop)
				reading.Wait()
				p.conn.Close()
			})
		}
	}
}
