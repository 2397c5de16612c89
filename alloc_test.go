package gateway_test

import (
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// The hot paths allocate exactly this much. A change that raises a number has to
// say why; one that lowers it lowers it here too.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("SKIPPED: the race detector makes sync.Pool forget, and allocations cannot be counted; " +
			"run without -race too")
	}
	unlimited, timed := gateway.Limits{MessagesPerSecond: -1}, gateway.Limits{MessagesPerSecond: 1e9,
		IdleTimeout: time.Hour}
	for name, c := range map[string]struct {
		want  float64 // allocations
		of    float64 // for each of so many; what is less than one for each does not count
		setup func(t *testing.T) (run func())
	}{
		// The message that the endpoint is given, and may keep; nothing else.
		"echo": {1, 1, echoRun(unlimited, masked(0x81, payload))},
		"echo of 64 KiB": {1, 1,
			echoRun(unlimited, masked(0x82, strings.Repeat("x", 64<<10)))},
		"echo, rate and idle timeout on": {1, 1, echoRun(timed, masked(0x81, payload))},
		// Who observes allocates what it does; telling it does not.
		"echo, observed": {1, 1, observedRun},
		// And the queue that the replies are collected in, which grows.
		"echo of 100 at once": {1, 100,
			echoRun(unlimited, bytes.Repeat(masked(0x81, payload), 100))},
		"ping":                        {0, 1, pingRun},
		"an unknown id":               {0, 1, unknownRun},
		"the rate limiter":            {0, 1, limiterRun},
		"keeping a message for Info":  {0, 1, noteRun(64, 64)},
		"keeping another size":        {0, 1, noteRun(64, 40)},
		"keeping one above the limit": {0, 1, noteRun(5<<10, 6<<10)},
		"ListSeq":                     {0, 1000, listRun(1000)},
		"List":                        {0, 1000, fullListRun(1000)},
		"a sweep":                     {0, 1000, sweepRun(1000)},
		// What starts a worker that writes; and the queue, which grows.
		"Send by id":          {2, 1, sendRun(1)},
		"50 times Send by id": {0, 50, sendRun(50)},
		// The shared frame, the fan-out, the worker; nothing for a member.
		"Group.Send to 1":   {5, 1, groupRun(1)},
		"Group.Send to 100": {0, 100, groupRun(100)},
	} {
		t.Run(name, func(t *testing.T) {
			run := c.setup(t)
			defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
			if got := math.Floor(testing.AllocsPerRun(200, run) / c.of); got != c.want {
				t.Errorf("%s allocates %v times, want %v", name, got, c.want)
			}
		})
	}
}

// allocPeers opens sockets on real connections, whose clients wait for exactly as
// many bytes as they are to get.
func allocPeers(t *testing.T, gw *gateway.Handler, n int) (ids []string, conns []net.Conn) {
	t.Helper()
	srv := serveTCP(t, gw, false)
	for range n {
		p := dialTCP(t, srv)
		p.upgrade("/")
		conns = append(conns, p.conn)
	}
	ids, err := gw.List(t.Context())
	if err != nil || len(ids) != n {
		t.Fatalf("List = %d ids, %v, want %d", len(ids), err, n)
	}
	return ids, conns
}

func mustReadFull(t *testing.T, conn net.Conn, p []byte) {
	if _, err := io.ReadFull(conn, p); err != nil {
		t.Fatalf("read: %v", err)
	}
}

// echoRun sends frames to an echo endpoint and reads the replies.
func observedRun(t *testing.T) func() {
	var events, bytes atomic.Int64
	gw := gateway.New(&gateway.Options{Limits: unlimited, Observer: gateway.Observer{
		EventServed: func(e gateway.EventServed) {
			events.Add(1)
			bytes.Add(int64(e.Bytes))
		},
	}})
	gw.Handle("/", echo())
	_, conns := allocPeers(t, gw, 1)
	frame := masked(0x81, payload)
	reply := make([]byte, len(frame)-4)
	return func() {
		if _, err := conns[0].Write(frame); err != nil {
			t.Fatal(err)
		}
		mustReadFull(t, conns[0], reply)
	}
}

func echoRun(l gateway.Limits, frames []byte) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		gw := gateway.New(&gateway.Options{Limits: l})
		gw.Handle("/", echo())
		_, conns := allocPeers(t, gw, 1)
		masks := bytes.Count(frames, []byte{0, 0, 0, 0, 'x'})
		replies := make([]byte, len(frames)-4*masks)
		return func() {
			if _, err := conns[0].Write(frames); err != nil {
				t.Fatal(err)
			}
			mustReadFull(t, conns[0], replies)
		}
	}
}

func pingRun(t *testing.T) func() {
	gw := quiet()
	gw.Handle("/", echo())
	_, conns := allocPeers(t, gw, 1)
	ping, pong := masked(0x89, "hello"), make([]byte, 7)
	return func() {
		if _, err := conns[0].Write(ping); err != nil {
			t.Fatal(err)
		}
		mustReadFull(t, conns[0], pong)
	}
}

func unknownRun(t *testing.T) func() {
	c := newCrowd(t, 100)
	m, ctx := gateway.Text(payload), context.Background()
	id := c.ids[0][:len(c.ids[0])-2] + "00"
	return func() {
		if err := c.gw.Send(ctx, id, m); err != gateway.ErrNotFound {
			t.Fatalf("Send to an unknown id = %v", err)
		}
	}
}

func limiterRun(*testing.T) func() {
	var l gateway.Limiter
	at := time.Duration(0)
	return func() {
		at += time.Second / 7 // some pass, some do not
		l.Take(at, 5, 5)
	}
}

// noteRun keeps messages of two sizes by turns.
func noteRun(sizes ...int) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		c := newCrowd(t, 0)
		sockets := make(chan *gateway.Socket, 1)
		c.gw.Handle("/one/socket",
			gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
				sockets <- s
				return nil
			}})
		c.connect(t, "/one/socket")
		s := <-sockets
		var events []gateway.Event
		for _, n := range sizes {
			events = append(events,
				gateway.Event{Type: gateway.EventData, Time: time.Now(),
					Message: gateway.Text(strings.Repeat("x", n))})
		}
		return func() {
			for _, ev := range events {
				if !s.Note(ev) {
					t.Fatal("the socket is closing")
				}
			}
		}
	}
}

func listRun(sockets int) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		c := newCrowd(t, sockets)
		return func() {
			n := 0
			for _, err := range c.gw.ListSeq(context.Background()) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != sockets {
				t.Fatalf("ListSeq yields %d ids, want %d", n, sockets)
			}
		}
	}
}

func fullListRun(sockets int) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		c := newCrowd(t, sockets)
		return func() {
			if ids, err := c.gw.List(context.Background()); err != nil || len(ids) != sockets {
				t.Fatalf("List = %d ids, %v, want %d", len(ids), err, sockets)
			}
		}
	}
}

func sweepRun(sockets int) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		c := newCrowd(t, sockets)
		return func() { gateway.Sweep(c.gw) }
	}
}

// sendRun sends so many messages to a socket and waits until they are there.
func sendRun(n int) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		gw := quiet()
		gw.Handle("/", echo())
		ids, conns := allocPeers(t, gw, 1)
		m, ctx, got := gateway.Text(payload), context.Background(), make([]byte, n*frameSize)
		return func() {
			for range n {
				if err := gw.Send(ctx, ids[0], m); err != nil {
					t.Fatal(err)
				}
			}
			mustReadFull(t, conns[0], got)
			rest(gw)
		}
	}
}

// rest waits until nobody writes for the gateway any more, so that every run
// starts its own worker.
func rest(gw *gateway.Handler) {
	for gateway.Flushing(gw) {
		runtime.Gosched()
	}
}

// groupRun sends a message to so many members and waits until all have it.
func groupRun(n int) func(t *testing.T) func() {
	return func(t *testing.T) func() {
		gw := quiet()
		gw.Handle("/", echo())
		_, conns := allocPeers(t, gw, n)
		m, ctx, got := gateway.Text(payload), context.Background(), make([]byte, frameSize)
		return func() {
			if sent, err := gw.All().Send(ctx, m); err != nil || sent != n {
				t.Fatalf("Send = %d, %v, want %d", sent, err, n)
			}
			for _, conn := range conns {
				mustReadFull(t, conn, got)
			}
			rest(gw)
		}
	}
}
