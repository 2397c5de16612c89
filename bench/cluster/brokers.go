package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway/bench/internal/proc"
	"github.com/wsgateway/gateway/bench/internal/serve"
)

// A broker is the process over which the nodes of a cluster talk.
type broker interface {
	addr() string // host:port
	cpu(ctx context.Context) (time.Duration, error)
	stop()
}

// freeAddr returns an address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// natsBroker is a NATS server in a process of its own.
type natsBroker struct {
	at string
	p  *proc.Server
}

func startNATS(ctx context.Context) (broker, error) {
	at, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := proc.Start(ctx, serve.NATS, serve.Config{Cluster: at})
	if err != nil {
		return nil, err
	}
	return &natsBroker{at, p}, nil
}

func (b *natsBroker) addr() string { return b.at }
func (b *natsBroker) stop()        { b.p.Stop() }

func (b *natsBroker) cpu(ctx context.Context) (time.Duration, error) {
	u, err := b.p.Usage(ctx)
	return u.CPU, err
}

// redisBroker is a redis-server that keeps nothing on disk.
type redisBroker struct {
	at  string
	cmd *exec.Cmd
}

var errNoRedis = errors.New("there is no redis-server here")

func startRedis(ctx context.Context) (broker, error) {
	exe, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	at, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(at)
	b := &redisBroker{at,
		exec.CommandContext(ctx, exe, "--bind", "127.0.0.1", "--port", port, "--save",
			"", "--appendonly", "no")}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err = b.cpu(ctx); err == nil {
			return b, nil
		}
		if time.Since(began) > 10*time.Second {
			b.stop()
			return nil, fmt.Errorf("redis-server does not answer: %w", err)
		}
	}
}

func (b *redisBroker) addr() string { return b.at }

func (b *redisBroker) stop() {
	b.cmd.Process.Kill()
	b.cmd.Wait()
}

// cpu asks the server itself, which works on every system.
func (b *redisBroker) cpu(ctx context.Context) (time.Duration, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.at)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, "INFO cpu\r\nQUIT\r\n"); err != nil {
		return 0, err
	}
	var sum float64
	found := 0
	for lines := bufio.NewScanner(c); lines.Scan(); {
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			sum += v
			found++
		}
	}
	if found != 2 {
		return 0, errors.New("the server does not tell its CPU time")
	}
	return time.Duration(sum * float64(time.Second)), nil
}
