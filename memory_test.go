package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// hoarded is a gateway whose memory for queues is nearly used up by clients that do not
// read, and the server of it.
func hoarded(t *testing.T, policy gateway.QueuePolicy) (*gateway.Handler, *gatewaytest.Server) {
	t.Helper()
	o := gateway.Options{MaxQueuedBytes: 2 << 20, Logger: slog.New(slog.DiscardHandler)}
	o.MessagesPerSecond, o.OnQueueFull, o.QueueBytes = -1, policy, 200_000
	gw := gateway.New(&o)
	hoards := &recorder{}
	gw.Handle("/hoards", hoards)
	srv := serve(t, gw)
	for range 20 {
		p := srv.Dial(t, "/hoards")
		synctest.Wait()
		p.Stall()
		for range 30 {
			gw.Send(t.Context(), hoards.socket().ID(), gateway.Binary(make([]byte, 30_000)))
		}
		synctest.Wait()
	}
	if n := gw.Stats().QueuedBytes; policy != gateway.QueueClose && n < 1_000_000 || n > 2<<20 {
		t.Fatalf("the hoarders hold %d bytes of 2 MiB", n)
	}
	return gw, srv
}

// A client that reads gets what is sent to it at once and for as long as hoarders are
// there; whatever the policy, it loses nothing and is not closed.
func TestHoardersDoNotHarmReaders(t *testing.T) {
	for _, policy := range []gateway.QueuePolicy{
		gateway.QueueRefuse, gateway.QueueClose, gateway.QueueDropOldest, gateway.QueueDropNewest,
	} {
		bubble(t, fmt.Sprint("policy ", policy), func(t *testing.T) {
			gw, srv := hoarded(t, policy)
			good := &recorder{}
			gw.Handle("/good", good)
			p := srv.Dial(t, "/good")
			synctest.Wait()
			s := good.socket()
			for range 20 {
				m := pad("to a good client", 6_000)
				wantErr(t, "Send to a client that reads", gw.Send(t.Context(), s.ID(), gateway.Text(m)), nil)
				wantText(t, p, m)
				if n, err := gw.All().Send(t.Context(), gateway.Text(m)); n < 1 || err != nil {
					t.Errorf("All().Send = %d, %v, want the good client at least", n, err)
				}
				wantText(t, p, m)
				time.Sleep(100 * time.Millisecond)
			}
			good.expect(t, "open")
		})
	}
}

// A message for which there is no room is refused with the bound's name, and once the
// hoarders have stood still for a second they give way to it, those that hold most first.
func TestHoardersGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, srv := hoarded(t, gateway.QueueRefuse)
		good := &recorder{}
		gw.Handle("/good", good)
		p := srv.Dial(t, "/good")
		synctest.Wait()
		large := gateway.Text(strings.Repeat("l", 300_000))
		err := gw.Send(t.Context(), good.socket().ID(), large)
		wantErr(t, "Send of a large message", err, gateway.ErrQueueFull)
		if err == nil || !strings.Contains(err.Error(), "MaxQueuedBytes") {
			t.Errorf("Send = %v, want it to name MaxQueuedBytes", err)
		}
		if st := gw.Stats(); st.NoMemory == 0 || st.GaveWay != 0 {
			t.Errorf("%d refused for memory, %d gave way, want some and nobody yet", st.NoMemory, st.GaveWay)
		}
		time.Sleep(1100 * time.Millisecond)
		wantErr(t, "SendWait of a large message", gw.SendWait(t.Context(), good.socket().ID(), large),
			nil)
		wantText(t, p, string(large.Data))
		st := gw.Stats()
		if st.GaveWay == 0 || st.GaveWay == 20 || st.Closed[gateway.CauseSlowConsumer] != st.GaveWay {
			t.Errorf("%d gave way, closed: %v, want some of 20, as slow consumers", st.GaveWay, st.Closed)
		}
		good.expect(t, "open")
	})
}

// What needs more than all of the memory fails at once, also where its bytes alone do not.
func TestSendThatNeverFits(t *testing.T) {
	for _, c := range []struct{ most, size int }{
		{1, 4 << 10}, {5000, 4 << 10}, {100 << 10, 100<<10 - 50}, {100 << 10, 200 << 10},
	} {
		bubble(t, fmt.Sprintf("%d of %d", c.size, c.most), func(t *testing.T) {
			gw := gateway.New(&gateway.Options{MaxQueuedBytes: int64(c.most)})
			got := make(chan error, 1)
			m := gateway.Text(strings.Repeat("r", c.size))
			s, p := open(t, gw, &recorder{
				on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
					if ev.Type == gateway.EventData {
						got <- s.Send(ctx, m)
					}
					return nil
				}})
			p.Send(gateway.Text("reply"))
			wantErr(t, "the reply", <-got, gateway.ErrQueueFull)
			wantErr(t, "SendWait", s.SendWait(t.Context(), m), gateway.ErrQueueFull)
			wantErr(t, "SendSync", s.SendSync(t.Context(), m), gateway.ErrQueueFull)
			wantErr(t, "a short one", s.SendSync(t.Context(), gateway.Text("short")), nil)
			wantText(t, p, "short")
		})
	}
}

// A reply waits for memory as it does for its own queue, and loses nothing.
func TestReplyWaitsForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, srv := hoarded(t, gateway.QueueRefuse)
		got := make(chan error, 1)
		gw.Handle("/reply", gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket,
			m gateway.Message) error {
			got <- s.Send(ctx, gateway.Text(strings.Repeat("r", 300_000)))
			return nil
		}})
		p := srv.Dial(t, "/reply")
		p.Send(gateway.Text("large"))
		wantErr(t, "the reply", <-got, nil)
		if m := p.Receive(); len(m.Data) != 300_000 {
			t.Errorf("received %d bytes, want 300000", len(m.Data))
		}
	})
}

// Who kept their latest message and their long request leaves half of the memory to the
// queues: beyond, messages are not kept and upgrades refused.
func TestWhatStaysGetsHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := gateway.Options{MaxQueuedBytes: 1 << 20}
		o.MessagesPerSecond = -1
		gw := gateway.New(&o)
		r := &recorder{}
		gw.Handle("/", r)
		srv := serve(t, gw)
		long := http.Header{"X-Long": {strings.Repeat("l", 50_000)}}
		opened, refused := 0, 0
		for range 30 {
			q := upgradeRequest(t, long)
			p, resp := srv.DialRequest(t, q)
			if p != nil {
				opened++
				continue
			}
			refused++
			wantErrorObject(t, resp, http.StatusServiceUnavailable, "too_many_sockets")
			if resp.Header.Get("Retry-After") == "" {
				t.Error("the refusal has no Retry-After")
			}
		}
		if opened < 3 || refused == 0 {
			t.Errorf("%d sockets with long requests are open, %d refused, want some of each", opened,
				refused)
		}
		if n := gw.Stats().QueuedBytes; n > 512<<10 {
			t.Errorf("long requests hold %d bytes, want at most half of 1 MiB", n)
		}
		var last *gatewaytest.Peer
		for range 200 { // with ordinary requests, and messages that are kept
			last = srv.Dial(t, "/")
			last.Send(gateway.Text(strings.Repeat("k", 4_000)))
			synctest.Wait()
		}
		if n := gw.Stats().QueuedBytes; n > 512<<10 {
			t.Errorf("long requests and kept messages hold %d bytes, want at most half of 1 MiB", n)
		}
		info, err := gw.Info(t.Context(), r.socket().ID())
		if err != nil || info.LastSize != 4_000 {
			t.Errorf("Info().LastSize = %d, %v, want 4000, kept or not", info.LastSize, err)
		}
		wantErr(t, "Send beside them", gw.Send(t.Context(), r.socket().ID(),
			gateway.Text(strings.Repeat("m", 50_000))), nil)
		if m := last.Receive(); len(m.Data) != 50_000 {
			t.Errorf("received %d bytes, want 50000", len(m.Data))
		}
	})
}

func upgradeRequest(t *testing.T, header http.Header) *http.Request {
	r, err := http.NewRequest(http.MethodGet, "http://gateway.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	return r
}

// Clients that stop in the middle of their messages give way to one that sends, and that
// one waits meanwhile: it is not closed, and its message arrives.
func TestHalfMessagesGiveWay(t *testing.T) {
	for name, half := range map[string][]byte{
		"one frame":  append(maskedHeader(0x82, 60_000), make([]byte, 20_000)...),
		"a little":   append(maskedHeader(0x82, 60_000), make([]byte, 6_000)...),
		"fragments":  append(masked(0x02, strings.Repeat("f", 20_000)), masked(0x00, "f")...),
		"a fragment": append(maskedHeader(0x02, 60_000), make([]byte, 20_000)...),
	} {
		bubble(t, name, func(t *testing.T) {
			o := gateway.Options{MaxReceivingBytes: 200_000, Logger: slog.New(slog.DiscardHandler)}
			o.MessagesPerSecond = -1
			gw := gateway.New(&o)
			gw.Handle("/half", gateway.Callbacks{})
			good := &recorder{}
			gw.Handle("/good", good)
			srv := serve(t, gw)
			for range 20 {
				rawDial(t, srv, "/half").write(half)
				synctest.Wait()
			}
			if n := gw.Stats().ReceivingBytes; n < 60_000 || n > 200_000 {
				t.Fatalf("half messages hold %d bytes of 200,000", n)
			}
			p := srv.Dial(t, "/good")
			m := gateway.Text(pad("whole", 60_000))
			p.Send(m)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if n := good.count(); n != 2 {
				t.Errorf("a client that sends a whole message has %d events, want open and its message", n)
			}
			st := gw.Stats()
			if st.GaveWay == 0 || st.Closed[gateway.CauseMessageTimeout] != st.GaveWay ||
				len(st.Closed) != 1 {
				t.Errorf("%d gave way, closed: %v, want some, with message_timeout, and nobody else",
					st.GaveWay, st.Closed)
			}
		})
	}
	bubble(t, "no chance", func(t *testing.T) {
		o := gateway.Options{MaxReceivingBytes: 50_000, Logger: slog.New(slog.DiscardHandler)}
		o.MessagesPerSecond = -1
		gw := gateway.New(&o)
		r := &recorder{}
		_, p := open(t, gw, r)
		p.Send(gateway.Text(strings.Repeat("x", 60_000)))
		wantClosed(t, p, 1009, "too_large")
		synctest.Wait()
		if !errors.Is(r.closed.Err, gateway.ErrTooLarge) || !strings.Contains(r.closed.Err.Error(),
			"MaxReceivingBytes") {
			t.Errorf("closed with %v, want it to name MaxReceivingBytes", r.closed.Err)
		}
	})
}
