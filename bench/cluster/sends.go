package main

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway"
)

// sends compares an acknowledged send to a foreign socket with the request and reply of
// nats.go, which is what carries it. To a client in memory it is that and nothing else;
// one over TCP, in this process, costs the cores what it takes to write to it and to read.
func (b *bench) sends() error {
	nodes, err := b.three(0)
	if err != nil {
		return err
	}
	defer closeAll(nodes)
	inMemory, err := nodes[1].openManyInMemory(64)
	if err != nil {
		return err
	}
	overTCP, err := nodes[2].openMany(64)
	if err != nil {
		return err
	}
	ask, stop, err := b.requestReply()
	if err != nil {
		return err
	}
	defer stop()
	b.row("callers", "foreign send", "bare request/reply", "ratio of times",
		fmt.Sprintf("(median of %d turns)", b.turns))
	for _, callers := range []int{1, 64, 1024} {
		if err := b.send(callers, "in memory", nodes[0], inMemory, ask); err != nil {
			return err
		}
		if err := b.send(callers, "over TCP", nodes[0], overTCP, ask); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) send(callers int, clients string, from *node, ids []string,
	ask func(int) error) error {
	before := from.engine.Stats()
	calls := max(b.calls*min(callers, 4)/4, callers)
	ours, bare, ratio, err := b.compare(wall, func() error {
		return each(callers, calls, func(i int) error { return from.Send(b.ctx, ids[i%len(ids)], text) })
	}, func() error { return each(callers, calls, ask) })
	if err != nil {
		return err
	}
	per := func(d time.Duration) string {
		return fmt.Sprintf("%.1f µs, %.0f k/s",
			float64(d.Nanoseconds())/1e3/float64(calls)*float64(callers),
			float64(calls)/d.Seconds()/1e3)
	}
	after := from.engine.Stats()
	b.row(fmt.Sprintf("%d, clients %s", callers, clients), per(ours), per(bare),
		fmt.Sprintf("%.2f", ratio), fmt.Sprintf("%.1f calls a frame",
			float64(after.Calls-before.Calls)/float64(after.FramesOut-before.FramesOut)))
	return nil
}

var text = gateway.Text(string(make([]byte, payload)))

// requestReply returns a call of nats.go with the same payload between two connections.
func (b *bench) requestReply() (ask func(int) error, stop func(), err error) {
	asker, err := natsgo.Connect(b.url)
	if err != nil {
		return nil, nil, err
	}
	answerer, err := natsgo.Connect(b.url)
	if err != nil {
		asker.Close()
		return nil, nil, err
	}
	stop = func() { asker.Close(); answerer.Close() }
	ok := make([]byte, 3)
	_, err = answerer.Subscribe("bare", func(m *natsgo.Msg) { m.Respond(ok) })
	if err == nil {
		err = answerer.Flush()
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return func(int) error {
		_, err := asker.Request("bare", text.Data, 10*time.Second)
		return err
	}, stop, nil
}

// A meter counts the bytes of a connection, those of NATS's own protocol among them.
type meter struct{ out, in atomic.Int64 }

// Dial makes the meter a dialer of nats.go.
func (m *meter) Dial(network, addr string) (net.Conn, error) {
	c, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return &meteredConn{c, m}, nil
}

type meteredConn struct {
	net.Conn
	m *meter
}

func (c *meteredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.m.out.Add(int64(n))
	return n, err
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.m.in.Add(int64(n))
	return n, err
}

// wire tells the bytes on the sender's connection for each acknowledged send, with
// everything that NATS adds.
func (b *bench) wire() error {
	m := &meter{}
	from, err := b.node(natsgo.SetCustomDialer(m))
	if err != nil {
		return err
	}
	defer from.close()
	to, err := b.node()
	if err != nil {
		return err
	}
	defer to.close()
	ids, err := to.openMany(64)
	if err != nil {
		return err
	}
	b.settle()
	for _, callers := range []int{1, 64, 1024} {
		calls := max(b.calls/10, callers)
		out, in := m.out.Load(), m.in.Load()
		before := from.engine.Stats()
		err := each(callers, calls, func(i int) error {
			return from.Send(b.ctx, ids[i%len(ids)], text)
		})
		if err != nil {
			return err
		}
		after := from.engine.Stats()
		b.row(fmt.Sprintf("bytes on the wire for a send of %d, %d callers", payload, callers),
			fmt.Sprintf("%d there, %d back", (m.out.Load()-out)/int64(calls),
				(m.in.Load()-in)/int64(calls)),
			fmt.Sprintf("frames alone: %d and %d", (after.BytesOut-before.BytesOut)/uint64(calls),
				(after.BytesIn-before.BytesIn)/uint64(calls)))
	}
	return nil
}

// local compares sends to sockets of this process, with an engine and without. The sockets
// are in memory, so that nothing but the gateway is measured.
func (b *bench) local() error {
	with, err := b.node()
	if err != nil {
		return err
	}
	defer with.close()
	without, err := alone()
	if err != nil {
		return err
	}
	defer without.close()
	var work [2]func() error
	calls := b.calls * 20
	for k, n := range []*node{with, without} {
		ids, err := n.openManyInMemory(64)
		if err != nil {
			return err
		}
		work[k] = func() error {
			for i := range calls {
				// One batch at a time, so that nothing piles up that would have to be kept.
				if i%len(ids) == 0 {
					n.await(i * (payload + frameHead))
				}
				if err := n.Send(b.ctx, ids[i%len(ids)], text); err != nil {
					return err
				}
			}
			n.await(calls * (payload + frameHead))
			n.got.Store(0)
			return nil
		}
		n.got.Store(0)
	}
	b.turns *= 3 // 2 % are to be seen
	ours, bare, ratio, err := b.compare(wall, work[0], work[1])
	b.turns /= 3
	if err != nil {
		return err
	}
	per := func(d time.Duration) string {
		return fmt.Sprintf("%.0f ns", float64(d.Nanoseconds())/float64(calls))
	}
	b.row("local send with an engine", per(ours), "without: "+per(bare), fmt.Sprintf("%.3f", ratio))
	return nil
}

// frameHead is what stands before a payload of more than 125 bytes.
const frameHead = 4

// await waits until the clients in memory have so many bytes.
func (n *node) await(bytes int) {
	n.want.Store(int64(bytes))
	for n.got.Load() < int64(bytes) {
		<-n.arrived
	}
}

var _ natsgo.CustomDialer = (*meter)(nil)
