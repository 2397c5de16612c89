package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/proc"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// kill ends the process of a node with kill -9 and takes the time until another node
// knows: by its next call, and by the silence if it makes none.
func (b *bench) kill() error {
	watcher, err := b.node()
	if err != nil {
		return err
	}
	defer watcher.close()
	for _, c := range []struct {
		what    string
		noticed func(id string) (bool, error)
	}{
		{"kill -9 noticed by sends", func(id string) (bool, error) {
			err := watcher.Send(b.ctx, id, text)
			if errors.Is(err, gateway.ErrTimeout) || errors.Is(err, gateway.ErrUnreachable) {
				return true, nil
			}
			return false, err
		}},
		{"kill -9 noticed without a call", func(id string) (bool, error) {
			nodes, err := watcher.Nodes(b.ctx)
			for _, n := range nodes {
				if id[:len(n.Name)] == n.Name && n.State == gateway.NodeUp {
					return false, err
				}
			}
			time.Sleep(time.Millisecond)
			return true, err
		}},
	} {
		var took []time.Duration
		for range b.turns {
			d, err := b.killed(watcher, c.noticed)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		worst := took[0]
		for _, d := range took {
			worst = max(worst, d)
		}
		b.row(c.what, fmt.Sprintf("after %v", median(took).Round(10*time.Microsecond)),
			fmt.Sprintf("at most %v", worst.Round(10*time.Microsecond)))
	}
	return nil
}

// killed starts a node, kills it, and returns how long it took until it was noticed.
func (b *bench) killed(watcher *node, noticed func(id string) (bool, error)) (time.Duration,
	error) {
	p, err := proc.Start(b.ctx, "gateway-cluster",
		serve.Config{Cluster: b.url[len("nats://"):]})
	if err != nil {
		return 0, err
	}
	defer p.Stop()
	c, err := load.Dial(b.ctx, load.Target{Addr: p.Service, Dialect: load.WebSocket})
	if err != nil {
		return 0, err
	}
	defer c.Cut()
	b.settle() // a node that is new may not be known everywhere, so its silence says less
	ids, err := watcher.List(b.ctx)
	// The nodes that were killed before are silent, which is no error here.
	if len(ids) != 1 || err != nil && !errors.Is(err, gateway.ErrUnreachable) {
		return 0, fmt.Errorf("listing gave %v, %v; want the one socket of the other process", ids, err)
	}
	if over, err := noticed(ids[0]); over || err != nil {
		return 0, fmt.Errorf("the node seems to be dead before it was killed: %w", err)
	}
	start := time.Now()
	if err := p.Kill(); err != nil {
		return 0, err
	}
	for {
		over, err := noticed(ids[0])
		if over {
			return time.Since(start), nil
		}
		if err != nil {
			return 0, err
		}
	}
}
