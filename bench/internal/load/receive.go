package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/bench/internal/message"
)

// Receivers are clients that check the messages of a server: that each is
// whole, and newer than the one before on its connection.
type Receivers struct {
	conns []*Conn
	size  int
	dense bool

	all     *shards
	awaited atomic.Int64 // messages until the next done
	sum     atomic.Int64 // of the numbers
	done    chan struct{}
	wg      sync.WaitGroup
	err     errorOnce
	failed  chan struct{}
	fail    sync.Once
	closing atomic.Bool
}

// StartReceive reads messages of size bytes from every connection. If dense,
// each connection is to get every number, else any ascending ones. The
// connections are the Receivers' from now on.
func StartReceive(conns []*Conn, size int, dense bool) *Receivers {
	r := &Receivers{
		conns: conns, size: size, dense: dense,
		all: new(shards), done: make(chan struct{}, 1), failed: make(chan struct{}),
	}
	for i, c := range conns {
		r.wg.Go(func() {
			err := r.read(c, i%len(r.all))
			if !r.closing.Load() {
				r.err.set(fmt.Errorf("client %d: %w", i, err))
				r.fail.Do(func() { close(r.failed) })
			}
		})
	}
	return r
}

// Expect says that n messages are to come. It precedes what sends them.
func (r *Receivers) Expect(n int64) { r.awaited.Add(n) }

// Wait returns when all expected messages are there. The error is the first
// one of any client, or the context's.
func (r *Receivers) Wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err.get()
	case <-r.failed:
		return r.err.get()
	case <-ctx.Done():
		return fmt.Errorf("%d messages are missing: %w", r.awaited.Load(), ctx.Err())
	}
}

// Missing is how many expected messages have not come yet.
func (r *Receivers) Missing() int64 { return r.awaited.Load() }

// Sum is the sum of the numbers of all messages so far.
func (r *Receivers) Sum() int64 { return r.sum.Load() }

// Latency is the time from the stamp of a message to its arrival, of all
// messages since the last [Receivers.ResetLatency].
func (r *Receivers) Latency() *measure.Histogram { return r.all.merged() }

// ResetLatency forgets the latencies so far.
func (r *Receivers) ResetLatency() { r.all.reset() }

// Stop drops the connections and ends. The error is the first one before.
func (r *Receivers) Stop() error {
	r.closing.Store(true)
	CutAll(r.conns)
	r.wg.Wait()
	return r.err.get()
}

// read reads until it fails, and returns why.
func (r *Receivers) read(c *Conn, shard int) error {
	c.nc.SetDeadline(time.Time{}) // Wait has a context
	seen := receiver{owner: r, shard: shard, last: -1}
	for {
		if err := c.fill(); err != nil {
			return err
		}
		seen.now, seen.n, seen.sum = time.Now(), 0, 0
		for {
			f, ok, err := c.message()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if f.op != opText {
				return fmt.Errorf("got a %s message: %.100q", opName(f.op), f.payload)
			}
			if err := c.target.Dialect.unwrap(f.payload, seen.check); err != nil {
				return err
			}
		}
		r.arrived(seen.n, seen.sum)
	}
}

func (r *Receivers) arrived(n, sum int64) {
	r.sum.Add(sum)
	if n > 0 && r.awaited.Add(-n) == 0 {
		select {
		case r.done <- struct{}{}:
		default: // nobody took the last one
		}
	}
}

// A receiver is what one client has seen.
type receiver struct {
	owner *Receivers
	shard int
	last  int64 // number of the latest message

	now    time.Time // of the latest read, and what it brought:
	n, sum int64
}

func (s *receiver) check(m []byte) error {
	seq, at, err := message.Parse(m, s.owner.size)
	if err != nil {
		return err
	}
	number := int64(seq)
	if number <= s.last || s.owner.dense && s.last >= 0 && number != s.last+1 {
		return fmt.Errorf("message %d after %d", number, s.last)
	}
	s.last = number
	s.owner.all[s.shard].latency.Add(s.now.Sub(at))
	s.n++
	s.sum += number
	return nil
}
