package workloads

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// fits is how many of so many sockets can be had at all.
func (t *trial) fits(sockets int) int { return min(t.scale.of(sockets), load.Room()) }

// quiet waits for as long as sockets have to be silent, and returns the CPU time in µs
// that each of n needs in a second at the end of it. An empty server needs idle ms a second.
func (t *trial) quiet(ctx context.Context, n int, idle float64) (Sample, error) {
	window := t.scale.Silent / 8
	if err := pause(ctx, t.scale.Silent-window); err != nil || window == 0 {
		return Sample{}, err
	}
	used, err := t.using(ctx, window)
	return Sample{Quiet: max(0, used-idle) * 1e3 / float64(n)}, err
}

// using is how many ms of CPU time a second the server needs while nobody asks for anything.
func (t *trial) using(ctx context.Context, window time.Duration) (float64, error) {
	if window == 0 {
		return 0, nil
	}
	before, err := t.Usage(ctx)
	if err != nil {
		return 0, err
	}
	at := time.Now()
	if err := pause(ctx, window); err != nil {
		return 0, err
	}
	after, err := t.Usage(ctx)
	return (after.CPU - before.CPU).Seconds() * 1e3 / time.Since(at).Seconds(), err
}

// An empty is what the server of a trial is like without sockets.
type empty struct {
	memory serve.Memory
	kernel int64
	idle   float64 // ms of CPU a second
}

func (t *trial) empty(ctx context.Context) (e empty, err error) {
	if e.memory, err = t.Memory(ctx, true); err != nil {
		return e, err
	}
	e.kernel = kernelMemory()
	e.idle, err = t.using(ctx, t.scale.Silent/8)
	return e, err
}

// rest waits until all n sockets are at rest, or for as long as they would need for it
// where they do not rest.
func (t *trial) rest(ctx context.Context, n int) error {
	if t.name != Ours || runtime.GOOS != "linux" {
		return pause(ctx, t.scale.Silent)
	}
	for {
		m, err := t.Memory(ctx, false)
		if err != nil || m.Resting >= n {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d sockets are at rest: %w", m.Resting, n, err)
		}
	}
}

// talkers is many sockets at rest among which a few talk.
func talkers(sockets, talking int, e load.Echo) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.fits(sockets)
		target := t.target
		target.Spread = true
		kernel := kernelMemory()
		conns, err := load.DialOnce(ctx, target, n, 64)
		if err != nil {
			return nil, err
		}
		defer load.CutAll(conns)
		if err := t.rest(ctx, n); err != nil {
			return nil, err
		}
		held := kernelMemory() - kernel
		traffic, err := load.StartEcho(ctx, conns[:min(t.scale.of(talking), n)], e)
		if err != nil {
			return nil, err
		}
		t.scale.Time *= 2 // a percentile needs more of them
		s, err := t.watch(ctx, traffic)
		if err != nil {
			return nil, err
		}
		s[Sockets] = float64(n)
		if kernel > 0 {
			s[Kernel] = float64(held) / float64(n)
		}
		return s, nil
	}
}

// wakes is sockets that each say one thing at long intervals.
func wakes(sockets int, every time.Duration) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		interval := t.scale.pace(every)
		conns, err := load.DialAll(ctx, t.target, t.fits(sockets))
		if err != nil {
			return nil, err
		}
		defer load.CutAll(conns)
		traffic, err := load.StartEcho(ctx, conns,
			load.Echo{Sizes: []int{64}, Window: 1, Interval: interval})
		if err != nil {
			return nil, err
		}
		// In the second interval they wake for the first time, and later they go back to rest
		// as soon as they have spoken.
		if err := pause(ctx, 2*interval); err != nil {
			return nil, errors.Join(err, traffic.Stop())
		}
		return t.watch(ctx, traffic)
	}
}

// pings is silent sockets that are pinged.
func pings(sockets int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.fits(sockets)
		conns, err := load.DialAll(ctx, t.target, n)
		if err != nil {
			return nil, err
		}
		p := load.StartPong(conns)
		s, err := t.pinged(ctx, p, int64(n))
		if stop := p.Stop(); stop != nil {
			err = stop // the reason, where both fail
		}
		return s, err
	}
}

// pinged measures from when each of n clients has been pinged until it has been again.
func (t *trial) pinged(ctx context.Context, p *load.Pongers, n int64) (Sample, error) {
	until := func(count int64) error {
		for p.Count() < count && p.Err() == nil {
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return fmt.Errorf("%d of %d pings: %w", p.Count(), count, err)
			}
		}
		return p.Err()
	}
	if t.scale.Silent > 0 { // else only that it works matters
		if err := until(n); err != nil {
			return nil, err
		}
	}
	m, err := t.begin(ctx, p.Count())
	if err != nil {
		return nil, err
	}
	if err := until(m.count + n); err != nil {
		return nil, err
	}
	return t.end(ctx, m, p.Count())
}

// many is as many sockets as a machine with few descriptors cannot have: each says one
// thing and is silent, and then all get a message.
func many(sockets int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		n := t.scale.of(sockets)
		t.target.Spread = true
		before, err := t.empty(ctx)
		if err != nil {
			return nil, err
		}
		m, err := t.begin(ctx, 0)
		if err != nil {
			return nil, err
		}
		conns, err := load.DialOnce(ctx, t.target, n, 64)
		if err != nil {
			return nil, err
		}
		defer load.CutAll(conns)
		s, err := t.end(ctx, m, int64(n))
		if err != nil {
			return nil, err
		}
		held, err := t.heldBy(ctx, n, before)
		if err != nil {
			return nil, err
		}
		if kernel := kernelMemory(); before.kernel > 0 {
			s[Kernel] = float64(kernel-before.kernel) / float64(n)
		}
		for name, v := range held {
			s[name] = v
		}
		s[Sockets] = float64(n)
		s[Last], err = t.reach(ctx, conns)
		return s, err
	}
}

// reach is how many milliseconds a broadcast takes to reach everyone.
func (t *trial) reach(ctx context.Context, conns []*load.Conn) (float64, error) {
	r := load.StartReceive(conns, 128, true)
	r.Expect(int64(len(conns)))
	at := time.Now()
	if _, err := t.Broadcast(ctx, 1, 128); err != nil {
		return 0, errors.Join(err, r.Stop())
	}
	err := r.Wait(ctx)
	took := time.Since(at)
	return took.Seconds() * 1e3, errors.Join(err, r.Stop())
}

// heldBy is what each of n sockets that have been silent for a while needs: what the
// process holds and does more than before.
func (t *trial) heldBy(ctx context.Context, n int, before empty) (Sample, error) {
	s, err := t.quiet(ctx, n, before.idle)
	if err != nil {
		return nil, err
	}
	after, err := t.Memory(ctx, true)
	if err != nil {
		return nil, err
	}
	each := func(after, before int64) float64 { return float64(after-before) / float64(n) }
	if after.Go {
		s[Heap] = each(after.Heap, before.memory.Heap)
		s[Stack] = each(after.Stack, before.memory.Stack)
		s[Goroutines] = each(int64(after.Goroutines), int64(before.memory.Goroutines))
	}
	if after.Resident > 0 { // else the system does not tell
		s[Resident] = each(after.Resident, before.memory.Resident)
	}
	return s, nil
}
