package main

import (
	"fmt"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// groups compares a group's message to members on three nodes with one to as many members
// of a node alone.
func (b *bench) groups() error {
	nodes, err := b.three(b.crowd)
	if err != nil {
		return err
	}
	defer closeAll(nodes)
	one, err := alone()
	if err != nil {
		return err
	}
	defer one.close()
	members := 3 * b.crowd
	if _, err := one.openMany(members); err != nil {
		return err
	}
	for _, c := range []struct{ bursts, sends int }{{20, 1}, {2, 50}} {
		work := func(gw *gateway.Handler, all ...*node) func() error {
			return func() error {
				for range c.bursts {
					if err := b.burst(gw, c.sends, members, all); err != nil {
						return err
					}
				}
				return nil
			}
		}
		spread, local, ratio, err := b.compare(serve.CPUTime, work(nodes[0].Handler, nodes...),
			work(one.Handler, one))
		if err != nil {
			return err
		}
		per := func(d time.Duration) float64 {
			return float64(d.Nanoseconds()) / 1e3 / float64(c.bursts*c.sends*members)
		}
		b.row(fmt.Sprintf("%d at a time to %d members on 3 nodes", c.sends, members),
			fmt.Sprintf("%.2f µs CPU a delivery", per(spread)),
			fmt.Sprintf("all on one: %.2f µs", per(local)), fmt.Sprintf("%.2f", ratio))
	}
	return nil
}

// burst sends so many messages at the same time, and waits until all clients have all.
func (b *bench) burst(gw *gateway.Handler, sends, members int, all []*node) error {
	before := received(all)
	err := each(sends, sends, func(int) error {
		if n, err := gw.Group(everyone).Send(b.ctx, text); n != members || err != nil {
			return fmt.Errorf("a group of %d accepted %d: %w", members, n, err)
		}
		return nil
	})
	for err == nil && received(all)-before < int64(sends*members*(payload+frameHead)) {
		time.Sleep(200 * time.Microsecond)
	}
	return err
}

func received(nodes []*node) (bytes int64) {
	for _, n := range nodes {
		bytes += n.got.Load()
	}
	return bytes
}
