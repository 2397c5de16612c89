package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

// A socket gets each message of a group once and counts as one member, whatever joins and
// leaves at the same time.
func TestJoinAndLeaveAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: -1})
		s, p := open(t, gw, &recorder{})
		ctx := context.Background()
		room := gw.Group("room")
		var churn sync.WaitGroup
		for range 3 {
			churn.Go(func() {
				for range 3_000 {
					room.Join(ctx, s.ID())
					if n, _ := room.Len(ctx); n > 1 {
						t.Errorf("the group has %d members, want at most 1", n)
						return
					}
					room.Leave(ctx, s.ID())
				}
			})
		}
		over := make(chan struct{})
		go func() { churn.Wait(); close(over) }()
		sent := make(chan int)
		go func() {
			n := 0
			for {
				select {
				case <-over:
					sent <- n
					return
				default:
				}
				if accepted, _ := room.Send(ctx, gateway.Text(fmt.Sprint(n))); accepted > 1 {
					t.Errorf("one socket accepted message %d %d times", n, accepted)
				}
				n++
			}
		}()
		n := <-sent
		wantErr(t, "Send", s.Send(ctx, gateway.Text("end")), nil)
		last := -1
		for {
			m := string(p.Receive().Data)
			if m == "end" {
				break
			}
			var i int
			if fmt.Sscan(m, &i); i <= last || i >= n {
				t.Fatalf("message %s came after %d of %d, want each once and in order", m, last, n)
			}
			last = i
		}
	})
}

// When one of several Leaves has returned, or a close has begun, a message to the group
// finds nobody.
func TestNobodyAfterTheFirstLeave(t *testing.T) {
	for name, leave := range map[string]func(gw *gateway.Handler, s *gateway.Socket){
		"two leaves": func(gw *gateway.Handler, s *gateway.Socket) {
			gw.Group("room").Leave(context.Background(), s.ID())
		},
		"leave and close": func(gw *gateway.Handler, s *gateway.Socket) {
			go s.Close()
			gw.Group("room").Leave(context.Background(), s.ID())
		},
	} {
		bubble(t, name, func(t *testing.T) {
			gw, r := quiet(), &recorder{}
			gw.Handle("/", r)
			srv := serve(t, gw)
			room := gw.Group("room")
			for range 200 {
				srv.Dial(t, "/")
				synctest.Wait()
				s := r.socket()
				wantErr(t, "Join", room.Join(t.Context(), s.ID()), nil)
				var leaving sync.WaitGroup
				for range 2 {
					leaving.Go(func() {
						leave(gw, s)
						if n, err := room.Send(context.Background(), gateway.Text("x")); n != 0 || err != nil {
							t.Errorf("Send to the group after Leave has returned = %d, %v, want 0", n, err)
						}
					})
				}
				leaving.Wait()
				if n, _ := room.Len(t.Context()); n != 0 {
					t.Fatalf("the group that was left has %d members", n)
				}
				s.Close()
			}
		})
	}
}
