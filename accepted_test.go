package gateway_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// Timeouts that are switched off, by whatever negative value, do not cut what was
// accepted: all of it is written, then the close frame.
func TestCloseWithTimeoutsOff(t *testing.T) {
	for _, write := range []time.Duration{-1, -2, -time.Hour, 0, time.Second} {
		for _, end := range []time.Duration{-1, -2, -time.Hour, 0, time.Second} {
			limits := gateway.Limits{WriteTimeout: write, CloseTimeout: end, PingInterval: -1,
				MessageTimeout: -1, IdleTimeout: -1}
			t.Run(fmt.Sprint("write ", write, ", close ", end), func(t *testing.T) {
				bubble(t, "memory", func(t *testing.T) {
					gw := withLimits(limits)
					s, p := open(t, gw, &recorder{})
					p.Stall()
					for i := range 64 {
						wantErr(t, "Send", s.Send(t.Context(), gateway.Text(pad(fmt.Sprint(i), 10_000))), nil)
					}
					wantErr(t, "Close", s.Close(), nil)
					time.Sleep(500 * time.Millisecond)
					p.Resume()
					for i := range 64 {
						wantText(t, p, pad(fmt.Sprint(i), 10_000))
					}
					wantClosed(t, p, 1000, "operation")
				})
				for _, secure := range []bool{false, true} {
					t.Run(fmt.Sprint("tls=", secure), func(t *testing.T) {
						t.Parallel()
						closeOverTCP(t, limits, secure)
					})
				}
			})
		}
	}
}

func closeOverTCP(t *testing.T, limits gateway.Limits, secure bool) {
	gw := withLimits(limits)
	gw.Handle("/", gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
		for i := range 64 {
			if err := gw.Send(context.Background(), s.ID(), gateway.Text(pad(fmt.Sprint(i),
				10_000))); err != nil {
				return err
			}
		}
		return s.Close()
	}})
	p := dialTCP(t, serveTCP(t, gw, secure))
	p.upgrade("/")
	for i := range 64 {
		p.want(0x81, pad(fmt.Sprint(i), 10_000))
	}
	p.want(0x88, "\x03\xe8operation")
}

// Every accepted message is either written or counted as lost, also where small ones have
// shared a buffer and some of that is written.
func TestLostCountsWhatWasNotWritten(t *testing.T) {
	for _, size := range []int{10, 100, 3_000} {
		bubble(t, fmt.Sprint(size), func(t *testing.T) {
			gw := withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: -1, CloseTimeout: -1})
			s, p := open(t, gw, &recorder{})
			p.Stall()
			const n = 1000
			for i := range n {
				wantErr(t, "Send", s.Send(t.Context(), gateway.Text(pad(fmt.Sprint(i), size))), nil)
			}
			synctest.Wait() // the connection's buffer takes the first
			p.Cut()
			synctest.Wait()
			taken := min(n, 64<<10/(size+4)) // about; those are not known to have been read
			lost := int(gw.Stats().Lost["closed"])
			if size == 10 {
				if lost != 0 {
					t.Errorf("%d messages are lost, want 0: the connection took all", lost)
				}
				return
			}
			// A write takes up to 64 KiB, of which some may have been accepted.
			if lost < n-taken-200 || lost > n-taken+200 {
				t.Errorf("%d messages of %d bytes are lost, want about %d of %d", lost, size, n-taken, n)
			}
		})
	}
}

// On TCP, the messages that a client has read and those that are lost are all there were.
func TestLostAndReadAreAll(t *testing.T) {
	gw := withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: -1,
		WriteTimeout: 300 * time.Millisecond, CloseTimeout: time.Millisecond})
	closed := make(chan struct{})
	gw.Handle("/", gateway.Callbacks{
		OnOpen: func(_ context.Context, s *gateway.Socket) error {
			for i := range 40_000 {
				m := gateway.Text(pad(fmt.Sprint(i), 400))
				if err := gw.Send(context.Background(), s.ID(), m); err != nil {
					return err
				}
			}
			return nil
		},
		OnClose: func(context.Context, *gateway.Socket, gateway.Closed) { close(closed) },
	})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("a client that does not read is still open")
	}
	st := gw.Stats()
	if st.Lost["closed"] == 0 || st.Lost["closed"] >= st.MessagesOut {
		t.Errorf("%d of %d messages are lost, want some: the kernel took a part", st.Lost["closed"],
			st.MessagesOut)
	}
	if st.QueuedBytes != 0 {
		t.Errorf("%d bytes are still counted", st.QueuedBytes)
	}
}

// A reply that could not be written whole is lost with its socket, and counted.
func TestDirectReplyThatFailsIsCounted(t *testing.T) {
	gw := withLimits(gateway.Limits{SendLimit: -1, WriteTimeout: 300 * time.Millisecond,
		CloseTimeout: time.Millisecond})
	closed := make(chan struct{})
	gw.Handle("/", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, gateway.Binary(make([]byte, 32<<20)))
		},
		OnClose: func(context.Context, *gateway.Socket, gateway.Closed) { close(closed) },
	})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	p.write(masked(0x81, "go"))
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("a client that does not read is still open")
	}
	if st := gw.Stats(); st.MessagesOut != 1 || st.Lost["closed"] != 1 {
		t.Errorf("%d accepted, %d lost, want 1 and 1", st.MessagesOut, st.Lost["closed"])
	}
}
