package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// What hostile clients do in a siege, and what may grow by it.
var hostileKinds = []struct {
	name    string
	path    string
	header  string
	besiege func(g *siege)
}{
	{"do not read, many sends", "/hostile", "", func(g *siege) { g.sendToAll(16 << 10) }},
	{"do not read, one large message each", "/hostile", "", func(g *siege) { g.sendToAll(900_000) }},
	{"do not read, small messages", "/hostile", "", func(g *siege) { g.sendToAll(100) }},
	{"stop reading a group one after the other", "/hostile", "", (*siege).sendToGroup},
	{"do not read large replies", "/large", "", func(g *siege) { g.writeAll(masked(0x81, "more")) }},
	{"do not read long echoes", "/echo", "", func(g *siege) {
		g.writeAll(masked(0x82,
			strings.Repeat("e", 60_000)))
	}},
	{"read a byte now and then", "/hostile", "", func(g *siege) {
		g.eachNowAndThen(func(c net.Conn) { c.Read(make([]byte, 1)) })
		g.sendToAll(16 << 10)
	}},
	{"send half a message", "/hostile", "", func(g *siege) {
		g.partial(append(maskedHeader(0x82,
			60_000), make([]byte, 8_000)...))
	}},
	{"send it byte by byte", "/hostile", "", func(g *siege) {
		g.partial(append(maskedHeader(0x82, 60_000), make([]byte, 8_000)...))
		g.eachNowAndThen(func(c net.Conn) { c.Write([]byte{0}) })
	}},
	{"send fragments without an end", "/hostile", "", func(g *siege) {
		g.partial(append(masked(0x02, strings.Repeat("f", 5_000)), masked(0x00, strings.Repeat("f",
			30_000))...))
	}},
	{"send half a deflated message", "/hostile", "Sec-WebSocket-Extensions: permessage-deflate\r\n",
		func(g *siege) {
			g.partial(append(maskedHeader(0xc2, 60_000), make([]byte, 8_000)...))
		}},
	{"read no pongs", "/hostile", "", func(g *siege) {
		g.writeAll(masked(0x89, strings.Repeat("p",
			125)))
	}},
	{"have long requests", "/hostile", "X-Long: " + strings.Repeat("l", 200_000) + "\r\n",
		func(g *siege) {}},
}

// Whatever thousands of hostile clients do, the memory of the gateway stays within its
// bounds, those who behave are neither refused nor closed, and all of it comes back. Short
// by default; GATEWAY_HOSTILE=5000 is the full size, with the default bounds, and prints
// the table of docs/limits.md:
//
//	GATEWAY_HOSTILE=5000 go test -run TestHostileClients -v -timeout 30m .
func TestHostileClients(t *testing.T) {
	for _, kind := range hostileKinds {
		t.Run(kind.name, func(t *testing.T) {
			g := newSiege(t)
			g.connect(kind.path, kind.header)
			before := g.live()
			g.meetGood()
			stop := g.watch()
			kind.besiege(g)
			g.hold()
			most := stop()
			g.leaveGood()
			st := g.gw.Stats()
			o := g.opts
			limit := g.base() + int64(g.n)*uncounted + 2*o.MaxQueuedBytes + o.MaxReceivingBytes
			t.Logf("| %s | %d sockets | grew by %.1f MiB, %.1f KiB a socket | counted %.1f + %.1f MiB"+
				" | refused %d, gave way %d, closed %v | %s",
				kind.name, len(g.hostile), mib(most.live-before), float64(most.live-before)/1024/float64(g.n),
				mib(most.queued), mib(most.received), st.QueueFull, st.GaveWay, st.Closed, g.latency())
			if most.live-before > limit && !raceEnabled {
				t.Errorf("the process grew by %d bytes, want at most %d", most.live-before, limit)
			}
			if over := most.queued - o.MaxQueuedBytes; over > o.MaxQueuedBytes/16 {
				t.Errorf("%d bytes are counted beyond MaxQueuedBytes", over)
			}
			if over := most.received - o.MaxReceivingBytes; over > o.MaxReceivingBytes/16 {
				t.Errorf("%d bytes are counted beyond MaxReceivingBytes", over)
			}
			g.end()
		})
	}
}

// The good clients of a siege get their echoes and what others send them.
func (g *siege) good(c *goodClient) {
	defer close(c.left)
	for i := 0; ; i++ {
		select {
		case <-c.stop:
			return
		default:
		}
		size := 100
		if i%10 == 9 {
			size = 10_000
		}
		began := time.Now()
		text := pad(fmt.Sprint("echo ", i, " "), size)
		if c.err = c.echo(text); c.err != nil {
			return
		}
		c.waits = append(c.waits, time.Since(began))
		if c.err = g.gw.Send(context.Background(), c.id, gateway.Text(pad("sent ",
			6_000))); c.err != nil {
			return
		}
		if c.err = c.expect("sent "); c.err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// hold lets the siege last: longer than stalled clients are given.
func (g *siege) hold() { time.Sleep(g.lasts) }

// sendToAll sends to each hostile socket until none takes more, or for a while.
func (g *siege) sendToAll(size int) {
	ids := g.ids("/hostile")
	m := gateway.Binary(make([]byte, size))
	for began := time.Now(); time.Since(began) < g.lasts; {
		accepted := 0
		for _, id := range ids {
			if g.gw.Send(context.Background(), id, m) == nil {
				accepted++
			}
		}
		if accepted == 0 {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// sendToGroup lets the hostile sockets into a group one after the other while messages are
// sent to it: each holds others of them.
func (g *siege) sendToGroup() {
	ids := g.ids("/hostile")
	room := g.gw.Group("room")
	began := time.Now()
	for i, id := range ids {
		room.Join(context.Background(), id)
		if i%max(len(ids)/500, 1) == 0 && time.Since(began) < 4*g.lasts {
			room.Send(context.Background(), gateway.Binary(make([]byte, 16<<10)))
		}
	}
	for range 100 {
		room.Send(context.Background(), gateway.Binary(make([]byte, 16<<10)))
	}
}

// writeAll has each hostile client write the frames until nobody reads them.
func (g *siege) writeAll(frames []byte) {
	b := bytes.Repeat(frames, max(1, 8_000/len(frames)))
	g.each(func(c net.Conn) {
		for range 50 {
			c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
}

// partial has each hostile client write something once.
func (g *siege) partial(b []byte) {
	g.each(func(c net.Conn) {
		c.SetWriteDeadline(time.Now().Add(time.Second))
		c.Write(b)
	})
}

// eachNowAndThen calls fn for each hostile client, again and again until the siege ends.
func (g *siege) eachNowAndThen(fn func(net.Conn)) {
	g.background.Go(func() {
		for !g.over.Load() {
			for i, c := range g.hostile {
				c.SetDeadline(time.Now().Add(time.Millisecond))
				if fn(c); i%100 == 0 {
					time.Sleep(5 * time.Millisecond)
				}
			}
			time.Sleep(200 * time.Millisecond)
		}
	})
}

// each calls fn for each hostile client, some at a time.
func (g *siege) each(fn func(net.Conn)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(g.hostile); i = next.Add(1) - 1 {
				fn(g.hostile[i])
			}
		})
	}
	all.Wait()
}
