package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsgateway/gateway/bench/internal/measure"
)

// Once sends one text message and checks its echo.
func (c *Conn) Once(number, size int) error {
	c.Extend()
	m := content(number, 0, size, false)
	payload := m
	if c.target.Deflate {
		var err error
		if payload, err = deflate(m); err != nil {
			return err
		}
	}
	if _, err := c.nc.Write(c.target.Dialect.encode(nil, 0, opText, c.target.Deflate,
		payload)); err != nil {
		return err
	}
	f, err := c.wait()
	if err != nil {
		return err
	}
	got := f.payload
	if f.compressed {
		if got, err = inflate(got); err != nil {
			return err
		}
	}
	return c.target.Dialect.unwrap(got, func(b []byte) error {
		if !bytes.Equal(b, m) {
			return fmt.Errorf("echo is not what was sent: %.100q", b)
		}
		return nil
	})
}

// OnceAll sends one message on each connection and checks the echo.
func OnceAll(conns []*Conn, size int) error {
	return each(dialers, len(conns), func(i int) error { return conns[i].Once(i, size) })
}

// stormers is how many clients of a storm connect at a time.
const stormers = 256

// Storm opens n connections as fast as it can, and lets each send and check
// one message of size bytes. The histogram is the time from dialling to the
// echo.
func Storm(ctx context.Context, t Target, n, size int) ([]*Conn, *measure.Histogram, error) {
	return dialOnce(ctx, t, n, size, stormers)
}

// DialOnce is the same, of clients that come without haste.
func DialOnce(ctx context.Context, t Target, n, size int) ([]*Conn, error) {
	conns, _, err := dialOnce(ctx, t, n, size, dialers)
	return conns, err
}

func dialOnce(ctx context.Context, t Target, n, size, atOnce int) ([]*Conn, *measure.Histogram,
	error) {
	conns := make([]*Conn, n)
	all := new(measure.Histogram)
	err := each(min(atOnce, n), n, func(i int) error {
		start := time.Now()
		c, err := Dial(ctx, t)
		if err != nil {
			return err
		}
		conns[i] = c
		if err := c.Once(i, size); err != nil {
			return err
		}
		all.Add(time.Since(start))
		return nil
	})
	if err != nil {
		CutAll(conns)
		return nil, nil, err
	}
	return conns, all, nil
}

// A Churn is clients that connect and close, again and again.
type Churn struct {
	count   atomic.Int64
	latency measure.Histogram
	stop    context.CancelFunc
	wg      sync.WaitGroup
	err     errorOnce
}

// StartChurn starts clients that connect to t and close, until stopped.
func StartChurn(ctx context.Context, t Target, clients int) *Churn {
	ctx, stop := context.WithCancel(ctx)
	r := &Churn{stop: stop}
	for range clients {
		r.wg.Go(func() {
			for ctx.Err() == nil && r.err.get() == nil {
				r.err.set(r.cycle(ctx, t))
			}
		})
	}
	return r
}

func (r *Churn) cycle(ctx context.Context, t Target) error {
	start := time.Now()
	c, err := Dial(ctx, t)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
	r.latency.Add(time.Since(start))
	if err := c.Close(); err != nil {
		return err
	}
	r.count.Add(1)
	return nil
}

// Count is how many connections were opened and closed so far.
func (r *Churn) Count() int64 { return r.count.Load() }

// Latency is the time from dialling to the open socket, of all since the last
// [Churn.ResetLatency].
func (r *Churn) Latency() *measure.Histogram { return &r.latency }

// ResetLatency forgets the latencies so far.
func (r *Churn) ResetLatency() { r.latency.Reset() }

// Err is the first error of any client so far.
func (r *Churn) Err() error { return r.err.get() }

// Stop ends after the connections that are open now. The error is the first
// one of any client.
func (r *Churn) Stop() error {
	r.stop()
	r.wg.Wait()
	return r.err.get()
}
