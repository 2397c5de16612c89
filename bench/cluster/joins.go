package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/wsgateway/gateway"
)

// lists asks one node for the ids of the sockets of all.
func (b *bench) lists() error {
	var nodes []*node
	defer func() { closeAll(nodes) }()
	for range 3 {
		n, err := b.node()
		if err != nil {
			return err
		}
		nodes = append(nodes, n)
		for range b.ids {
			if _, err := n.openInMemory(); err != nil {
				return err
			}
		}
	}
	b.settle()
	var took []time.Duration
	for range b.turns {
		start := time.Now()
		ids, err := nodes[0].List(b.ctx)
		took = append(took, time.Since(start))
		if err != nil || len(ids) != 3*b.ids {
			return fmt.Errorf("listing gave %d ids, %v; want %d", len(ids), err, 3*b.ids)
		}
	}
	b.row(fmt.Sprintf("List of 3 x %d ids", b.ids), median(took).Round(10*time.Microsecond).String())
	start := time.Now()
	first := time.Duration(0)
	n := 0
	for _, err := range nodes[0].ListSeq(b.ctx) {
		if err != nil {
			return err
		}
		if n++; n == b.ids+1 {
			first = time.Since(start) // those of this node come first
		}
	}
	b.row("the same by ListSeq", time.Since(start).Round(10*time.Microsecond).String(),
		"first foreign id after "+first.Round(10*time.Microsecond).String())
	return nil
}

// joins has sockets join groups that nobody else is in, each of which the other nodes
// have to hear of, and join groups that have members already.
func (b *bench) joins() error {
	nodes, err := b.three(1)
	if err != nil {
		return err
	}
	defer closeAll(nodes)
	own, err := nodes[0].openMany(64)
	if err != nil {
		return err
	}
	foreign, err := nodes[1].openMany(64)
	if err != nil {
		return err
	}
	calls := b.calls / 10
	for _, c := range []struct {
		what    string
		callers int
		ids     []string
		group   func(i int) string
	}{
		{"first member of a group joins, last leaves", 1, own, newGroup},
		{"the same, 64 callers", 64, own, newGroup},
		{"a socket joins and leaves a group that has members", 64, own, oldGroup},
		{"a socket of another node does", 64, foreign, oldGroup},
	} {
		start := time.Now()
		err := each(c.callers, calls, func(i int) error {
			g, id := nodes[0].Group(c.group(i)), c.ids[i%len(c.ids)]
			if err := g.Join(b.ctx, id); err != nil {
				return err
			}
			return g.Leave(b.ctx, id)
		})
		if err != nil {
			return err
		}
		b.row(c.what, fmt.Sprintf("%.0f k joins and as many leaves a second",
			float64(calls)/time.Since(start).Seconds()/1e3))
	}
	return nil
}

func newGroup(i int) string { return fmt.Sprint("group ", i) }
func oldGroup(int) string   { return everyone }

// manyGroups has sockets on each node join so many groups, half of them on all nodes, and
// waits until a message to the last of them reaches all.
func (b *bench) manyGroups() error {
	const sockets = 100 // of each node; a socket looks through its groups
	nodes, err := b.three(0)
	if err != nil {
		return err
	}
	defer closeAll(nodes)
	groups := b.calls * 100 / 60 &^ 1 // so that the last one is shared
	before := heap()
	start := time.Now()
	for k, n := range nodes {
		ids, err := n.openMany(sockets)
		if err != nil {
			return err
		}
		for i := range groups {
			name := fmt.Sprint("shared ", i)
			if i%2 == 0 {
				name = fmt.Sprint("of node ", k, ": ", i)
			}
			if err := n.Group(name).Join(b.ctx, ids[i%sockets]); err != nil {
				return err
			}
		}
	}
	for last := fmt.Sprint("shared ", groups-1); ; time.Sleep(time.Millisecond) {
		reached, err := nodes[0].Group(last).Send(b.ctx, gateway.Text("x"))
		if err != nil {
			return err
		}
		if reached == len(nodes) {
			break
		}
	}
	took := time.Since(start)
	b.row(fmt.Sprintf("%d groups on each of 3 nodes", groups),
		fmt.Sprintf("%v until all are known", took.Round(time.Millisecond)),
		fmt.Sprintf("%.0f MiB in all, membership included", float64(heap()-before)/(1<<20)))
	start = time.Now()
	names, err := nodes[0].Groups(b.ctx)
	if err != nil {
		return err
	}
	b.row(fmt.Sprintf("Groups of all nodes: %d names", len(names)),
		time.Since(start).Round(time.Millisecond).String())
	return nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools hold outlives the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
