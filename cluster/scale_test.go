package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/clustertest"
)

// A figure is what a cluster of one size was counted to do.
type figure struct {
	nodes  int
	meet   float64 // frames a node, from the first start until all know each other's groups
	beats  float64 // deliveries of signs of life a node and second
	list   float64 // frames for a list of all sockets
	group  float64 // frames for a message to a group with members on three other nodes
	heal   float64 // frames a node in the five seconds after a partition in halves
	settle time.Duration
}

// TestScale simulates clusters of up to hundreds of nodes: what an operation costs must
// not grow faster than the nodes that it concerns, and a healed partition must make no
// storm. With CLUSTER_PLOT=FILE it draws the figures:
//
//	CLUSTER_PLOT=docs/cluster.svg go test -run TestScale ./cluster
func TestScale(t *testing.T) {
	sizes := []int{4, 16, 64}
	if os.Getenv("CLUSTER_PLOT") != "" || os.Getenv("CONFORMANCE_FULL") != "" {
		sizes = append(sizes, 128, 256)
	}
	var all []figure
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := simulate(t, n)
				t.Logf("%+v", f)
				all = append(all, f)
			})
		})
	}
	if file := os.Getenv("CLUSTER_PLOT"); file != "" && !t.Failed() {
		if !strings.HasPrefix(file, "/") {
			file = "../" + file // tests run in their package's directory
		}
		if err := os.WriteFile(file, plot(all), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// simulate runs a cluster of nodes that stand for gateways with one socket each.
func simulate(t *testing.T, size int) figure {
	w := clustertest.NewNetwork(1)
	f := figure{nodes: size}
	var nodes []*cluster.Node
	joined := make(chan *cluster.Node, size)
	for range size { // all at the same time, as after a power cut
		go func() {
			n, err := cluster.Join(ctx, w.NewTransport(),
				&cluster.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Errorf("Join: %v", err)
			}
			joined <- n
		}()
	}
	members := map[string]bool{}
	for range size {
		n := <-joined
		nodes = append(nodes, n)
		n.Bind(func(_ context.Context, op gateway.Op) (gateway.Result, error) {
			switch op.Kind {
			case gateway.OpList:
				return gateway.Result{IDs: []string{n.Node() + unknown[10:]}}, nil
			case gateway.OpMember, gateway.OpGroupSend:
				if members[n.Node()] {
					return gateway.Result{N: 1}, nil
				}
			}
			return gateway.Result{}, nil
		})
	}
	defer func() {
		for _, n := range nodes {
			n.Close(ctx)
		}
	}()
	f.settle = settle(t, nodes)
	time.Sleep(2 * time.Second)
	synctest.Wait()
	frames, _, _ := w.Sent()
	f.meet = float64(frames) / float64(size)

	for _, n := range nodes[1:4] {
		members[n.Node()] = true
		n.Interest("room")
	}
	time.Sleep(time.Second)
	f.group = counted(w, func() {
		total := 0
		err := nodes[0].DoAll(ctx, gateway.Op{Kind: gateway.OpGroupSend, Group: "room",
			Message: gateway.Text("x")},
			func(r gateway.Result) bool { total += r.N; return true })
		if err != nil || total != 3 {
			t.Errorf("a group send reached %d, %v; want 3", total, err)
		}
	})
	f.list = counted(w, func() {
		ids := 0
		err := nodes[0].DoAll(ctx, gateway.Op{Kind: gateway.OpList},
			func(r gateway.Result) bool { ids += len(r.IDs); return true })
		if err != nil || ids != size-1 {
			t.Errorf("a list has %d ids, %v; want %d", ids, err, size-1)
		}
	})
	_, before, _ := w.Sent()
	time.Sleep(10 * time.Second)
	_, after, _ := w.Sent()
	f.beats = float64(after-before) / 10 // every node receives each

	for i, a := range nodes { // two halves
		for _, b := range nodes[i+1:] {
			if nodesApart(nodes, a, b) {
				w.Cut(a.Node(), b.Node())
			}
		}
	}
	time.Sleep(10 * time.Second)
	f.heal = counted(w, func() {
		w.Heal()
		settle(t, nodes)
		time.Sleep(5 * time.Second)
		synctest.Wait()
	}) / float64(size)

	if f.group != 6 || f.list != 2*float64(size-1) {
		t.Errorf("a group send to 3 nodes took %v frames, a list %v; want 6 and %d", f.group, f.list,
			2*(size-1))
	}
	if most := 2.5 * float64(size) * 2; f.beats > most {
		t.Errorf("%v signs of life reach a node in a second, want at most %v", f.beats, most)
	}
	if most := 6 * float64(size); f.meet > most || f.heal > most {
		t.Errorf("a node sends %v frames to meet all, and %v after a partition; want at most %v", f.meet,
			f.heal, most)
	}
	return f
}

func nodesApart(nodes []*cluster.Node, a, b *cluster.Node) bool {
	half := func(n *cluster.Node) bool {
		for _, other := range nodes[:len(nodes)/2] {
			if other == n {
				return true
			}
		}
		return false
	}
	return half(a) != half(b)
}

// counted returns how many frames were sent for something.
func counted(w *clustertest.Network, fn func()) float64 {
	before, _, _ := w.Sent()
	fn()
	synctest.Wait()
	after, _, _ := w.Sent()
	return float64(after - before)
}

// settle waits until every node sees every other up, and returns how long that took.
func settle(t *testing.T, nodes []*cluster.Node) time.Duration {
	start := time.Now()
	for _, n := range nodes {
		for {
			all, _ := n.Nodes(ctx)
			up := 0
			for _, other := range all {
				if other.State == gateway.NodeUp {
					up++
				}
			}
			if up == len(nodes) {
				break
			}
			if time.Since(start) > time.Minute {
				t.Fatalf("a node knows %d of %d after a minute", up, len(nodes))
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return time.Since(start)
}

// plot draws the figures over the size of the cluster, both axes by powers of two.
func plot(all []figure) []byte {
	const width, height, left, bottom = 640, 360, 60, 320
	var b strings.Builder
	fmt.Fprintf(&b,
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintln(&b, `<rect width="100%" height="100%" fill="#fff"/>`)
	x := func(i int) int { return left + i*(width-left-180)/max(1, len(all)-1) }
	y := func(v float64) float64 {
		log := 0.0
		for ; v >= 2; v /= 2 {
			log++
		}
		return bottom - (log+v-1)*25
	}
	for v := 1.0; v <= 2048; v *= 4 {
		fmt.Fprintf(&b,
			`<path d="M%d %.0fH%d" stroke="#ddd"/><text x="%d" y="%.0f" text-anchor="end">%.0f</text>`+"\n",
			left, y(v), width-180, left-6, y(v)+4, v)
	}
	for i, f := range all {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%d nodes</text>`+"\n", x(i), bottom+20,
			f.nodes)
	}
	for k, line := range []struct {
		name, color string
		of          func(f figure) float64
	}{
		{"signs of life to a node, a second", "#4353d6", func(f figure) float64 { return f.beats }},
		{"frames for a list of all", "#0f7a4a", func(f figure) float64 { return f.list }},
		{"frames a node, to meet all", "#b3263a", func(f figure) float64 { return f.meet }},
		{"frames a node, healed partition", "#b07400", func(f figure) float64 { return f.heal }},
		{"frames for a group on 3 nodes", "#626b80", func(f figure) float64 { return f.group }},
	} {
		var points []string
		for i, f := range all {
			points = append(points, fmt.Sprintf("%d,%.1f", x(i), y(max(1, line.of(f)))))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n",
			strings.Join(points, " "), line.color)
		fmt.Fprintf(&b, `<text x="%d" y="%d" fill="%s" font-size="11">%s</text>`+"\n", width-176, 40+18*k,
			line.color, line.name)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String())
}
