package gateway_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// readSteadily reads from the client's end at a pace until the connection ends or stop is
// closed.
func readSteadily(conn net.Conn, bytes int, every time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for b := make([]byte, bytes); ; {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		for left := bytes; left > 0; {
			n, err := conn.Read(b[:left])
			if err != nil {
				return
			}
			left -= n
		}
	}
}

// A client that reads steadily is not closed, however much the kernel holds for it and
// however seldom that has room for more.
func TestSteadyReaderIsNoSlowConsumer(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"SendSync", "SendWait", "Send"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			gw := withLimits(gateway.Limits{WriteTimeout: 2 * time.Second, QueueBytes: -1,
				QueueMessages: -1})
			sockets, closed := make(chan *gateway.Socket, 1), make(chan gateway.Closed, 1)
			gw.Handle("/", gateway.Callbacks{
				OnOpen:  func(_ context.Context, s *gateway.Socket) error { sockets <- s; return nil },
				OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
			})
			p := dialTCP(t, serveTCP(t, gw, false))
			p.upgrade("/")
			s := <-sockets
			const size, n = 256 << 10, 32 // 8 MB: more than the kernel takes
			sent := make(chan error, 1)
			go func() {
				for range n {
					m := gateway.Binary(make([]byte, size))
					var err error
					switch by {
					case "SendSync":
						err = s.SendSync(context.Background(), m)
					case "SendWait":
						err = s.SendWait(context.Background(), m)
					default:
						err = s.Send(context.Background(), m)
					}
					if err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			b := make([]byte, 5_000)
			tick := time.NewTicker(50 * time.Millisecond) // 100 kB a second, for 7 s
			defer tick.Stop()
			for i, got := 0, 0; got < n*size; i++ {
				if i < 140 {
					<-tick.C
				} else if i == 140 {
					b = make([]byte, 64<<10)
				}
				m, err := p.conn.Read(b)
				if got += m; err != nil {
					t.Fatalf("after %d of %d bytes: %v; a client that reads is closed with %+v", got, n*size, err,
						<-closed)
				}
			}
			if err := <-sent; err != nil {
				t.Errorf("%s = %v, want nil", by, err)
			}
		})
	}
}

// A client that reads steadily, but more slowly than others send, keeps a full queue for
// the write timeout and no longer.
func TestSteadyReaderOfAFullQueue(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]gateway.Limits{
		"bytes":    {QueueBytes: 300_000},
		"messages": {QueueMessages: 3},
		"policy":   {QueueMessages: 3, OnQueueFull: gateway.QueueRefuse, QueueBytes: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits.WriteTimeout = time.Second
			gw := withLimits(limits)
			closed := make(chan gateway.Closed, 1)
			gw.Handle("/", gateway.Callbacks{
				OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
			})
			p := dialTCP(t, serveTCP(t, gw, false))
			p.upgrade("/")
			stop := make(chan struct{})
			var others sync.WaitGroup
			others.Go(func() { readSteadily(p.conn, 10_000, 50*time.Millisecond, stop) })
			others.Go(func() {
				tick := time.NewTicker(2 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						return
					case <-tick.C:
						gw.All().Send(context.Background(), gateway.Binary(make([]byte, 100_000)))
					}
				}
			})
			defer others.Wait()
			defer p.conn.Close()
			defer close(stop)
			select {
			case c := <-closed:
				if c.Cause != gateway.CauseSlowConsumer || !errors.Is(c.Err, gateway.ErrQueueFull) ||
					!strings.Contains(c.Err.Error(), "WriteTimeout") {
					t.Errorf("closed with %+v, want slow_consumer and an error that names WriteTimeout", c)
				}
			case <-time.After(25 * time.Second):
				t.Errorf("the client still keeps its full queue, %d messages were refused",
					gw.Stats().QueueFull)
			}
		})
	}
}
