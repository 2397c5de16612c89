// Package cluster tests a cluster of real processes over real NATS servers: it kills,
// freezes and cuts them off while messages are sent, and accounts for every one.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/wsgateway/gateway"
	clusterpkg "github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
)

// TestMain makes the test program the other processes, too: a node, or a NATS server.
func TestMain(m *testing.M) {
	switch os.Getenv("CLUSTER_ROLE") {
	case "node":
		exit(runNode(os.Getenv("CLUSTER_NATS")))
	case "nats":
		exit(runNATS(os.Getenv("CLUSTER_NATS")))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// terminated returns a context that ends when the process is asked to end.
func terminated() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM)
}

// The times of the nodes: short, so that a test sees them all.
const (
	heartbeat = 200 * time.Millisecond
	goneAfter = 4 * time.Second
)

// runNATS is a NATS server with little patience: it drops a node that does not read for a
// second, or for which two MiB wait.
func runNATS(addr string) error {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		Host: host, Port: port, NoSigs: true, NoLog: true, MaxPending: 2 << 20,
		WriteDeadline: time.Second, HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return fmt.Errorf("the NATS server does not listen on %s", addr)
	}
	fmt.Println(s.Addr(), s.MonitorAddr())
	ctx, stop := terminated()
	defer stop()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// runNode serves sockets at /ws?group=NAME, whose first message is their id, and
// operations: what this process is asked for it does through its gateway.
func runNode(url string) error {
	ctx, stop := terminated()
	defer stop()
	// A burst may find so little room that some of it is lost.
	node, err := nats.Join(ctx, url,
		&nats.Options{MaxPendingMessages: 256, Cluster: &clusterpkg.Options{
			Heartbeat: heartbeat, GoneAfter: goneAfter, CallTimeout: 2 * time.Second,
			Logger: slog.New(slog.DiscardHandler),
		}})
	if err != nil {
		return err
	}
	gw := gateway.New(&gateway.Options{
		Engine: node, Logger: slog.New(slog.DiscardHandler),
		Authorize: func(r *http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Groups: r.URL.Query()["group"]}, nil
		},
	})
	gw.Handle("/ws", gateway.Callbacks{OnOpen: func(ctx context.Context, s *gateway.Socket) error {
		return s.Send(ctx, gateway.Text(s.ID()))
	}})
	mux := http.NewServeMux()
	mux.Handle("/ws", gw)
	mux.HandleFunc("POST /op", func(w http.ResponseWriter, r *http.Request) { serveOp(gw, w, r) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go srv.Serve(l)
	fmt.Println(l.Addr(), node.Node())
	<-ctx.Done()
	end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := gw.Shutdown(end); err != nil {
		return err
	}
	return srv.Shutdown(end)
}

// A request is one operation that a node is asked for, and an outcome what came of it.
type request struct {
	Do, ID, Group, Text string
}

type outcome struct {
	N     int
	IDs   []string
	Nodes []gateway.Node
	Err   *gateway.Error
}

func serveOp(gw *gateway.Handler, w http.ResponseWriter, r *http.Request) {
	var req request
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var out outcome
	var err error
	ctx := r.Context()
	switch req.Do {
	case "send":
		err = gw.Send(ctx, req.ID, gateway.Text(req.Text))
	case "group":
		out.N, err = gw.Group(req.Group).Send(ctx, gateway.Text(req.Text))
	case "list":
		out.IDs, err = gw.List(ctx)
	case "nodes":
		out.Nodes, err = gw.Nodes(ctx)
	}
	if err != nil {
		e := gateway.ErrorOf(err)
		out.Err = &e
	}
	json.NewEncoder(w).Encode(out)
}
