package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wsgateway/gateway"
)

// Messages of one sender to one socket keep their order; of several senders,
// each keeps its own.
func TestOrderOfMessages(t *testing.T) {
	const senders, each = 4, 200
	check := func(t *testing.T, next func() string) {
		t.Helper()
		counts := make([]int, senders)
		for range senders * each {
			var from, n int
			fmt.Sscanf(next(), "%d %d", &from, &n)
			if n != counts[from] {
				t.Fatalf("message %d of sender %d came, want %d", n, from, counts[from])
			}
			counts[from]++
		}
	}
	send := func(t *testing.T, s *gateway.Socket) {
		var wg sync.WaitGroup
		for from := range senders {
			wg.Go(func() {
				for n := range each {
					m := gateway.Text(fmt.Sprintf("%d %d %s", from, n, strings.Repeat("x", n*n%3000)))
					var err error
					if n%10 == 0 {
						err = s.SendSync(t.Context(), m)
					} else {
						err = s.Send(t.Context(), m)
					}
					if err != nil {
						t.Errorf("Send = %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	limits := gateway.Limits{QueueMessages: -1, QueueBytes: -1, MessagesPerSecond: -1}
	bubble(t, "in memory", func(t *testing.T) {
		s, p := open(t, withLimits(limits), &recorder{})
		go send(t, s)
		check(t, func() string { return string(p.Receive().Data) })
	})
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			gw, opened := withLimits(limits), make(chan *gateway.Socket, 1)
			gw.Handle("/",
				gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
					opened <- s
					return nil
				}})
			p := dialTCP(t, serveTCP(t, gw, tls))
			p.upgrade("/")
			var wg sync.WaitGroup
			s := <-opened
			wg.Go(func() { send(t, s) })
			check(t, func() string { _, payload := p.read(); return payload })
			wg.Wait()
			p.conn.Close()
		})
	}
}

// Replies and sends from elsewhere, at the same time, on real connections:
// nothing is lost, doubled or reordered within its sender.
func TestRepliesAndSendsInterleave(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			gw, opened := withLimits(gateway.Limits{QueueMessages: -1,
				QueueBytes: -1}), make(chan *gateway.Socket, 1)
			gw.Handle("/", gateway.Callbacks{
				OnOpen: func(_ context.Context, s *gateway.Socket) error { opened <- s; return nil },
				OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
					return errors.Join(s.Send(ctx, m), s.Send(ctx, gateway.Text(m.Data)))
				},
			})
			p := dialTCP(t, serveTCP(t, gw, tls))
			p.upgrade("/")
			s := <-opened
			const n = 300
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range n {
					if err := s.SendSync(context.Background(),
						gateway.Text(fmt.Sprintf("push %d", i))); err != nil {
						t.Errorf("SendSync = %v", err)
					}
				}
			})
			wg.Go(func() {
				for i := range n {
					p.conn.Write(masked(0x81, fmt.Sprintf("echo %d", i)))
				}
			})
			var pushes, echoes []int
			for range 3 * n {
				var what string
				var i int
				_, payload := p.read()
				fmt.Sscan(payload, &what, &i)
				if what == "push" {
					pushes = append(pushes, i)
				} else {
					echoes = append(echoes, i)
				}
			}
			wg.Wait()
			if len(pushes) != n || len(echoes) != 2*n || !slices.IsSorted(pushes) ||
				!slices.IsSorted(echoes) {
				t.Errorf("%d pushes (in order: %v) and %d echoes (in order: %v), want %d and %d in order",
					len(pushes), slices.IsSorted(pushes), len(echoes), slices.IsSorted(echoes), n, 2*n)
			}
		})
	}
}
