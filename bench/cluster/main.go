// Command cluster measures what a cluster costs, each figure beside what it is compared
// with, in the same run and on the same NATS server:
//
//	go run ./bench/cluster            # all
//	go run ./bench/cluster -quick     # for function only; the figures mean nothing
//
// The server runs in this process, the nodes talk to it over TCP on loopback.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
	"github.com/wsgateway/gateway/cluster/natsd"
)

const payload = 128 // bytes of every message

type bench struct {
	ctx   context.Context
	url   string
	calls int // in each round
	turns int
	crowd int // members on each node
	out   *tabwriter.Writer
}

func main() {
	quick := flag.Bool("quick", false, "run everything once and small")
	flag.Parse()
	b := &bench{ctx: context.Background(), calls: 60_000, turns: 7, crowd: 1000}
	if *quick {
		b.calls, b.turns, b.crowd = 2000, 1, 50
	}
	if err := b.run(); err != nil {
		log.Fatal(err)
	}
}

func (b *bench) run() error {
	server, err := natsd.Start(&natsd.Options{Clients: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer server.Close()
	b.url = server.ClientURL()
	b.out = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer b.out.Flush()
	var nodes []*node
	for range 3 {
		n, err := b.node()
		if err != nil {
			return err
		}
		defer n.close()
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		for range b.crowd {
			if err := n.connect(); err != nil {
				return err
			}
		}
	}
	time.Sleep(2 * time.Second) // everybody knows of everybody's groups
	for _, part := range []func([]*node) error{b.sends, b.groups, b.lists, b.joins, b.manyGroups} {
		if err := part(nodes); err != nil {
			return err
		}
		b.out.Flush()
	}
	return nil
}

// A node is a gateway with sockets whose clients read everything and do nothing.
type node struct {
	*gateway.Handler
	engine *cluster.Node
	srv    *http.Server
	addr   string
	ids    chan string
	conns  []net.Conn
	got    atomic.Int64 // bytes that clients have read
}

func (b *bench) node() (*node, error) {
	engine, err := nats.Join(b.ctx, b.url, &nats.Options{Cluster: &cluster.Options{Logger: quiet}})
	if err != nil {
		return nil, err
	}
	n := &node{engine: engine, ids: make(chan string, 1)}
	n.Handler = gateway.New(&gateway.Options{
		Engine: engine, Logger: quiet, MaxSocketsPerAddr: -1, MaxGroupsPerSocket: -1,
		Authorize: func(*http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Groups: []string{"everyone"}}, nil
		},
		Limits: noLimits,
	})
	n.Handle("/", gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
		n.ids <- s.ID()
		return nil
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	n.addr, n.srv = l.Addr().String(), &http.Server{Handler: n.Handler}
	go n.srv.Serve(l)
	return n, nil
}

var quiet = slog.New(slog.DiscardHandler)

// noLimits lets everything wait: clients here read, but do not answer pings.
var noLimits = gateway.Limits{QueueMessages: 1 << 20, QueueBytes: 1 << 30, PingInterval: -1}

// connect opens a socket; its id goes unused.
func (n *node) connect() error {
	_, err := n.open()
	return err
}

func (n *node) open() (id string, err error) {
	c, err := net.Dial("tcp", n.addr)
	if err != nil {
		return "", err
	}
	n.conns = append(n.conns, c)
	_, err = io.WriteString(c,
		"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if err != nil {
		return "", err
	}
	go func() {
		buf := make([]byte, 64<<10)
		for {
			k, err := c.Read(buf)
			n.got.Add(int64(k))
			if err != nil {
				return
			}
		}
	}()
	return <-n.ids, nil
}

func (n *node) close() {
	for _, c := range n.conns {
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	n.Shutdown(ctx)
	n.srv.Close()
}

// sends compares an acknowledged send to a foreign socket with the request and reply of
// nats.go, which is what carries it.
func (b *bench) sends(nodes []*node) error {
	from, to := nodes[0], nodes[1]
	ids := make([]string, 64)
	for i := range ids {
		id, err := to.open()
		if err != nil {
			return err
		}
		ids[i] = id
	}
	text := gateway.Text(string(make([]byte, payload)))
	asker, err := natsgo.Connect(b.url)
	if err != nil {
		return err
	}
	defer asker.Close()
	answerer, err := natsgo.Connect(b.url)
	if err != nil {
		return err
	}
	defer answerer.Close()
	ok := make([]byte, 3)
	if _, err := answerer.Subscribe("bare", func(m *natsgo.Msg) { m.Respond(ok) }); err != nil {
		return err
	}
	if err := answerer.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(b.out, "callers\tforeign send\tbare request/reply\tratio of times\t(median of %d "+
		"turns)\n", b.turns)
	for _, callers := range []int{1, 64, 1024} {
		before := from.engine.Stats()
		calls := max(b.calls*min(callers, 4)/4, callers)
		ours, bare, ratio, err := b.compare(wall, func() error {
			return each(callers, calls, func(i int) error { return from.Send(b.ctx, ids[i%len(ids)], text) })
		}, func() error {
			return each(callers, calls, func(int) error {
				_, err := asker.Request("bare", text.Data, 10*time.Second)
				return err
			})
		})
		if err != nil {
			return err
		}
		per := func(d time.Duration) string {
			return fmt.Sprintf("%.1f µs, %.0f k/s",
				float64(d.Nanoseconds())/1e3/float64(calls)*float64(callers),
				float64(calls)/d.Seconds()/1e3)
		}
		after := from.engine.Stats()
		fmt.Fprintf(b.out, "%d\t%s\t%s\t%.2f\t%.1f calls a frame\n", callers, per(ours), per(bare), ratio,
			float64(after.Calls-before.Calls)/float64(after.FramesOut-before.FramesOut))
	}
	before := from.engine.Stats()
	if err := each(1, 1000, func(i int) error { return from.Send(b.ctx, ids[0], text) }); err != nil {
		return err
	}
	after := from.engine.Stats()
	fmt.Fprintf(b.out, "bytes handed to NATS for a send of %d bytes\t%d there, %d back\n", payload,
		(after.BytesOut-before.BytesOut)/1000, (after.BytesIn-before.BytesIn)/1000)
	return nil
}

// each makes calls from so many goroutines, and returns the first error.
func each(callers, calls int, fn func(i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	var failed atomic.Pointer[error]
	for range callers {
		wg.Go(func() {
			for {
				i := int(next.Add(1))
				if i > calls || failed.Load() != nil {
					return
				}
				if err := fn(i); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// A clock tells the time that has passed, or the CPU time of this process.
type clock func() (time.Duration, error)

var start = time.Now()

func wall() (time.Duration, error) { return time.Since(start), nil }

// compare times two works in turn, and returns the medians of their times and of the
// ratio within each turn.
func (b *bench) compare(now clock, ours, other func() error) (_, _ time.Duration, _ float64,
	_ error) {
	var a, c []time.Duration
	var ratios []float64
	for range b.turns {
		var took [2]time.Duration
		for k, work := range []func() error{ours, other} {
			before, err := now()
			if err != nil {
				return 0, 0, 0, err
			}
			if err := work(); err != nil {
				return 0, 0, 0, err
			}
			after, err := now()
			if err != nil {
				return 0, 0, 0, err
			}
			took[k] = after - before
		}
		a, c = append(a, took[0]), append(c, took[1])
		ratios = append(ratios, float64(took[0])/float64(took[1]))
	}
	slices.Sort(a)
	slices.Sort(c)
	slices.Sort(ratios)
	return a[len(a)/2], c[len(c)/2], ratios[len(ratios)/2], nil
}

// groups compares a group's message to members on three nodes with one to as many members
// of a node alone.
func (b *bench) groups(nodes []*node) error {
	alone := &node{ids: make(chan string, 1)}
	alone.Handler = gateway.New(&gateway.Options{
		Logger: quiet, MaxSocketsPerAddr: -1,
		Authorize: func(*http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Groups: []string{"everyone"}}, nil
		},
		Limits: noLimits,
	})
	alone.Handle("/", gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
		alone.ids <- s.ID()
		return nil
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	alone.addr, alone.srv = l.Addr().String(), &http.Server{Handler: alone.Handler}
	go alone.srv.Serve(l)
	defer alone.close()
	members := 3*b.crowd + 64
	for range members {
		if err := alone.connect(); err != nil {
			return err
		}
	}
	text := gateway.Text(string(make([]byte, payload)))
	// burst sends so many messages at the same time, and waits until all clients have all.
	burst := func(gw *gateway.Handler, sends int, all ...*node) error {
		before := received(all)
		err := each(sends, sends, func(int) error {
			if n, err := gw.Group("everyone").Send(b.ctx, text); n != members || err != nil {
				return fmt.Errorf("a group of %d accepted %d: %w", members, n, err)
			}
			return nil
		})
		for err == nil && received(all)-before < int64(sends*members*(payload+4)) {
			time.Sleep(200 * time.Microsecond)
		}
		return err
	}
	for _, c := range []struct{ bursts, sends int }{{20, 1}, {2, 50}} {
		work := func(gw *gateway.Handler, all ...*node) func() error {
			return func() error {
				for range c.bursts {
					if err := burst(gw, c.sends, all...); err != nil {
						return err
					}
				}
				return nil
			}
		}
		spread, local, ratio, err := b.compare(serve.CPUTime, work(nodes[0].Handler, nodes...),
			work(alone.Handler, alone))
		if err != nil {
			return err
		}
		per := func(d time.Duration) float64 {
			return float64(d.Nanoseconds()) / 1e3 / float64(c.bursts*c.sends*members)
		}
		fmt.Fprintf(b.out, "%d at a time to %d members on 3 nodes\t%.2f µs CPU a delivery\tall on one: "+
			"%.2f µs\t%.2f\n",
			c.sends, members, per(spread), per(local), ratio)
	}
	return nil
}

func received(nodes []*node) (bytes int64) {
	for _, n := range nodes {
		bytes += n.got.Load()
	}
	return bytes
}

func (b *bench) lists(nodes []*node) error {
	start := time.Now()
	ids, err := nodes[0].List(b.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "List of %d ids on 3 nodes\t%v\n", len(ids),
		time.Since(start).Round(10*time.Microsecond))
	return nil
}

// joins has a socket join groups that nobody else is in, each of which the other nodes
// have to hear of.
func (b *bench) joins(nodes []*node) error {
	id, err := nodes[0].open()
	if err != nil {
		return err
	}
	groups := b.calls / 10
	start := time.Now()
	for i := range groups {
		g := nodes[0].Group(fmt.Sprint("group ", i))
		if err := g.Join(b.ctx, id); err != nil {
			return err
		}
		if err := g.Leave(b.ctx, id); err != nil {
			return err
		}
	}
	took := time.Since(start)
	fmt.Fprintf(b.out, "first member joins, last leaves\t%.1f µs for both\n",
		float64(took.Microseconds())/float64(groups))
	return nil
}

// manyGroups has sockets on each node join so many groups, half of them on all nodes, and
// waits until a message to the last of them reaches all.
func (b *bench) manyGroups(nodes []*node) error {
	const sockets = 100 // of each node; a socket looks through its groups
	groups := b.calls * 100 / 60
	before := heap()
	start := time.Now()
	for k, n := range nodes {
		var ids []string
		for range sockets {
			id, err := n.open()
			if err != nil {
				return err
			}
			ids = append(ids, id)
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
	last := fmt.Sprint("shared ", groups-1)
	for {
		reached, err := nodes[0].Group(last).Send(b.ctx, gateway.Text("x"))
		if err != nil {
			return err
		}
		if reached == len(nodes) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	fmt.Fprintf(b.out, "%d groups on each of 3 nodes\t%v until all are known\t%.0f MiB in all, "+
		"membership included\n",
		groups, took.Round(time.Millisecond), float64(heap()-before)/(1<<20))
	start = time.Now()
	names, err := nodes[0].Groups(b.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "Groups of all nodes: %d names\t%v\n", len(names),
		time.Since(start).Round(time.Millisecond))
	return nil
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
