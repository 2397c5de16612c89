package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// A run is a cluster under load.
type run struct {
	t     *testing.T
	nats  string // host:port
	check *checker

	ctx context.Context // of the callers

	mu      sync.Mutex
	server  *process
	nodes   []*process // guarded by mu, as are the sockets
	gone    []string   // names of nodes that have ended
	sockets []*socket
	floods  int // for faults alone
}

func (r *run) add(s *socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets = append(r.sockets, s)
}

func (r *run) node(k int) *process {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nodes[k%len(r.nodes)]
}

func (r *run) any() *process { return r.node(rand.IntN(1 << 20)) }

// replace starts a node and takes the other one out of those that are used.
func (r *run) replace(old *process) {
	fresh := startNode(r.t, r.nats)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes[slices.Index(r.nodes, old)] = fresh
	r.gone = append(r.gone, old.name)
}

// wait lets the load go on; in the tests of a fault that is what there is to wait for.
func (r *run) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.t.Context().Done():
	}
}

// faults is what happens to the cluster, again and again.
var faults = []struct {
	name string
	do   func(r *run)
}{
	{"kill -9 of a node", func(r *run) {
		p := r.any()
		p.kill()
		r.wait(time.Second)
		r.replace(p)
	}},
	{"a node is frozen and goes on", func(r *run) {
		p := r.any()
		p.signal(syscall.SIGSTOP)
		r.wait(2 * time.Second)
		p.signal(syscall.SIGCONT)
	}},
	{"kill -9 of the NATS server, and a new one", func(r *run) {
		r.server.kill()
		r.wait(time.Second)
		r.server = startNATS(r.t, r.nats)
	}},
	{"the network of a node swallows everything, and gives it back", func(r *run) {
		p := r.any()
		p.proxy.setHole(true)
		r.wait(2 * time.Second)
		p.proxy.setHole(false)
	}},
	{"the network of a node is cut", func(r *run) {
		p := r.any()
		p.proxy.setCut(true)
		r.wait(1500 * time.Millisecond)
		p.proxy.setCut(false)
	}},
	{"a node is replaced in order", func(r *run) {
		p := r.any()
		r.replace(p)
		p.end()
	}},
	{"the network of a node returns after it was given up", func(r *run) {
		p := r.any()
		p.proxy.setHole(true)
		r.wait(goneAfter + 2*time.Second)
		p.proxy.setCut(true)
		p.proxy.setHole(false)
		p.proxy.setCut(false)
	}},
	{"a node does not read, until NATS gives it up", func(r *run) {
		p := r.any()
		s := open(p, "flooded")
		if s == nil {
			r.t.Errorf("%s takes no socket", p.name)
			return
		}
		r.add(s)
		before, err := r.server.slowConsumers()
		if err != nil {
			r.t.Errorf("the NATS server does not answer: %v", err)
			return
		}
		ends := p.proxy.ends()
		p.proxy.setStall(true)
		r.flood(s, func() bool { // or until the node itself misses NATS
			now, err := r.server.slowConsumers()
			return err == nil && now > before || p.proxy.ends() > ends
		})
		p.proxy.setStall(false)
	}},
}

// flood sends large messages to a socket through the other nodes until it is enough.
func (r *run) flood(s *socket, enough func() bool) {
	r.floods++
	behind := strings.Repeat(padding, 256<<10)
	var stop atomic.Bool
	var senders sync.WaitGroup
	for k := range 32 {
		senders.Go(func() {
			for epoch := 0; !stop.Load() && s.open(); epoch++ {
				via := r.node(k)
				if via == s.owner {
					via = r.node(k + 1)
				}
				// Each is a sender of its own: which of them will come nobody can say.
				r.sendText(via, s, fmt.Sprintf("flood %d.%d.%d", r.floods, k, epoch), 1, behind)
			}
		})
	}
	for start := time.Now(); !enough(); r.wait(20 * time.Millisecond) {
		if time.Since(start) > patience {
			r.t.Errorf("NATS has not given the node up within %v", patience)
			break
		}
	}
	stop.Store(true)
	senders.Wait()
}

// TestEveryMessageIsAccountedFor sends all the time while one fault follows the other. The
// short form has each once; CONFORMANCE_FULL=1 takes two minutes, CLUSTER_MINUTES any
// number.
func TestEveryMessageIsAccountedFor(t *testing.T) {
	var least time.Duration
	if os.Getenv("CONFORMANCE_FULL") != "" {
		least = 2 * time.Minute
	}
	if m, err := strconv.Atoi(os.Getenv("CLUSTER_MINUTES")); err == nil {
		least = time.Duration(m) * time.Minute
	}
	server := startNATS(t, "127.0.0.1:0")
	r := &run{
		t: t, server: server, nats: server.addr,
		check: &checker{sent: map[string]*message{}, count: map[string]int{}},
	}
	for range 3 {
		r.nodes = append(r.nodes, startNode(t, r.nats))
	}
	r.await("three nodes know each other")
	var stop context.CancelFunc
	r.ctx, stop = context.WithCancel(context.Background())
	defer stop()
	var callers sync.WaitGroup
	for k := range 8 {
		callers.Go(func() { r.caller(k) })
	}
	began := time.Now()
	for round := 0; round == 0 || time.Since(began) < least; round++ {
		for _, f := range faults {
			t.Logf("%v: %s", time.Since(began).Round(100*time.Millisecond), f.name)
			r.wait(500 * time.Millisecond)
			f.do(r)
			r.await("after " + f.name)
		}
	}
	r.wait(500 * time.Millisecond)
	stop()
	callers.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probe()
	for _, s := range r.sockets {
		r.check.arrived(s)
	}
	r.check.settle(r.sockets)
	r.check.report(t, time.Since(began))
}

// probe sends a last message to every socket that is open and waits until it has come:
// then everything before it has, too.
func (r *run) probe() {
	for i, s := range r.sockets {
		text := fmt.Sprintf("probe %d", i)
		out, err := s.owner.ask(context.Background(), request{Do: "send", ID: s.id, Text: text})
		if err != nil || out.Err != nil {
			continue // it has ended
		}
		for start := time.Now(); s.open() && !s.has(text); time.Sleep(10 * time.Millisecond) {
			if time.Since(start) > patience {
				r.t.Errorf("%q did not come", text)
				break
			}
		}
	}
}

// await waits until all nodes that live know each other again, and no others, and none
// lists a socket of a node that is gone.
func (r *run) await(what string) {
	r.t.Helper()
	var problem string
	for start := time.Now(); ; r.wait(50 * time.Millisecond) {
		if problem = r.settled(); problem == "" {
			return
		}
		if time.Since(start) > patience {
			r.t.Fatalf("%s: not within %v: %s", what, patience, problem)
		}
	}
}

func (r *run) settled() string {
	r.mu.Lock()
	nodes, gone := slices.Clone(r.nodes), slices.Clone(r.gone)
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, p := range nodes {
		out, err := p.ask(ctx, request{Do: "nodes"})
		if err != nil {
			return fmt.Sprintf("%s does not answer: %v", p.name, err)
		}
		up := 0
		for _, n := range out.Nodes {
			if n.State == gateway.NodeUp &&
				slices.ContainsFunc(nodes, func(p *process) bool { return p.name == n.Name }) {
				up++
			}
		}
		if up != len(nodes) || len(out.Nodes) != len(nodes) {
			return fmt.Sprintf("%s knows %+v", p.name, out.Nodes)
		}
		out, err = p.ask(ctx, request{Do: "list"})
		if err != nil || out.Err != nil {
			return fmt.Sprintf("%s lists with %v, %v", p.name, err, out.Err)
		}
		for _, id := range out.IDs {
			if slices.Contains(gone, id[:10]) {
				r.t.Errorf("%s lists %s, of a node that is gone", p.name, id)
			}
		}
	}
	return ""
}
