package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/proc"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// A stack is a way to publish to clients on several nodes.
type stack struct {
	title   string
	server  string // of package serve
	dialect load.Dialect
	start   func(context.Context) (broker, error)
}

// The first is ours.
var stacks = []stack{
	{"gateway over NATS", "gateway-cluster", load.WebSocket, startNATS},
	{"centrifuge, its Redis engine", "centrifuge-redis", load.Centrifuge, startRedis},
	{"centrifuge over NATS", "centrifuge-nats", load.Centrifuge, startNATS},
}

// A figure is what one stack took in one turn.
type figure struct {
	cpu, broker time.Duration // for each delivery
	p50, p99    time.Duration // from before the publication to its arrival
}

// A manner is how messages are published.
type manner struct {
	title        string
	bursts, each int // so many messages follow each other without a wait
}

// peers publishes to sockets on three nodes, each a process of its own, and compares what
// it costs. Redis is asked to keep nothing, and nobody to keep a history.
func (b *bench) peers() error {
	b.row("to "+fmt.Sprint(3*b.crowd)+" clients on 3 nodes", "CPU a delivery", "with the broker's",
		"p50", "p99", "CPU, ours to it", "p99, ours to it")
	manners := []manner{{"one at a time", 100, 1}, {"20 in a row", 20, 20}}
	if b.quick {
		manners = []manner{{"one at a time", 3, 1}, {"20 in a row", 1, 20}}
	}
	figures := make([][][]figure, len(manners)) // by manner, stack and turn
	for i := range figures {
		figures[i] = make([][]figure, len(stacks))
	}
	for turn := range b.turns {
		for i := range stacks {
			k := (i + turn) % len(stacks)
			got, err := b.publish(stacks[k], manners)
			if errors.Is(err, errNoRedis) {
				continue
			}
			if err != nil {
				return fmt.Errorf("%s: %w", stacks[k].title, err)
			}
			for m := range manners {
				figures[m][k] = append(figures[m][k], got[m])
			}
		}
	}
	for m, manner := range manners {
		for k, s := range stacks {
			b.peerRow(s.title+", "+manner.title, figures[m][k], figures[m][0])
		}
	}
	return nil
}

func (b *bench) peerRow(title string, its, ours []figure) {
	if len(its) == 0 {
		b.row(title, errNoRedis.Error())
		return
	}
	of := func(value func(turn int) float64) float64 {
		var all []float64
		for turn := range its {
			all = append(all, value(turn))
		}
		return median(all)
	}
	micros := func(d func(figure) time.Duration) string {
		return fmt.Sprintf("%.2f µs", of(func(i int) float64 { return float64(d(its[i])) / 1e3 }))
	}
	ratio := func(d func(figure) time.Duration) string {
		return fmt.Sprintf("%.2f",
			of(func(i int) float64 { return float64(d(ours[i])) / float64(d(its[i])) }))
	}
	all := func(f figure) time.Duration { return f.cpu + f.broker }
	p99 := func(f figure) time.Duration { return f.p99 }
	b.row(title, micros(func(f figure) time.Duration { return f.cpu }), micros(all),
		micros(func(f figure) time.Duration { return f.p50 }), micros(p99), ratio(all), ratio(p99))
}

// publish measures one stack in all manners.
func (b *bench) publish(s stack, manners []manner) (got []figure, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Minute)
	defer cancel()
	t := &trial{stack: s}
	defer func() {
		if stopped := t.stop(); err == nil {
			err = stopped
		}
	}()
	if err := t.start(ctx, b.crowd); err != nil {
		return nil, err
	}
	b.settle()
	for range 3 { // warm up
		if err := t.burst(ctx, manners[len(manners)-1].each); err != nil {
			return nil, err
		}
	}
	for _, m := range manners {
		f, err := t.measure(ctx, m)
		if err != nil {
			return nil, err
		}
		got = append(got, f)
	}
	return got, nil
}

// A trial is one stack that runs, with its clients in this process.
type trial struct {
	stack
	broker  broker
	nodes   []*proc.Server
	clients *load.Receivers
	n       int
}

func (t *trial) start(ctx context.Context, crowd int) (err error) {
	if t.broker, err = t.stack.start(ctx); err != nil {
		return err
	}
	var conns []*load.Conn
	for range 3 {
		p, err := proc.Start(ctx, t.server, serve.Config{Cluster: t.broker.addr()})
		if err != nil {
			return err
		}
		t.nodes = append(t.nodes, p)
		some, err := load.DialAll(ctx, load.Target{Addr: p.Service, Dialect: t.dialect}, crowd)
		conns = append(conns, some...)
		if err != nil {
			load.CutAll(conns)
			return err
		}
	}
	t.n = len(conns)
	t.clients = load.StartReceive(conns, payload, true)
	return nil
}

func (t *trial) stop() (err error) {
	if t.clients != nil {
		err = t.clients.Stop()
	}
	for _, p := range t.nodes {
		p.Stop() // it ends with its standard input, and says so
	}
	if t.broker != nil {
		t.broker.stop()
	}
	return err
}

// burst has the first node publish, and waits until all clients have everything.
func (t *trial) burst(ctx context.Context, messages int) error {
	t.clients.Expect(int64(messages * t.n))
	if _, err := t.nodes[0].Broadcast(ctx, messages, payload); err != nil {
		return err
	}
	return t.clients.Wait(ctx)
}

// used returns the CPU time of the nodes and of the broker.
func (t *trial) used(ctx context.Context) (nodes, broker time.Duration, err error) {
	for _, p := range t.nodes {
		u, err := p.Usage(ctx)
		if err != nil {
			return 0, 0, err
		}
		nodes += u.CPU
	}
	broker, err = t.broker.cpu(ctx)
	return nodes, broker, err
}

func (t *trial) measure(ctx context.Context, m manner) (f figure, err error) {
	nodes, broker, err := t.used(ctx)
	if err != nil {
		return f, err
	}
	t.clients.ResetLatency()
	for range m.bursts {
		if err := t.burst(ctx, m.each); err != nil {
			return f, err
		}
	}
	nodesAfter, brokerAfter, err := t.used(ctx)
	if err != nil {
		return f, err
	}
	deliveries := time.Duration(m.bursts * m.each * t.n)
	h := t.clients.Latency()
	return figure{
		cpu: (nodesAfter - nodes) / deliveries, broker: (brokerAfter - broker) / deliveries,
		p50: h.Quantile(0.5), p99: h.Quantile(0.99),
	}, nil
}
