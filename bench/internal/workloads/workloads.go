// Package workloads is what is measured: each workload is one kind of traffic, done
// with one server at a time.
package workloads

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/bench/internal/proc"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// A Metric names a figure of a [Sample].
type Metric string

// The metrics. Those "per unit" are per message, delivery, send or socket,
// as [Workload.Unit] says.
const (
	CPU        Metric = "cpu"        // µs of the server process, user and system, per unit
	Rate       Metric = "rate"       // units per second
	P50        Metric = "p50"        // µs, half of all are as fast
	P99        Metric = "p99"        // µs
	P999       Metric = "p999"       // µs
	Allocs     Metric = "allocs"     // objects allocated per unit
	AllocBytes Metric = "allocbytes" // bytes allocated per unit
	Last       Metric = "last"       // ms until the last socket has it
	Resident   Metric = "resident"   // bytes in RAM per socket
	Heap       Metric = "heap"       // bytes of objects per socket
	Stack      Metric = "stack"      // bytes of goroutine stacks per socket
	Goroutines Metric = "goroutines" // per socket
	Slowdown   Metric = "slowdown"   // time with a stalled client over time without
	Held       Metric = "held"       // KiB of objects that a stalled client keeps in the server
	Kernel     Metric = "kernel"     // bytes in the kernel per connection, with the client's end
	Quiet      Metric = "quiet"      // µs of CPU per socket and second, while nobody says anything
	Sockets    Metric = "sockets"    // how many there were, where it depends on the machine
)

// A Sample is the figures of one round of one workload with one server.
type Sample map[Metric]float64

// A Workload is one kind of traffic.
type Workload struct {
	Key     string // for the command line
	Title   string
	Unit    string   // what is counted
	Metric  Metric   // the one that is compared
	Servers []string // that can do it
	Config  serve.Config
	Note    string // what the reader has to know

	// Connections is how many there are at the full scale, where that is many; 0: it does
	// not matter. Without room for them the workload is left out, or has fewer if Fewer.
	Connections int
	Fewer       bool
	// Memory says that only memory counts, so that several servers can be measured at once.
	Memory bool
	// Trick says that it shows what one thing is worth: its first server has it, its second
	// does not. Such workloads run when they are asked for.
	Trick string

	run func(ctx context.Context, t *trial) (Sample, error)
}

// A Scale says how much of a workload is done.
type Scale struct {
	Time   time.Duration // that a measurement takes, where it is not a number of things
	Parts  int           // numbers of sockets and messages are divided by this
	Silent time.Duration // that sockets say nothing before they count as idle
	Hurry  int           // intervals between messages, and before rest, are divided by this
}

// The scales.
var (
	Full  = Scale{Time: 900 * time.Millisecond, Parts: 1, Silent: 8 * time.Second}
	Quick = Scale{Time: 300 * time.Millisecond, Parts: 8, Silent: time.Second, Hurry: 2}
	Smoke = Scale{Time: 20 * time.Millisecond, Parts: 100, Hurry: 20} // for function only
)

func (s Scale) of(n int) int { return max(n/s.Parts, 2) }

func (s Scale) pace(d time.Duration) time.Duration { return d / time.Duration(max(s.Hurry, 1)) }

// Lacks says what this machine lacks for the workload, nil if nothing.
func (w *Workload) Lacks(scale Scale) error {
	if n, room := scale.of(w.Connections), load.Room(); !w.Fewer && w.Connections > 0 && n > room {
		return fmt.Errorf("%d connections need so many descriptors (ulimit -n) for each of two "+
			"processes; there are some for %d", n, room)
	}
	return nil
}

// AtOnce is how many servers can be measured at the same time.
func (w *Workload) AtOnce(scale Scale) int {
	if !w.Memory {
		return 1
	}
	return max(1, min(6, load.Room()/scale.of(w.Connections)))
}

// limit is what a trial may take in all.
const limit = 2 * time.Minute

// Run does the workload once, with a fresh process of the named server. Profiles
// of the measured time go to files that begin with profile, unless it is "".
func (w *Workload) Run(ctx context.Context, server string, scale Scale,
	profile string) (_ Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conf := w.Config
	conf.Rest = scale.pace(conf.Rest)
	s, err := proc.Start(ctx, server, conf)
	if err != nil {
		return nil, err
	}
	defer func() {
		// Where both fail, one is the reason of the other.
		err = errors.Join(err, s.Stop())
		if err != nil && s.Log() != "" {
			err = fmt.Errorf("%w\nlog of the server: %s", err, s.Log())
		}
	}()
	t := &trial{Server: s, name: server, scale: scale, profile: profile}
	t.target = load.Target{Addr: s.Service, Dialect: dialect(server), TLS: w.Config.TLS,
		Deflate: w.Config.Deflate}
	return w.run(ctx, t)
}

func dialect(server string) load.Dialect {
	switch server {
	case "raw":
		return load.Raw
	case "centrifuge":
		return load.Centrifuge
	}
	return load.WebSocket
}

// A trial is one run of a workload with one server.
type trial struct {
	*proc.Server
	name    string // of the server
	target  load.Target
	scale   Scale
	profile string
}

// A mark is the begin of what is measured.
type mark struct {
	usage serve.Usage
	at    time.Time
	count int64
}

func (t *trial) begin(ctx context.Context, count int64) (mark, error) {
	if t.profile != "" {
		if err := t.StartProfile(ctx, t.profile+".cpu.pprof"); err != nil {
			return mark{}, err
		}
	}
	u, err := t.Usage(ctx)
	return mark{usage: u, at: time.Now(), count: count}, err
}

// end makes a sample of what happened since the mark.
func (t *trial) end(ctx context.Context, m mark, count int64) (Sample, error) {
	took := time.Since(m.at)
	u, err := t.Usage(ctx)
	if err != nil {
		return nil, err
	}
	n := float64(count - m.count)
	if n <= 0 {
		return nil, fmt.Errorf("nothing was done in %v", took)
	}
	if t.profile != "" {
		if err := t.StopProfile(ctx); err != nil {
			return nil, err
		}
		if err := t.HeapProfile(ctx, t.profile+".heap.pprof"); err != nil {
			return nil, err
		}
	}
	s := Sample{
		CPU:  float64(u.CPU-m.usage.CPU) / 1e3 / n,
		Rate: n / took.Seconds(),
	}
	if u.Go {
		s[Allocs] = float64(u.Allocs-m.usage.Allocs) / n
		s[AllocBytes] = float64(u.AllocBytes-m.usage.AllocBytes) / n
	}
	return s, nil
}

// latency adds the percentiles to a sample.
func (s Sample) latency(h *measure.Histogram) {
	s[P50] = micros(h.Quantile(0.5))
	s[P99] = micros(h.Quantile(0.99))
	s[P999] = micros(h.Quantile(0.999))
}

func micros(d time.Duration) float64 { return float64(d) / 1e3 }

// pause waits, unless the context ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// steady is traffic that goes on by itself.
type steady interface {
	Count() int64
	Err() error
	Latency() *measure.Histogram
	ResetLatency()
	Stop() error
}

// watch measures traffic that goes on by itself, after a time to warm up.
func (t *trial) watch(ctx context.Context, traffic steady) (Sample, error) {
	s, err := t.window(ctx, traffic)
	if stop := traffic.Stop(); stop != nil {
		err = stop // the reason, where both fail
	}
	return s, err
}

func (t *trial) window(ctx context.Context, traffic steady) (Sample, error) {
	if err := pause(ctx, t.scale.Time/3); err != nil {
		return nil, err
	}
	m, err := t.begin(ctx, traffic.Count())
	if err != nil {
		return nil, err
	}
	traffic.ResetLatency()
	if err := pause(ctx, t.scale.Time); err != nil {
		return nil, err
	}
	// The shortest scale on a busy machine: its time can be over before a message is back.
	for traffic.Count() == m.count && traffic.Err() == nil {
		if err := pause(ctx, t.scale.Time); err != nil {
			return nil, err
		}
	}
	latency := traffic.Latency()
	s, err := t.end(ctx, m, traffic.Count())
	if err != nil {
		return nil, err
	}
	s.latency(latency)
	return s, traffic.Err()
}
