package cluster

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long is waited for what must happen; it is no measure of speed.
const patience = 60 * time.Second

// A process is a node or a NATS server.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr bytes.Buffer
	exited chan struct{}
	err    error // after exited
	killed bool

	addr, name string // of a node
	monitor    string // of a NATS server, host:port
	proxy      *proxy // between a node and NATS
}

// spawn starts this program in a role and returns its first line of output.
func spawn(t *testing.T, role, nats string) (*process, string) {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0]), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "CLUSTER_ROLE="+role, "CLUSTER_NATS="+nats,
		"GORACE=exitcode=66 atexit_sleep_ms=0")
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		io.Copy(io.Discard, out)
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	if err != nil {
		<-p.exited
		t.Fatalf("the %s did not start: %v\n%s", role, p.err, p.stderr.String())
	}
	t.Cleanup(p.end)
	return p, strings.TrimSpace(line)
}

// startNATS starts a NATS server at an address; port 0 takes a free one.
func startNATS(t *testing.T, addr string) *process {
	t.Helper()
	p, line := spawn(t, "nats", addr)
	if _, err := fmt.Sscan(line, &p.addr, &p.monitor); err != nil {
		t.Fatalf("a NATS server says %q: %v", line, err)
	}
	return p
}

// slowConsumers asks a NATS server how many nodes it has dropped because they did not read.
func (p *process) slowConsumers() (n int, err error) {
	resp, err := client.Get("http://" + p.monitor + "/varz")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var varz struct {
		SlowConsumers int `json:"slow_consumers"`
	}
	err = json.NewDecoder(resp.Body).Decode(&varz)
	return varz.SlowConsumers, err
}

// startNode starts a node behind a proxy of its own.
func startNode(t *testing.T, nats string) *process {
	t.Helper()
	x := newProxy(t, nats)
	p, line := spawn(t, "node", "nats://"+x.addr())
	p.proxy = x
	if _, err := fmt.Sscan(line, &p.addr, &p.name); err != nil {
		t.Fatalf("a node says %q: %v", line, err)
	}
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("signal %v: %v", s, err)
	}
}

func (p *process) kill() {
	p.killed = true
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// end asks the process to end, and checks that it does so in order.
func (p *process) end() {
	select {
	case <-p.exited:
	default:
		p.cmd.Process.Signal(syscall.SIGCONT)
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(patience):
			p.t.Errorf("a process does not end")
			p.kill()
		}
	}
	if p.err != nil && !p.killed || strings.Contains(p.stderr.String(), "DATA RACE") {
		p.t.Errorf("a process ended with %v:\n%s", p.err, p.stderr.String())
	}
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// ask has a node carry out an operation. Its error means that nobody knows.
func (p *process) ask(ctx context.Context, req request) (out outcome, err error) {
	body, err := json.Marshal(req)
	if err != nil {
		return out, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+"/op",
		bytes.NewReader(body))
	if err != nil {
		return out, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// A proxy passes TCP on until it is told otherwise.
type proxy struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	hole  chan struct{} // closed when the hole is; nil: bytes pass
	stall chan struct{} // the same, of what comes from NATS alone
	ended int           // directions of connections
	cut   bool
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &proxy{l: l, to: to, conns: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { x.serve(in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		x.setHole(false)
		x.setStall(false)
		x.setCut(true)
		running.Wait()
	})
	return x
}

func (x *proxy) addr() string { return x.l.Addr().String() }

func (x *proxy) serve(in net.Conn) {
	defer in.Close()
	if !x.add(in) {
		return
	}
	defer x.remove(in)
	out, err := net.Dial("tcp", x.to)
	if err != nil {
		return
	}
	defer out.Close()
	if !x.add(out) {
		return
	}
	defer x.remove(out)
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.pass(in, out, &x.hole)
	}()
	x.pass(out, in, &x.stall)
	<-done
}

// pass copies until one side ends; in the hole what was read waits, and where it stalls.
func (x *proxy) pass(from, to net.Conn, stall *chan struct{}) {
	defer from.Close()
	defer to.Close()
	defer func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.ended++
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		x.mu.Lock()
		waits := [...]chan struct{}{x.hole, *stall}
		x.mu.Unlock()
		for _, wait := range waits {
			if wait != nil {
				<-wait
			}
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// ends is how often a direction of a connection has ended so far.
func (x *proxy) ends() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ended
}

func (x *proxy) add(c net.Conn) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cut {
		return false
	}
	x.conns[c] = true
	return true
}

func (x *proxy) remove(c net.Conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.conns, c)
}

// setHole swallows all bytes, or ends that: they pass then, late.
func (x *proxy) setHole(on bool) { x.set(&x.hole, on) }

// setStall has nobody read what NATS sends, or ends that: it passes then, late.
func (x *proxy) setStall(on bool) { x.set(&x.stall, on) }

func (x *proxy) set(wait *chan struct{}, on bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case on && *wait == nil:
		*wait = make(chan struct{})
	case !on && *wait != nil:
		close(*wait)
		*wait = nil
	}
}

// setCut drops all connections and takes no more, or ends that.
func (x *proxy) setCut(on bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cut = on
	if on {
		for c := range x.conns {
			c.Close()
		}
	}
}
