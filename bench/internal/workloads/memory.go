package workloads

import (
	"context"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
)

// What idle sockets have said before.
const (
	silent  = iota // nothing
	usedAll        // one message each, when all had connected
	usedNow        // one message each, right after it had connected, as clients do
)

// idle is sockets that say nothing, or nothing more.
func idle(sockets, said int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.scale.of(sockets)
		// What the first sockets bring into being is not theirs alone.
		first, err := load.DialAll(ctx, t.target, 20)
		if err != nil {
			return nil, err
		}
		err = load.OnceAll(first, 64)
		load.CutAll(first)
		if err != nil {
			return nil, err
		}
		if t.target.Dialect != load.Raw {
			if err := t.await(ctx, 0); err != nil {
				return nil, err
			}
		}
		before, err := t.empty(ctx)
		if err != nil {
			return nil, err
		}
		var conns []*load.Conn
		if said == usedNow {
			conns, err = load.DialOnce(ctx, t.target, n, 64)
		} else {
			conns, err = load.DialAll(ctx, t.target, n)
		}
		if err != nil {
			return nil, err
		}
		defer load.CutAll(conns)
		if said == usedAll {
			if err := load.OnceAll(conns, 64); err != nil {
				return nil, err
			}
		}
		s, err := t.heldBy(ctx, n, before)
		if err != nil {
			return nil, err
		}
		if t.profile != "" {
			if err := t.HeapProfile(ctx, t.profile+".heap.pprof"); err != nil {
				return nil, err
			}
		}
		return s, load.OnceAll(conns, 64) // they are all alive
	}
}

// storm is all sockets lost at once, and all clients back as fast as they can.
func storm(sockets int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.scale.of(sockets)
		conns, _, err := load.Storm(ctx, t.target, n, 64)
		if err != nil {
			return nil, err
		}
		defer func() { load.CutAll(conns) }()
		if err := t.await(ctx, n); err != nil {
			return nil, err
		}
		m, err := t.begin(ctx, 0)
		if err != nil {
			return nil, err
		}
		load.CutAll(conns)
		again, latency, err := load.Storm(ctx, t.target, n, 64)
		if err != nil {
			return nil, err
		}
		back := time.Since(m.at)
		conns = again
		if err := t.await(ctx, n); err != nil { // the old ones are gone
			return nil, err
		}
		s, err := t.end(ctx, m, int64(n))
		if err != nil {
			return nil, err
		}
		s.latency(latency)
		s[Last] = back.Seconds() * 1e3
		return s, nil
	}
}
