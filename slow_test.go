package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

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
				case <-time.After(30 * time.Second):
					t.Errorf("a client that reads too slowly is still there after 30s, want it cut after 0.3s")
				}
				close(stop)
				reading.Wait()
				p.conn.Close()
			})
		}
	}
}
