package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/proc"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// childFlag makes the process one that serves the endpoint named after it.
const childFlag = "-endpoint"

// child serves an endpoint until in ends. It writes its address in one line, and
// then, for each line it reads, what it has used so far.
func child(name string, in io.Reader, out io.Writer) error {
	e, err := find(name)
	if err != nil {
		return err
	}
	gw := gateway.New(&gateway.Options{Limits: gateway.Limits{MessagesPerSecond: -1,
		PingInterval: -1}})
	if err := e.install(gw); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: gw, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	if _, err := fmt.Fprintln(out, ln.Addr()); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		used, err := serve.Used()
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(used); err != nil {
			return err
		}
	}
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(gw.Shutdown(end), srv.Shutdown(end))
	<-served
	return err
}

// A process is a child, with clients on it.
type process struct {
	*proc.Process
	endpoint
	clients []*client
	address string
}

// sockets are how many clients a process has: enough that none of its cores
// waits.
const sockets = 4

// start starts a child and connects its clients.
func start(ctx context.Context, e endpoint) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, childFlag, e.name)
	// for the test, whose binary is the child too
	cmd.Env = append(os.Environ(), "BENCH_LUA_CHILD=1")
	cmd.Stderr = os.Stderr
	p := &process{endpoint: e}
	if p.Process, p.address, err = proc.Run(cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", e.name, err)
	}
	for range sockets {
		if e.message == "" {
			break // it serves other paths
		}
		c, err := dial(ctx, p.address, e.message, e.answer)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", e.name, err), p.stop())
		}
		p.clients = append(p.clients, c)
	}
	return p, nil
}

// stop ends the clients and the process.
func (p *process) stop() error {
	var errs []error
	for _, c := range p.clients {
		errs = append(errs, c.close())
	}
	return errors.Join(append(errs, p.Stop())...)
}

// used asks the process what it has used so far.
func (p *process) used() (u serve.Usage, err error) {
	if _, err := fmt.Fprintln(p.In); err != nil {
		return u, err
	}
	line, err := p.Out.ReadBytes('\n')
	if err != nil {
		return u, err
	}
	return u, json.Unmarshal(line, &u)
}
