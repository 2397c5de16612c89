package gateway_test

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// Half a control frame, whatever it is and wherever it comes, is nobody's end: neither of
// the socket that it came from, when the rest of it is late, nor of others, which send
// messages in several frames meanwhile.
func TestHalfControlFramesHarmNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := quiet(), &recorder{}
		gw.Handle("/hostile", gateway.Callbacks{})
		gw.Handle("/good", r)
		srv := serve(t, gw)
		good := make([]*rawPeer, 4)
		for i := range good {
			good[i] = rawDial(t, srv, "/good")
		}
		var hostile []*rawPeer
		var rest [][]byte
		for i := range 120 {
			p := rawDial(t, srv, "/hostile")
			frame := masked([]byte{0x8a, 0x89}[i%2], "half of it")
			cut := 1 + i%(len(frame)-1)
			if i%3 > 0 { // in the middle of a message
				p.write(masked(0x01, "fragment"))
			}
			p.write(frame[:cut])
			hostile, rest = append(hostile, p), append(rest, frame[cut:])
		}
		for step := range 80 { // 8 s, with many rests around the fifth
			for i, p := range good {
				p.write(masked(0x01, fmt.Sprint("one ", i)))
				p.write(masked(0x80, " two"))
			}
			time.Sleep(100 * time.Millisecond)
			for i, p := range hostile {
				if 45+i%20 == step {
					p.write(rest[i])
				}
			}
		}
		synctest.Wait()
		if st := gw.Stats(); st.Open != len(good)+len(hostile) || len(st.Closed) != 0 {
			t.Errorf("%d sockets are open, closed %v, want all %d open", st.Open, st.Closed, 124)
		}
		if n := r.count(); n != 4*81 {
			t.Errorf("the good sockets had %d events, want %d", n, 4*81)
		}
	})
}

// A header that announces more than an int holds, or than there is memory for, costs
// nothing but its own socket, and its payload is never taken for frames.
func TestHugeAnnouncedLengths(t *testing.T) {
	for _, n := range []uint64{
		1 << 31, 1<<31 - 1, 1<<32 + 5, 1<<32 - 1, 1 << 40, 1<<62 + 1, 1<<63 - 1,
	} {
		for _, first := range []byte{0x81, 0x82, 0x01, 0x02} {
			for _, limit := range []int64{-1, 1 << 62, 3 << 30} {
				bubble(t, fmt.Sprintf("%d in %#x, limit %d", n, first, limit), func(t *testing.T) {
					gw := gateway.New(&gateway.Options{
						Logger: (&logbook{}).logger(), Compression: true,
						Limits: gateway.Limits{MessagesPerSecond: -1, ReadLimit: limit},
					})
					r := &recorder{}
					gw.Handle("/", r)
					p := rawDial(t, serve(t, gw), "/")
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					header := []byte{first, 0xff}
					for shift := 56; shift >= 0; shift -= 8 {
						header = append(header, byte(n>>shift))
					}
					p.write(append(header, 0, 0, 0, 0))
					p.write(masked(0x81, "hello"))
					p.write(masked(0x81, "hello"))
					synctest.Wait()
					runtime.ReadMemStats(&after)
					if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
						t.Errorf("%d bytes were allocated for an announcement", grown)
					}
					time.Sleep(2 * time.Minute)
					synctest.Wait()
					p.conn.Close()
					synctest.Wait()
					r.mu.Lock()
					defer r.mu.Unlock()
					if len(r.events) != 2 || !strings.HasPrefix(r.events[1], "close") {
						t.Errorf("events %q, want open and close", r.events)
					}
				})
			}
		}
	}
}

// In the close event everything is over: the context of the other events, the groups. And
// nothing is left of a socket whose close and reset come at the same moment.
func TestCloseAgainstReset(t *testing.T) {
	gw := quiet()
	var late sync.Map
	gw.Handle("/", gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			return gw.Group("room").Join(ctx, s.ID())
		},
		OnClose: func(_ context.Context, s *gateway.Socket, _ gateway.Closed) {
			info, err := gw.Info(context.Background(), s.ID())
			if err != nil || info.Last.Type != gateway.EventClose || s.Context().Err() == nil {
				late.Store(s.ID(), fmt.Sprint(err, s.Context().Err()))
			}
		},
	})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		server, client := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			upgradeOver(gw, server)
		}()
		if _, err := client.Read(make([]byte, 4096)); err != nil {
			t.Fatal(err)
		}
		<-done
		var both sync.WaitGroup
		spin := rnd.IntN(200)
		both.Go(func() { gw.CloseAll(context.Background()) })
		both.Go(func() {
			for range spin {
				runtime.Gosched()
			}
			client.Close()
		})
		both.Wait()
		if n, err := gw.Group("room").Len(context.Background()); n != 0 || err != nil {
			t.Errorf("the group has %d members (%v), want 0", n, err)
		}
	}
	wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
	late.Range(func(id, what any) bool {
		t.Errorf("in the close event of %v: %v, want the context ended and the state close", id, what)
		return true
	})
	if left := gateway.Leftovers(gw); left != nil {
		t.Errorf("the gateway still holds %q, want nothing", left)
	}
}

// What the kernel holds for clients that do not read is thrown away with their sockets, also
// under TLS.
func TestNothingStaysInTheKernel(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: /proc/net/tcp is Linux's")
	}
	for kind, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			closed := make(chan gateway.Closed, 8)
			gw := withLimits(gateway.Limits{
				WriteTimeout: 300 * time.Millisecond, CloseTimeout: 100 * time.Millisecond,
				QueueBytes: 64 << 20, SendLimit: -1,
			})
			gw.Handle("/", gateway.Callbacks{
				OnOpen: func(_ context.Context, s *gateway.Socket) error {
					return gw.Send(context.Background(), s.ID(), gateway.Text(strings.Repeat("x", 16<<20)))
				},
				OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) { closed <- c },
			})
			p := dialTCP(t, serveTCP(t, gw, secure))
			p.upgrade("/")
			if c := <-closed; c.Cause != gateway.CauseSlowConsumer {
				t.Errorf("the close event has %+v, want slow_consumer", c)
			}
			local, remote := p.conn.RemoteAddr().String(), p.conn.LocalAddr().String()
			if line := kernelHolds(t, local, remote); line != "" {
				t.Errorf("the kernel still has the server's connection: %s", line)
			}
		})
	}
}

// kernelHolds returns the line of /proc/net/tcp for a connection that still has data.
func kernelHolds(t *testing.T, local, remote string) string {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	hex := func(addr string) string {
		var port int
		fmt.Sscanf(addr[strings.LastIndex(addr, ":")+1:], "%d", &port)
		return fmt.Sprintf(":%04X", port)
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 4 && strings.HasSuffix(f[1], hex(local)) && strings.HasSuffix(f[2], hex(remote)) &&
			!strings.HasPrefix(f[4], "00000000:") {
			return line
		}
	}
	return ""
}

// An answer to the upgrade that its client does not take ends the socket within the write
// timeout, though nothing is ever sent on it.
func TestAnswerThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := withLimits(gateway.Limits{PingInterval: -1}), &recorder{}
		gw.Handle("/", r)
		server, client := net.Pipe()
		defer client.Close()
		upgradeOver(gw, server)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if st := gw.Stats(); st.Open != 0 || st.Closed[gateway.CauseSlowConsumer] != 1 {
			t.Errorf("%d sockets are open, closed %v, want slow_consumer", st.Open, st.Closed)
		}
		if left := gateway.Leftovers(gw); len(left) > 1 { // the sweeper may still run
			t.Errorf("the gateway still holds %q", left)
		}
		wantErr(t, "Shutdown", gw.Shutdown(t.Context()), nil)
	})
}

// compressed makes stored blocks of a text: larger than it is, as deflate can.
func compressed(text string, level int) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, level)
	w.Write([]byte(text))
	w.Flush()
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// The read limit is that of what comes out of deflate, and no limit is none.
func TestReadLimitOfDeflatedMessages(t *testing.T) {
	tiny := func(text string) (b string) { // a stored block for each byte: 6 times as large
		for _, c := range []byte(text) {
			b += "\x00\x01\x00\xfe\xff" + string(rune(c))
		}
		return b + "\x00"
	}
	bomb := compressed(strings.Repeat("x", 10<<20), 9)
	for name, c := range map[string]struct {
		limit   int64
		payload string
		want    string
	}{
		"stored, at the limit":     {65536, compressed(strings.Repeat("x", 65536), 0), "data"},
		"stored, one more":         {65536, compressed(strings.Repeat("x", 65537), 0), "close too_large"},
		"blocks of a byte":         {2000, tiny(strings.Repeat("x", 2000)), "data"},
		"no limit":                 {-1, compressed(strings.Repeat("x", 300_000), 0), "data"},
		"the largest limit":        {1<<63 - 1, compressed(strings.Repeat("x", 300_000), 0), "data"},
		"a quarter of the largest": {1 << 61, compressed(strings.Repeat("x", 300_000), 0), "data"},
		"a bomb":                   {65536, bomb, "close too_large"},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := gateway.New(&gateway.Options{
				Logger: (&logbook{}).logger(), Compression: true,
				Limits: gateway.Limits{MessagesPerSecond: -1, ReadLimit: c.limit},
			})
			r := &recorder{}
			gw.Handle("/", r)
			p := rawDial(t, serve(t, gw), "/", "Sec-WebSocket-Extensions: permessage-deflate", "")
			p.write(masked(0xc2, c.payload))
			synctest.Wait()
			p.conn.Close()
			synctest.Wait()
			if !strings.HasPrefix(r.events[1], c.want) {
				t.Errorf("events %.200q, want %s behind open", r.events, c.want)
			}
		})
	}
}

// A cause of any text and no reason makes a close frame that clients accept.
func TestCloseCauseOfAnyText(t *testing.T) {
	for _, cause := range []string{
		strings.Repeat("é", 200), "\xff\xfe", strings.Repeat("x", 124), "a\xffb",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &recorder{}
			r.on = func(_ context.Context, _ *gateway.Socket, ev gateway.Event) error {
				if ev.Type == gateway.EventData {
					return &gateway.CloseError{Code: 4000, Cause: gateway.Cause(cause)}
				}
				return nil
			}
			_, p := open(t, quiet(), r)
			p.Send(gateway.Text("x"))
			if code, reason := p.Closed(); code != 4000 || reason == "" {
				t.Errorf("with the cause %.20q the client got %d %q", cause, code, reason)
			}
		})
	}
}
