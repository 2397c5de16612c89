package load

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/bench/internal/measure"
)

// An Echo says what each client sends and awaits back.
type Echo struct {
	Sizes  []int // bytes of the messages, in turn
	Window int   // messages in flight, at least 1
	Binary bool  // binary messages, not text
	// above 0: one message each, at fixed times, in place of one as soon as there is room
	Interval time.Duration
}

// Echoers are clients that send and check echoes until they are stopped.
type Echoers struct {
	all  *shards
	stop atomic.Bool
	wg   sync.WaitGroup
	err  errorOnce
}

// StartEcho lets every connection send and check from now on. The connections
// stay the caller's.
func StartEcho(ctx context.Context, conns []*Conn, e Echo) (*Echoers, error) {
	run := &Echoers{all: new(shards)}
	clients := make([]*echoer, len(conns))
	for i, c := range conns {
		var err error
		if clients[i], err = newEchoer(c, i, e, run); err != nil {
			return nil, err
		}
	}
	for i, c := range clients {
		// Spread over the interval, so that they do not all talk at once.
		start := time.Now().Add(e.Interval * time.Duration(i) / time.Duration(len(clients)))
		run.wg.Go(func() { run.err.set(c.run(ctx, start)) })
	}
	return run, nil
}

// Count is how many echoes came back so far.
func (r *Echoers) Count() int64 { return r.all.total() }

// Err is the first error of any client so far.
func (r *Echoers) Err() error { return r.err.get() }

// Latency is that of the echoes since the last [Echoers.ResetLatency]; with an
// interval it counts from the time at which the message was due.
func (r *Echoers) Latency() *measure.Histogram { return r.all.merged() }

// ResetLatency forgets the latencies so far.
func (r *Echoers) ResetLatency() { r.all.reset() }

// Stop lets what is in flight come back and ends. The error is the first one
// of any client.
func (r *Echoers) Stop() error {
	r.stop.Store(true)
	r.wg.Wait()
	return r.err.get()
}

// An echoer is one client of Echoers. Its messages are made in advance: a ring
// of them, kept twice in a row, so that any number of them up to the window is
// one piece of memory and one write.
type echoer struct {
	*Conn
	owner    *Echoers
	shard    int
	op       byte
	window   int
	interval time.Duration

	ring     [][]byte // payloads, by number
	verified [][]byte // compressed payloads that proved right, by number
	wire     []byte   // the ring twice, as frames
	at       []int    // where each frame begins in wire, and the end
	sent     []time.Time

	next, got int // numbers of the next message to send and to get
}

func newEchoer(c *Conn, index int, e Echo, run *Echoers) (*echoer, error) {
	// One more than the window: a lost, doubled or swapped message shows.
	n := (e.Window/len(e.Sizes) + 1) * len(e.Sizes)
	if n < 2 {
		n = 2
	}
	x := &echoer{
		Conn: c, owner: run, shard: index % len(run.all),
		op: opText, window: e.Window, interval: e.Interval,
		ring: make([][]byte, n), verified: make([][]byte, n), sent: make([]time.Time, n),
	}
	if e.Binary {
		x.op = opBinary
	}
	for i := range 2 * n {
		x.at = append(x.at, len(x.wire))
		x.ring[i%n] = content(index, i%n, e.Sizes[i%n%len(e.Sizes)], e.Binary)
		payload := x.ring[i%n]
		if c.target.Deflate {
			var err error
			if payload, err = deflate(payload); err != nil {
				return nil, err
			}
		}
		x.wire = c.target.Dialect.encode(x.wire, i%n, x.op, c.target.Deflate, payload)
	}
	x.at = append(x.at, len(x.wire))
	return x, nil
}

// content is a message that no other client and no other number has, made of
// words, so that it can be compressed as JSON can.
func content(client, number, size int, binary bool) []byte {
	b := make([]byte, 0, size+32)
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, "client=%d number=%d part=%d ", client, number, i)
	}
	b = b[:size]
	if binary && size > 0 {
		b[0] = 0xff // not UTF-8
	}
	return b
}

func (x *echoer) run(ctx context.Context, start time.Time) error {
	if x.interval > 0 {
		return x.paced(ctx, start)
	}
	x.Extend()
	if err := x.send(x.window, time.Now()); err != nil {
		return err
	}
	for x.got < x.next {
		n, err := x.receive()
		if err != nil {
			return err
		}
		if n == 0 || x.done(ctx) {
			continue
		}
		if err := x.send(n, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// paced sends one message each interval. One that comes back late delays the
// next, which counts as the delay of that one: a slow server cannot hide by
// being asked less.
func (x *echoer) paced(ctx context.Context, due time.Time) error {
	for ; !x.done(ctx); due = due.Add(x.interval) {
		time.Sleep(time.Until(due))
		x.Extend()
		if err := x.send(1, due); err != nil {
			return err
		}
		for x.got < x.next {
			if _, err := x.receive(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *echoer) done(ctx context.Context) bool {
	return x.owner.stop.Load() || ctx.Err() != nil || x.owner.err.get() != nil
}

func (x *echoer) send(n int, at time.Time) error {
	from := x.next % len(x.ring)
	for range n {
		x.sent[x.next%len(x.ring)] = at
		x.next++
	}
	_, err := x.nc.Write(x.wire[x.at[from]:x.at[from+n]])
	return err
}

// receive reads once and checks all messages that are whole.
func (x *echoer) receive() (n int, err error) {
	if err := x.fill(); err != nil {
		return 0, err
	}
	now := time.Now()
	shard := &x.owner.all[x.shard]
	for {
		f, ok, err := x.message()
		if err != nil || !ok {
			shard.count.Add(int64(n))
			return n, err
		}
		if f.op != x.op {
			return n, fmt.Errorf("got a %s message (%.100q) in place of an echo", opName(f.op), f.payload)
		}
		err = x.target.Dialect.unwrap(f.payload, func(m []byte) error {
			if err := x.check(m, f.compressed); err != nil {
				return err
			}
			shard.latency.Add(now.Sub(x.sent[x.got%len(x.ring)]))
			x.got++
			n++
			return nil
		})
		if err != nil {
			return n, err
		}
	}
}

// check compares a message with the one that is due.
func (x *echoer) check(m []byte, compressed bool) error {
	if x.got == x.next {
		return errUnasked
	}
	i := x.got % len(x.ring)
	if compressed != x.target.Deflate {
		return fmt.Errorf("echo compressed: %v, want %v", compressed, x.target.Deflate)
	}
	if compressed {
		// Without context takeover, equal messages have equal bytes: what was
		// inflated once need not be again.
		if bytes.Equal(m, x.verified[i]) {
			return nil
		}
		plain, err := inflate(m)
		if err != nil {
			return err
		}
		x.verified[i] = bytes.Clone(m)
		m = plain
	}
	if !bytes.Equal(m, x.ring[i]) {
		return fmt.Errorf("echo %d of %d bytes is not what was sent: %.100q", x.got, len(m), m)
	}
	return nil
}
