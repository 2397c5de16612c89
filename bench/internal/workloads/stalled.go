package workloads

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/measure"
)

const (
	stalledCycles   = 3
	stalledBursts   = 6  // measured, with and without
	stalledMessages = 20 // in a burst
	stalledSize     = 1 << 10
	// What the victim is sent when it stalls: more than the buffers of the
	// system take, so that it is the server's turn.
	fillMessages = 128
	fillSize     = 64 << 10
	// blockedAfter is when a broadcast counts as blocked.
	blockedAfter = 3 * time.Second
	// smallWindow lets the client that stalls take little before it is full.
	smallWindow = 4 << 10
)

// stalled is bursts to many clients of which one stops reading, now and then.
// What counts is how much longer the others wait than when it reads.
func stalled(sockets int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.scale.of(sockets)
		target := t.target
		target.RcvBuf = smallWindow
		c, err := load.Dial(ctx, target)
		if err != nil {
			return nil, err
		}
		victim := load.StartStaller(c)
		defer victim.Stop()
		if err := t.await(ctx, 1); err != nil {
			return nil, err
		}
		if err := t.Victim(ctx); err != nil {
			return nil, err
		}
		conns, err := load.DialAll(ctx, t.target, n-1)
		if err != nil {
			return nil, err
		}
		r := load.StartReceive(conns, stalledSize, true)
		defer r.Stop()
		if err := t.await(ctx, n); err != nil {
			return nil, err
		}
		run := &stalledRun{trial: t, victim: victim, others: r, n: n - 1}
		s, err := run.cycles(ctx)
		if err != nil {
			return nil, err
		}
		return s, r.Stop()
	}
}

type stalledRun struct {
	*trial
	victim        *load.Staller
	others        *load.Receivers
	n             int // of the others
	with, without []float64
}

func (r *stalledRun) cycles(ctx context.Context) (Sample, error) {
	if _, err := r.bursts(ctx, 2); err != nil { // warm up
		return nil, err
	}
	before, err := r.Memory(ctx, true)
	if err != nil {
		return nil, err
	}
	m, err := r.begin(ctx, 0)
	if err != nil {
		return nil, err
	}
	var s Sample
	for range min(stalledCycles, 1+stalledCycles/r.scale.Parts) {
		without, err := r.bursts(ctx, stalledBursts)
		if err != nil {
			return nil, err
		}
		r.without = append(r.without, without...)
		s, err = r.stall(ctx, before.Heap)
		if errors.Is(err, errBlocked) {
			// It is as slow as we were willing to wait, at least.
			return Sample{Slowdown: blockedAfter.Seconds() / measure.Median(r.without)}, nil
		}
		if err != nil {
			return nil, err
		}
	}
	// Its figures would count the garbage collections that were asked for.
	if _, err := r.end(ctx, m, int64(len(r.with)+len(r.without))); err != nil {
		return nil, err
	}
	s[Slowdown] = measure.Median(r.with) / measure.Median(r.without)
	return s, nil
}

// stall measures while the victim does not read.
func (r *stalledRun) stall(ctx context.Context, before int64) (Sample, error) {
	r.victim.Stall()
	defer r.victim.Resume()
	if err := r.Fill(ctx, fillMessages, fillSize); err != nil {
		return nil, err
	}
	if err := pause(ctx, 100*time.Millisecond); err != nil { // that takes less
		return nil, err
	}
	with, err := r.bursts(ctx, stalledBursts)
	if err != nil {
		return nil, err
	}
	r.with = append(r.with, with...)
	after, err := r.Memory(ctx, true)
	if err != nil {
		return nil, err
	}
	if !after.Go {
		return Sample{}, nil
	}
	return Sample{Held: float64(after.Heap-before) / 1024}, nil
}

var errBlocked = errors.New("the broadcast waits for one client")

// bursts returns the seconds that each burst took to reach all others.
func (r *stalledRun) bursts(ctx context.Context, n int) ([]float64, error) {
	var took []float64
	for range n {
		start := time.Now()
		bounded, cancel := context.WithTimeout(ctx, blockedAfter)
		r.others.Expect(int64(r.n * stalledMessages))
		_, err := r.Broadcast(bounded, stalledMessages, stalledSize)
		if err == nil {
			err = r.others.Wait(bounded)
		}
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil, fmt.Errorf("%w: %w", errBlocked, err)
		}
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(start).Seconds())
	}
	return took, nil
}
