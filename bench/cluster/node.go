package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/inmem"
	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
)

// A node is a gateway with sockets whose clients read everything and do nothing. All of
// them are in one group.
type node struct {
	*gateway.Handler
	engine *cluster.Node // nil of a gateway alone
	srv    *http.Server
	addr   string
	ids    chan string
	conns  []io.Closer
	got    atomic.Int64 // bytes that clients have read

	want    atomic.Int64  // of got, for await
	arrived chan struct{} // they may be there
}

const everyone = "everyone"

var quiet = slog.New(slog.DiscardHandler)

// noLimits lets everything wait: clients here read, but do not answer pings.
var noLimits = gateway.Limits{QueueMessages: 1 << 20, QueueBytes: 1 << 30, PingInterval: -1}

// node starts a node that is connected with the NATS server in this process.
func (b *bench) node(connect ...natsgo.Option) (*node, error) {
	engine, err := nats.Join(b.ctx, b.url, &nats.Options{
		Connect: connect, Cluster: &cluster.Options{Logger: quiet},
	})
	if err != nil {
		return nil, err
	}
	n := &node{engine: engine, ids: make(chan string, 1), arrived: make(chan struct{}, 1)}
	return n, n.serve(engine)
}

// alone starts a gateway without a cluster.
func alone() (*node, error) {
	n := &node{ids: make(chan string, 1), arrived: make(chan struct{}, 1)}
	return n, n.serve(nil)
}

func (n *node) serve(engine gateway.Engine) error {
	n.Handler = gateway.New(&gateway.Options{
		Engine: engine, Logger: quiet, MaxSocketsPerAddr: -1, MaxGroupsPerSocket: -1,
		MaxSockets: -1,
		Authorize: func(*http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Groups: []string{everyone}}, nil
		},
		Limits: noLimits,
	})
	n.Handle("/ws", gateway.Callbacks{OnOpen: func(_ context.Context, s *gateway.Socket) error {
		n.ids <- s.ID()
		return nil
	}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	n.addr, n.srv = l.Addr().String(), &http.Server{Handler: n.Handler}
	go n.srv.Serve(l)
	return nil
}

// three starts three nodes with so many sockets each, and waits until they know each
// other's groups. The caller calls closeAll.
func (b *bench) three(sockets int) (nodes []*node, err error) {
	for range 3 {
		n, err := b.node()
		if err != nil {
			closeAll(nodes)
			return nil, err
		}
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		if _, err := n.openMany(sockets); err != nil {
			closeAll(nodes)
			return nil, err
		}
	}
	b.settle()
	return nodes, nil
}

func (n *node) openMany(sockets int) (ids []string, err error) {
	return repeat(sockets, n.open)
}

func (n *node) openManyInMemory(sockets int) (ids []string, err error) {
	return repeat(sockets, n.openInMemory)
}

func repeat(times int, open func() (string, error)) (ids []string, err error) {
	for range times {
		id, err := open()
		if err != nil {
			return ids, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// open opens a socket over TCP.
func (n *node) open() (id string, err error) {
	conn, err := load.Dial(context.Background(), load.Target{Addr: n.addr, Dialect: load.WebSocket})
	if err != nil {
		return "", err
	}
	c := conn.NetConn()
	c.SetDeadline(time.Time{})
	n.conns = append(n.conns, c)
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

// openInMemory opens a socket without a connection of the system.
func (n *node) openInMemory() (id string, err error) {
	c, err := inmem.Open(n.Handler, func(p []byte) (int, error) {
		if n.got.Add(int64(len(p))) >= n.want.Load() {
			select {
			case n.arrived <- struct{}{}:
			default:
			}
		}
		return len(p), nil
	})
	if err != nil {
		return "", err
	}
	n.conns = append(n.conns, c)
	return <-n.ids, nil
}

func (n *node) close() {
	for _, c := range n.conns {
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	n.Shutdown(ctx)
	n.srv.Close()
}

func closeAll(nodes []*node) {
	for _, n := range nodes {
		n.close()
	}
}
