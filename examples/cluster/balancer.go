package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const nodes = 3

// The environment of a node.
const (
	roleVariable   = "EXAMPLE_NODE"   // 1, 2 or 3
	routesVariable = "EXAMPLE_ROUTES" // where the nodes' NATS servers are, by commas
)

// A balancer runs the nodes and sends each request to the next of them.
type balancer struct {
	routes []string // of the nodes' NATS servers, by place

	mu     sync.Mutex
	places [nodes]*child  // guarded by mu, as are next and ended
	next   map[string]int // by path: sockets go round whatever else is asked for
	ended  bool

	keepers sync.WaitGroup // one for each place
}

// A child is the process of one node.
type child struct {
	cmd     *exec.Cmd
	addr    string // where it serves HTTP
	name    string // in the cluster
	out     bool   // gets no more requests
	forward http.Handler
	exited  chan struct{}
}

// start starts a node in each place, and a new one whenever one has ended.
func (b *balancer) start(ctx context.Context) error {
	for range nodes {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		b.routes = append(b.routes, l.Addr().String())
		l.Close() // the node takes the port, again and again
	}
	for place := range nodes {
		c, err := b.spawn(place)
		if err != nil {
			return err
		}
		b.keepers.Go(func() { b.keep(ctx, place, c) })
	}
	return nil
}

// keep replaces the node of a place when it has ended.
func (b *balancer) keep(ctx context.Context, place int, c *child) {
	for {
		<-c.exited
		b.mu.Lock()
		c.out = true
		b.mu.Unlock()
		select {
		case <-time.After(2 * time.Second): // so that people see it is gone
		case <-ctx.Done():
			return
		}
		fresh, err := b.spawn(place)
		if err != nil {
			slog.Error("a node does not start", "place", place+1, "error", err)
			continue // c has exited: it is tried again
		}
		c = fresh
	}
}

var errEnded = errors.New("the balancer has ended")

// spawn starts the node of a place and waits until it serves.
func (b *balancer) spawn(place int) (*child, error) {
	c := &child{cmd: exec.Command(os.Args[0]), exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", roleVariable, place+1),
		routesVariable+"="+strings.Join(b.routes, ","))
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = ownGroup // Ctrl-C is for the balancer, which drains the nodes
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		c.cmd.Wait() // how it ended is to be seen on the page
		close(c.exited)
	}()
	if _, scan := fmt.Sscan(line, &c.addr, &c.name); err != nil || scan != nil {
		c.cmd.Process.Kill()
		return nil, fmt.Errorf("node %d said %q: %w", place+1, line, errors.Join(err, scan))
	}
	c.forward = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: c.addr})
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		c.cmd.Process.Kill()
		return nil, errEnded
	}
	b.places[place] = c
	return c, nil
}

// pick returns the next node that takes requests, or nil.
func (b *balancer) pick(path string) *child {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range nodes {
		b.next[path]++
		if c := b.places[b.next[path]%nodes]; c != nil && !c.out {
			return c
		}
	}
	return nil
}

func (b *balancer) forward(w http.ResponseWriter, r *http.Request) {
	c := b.pick(r.URL.Path)
	if c == nil {
		http.Error(w, "no node takes requests now", http.StatusServiceUnavailable)
		return
	}
	c.forward.ServeHTTP(w, r)
}

// kill ends a node as a crash does.
func (b *balancer) kill(w http.ResponseWriter, r *http.Request) {
	b.end(w, r, syscall.SIGKILL)
}

// drain has a node close its sockets and leave. It gets no requests meanwhile.
func (b *balancer) drain(w http.ResponseWriter, r *http.Request) {
	b.end(w, r, syscall.SIGTERM)
}

func (b *balancer) end(w http.ResponseWriter, r *http.Request, s syscall.Signal) {
	// A page of another origin must not end processes.
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		http.Error(w, "a page of another origin", http.StatusForbidden)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.places {
		if c != nil && c.name == r.URL.Query().Get("node") && !c.out {
			c.out = s != syscall.SIGKILL // of a crash nobody is told
			c.cmd.Process.Signal(s)
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	http.Error(w, "no such node", http.StatusNotFound)
}

// stop drains all nodes and waits for them.
func (b *balancer) stop() error {
	b.mu.Lock()
	b.ended = true
	children := b.places
	for _, c := range children {
		if c != nil {
			c.cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended
		}
	}
	b.mu.Unlock()
	for _, c := range children {
		if c == nil {
			continue
		}
		select {
		case <-c.exited:
		case <-time.After(15 * time.Second):
			c.cmd.Process.Kill()
			return fmt.Errorf("node %s did not end in time", c.name)
		}
	}
	b.keepers.Wait()
	return nil
}
