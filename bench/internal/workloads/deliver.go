package workloads

import (
	"context"
	"fmt"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/measure"
)

// audience connects sockets that check what the server sends.
func (t *trial) audience(ctx context.Context, sockets, size int,
	dense bool) (*load.Receivers, error) {
	conns, err := load.DialAll(ctx, t.target, sockets)
	if err != nil {
		return nil, err
	}
	r := load.StartReceive(conns, size, dense)
	if err := t.await(ctx, sockets); err != nil {
		r.Stop()
		return nil, err
	}
	return r, nil
}

// await returns when the server knows as many sockets.
func (t *trial) await(ctx context.Context, sockets int) error {
	for {
		n, err := t.Sockets(ctx)
		if err != nil || n == sockets {
			return err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("the server has %d sockets, want %d: %w", n, sockets, err)
		}
	}
}

// broadcasts is bursts of messages to everyone.
func broadcasts(sockets, messages, size int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.scale.of(sockets)
		r, err := t.audience(ctx, n, size, true)
		if err != nil {
			return nil, err
		}
		defer r.Stop()
		burst := func() error {
			r.Expect(int64(n * messages))
			if _, err := t.Broadcast(ctx, messages, size); err != nil {
				return err
			}
			return r.Wait(ctx)
		}
		if err := burst(); err != nil { // warm up
			return nil, err
		}
		r.ResetLatency()
		m, err := t.begin(ctx, 0)
		if err != nil {
			return nil, err
		}
		var count int64
		for count == 0 || time.Since(m.at) < t.scale.Time {
			if err := burst(); err != nil {
				return nil, err
			}
			count += int64(n * messages)
		}
		s, err := t.end(ctx, m, count)
		if err != nil {
			return nil, err
		}
		s.latency(r.Latency())
		return s, r.Stop()
	}
}

// single is one message at a time to everyone. What counts is when the last
// one has it.
func single(sockets, size int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.scale.of(sockets)
		r, err := t.audience(ctx, n, size, true)
		if err != nil {
			return nil, err
		}
		defer r.Stop()
		var all measure.Histogram
		var lasts []float64
		broadcast := func() error {
			r.ResetLatency()
			r.Expect(int64(n))
			if _, err := t.Broadcast(ctx, 1, size); err != nil {
				return err
			}
			if err := r.Wait(ctx); err != nil {
				return err
			}
			h := r.Latency()
			all.Merge(h)
			lasts = append(lasts, h.Max().Seconds()*1e3)
			return nil
		}
		for range 3 { // warm up
			if err := broadcast(); err != nil {
				return nil, err
			}
		}
		all.Reset()
		lasts = nil
		m, err := t.begin(ctx, 0)
		if err != nil {
			return nil, err
		}
		for len(lasts) < 3 || time.Since(m.at) < t.scale.Time {
			if err := broadcast(); err != nil {
				return nil, err
			}
		}
		s, err := t.end(ctx, m, int64(n*len(lasts)))
		if err != nil {
			return nil, err
		}
		s.latency(&all)
		s[Last] = measure.Median(lasts)
		return s, r.Stop()
	}
}

// sends is messages to sockets at random.
func sends(sockets, messages, size int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.scale.of(messages)
		r, err := t.audience(ctx, t.scale.of(sockets), size, false)
		if err != nil {
			return nil, err
		}
		defer r.Stop()
		burst := func(n int) error {
			before := r.Sum()
			r.Expect(int64(n))
			sent, err := t.Burst(ctx, n, size)
			if err != nil {
				return err
			}
			if err := r.Wait(ctx); err != nil {
				return err
			}
			want := int64(n)*int64(sent.First) + int64(n)*int64(n-1)/2
			if got := r.Sum() - before; got != want {
				return fmt.Errorf("numbers of the messages add up to %d, want %d", got, want)
			}
			return nil
		}
		if err := burst(n/10 + 1); err != nil { // warm up
			return nil, err
		}
		r.ResetLatency()
		m, err := t.begin(ctx, 0)
		if err != nil {
			return nil, err
		}
		if err := burst(n); err != nil {
			return nil, err
		}
		s, err := t.end(ctx, m, int64(n))
		if err != nil {
			return nil, err
		}
		s.latency(r.Latency())
		return s, r.Stop()
	}
}
