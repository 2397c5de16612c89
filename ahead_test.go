package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// slowly limits the rate of a gateway that logs nothing.
func slowly(l gateway.Limits) *gateway.Handler {
	return gateway.New(&gateway.Options{Logger: (&logbook{}).logger(), Limits: l})
}

// A client's pings are answered while its messages wait for the rate, and nothing is lost
// or reordered, however the stream is cut.
func TestPingsBehindThrottledMessages(t *testing.T) {
	const messages = 250
	for _, size := range []int{1, 7, 100, 3000, 1 << 20} {
		bubble(t, fmt.Sprint(size, " bytes at a time"), func(t *testing.T) {
			gw, r := slowly(gateway.Limits{}), &recorder{}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			want := []string{"open"}
			var stream []byte
			for i := range messages {
				text := fmt.Sprint("message ", i)
				if i%3 == 0 {
					stream = append(stream, masked(0x01, text[:3])...)
					stream = append(stream, masked(0x89, fmt.Sprint("ping ", i))...)
					stream = append(stream, masked(0x80, text[3:])...)
				} else {
					stream = append(stream, masked(0x81, text)...)
					stream = append(stream, masked(0x8a, "unasked")...)
				}
				want = append(want, fmt.Sprintf("data-text %q", text))
			}
			go func() {
				for len(stream) > 0 {
					n := min(size, len(stream))
					p.write(stream[:n])
					stream = stream[n:]
					if size < 1000 {
						time.Sleep(time.Millisecond)
					}
				}
			}()
			start := time.Now()
			for i := 0; i < messages; i += 3 {
				p.want(0x8a, fmt.Sprint("ping ", i))
			}
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("the last ping was answered after %v, want it not to wait for messages", d)
			}
			time.Sleep(messages / 5 * time.Second)
			r.expect(t, want...)
			if n := gw.Stats().ReceivingBytes; n != 0 {
				t.Errorf("%d bytes are counted as received at the end, want 0", n)
			}
		})
	}
}

// What ends a socket keeps its place behind the messages that wait.
func TestEndBehindThrottledMessages(t *testing.T) {
	var burst, want = []byte(nil), []string{"open"}
	for i := range 40 {
		burst = append(burst, masked(0x81, fmt.Sprint(i))...)
		want = append(want, fmt.Sprintf("data-text %q", fmt.Sprint(i)))
	}
	for name, c := range map[string]struct {
		end   func(p *rawPeer)
		event string
		code  int
		text  string
	}{
		"goodbye": {
			func(p *rawPeer) { p.write(masked(0x88, "\x03\xe8bye")) },
			`close client 1000 "bye"`, 1000, "bye",
		},
		"half a goodbye": {
			func(p *rawPeer) { p.write(masked(0x88, "\x03\xe8bye")[:8]) },
			"", 0, "",
		},
		"end": {
			func(p *rawPeer) { p.conn.Close() },
			`close connection_lost 1006 ""`, 0, "",
		},
		"end in a frame": {
			func(p *rawPeer) { p.write(masked(0x81, "xyz")[:8]); p.conn.Close() },
			`close connection_lost 1006 ""`, 0, "",
		},
		"a bad frame": {
			func(p *rawPeer) { p.write(masked(0x83, "x")) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error",
		},
		"not masked": {
			func(p *rawPeer) { p.write([]byte{0x81, 1, 'x'}) },
			`close protocol_error 1002 "protocol_error"`, 1002, "protocol_error",
		},
		"a large message": {
			func(p *rawPeer) { p.write(maskedHeader(0x82, 1<<20)) },
			`close too_large 1009 "too_large"`, 1009, "too_large",
		},
	} {
		for _, late := range []time.Duration{0, time.Second} {
			bubble(t, fmt.Sprint(name, " after ", late), func(t *testing.T) {
				gw, r := slowly(gateway.Limits{}), &recorder{}
				gw.Handle("/", r)
				p := rawDial(t, serve(t, gw), "/")
				p.write(burst)
				time.Sleep(late)
				c.end(p)
				time.Sleep(20 * time.Second)
				if c.event == "" {
					r.expect(t, want...)
					return
				}
				p.wantClose(c.code, c.text)
				p.conn.Close()
				r.expect(t, append(want[:41:41], c.event)...)
			})
		}
	}
}

// What is read ahead is bounded and counted; beyond, the client waits.
func TestReadingAheadIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := slowly(gateway.Limits{MessagesPerSecond: 0.001, Burst: 1, PingInterval: -1})
		gw.Handle("/", gateway.Callbacks{})
		p := rawDial(t, serve(t, gw), "/")
		taken := 0
		for frame := masked(0x82, strings.Repeat("x", 994)); ; taken += len(frame) { // of 1,002 bytes
			p.conn.SetWriteDeadline(time.Now().Add(time.Minute))
			if _, err := p.conn.Write(frame); err != nil {
				break
			}
		}
		const pipe = 64 << 10
		if taken > pipe+32<<10 {
			t.Errorf("%d bytes were taken from the client, want 16 KiB besides %d on the way", taken, pipe)
		}
		if n := gw.Stats().ReceivingBytes; n < 8<<10 || n > 16<<10 {
			t.Errorf("%d bytes are counted as received, want those that were read ahead", n)
		}
		p.conn.Close()
		gw.CloseAll(context.Background())
	})
}

// Reading ahead leaves half of the memory to messages that arrive.
func TestReadingAheadWithoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := gateway.New(&gateway.Options{
			Logger: (&logbook{}).logger(), MaxReceivingBytes: 20 << 10,
			Limits: gateway.Limits{MessagesPerSecond: 1, Burst: 1, PingInterval: -1},
		})
		r := &recorder{}
		gw.Handle("/", r)
		srv := serve(t, gw)
		a, b := rawDial(t, srv, "/"), rawDial(t, srv, "/")
		for _, p := range []*rawPeer{a, b} {
			p.write([]byte(strings.Repeat(string(masked(0x81, strings.Repeat("x", 92))), 300)))
		}
		synctest.Wait()
		if n := gw.Stats().ReceivingBytes; n > 10<<10 {
			t.Errorf("%d bytes are read ahead of a bound of 20 KiB, want half of it at most", n)
		}
		time.Sleep(10 * time.Minute)
		if n := r.count(); n != 602 {
			t.Errorf("%d events, want two opens and 600 messages", n)
		}
	})
}

// waiting is an endpoint that waits, in an event, for its context to end.
func waiting(in gateway.EventType) (*recorder, chan struct{}) {
	began := make(chan struct{}, 8)
	return &recorder{on: func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		if ev.Type == in {
			began <- struct{}{}
			<-ctx.Done()
		}
		return nil
	}}, began
}

// A client that leaves while its endpoint waits for the context to end is heard, on every
// kind of connection: the context ends, and a goodbye is answered.
func TestGoodbyeWhileTheEndpointWaits(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(p *rawPeer)
		event string
		code  int
		text  string
	}{
		"goodbye": {
			func(p *rawPeer) { p.write(masked(0x88, "\x0f\xa1bye")) },
			`close client 4001 "bye"`, 4001, "bye",
		},
		"behind a ping": {func(p *rawPeer) {
			p.write(masked(0x89, "x"))
			p.want(0x8a, "x")
			p.write(masked(0x88, ""))
		}, `close client 1005 ""`, 1005, ""},
		"in two parts": {func(p *rawPeer) {
			p.write(masked(0x88, "\x03\xe8")[:3])
			time.Sleep(1500 * time.Millisecond)
			p.write(masked(0x88, "\x03\xe8")[3:])
		}, `close client 1000 ""`, 1000, ""},
		"end": {
			func(p *rawPeer) { p.conn.Close() },
			`close connection_lost 1006 ""`, 0, "",
		},
	} {
		for _, in := range []gateway.EventType{gateway.EventOpen, gateway.EventData} {
			play := func(t *testing.T, p *rawPeer, r *recorder, began chan struct{}) {
				if in == gateway.EventData {
					p.write(masked(0x81, "hello"))
				}
				<-began
				c.end(p)
				p.wantClose(c.code, c.text)
				p.conn.Close()
				for n := 0; n == 0; {
					r.mu.Lock()
					n = r.closed.Code
					r.mu.Unlock()
					time.Sleep(time.Millisecond)
				}
				if last := r.events[len(r.events)-1]; last != c.event {
					t.Errorf("events %q, want the last to be %s", r.events, c.event)
				}
			}
			where := fmt.Sprint(name, " in ", in)
			bubble(t, where+", in memory", func(t *testing.T) {
				r, began := waiting(in)
				gw := quiet()
				gw.Handle("/", r)
				start := time.Now()
				play(t, rawDial(t, serve(t, gw), "/"), r, began)
				if d := time.Since(start); d > 5*time.Second {
					t.Errorf("the end was heard after %v, want 2 s or so", d)
				}
			})
			for kind, secure := range map[string]bool{"TCP": false, "TLS": true} {
				t.Run(where+", "+kind, func(t *testing.T) {
					t.Parallel()
					r, began := waiting(in)
					gw := withLimits(gateway.Limits{PingInterval: -1, WriteTimeout: time.Second})
					gw.Handle("/", r)
					p := dialTCP(t, serveTCP(t, gw, secure))
					p.upgrade("/")
					play(t, p, r, began)
				})
			}
		}
	}
}

// Messages that came before the goodbye are served before it counts, and what comes while
// an endpoint runs is in order and whole, however it is cut.
func TestMessagesWhileTheEndpointRuns(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			r := &recorder{}
			r.on = func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
				if ev.Type == gateway.EventData {
					time.Sleep(3 * time.Second)
					return s.Send(ctx, ev.Message)
				}
				return nil
			}
			gw := quiet()
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/")
			var stream []byte
			want := []string{"open"}
			for i := range 20 {
				text := fmt.Sprint(i, strings.Repeat("x", rnd.IntN(30)))
				stream = append(stream, masked(0x81, text)...)
				stream = append(stream, masked(0x89, "ping")...)
				want = append(want, fmt.Sprintf("data-text %q", text))
			}
			stream = append(stream, masked(0x88, "\x03\xe8")...)
			for len(stream) > 0 {
				n := 1 + rnd.IntN(min(len(stream), 60))
				p.write(stream[:n])
				stream = stream[n:]
				time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
			}
			p.wantClose(1000, "")
			p.conn.Close()
			r.expect(t, append(want, `close client 1000 ""`)...)
		})
	}
}

// The same over TCP and TLS, where messages are served inside the read, or are not.
func TestThrottledMessagesOverTCP(t *testing.T) {
	for kind, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var got []string
			done := make(chan gateway.Closed, 1)
			gw := slowly(gateway.Limits{MessagesPerSecond: 200, Burst: 5})
			gw.Handle("/", gateway.Callbacks{
				OnData: func(_ context.Context, _ *gateway.Socket, m gateway.Message) error {
					mu.Lock()
					defer mu.Unlock()
					got = append(got, string(m.Data))
					return nil
				},
				OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { done <- c },
			})
			p := dialTCP(t, serveTCP(t, gw, secure))
			p.upgrade("/")
			var want []string
			rnd := rand.New(rand.NewPCG(1, 1))
			for i := range 300 {
				text := fmt.Sprint(i, strings.Repeat("x", rnd.IntN(200)))
				want = append(want, text)
				b := append(masked(0x81, text), masked(0x89, fmt.Sprint(i))...)
				cut := rnd.IntN(len(b))
				p.write(b[:cut])
				p.write(b[cut:])
			}
			for i := range 300 {
				p.want(0x8a, fmt.Sprint(i))
			}
			mu.Lock()
			n := len(got)
			mu.Unlock()
			if n == len(want) {
				t.Error("the pings were answered after all messages, want before")
			}
			p.write(masked(0x88, "\x03\xe8"))
			p.wantClose(1000, "")
			if c := <-done; c.Cause != gateway.CauseClient {
				t.Errorf("the close event has %+v, want client", c)
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("got %d messages, want the %d that were sent, in order", len(got), len(want))
			}
		})
	}
}

// A sweeper that wanted the reader to go to rest, and is late, does not end the listening while
// the endpoint runs.
func TestListeningGoesOnWhenWoken(t *testing.T) {
	r := &recorder{on: func(ctx context.Context, _ *gateway.Socket, ev gateway.Event) error {
		if ev.Type == gateway.EventData {
			<-ctx.Done()
		}
		return nil
	}}
	gw := withLimits(gateway.Limits{PingInterval: -1, WriteTimeout: time.Second})
	gw.Handle("/", r)
	p := dialTCP(t, serveTCP(t, gw, true))
	p.upgrade("/")
	p.write(masked(0x81, "work"))
	until := time.Now().Add(20 * time.Second)
	for gw.Stats().MessagesIn == 0 || !gateway.Heard(r.socket()) {
		if time.Now().After(until) {
			t.Fatal("nobody listens while the endpoint runs")
		}
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		gateway.Wake(r.socket())
	}
	p.write(masked(0x88, "\x03\xe8bye"))
	p.wantClose(1000, "bye") // the endpoint would never return
}
